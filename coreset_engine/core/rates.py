"""Pruning rates as exact decimals, and how many images a rate keeps.

`selection.budget` has all other arithmetic of pruning; this part is here because coverage scores
need it too. A rate is read as the decimal that was written (0.9 is nine tenths, not the nearest
binary fraction), so that every coreset size of BlindCS' table 2 comes out as printed.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from coreset_engine.core.errors import BadInput


def kept_count(n: int, prune_rate: Any) -> int:
    """Number of images kept: (1 - p) n rounded half up, at least 1.

    Parameters
    ----------
    n : int
        Images in the set, at least 1.
    prune_rate : float or str
        Share removed, in [0, 1).

    Raises
    ------
    BadInput
        Unless 0 <= prune_rate < 1.
    """
    return max(1, half_up((1 - checked_rate(prune_rate)) * n))


def checked_rate(prune_rate: Any) -> Fraction:
    rate = decimal(prune_rate, "prune_rate")
    if not 0 <= rate < 1:
        raise BadInput(
            f"prune_rate={prune_rate} must lie in [0, 1): 0 keeps everything, 0.9 keeps a tenth."
        )
    return rate


def decimal(value: Any, name: str) -> Fraction:
    try:
        return Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        raise BadInput(f"{name}={value!r} must be a finite number, for example 0.9.") from None


def half_up(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))
