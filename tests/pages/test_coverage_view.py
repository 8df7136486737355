"""The slice picture is the engine's arithmetic: nearest by L1 is covered, its neighbours share one
penalty."""

from __future__ import annotations

import numpy as np
import pytest

from ui.views.coverage import DISTRIBUTIONS, make_slice, sample


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_slice_against_brute_force(distribution):
    points = np.random.default_rng(3).normal(size=(200, 2)).astype(np.float32)
    draws = sample(points, distribution, 60, np.random.default_rng(1))
    cut = make_slice(points, draws, 7, n_neighbours=5, exponent=4.0)
    nearest = np.abs(cut.draws[:, None, :] - points[None]).sum(2).argmin(1)
    assert np.array_equal(cut.hits, np.bincount(nearest, minlength=200))
    assert cut.covered == nearest[7]
    away = np.abs(points - points[cut.covered]).sum(1)
    away[cut.covered] = np.inf
    neighbours = np.sort(np.argsort(away)[:5])
    assert np.array_equal(np.flatnonzero(cut.penalty), neighbours)
    assert np.allclose(
        cut.penalty[neighbours] / cut.penalty.sum(),
        away[neighbours] ** -4 / (away[neighbours] ** -4).sum(),
        atol=1e-4,
    )


def test_samples_stay_inside_and_survive_flat_dimensions():
    points = np.c_[np.linspace(-1, 3, 50), np.full(50, 2.0)]
    rng = np.random.default_rng(0)
    for distribution in ("triangular", "uniform"):
        got = sample(points, distribution, 500, rng)
        assert (got[:, 0] >= -1).all() and (got[:, 0] <= 3).all() and (got[:, 1] == 2).all()
