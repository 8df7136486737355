"""From differences on surrogate tasks to expected differences in accuracy, with intervals.

The constants were estimated by `benchmarks/forecast.py` on seven sets with five seeds each
(Fashion-MNIST plain, with a long tail, with 10 % wrong labels; digits; solar cells; drawings;
sprites) against a linear model on true labels: `slope` by least squares through zero over all
candidates, `spread` from the root mean square of what is left over, times 1.25, for balanced
classes 1.4. With these factors, intervals from six of the sets hold 90 % of the gains on the
seventh; docs/forecast.md has the coverage reached.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from coreset_engine.core.forecast_rule import Gain, log_keep_ratio

NO_GAIN = Gain(0.0, 0.0, 0.0)  # random against itself
Z_90 = 1.645  # standard deviations that hold 90 % of a normal distribution


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
    Constants(0.5, 0.10, 0.70, 0.20, 1.86, 0.37, 0.041, 0.11, 0.72, 0.14, 1.80),
    Constants(0.7, 0.20, 1.32, 0.33, 2.79, 0.59, 0.068, 0.31, 1.31, 0.22, 2.83),
    Constants(0.8, 0.22, 1.33, 0.31, 2.84, 0.67, 0.081, 0.34, 1.33, 0.27, 2.84),
    Constants(0.9, 0.29, 1.82, 0.29, 3.14, 0.64, 0.100, 0.52, 1.73, 0.31, 3.15),
    Constants(0.95, 0.38, 2.67, 0.31, 3.78, 0.63, 0.129, 0.63, 2.37, 0.40, 3.71),
    Constants(0.98, 0.64, 4.23, 0.50, 5.81, 0.61, 0.198, 0.67, 3.78, 0.58, 5.17),
    Constants(0.99, 0.79, 5.49, 0.64, 7.12, 0.64, 0.281, 0.64, 4.81, 0.60, 6.08),
    Constants(0.995, 0.94, 5.28, 0.79, 5.47, 0.70, 0.350, 0.52, 5.10, 0.60, 4.74),
)
# Pruning rate -> methods taken where the forecast cannot decide, the first that was judged: those
# below random least often on the first two seeds of the benchmark; from 98 % on none stood out. On
# five other seeds no choice was better by both judges (docs/forecast.md, "Other rules").
SAFEST = {
    "0.5": "maxherding,kmedoids",
    "0.95": "maxherding,kmedoids",
    "0.98": "",
}


def constants_at(prune_rate: float, table: Sequence[Constants] = CONSTANTS) -> Constants:
    """The constants at a pruning rate, linear in the logarithm of the share kept.

    Those of the nearest rate outside the table.
    """
    at = [log_keep_ratio(one.prune_rate) for one in table]
    names = list(Constants.__dataclass_fields__)
    values = {
        name: float(
            np.interp(log_keep_ratio(prune_rate), at, [getattr(one, name) for one in table])
        )
        for name in names
    }
    return Constants(**{**values, "prune_rate": prune_rate})


def safest_at(prune_rate: float) -> str:
    """The methods taken where the forecast cannot decide, by preference."""
    nearest = min(SAFEST, key=lambda rate: abs(log_keep_ratio(float(rate), prune_rate)))
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
    deviation = own.balanced_spread if balanced else own.spread
    if by_labels is not None:
        slope = own.balanced_label_slope if balanced else own.label_slope
        gain = (gain + slope * by_labels) / 2
        deviation = own.balanced_label_spread if balanced else own.label_spread
    return Gain(gain, gain - Z_90 * deviation, gain + Z_90 * deviation)


def expected_share(judged: float, prune_rate: float) -> Gain:
    """Expected accuracy as a share of what labels for all images give, with its 90 % interval.

    Parameters
    ----------
    judged : float
        Mean accuracy on the surrogate tasks over that of all images, > 0.
    """
    own = constants_at(prune_rate)
    middle = own.power * math.log(min(max(judged, 1e-6), 1.0))
    reach = Z_90 * own.power_spread
    low, share, high = (math.exp(middle + shift) for shift in (-reach, 0.0, reach))
    return Gain(min(share, 1.0), min(low, 1.0), min(high, 1.0))
