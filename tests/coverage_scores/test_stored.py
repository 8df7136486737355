"""Coverage in the store: one sweep fills several alphas, another alpha is then read and not
computed; resumption."""

from __future__ import annotations

import numpy as np
import pytest

import coreset_engine as ce
from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import Cancelled
from coreset_engine.coverage.scores import GRID, coverage_scores

SETTINGS = dict(seed=5, device="cpu", n_samples=6000)


@pytest.fixture
def dataset(tmp_path):
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32))
    return ce.open_source(str(tmp_path / "v.npy"))


def test_grid_fills_the_store_and_slider_reads_it(dataset, tmp_path, monkeypatch):
    run = ce.Run(dataset, store=Store(tmp_path / "home"), **SETTINGS)
    grid = run.coverage_grid()
    assert tuple(grid) == GRID
    direct = coverage_scores(run.vectors, n_neighbours=50, **SETTINGS)
    assert np.array_equal(grid[50].score, direct.score) and grid[50].n_samples == 6000
    again = ce.Run(dataset, store=Store(tmp_path / "home"), **SETTINGS)
    monkeypatch.setattr(
        "coreset_engine.coverage.scores.coverage_grid", None
    )  # nothing may be computed from here on
    for alpha in GRID:
        key = again.key_of(
            "coverage", n_samples=again.n_samples, seed=again.seed, n_neighbours=alpha
        )
        assert again.store.has("coverage", key)
        assert np.array_equal(again.coverage_at(n_neighbours=alpha).score, grid[alpha].score)
    assert again.coverage.info["curve"] and not list((tmp_path / "home" / "work").rglob("*.npz"))


def test_cancelled_sweep_goes_on_where_it_was(dataset, tmp_path):
    settings = SETTINGS | dict(n_samples=60_000)

    def stop(stage, done, total, unit):
        if stage == "coverage" and done > 20_000:
            raise Cancelled("stop")

    for ask in (lambda run: run.coverage, lambda run: run.coverage_grid([5, 50])[5]):
        with pytest.raises(Cancelled):
            ask(ce.Run(dataset, store=Store(tmp_path / "home"), progress=stop, **settings))
        seen = []
        run = ce.Run(
            dataset,
            store=Store(tmp_path / "home"),
            **settings,
            progress=lambda stage, done, *_, seen=seen: (
                seen.append(done) if stage == "coverage" else None
            ),
        )
        found = ask(run)
        assert seen[0] >= 4096
        alpha = found.info["n_neighbours"]
        assert np.array_equal(
            found.score, coverage_scores(run.vectors, n_neighbours=alpha, **settings).score
        )
