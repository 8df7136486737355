"""Training on a subset: the convex fit against scikit-learn, networks at a fixed number of steps,
splits and noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from coreset_engine.core.errors import BadInput
from coreset_engine.evaluation.knn import knn_predict
from coreset_engine.evaluation.linear import PENALTY, fit_linear
from coreset_engine.evaluation.split import flip_labels, stratified_split
from coreset_engine.evaluation.subset_training import (
    MODELS,
    TrainTest,
    evaluate_subset,
    usual_steps,
)
from coreset_engine.sources.open import open_source
from coreset_engine.training.loop import TrainingSet
from coreset_engine.training.pixels import pixels_of

DIGITS = load_digits()
X = DIGITS.data.astype(np.float32)
Y = DIGITS.target


def test_the_linear_fit_is_the_optimum_that_scikit_learn_finds():
    fitted = fit_linear(TrainingSet(X[:500], Y[:500]), 10)
    scaled = (X - X[:500].mean(0)) / np.maximum(X[:500].std(0), 1e-6)
    theirs = LogisticRegression(C=1 / (PENALTY * 500), tol=1e-8, max_iter=5000).fit(
        scaled[:500].astype(float), Y[:500]
    )
    assert (
        fitted.converged
        and (fitted.predict(X[500:]) == theirs.predict(scaled[500:])).mean() > 0.998
    )
    logits = scaled[:500] @ fitted.weights[:-1].numpy() + fitted.weights[-1].numpy()
    p = np.exp(logits - logits.max(1, keepdims=True))
    p = p / p.sum(1, keepdims=True) - np.eye(10)[Y[:500]]
    slope = scaled[:500].T @ p / 500 + PENALTY * fitted.weights[:-1].numpy()
    assert np.abs(slope).max() < 1e-3  # the gradient of the stated objective vanishes


def test_image_weights_of_the_linear_fit_count_as_copies():
    weights = np.ones(200)
    weights[:40] = 2
    twice = fit_linear(TrainingSet(np.r_[X[:200], X[:40]], np.r_[Y[:200], Y[:40]]), 10)
    # standardised alike only when the moments agree, so compare on already weighted moments
    once = fit_linear(TrainingSet(X[:200], Y[:200], weights), 10)
    assert (once.predict(X[200:]) == twice.predict(X[200:])).mean() > 0.96
    assert (
        once.predict(X[200:]) != fit_linear(TrainingSet(X[:200], Y[:200]), 10).predict(X[200:])
    ).any()


def test_a_class_absent_from_the_subset_is_never_guessed():
    at = np.flatnonzero(Y[:400] != 3)
    found = evaluate_subset("linear", TrainTest(X[at], Y[at], X[400:], Y[400:], 10))
    assert found.per_class[3] == 0 == found.worst_class_accuracy and 0.7 < found.accuracy < 0.92


@pytest.mark.parametrize("model", ["linear", "knn", "mlp", "convnet"])
def test_accuracy_is_high_with_true_labels_and_chance_with_shuffled_ones(model):
    inputs = X if model != "convnet" else X.reshape(-1, 1, 8, 8).astype(np.uint8)
    right = TrainTest(inputs[:600], Y[:600], inputs[1200:], Y[1200:], 10)
    shuffled = np.random.default_rng(0).permutation(Y[:600])
    found = evaluate_subset(model, right, steps=80, device="cpu")
    lost = evaluate_subset(model, replace(right, labels=shuffled), steps=80, device="cpu")
    assert found.accuracy > 0.8 and lost.accuracy < 0.3
    assert found.accuracy == pytest.approx(
        np.average(found.per_class, weights=np.bincount(Y[1200:]))
    )
    assert found.worst_class_accuracy == found.per_class.min()
    assert found.balanced_accuracy == pytest.approx(found.per_class.mean())


def test_the_nearest_neighbours_vote_by_hand():
    # On the unit circle: classes 0 0 1 1 1 at 0, 10, 20, 80 and 90 degrees. At 4 degrees the three
    # nearest are 0 0 1: class 0. At 16: 20, 10, 0, two votes to one for class 0. With k = 2 at 16:
    # one vote each, and the nearest of them, at 20 degrees, decides for class 1.
    def circle(*degrees):
        return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], 1)

    known = 7 * circle(0, 10, 20, 80, 90)  # lengths do not matter for cosine distances
    labels = np.array([0, 0, 1, 1, 1])
    test = circle(4, 16, 85)
    assert knn_predict(TrainingSet(known, labels), test, 2, k=3).tolist() == [0, 0, 1]
    assert knn_predict(TrainingSet(known, labels), test, 2, k=2).tolist() == [0, 1, 1]
    weights = np.array([0.1, 0.1, 1, 1, 1])
    assert knn_predict(TrainingSet(known, labels, weights), test, 2, k=3).tolist() == [1, 1, 1]
    assert knn_predict(TrainingSet(known[:2], labels[:2]), test, 2).tolist() == [0, 0, 0], (
        "fewer than k"
    )


def test_balanced_accuracy_counts_every_class_alike():
    # Eight of class 0, all right, and two of class 1, both wrong: 80 % of images, 50 % of classes.
    inputs = np.array([[1.0, 0.0]])
    test = np.tile([[1.0, 0.1]], (10, 1))
    truth = np.array([0] * 8 + [1] * 2)
    found = evaluate_subset("knn", TrainTest(inputs, np.array([0]), test, truth, 2), device="cpu")
    assert found.accuracy == 0.8 and found.balanced_accuracy == 0.5
    assert found.worst_class_accuracy == 0 and found.steps == 0


def test_the_last_stage_of_the_encoder_is_fine_tuned_on_its_own_maps():
    from coreset_engine.embedding.encoders.builders import make_encoder
    from coreset_engine.evaluation.finetune import MapReader

    demo = open_source("demo")
    reader = MapReader("efficientnet_lite0", None, "cpu", demo)
    maps = reader.read(demo, np.arange(60))
    encoder = make_encoder("efficientnet_lite0", device="cpu").sized_for(demo)
    vectors = encoder.encode([demo.image(i) for i in range(8)])
    with torch.inference_mode():
        ours = maps.stage(torch.from_numpy(maps.maps[:8]).float()).numpy()
    assert np.abs(ours - vectors).max() < 2e-3 * np.abs(vectors).max(), "cut and joined: the same"
    before = [weight.clone() for weight in maps.stage.parameters()]
    data = TrainTest(maps[np.arange(40)], Y[:40], maps[40:], Y[40:60], 10)
    found = evaluate_subset("finetune", data, steps=20, device="cpu")
    assert found.steps == 20 and found.accuracy > 0.3
    after = list(maps.stage.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True)), "a copy was trained"


def test_encoders_that_cannot_be_cut_are_refused_by_name():
    from coreset_engine.embedding.encoders.base import Encoder
    from coreset_engine.embedding.encoders.stages import split_last_stage

    other = Encoder("other", torch.nn.Identity(), 4, 8, (0,) * 3, (1,) * 3, "")
    with pytest.raises(BadInput, match="'other' cannot be fine-tuned"):
        split_last_stage(other)


def test_networks_take_the_same_steps_whatever_the_subset():
    taken = [
        evaluate_subset(
            "mlp", TrainTest(X[:k], Y[:k], X[1700:], Y[1700:], 10), steps=60, device="cpu"
        ).steps
        for k in (20, 300, 1200)
    ]
    assert taken == [60, 60, 60]
    assert usual_steps(20, 512, 60_000) == 2360 and usual_steps(20, 512, 1438) == 600


def test_a_network_is_the_same_for_a_seed_and_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    data = TrainTest(X[:100], Y[:100], X[1500:], Y[1500:], 10)
    a, b, c = (
        evaluate_subset("mlp", data, steps=20, seed=seed, device="cpu").per_class
        for seed in (1, 1, 2)
    )
    assert (a == b).all() and (a != c).any() and torch.equal(before, torch.get_rng_state())


def test_batch_weights_are_equation_10():
    from coreset_engine.training.config import TrainingRecipe
    from coreset_engine.training.loop import train
    from coreset_engine.training.proxies import build_proxy, proxy_config

    inputs = torch.from_numpy(X[:64])
    labels = Y[:64]
    weights = np.linspace(0.1, 1, 64)
    answer = []
    for weigh in ("image", "batch"):
        model = build_proxy("linear", inputs, 10, proxy_config("linear"), 0)
        data = TrainingSet(inputs, labels, weights, weigh)
        loss = train(model, data, TrainingRecipe(epochs=1, batch=64), device="cpu").losses[0]
        fresh = build_proxy("linear", inputs, 10, proxy_config("linear"), 0)
        each = torch.nn.functional.cross_entropy(
            fresh(inputs), torch.from_numpy(labels), reduction="none"
        ).detach()
        scaled = torch.from_numpy(weights / weights.mean()).float()
        wanted = (each * scaled).mean() if weigh == "image" else each.mean() * scaled.mean()
        assert loss == pytest.approx(float(wanted), rel=1e-5)
        answer.append(loss)
    assert answer[0] != pytest.approx(answer[1], rel=1e-4)


@pytest.mark.parametrize(
    "model, k, message",
    [("magic", 10, "magic"), ("linear", 0, "at least 1"), ("convnet", 1, "at least 2")],
)
def test_what_cannot_be_trained_is_refused(model, k, message):
    inputs = X.reshape(-1, 1, 8, 8) if model == "convnet" else X
    with pytest.raises(BadInput, match=message):
        evaluate_subset(model, TrainTest(inputs[:k], Y[:k], inputs[:5], Y[:5], 10))
    assert "linear" == MODELS[0]


def test_the_split_is_stratified_and_independent_of_order_and_of_other_images():
    ids = np.array([f"image-{i}" for i in range(1000)])
    labels = np.r_[np.zeros(600, int), np.ones(390, int), [2], np.full(9, -1)]
    train, test = stratified_split(ids, labels)
    assert (
        len(np.intersect1d(train, test)) == 0 and len(train) + len(test) == 991
    )  # unknown labels in neither
    assert (
        (labels[test] == 0).sum() == 120
        and (labels[test] == 1).sum() == 78
        and (labels[test] == 2).sum() == 0
    )
    order = np.random.default_rng(0).permutation(1000)
    again = stratified_split(ids[order], labels[order])[1]
    assert set(ids[order][again]) == set(ids[test])
    with pytest.raises(BadInput, match="too few"):
        stratified_split(ids[:3], np.array([0, 1, 2]))


def test_noise_flips_exactly_its_share_to_other_classes():
    labels = np.arange(1000) % 4
    for share in (0.0, 0.1, 0.5):
        spoilt = flip_labels(labels, share, 4, seed=3)
        assert (spoilt != labels).sum() == 1000 * share and spoilt.min() >= 0 and spoilt.max() <= 3
    assert (flip_labels(labels, 0.1, 4, 0) != flip_labels(labels, 0.1, 4, 1)).any()
    with pytest.raises(BadInput, match="two classes"):
        flip_labels(np.zeros(5, int), 0.5, 1, 0)


def test_pixels_are_the_images():
    demo = open_source("demo")
    found = pixels_of(demo, np.array([5, 0]))
    assert found.shape == (2, 1, 8, 8) and found.dtype == np.uint8
    assert (found[0, 0] == np.rint(DIGITS.images[5] * (255 / 16))).all()
    assert pixels_of(demo, np.array([1]), shape=(3, 16, 16)).shape == (1, 3, 16, 16)
