"""CCS: stratified sampling over difficulty (Zheng et al. 2023, algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.core.config import knob
from coreset_engine.core.types import Artefacts, Ranking
from coreset_engine.selection.budget import cut_count, settled_beta
from coreset_engine.selection.kernels.interleave import SHARES, interleave
from coreset_engine.selection.keyed_random import best_first, image_keys
from coreset_engine.selection.methods.baselines import LABELS, labels_of, rank_scores
from coreset_engine.selection.methods.scored import (
    NEVER_LEARNED,
    NEVER_LEARNED_HELP,
    PER_CLASS_HELP,
    equal_width,
    hardness,
)


@dataclass(frozen=True)
class CcsConfig:
    """Zheng et al. 2023: 50 strata; the hard cut beta as in ELFS."""

    score: str = knob("aum", "difficulty", choices=("aum", "forgetting", "el2n"))
    beta: float | None = knob(
        None,
        "hard cut: share of the whole set dropped first as hardest; none = by the pruning "
        "rate, as ELFS' table 7 on average; auto = by the forecast",
        low=0.0,
        high=1.0,
        step=0.01,
        words=("auto",),
    )
    cut_by: str = knob(
        "score",
        "score of the hard cut: the chosen score (paper, algorithm 1), or AUM whatever the "
        "score (released program)",
        choices=("score", "aum"),
    )
    strata: int = knob(
        50, "score ranges of equal width, each given the same budget", low=1, high=1000
    )
    labels: str = knob("pseudo", "labels of the training dynamics", choices=LABELS)
    per_class: str = knob("none", PER_CLASS_HELP, choices=SHARES)
    never_learned: str = knob("hardest", NEVER_LEARNED_HELP, choices=NEVER_LEARNED)


def ccs(
    inputs: Artefacts,
    k: int,
    config: CcsConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Drop the hardest beta N, then sample the same number from every range of the score.

    Strata smaller than their budget give all, and the rest goes to the others. With `per_class`
    each class gets a budget, and its own ranges.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; pseudo-labels, dynamics are read.
    config : CcsConfig
        Score, beta in [0, 1] (None = by the pruning rate), strata, budgets of the classes.

    Returns
    -------
    Ranking
        For this k alone; info: beta in [0, 1].

    References
    ----------
    Zheng et al. 2023, algorithm 1; the released program always cuts by AUM (cut_by="aum").
    """
    dynamics = inputs.dynamics_at(labels=config.labels)
    ids = inputs.dataset.ids
    hard = hardness(dynamics, config.score, config.never_learned)
    n = len(hard)
    beta, reason = settled_beta(config.beta, k, n)
    cut_score = hardness(dynamics, "aum") if config.cut_by == "aum" else hard
    rest = best_first(cut_score, ids, seed)[cut_count(n, beta) :]
    keys = image_keys(ids, seed)
    rest = rest[np.argsort(keys[rest], kind="stable")]
    chosen = np.concatenate(
        [
            _stratified(part, hard[part], config.strata, count)
            for part, count in _class_budgets(inputs, config, rest, k)
        ]
    )
    chosen = chosen[np.argsort(keys[chosen], kind="stable")]
    later = rest[~np.isin(rest, chosen)]
    order = np.concatenate([chosen, later]).astype(np.int64)
    info = {"beta": beta, "reason": reason}
    return Ranking(order, rank_scores(order, n), nested=False, info=info)


def _stratified(part: np.ndarray, hard: np.ndarray, strata: int, count: int) -> np.ndarray:
    """(count,) of `part`, the same number from every range of `hard` (M,), each from its start."""
    bins = equal_width(hard, strata)
    return np.concatenate([part[bins == name][:share] for name, share in shares(bins, count)])


def _class_budgets(
    inputs: Artefacts, config: CcsConfig, rest: np.ndarray, k: int
) -> list[tuple[np.ndarray, int]]:
    """(images, budget) of each class, or of all `rest` at once; budgets sum to k."""
    if config.per_class == "none":
        return [(rest, k)]
    classes = labels_of(inputs, config.labels)[rest]
    kept = interleave(np.arange(len(rest)), classes, config.per_class)[:k]
    names, counts = np.unique(classes[kept], return_counts=True)
    return [(rest[classes == name], int(count)) for name, count in zip(names, counts, strict=True)]


def shares(bins: np.ndarray, k: int) -> list[tuple[int, int]]:
    """(stratum, budget) pairs that sum to k <= len(bins).

    Smallest stratum first, each gets min(its size, what is left / strata left).
    """
    names, sizes = np.unique(bins, return_counts=True)
    out = []
    left = k
    for turn, at in enumerate(np.argsort(sizes, kind="stable")):
        budget = min(int(sizes[at]), left // (len(names) - turn))
        out.append((int(names[at]), budget))
        left -= budget
    return out
