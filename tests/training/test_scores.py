"""Scores on histories short enough to work out by hand."""

import math

import numpy as np
import pytest
import torch

from coreset_engine.core.errors import BadInput
from coreset_engine.training.scores import Recorder


def recorded(history, labels, features=None, **options):
    """history: (E, N, C) logits. Feeds two batches an epoch, in another order each time."""
    history = torch.tensor(history, dtype=torch.float32)
    labels = torch.tensor(labels)
    recorder = Recorder(len(labels), history.shape[2], len(history), **options)
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
    with pytest.raises(BadInput, match="logit or probability"):
        Recorder(1, 2, 1, margin="odds")


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


def test_tdds_by_hand():
    own = np.array([0.2, 0.4, 0.9, 0.3, 0.6])
    p = np.stack([own, 1 - own], 1)
    change = np.abs((p[1:] * np.log(p[1:] / p[:-1])).sum(1))
    windows = [np.linalg.norm(w - w.mean()) for w in (change[0:2], change[1:3], change[2:4])]
    expected = windows[0]
    for value in windows[1:]:
        expected = 0.9 * value + 0.1 * expected
    found = recorded([[np.log(row).tolist()] for row in p], [0], window=2)
    assert found["tdds"] == pytest.approx([expected], rel=1e-4)


def test_one_epoch_gives_finite_scores():
    found = recorded([[[2.0, 0.0], [0.0, 2.0]]], [0, 0])
    assert all(np.isfinite(found[name]).all() for name in found if name != "forgetting")
    assert found["tdds"].tolist() == found["dyn_unc"].tolist() == [0, 0]
