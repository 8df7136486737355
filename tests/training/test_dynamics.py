"""Training dynamics end to end on small sets with a known hard part."""

import numpy as np
import pytest

from coreset_engine.core.errors import BadInput, Cancelled
from coreset_engine.training.dynamics import training_dynamics


def blobs(n=600, classes=3, dims=16, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = rng.normal(0, 3, (classes, dims))
    return (centres[labels] + rng.normal(0, 1, (n, dims))).astype(np.float32), labels


@pytest.mark.parametrize("proxy", ["mlp", "linear"])
def test_mislabelled_images_are_the_hardest(proxy):
    vectors, labels = blobs()
    wrong = np.arange(0, 60)
    given = labels.copy()
    given[wrong] = (labels[wrong] + 1) % 3
    found = training_dynamics(vectors, given, proxy, epochs=8, lr=5e-3, batch=64)
    rest = np.setdiff1d(np.arange(len(labels)), wrong)
    assert found.aum[wrong].max() < np.median(found.aum[rest])
    for name in ("el2n", "loss", "grand"):
        score = getattr(found, name)
        assert score[wrong].mean() > score[rest].mean() + 0.1, name
    assert found.margins.shape == (600, 8)
    np.testing.assert_allclose(found.margins.astype(np.float32).mean(1), found.aum, atol=0.02)


def test_same_seed_same_scores_and_global_random_state_is_left_alone():
    import torch

    vectors, labels = blobs(n=90)
    before = torch.random.get_rng_state().clone()
    first, again = (training_dynamics(vectors, labels, epochs=3, seed=5) for _ in range(2))
    other = training_dynamics(vectors, labels, epochs=3, seed=6)
    np.testing.assert_array_equal(first.aum, again.aum)
    np.testing.assert_array_equal(first.tdds, again.tdds)
    assert not np.array_equal(first.aum, other.aum)
    assert torch.equal(before, torch.random.get_rng_state())


def test_float16_memmap_and_fewer_images_than_a_batch(tmp_path):
    vectors, labels = blobs(n=7)
    np.save(tmp_path / "v.npy", vectors.astype(np.float16))
    found = training_dynamics(np.load(tmp_path / "v.npy", mmap_mode="r"), labels, epochs=2)
    assert np.isfinite(found.aum).all() and len(found.aum) == 7


def test_bad_labels_are_refused():
    vectors, labels = blobs(n=30)
    with pytest.raises(BadInput, match="-1"):
        training_dynamics(vectors, np.where(labels == 0, -1, labels))
    with pytest.raises(BadInput, match="one per input"):
        training_dynamics(vectors, labels[:-1])
    with pytest.raises(BadInput, match="needs vectors"):
        training_dynamics(np.zeros((30, 3, 8, 8), np.uint8), labels)
    with pytest.raises(BadInput, match="needs pixels"):
        training_dynamics(vectors, labels, "convnet")


def test_progress_can_cancel():
    def stop(done, total, unit):
        raise Cancelled("stopped")

    vectors, labels = blobs(n=30)
    with pytest.raises(Cancelled):
        training_dynamics(vectors, labels, epochs=2, progress=stop)


@pytest.mark.parametrize("shape", [(40, 3, 16, 16), (40, 16, 16), (40, 16, 16, 3)])
def test_convnet_takes_pixels_in_any_layout(shape):
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    pixels = rng.integers(0, 60, shape).astype(np.uint8)
    pixels[labels == 1] += 120
    found = training_dynamics(pixels, labels, "convnet", epochs=4, hidden=4, batch=10, augment=True)
    assert found.info["accuracy"] > 0.9


def test_resnet18_runs_with_the_small_stem():
    rng = np.random.default_rng(0)
    found = training_dynamics(
        rng.integers(0, 255, (6, 1, 8, 8)).astype(np.uint8),
        np.arange(6) % 2,
        "resnet18",
        epochs=1,
        batch=3,
    )
    assert np.isfinite(found.grand).all() and found.info["batch"] == 3
