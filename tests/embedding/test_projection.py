"""The map: deterministic, finite for any N, and true to the neighbourhoods it is drawn from."""

from __future__ import annotations

import numpy as np
import pytest

from coreset_engine.core.errors import BadInput, Cancelled
from coreset_engine.embedding.neighbours.search import neighbours
from coreset_engine.embedding.projection import project


def blobs(per: int = 100) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(4, 30)) * 4
    vectors = np.repeat(centres, per, axis=0) + rng.normal(size=(4 * per, 30))
    return vectors.astype(np.float32), np.arange(4 * per) // per


def test_same_seed_same_map_and_clusters_stay_together():
    vectors, group = blobs()
    nearest = neighbours(vectors, 20, device="cpu")
    first = project(vectors, nearest, seed=3, epochs=60)
    assert first.shape == (400, 2) and first.dtype == np.float32 and np.isfinite(first).all()
    assert np.array_equal(first, project(vectors, nearest, seed=3, epochs=60))
    assert not np.array_equal(first, project(vectors, nearest, seed=4, epochs=60))
    drawn = neighbours(first, 10, "l2", device="cpu").indices
    assert (group[drawn] == group[:, None]).mean() > 0.95


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 14, 16, 40])
@pytest.mark.parametrize("kind", ["normal", "constant", "half", "line"])
def test_small_and_degenerate_sets(count, kind):
    vectors = {
        "normal": np.random.default_rng(1).normal(size=(count, 6)),
        "constant": np.ones((count, 6)),
        "half": np.random.default_rng(1).normal(size=(count, 6)).astype(np.float16),
        "line": np.arange(count, dtype=np.float64)[:, None],
    }[kind]
    layout = project(vectors, neighbours(vectors, 20, "l2", device="cpu"), epochs=20)
    assert layout.shape == (count, 2) and np.isfinite(layout).all()


def test_progress_counts_epochs_and_cancel_passes_through():
    vectors, _ = blobs(50)
    nearest = neighbours(vectors, 15, device="cpu")
    calls = []
    project(vectors, nearest, epochs=30, progress=lambda *call: calls.append(call))
    assert calls[-1] == (30, 30, "epochs") and all(
        unit == "epochs" and total == 30 for _, total, unit in calls
    )

    def stop(done, total, unit):
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        project(vectors, nearest, epochs=30, progress=stop)


def test_refusals():
    vectors, _ = blobs(10)
    with pytest.raises(BadInput, match="40 rows of neighbours for 39 vectors"):
        project(vectors[:39], neighbours(vectors, 5, device="cpu"))
    with pytest.raises(BadInput, match="epochs=0"):
        project(vectors, neighbours(vectors, 5, device="cpu"), epochs=0)


def far_apart() -> np.ndarray:
    """Two groups a thousand apart, thirty copies of one vector, and one vector at a million."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(91, 8)).astype(np.float32)
    vectors[40:60] += 1000
    vectors[60:90] = vectors[60]
    vectors[90] = 1e6
    return vectors


def test_copies_and_disconnected_groups_give_a_readable_map():
    vectors = far_apart()
    found = neighbours(vectors, 15)
    points = project(vectors, found, seed=3, epochs=50)
    assert np.isfinite(points).all() and np.isfinite(found.distances).all()
    middle = np.subtract(*np.percentile(points, [95, 5], axis=0))
    assert (middle / np.ptp(points, axis=0)).max() > 0.05
    assert np.array_equal(points, project(vectors, found, seed=3, epochs=50))


def test_vectors_that_are_all_the_same_or_almost_none():
    for vectors in (np.ones((20, 4), np.float32), np.ones((1, 4), np.float32), np.eye(2, 4)):
        vectors = vectors.astype(np.float32)
        found = neighbours(vectors, 5)
        assert np.isfinite(project(vectors, found, epochs=5)).all()
