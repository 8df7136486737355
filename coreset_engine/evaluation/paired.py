"""A paired test of a method against random: mean difference, interval and verdict.

A pair is one seed: everything random was drawn again for it, and both methods were trained and
tested alike, so that what the pair shares cancels in the difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.core.registry import BASELINE

CONFIDENCE = 0.95
ENOUGH = 5  # pairs below which the sentence asks for more


@dataclass(frozen=True)
class PairedTest:
    """Differences of pairs, in the unit they were given.

    Attributes
    ----------
    mean : float
        Mean difference.
    standard_error : float
        Sample standard deviation over sqrt(n); NaN for one pair.
    low, high : float
        Student's t interval of the mean at CONFIDENCE with n - 1 degrees of freedom; NaN for one
        pair.
    n : int
        Pairs.
    """

    mean: float
    standard_error: float
    low: float
    high: float
    n: int

    @property
    def verdict(self) -> str:
        """ "better", "worse", "undecided" or, for one pair, "one pair"."""
        if self.n < 2:
            return "one pair"
        if self.low > 0:
            return "better"
        if self.high < 0:
            return "worse"
        return "undecided"


def paired_test(differences: Sequence[float]) -> PairedTest:
    """Student's paired t test.

    Parameters
    ----------
    differences : (n,) float
        Method less baseline, one for each pair.

    Returns
    -------
    PairedTest

    Raises
    ------
    BadInput
        No pair, or a difference that is not finite.

    References
    ----------
    Student 1908; the interval is mean +- t(0.975, n - 1) s / sqrt(n).
    """
    from scipy.stats import t

    values = np.asarray(differences, float)
    if len(values) == 0 or not np.isfinite(values).all():
        raise BadInput(
            f"{len(values)} paired differences, each of which must be a finite number; give at "
            "least one pair."
        )
    n = len(values)
    mean = float(values.mean())
    if n == 1:
        return PairedTest(mean, float("nan"), float("nan"), float("nan"), 1)
    error = float(values.std(ddof=1) / np.sqrt(n))
    reach = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * error
    return PairedTest(mean, error, mean - reach, mean + reach, n)


def against_baseline(
    rows: Iterable[Mapping[str, Any]], baseline: str = BASELINE, measure: str = "accuracy"
) -> dict[tuple[str, float], PairedTest]:
    """Test every method against the baseline at every pruning rate, paired by seed.

    Parameters
    ----------
    rows : iterable of mappings
        As `evaluate` returns them: method, prune_rate, seed and `measure`, in [0, 1] or None where
        the cell could not be computed.
    baseline : str
        Method that the others are compared with.
    measure : str
        Column that is compared.

    Returns
    -------
    dict
        (method, prune_rate) -> PairedTest, for every cell that has a pair.
    """
    rows = [row for row in rows if row.get(measure) is not None]
    base = {
        (row["prune_rate"], row["seed"]): row[measure] for row in rows if row["method"] == baseline
    }
    pairs: dict[tuple[str, float], list[float]] = {}
    for row in rows:
        other = base.get((row["prune_rate"], row["seed"]))
        if row["method"] != baseline and other is not None:
            cell = (row["method"], row["prune_rate"])
            pairs.setdefault(cell, []).append(row[measure] - other)
    return {cell: paired_test(differences) for cell, differences in pairs.items()}


def sentence(test: PairedTest, method: str, prune_rate: float, baseline: str = BASELINE) -> str:
    """The test in words.

    Parameters
    ----------
    test : PairedTest
    method : str
        The method compared.
    prune_rate : float in [0, 1)
    baseline : str
        What it is compared with.

    Returns
    -------
    str
        Differences in points (hundredths).
    """
    points = (
        f"{abs(100 * test.mean):.1f} points {'above' if test.mean >= 0 else 'below'} {baseline}"
    )
    where = f"{method} at {prune_rate:.1%} pruned"
    if test.verdict == "one pair":
        return f"{where}: {points} in one run, without a variance estimate; use --seeds 5."
    interval = (
        f"{CONFIDENCE:.0%} interval {100 * test.low:+.1f} to {100 * test.high:+.1f}, n = {test.n}"
    )
    outcome = {
        "better": f"better than {baseline}",
        "worse": f"worse than {baseline}",
        "undecided": f"no significant difference from {baseline}",
    }[test.verdict]
    more = "" if test.n >= ENOUGH else f"; {ENOUGH} or more seeds are needed to claim a difference"
    return f"{where}: {outcome}, {points} ({interval}{more})."
