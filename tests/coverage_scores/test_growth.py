"""Scores that grow: same bits with any number of workers, after a kill or in one go; convergence,
stop, cancel."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest
from scipy.stats import spearmanr

from coreset_engine.core.errors import BadInput, Cancelled, Corrupt
from coreset_engine.coverage.anytime import rounds
from coreset_engine.coverage.scores import coverage_grid, coverage_scores, unit_score


@pytest.fixture(scope="module")
def vectors():
    return np.random.default_rng(0).gamma(1.5, size=(1500, 24)).astype(np.float32)


def same(a, b):
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in ("score", "coverage", "redundancy")
    )


@pytest.mark.parametrize("sampler", ["random", "sobol", "stratified"])
def test_workers_do_not_show_in_the_bits(vectors, sampler):
    runs = [
        coverage_scores(
            vectors, 7000, n_neighbours=40, seed=3, device="cpu", workers=w, sampler=sampler
        )
        for w in (1, 2, 5)
    ]
    assert same(runs[0], runs[1]) and same(runs[0], runs[2])
    assert not same(
        runs[0],
        coverage_scores(vectors, 7000, n_neighbours=40, seed=4, device="cpu", sampler=sampler),
    )


def test_longer_run_goes_on_from_a_shorter_one(vectors, tmp_path):
    path = tmp_path / "work" / "state.npz"
    short = coverage_scores(vectors, 3000, n_neighbours=40, device="cpu", resume=path)
    assert short.coverage.sum() == 3000
    ticks = []
    long = coverage_scores(
        vectors,
        9000,
        n_neighbours=40,
        device="cpu",
        resume=path,
        progress=lambda done, total, unit: ticks.append((done, total)),
    )
    assert ticks[0] == (3000, 9000) and ticks[-1] == (9000, 9000)
    assert same(long, coverage_scores(vectors, 9000, n_neighbours=40, device="cpu"))


def test_cancelled_in_the_middle_then_resumed(vectors, tmp_path):
    path = tmp_path / "state.npz"

    def stop(done, total, unit):
        if done > 9000:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        coverage_scores(vectors, 40_000, n_neighbours=40, device="cpu", resume=path, progress=stop)
    seen = []
    found = coverage_scores(
        vectors,
        40_000,
        n_neighbours=40,
        device="cpu",
        resume=path,
        progress=lambda done, total, unit: seen.append(done),
    )
    assert seen[0] >= 4096 and seen == sorted(seen)
    assert same(found, coverage_scores(vectors, 40_000, n_neighbours=40, device="cpu"))


@pytest.mark.integration
def test_killed_in_the_middle_then_resumed(vectors, tmp_path):
    path = tmp_path / "state.npz"
    total = 400_000
    np.save(tmp_path / "vectors.npy", vectors)
    code = (
        "import sys, numpy as np\nfrom coreset_engine.coverage.scores import coverage_scores\n"
        f"coverage_scores(np.load(sys.argv[1]), {total}, n_neighbours=40, device='cpu', "
        "resume=sys.argv[2])"
    )
    child = subprocess.Popen([sys.executable, "-c", code, tmp_path / "vectors.npy", path])
    try:
        while not path.exists() and child.poll() is None:
            time.sleep(0.005)
    finally:
        child.kill()
        child.wait()
    seen = []
    found = coverage_scores(
        vectors,
        total,
        n_neighbours=40,
        device="cpu",
        resume=path,
        progress=lambda done, total, unit: seen.append(done),
    )
    assert seen[0] > 0
    assert same(found, coverage_scores(vectors, total, n_neighbours=40, device="cpu"))


def test_state_of_other_settings_is_refused(vectors, tmp_path):
    path = tmp_path / "state.npz"
    coverage_scores(vectors, 5000, n_neighbours=40, device="cpu", resume=path)
    for other in (dict(n_neighbours=41), dict(seed=1), dict(exponent=3.0), dict(sampler="sobol")):
        with pytest.raises(BadInput, match="other vectors or settings"):
            coverage_scores(
                vectors, 5000, **(dict(n_neighbours=40, device="cpu", resume=path) | other)
            )
    with pytest.raises(BadInput, match="other vectors"):
        coverage_scores(vectors + 1, 5000, n_neighbours=40, device="cpu", resume=path)
    with pytest.raises(BadInput, match="already holds 5000"):
        coverage_scores(vectors, 4000, n_neighbours=40, device="cpu", resume=path)
    path.write_bytes(b"half a file")
    with pytest.raises(Corrupt, match="delete it"):
        coverage_scores(vectors, 5000, n_neighbours=40, device="cpu", resume=path)


def test_convergence_figures_rise_and_end_the_run(vectors):
    found = coverage_scores(vectors, 60_000, n_neighbours=40, device="cpu")
    curve = found.info["curve"]
    assert [point["n_samples"] for point in curve][-1] == 60_000
    assert curve[-1]["spearman"] > curve[0]["spearman"] > 0
    assert curve[-1]["jaccard"]["0.9"] > curve[0]["jaccard"]["0.9"]
    wanted = (curve[0]["jaccard"]["0.9"] + curve[-1]["jaccard"]["0.9"]) / 2
    early = coverage_scores(
        vectors, 60_000, n_neighbours=40, device="cpu", stability=wanted, prune_rate=0.9
    )
    assert early.n_samples < 60_000 and early.info["curve"][-1]["jaccard"]["0.9"] >= wanted
    assert same(early, coverage_scores(vectors, early.n_samples, n_neighbours=40, device="cpu"))


def test_the_figure_is_the_agreement_of_two_independent_halves(vectors):
    """Two runs with other seeds and half the samples agree about as well as the halves are said
    to."""
    answer = coverage_scores(vectors, 16_384, n_neighbours=40, device="cpu").info["curve"][-1][
        "spearman"
    ]
    a, b = (
        coverage_scores(vectors, 8192, n_neighbours=40, device="cpu", seed=s).score
        for s in (11, 12)
    )
    assert abs(answer - spearmanr(a, b).statistic) < 0.05


def test_grid_of_a_drawn_run_equals_single_runs(vectors):
    grid = coverage_grid(vectors, (5, 40, 300), n_samples=5000, device="cpu")
    for alpha, found in grid.items():
        assert same(found, coverage_scores(vectors, 5000, n_neighbours=alpha, device="cpu"))


def test_rounds_end_at_the_total():
    for done, total in ((0, 1), (0, 2048), (0, 1_000_000), (5000, 5001), (7, 7)):
        ends = list(rounds(done, total, 60_000))
        assert ends == sorted(set(ends)) and (not ends or (ends[0] > done and ends[-1] == total))
        assert bool(ends) == (total > done)


def test_one_half_alone_and_random_start(vectors):
    both = coverage_scores(vectors, 4000, n_neighbours=40, device="cpu")
    parts = {
        f: coverage_scores(vectors, 4000, n_neighbours=40, device="cpu", full_score=f).score
        for f in ("coverage", "redundancy")
    }
    assert np.array_equal(parts["coverage"], both.coverage) and np.array_equal(
        parts["redundancy"], -both.redundancy
    )
    started = (
        coverage_scores(vectors, 4000, n_neighbours=40, device="cpu", random_start=True).score
        - both.score
    )
    assert started.min() >= -1e-9 and started.max() <= 1 and len(np.unique(started.round(6))) > 1400
    scaled = unit_score(both.score)
    assert (
        scaled.min() == 0
        and scaled.max() == 1
        and np.array_equal(unit_score(np.zeros(3)), np.ones(3))
    )
