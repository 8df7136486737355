"""Which images cause one image's redundancy penalty (BlindCS eq. 7, 8), estimated in a moment.

The computed scores hold only sums, and replaying a million samples takes minutes. An image is
penalised only by what is covered close to it, so samples are drawn in the box around it alone, each
slice weighted by the chance that a sample of eq. 4 falls into the box. What is covered there and
what it costs is then exact in that slice. Rare penalties from outside the box are left out, so
shares are shown, not sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PER_SLICE = 12


@dataclass(frozen=True, eq=False)
class Columns:
    """A few embedding dimensions, each contiguous in memory.

    Attributes
    ----------
    values : (d, N) float32
        One row per dimension.
    low, mode, high : (d,) float64
        Of the triangular distribution of each (BlindCS eq. 3).
    """

    values: np.ndarray
    low: np.ndarray
    mode: np.ndarray
    high: np.ndarray


def sample_columns(vectors: np.ndarray, seed: int = 0) -> Columns:
    """Up to 48 random dimensions of vectors (N, D), at most 6 M numbers in all."""
    n, width = vectors.shape
    dims = np.random.default_rng([seed, 17]).permutation(width)[
        : int(np.clip(6_000_000 // n, 12, 48))
    ]
    values = np.ascontiguousarray(np.asarray(vectors[:, np.sort(dims)], np.float32).T)
    low = values.min(1).astype(float)
    high = values.max(1).astype(float)
    return Columns(values, low, np.median(values, axis=1).astype(float), high)


def find_sources(
    columns: Columns,
    i: int,
    n_neighbours: int,
    exponent: float = 4.0,
    seed: int = 0,
    n_slices: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the images whose hits penalise image i.

    Parameters
    ----------
    columns : Columns
        From `sample_columns`.
    i : int
        Position of the image.
    n_neighbours : int
        Neighbours that share a penalty (alpha of the paper).
    exponent : float
        Of the distance in the penalty's shares (eq. 7).
    seed : int
        The result is a pure function of the arguments.
    slices : int, optional
        Number of 2-D slices; by default chosen for the number of images.

    Returns
    -------
    positions : (m,) int64
        Strongest first.
    penalties : (m,) float64
        Expected penalty per sample; their sum estimates redundancy[i] / T of the computed scores.
    """
    d, n = columns.values.shape
    cost = np.zeros(n)
    if d < 2 or n < 2:
        return np.empty(0, np.int64), np.empty(0)
    rng = np.random.default_rng([seed, i])
    n_slices = n_slices or int(np.clip(30_000_000 // n, 60, 500))
    for _ in range(n_slices):
        pair = rng.choice(d, 2, replace=False)
        covered, penalty = _one_slice(columns, pair, i, min(n_neighbours, n - 1), exponent, rng)
        np.add.at(cost, covered, penalty / n_slices)
    positions = np.flatnonzero(cost)
    positions = positions[np.argsort(-cost[positions], kind="stable")]
    return positions, cost[positions]


def _one_slice(
    columns: Columns,
    pair: np.ndarray,
    i: int,
    alpha: int,
    exponent: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    x, y = columns.values[pair]
    away = np.abs(x - x[i]) + np.abs(y - y[i])
    reach = float(np.partition(away, alpha)[alpha])
    samples, chance = _in_box(columns, pair, (float(x[i]), float(y[i])), reach, rng)
    if chance == 0:
        return np.empty(0, np.int64), np.empty(0)
    close = np.flatnonzero(away <= 4 * reach)
    x = x[close].astype(float)
    y = y[close].astype(float)
    me = int(np.searchsorted(close, i))
    covered = []
    penalty = []
    for a, b in samples:
        j = int(np.argmin(np.abs(x - a) + np.abs(y - b)))
        share = (
            0.0 if j == me else _share(np.abs(x - x[j]) + np.abs(y - y[j]), j, me, alpha, exponent)
        )
        if share:
            covered.append(int(close[j]))
            penalty.append(share * chance / len(samples))
    return np.array(covered, np.int64), np.array(penalty)


def _share(distance: np.ndarray, j: int, me: int, alpha: int, exponent: float) -> float:
    """Image `me`'s share of the penalty 1 that the alpha nearest images of j share (eq. 7)."""
    distance[j] = np.inf
    if distance.min() == 0:  # an exact copy takes the whole penalty, the first of several
        return float(int(np.flatnonzero(distance == 0)[0]) == me)
    if alpha < len(distance) and distance[me] > np.partition(distance, alpha - 1)[alpha - 1]:
        return 0.0
    nearest = distance if alpha >= len(distance) else np.partition(distance, alpha - 1)[:alpha]
    return float(distance[me] ** -exponent / (nearest[np.isfinite(nearest)] ** -exponent).sum())


def _in_box(
    columns: Columns,
    pair: np.ndarray,
    centre: tuple[float, float],
    reach: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, float]:
    """(PER_SLICE, 2) samples inside the box centre ± reach, and the chance to fall into it."""
    samples = np.empty((PER_SLICE, 2))
    chance = 1.0
    for c, (dim, middle) in enumerate(zip(pair, centre)):
        low = columns.low[dim]
        mode = columns.mode[dim]
        high = columns.high[dim]
        if high <= low:
            samples[:, c] = low
            continue
        ends = _below(np.clip([middle - reach, middle + reach], low, high), low, mode, high)
        chance *= ends[1] - ends[0]
        samples[:, c] = _quantile(rng.uniform(ends[0], ends[1], PER_SLICE), low, mode, high)
    return samples, float(chance)


def _below(x: np.ndarray, low: float, mode: float, high: float) -> np.ndarray:
    """Distribution function of the triangular distribution (BlindCS eq. 3)."""
    width = high - low
    left = max(mode - low, 1e-300)
    right = max(high - mode, 1e-300)
    return np.where(
        x <= mode, (x - low) ** 2 / (width * left), 1 - (high - x) ** 2 / (width * right)
    )


def _quantile(u: np.ndarray, low: float, mode: float, high: float) -> np.ndarray:
    """Inverse of `_below`."""
    width = high - low
    at_mode = (mode - low) / (high - low)
    return np.where(
        u <= at_mode,
        low + np.sqrt(u * width * (mode - low)),
        high - np.sqrt((1 - u) * width * (high - mode)),
    )
