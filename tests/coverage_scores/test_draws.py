"""What is drawn: distributions by their moments, dimensions without replacement, units that do not
depend on T."""

from __future__ import annotations

import numpy as np
import pytest

from coreset_engine.core.errors import BadInput
from coreset_engine.coverage.config import DISTRIBUTIONS, SAMPLERS
from coreset_engine.coverage.draws import UNIT, Sampler, triangular
from coreset_engine.coverage.scores import coverage_scores
from coreset_engine.coverage.transposed import turn


def columns(dims=2, width=9):
    return turn(np.random.default_rng(0).gamma(2.0, size=(500, width)).astype(np.float32), dims)


def drawn(units=40, **about):
    about = dict(n_dims=2, distribution="triangular", seed=0, sampler="random") | about
    sampler = Sampler(columns(about["n_dims"]), **about)
    parts = [sampler.unit(number) for number in range(units)]
    return (
        sampler.columns,
        np.concatenate([p[0] for p in parts]),
        np.concatenate([p[1] for p in parts]),
    )


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_moments_per_dimension(distribution, sampler):
    about, dims, points = drawn(distribution=distribution, sampler=sampler)
    if distribution == "images":  # moments of the images themselves
        distribution = "gaussian"
    for j in range(9):
        values = points[dims == j]
        low = about.low[j]
        high = about.high[j]
        middle = about.median[j]
        mean = {
            "triangular": (low + high + middle) / 3,
            "uniform": (low + high) / 2,
            "gaussian": about.mean[j],
        }
        spread = (
            low * low + high * high + middle * middle - low * high - low * middle - high * middle
        )
        std = {
            "triangular": np.sqrt(spread / 18),
            "uniform": (high - low) / np.sqrt(12),
            "gaussian": about.std[j],
        }
        assert abs(values.mean() - mean[distribution]) < 4 * std[distribution] / np.sqrt(
            len(values)
        )
        assert abs(values.std() / std[distribution] - 1) < 0.05
        if distribution != "gaussian":
            assert values.min() >= low and values.max() <= high


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("m", [1, 2, 3, 9])
def test_dimensions_are_distinct_and_equally_likely(sampler, m):
    _, dims, _ = drawn(sampler=sampler, n_dims=m)
    assert all(len(set(row)) == m for row in dims.tolist()) and dims.min() == 0 and dims.max() == 8
    counts = np.bincount(dims.ravel(), minlength=9)
    assert np.abs(counts / counts.mean() - 1).max() < 0.05


def test_stratified_draws_visit_every_pair_equally_often():
    _, dims, _ = drawn(units=9, sampler="stratified")
    pairs = np.unique(np.sort(dims, axis=1), axis=0, return_counts=True)
    assert len(pairs[0]) == 36 and set(pairs[1]) == {9 * UNIT // 36}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_unit_depends_on_seed_and_number_only(sampler):
    make = lambda seed: Sampler(columns(), 2, "triangular", seed, sampler)  # noqa: E731
    first = make(1)
    again = make(1)
    other = make(2)
    later = first.unit(3)
    assert all(np.array_equal(a, b) for a, b in zip(later, again.unit(3)))
    assert not np.array_equal(later[1], other.unit(3)[1]) and not np.array_equal(
        later[1], first.unit(2)[1]
    )


def test_samples_on_images_cover_each_image_equally_often():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(40, 6)).astype(np.float32)
    vectors[30:] = vectors[29]  # eleven images in one place
    keys = rng.permutation(40).astype(np.uint64)
    about = dict(n_samples=40_000, n_neighbours=5, distribution="images", device="cpu")
    found = coverage_scores(vectors, keys=keys, **about)
    # 1,000 of 40,000 draws each, standard deviation 31.
    assert found.coverage.sum() == 40_000
    assert np.abs(found.coverage - 1000).max() < 6 * 31
    order = rng.permutation(40)
    again = coverage_scores(vectors[order], keys=keys[order], **about)
    assert np.array_equal(found.coverage[order], again.coverage)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_samples_on_images_lie_on_images(dtype):
    vectors = np.random.default_rng(0).normal(size=(40, 6)).astype(dtype)
    samples = Sampler(turn(vectors, 2), 2, "images", 0).unit(0)
    for dims, point in list(zip(samples.dims, samples.points))[:100]:
        assert (vectors[:, dims].astype(np.float64) == point).all(1).any()


def test_triangular_inverse_at_its_corners():
    share = np.array([0.0, 0.25, 0.5, 1.0 - 1e-12])
    assert np.allclose(triangular(share, 0.0, 0.0, 1.0), 1 - np.sqrt(1 - share))
    assert np.allclose(triangular(share, 0.0, 1.0, 1.0), np.sqrt(share))
    assert np.array_equal(triangular(share, 3.0, 3.0, 3.0), np.full(4, 3.0))
    assert np.allclose(triangular(share, -1.0, 0.0, 1.0)[2], 0.0)


def test_flat_columns_are_legal():
    vectors = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    vectors[:, 1] = 2.0
    for distribution in DISTRIBUTIONS:
        found = coverage_scores(
            vectors, 500, n_neighbours=5, distribution=distribution, device="cpu"
        )
        assert found.coverage.sum() == 500 and abs(found.redundancy.sum() - 500) < 1e-6
    # Rows without ids that are exactly equal share what any of them covers.
    assert (coverage_scores(np.ones((20, 3)), 100, device="cpu").coverage == 5).all()


@pytest.mark.parametrize(
    "given, word",
    [
        (dict(n_dims=4), "n_dims=4"),
        (dict(n_dims=0), "n_dims=0"),
        (dict(n_samples=0), "n_samples=0"),
        (dict(n_neighbours=0), "n_neighbours=0"),
        (dict(exponent=-1), "exponent=-1"),
        (dict(workers=0), "workers=0"),
        (dict(distribution="cauchy"), "cauchy"),
        (dict(sampler="grid"), "grid"),
        (dict(full_score="no"), "no"),
        (dict(draws=(np.zeros((2, 2), int), np.zeros((3, 2)))), "shapes"),
        (dict(draws=(np.full((2, 2), 7), np.zeros((2, 2)))), "0 to 2"),
        (dict(draws=(np.zeros((2, 2), int), np.full((2, 2), np.nan))), "NaN"),
        (dict(draws=(np.zeros((2, 2)), np.zeros((2, 2)))), "whole numbers"),
        (dict(draws=3), "pair"),
    ],
)
def test_bad_settings_name_value_and_remedy(given, word):
    with pytest.raises(BadInput, match=word):
        coverage_scores(np.ones((10, 3)), **(dict(n_samples=10, device="cpu") | given))


@pytest.mark.parametrize(
    "vectors", [np.ones(5), np.ones((2, 3, 4)), np.ones((0, 3)), np.array([["a", "b"]])]
)
def test_bad_vectors_are_refused(vectors):
    with pytest.raises(BadInput, match="vectors"):
        coverage_scores(vectors, 10, device="cpu")
