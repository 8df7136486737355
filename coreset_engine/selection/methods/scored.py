"""Methods that rank by one score: BlindCS (coverage - redundancy), the scores of training dynamics
kept from one end, and ELFS, which prunes difficulty at both ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.core.config import knob
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Artefacts, Dynamics, Ranking
from coreset_engine.selection.budget import cut_count, loss_weights, settled_beta
from coreset_engine.selection.keyed_random import image_keys
from coreset_engine.selection.methods.baselines import LABELS, place_scores


@dataclass(frozen=True)
class BlindcsConfig:
    """BlindCS 5.2-5.4; the paper's values are alpha = 1000, exponent = 4, m = 2."""

    n_neighbours: int = knob(
        1000,
        "redundancy neighbours alpha: how many nearest images share each penalty; "
        "0 = automatic, for small coresets",
        low=0,
    )


@dataclass(frozen=True)
class ElfsConfig:
    """ELFS 3.4: which difficulty, and the share of the whole set dropped first as hardest."""

    score: str = knob(
        "aum",
        "difficulty: aum (low = hard) or forgetting (high = hard)",
        choices=("aum", "forgetting"),
    )
    beta: float | None = knob(
        None,
        "hard cut: share of the whole set dropped first as hardest; none = by the pruning "
        "rate, as ELFS' table 7 on average",
        low=0.0,
        high=1.0,
        step=0.01,
    )
    labels: str = knob("pseudo", "labels whose learning was watched", choices=LABELS)


@dataclass(frozen=True)
class ScoreConfig:
    """One score of the training dynamics, kept from one end."""

    labels: str = knob("pseudo", "labels whose learning was watched", choices=LABELS)
    keep: str = knob("hard", "which end is kept", choices=("hard", "easy"))


def blindcs(
    inputs: Artefacts,
    k: int,
    config: BlindcsConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """The k highest scores of eq. 9; ties by position. Weights: eq. 10 (automatic: all 1, its order
    is drawn)."""
    alpha = config.n_neighbours or "auto"
    score = np.asarray(inputs.coverage_at(n_neighbours=alpha).score, np.float64)
    return Ranking(
        _best_first(score), score, weights=loss_weights(score) if config.n_neighbours else None
    )


def elfs(
    inputs: Artefacts,
    k: int,
    config: ElfsConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Hardest beta N last, then from hard to easy: the first k are the double-end window (for every
    k, given beta)."""
    hard = hardness(inputs.dynamics_at(labels=config.labels), config.score)
    hard_first = (
        _best_first(hard)
        if config.score == "aum"
        else _ties_at_random(hard, inputs.dataset.ids, seed)
    )
    beta, why = settled_beta(config.beta, k, len(hard_first))
    cut = cut_count(len(hard_first), beta)
    order = np.concatenate([hard_first[cut:], hard_first[:cut][::-1]])
    # With beta settled by k the order serves this k only; asked for all images it is the order of
    # beta = 0.
    nested = config.beta is not None or k == len(order)
    return Ranking(
        order, place_scores(order, len(order)), nested, info={"beta": beta, "reason": why}
    )


def hardness(dynamics: Dynamics, name: str) -> np.ndarray:
    """(N,) float64, high = hard, finite: -AUM, or the score itself; never learned = one above the
    largest count."""
    values = np.asarray(getattr(dynamics, name), np.float64)
    if np.isnan(values).any():
        raise BadInput(
            f"{name} of {int(np.isnan(values).sum())} images is NaN; compute the training dynamics again."
        )
    if name == "aum":
        return -values
    finite = values[np.isfinite(values)]
    return np.where(np.isposinf(values), (finite.max() if len(finite) else 0.0) + 1.0, values)


def _best_first(score: np.ndarray) -> np.ndarray:
    return np.argsort(-score, kind="stable").astype(np.int64)


def _ties_at_random(score: np.ndarray, ids: np.ndarray, seed: int) -> np.ndarray:
    # Most images share a count of 0; by position whole folders would go first.
    return np.lexsort((image_keys(ids, seed), -score)).astype(np.int64)


def _one_end(inputs: Artefacts, config: ScoreConfig, seed: int, name: str) -> Ranking:
    score = hardness(inputs.dynamics_at(labels=config.labels), name)
    score = score if config.keep == "hard" else -score
    return Ranking(_ties_at_random(score, inputs.dataset.ids, seed), score)


def aum(
    inputs: Artefacts,
    k: int,
    config: ScoreConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Smallest area under the margin first (Pleiss 2020; used so by Zheng 2023 and BlindCS' table
    3)."""
    return _one_end(inputs, config, seed, "aum")


def forgetting(
    inputs: Artefacts,
    k: int,
    config: ScoreConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Most forgetting events first; never learned before all (Toneva 2019)."""
    return _one_end(inputs, config, seed, "forgetting")


def el2n(
    inputs: Artefacts,
    k: int,
    config: ScoreConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Largest early error norm first (Paul 2021, definition 2.4)."""
    return _one_end(inputs, config, seed, "el2n")


def grand(
    inputs: Artefacts,
    k: int,
    config: ScoreConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Largest early (last-layer) gradient norm first (Paul 2021, definition 2.1)."""
    return _one_end(inputs, config, seed, "grand")


def entropy(
    inputs: Artefacts,
    k: int,
    config: ScoreConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Largest entropy of the trained network's prediction first (Coleman 2020)."""
    return _one_end(inputs, config, seed, "entropy")


def dyn_unc(
    inputs: Artefacts,
    k: int,
    config: ScoreConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Largest mean spread of the label's probability over windows of epochs first (He 2024)."""
    return _one_end(inputs, config, seed, "dyn_unc")


def tdds(
    inputs: Artefacts,
    k: int,
    config: ScoreConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Largest weighted variation of the temporal dual-depth score first (Zhang 2024)."""
    return _one_end(inputs, config, seed, "tdds")
