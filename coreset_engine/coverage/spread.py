"""Spread the penalty of a covered image over its nearest neighbours (BlindCS eq. 7, 8): select, weigh, scatter."""

from __future__ import annotations

import numpy as np

from coreset_engine.coverage.search import FAR, gather, jit, radius_of

FIXED = float(1 << 40)


@jit
def penalise(exact, levels, modes, d, centre, gaps, slack, nearest, reaches, exponents, penalty, room):
    """Spreads the penalty for every reach and exponent over the nearest neighbours (eq. 7, 8). Returns room."""
    reach = reaches[0]
    radius = radius_of(gaps, reach + 1, len(d))
    count, room = gather(exact, levels, modes, d, centre, gaps, min(FAR, radius + slack), reach + 1, room)
    positions, distances, weights = room[0], room[1], room[2]
    count = _without(positions, distances, count, nearest)
    for a in range(len(reaches)):  # descending: the members of one reach hold those of the next
        if reaches[a] < count:
            count = _keep_nearest(positions, distances, count, reaches[a], room[3])
        smallest = distances[0]
        for i in range(1, count):
            smallest = min(smallest, distances[i])
        for e in range(len(exponents)):
            _weigh(distances, weights, count, smallest, exponents[e])
            _scatter(positions, weights, count, penalty, e * len(reaches) + a)
    return room


@jit
def _without(positions, distances, count, nearest):
    """Takes the covered image out of the candidates, order kept."""
    kept = 0
    for i in range(count):
        positions[kept], distances[kept] = positions[i], distances[i]
        kept += positions[i] != nearest
    return kept


@jit
def _keep_nearest(positions, distances, count, reach, scratch):
    """Compacts the candidates to the `reach` nearest, index order kept, ties at the last distance by index."""
    limit = _smallest_at(distances, count, reach - 1, scratch)
    closer = 0
    for i in range(count):
        closer += distances[i] < limit
    ties, kept = reach - closer, 0
    for i in range(count):
        tie = (distances[i] == limit) & (ties > 0)
        positions[kept], distances[kept] = positions[i], distances[i]
        kept += tie | (distances[i] < limit)
        ties -= tie
    return kept


@jit
def _smallest_at(distances, count, rank, scratch):
    """The element of the given rank (0 = smallest): quickselect that splits equal elements evenly."""
    work = scratch[:count]
    work[:] = distances[:count]
    low, high = 0, count - 1
    while low < high:
        a, b, c = work[low], work[(low + high) // 2], work[high]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = low, high
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
def _weigh(distances, weights, count, smallest, exponent):
    """weights = (smallest / distance)^exponent: in [0, 1], so that none overflows; eq. 8 takes out the factor."""
    if exponent == 4.0:
        for i in range(count):
            ratio = smallest / distances[i]
            weights[i] = (ratio * ratio) * (ratio * ratio)
    else:
        for i in range(count):
            weights[i] = (smallest / distances[i]) ** exponent


@jit
def _scatter(positions, weights, count, penalty, where):
    total = 0.0
    for i in range(count):
        total += weights[i]
    scale = FIXED / total
    for i in range(count):
        penalty[positions[i], where] += np.int64(np.rint(weights[i] * scale))
