"""The arithmetic of pruning, in one place.

How many images are kept, how many the hard cut drops, which window of ranks that leaves around
pinned images, and loss weights.

Everything that needs such a number takes it from here: methods, counts, exports and pages. The
map's JavaScript copy (ui/map/scatter-budget.js) is compared with this module by a property test.

Counts are exact: a rate is read as the decimal that was written (0.9 is nine tenths, not the
nearest binary fraction), so that every coreset size of BlindCS' table 2 comes out as printed.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.core.rates import checked_rate, decimal, half_up
from coreset_engine.core.rates import kept_count as kept_count

DEFAULT_RATE = 0.9
# Mean over datasets of ELFS' table 7 at each pruning rate: the beta used where none was searched.
TABLE_7 = ((0.0, 0.3, 0.5, 0.7, 0.8, 0.9), (0.0, 0.089, 0.167, 0.267, 0.344, 0.522))


@dataclass(frozen=True)
class Budget:
    """How much of a set is kept, as a pruning rate or as a number of images; exactly one is set.

    Parameters
    ----------
    prune_rate : float or None
        Share removed, in [0, 1). Strings and NumPy scalars are converted.
    count : int or None
        Images kept, at least 1.

    Raises
    ------
    BadInput
        For a value out of range, or unless exactly one of the two is given.
    """

    prune_rate: float | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        if (self.prune_rate is None) == (self.count is None):
            raise BadInput(
                f"prune_rate={self.prune_rate} and count={self.count}: give one of them, "
                "the share removed or the number of images to keep."
            )
        if self.count is not None:
            object.__setattr__(self, "count", _positive_int(self.count, "count"))
        else:
            checked_rate(self.prune_rate)
            object.__setattr__(self, "prune_rate", float(str(self.prune_rate)))

    def kept(self, n: int) -> int:
        """Number of images kept of n. Raises BadInput when `count` exceeds n."""
        if self.count is None:
            return kept_count(n, self.prune_rate)
        if self.count > n:
            raise BadInput(
                f"count={self.count} is more than the {n} images to choose from; "
                f"use a count of at most {n}."
            )
        return self.count

    def rate(self, n: int) -> float:
        """Share of n images that is removed: the pruning rate requested, or the one in effect."""
        return 1 - self.kept(n) / n if self.prune_rate is None else self.prune_rate

    @property
    def keep_more(self) -> str:
        """What to change so that more images are kept, for error messages."""
        return "lower the prune_rate" if self.count is None else "raise the count"

    @property
    def keep_fewer(self) -> str:
        """What to change so that fewer images are kept, for error messages."""
        return "raise the prune_rate" if self.count is None else "lower the count"


def cut_count(n: int, beta: Any) -> int:
    """Number of images the hard cut drops: beta n rounded half up.

    Raises
    ------
    BadInput
        Unless 0 <= beta <= 1.
    """
    share = decimal(beta, "beta")
    if not 0 <= share <= 1:
        raise BadInput(
            f"beta={beta} must lie in [0, 1]: the share of the whole set dropped first as hardest."
        )
    return half_up(share * n)


def largest_beta(n: int, kept: int) -> float:
    """Largest beta, in thousandths, whose hard cut leaves `kept` of n images."""
    return min(1000, (1000 * (2 * (n - kept) + 1) - 1) // (2 * n)) / 1000


def largest_rate(n: int, kept: int) -> float:
    """Largest pruning rate, in thousandths below 1, that keeps at least `kept` of n images."""
    if kept <= 1:
        return 0.999
    return min(999, 1000 * (2 * (n - kept) + 1) // (2 * n)) / 1000


def cut_beside(n: int, kept: int, beta: Any) -> int:
    """`cut_count`, checked to leave `kept` images. Raises BadInput when beta n + k > n."""
    cut = cut_count(n, beta)
    if cut + kept > n:
        raise BadInput(
            f"beta={beta} drops {cut} of {n} images, which leaves fewer than the {kept} to keep; "
            f"use beta <= {largest_beta(n, kept):g}, or keep fewer images."
        )
    return cut


def guessed_beta(removed: float) -> float:
    """Beta used at the share `removed` where none was searched.

    Linear in `TABLE_7`, in thousandths. Same operations, in the same order, as `guessedBeta` in
    scatter-budget.js.
    """
    rates, betas = TABLE_7
    if removed >= rates[-1]:
        return betas[-1]
    b = next(i for i in range(1, len(rates)) if removed <= rates[i])
    rise = (betas[b] - betas[b - 1]) * (removed - rates[b - 1]) / (rates[b] - rates[b - 1])
    return math.floor(1000 * (betas[b - 1] + rise) + 0.5) / 1000


def settled_beta(beta: float | None, kept: int, n: int) -> tuple[float, str]:
    """The beta in effect and a sentence on where it comes from.

    Parameters
    ----------
    beta : float or None
        As requested; None takes the mean of ELFS' table 7 at k of n, lowered to what fits.
    kept, n : int
        k images kept of n.

    Raises
    ------
    BadInput
        When the beta requested leaves fewer than k images.
    """
    if beta is not None:
        cut_beside(n, kept, beta)
        return beta, f"beta = {beta:g} as requested"
    guess = min(guessed_beta(1 - kept / n), largest_beta(n, kept))
    source = (
        "mean of ELFS' table 7 at this pruning rate; a beta search finds the value for a dataset"
    )
    return guess, f"beta = {guess:g}, {source}"


def window(n: int, prune_rate: Any, beta: Any = 0.0) -> tuple[int, int]:
    """(lo, hi): an image is kept when lo <= rank < hi, rank 0 = hardest (ELFS 3.4).

    Raises
    ------
    BadInput
        When beta n + k > n, or a rate is out of range.
    """
    kept = kept_count(n, prune_rate)
    cut = cut_beside(n, kept, beta)
    return cut, cut + kept


def pinned_window(
    n: int, kept: int, cut: int, must_keep: int, pin_ranks: Sequence[int] | np.ndarray
) -> tuple[int, int]:
    """(lo, hi) among the ranks of the free images, those that are neither must-keep nor never.

    The hard cut counts pinned images too; what it leaves is filled from its end towards the easy
    side, and past that side with the easiest of the images cut.

    Parameters
    ----------
    n, kept, cut : int
        Images in all, to keep, and dropped first.
    must_keep : int
        How many images are pinned to stay; they count towards `kept`.
    pin_ranks : (P,) int, ascending
        Ranks among all images of every pinned image, must-keep and never.
    """
    free = n - len(pin_ranks)
    window_size = min(max(kept - must_keep, 0), free)
    low = min(cut - int(np.searchsorted(pin_ranks, cut)), free - window_size)
    return low, low + window_size


def rank_of_free(pin_ranks: Sequence[int] | np.ndarray, free_rank: int) -> int:
    """Rank among all images of the free image with rank `free_rank` among the free ones.

    pin_ranks: (P,) int, ascending, as for `pinned_window`.
    """
    pins = np.asarray(pin_ranks, np.int64)
    return free_rank + int(np.searchsorted(pins - np.arange(len(pins)), free_rank, side="right"))


def hardness_order(aum: np.ndarray) -> np.ndarray:
    """(N,) int64 positions, hardest (lowest AUM) first; ties by position."""
    return np.argsort(np.asarray(aum), kind="stable").astype(np.int64)


def double_end(aum: np.ndarray, prune_rate: float, beta: float) -> np.ndarray:
    """ELFS' double-end pruning (3.4): drop the hardest beta N, keep the next k, drop the easy rest.

    Parameters
    ----------
    aum : (N,) float
        High = easy; for scores where high = hard pass the negative.
    prune_rate : float
        Share removed, in [0, 1).
    beta : float
        Share of the whole set dropped first as hardest, in [0, 1].

    Returns
    -------
    (k,) int64
        Positions, hardest first; ties by position.

    Raises
    ------
    BadInput
        When the two cuts overlap or a score is NaN.
    """
    aum = np.asarray(aum)
    if aum.ndim != 1 or np.isnan(aum).any():
        raise BadInput(f"aum must be one number per image without NaN, got shape {aum.shape}.")
    low, high = window(len(aum), prune_rate, beta)
    return hardness_order(aum)[low:high]


def loss_weights(score: np.ndarray) -> np.ndarray:
    """Loss weights of BlindCS, eq. 10, read as min-max scaling.

    As printed, (s + min s) / (max s - min s) leaves [0, 1]; the paper says w in [0, 1], so the sign
    is taken as a minus.

    Parameters
    ----------
    score : (N,) float
        Finite.

    Returns
    -------
    (N,) float64 in [0, 1]
        All 1 for a constant score.

    References
    ----------
    BlindCS, eq. 10.
    """
    score = np.asarray(score, np.float64)
    low = score.min()
    high = score.max()
    return np.ones_like(score) if high == low else (score - low) / (high - low)


def _positive_int(value: Any, name: str) -> int:
    try:
        converted = int(value) if isinstance(value, str) else operator.index(value)
    except (TypeError, ValueError):
        converted = int(value) if isinstance(value, float) and value.is_integer() else 0
    if converted < 1:
        raise BadInput(f"{name}={value!r} must be a whole number of at least 1, for example 100.")
    return converted
