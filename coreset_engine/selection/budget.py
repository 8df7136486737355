"""The arithmetic of pruning: how many are kept, which window of the difficulty order, and loss
weights.

Counts are exact: a rate is read as the decimal that was written (0.9 is nine tenths, not the
nearest binary fraction), so that every coreset size of BlindCS' table 2 comes out as printed.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from coreset_engine.core.errors import BadInput


def kept_count(n: int, prune_rate: float) -> int:
    """How many of n images stay: (1 - p) n rounded half up, at least 1. Raises BadInput unless 0 <=
    p < 1."""
    rate = _rate(prune_rate, "prune_rate")
    if not 0 <= rate < 1:
        raise BadInput(
            f"prune_rate={prune_rate} must lie in [0, 1): 0 keeps everything, 0.9 keeps a tenth."
        )
    return max(1, _half_up((1 - rate) * n))


def cut_count(n: int, beta: float) -> int:
    """How many of n images the hard cut drops: beta n rounded half up. Raises BadInput unless 0 <=
    beta <= 1."""
    share = _rate(beta, "beta")
    if not 0 <= share <= 1:
        raise BadInput(
            f"beta={beta} must lie in [0, 1]: the share of the whole set dropped first as hardest."
        )
    return _half_up(share * n)


def window(n: int, prune_rate: float, beta: float = 0.0) -> tuple[int, int]:
    """(lo, hi): an image is kept when lo <= rank < hi, rank 0 = hardest (ELFS 3.4). Refuses beta n
    + k > n."""
    kept = kept_count(n, prune_rate)
    cut = cut_count(n, beta)
    if cut + kept > n:
        most = math.floor(100 * (n - kept) / n) / 100
        raise BadInput(
            f"beta={beta} drops {cut} of {n} images, which leaves fewer than the {kept} to keep at "
            f"prune_rate={prune_rate}; use beta <= {most:g} or a larger prune_rate."
        )
    return cut, cut + kept


def hardness_order(aum: np.ndarray) -> np.ndarray:
    """(N,) int64 positions, hardest (lowest AUM) first; ties by position."""
    return np.argsort(np.asarray(aum), kind="stable").astype(np.int64)


def double_end(aum: np.ndarray, prune_rate: float, beta: float) -> np.ndarray:
    """ELFS' double-end pruning (3.4): drop the hardest beta N, keep the next k, drop the easy rest.

    aum: (N,) float, high = easy (for scores where high = hard pass the negative). Returns (k,)
    int64 positions, hardest first. Ties by position. Raises BadInput when the two cuts overlap or a
    score is NaN.
    """
    aum = np.asarray(aum)
    if aum.ndim != 1 or np.isnan(aum).any():
        raise BadInput(f"aum must be one number per image without NaN, got shape {aum.shape}.")
    low, high = window(len(aum), prune_rate, beta)
    return hardness_order(aum)[low:high]


def loss_weights(score: np.ndarray) -> np.ndarray:
    """BlindCS eq. 10 read as min-max scaling: (N,) float64 in [0, 1]; all 1 when every score is the
    same.

    As printed, (s + min s) / (max s - min s) leaves [0, 1]; the paper says w in [0, 1], hence the
    minus.
    """
    score = np.asarray(score, np.float64)
    low = score.min()
    high = score.max()
    return np.ones_like(score) if high == low else (score - low) / (high - low)


def _rate(value: float, name: str) -> Fraction:
    try:
        return Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        raise BadInput(f"{name}={value!r} must be a finite number, for example 0.9.") from None


def _half_up(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))
