"""Scores on histories short enough to work out by hand."""

import math

import numpy as np
import pytest
import torch

from coreset_engine.core.config import make
from coreset_engine.core.errors import BadInput
from coreset_engine.training.config import DynamicsConfig
from coreset_engine.training.scores import DynamicsRecorder


def recorded(history, labels, features=None, **options):
    """history: (E, N, C) logits. Feeds two batches an epoch, in another order each time."""
    history = torch.tensor(history, dtype=torch.float32)
    labels = torch.tensor(labels)
    config = DynamicsConfig(**options)
    recorder = DynamicsRecorder(len(labels), history.shape[2], len(history), config)
    for epoch, logits in enumerate(history):
        order = torch.arange(len(labels)).roll(epoch)
        for at in order.split(2):
            recorder.record(
                epoch, at, logits[at], labels[at], None if features is None else features[at]
            )
    return recorder.finish()


def logs(*probabilities):
    return [math.log(p) for p in probabilities]


def test_aum_is_the_mean_margin_to_the_largest_other_logit():
    found = recorded([[[3, 1, 0], [0, 5, 5]], [[1, 2, 0], [7, 0, 1]]], [0, 1])
    assert found["aum"] == pytest.approx([(2 - 1) / 2, (0 - 7) / 2])
    assert found["margins"].dtype == np.float16
    np.testing.assert_array_equal(found["margins"], [[2, -1], [0, -7]])


def test_probability_margin_uses_softmax():
    found = recorded([[logs(0.7, 0.2, 0.1)], [logs(0.3, 0.6, 0.1)]], [0], margin="probability")
    assert found["aum"] == pytest.approx([(0.5 - 0.3) / 2], abs=1e-6)
    with pytest.raises(BadInput, match="logit, probability"):
        make(DynamicsConfig, {"margin": "odds"})


def test_forgetting_counts_right_to_wrong_and_never_learned_is_infinite():
    right = [1.0, 0.0]
    wrong = [0.0, 1.0]
    tie = [1.0, 1.0]
    found = recorded(
        [
            [right, wrong, wrong, right, tie],
            [wrong, wrong, wrong, right, tie],
            [right, wrong, right, right, tie],
            [wrong, wrong, right, right, tie],
        ],
        [0, 0, 0, 0, 0],
    )
    assert found["forgetting"].tolist() == [2, math.inf, 0, 0, math.inf]


def test_el2n_and_grand_average_only_the_first_epochs():
    features = torch.tensor([[3.0, 4.0]])
    found = recorded([[logs(0.5, 0.5)], [logs(0.2, 0.8)], [logs(0.9, 0.1)]], [0], features, early=2)
    errors = [math.hypot(0.5, 0.5), math.hypot(0.8, 0.8)]
    assert found["el2n"] == pytest.approx([sum(errors) / 2], abs=1e-6)
    assert found["grand"] == pytest.approx([sum(errors) / 2 * math.sqrt(26)], abs=1e-5)


def test_grand_is_the_norm_of_the_last_layers_true_gradient():
    torch.manual_seed(0)
    head = torch.nn.Linear(5, 3)
    features = torch.randn(1, 5)
    logits = head(features)
    torch.nn.functional.cross_entropy(logits, torch.tensor([2])).backward()
    norm = math.sqrt(float(head.weight.grad.square().sum() + head.bias.grad.square().sum()))
    found = recorded([logits.detach().tolist()], [2], features)
    assert found["grand"] == pytest.approx([norm], rel=1e-5)


def test_entropy_and_loss_are_those_of_the_last_epoch():
    found = recorded([[logs(0.1, 0.9)], [logs(0.75, 0.25)]], [0])
    assert found["entropy"] == pytest.approx(
        [-(0.75 * math.log(0.75) + 0.25 * math.log(0.25))], abs=1e-6
    )
    assert found["loss"] == pytest.approx([-math.log(0.75)], abs=1e-6)


def test_dyn_unc_is_the_mean_deviation_over_sliding_windows():
    own = [0.2, 0.4, 0.9, 0.3]
    found = recorded([[logs(p, 1 - p)] for p in own], [0], window=2)
    spreads = [np.std(own[i : i + 2], ddof=1) for i in range(3)]
    assert found["dyn_unc"] == pytest.approx([np.mean(spreads)], abs=1e-6)


def test_dyn_unc_of_a_short_training_uses_its_one_window():
    own = [0.2, 0.4, 0.9]
    found = recorded([[logs(p, 1 - p)] for p in own], [0], window=10)
    assert found["dyn_unc"] == pytest.approx([np.std(own, ddof=1)], abs=1e-6)


def test_dyn_unc_of_the_released_program_leaves_the_last_window_out():
    own = [0.2, 0.4, 0.9, 0.3]
    found = recorded([[logs(p, 1 - p)] for p in own], [0], window=2, dyn_unc="program")
    # Deviations of two numbers: |a - b| / sqrt 2. Windows (0.2 0.4), (0.4 0.9); (0.9 0.3) is left.
    assert found["dyn_unc"] == pytest.approx([(0.2 + 0.5) / 2 / math.sqrt(2)], abs=1e-6)
    one = recorded([[logs(p, 1 - p)] for p in own], [0], window=4, dyn_unc="program")
    assert one["dyn_unc"] == pytest.approx([np.std(own, ddof=1)], abs=1e-6), "its only window"


def change(before, after):
    """sum_c |p_c log(p_c / q_c)| of two classes, from probabilities of the first."""
    terms = [(after, before), (1 - after, 1 - before)]
    return sum(abs(p * math.log(p / q)) for p, q in terms)


def test_tdds_by_hand():
    # Zhang et al. 2024, eq. 8-11, with T = 4, J = 3: two windows of two changes each. The norm of
    # (a, b) less its mean is |a - b| / sqrt 2. Epochs after T do not count.
    own = [0.2, 0.4, 0.9, 0.3, 0.6, 0.1]
    first = change(0.2, 0.4)
    second = change(0.4, 0.9)
    third = change(0.9, 0.3)
    older = abs(first - second) / math.sqrt(2)
    newer = abs(second - third) / math.sqrt(2)
    expected = 0.9 * newer + 0.9 * 0.1 * older
    history = [[logs(p, 1 - p)] for p in own]
    found = recorded(history, [0], tdds_epochs=4, tdds_window=3)
    assert found["tdds"] == pytest.approx([expected], rel=1e-4)


def test_tdds_sums_absolute_changes_over_the_classes():
    # From (0.5, 0.5) to (0.9, 0.1): 0.9 log 1.8 > 0 and 0.1 log 0.2 < 0. Taken absolute before the
    # sum they give 0.690; the absolute value of their sum, the KL divergence, would be 0.368.
    own = [0.5, 0.9, 0.5]
    expected = abs(change(0.5, 0.9) - change(0.9, 0.5)) / math.sqrt(2)
    assert change(0.5, 0.9) == pytest.approx(0.690, abs=1e-3)
    found = recorded([[logs(p, 1 - p)] for p in own], [0], tdds_epochs=3, tdds_window=3)
    assert found["tdds"] == pytest.approx([0.9 * expected], rel=1e-4)


def test_tdds_defaults_look_at_the_first_ten_epochs_of_a_longer_training():
    rng = np.random.default_rng(0)
    history = rng.normal(size=(25, 1, 3))
    long = recorded(history.tolist(), [0])
    short = recorded(history[:10].tolist(), [0])
    assert long["tdds"] == pytest.approx(short["tdds"]) and long["tdds"][0] > 0


def test_one_epoch_gives_finite_scores():
    found = recorded([[[2.0, 0.0], [0.0, 2.0]]], [0, 0])
    assert all(np.isfinite(found[name]).all() for name in found if name != "forgetting")
    assert found["tdds"].tolist() == found["dyn_unc"].tolist() == [0, 0]


def test_dual_is_difficulty_times_uncertainty_over_windows_of_the_first_epochs():
    # Cho et al. 2025: T = 4 of 5 epochs, J = 2. Deviation of two numbers: |a - b| / sqrt 2. Windows
    # (0.2 0.4): 0.2 / sqrt 2 * 0.7; (0.4 0.9): 0.5 / sqrt 2 * 0.35; (0.9 0.3): 0.6 / sqrt 2 * 0.4.
    own = [0.2, 0.4, 0.9, 0.3, 0.8]
    found = recorded([[logs(p, 1 - p)] for p in own], [0], window=2, dual_epochs=4)
    wanted = (0.2 * 0.7 + 0.5 * 0.35 + 0.6 * 0.4) / math.sqrt(2) / 3
    assert found["dual"] == pytest.approx([wanted], abs=1e-6)
    assert found["mean_probability"] == pytest.approx([(0.2 + 0.4 + 0.9 + 0.3) / 4], abs=1e-6)


def test_dual_of_a_short_training_uses_its_one_window():
    own = [0.2, 0.4, 0.9]
    found = recorded([[logs(p, 1 - p)] for p in own], [0], window=10, dual_epochs=30)
    assert found["dual"] == pytest.approx([np.std(own, ddof=1) * (1 - 0.5)], abs=1e-6)
