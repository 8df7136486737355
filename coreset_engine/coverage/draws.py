"""Samples: m dimensions without replacement (BlindCS eq. 4) and a point in them (eq. 3).

Samples come in units of 1024, each from its own spawned random stream, so sample t is the same
whatever T, the order of work or the number of workers: a run over 20,000 samples is the beginning
of a run over 1,000,000.

Variants: `sampler="random"` is the paper's. Two additions, not in the paper, spread the samples
more evenly: "sobol" takes dimensions and point together from one scrambled Sobol sequence;
"stratified" visits every pair of dimensions equally often and takes the points of a unit from a
Latin hypercube. `distribution="images"` places every sample on a uniformly random image, which is
then the covered one: the ablation "random coverage sample" of table 5.
benchmarks/coverage_stability.py compares the three.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.coverage.transposed import Columns

UNIT = 1024
SOBOL_UNITS = 128  # made at a time
DECK = 1 << 24  # more pairs of dimensions than this are not dealt out one by one
Draws = tuple[np.ndarray, np.ndarray]


class Samples(NamedTuple):
    """Samples to score.

    Attributes
    ----------
    dims : (t, m) int64
    points : (t, m) float64
    ties : (t,) uint32
        Random bits of each sample: among images at one distance, that with the smallest hash of
        (key, bits) comes first.
    """

    dims: np.ndarray
    points: np.ndarray
    ties: np.ndarray

    def take(self, rows: slice | np.ndarray) -> Samples:
        """The samples at `rows`."""
        return Samples(self.dims[rows], self.points[rows], self.ties[rows])


@dataclass(frozen=True, eq=False)
class ExplicitDraws:
    """Draws made elsewhere: dims (T, m) int64, points (T, m) float64."""

    dims: np.ndarray
    points: np.ndarray

    def unit(self, number: int) -> Samples:
        """Samples [1024 number, 1024 (number + 1)), at most."""
        part = slice(number * UNIT, (number + 1) * UNIT)
        rng = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(number,)))
        dims = self.dims[part]
        return Samples(dims, self.points[part], _tie_bits(rng)[: len(dims)])


@dataclass(frozen=True, eq=False)
class Sampler:
    """Draws over the columns' own ranges; the same seed always gives the same samples."""

    columns: Columns
    n_dims: int
    distribution: str
    seed: int
    sampler: str = "random"

    def unit(self, number: int) -> Samples:
        """Samples [1024 number, 1024 (number + 1))."""
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(number,)))
        count = len(self.columns.low)
        if self.sampler == "random":
            dims = pick_dims(rng, UNIT, self.n_dims, count)
            share = rng.random((UNIT, self.n_dims)) if self.distribution != "gaussian" else None
        elif self.sampler == "sobol":
            sobol = _sobol(self.seed, number, 2 * self.n_dims)
            dims = _dims_from(sobol[:, : self.n_dims], count)
            share = sobol[:, self.n_dims :]
        else:
            dims = _even_dims(self.seed, number, self.n_dims, count)
            share = (
                rng.permuted(np.tile(np.arange(UNIT), (self.n_dims, 1)), axis=1).T
                + rng.random(dims.shape)
            ) / UNIT
        points = self._points(dims, share, rng)
        return Samples(dims, points, _tie_bits(rng))

    def _points(
        self, dims: np.ndarray, share: np.ndarray | None, rng: np.random.Generator
    ) -> np.ndarray:
        if self.distribution == "images":
            return self._on_images(dims, rng)
        about = self.columns
        low = about.low[dims]
        high = about.high[dims]
        if self.distribution == "triangular":
            assert share is not None  # only the normal distribution draws without
            return triangular(share, low, about.median[dims], high)
        if self.distribution == "uniform":
            return low + share * (high - low)
        if share is None:
            return rng.normal(about.mean[dims], about.std[dims])
        from scipy.special import ndtri

        return about.mean[dims] + about.std[dims] * ndtri(np.clip(share, 1e-12, 1 - 1e-12))

    def _on_images(self, dims: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(t, m) float64 coordinates of one random image a row; it does not depend on their order.

        Among images at one place of the slice the tie decides, so each is covered equally often.
        """
        exact = self.columns.exact
        images = self._by_key[rng.integers(self.columns.n_images, size=len(dims))]
        values = exact[dims, images[:, None]]
        return (values.view(np.float16) if exact.dtype == np.uint16 else values).astype(np.float64)

    @cached_property
    def _by_key(self) -> np.ndarray:
        """(N,) positions of the images by ascending key."""
        return np.argsort(self.columns.ranks)


def _tie_bits(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(2**32, size=UNIT, dtype=np.uint32)


def triangular(
    share: np.ndarray, low: np.ndarray, median: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Inverse CDF of BlindCS eq. 3, whose mode is the median; arguments broadcast.

    Parameters
    ----------
    share : float64 in [0, 1)
    low, median, high : float64
        low <= median <= high; equal ones are legal.

    Returns
    -------
    float64 in [low, high]
    """
    width = high - low
    left = (median - low) / np.where(width > 0, width, 1.0)
    rising = low + np.sqrt(share * width * (median - low))
    falling = high - np.sqrt((1.0 - share) * width * (high - median))
    return np.clip(np.where(share < left, rising, falling), low, high)


def pick_dims(rng: np.random.Generator, rows: int, m: int, count: int) -> np.ndarray:
    """(rows, m) int64: m of `count` dimensions per row, without replacement, uniformly.

    Parameters
    ----------
    rng
        Moves on by the same number of draws for equal `rows`, `m` and `count`.
    rows
        Number of draws.
    m
        Dimensions of a draw, 1 <= m <= count.
    count
        Dimensions there are, D.
    """
    if m > 32:
        return rng.permuted(np.tile(np.arange(count), (rows, 1)), axis=1)[:, :m]
    return _dims_from(rng.random((rows, m)), count)


def _dims_from(share: np.ndarray, count: int) -> np.ndarray:
    """(t, m) shares in [0, 1) -> (t, m) int64 distinct dimensions."""
    dims = np.empty(share.shape, np.int64)
    for j in range(share.shape[1]):
        pick = np.minimum((share[:, j] * (count - j)).astype(np.int64), count - j - 1)
        for taken in np.sort(dims[:, :j], axis=1).T:  # counted past the taken ones, ascending
            pick += pick >= taken
        dims[:, j] = pick
    return dims


def _even_dims(seed: int, number: int, m: int, count: int) -> np.ndarray:
    """Rows 1024 number ... of a sequence with every dimension (m = 2: every pair) equally often."""
    rows = np.arange(number * UNIT, (number + 1) * UNIT)
    pairs = count * (count - 1) // 2
    if m == 2 and pairs <= DECK:
        return _pair(_dealt(seed, rows, pairs, 1)[:, 0])
    return _dealt(seed, rows, count // m, m, count)


def _pair(number: np.ndarray) -> np.ndarray:
    """The number-th of the pairs (1, 0), (2, 0), (2, 1), (3, 0), ...: (t, 2) int64."""
    first: np.ndarray = np.floor((np.sqrt(8.0 * number + 1) + 1) / 2).astype(np.int64)
    first = first - (number < first * (first - 1) // 2)
    return np.stack([first, number - first * (first - 1) // 2], 1)


def _dealt(
    seed: int, rows: np.ndarray, hands: int, size: int, cards: int | None = None
) -> np.ndarray:
    """(t, size) int64: disjoint hands from shuffled decks of `cards` (default hands * size)."""
    out = np.empty((len(rows), size), np.int64)
    laps = rows // hands
    for lap in np.unique(laps):
        here = laps == lap
        deck = _deck(cards or hands * size, seed, int(lap))[: hands * size].reshape(hands, size)
        out[here] = deck[rows[here] % hands]
    return out


@lru_cache(maxsize=4)
def _deck(size: int, seed: int, lap: int) -> np.ndarray:
    return np.random.default_rng([seed, 1, lap]).permutation(size)


def _sobol(seed: int, number: int, width: int) -> np.ndarray:
    """Rows 1024 number ... of a scrambled Sobol sequence: (1024, width) float64 in [0, 1)."""
    lap, unit = divmod(number, SOBOL_UNITS)
    return _sobol_lap(seed, lap, width)[unit * UNIT : (unit + 1) * UNIT]


@lru_cache(maxsize=2)
def _sobol_lap(seed: int, lap: int, width: int) -> np.ndarray:
    from scipy.stats import qmc

    engine = qmc.Sobol(width, scramble=True, rng=np.random.default_rng([seed, 2]))
    if lap:
        engine.fast_forward(lap * SOBOL_UNITS * UNIT)
    return engine.random(SOBOL_UNITS * UNIT)


def check_draws(draws: Draws, n_columns: int) -> ExplicitDraws:
    """Explicit draws as int64 and float64.

    Raises
    ------
    BadInput
        For shapes that differ, dims out of range, points that are not finite.
    """
    try:
        dims = np.asarray(draws[0])
        points = np.asarray(draws[1], np.float64)
    except (TypeError, ValueError, IndexError):
        raise BadInput("draws must be a pair (dims (T, m) int, points (T, m) float).") from None
    if dims.ndim != 2 or dims.shape != points.shape or 0 in dims.shape:
        raise BadInput(
            f"draws have shapes {dims.shape} and {points.shape}; both must be (T, m) with T, m >= "
            "1."
        )
    if dims.dtype.kind not in "iu" or dims.min() < 0 or dims.max() >= n_columns:
        raise BadInput(
            f"draws' dims must be whole numbers from 0 to {n_columns - 1}, the dimensions of the "
            "vectors."
        )
    if not np.isfinite(points).all():
        raise BadInput("draws' points hold NaN or infinity; give finite points.")
    return ExplicitDraws(np.ascontiguousarray(dims, np.int64), np.ascontiguousarray(points))
