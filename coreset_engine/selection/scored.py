"""Methods that rank by a score: BlindCS (coverage - redundancy) and ELFS (double-end pruning of difficulty)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.knobs import knob
from coreset_engine.selection.arithmetic import cut_count, loss_weights
from coreset_engine.types import Artefacts, Ranking


@dataclass(frozen=True)
class BlindcsConfig:
    """BlindCS 5.2-5.4; the paper's values are alpha = 1000, exponent = 4, m = 2."""

    n_neighbours: int = knob(1000, "redundancy neighbours alpha: how many nearest images share each penalty", low=1)
    loss_weighted: bool = knob(False, "export the score as loss weight (eq. 10) instead of 1")


@dataclass(frozen=True)
class ElfsConfig:
    """ELFS 3.4: which difficulty, and the share of the whole set dropped first as hardest."""

    score: str = knob("aum", "difficulty: aum (low = hard) or forgetting (high = hard)", choices=("aum", "forgetting"))
    beta: float = knob(0.0, "hard cut: share of the whole set dropped first as hardest", low=0.0, high=1.0, step=0.01)


def blindcs(inputs: Artefacts, k: int, config: BlindcsConfig, seed: int, *,
            given: np.ndarray | None = None) -> Ranking:
    """The k highest scores of eq. 9; ties by position."""
    score = inputs.coverage_at(n_neighbours=config.n_neighbours).score
    order = np.argsort(-score, kind="stable").astype(np.int64)
    return Ranking(order, score, weights=loss_weights(score) if config.loss_weighted else None)


def elfs(inputs: Artefacts, k: int, config: ElfsConfig, seed: int, *, given: np.ndarray | None = None) -> Ranking:
    """Hardest beta N last, then from hard to easy: the first k are the double-end window for every k."""
    dynamics = inputs.dynamics
    easiness = dynamics.aum if config.score == "aum" else -np.asarray(dynamics.forgetting)
    hard_first = np.argsort(easiness, kind="stable").astype(np.int64)
    cut = cut_count(len(hard_first), config.beta)
    order = np.concatenate([hard_first[cut:], hard_first[:cut][::-1]])
    scores = np.empty(len(order), np.float64)
    scores[order] = -np.arange(len(order), dtype=np.float64)
    return Ranking(order, scores)
