"""Methods that rank by one score.

BlindCS (coverage - redundancy), the scores of training dynamics kept from one end, and ELFS, which
prunes difficulty at both ends.

Equal scores are ordered by the images' keys (`keyed_random`), never by their rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.core.config import knob
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Artefacts, Dynamics, Ranking
from coreset_engine.selection.budget import cut_count, loss_weights, settled_beta
from coreset_engine.selection.kernels.interleave import SHARES, interleave
from coreset_engine.selection.keyed_random import best_first, image_keys
from coreset_engine.selection.methods.baselines import LABELS, labels_of, rank_scores

NEVER_LEARNED = ("hardest", "zero")
NEVER_LEARNED_HELP = (
    "forgetting score of images never learned: hardest (Toneva 2019), or zero events (CCS' and "
    "ELFS' programs)"
)
PER_CLASS_HELP = (
    "share of the classes of `labels` in what is kept: none = by score alone, equal = the same "
    "number of each, proportional = by class size"
)


@dataclass(frozen=True)
class BlindcsConfig:
    """BlindCS 5.2-5.4; the paper's values are alpha = 1000, exponent = 4, m = 2."""

    n_neighbours: int = knob(
        1000,
        "redundancy neighbours alpha: how many nearest images share each penalty; "
        "0 = automatic, for small coresets; auto = by the forecast",
        low=0,
        words=("auto",),
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
        "rate, as ELFS' table 7 on average; auto = by the forecast",
        low=0.0,
        high=1.0,
        step=0.01,
        words=("auto",),
    )
    labels: str = knob("pseudo", "labels of the training dynamics", choices=LABELS)
    never_learned: str = knob("hardest", NEVER_LEARNED_HELP, choices=NEVER_LEARNED)


@dataclass(frozen=True)
class ScoreConfig:
    """One score of the training dynamics, kept from one end."""

    labels: str = knob("pseudo", "labels of the training dynamics", choices=LABELS)
    keep: str = knob("hard", "which end to keep", choices=("hard", "easy"))
    per_class: str = knob("none", PER_CLASS_HELP, choices=SHARES)
    strata: int = knob(
        0,
        "ranges of the score, of equal width, that take turns, images of a range at random (CCS' "
        "stratified sampling without its hard cut); 0 = by score alone",
        low=0,
        high=1000,
    )


@dataclass(frozen=True)
class ForgettingConfig(ScoreConfig):
    """Toneva et al. 2019."""

    never_learned: str = knob("hardest", NEVER_LEARNED_HELP, choices=NEVER_LEARNED)


def blindcs(
    inputs: Artefacts,
    k: int,
    config: BlindcsConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Rank by the score of eq. 9, highest first.

    Loss weights are those of eq. 10; with automatic alpha they are all 1, since its order is drawn.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; vectors, coverage are read.
    config : BlindcsConfig
        alpha >= 0, the redundancy neighbours; 0 = automatic.

    Returns
    -------
    Ranking
        Scores: eq. 9, sums over the samples; weights in [0, 1] (eq. 10), or None with automatic
        alpha.

    References
    ----------
    BlindCS (also published as ZCore), eq. 6, 8, 9 and 10.
    """
    alpha = config.n_neighbours or "auto"
    coverage = inputs.coverage_at(n_neighbours=alpha)
    score = np.asarray(coverage.score, np.float64)
    order = best_first(score, inputs.dataset.ids, seed)
    rate = 1 - k / len(score)
    info = {
        "reason": f"coverage - redundancy; {coverage.describe(rate)}",
        "n_samples": coverage.n_samples,
        "n_neighbours": coverage.info.get("n_neighbours") or config.n_neighbours,
        "auto_neighbours": not config.n_neighbours,
        "seed_agreement": dict(coverage.info.get("agreement") or {}),
    }
    weights = loss_weights(score) if config.n_neighbours else None
    return Ranking(order, score, weights=weights, info=info)


def elfs(
    inputs: Artefacts,
    k: int,
    config: ElfsConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Double-end pruning: the hardest beta N last, then from hard to easy.

    The first k of the order are the double-end window, for every k, given beta.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; pseudo-labels, dynamics are read.
    config : ElfsConfig
        Score, hard cut beta in [0, 1] (None = by the pruning rate), labels of the dynamics.

    Returns
    -------
    Ranking
        Hard to easy, nested for a given beta; info: beta in [0, 1].

    References
    ----------
    ELFS, section 3.4 and table 7. The released program selects by AUM whatever score is requested.
    """
    dynamics = inputs.dynamics_at(labels=config.labels)
    hard = hardness(dynamics, config.score, config.never_learned)
    hard_first = best_first(hard, inputs.dataset.ids, seed)
    n = len(hard_first)
    beta, reason = settled_beta(config.beta, k, n)
    cut = cut_count(n, beta)
    order = np.concatenate([hard_first[cut:], hard_first[:cut][::-1]])
    # A beta settled by k serves this k only; for all images, the order is that of beta = 0.
    nested = config.beta is not None or k == n
    return Ranking(order, rank_scores(order, n), nested, info={"beta": beta, "reason": reason})


def hardness(dynamics: Dynamics, name: str, never_learned: str = "hardest") -> np.ndarray:
    """A score of the training dynamics with high = hard.

    Parameters
    ----------
    dynamics : Dynamics
    name : str
        Field of Dynamics; AUM is negated.
    never_learned : "hardest" or "zero"
        What +inf becomes (the forgetting score of an image that was never right): one above the
        largest count, or 0, the number of its forgetting events.

    Returns
    -------
    (N,) float64, finite.

    Raises
    ------
    BadInput
        A score that is NaN.
    """
    values = np.asarray(getattr(dynamics, name), np.float64)
    if dynamics.info.get("source") == "predictions" and np.isnan(values).any():
        raise BadInput(
            f"{name} needs training over several epochs, and predictions are a single snapshot; "
            "choose a method on aum, el2n or entropy, or leave --predictions out."
        )
    if np.isnan(values).any():
        raise BadInput(
            f"{name} of {int(np.isnan(values).sum())} images is NaN; compute the training dynamics "
            "again."
        )
    if name == "aum":
        return -values
    finite = values[np.isfinite(values)]
    most = finite.max() + 1.0 if len(finite) else 1.0
    return np.where(np.isposinf(values), most if never_learned == "hardest" else 0.0, values)


def _one_end(
    inputs: Artefacts, config: ScoreConfig, seed: int, name: str, never_learned: str = "hardest"
) -> Ranking:
    score = hardness(inputs.dynamics_at(labels=config.labels), name, never_learned)
    score = score if config.keep == "hard" else -score
    order = best_first(score, inputs.dataset.ids, seed)
    if config.strata == 0 and config.per_class == "none":
        return Ranking(order, score)
    order, how = _shared_out(inputs, config, seed, score, order)
    return Ranking(order, rank_scores(order, len(order)), info={"reason": how})


def _shared_out(
    inputs: Artefacts, config: ScoreConfig, seed: int, score: np.ndarray, order: np.ndarray
) -> tuple[np.ndarray, str]:
    """(N,) int64: the order by score, redistributed over score ranges and classes; and how.

    Nested: any start of it holds as many of each range, or class, as its turn has come, all of
    those used up.
    """
    classes = np.zeros(len(score), np.int64)
    words = []
    if config.per_class != "none":
        classes = np.unique(labels_of(inputs, config.labels), return_inverse=True)[1]
        words.append(f"{config.per_class} shares of the classes")
    if config.strata:
        keys = image_keys(inputs.dataset.ids, seed)
        ranges = equal_width(score, config.strata)
        order = interleave(np.argsort(keys, kind="stable"), classes * config.strata + ranges)
        words.append(f"{config.strata} ranges of the score, interleaved")
    return interleave(order, classes, config.per_class), " and ".join(words)


def equal_width(score: np.ndarray, strata: int) -> np.ndarray:
    """(N,) int64 in [0, strata): ranges of equal width between the lowest and highest score."""
    low = score.min()
    high = score.max()
    if high == low:
        return np.zeros(len(score), np.int64)
    stratum: np.ndarray = ((score - low) / (high - low) * strata).astype(np.int64)
    return np.asarray(np.minimum(stratum, strata - 1))


def aum(
    inputs: Artefacts,
    k: int,
    config: ScoreConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Smallest area under the margin first.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; pseudo-labels, dynamics are read.
    config : ScoreConfig
        Labels of the dynamics, the end that is kept, budgets of classes and of score ranges.

    References
    ----------
    Pleiss et al. 2020, eq. 1-2; used to select by Zheng et al. 2023 and BlindCS' table 3.
    """
    return _one_end(inputs, config, seed, "aum")


def forgetting(
    inputs: Artefacts,
    k: int,
    config: ForgettingConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Most forgetting events first; images never learned before all others, or as 0 events.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; pseudo-labels, dynamics are read.
    config : ForgettingConfig
        As `ScoreConfig`, and what an image that was never learned counts as.

    References
    ----------
    Toneva et al. 2019, section 2. CCS' and ELFS' programs count events alone
    (never_learned="zero").
    """
    return _one_end(inputs, config, seed, "forgetting", config.never_learned)


def el2n(
    inputs: Artefacts,
    k: int,
    config: ScoreConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Largest early error norm first.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; pseudo-labels, dynamics are read.
    config : ScoreConfig
        As for `aum`.

    References
    ----------
    Paul et al. 2021, definition 2.4.
    """
    return _one_end(inputs, config, seed, "el2n")


def grand(
    inputs: Artefacts,
    k: int,
    config: ScoreConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Largest early gradient norm (last layer) first.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; pseudo-labels, dynamics are read.
    config : ScoreConfig
        As for `aum`.

    References
    ----------
    Paul et al. 2021, definition 2.1.
    """
    return _one_end(inputs, config, seed, "grand")


def entropy(
    inputs: Artefacts,
    k: int,
    config: ScoreConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Largest entropy of the trained network's prediction first.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; pseudo-labels, dynamics are read.
    config : ScoreConfig
        As for `aum`.

    References
    ----------
    Coleman et al. 2020.
    """
    return _one_end(inputs, config, seed, "entropy")


def dyn_unc(
    inputs: Artefacts,
    k: int,
    config: ScoreConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Largest mean deviation of the label's probability over windows of epochs first.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; pseudo-labels, dynamics are read.
    config : ScoreConfig
        As for `aum`.

    References
    ----------
    He et al. 2024 (Dyn-Unc), eq. 1-2.
    """
    return _one_end(inputs, config, seed, "dyn_unc")


def tdds(
    inputs: Artefacts,
    k: int,
    config: ScoreConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Largest variation of the prediction's changes over the first T epochs first.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; pseudo-labels, dynamics are read.
    config : ScoreConfig
        As for `aum`.

    References
    ----------
    Zhang et al. 2024 (TDDS), eq. 8-11.
    """
    return _one_end(inputs, config, seed, "tdds")
