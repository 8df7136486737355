"""The automatic settings: one seeded order for every k, drawn towards the middle; coverage stays
the paper's."""

from __future__ import annotations

import numpy as np
import pytest

import coreset_engine as ce
from coreset_engine.artifacts.store import Store
from coreset_engine.core.hashing import row_keys
from coreset_engine.coverage.auto_alpha import auto_neighbours, auto_score
from coreset_engine.coverage.scores import coverage_scores


def test_settings_grow_with_the_set():
    assert [auto_neighbours(n) for n in (1, 7, 80, 800, 60_000)] == [1, 1, 10, 100, 100]


@pytest.mark.integration
def test_the_middle_comes_first_as_often_as_its_weights_say():
    score = np.random.default_rng(0).normal(size=2000) ** 3
    rank = np.argsort(np.argsort(score)) / 2000
    first = np.array([rank[np.argmax(auto_score(score, seed))] for seed in range(3000)])
    weight = np.exp(-4 * np.abs(np.linspace(0, 1, 2001) - 0.5))
    expected = weight[800:1200].sum() / weight.sum()
    assert abs(((first >= 0.4) & (first < 0.6)).mean() - expected) < 0.03
    assert abs(first.mean() - 0.5) < 0.02
    drawn = auto_score(score, 1)
    assert np.isfinite(drawn).all() and len(np.unique(drawn)) == 2000
    assert np.array_equal(drawn, auto_score(score, 1)) and not np.array_equal(
        drawn, auto_score(score, 2)
    )


def test_auto_keeps_the_halves_and_redraws_the_score():
    vectors = np.random.default_rng(0).normal(size=(500, 6)).astype(np.float32)
    auto = coverage_scores(vectors, 20_000, n_neighbours="auto", seed=3, device="cpu")
    plain = coverage_scores(vectors, 20_000, n_neighbours=62, seed=3, device="cpu")
    assert np.array_equal(auto.coverage, plain.coverage) and np.array_equal(
        auto.redundancy, plain.redundancy
    )
    assert np.array_equal(auto.score, auto_score(plain.score, 3, row_keys(vectors)))
    assert auto.info["auto"] and auto.info["n_neighbours"] == 62 and auto.n_samples == 20_000


@pytest.mark.integration
def test_outliers_no_longer_fill_a_small_coreset():
    """1 % of the images lie far out: they are most of the paper's small coreset, and about 1 % of
    the automatic one."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2000, 8)).astype(np.float32)
    vectors[:20] *= 8
    paper = coverage_scores(vectors, 20_000, n_neighbours=1000, device="cpu").score
    assert (np.argsort(-paper)[:20] < 20).sum() >= 15
    taken = []
    for seed in range(5):
        auto = coverage_scores(vectors, 20_000, n_neighbours="auto", seed=seed, device="cpu").score
        taken.append((np.argsort(-auto)[:20] < 20).sum())
    assert np.mean(taken) <= 1


@pytest.mark.parametrize("n_neighbours", [0, 5])
def test_blindcs_takes_zero_as_automatic(tmp_path, n_neighbours):
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32))
    run = ce.Run(
        ce.open_source(str(tmp_path / "v.npy")),
        store=Store(tmp_path / "home"),
        device="cpu",
        n_samples=4000,
    )
    chosen = ce.select("blindcs", run, prune_rate=0.9, n_neighbours=n_neighbours)
    score = run.coverage_at(n_neighbours=n_neighbours or "auto").score
    assert set(chosen.indices.tolist()) == set(np.argsort(-score, kind="stable")[:40].tolist())
