"""The default number of samples: until two seeds agree, at most a stated number; and what is
said."""

from __future__ import annotations

import numpy as np
import pytest

from coreset_engine.core.config import make
from coreset_engine.core.errors import BadInput, Cancelled
from coreset_engine.core.types import CoverageScores
from coreset_engine.coverage.anytime import StopRule, seed_agreement
from coreset_engine.coverage.config import CoverageConfig
from coreset_engine.coverage.scores import coverage_grid, coverage_scores

PARTS = ("score", "coverage", "redundancy")


@pytest.fixture(scope="module")
def vectors():
    """Few dimensions, heavy tails: scores that settle quickly."""
    return np.random.default_rng(0).gamma(0.7, size=(300, 4)).astype(np.float32)


def jaccard(a, b, rate):
    k = round((1 - rate) * len(a))
    first, second = (set(np.argsort(-s, kind="stable")[:k].tolist()) for s in (a, b))
    return len(first & second) / len(first | second)


def test_the_rule_by_hand():
    """Of 100 kept, halves that differ in 10 share o = 0.9, J = 90 / 110; a full run has noise
    smaller by sqrt(2), so differs in 7.07: J = 92.93 / 107.07."""
    assert seed_agreement(90 / 110) == pytest.approx(92.93 / 107.07, abs=1e-4)
    assert seed_agreement(1.0) == 1.0 and seed_agreement(0.3) == 0.3
    assert seed_agreement(0.8612) == pytest.approx(0.9, abs=1e-3)
    rule = StopRule(0.9, 0.5)
    figure = dict(jaccard={"0.5": 0.87}, agreement={"0.5": 0.91})
    assert rule.holds(figure) and not StopRule(0.9, 0.5, seeds=False).holds(figure)
    assert not rule.holds({})
    # One stop serves every rate up to the one asked for: 0.3 must agree too, 0.9 need not.
    below = dict(jaccard={}, agreement={"0.3": 0.89, "0.5": 0.95, "0.9": 0.2})
    assert not rule.holds(below) and rule.holds(below | {"agreement": {"0.3": 0.9, "0.5": 0.9}})
    assert StopRule(0.9, 0.5).holds(dict(agreement={"0.5": 0.95, "0.9": 0.2}))


@pytest.mark.integration
def test_two_seeds_agree_as_well_as_is_said(vectors):
    """The run stops before its most samples, and a second seed keeps the same images."""
    common = dict(n_neighbours=20, agreement_at=0.7, agreement=0.9, max_samples=2_000_000)
    one, two = (coverage_scores(vectors, None, seed=s, device="cpu", **common) for s in (1, 2))
    assert one.info["stopped"] == "agreement" and one.n_samples == one.info["n_samples"]
    assert one.n_samples < 2_000_000 == common["max_samples"]
    assert all(one.info["agreement"][rate] >= 0.9 for rate in ("0.3", "0.5", "0.7"))
    assert jaccard(one.score, two.score, 0.7) > 0.82  # 90 kept: one image is 0.02
    assert one.info["curve"][-1]["n_samples"] == one.n_samples


def test_most_samples_end_the_run_and_it_says_so(vectors):
    found = coverage_scores(vectors, "auto", n_neighbours=20, device="cpu", max_samples=4096)
    assert found.n_samples == 4096 and found.info["stopped"] == "max_samples"
    assert found.info["agreement"]["0.9"] < 0.9
    explicit = coverage_scores(vectors, 4096, n_neighbours=20, device="cpu")
    assert np.array_equal(found.score, explicit.score) and explicit.info["stopped"] == "n_samples"
    settings = CoverageConfig()
    assert [settings.most_samples(n) for n in (5, 300, 10**7)] == [20_000, 300_000, 1_000_000]


def test_every_alpha_of_a_grid_stops_where_it_would_alone(vectors, tmp_path):
    common = dict(n_samples=None, agreement_at=0.7, agreement=0.6, device="cpu")
    grid = coverage_grid(vectors, (3, 100), resume=tmp_path / "sums.npz", **common)
    for alpha, found in grid.items():
        alone = coverage_scores(vectors, n_neighbours=alpha, **common)
        assert found.n_samples == alone.n_samples
        assert all(np.array_equal(getattr(found, p), getattr(alone, p)) for p in PARTS)
        assert found.info == alone.info
    again = coverage_grid(vectors, (3, 100), resume=tmp_path / "sums.npz", **common)
    assert all(np.array_equal(again[a].score, grid[a].score) for a in grid)
    assert [again[a].n_samples for a in grid] == [grid[a].n_samples for a in grid]


@pytest.mark.integration
def test_a_cancelled_run_stops_where_it_would_have(vectors, tmp_path):
    common = dict(n_neighbours=20, agreement_at=0.7, agreement=0.8, device="cpu")

    def stop(done, total, unit):
        if done > 5000:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        coverage_scores(vectors, None, resume=tmp_path / "s.npz", progress=stop, **common)
    found = coverage_scores(vectors, None, resume=tmp_path / "s.npz", **common)
    full = coverage_scores(vectors, None, **common)
    assert found.n_samples == full.n_samples and np.array_equal(found.score, full.score)


def test_settings_come_from_the_shell_as_text():
    config = make(CoverageConfig, dict(n_samples="50000", exponent="2", agreement="0.95"))
    assert (config.n_samples, config.exponent, config.agreement) == (50_000, 2.0, 0.95)
    assert make(CoverageConfig, {}).n_samples is None
    with pytest.raises(BadInput, match="n_samples=17000000"):
        make(CoverageConfig, dict(n_samples=17_000_000))


def test_what_is_said_of_a_score():
    zeros = np.zeros(3)
    info = dict(n_neighbours=1000, agreement={"0.5": 0.9, "0.9": 0.43})
    scores = CoverageScores(zeros, zeros, zeros, 1_000_000, info)
    assert scores.describe(0.92) == (
        "T = 1,000,000 samples, alpha = 1000, at least 0.43 Jaccard between two seeds at 90% "
        "pruned: another seed keeps other images"
    )
    assert scores.describe(0.4).endswith("about 0.90 Jaccard between two seeds at 50% pruned")
    assert "not measured" in CoverageScores(zeros, zeros, zeros, 5).describe(0.5)
    drawn = CoverageScores(zeros, zeros, zeros, 5, info | dict(auto=True))
    assert "every seed draws another order" in drawn.describe(0.5)
