"""TEMI on unpleasant sets: imbalance, a wrong number of clusters, duplicates, very few images, too
little memory."""

import numpy as np
import pytest
import torch
from gaussian_blobs import blobs

from coreset_engine.clustering import contingency
from coreset_engine.clustering import temi_training as module
from coreset_engine.clustering.config import TemiConfig
from coreset_engine.clustering.pseudo_labels import pseudo_labels
from coreset_engine.clustering.temi import temi

QUICK = dict(n_heads=6, min_steps=400, epochs=1, lr=3e-3, batch=128)


def check(found, n, n_clusters):
    assert (
        found.labels.shape == (n,) and found.labels.min() >= 0 and found.labels.max() < n_clusters
    )
    assert found.n_clusters == n_clusters and np.isfinite(found.probabilities).all()
    assert (
        found.info["dead"]
        == np.flatnonzero(np.bincount(found.labels, minlength=n_clusters) == 0).tolist()
    )


@pytest.mark.filterwarnings("ignore:.*hold no image")
def test_classes_of_1000_and_of_10_images():
    vectors, truth = blobs([1000, 300, 100, 30, 10])
    found = temi(vectors, 5, TemiConfig(**QUICK))
    check(found, 1440, 5)
    assert contingency.label_quality(found.labels, truth)["purity"] > 0.9


@pytest.mark.filterwarnings("ignore:.*hold no image")
def test_twice_too_many_clusters_split_classes_but_do_not_mix_them():
    vectors, truth = blobs([100] * 5)
    found = temi(vectors, 10, TemiConfig(**QUICK))
    check(found, 500, 10)
    assert contingency.label_quality(found.labels, truth)["purity"] > 0.97


def test_half_the_clusters_join_classes_but_stay_full():
    vectors, truth = blobs([100] * 6)
    found = temi(vectors, 3, TemiConfig(**QUICK))
    check(found, 600, 3)
    assert found.info["dead"] == [] and contingency.nmi(found.labels, truth) > 0.5


def test_duplicates_are_named_alike_and_do_no_harm():
    vectors, truth = blobs([5] * 4)
    found = temi(np.repeat(vectors, 20, axis=0), 4, TemiConfig(**QUICK))
    check(found, 400, 4)
    assert all(len(set(found.labels[start : start + 20])) == 1 for start in range(0, 400, 20))
    assert contingency.accuracy(found.labels, np.repeat(truth, 20)) > 0.97


def test_clusters_that_cannot_exist_are_reported_and_warned_about():
    vectors = np.repeat(blobs([1] * 3)[0], 40, axis=0)
    with pytest.warns(UserWarning, match="of 6 clusters hold no image"):
        found = temi(vectors, 6, TemiConfig(**QUICK))
    check(found, 120, 6)
    assert len(found.info["dead"]) >= 3 and found.n_clusters == 6


@pytest.mark.parametrize("batch", [16, 512, 4096])
def test_two_hundred_images_whatever_the_batch(batch):
    vectors, truth = blobs([20] * 10)
    found = temi(vectors, 10, TemiConfig(**(QUICK | dict(batch=batch))))
    check(found, 200, 10)
    assert contingency.accuracy(found.labels, truth) > 0.9


@pytest.mark.filterwarnings("ignore:.*hold no image")
@pytest.mark.parametrize("n, n_clusters", [(1, 1), (2, 1), (2, 2), (7, 7), (50, 1)])
def test_hardly_any_images(n, n_clusters):
    check(pseudo_labels(blobs([n])[0], n_clusters, "temi", **QUICK), n, n_clusters)


def test_zero_vectors_and_half_precision_pass():
    vectors, truth = blobs([40] * 3)
    vectors[0] = 0
    found = temi(vectors.astype(np.float16), 3, TemiConfig(**QUICK))
    check(found, 120, 3)
    assert contingency.accuracy(found.labels, truth) > 0.95


def test_out_of_memory_halves_the_batch_and_changes_no_result(monkeypatch):
    vectors, _ = blobs([40] * 4)
    config = TemiConfig(**(QUICK | dict(min_steps=20, batch=64)))
    full = temi(vectors, 4, config)
    real = module.head_logits
    sizes = []

    def small_machine(parameters, rows, temperature):
        if (
            len(rows) > 64 and parameters[0].requires_grad
        ):  # 32 pairs fit, 64 do not; scoring without gradient fits
            raise torch.OutOfMemoryError("no room")
        sizes.append(len(rows))
        return real(parameters, rows, temperature)

    monkeypatch.setattr(module, "head_logits", small_machine)
    halved = temi(vectors, 4, config)
    assert full.info["micro_batch"] == 64 and halved.info["micro_batch"] == 32
    assert sizes.count(64) > 20
    np.testing.assert_allclose(halved.probabilities, full.probabilities, atol=1e-3)


def test_out_of_memory_with_one_pair_is_an_error(monkeypatch):
    def no_room(*_):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(module, "head_logits", no_room)
    with pytest.raises(torch.OutOfMemoryError):
        temi(blobs([10] * 2)[0], 2, TemiConfig(**QUICK))
