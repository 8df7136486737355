"""From differences on surrogate tasks to expected differences in accuracy, with intervals.

The constants were estimated by `benchmarks/forecast.py` on seven sets (Fashion-MNIST plain, with a
long tail, with 20 % wrong labels; digits; solar cells; drawings; sprites) against a linear model on
true labels: `slope` by least squares through zero over all candidates, `spread` the root mean
square of what is left over, which holds the noise of the test as well. docs/forecast.md has the
coverage of the intervals on sets that the constants were not estimated on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from coreset_engine.core.forecast_rule import Gain, place

NOTHING = Gain(0.0, 0.0, 0.0)  # random against itself
REACH = 1.645  # standard deviations that hold 90 % of a normal distribution


@dataclass(frozen=True)
class Constants:
    """The map at one pruning rate.

    Attributes
    ----------
    prune_rate : float
    slope, spread : float
        True gain = slope x judged gain, +- spread, in points, for the pool's own mix.
    balanced_slope, balanced_spread : float
        The same for balanced classes.
    power, power_spread : float
        log(true share) = power x log(judged share), where a share is the accuracy of the coreset
        over that of all images; +- as a standard deviation of log(true share).
    """

    prune_rate: float
    slope: float
    spread: float
    balanced_slope: float
    balanced_spread: float
    power: float
    power_spread: float


CONSTANTS = (
    Constants(0.5, 0.06, 0.9, 0.04, 2.2, 0.2, 0.022),
    Constants(0.8, 0.17, 1.3, 0.1, 3.1, 0.38, 0.047),
    Constants(0.9, 0.2, 1.8, 0.1, 4.2, 0.43, 0.055),
    Constants(0.95, 0.37, 2.6, 0.36, 6.2, 0.43, 0.059),
    Constants(0.98, 0.65, 4.3, 0.64, 6.9, 0.48, 0.085),
    Constants(0.995, 0.75, 6.7, 0.57, 7.0, 0.45, 0.109),
)
# Pruning rate -> method taken where the forecast cannot decide: at low rates differences are too
# small for it, and one method was below random least often; from 90 % on none stood out.
SAFEST = {"0.5": "kmedoids", "0.8": "maxherding", "0.9": "", "0.99": ""}


def constants_at(prune_rate: float, table: Sequence[Constants] = CONSTANTS) -> Constants:
    """The constants at a pruning rate, linear in the logarithm of the share kept; those of the
    nearest rate outside the table."""
    at = [place(one.prune_rate) for one in table]
    names = list(Constants.__dataclass_fields__)
    values = {
        name: float(np.interp(place(prune_rate), at, [getattr(one, name) for one in table]))
        for name in names
    }
    return Constants(**{**values, "prune_rate": prune_rate})


def safest_at(prune_rate: float) -> str:
    """The method taken where the forecast cannot decide."""
    nearest = min(SAFEST, key=lambda rate: abs(place(float(rate), prune_rate)))
    return SAFEST[nearest]


def expected_gain(
    judged: float,
    prune_rate: float,
    balanced: bool = False,
    table: Sequence[Constants] = CONSTANTS,
) -> Gain:
    """Expected gain over random in points, with its 90 % interval.

    Parameters
    ----------
    judged : float
        Mean over surrogate tasks of the difference to random, in points.
    balanced : bool
        Whether `judged` and the gain weight all classes alike.
    table
        The constants.
    """
    own = constants_at(prune_rate, table)
    slope = own.balanced_slope if balanced else own.slope
    spread = own.balanced_spread if balanced else own.spread
    return Gain(slope * judged, slope * judged - REACH * spread, slope * judged + REACH * spread)


def expected_share(judged: float, prune_rate: float) -> Gain:
    """Expected accuracy as a share of what labels for all images give, with its 90 % interval.

    Parameters
    ----------
    judged : float
        Mean accuracy on the surrogate tasks over that of all images, > 0.
    """
    own = constants_at(prune_rate)
    middle = own.power * math.log(min(max(judged, 1e-6), 1.0))
    reach = REACH * own.power_spread
    low, share, high = (math.exp(middle + shift) for shift in (-reach, 0.0, reach))
    return Gain(min(share, 1.0), min(low, 1.0), min(high, 1.0))
