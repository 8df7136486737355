"""The fast kernel gives what the reference gives: shapes, slices, ties, duplicates, flat columns,
extreme settings."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from reference import brute_force, draw  # noqa: E402

from coreset_engine.core.errors import BadInput  # noqa: E402
from coreset_engine.coverage.scores import coverage_grid, coverage_scores  # noqa: E402

KINDS = ("normal", "whole", "relu", "scales", "heavy", "copies")


def make(kind: str, n: int, dtype, rng: np.random.Generator) -> np.ndarray:
    """(n, 12) vectors whose columns are hard in one way each."""
    vectors = rng.normal(size=(n, 12))
    if kind == "whole":
        vectors = rng.integers(0, 3, size=(n, 12)).astype(float)
    elif kind == "relu":
        vectors = np.maximum(vectors - 0.3, 0)
        vectors[:, 3] = 7
    elif kind == "scales":
        vectors *= 10.0 ** rng.integers(-4, 4, size=12)
    elif kind == "heavy":
        vectors = np.clip(rng.standard_cauchy(size=(n, 12)) * 3, -6e4, 6e4)
    elif kind == "copies":
        vectors = vectors[rng.integers(0, max(1, n // 4), size=n)]
    return vectors.astype(dtype)


def compare(vectors, draws, alpha, exponent, **options):
    keys = np.random.default_rng(len(vectors)).permutation(len(vectors)).astype(np.uint64) << 7
    found = coverage_scores(
        vectors,
        draws=draws,
        n_neighbours=alpha,
        exponent=exponent,
        device="cpu",
        keys=keys,
        **options,
    )
    coverage, redundancy = brute_force(vectors, draws, alpha, exponent, keys)
    assert np.array_equal(found.coverage, coverage)
    assert np.abs(found.redundancy - redundancy).max() < 1e-9
    assert np.array_equal(found.score, found.coverage - found.redundancy)
    assert found.n_samples == len(draws[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("m", [1, 2, 3, 10])
def test_equals_brute_force(kind, m, dtype):
    rng = np.random.default_rng(m)
    for n in (2, 63, 64, 65, 700):
        vectors = make(kind, n, dtype, rng)
        draws = draw(vectors, m, 25, rng)
        for alpha, exponent in ((1, 4.0), (7, 2.5), (100, 4.0), (n, 0.0), (n - 1, 40.0)):
            compare(vectors, draws, alpha, exponent)


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 300),
    m=st.integers(1, 12),
    kind=st.sampled_from(KINDS),
    alpha=st.integers(1, 400),
    exponent=st.sampled_from([0.0, 0.5, 1.0, 4.0, 9.0, 64.0]),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    on_images=st.booleans(),
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_equals_brute_force_anywhere(seed, n, m, kind, alpha, exponent, dtype, on_images):
    rng = np.random.default_rng(seed)
    vectors = make(kind, n, dtype, rng)
    dims, points = draw(vectors, m, 12, rng)
    if on_images:  # samples exactly on an image, and half way between two: ties at the nearest
        points = vectors[rng.integers(n, size=12)[:, None], dims].astype(float)
        points[::2] = (
            points[::2] + vectors[rng.integers(n, size=6)[:, None], dims[::2]].astype(float)
        ) / 2
    compare(vectors, (dims, points), alpha, exponent)


def test_many_images_at_one_point_end_a_sample_early():
    rng = np.random.default_rng(0)
    vectors = np.maximum(rng.normal(size=(20_000, 6)) - 0.3, 0).astype(np.float32)
    dims = np.array([[0, 1], [2, 5], [3, 4]])
    points = np.array([[0.0, 0.0], [0.01, 0.0], [2.0, 1.0]])
    compare(vectors, (dims, points), 1000, 4.0)
    keys = np.arange(20_000, dtype=np.uint64)
    found = coverage_scores(vectors, draws=(dims[:1], points[:1]), device="cpu", keys=keys)
    assert found.redundancy.max() == 1.0 and (found.redundancy > 0).sum() == 1


def test_an_image_alone_on_a_crowd_of_equals():
    """The covered image has no twin, and all its neighbours share one point: of the ties at the
    alpha-th distance ten are chosen at random, others for every sample."""
    vectors = np.zeros((5000, 3), np.float32)
    vectors[4321] = 1.0
    dims = np.tile([0, 2], (40, 1))
    found = coverage_scores(
        vectors,
        draws=(dims, np.ones((40, 2))),
        n_neighbours=10,
        device="cpu",
        keys=np.arange(5000, dtype=np.uint64),
    )
    assert found.coverage[4321] == 40 and found.redundancy.sum() == pytest.approx(40)
    shares = found.redundancy[found.redundancy > 0]
    assert np.allclose(shares * 10, np.rint(shares * 10)) and 350 < len(shares) <= 400
    compare(vectors, (dims[:3], np.ones((3, 2))), 10, 4.0)


def test_points_far_outside_and_huge_values():
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(400, 4)).astype(np.float64)
    dims = np.array([[0, 1], [2, 3], [1, 2]])
    for points in (np.full((3, 2), 1e6), np.array([[1e9, -1e9], [0, 1e12], [-1e15, 0.0]])):
        compare(vectors, (dims, points), 20, 4.0)
    compare(vectors * 1e100, draw(vectors * 1e100, 2, 20, rng), 20, 4.0)
    compare(vectors * 1e-100, draw(vectors, 2, 20, rng), 20, 4.0)


def test_grid_equals_single_scores_bit_for_bit():
    rng = np.random.default_rng(2)
    vectors = make("relu", 900, np.float32, rng)
    draws = draw(vectors, 2, 60, rng)
    grid = coverage_grid(vectors, (5, 50, 2000), exponents=(4.0, 1.0), draws=draws, device="cpu")
    assert list(grid) == [(5, 4.0), (50, 4.0), (2000, 4.0), (5, 1.0), (50, 1.0), (2000, 1.0)]
    for (alpha, exponent), found in grid.items():
        single = coverage_scores(
            vectors, draws=draws, n_neighbours=alpha, exponent=exponent, device="cpu"
        )
        assert np.array_equal(found.score, single.score) and np.array_equal(
            found.redundancy, single.redundancy
        )


def test_layouts_and_read_only_input():
    rng = np.random.default_rng(3)
    vectors = make("normal", 300, np.float32, rng)
    vectors.setflags(write=False)
    draws = draw(vectors, 2, 20, rng)
    compare(vectors, draws, 30, 4.0)
    compare(np.asfortranarray(vectors), draws, 30, 4.0)
    compare(np.repeat(vectors, 2, axis=0)[::2], draws, 30, 4.0)
    compare(rng.integers(0, 9, (300, 12)), draws, 30, 4.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_not_finite_is_refused(bad, dtype):
    vectors = np.ones((100, 5), dtype)
    vectors[57, 3] = bad
    with pytest.raises(BadInput, match="NaN or infinity.*dimension 3"):
        coverage_scores(vectors, 10, device="cpu")


def test_a_range_beyond_float64_is_refused():
    with pytest.raises(BadInput, match="too wide"):
        coverage_scores(np.array([[1e308, 0.0], [-1e308, 1.0]]), 10, device="cpu")
