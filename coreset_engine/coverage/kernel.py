"""One block of samples: nearest image by L1 in the slice, then the penalty of its alpha nearest (BlindCS eq. 5-8).

Redundancy is summed in 2^-40 fixed point: integer sums do not depend on their order, so that any number of workers
gives the same bits. The rounding is below T * 2^-41 per image.
"""

from __future__ import annotations

import numba
import numpy as np

FIXED = float(1 << 40)


@numba.njit(cache=True, nogil=True)
def score_block(columns, dims, points, alpha, exponent, hits, penalty):
    """columns: (D, N) float32. dims: (t, m) int64, points: (t, m) float64. Adds to hits, penalty: (N,) int64."""
    n = columns.shape[1]
    distance = np.empty(n, np.float64)
    reach = min(alpha, n - 1)
    for t in range(dims.shape[0]):
        nearest = _nearest(columns, dims[t], points[t])
        hits[nearest] += 1
        if reach < 1:
            continue
        first = _distances(columns, dims[t], nearest, distance)
        if distance[first] == 0.0:
            penalty[first] += int(FIXED)
            continue
        limit = np.partition(distance, reach - 1)[reach - 1]
        _spread(distance, limit, reach, exponent, penalty)


@numba.njit(cache=True, nogil=True)
def _nearest(columns, dims, point):
    best, best_distance = 0, np.inf
    for i in range(columns.shape[1]):
        d = 0.0
        for j in range(dims.shape[0]):
            d += abs(np.float64(columns[dims[j], i]) - point[j])
        if d < best_distance:
            best, best_distance = i, d
    return best


@numba.njit(cache=True, nogil=True)
def _distances(columns, dims, centre, distance):
    """Fills `distance` (the centre itself: inf) and returns the nearest other image, lowest index first."""
    distance[:] = 0.0
    for j in range(dims.shape[0]):
        column = columns[dims[j]]
        here = np.float64(column[centre])
        for i in range(distance.shape[0]):
            distance[i] += abs(np.float64(column[i]) - here)
    distance[centre] = np.inf
    return np.argmin(distance)


@numba.njit(cache=True, nogil=True)
def _spread(distance, limit, reach, exponent, penalty):
    """Weights distance^-exponent over the `reach` nearest, normalised to 1; ties at `limit` by index."""
    smallest, closer = np.inf, 0
    for d in distance:
        closer += d < limit
        smallest = min(smallest, d)
    total, ties = 0.0, reach - closer
    for d in distance:
        if d < limit or (d == limit and ties > 0):
            ties -= d == limit
            total += (smallest / d) ** exponent
    ties = reach - closer
    for i in range(distance.shape[0]):
        d = distance[i]
        if d < limit or (d == limit and ties > 0):
            ties -= d == limit
            penalty[i] += np.int64(np.rint(FIXED * (smallest / d) ** exponent / total))
