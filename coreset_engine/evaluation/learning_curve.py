"""A learning curve from few measurements: accuracy = a - b n^-c, and what more labels would bring.

The power law is the usual description of how error falls with the number of training images
(Hestness et al. 2017). It is fitted to accuracies measured on the same judged images, which are
resampled for the interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

EXPONENTS = np.linspace(0.05, 1.5, 30)
RESAMPLED = 400


@dataclass(frozen=True)
class Gain:
    """Expected gain of further labels.

    Attributes
    ----------
    mean, low, high : float
        Difference in accuracy, as a share; the interval is at the confidence requested.
    """

    mean: float
    low: float
    high: float


def fit_power_law(sizes: np.ndarray, accuracy: np.ndarray) -> tuple[np.ndarray, ...]:
    """Least-squares fit of a - b n^-c with a <= 1 and b >= 0, of many curves at once.

    Parameters
    ----------
    sizes : (S,) float > 0
        Training images.
    accuracy : (B, S) float in [0, 1]
        One curve a row.

    Returns
    -------
    a, b, c : (B,) float64
    """
    n = np.asarray(sizes, float)
    y = np.atleast_2d(np.asarray(accuracy, float))
    best = np.full(len(y), np.inf)
    a, b, c = (np.zeros(len(y)) for _ in range(3))
    for exponent in EXPONENTS:
        level, slope = _line(n**-exponent, y)
        error = ((level[:, None] - slope[:, None] * n**-exponent - y) ** 2).sum(axis=1)
        better = error < best - 1e-12
        best = np.where(better, error, best)
        a = np.where(better, level, a)
        b = np.where(better, slope, b)
        c = np.where(better, exponent, c)
    return a, b, c


def _line(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(B,) level and slope of y = level - slope x with level <= 1, slope >= 0; least squares."""
    centred = x - x.mean()
    slope = -(y @ centred) / max(float(centred @ centred), 1e-300)
    slope = np.maximum(slope, 0)
    level = y.mean(axis=1) + slope * x.mean()
    above = level > 1
    capped = np.maximum(((1 - y) @ x) / float(x @ x), 0)
    return np.where(above, 1.0, level), np.where(above, capped, slope)


def expected_gain(
    sizes: np.ndarray,
    right: np.ndarray,
    now: int,
    more: int,
    *,
    seed: int = 0,
    confidence: float = 0.9,
) -> Gain:
    """What `more` labels beyond `now` are expected to bring.

    Parameters
    ----------
    sizes : (S,) int
        Training images of each measurement.
    right : (S, R, J) bool
        Whether each of J judged images is classified rightly, R repeats for each size.
    now, more : int
    seed : int
        Of the resampling of judged images.
    confidence : float in (0, 1)

    Returns
    -------
    Gain
        mean from the fit to all judged images; the interval from RESAMPLED resamples of them and
        of the repeats.
    """
    rng = np.random.default_rng(seed)
    share = right.mean(axis=1)  # (S, J)
    curves = [share.mean(axis=1)]
    repeats, judged = right.shape[1:]
    for _ in range(RESAMPLED):
        images = rng.integers(judged, size=judged)
        which = rng.integers(repeats, size=repeats)
        curves.append(right[:, which][:, :, images].mean(axis=(1, 2)))
    a, b, c = fit_power_law(sizes, np.array(curves))
    gains = b * (float(now) ** -c - float(now + more) ** -c)
    edge = 100 * (1 - confidence) / 2
    low, high = np.percentile(gains[1:], [edge, 100 - edge])
    return Gain(float(gains[0]), float(min(low, gains[0])), float(max(high, gains[0])))


def wilson(right: int, n: int, confidence: float = 0.9) -> tuple[float, float]:
    """Wilson's score interval of a share.

    References
    ----------
    Wilson 1927: centre (r + z^2 / 2) / (n + z^2), half width
    z / (n + z^2) sqrt(r (n - r) / n + z^2 / 4).
    """
    from scipy.stats import norm

    z = float(norm.ppf((1 + confidence) / 2))
    centre = (right + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * float(np.sqrt(right * (n - right) / n + z * z / 4))
    return max(0.0, centre - half), min(1.0, centre + half)
