"""From differences on surrogate tasks to expected differences in accuracy, with intervals.

The constants were estimated by `benchmarks/forecast.py` on seven sets (Fashion-MNIST plain, with a
long tail, with 20 % wrong labels; digits; solar cells; drawings; sprites) against a linear model on
true labels: `slope` by least squares through zero over all candidates, `spread` 1.25 times the root
mean square of what is left over. The factor was chosen so that intervals from six of the sets hold
90 % of the gains on the seventh; docs/forecast.md has the coverage reached.
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
    label_slope, label_spread : float
        Where labels that people gave are a task too: true gain = the mean of slope x judged gain
        and label_slope x gain judged by these, +- label_spread.
    balanced_label_slope, balanced_label_spread : float
        The same for balanced classes.
    """

    prune_rate: float
    slope: float
    spread: float
    balanced_slope: float
    balanced_spread: float
    power: float
    power_spread: float
    label_slope: float
    label_spread: float
    balanced_label_slope: float
    balanced_label_spread: float


CONSTANTS = (
    Constants(0.5, 0.12, 0.9, 0.22, 1.9, 0.30, 0.03, 0.19, 1.08, 0.17, 2.1),
    Constants(0.8, 0.16, 1.5, 0.20, 2.6, 0.64, 0.09, 0.36, 1.77, 0.29, 2.95),
    Constants(0.9, 0.24, 2.0, 0.27, 2.9, 0.70, 0.11, 0.5, 2.36, 0.5, 3.98),
    Constants(0.95, 0.36, 2.6, 0.29, 3.9, 0.65, 0.12, 0.7, 2.8, 0.72, 5.0),
    Constants(0.98, 0.49, 4.4, 0.39, 5.3, 0.65, 0.17, 0.81, 4.4, 0.79, 5.0),
    Constants(0.995, 0.78, 5.5, 0.65, 5.2, 0.64, 0.28, 0.65, 5.2, 0.7, 4.2),
)
# Pruning rate -> methods taken where the forecast cannot decide, the first that was judged: those
# below random least often on the benchmark sets; from 98 % on none stood out.
SAFEST = {
    "0.5": "maxherding,kmedoids",
    "0.95": "maxherding,kmedoids",
    "0.98": "",
}


def constants_at(prune_rate: float, table: Sequence[Constants] = CONSTANTS) -> Constants:
    """The constants at a pruning rate, linear in the logarithm of the share kept.

    Those of the nearest rate outside the table.
    """
    at = [place(one.prune_rate) for one in table]
    names = list(Constants.__dataclass_fields__)
    values = {
        name: float(np.interp(place(prune_rate), at, [getattr(one, name) for one in table]))
        for name in names
    }
    return Constants(**{**values, "prune_rate": prune_rate})


def safest_at(prune_rate: float) -> str:
    """The methods taken where the forecast cannot decide, by preference."""
    nearest = min(SAFEST, key=lambda rate: abs(place(float(rate), prune_rate)))
    return SAFEST[nearest]


def expected_gain(
    judged: float,
    prune_rate: float,
    balanced: bool = False,
    table: Sequence[Constants] = CONSTANTS,
    by_labels: float | None = None,
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
    by_labels : float, optional
        The difference in the task of given labels, in points.
    """
    own = constants_at(prune_rate, table)
    gain = (own.balanced_slope if balanced else own.slope) * judged
    spread = own.balanced_spread if balanced else own.spread
    if by_labels is not None:
        slope = own.balanced_label_slope if balanced else own.label_slope
        gain = (gain + slope * by_labels) / 2
        spread = own.balanced_label_spread if balanced else own.label_spread
    return Gain(gain, gain - REACH * spread, gain + REACH * spread)


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
