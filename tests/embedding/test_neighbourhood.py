"""Neighbours against a sort of all float64 distances, on each of the four ways to the
candidates."""

from __future__ import annotations

import numpy as np
import pytest

from coreset_engine.core.errors import BadInput, Cancelled
from coreset_engine.embedding.neighbours import candidates as ways
from coreset_engine.embedding.neighbours.search import neighbours


def reference(vectors: np.ndarray, k: int, metric: str) -> np.ndarray:
    """(N, k) float64: the k smallest distances to others, sorted."""
    v = vectors.astype(np.float64)
    if metric == "cosine":
        length = np.linalg.norm(v, axis=1, keepdims=True)
        v = np.divide(v, length, out=np.zeros_like(v), where=length > 0)
        distances = 1 - v @ v.T
    else:
        distances = np.sqrt(np.maximum(((v[:, None] - v[None]) ** 2).sum(-1), 0))
    np.fill_diagonal(distances, np.inf)
    return np.sort(distances, axis=1)[:, :k]


def check_order(found, count: int) -> None:
    assert (found.indices != np.arange(count)[:, None]).all() and found.indices.dtype == np.int64
    assert (np.diff(found.distances, axis=1) >= 0).all() and (found.distances >= 0).all()
    assert all(len(set(row)) == len(row) for row in found.indices.tolist())


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_matches_brute_force(metric, dtype):
    vectors = np.random.default_rng(0).normal(size=(300, 20)).astype(dtype)
    found = neighbours(vectors, 10, metric, device="cpu")
    check_order(found, 300)
    np.testing.assert_allclose(
        found.distances, reference(vectors, 10, metric), atol=2e-6, rtol=1e-5
    )
    assert found.info["exact"] and found.info["recall"] == 1.0


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_duplicates_never_return_self_and_lie_at_zero(metric):
    """60 copies of each of 3 points with k = 50: every neighbour is another copy at distance
    exactly 0."""
    vectors = np.repeat(
        np.random.default_rng(1).normal(size=(3, 300)).astype(np.float32) * 1e3, 60, axis=0
    )
    found = neighbours(vectors, 50, metric, device="cpu")
    check_order(found, 180)
    assert (found.distances == 0).all() and (
        found.indices // 60 == np.arange(180)[:, None] // 60
    ).all()


def low_rank(count: int = 5000, dim: int = 400, rank: int = 20) -> np.ndarray:
    rng = np.random.default_rng(2)
    return (
        rng.normal(size=(count, rank)) @ rng.normal(size=(rank, dim))
        + 0.05 * rng.normal(size=(count, dim))
    ).astype(np.float32)


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_projection_is_proven_exact(metric):
    vectors = low_rank()
    vectors[100] = vectors[200]
    found = neighbours(vectors, 10, metric, device="cpu")
    assert "principal" in found.info["method"] and found.info["repeated"] < 500
    some = np.arange(0, 5000, 50)
    own = vectors.astype(np.float64)
    if metric == "cosine":
        own /= np.linalg.norm(own, axis=1, keepdims=True)
        true = 1 - own[some] @ own.T
    else:
        true = np.sqrt(((own[some, None] - own[None]) ** 2).sum(-1))
    true[np.arange(len(some)), some] = np.inf
    np.testing.assert_allclose(
        found.distances[some], np.sort(true, axis=1)[:, :10], rtol=1e-4, atol=1e-6
    )
    assert found.indices[100, 0] == 200 and found.distances[100, 0] == 0


def test_a_loose_projection_is_repeated_in_full(monkeypatch):
    """With a bound that proves nothing, every row is searched again, and the result stays exact."""
    vectors = np.random.default_rng(3).normal(size=(400, 12)).astype(np.float32)
    monkeypatch.setattr(
        ways,
        "by_flat_index",
        lambda rows, wanted: (
            lambda start, stop: (
                np.tile(np.arange(wanted), (stop - start, 1)),
                np.zeros(stop - start, np.float32),
            )
        ),
    )
    found = neighbours(vectors, 8, "l2", device="cpu")
    assert found.info["repeated"] == 400
    np.testing.assert_allclose(found.distances, reference(vectors, 8, "l2"), rtol=1e-5)


def test_projected_distances_are_lower_bounds():
    vectors = np.random.default_rng(4).normal(size=(200, 96)).astype(np.float32)
    coordinates, kept = ways.project_rows(vectors, most=32)
    assert coordinates.shape == (200, 33) and 0.3 < kept < 0.7
    nearest = ((coordinates[:, None] - coordinates[None]) ** 2).sum(-1)
    far = ((vectors[:, None] - vectors[None]) ** 2).sum(-1)
    assert (nearest <= far * (1 + 1e-4) + 1e-3).all()


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_approximate_way_reports_its_recall(metric):
    vectors = low_rank(3000, 64, 8)
    found = neighbours(vectors, 10, metric, device="cpu", exact_below=100)
    check_order(found, 3000)
    assert not found.info["exact"] and 0.9 < found.info["recall"] <= 1
    exact = neighbours(vectors, 10, metric, device="cpu")
    overlap = np.mean(
        [np.isin(a, b).mean() for a, b in zip(found.indices, exact.indices, strict=True)]
    )
    assert overlap == pytest.approx(found.info["recall"], abs=0.05)


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_products_in_torch_agree(monkeypatch, metric):
    vectors = np.random.default_rng(5).normal(size=(300, 20)).astype(np.float32)
    expected = neighbours(vectors, 10, metric, device="cpu")
    monkeypatch.setattr(ways, "find_spec", lambda name: None)
    found = neighbours(vectors, 10, metric, device="cpu")
    assert found.info["method"] == "torch products" and np.array_equal(
        found.indices, expected.indices
    )
    np.testing.assert_array_equal(found.distances, expected.distances)


def test_borders():
    one = neighbours(np.ones((1, 3), np.float32), 5, device="cpu")
    assert one.indices.shape == (1, 0) and one.distances.shape == (1, 0)
    few = neighbours(np.eye(4, dtype=np.float32), 50, "l2", device="cpu")
    assert few.indices.shape == (4, 3) and np.allclose(few.distances, np.sqrt(2))
    assert few.indices[2].tolist() == [0, 1, 3]  # ties by index
    huge = neighbours(np.array([[1e30, 0], [0, 1e-30], [1, 0]], np.float32), 1, device="cpu")
    assert huge.indices.ravel().tolist() == [2, 0, 0] and huge.distances[0, 0] == 0


def test_zero_vectors_are_at_one_from_all():
    vectors = np.array([[0, 0], [0, 0], [1, 0], [2, 0]], np.float32)
    found = neighbours(vectors, 3, device="cpu")
    assert found.distances[0].tolist() == [1, 1, 1] and found.distances[2].tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    "vectors, k, metric, words",
    [
        (np.ones((3, 2)), 0, "cosine", "at least 1"),
        (np.ones((3, 2)), 2.5, "cosine", "at least 1"),
        (np.ones((3, 2)), 1, "hamming", "not supported"),
        (np.ones(3), 1, "cosine", "float matrix"),
        (np.ones((3, 2), int), 1, "cosine", "float matrix"),
        (np.array([[1.0, np.nan]] * 3), 1, "l2", "row 0"),
    ],
)
def test_refusals(vectors, k, metric, words):
    with pytest.raises(BadInput, match=words):
        neighbours(vectors, k, metric, device="cpu")


def test_progress_and_cancel():
    vectors = np.random.default_rng(6).normal(size=(200, 4))
    calls = []
    neighbours(vectors, 5, device="cpu", progress=lambda *call: calls.append(call))
    assert calls[-1] == (200, 200, "images")

    def stop(done, total, unit):
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        neighbours(vectors, 5, device="cpu", progress=stop)
