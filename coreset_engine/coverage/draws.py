"""Where samples fall: m dimensions without replacement (BlindCS eq. 4) and a point in them (eq. 3 or the ablation's).

Samples come in units of 1024, each from its own spawned random stream, so sample t is the same whatever T, the order
of work or the number of workers: a run over 20,000 samples is the beginning of a run over 1,000,000.

Variants: `scheme="random"` is the paper's; `scheme="even"` (an addition, not in the paper) visits every pair of
dimensions equally often and takes points from a scrambled Sobol sequence through the inverse distribution function.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.coverage.columns import Columns
from coreset_engine.errors import BadInput

UNIT = 1024
DISTRIBUTIONS = ("triangular", "gaussian", "uniform")
SCHEMES = ("random", "even")
Draws = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Given:
    """Draws somebody else made: dims (T, m) int64, points (T, m) float64."""

    dims: np.ndarray
    points: np.ndarray

    def unit(self, number: int) -> Draws:
        """Samples [1024 number, 1024 (number + 1)): dims (<= 1024, m) int64, points alike float64."""
        part = slice(number * UNIT, (number + 1) * UNIT)
        return self.dims[part], self.points[part]


@dataclass(frozen=True, eq=False)
class Sampler:
    """Draws over the columns' own ranges; the same seed always gives the same samples."""

    columns: Columns
    n_dims: int
    distribution: str
    seed: int
    scheme: str = "random"

    def unit(self, number: int) -> Draws:
        """Samples [1024 number, 1024 (number + 1)): dims (1024, m) int64, points alike float64."""
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(number,)))
        count = len(self.columns.low)
        if self.scheme == "random":
            dims = pick_dims(rng, UNIT, self.n_dims, count)
            share = rng.random((UNIT, self.n_dims)) if self.distribution != "gaussian" else None
        else:
            dims = _even_dims(self.seed, number, self.n_dims, count)
            share = _sobol(self.seed, number, self.n_dims)
        return dims, self._points(dims, share, rng)

    def _points(self, dims: np.ndarray, share: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
        about = self.columns
        low, high = about.low[dims], about.high[dims]
        if self.distribution == "triangular":
            return triangular(share, low, about.median[dims], high)
        if self.distribution == "uniform":
            return low + share * (high - low)
        if share is None:
            return rng.normal(about.mean[dims], about.std[dims])
        from scipy.special import ndtri

        return about.mean[dims] + about.std[dims] * ndtri(np.clip(share, 1e-12, 1 - 1e-12))


def triangular(share: np.ndarray, low: np.ndarray, median: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Inverse distribution function of eq. 3, whose peak is the median: share in [0, 1) -> values in [low, high].

    low = median, median = high and low = high are legal. All arguments broadcast; float64.
    """
    width = high - low
    left = (median - low) / np.where(width > 0, width, 1.0)
    rising = low + np.sqrt(share * width * (median - low))
    falling = high - np.sqrt((1.0 - share) * width * (high - median))
    return np.clip(np.where(share < left, rising, falling), low, high)


def pick_dims(rng: np.random.Generator, rows: int, m: int, count: int) -> np.ndarray:
    """(rows, m) int64: m of `count` dimensions per row, without replacement, every ordered choice equally likely."""
    if m > 32:
        return rng.permuted(np.tile(np.arange(count), (rows, 1)), axis=1)[:, :m]
    dims = np.empty((rows, m), np.int64)
    for j in range(m):  # the next of the count - j dimensions not yet taken, counted past the taken ones
        pick = rng.integers(count - j, size=rows)
        for taken in np.sort(dims[:, :j], axis=1).T:
            pick += pick >= taken
        dims[:, j] = pick
    return dims


def _even_dims(seed: int, number: int, m: int, count: int) -> np.ndarray:
    """Rows 1024 number ... of a sequence in which every dimension (m = 2: every pair) comes equally often."""
    rows = np.arange(number * UNIT, (number + 1) * UNIT)
    if m == 2:
        deck = count * (count - 1) // 2
        place = np.array([_shuffled(deck, seed, lap)[at] for lap, at in zip(*np.divmod(rows, deck))])
        first = np.int64(np.floor((np.sqrt(8.0 * place + 1) + 1) / 2))
        first -= place < first * (first - 1) // 2
        first += place >= first * (first + 1) // 2
        return np.stack([first, place - first * (first - 1) // 2], 1)
    per_deck = count // m  # disjoint hands from one shuffled deck of all dimensions
    return np.array([_shuffled(count, seed, lap)[at * m:at * m + m] for lap, at in zip(*np.divmod(rows, per_deck))])


_DECKS: dict[tuple[int, int, int], np.ndarray] = {}


def _shuffled(size: int, seed: int, lap: int) -> np.ndarray:
    """The lap-th shuffle of range(size); the last few are kept."""
    key = (size, seed, lap)
    if key not in _DECKS:
        while len(_DECKS) > 256:
            _DECKS.pop(next(iter(_DECKS)))
        _DECKS[key] = np.random.default_rng([seed, 1, lap]).permutation(size)
    return _DECKS[key]


def _sobol(seed: int, number: int, m: int) -> np.ndarray:
    from scipy.stats import qmc

    engine = qmc.Sobol(m, scramble=True, rng=np.random.default_rng([seed, 2]))
    if number:
        engine.fast_forward(number * UNIT)
    return engine.random(UNIT)


def check_draws(draws: Draws, n_columns: int) -> Given:
    """Explicit draws as int64 and float64. Raises BadInput for shapes that differ, dims out of range, bad points."""
    try:
        dims, points = np.asarray(draws[0]), np.asarray(draws[1], np.float64)
    except (TypeError, ValueError, IndexError):
        raise BadInput("draws must be a pair (dims (T, m) int, points (T, m) float).") from None
    if dims.ndim != 2 or dims.shape != points.shape or 0 in dims.shape:
        raise BadInput(f"draws have shapes {dims.shape} and {points.shape}; both must be (T, m) with T, m >= 1.")
    if dims.dtype.kind not in "iu" or dims.min() < 0 or dims.max() >= n_columns:
        raise BadInput(f"draws' dims must be whole numbers from 0 to {n_columns - 1}, the dimensions of the vectors.")
    if not np.isfinite(points).all():
        raise BadInput("draws' points hold NaN or infinity; give finite points.")
    return Given(np.ascontiguousarray(dims, np.int64), np.ascontiguousarray(points))
