"""The CPU kernel: nearest image and alpha nearest neighbours of many samples, exact, by few passes
over 16-bit columns.

Per sample (BlindCS eq. 5-8):
1. sum the 16-bit gaps between the point and every image; the true nearest lies within `slack` of
the smallest gap;
2. the same sum around the covered image; find a radius that holds alpha + 1 images by counting, not
sorting;
3. collect the images within that radius + slack, and only for those take exact float64 distances,
   the alpha-th smallest, the weights and the scatter.
Gaps only filter: `slack` bounds the rounding of the levels, so no image that matters is missed.
Ties are resolved by a hash of the image's key and the sample's random bits (`search.priority`), so
the order of the rows never shows. search.py holds 1 and 2, penalty.py 3, simd.py the vector lanes
under both.

Redundancy is summed in 2^-40 fixed point: integer sums do not depend on their order, so any number
of workers, in any order, gives the same bits. Each addition rounds by at most 2^-41, so an image's
redundancy is off by at most T 2^-41 (5e-7 at T = 1 M); the sum overflows int64 only beyond T =
2^23.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np

from coreset_engine.coverage.kernels.penalty import first_scratch, penalise
from coreset_engine.coverage.kernels.search import (
    FAR,
    Query,
    as_float,
    fill_gaps,
    jit,
    nearest_of,
)

_SOURCES = ("cpu.py", "search.py", "penalty.py", "simd.py")


def _stamp() -> int:
    """A number from the kernel's sources: numba's cache looks at one file only, and this makes it
    look at them all."""
    digest = hashlib.sha256()
    for name in _SOURCES:
        digest.update((Path(__file__).parent / name).read_bytes())
    return int.from_bytes(digest.digest()[:6], "big")


class Redundancy(NamedTuple):
    """Redundancy neighbours: alphas (A,) int64 descending, <= N - 1; exponents (E,) float64."""

    alphas: np.ndarray
    exponents: np.ndarray


# Its name in what numba cached for an earlier version, which is unpickled before its date is seen.
Near = Redundancy


def _build(stamp: int):
    """The entry point; `stamp` is part of the compiled function's key in numba's cache on disk."""

    @numba.njit(cache=True, nogil=True)
    def score_samples(matrix, grid, samples, redundancy, hits, penalty):
        """Adds the samples' coverage to hits (N,) int64 and redundancy to penalty (N, E * A) int64
        fixed point.

        matrix: a `Matrix`. grid: as in `Columns`. samples: a `Samples`. redundancy: a `Redundancy`.
        """
        exact = matrix.exact
        levels = matrix.levels
        dims, points, ties = samples
        alphas, exponents = redundancy
        n = exact.shape[1]
        m = dims.shape[1]
        gaps = np.empty(levels.shape[1], np.uint16)
        codes = np.empty(m, np.int64)
        centre = np.empty(m, np.float64)
        shifts = np.empty(m, np.int64)
        scratch = first_scratch(n, 2 * alphas[0] + 4096 if len(alphas) else 0 * stamp)
        for t in range(dims.shape[0]):
            d = dims[t]
            slack = _scale(grid, d, shifts)
            margin = _encode(grid, d, points[t], shifts, codes)
            least = fill_gaps(levels, d, codes, shifts, n, gaps)
            sample = Query(d, points[t], gaps, slack, np.int64(ties[t]), np.int64(-1))
            limit = min(FAR, least + slack + margin)
            nearest = nearest_of(matrix, sample, limit, scratch.candidates)
            hits[nearest] += 1
            if len(alphas) == 0 or alphas[0] < 1:
                continue
            for j in range(m):
                codes[j], centre[j] = levels[d[j], nearest], as_float(exact[d[j], nearest])
            fill_gaps(levels, d, codes, shifts, n, gaps)
            covered = Query(d, centre, gaps, slack, np.int64(ties[t]), nearest)
            scratch = penalise(matrix, covered, alphas, exponents, penalty, scratch)

    return score_samples


@jit
def _scale(grid, d, shifts):
    """Shifts that bring the slice's columns to one unit; returns how far two gaps may be
    misordered.

    A level is off by 1/2 and so is the centre's; a shift adds 1/2: at most 1.5 units a column,
    twice for two images, and 1 for the rounding of float64.
    """
    coarsest = grid[d[0], 2]
    for j in range(len(d)):
        coarsest = min(coarsest, grid[d[j], 2])
    slack = 2 * len(d) + 1
    for j in range(len(d)):
        shifts[j] = np.int64(grid[d[j], 2] - coarsest)
        slack += shifts[j] > 0
    return slack


@jit
def _encode(grid, d, point, shifts, codes):
    """Levels of a point, clamped to the grid: beyond it a dimension adds the same to every image.

    Returns extra slack for float64's rounding of distances to a point far outside.
    """
    top = FAR // len(d)
    margin = 0.0
    for j in range(len(d)):
        low = grid[d[j], 0]
        step = grid[d[j], 1]
        level = (point[j] - low) / step
        outside = max(0.0, -level, level - top) / 2.0 ** shifts[j]
        margin += outside * len(d) * 2.0**-50
        codes[j] = np.int64(np.rint(min(max(level, 0.0), float(top))))
    return np.int64(min(np.ceil(margin), float(FAR)))


score_samples = _build(_stamp())
