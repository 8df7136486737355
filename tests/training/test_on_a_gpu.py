"""Clustering and training on a GPU come to what they come to on a CPU. Deselected where torch sees
no GPU."""

import numpy as np
import pytest

from coreset_engine.clustering import contingency
from coreset_engine.clustering.pseudo_labels import pseudo_labels
from coreset_engine.training.dynamics import training_dynamics

pytestmark = pytest.mark.gpu


def blobs(count=400, classes=4, dims=24):
    rng = np.random.default_rng(0)
    truth = np.arange(count) % classes
    return (rng.normal(size=(classes, dims))[truth] * 2 + rng.normal(size=(count, dims))).astype(
        np.float32
    ), truth


@pytest.mark.parametrize("settings", [dict(), dict(hidden=16)])
def test_temi_finds_the_groups(settings):
    vectors, truth = blobs()
    found = pseudo_labels(
        vectors,
        4,
        "temi",
        n_heads=6,
        min_steps=400,
        epochs=1,
        lr=3e-3,
        batch=128,
        device="cuda",
        **settings,
    )
    assert contingency.accuracy(found.labels, truth) > 0.95 and isinstance(
        found.probabilities, np.ndarray
    )


def test_temi_over_rows_on_disk_finds_the_groups():
    from coreset_engine.clustering.vectors import as_tensor, nearest, unit
    from coreset_engine.core.types import Neighbours

    vectors, truth = blobs()
    neighbours = nearest(unit(as_tensor(vectors, "cuda")), 30).cpu().numpy()
    found = pseudo_labels(
        vectors,
        4,
        "temi",
        n_heads=6,
        min_steps=400,
        epochs=1,
        lr=3e-3,
        batch=128,
        device="cuda",
        neighbours=Neighbours(neighbours, np.zeros(neighbours.shape, np.float32)),
        streamed=True,
    )
    assert contingency.accuracy(found.labels, truth) > 0.95


def test_kmeans_finds_the_groups():
    vectors, truth = blobs()
    assert (
        contingency.accuracy(pseudo_labels(vectors, 4, "kmeans", device="cuda").labels, truth)
        > 0.95
    )


@pytest.mark.parametrize("proxy", ["mlp", "linear"])
def test_scores_of_networks_on_vectors_agree_with_the_cpu(proxy):
    vectors, truth = blobs()
    ours, theirs = (
        training_dynamics(vectors, truth, proxy, 5, device=device) for device in ("cuda", "cpu")
    )
    for name in ("aum", "el2n", "grand", "entropy", "tdds"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=0.05, atol=0.02)


@pytest.mark.parametrize("proxy", ["convnet", "resnet18"])
def test_networks_on_pixels_learn_wrong_labels_last(proxy):
    rng = np.random.default_rng(0)
    truth = np.arange(256) % 2
    pixels = np.clip(rng.normal(60 + 120 * truth[:, None, None], 20, (256, 28, 28)), 0, 255).astype(
        np.uint8
    )
    given = truth.copy()
    given[:12] = 1 - given[:12]
    found = training_dynamics(pixels, given, proxy, 4, device="cuda", batch=64)
    assert found.info["device"].startswith("cuda") and np.isfinite(found.aum).all()
    assert found.aum[:12].mean() < np.median(found.aum[12:])
