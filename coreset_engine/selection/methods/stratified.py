"""CCS: coverage-centric coreset selection by stratified sampling over difficulty (Zheng et al.
2023, algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.core.config import knob
from coreset_engine.core.types import Artefacts, Ranking
from coreset_engine.selection.budget import cut_count, settled_beta
from coreset_engine.selection.keyed_random import image_keys
from coreset_engine.selection.methods.baselines import LABELS, place_scores
from coreset_engine.selection.methods.scored import hardness


@dataclass(frozen=True)
class CcsConfig:
    """Zheng et al. 2023: 50 strata; the hard cut beta as in ELFS."""

    score: str = knob("aum", "difficulty", choices=("aum", "forgetting", "el2n"))
    beta: float | None = knob(
        None,
        "hard cut: share of the whole set dropped first as hardest; none = by the pruning "
        "rate, as ELFS' table 7 on average",
        low=0.0,
        high=1.0,
        step=0.01,
    )
    strata: int = knob(
        50, "score ranges of equal width, each given the same budget", low=1, high=1000
    )
    labels: str = knob("pseudo", "labels whose learning was watched", choices=LABELS)


def ccs(
    inputs: Artefacts,
    k: int,
    config: CcsConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """After the hard cut, the same number from each stratum; small strata give all, and their rest
    goes to others."""
    hard = hardness(inputs.dynamics_at(labels=config.labels), config.score)
    beta, why = settled_beta(config.beta, k, len(hard))
    rest = np.argsort(-hard, kind="stable")[cut_count(len(hard), beta) :]
    keys = image_keys(inputs.dataset.ids, seed)
    rest = rest[np.argsort(keys[rest], kind="stable")]
    bins = equal_width(hard[rest], config.strata)
    order = np.concatenate([rest[bins == name][:count] for name, count in shares(bins, k)])
    order = order[np.argsort(keys[order], kind="stable")].astype(np.int64)
    later = np.setdiff1d(rest, order, assume_unique=True)
    order = np.concatenate([order, later[np.argsort(keys[later], kind="stable")]])
    return Ranking(
        order, place_scores(order, len(hard)), nested=False, info={"beta": beta, "reason": why}
    )


def equal_width(score: np.ndarray, strata: int) -> np.ndarray:
    """(N,) int64 in [0, strata): ranges of equal width between the smallest and the largest
    score."""
    low = score.min()
    high = score.max()
    if high == low:
        return np.zeros(len(score), np.int64)
    return np.minimum(((score - low) / (high - low) * strata).astype(np.int64), strata - 1)


def shares(bins: np.ndarray, k: int) -> list[tuple[int, int]]:
    """(stratum, budget) pairs: smallest stratum first, each gets min(its size, what is left /
    strata left)."""
    names, sizes = np.unique(bins, return_counts=True)
    out = []
    left = k
    for turn, at in enumerate(np.argsort(sizes, kind="stable")):
        budget = min(int(sizes[at]), left // (len(names) - turn))
        out.append((int(names[at]), budget))
        left -= budget
    return out
