"""Distribute the penalty of a covered image over its nearest neighbours (BlindCS eq. 7, 8): select,
weigh, scatter.

Selecting needs no sort: with r the smallest gap that holds alpha + 1 images, an image with a gap
below r - slack is certainly among them and one above r + slack certainly not. Only the few between
are compared by exact distance, and those at one distance by priority.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from coreset_engine.coverage.kernels.search import (
    FAR,
    distance_to,
    fetch,
    find_candidates,
    jit,
    measure,
    new_candidates,
    priority,
    radius_of,
    twin_of,
)
from coreset_engine.coverage.kernels.simd import LANES, count_within, prefetch

FIXED = float(1 << 40)
NOTHING = 65535  # a gap no image has
NEVER = 1 << 32  # above every priority
ROUNDING = 6144.0  # adding it rounds a weight in [0, 1] to a multiple of 2^-40

divide = numba.njit(nogil=True, error_model="numpy")  # no branch per division


class Scratch(NamedTuple):
    """Buffers: candidates (N + 64,) uint32; gaps uint16; distances, weights and band
    float64, each padded to whole lane groups."""

    candidates: np.ndarray
    gaps: np.ndarray
    distances: np.ndarray
    weights: np.ndarray
    band: np.ndarray


class Tie(NamedTuple):
    """Candidates at distance `limit` with low <= gap <= high, of which `kept` are kept."""

    low: int
    high: int
    limit: float
    kept: int


@jit
def new_scratch(candidates, size):
    """Scratch for `size` candidates, which all have room in `candidates`."""
    size = size - size % LANES + 2 * LANES
    return Scratch(
        candidates,
        np.empty(size, np.uint16),
        np.empty(size, np.float64),
        np.empty(size, np.float64),
        np.empty(size, np.float64),
    )


@jit
def first_scratch(n, size):
    """Scratch of a new worker."""
    return new_scratch(new_candidates(n), size)


@jit
def penalise(matrix, query, alphas, exponents, penalty, scratch):
    """Add the penalty of one covered image for every alpha and exponent (BlindCS eq. 7).

    If another image lies exactly on the covered one, it takes all of it.

    Parameters
    ----------
    matrix : Matrix
    query : Query
        Around the covered image.
    alphas : (A,) int64
        Redundancy neighbours, descending, below N.
    exponents : (E,) float64
        Of the distance, > 0.
    penalty : (N, A E) int64
        Added to, in units of 2^-40.
    scratch : Scratch
        Memory for candidates.

    Returns
    -------
    Scratch
        As given, or a larger one.
    """
    d = query.d
    slack = query.slack
    need = alphas[0] + 1
    radius = radius_of(query.gaps, need, len(d))
    if radius <= slack:  # few levels hold many images: look for equals before collecting them
        if _all_to(twin_of(matrix, query), penalty):
            return scratch
    candidates = scratch.candidates
    count = find_candidates(matrix, query, min(FAR, radius + slack), need, candidates)
    if count > len(scratch.distances) - LANES:
        scratch = new_scratch(candidates, count + count // 4)
    gaps = scratch.gaps
    distances = scratch.distances
    weights = scratch.weights
    fetch(matrix.exact, d, candidates, count)
    for i in range(count):
        gaps[i] = query.gaps[candidates[i]]
    count = _keep_within(gaps, candidates, count, min(FAR, _rank_gap(gaps, count, need) + slack))
    if radius > slack and _all_to(_twin_among(matrix, query, gaps, candidates, count), penalty):
        return scratch
    _fetch_rows(penalty, candidates, count)
    measure(matrix.exact, d, query.centre, candidates, count, distances)
    smallest = _smallest(distances, count)  # the nearest of all is a member of every alpha's set
    for a in range(len(alphas)):  # descending: the nearest of one alpha hold those of the next
        if alphas[a] + 1 < count:
            count = _keep_nearest(matrix, query, scratch, count, alphas[a] + 1)
        for e in range(len(exponents)):
            _weigh(distances, weights, count, smallest, exponents[e])
            _scatter(candidates, weights, count, penalty, e * len(alphas) + a)
    return scratch


@jit
def _fetch_rows(penalty, candidates, count):
    """Ask for the candidates' sums: with several columns they are too many for the nearest
    cache."""
    start = penalty.ctypes.data
    row = penalty.shape[1] * penalty.itemsize
    for i in range(count):
        prefetch(start + row * candidates[i])


@jit
def _all_to(twin, penalty):
    if twin < 0:
        return False
    for column in range(penalty.shape[1]):  # a whole row at once compiles 3 s longer
        penalty[twin, column] += np.int64(FIXED)
    return True


@jit
def _twin_among(matrix, query, gaps, candidates, count):
    """The first other candidate with gap 0 at distance exactly 0, or -1."""
    best = np.int64(-1)
    if count_within(gaps.ctypes.data, 0, (count + LANES - 1) // LANES, 0) < 2:
        return best
    first = np.int64(1) << 32
    for i in range(count):
        if gaps[i] == 0 and candidates[i] != query.itself:
            own = priority(matrix.ranks[candidates[i]], query.tie)
            if own < first and distance_to(matrix, query, candidates[i]) == 0.0:
                best = np.int64(candidates[i])
                first = own
    return best


@jit
def _rank_gap(gaps, count, rank):
    """The rank-th smallest of the first `count` gaps (rank from 1), by counting; pads the last lane
    group."""
    groups = (count + LANES - 1) // LANES
    gaps[count : groups * LANES] = NOTHING
    low = -1
    high = FAR
    while high - low > 1:
        middle = (low + high) // 2
        if count_within(gaps.ctypes.data, 0, groups, middle) >= rank:
            high = middle
        else:
            low = middle
    return high


@jit
def _keep_within(gaps, candidates, count, limit):
    """Keeps the candidates with gap <= limit, in order; returns how many."""
    kept = 0
    for i in range(count):
        gaps[kept], candidates[kept] = gaps[i], candidates[i]
        kept += gaps[i] <= limit
    return kept


@jit
def _keep_nearest(matrix, query, scratch, count, need):
    """Keeps the `need` nearest (the covered image itself is one), in order; ties at the last
    distance by priority."""
    candidates, gaps, distances, _, band = scratch
    radius = _rank_gap(gaps, count, need)
    low = radius - query.slack
    high = radius + query.slack
    sure = 0
    unsure = 0
    for i in range(count):
        sure += gaps[i] < low
        band[unsure] = distances[i]
        unsure += (gaps[i] >= low) & (gaps[i] <= high)
    limit = _smallest_at(band, unsure, need - sure - 1)
    ties = need - sure
    tied = 0
    for i in range(unsure):
        ties -= band[i] < limit
        tied += band[i] == limit
    last = np.int64(NEVER)
    if tied > ties:
        last = _last_priority(matrix, query, scratch, count, Tie(low, high, limit, ties))
    kept = 0
    for i in range(count):
        tie = (distances[i] == limit) & (gaps[i] >= low) & (gaps[i] <= high)
        if tie:
            tie = priority(matrix.ranks[candidates[i]], query.tie) <= last
        keep = (gaps[i] < low) | tie | ((distances[i] < limit) & (gaps[i] <= high))
        gaps[kept], candidates[kept], distances[kept] = gaps[i], candidates[i], distances[i]
        kept += keep
    return kept


@jit
def _last_priority(matrix, query, scratch, count, tie):
    """The largest priority that is kept of the candidates at the distance of `tie`."""
    low, high, limit, ties = tie
    candidates, gaps, distances, _, band = scratch
    tied = 0
    for i in range(count):
        if (distances[i] == limit) & (gaps[i] >= low) & (gaps[i] <= high):
            band[tied] = priority(matrix.ranks[candidates[i]], query.tie)
            tied += 1
    return np.int64(_smallest_at(band, tied, ties - 1))


@jit
def _smallest_at(work, count, rank):
    """The element of the given rank (0 = smallest), reordering: quickselect that splits equal
    elements evenly."""
    low = 0
    high = count - 1
    while low < high:
        a = work[low]
        b = work[(low + high) // 2]
        c = work[high]
        pivot = max(min(a, b), min(max(a, b), c))
        i = low
        j = high
        while i <= j:
            while work[i] < pivot:
                i += 1
            while work[j] > pivot:
                j -= 1
            if i <= j:
                work[i], work[j] = work[j], work[i]
                i += 1
                j -= 1
        if rank <= j:
            high = j
        elif rank >= i:
            low = i
        else:
            break
    return work[rank]


@jit
def _smallest(distances, count):
    """The smallest distance above 0 (only the covered image itself is at 0), by four minima that
    need not wait."""
    most = np.finfo(np.float64).max
    distances[count : count + 3] = 0.0
    a = most
    b = most
    c = most
    d = most
    for i in range(0, count, 4):
        a = distances[i] if 0.0 < distances[i] < a else a
        b = distances[i + 1] if 0.0 < distances[i + 1] < b else b
        c = distances[i + 2] if 0.0 < distances[i + 2] < c else c
        d = distances[i + 3] if 0.0 < distances[i + 3] < d else d
    return min(min(a, b), min(c, d))


@divide
def _weigh(distances, weights, count, smallest, exponent):
    """weights = (smallest / distance)^exponent: in [0, 1], so that none overflows; eq. 8 takes out
    the factor.

    The covered image itself, at distance 0, weighs nothing.
    """
    if exponent == 4.0:
        for i in range(count):
            ratio = smallest / distances[i]
            weights[i] = (ratio * ratio) * (ratio * ratio) if distances[i] > 0.0 else 0.0
    else:
        for i in range(count):
            weights[i] = (smallest / distances[i]) ** exponent if distances[i] > 0.0 else 0.0


@divide
def _scatter(candidates, weights, count, penalty, where):
    """Adds the weights, normalised to sum 1.

    The sum is taken in 2^-40 fixed point, so that it does not depend on the order of the images.
    """
    total = np.int64(0)
    for i in range(count):
        total += np.float64(weights[i] + ROUNDING).view(np.int64)
    total -= count * np.float64(ROUNDING).view(np.int64)
    scale = FIXED / (total / FIXED)
    for i in range(count):
        penalty[candidates[i], where] += np.int64(np.rint(weights[i] * scale))
