"""Spread the penalty of a covered image over its nearest neighbours (BlindCS eq. 7, 8): select,
weigh, scatter.

Selecting needs no sort: with r the smallest gap that holds alpha + 1 images, an image with a gap
below r - slack is certainly among them and one above r + slack certainly not. Only the few between
are compared by exact distance.
"""

from __future__ import annotations

import numba
import numpy as np

from coreset_engine.coverage.kernels.search import (
    FAR,
    as_float,
    fetch,
    find_candidates,
    jit,
    measure,
    radius_of,
    twin_of,
)
from coreset_engine.coverage.kernels.simd import LANES, count_within, prefetch

FIXED = float(1 << 40)
NOTHING = 65535  # a gap no image has

divide = numba.njit(nogil=True, error_model="numpy")  # no branch per division


@jit
def new_scratch(size):
    """Scratch for `size` candidates: gaps (padded to whole lane groups), distances, weights and a
    band to sort."""
    size = size - size % LANES + 2 * LANES
    return (
        np.empty(size, np.uint16),
        np.empty(size, np.float64),
        np.empty(size, np.float64),
        np.empty(size, np.float64),
    )


@jit
def penalise(
    exact, levels, modes, d, centre, gaps, slack, nearest, reaches, exponents, penalty, places, room
):
    """Spreads the penalty for every reach and exponent over the nearest neighbours. Returns room,
    perhaps a larger one.

    If another image lies exactly on the covered one, it takes all of it.
    """
    need = reaches[0] + 1
    radius = radius_of(gaps, need, len(d))
    if radius <= slack:  # few levels hold many images: look for equals before collecting them
        if _all_to(twin_of(exact, d, centre, gaps, nearest), penalty):
            return room
    count = find_candidates(levels, modes, d, gaps, min(FAR, radius + slack), need, places)
    if count > len(room[1]) - LANES:
        room = new_scratch(count + count // 4)
    near, distances, weights, band = room
    fetch(exact, d, places, count)
    for i in range(count):
        near[i] = gaps[places[i]]
    count = _keep_within(near, places, count, min(FAR, _rank_gap(near, count, need) + slack))
    if radius > slack and _all_to(
        _twin_among(exact, d, centre, near, places, count, nearest), penalty
    ):
        return room
    _fetch_rows(penalty, places, count)
    measure(exact, d, centre, places, count, distances)
    smallest = _smallest(distances, count)  # the nearest of all is a member of every reach
    for a in range(len(reaches)):  # descending: the members of one reach hold those of the next
        if reaches[a] + 1 < count:
            count = _keep_nearest(near, places, distances, count, reaches[a] + 1, slack, band)
        for e in range(len(exponents)):
            _weigh(distances, weights, count, smallest, exponents[e])
            _scatter(places, weights, count, penalty, e * len(reaches) + a)
    return room


@jit
def _fetch_rows(penalty, places, count):
    """Ask for the candidates' sums: with several columns they are too many for the nearest
    cache."""
    start = penalty.ctypes.data
    row = penalty.shape[1] * penalty.itemsize
    for i in range(count):
        prefetch(start + row * places[i])


@jit
def _all_to(twin, penalty):
    if twin >= 0:
        penalty[twin] += np.int64(FIXED)
    return twin >= 0


@jit
def _twin_among(exact, d, centre, near, places, count, nearest):
    """The lowest other candidate with gap 0 at distance exactly 0, or -1."""
    if count_within(near.ctypes.data, 0, (count + LANES - 1) // LANES, 0) < 2:
        return -1
    for i in range(count):
        if near[i] == 0 and places[i] != nearest:
            same = True
            for j in range(len(d)):
                same = same and as_float(exact[d[j], places[i]]) == centre[j]
            if same:
                return np.int64(places[i])
    return -1


@jit
def _rank_gap(near, count, rank):
    """The rank-th smallest of the first `count` gaps (rank from 1), by counting; pads the last lane
    group."""
    groups = (count + LANES - 1) // LANES
    near[count : groups * LANES] = NOTHING
    low = -1
    high = FAR
    while high - low > 1:
        middle = (low + high) // 2
        if count_within(near.ctypes.data, 0, groups, middle) >= rank:
            high = middle
        else:
            low = middle
    return high


@jit
def _keep_within(near, places, count, limit):
    """Keeps the candidates with gap <= limit, in order; returns how many."""
    kept = 0
    for i in range(count):
        near[kept], places[kept] = near[i], places[i]
        kept += near[i] <= limit
    return kept


@jit
def _keep_nearest(near, places, distances, count, need, slack, band):
    """Keeps the `need` nearest (the covered image itself is one), in order, ties at the last
    distance by index."""
    radius = _rank_gap(near, count, need)
    low = radius - slack
    high = radius + slack
    sure = 0
    unsure = 0
    for i in range(count):
        sure += near[i] < low
        band[unsure] = distances[i]
        unsure += (near[i] >= low) & (near[i] <= high)
    limit = _smallest_at(band, unsure, need - sure - 1)
    ties = need - sure
    for i in range(unsure):
        ties -= band[i] < limit
    kept = 0
    for i in range(count):
        tie = (distances[i] == limit) & (near[i] >= low) & (ties > 0)
        keep = (near[i] < low) | tie | ((distances[i] < limit) & (near[i] <= high))
        near[kept], places[kept], distances[kept] = near[i], places[i], distances[i]
        kept += keep
        ties -= tie
    return kept


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
def _scatter(places, weights, count, penalty, where):
    """Adds the weights, normalised to sum 1. Four partial sums: fixed by the members' order, and
    quicker than one."""
    weights[count : count + 3] = 0.0
    a = 0.0
    b = 0.0
    c = 0.0
    d = 0.0
    for i in range(0, count, 4):
        a = a + weights[i]
        b = b + weights[i + 1]
        c = c + weights[i + 2]
        d = d + weights[i + 3]
    scale = FIXED / ((a + b) + (c + d))
    for i in range(count):
        penalty[places[i], where] += np.int64(np.rint(weights[i] * scale))
