"""Compiled greedy loops: farthest-first, and lazy greedy of submodular functions.

All run in float32 or float64 on one thread with the interpreter lock released, in a fixed order:
same input, same bits. Ties go to the smaller position, which under `by_key` is the smaller key.
"""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numba
import numpy as np

jit = numba.njit(nogil=True, cache=True)


class Links(NamedTuple):
    """A sparse graph in rows: image i is linked to to[starts[i]:starts[i + 1]].

    starts: (N + 1,) int; to: (E,) int; weight: (E,) float, one for each link.
    """

    starts: np.ndarray
    to: np.ndarray
    weight: np.ndarray


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"})
def _nearer(rows: np.ndarray, at: int, best: np.ndarray) -> None:
    """best (N,) <- min(best, squared distance to rows[at]), with early exit on the first axes."""
    n, d = rows.shape
    centre = rows[at]
    for i in range(n):
        limit = best[i]
        total = np.float32(0)
        start = 0
        while start < d and total < limit:
            stop = min(start + 16, d)
            for t in range(start, stop):
                gap = rows[i, t] - centre[t]
                total += gap * gap
            start = stop
        if total < limit:
            best[i] = total


@jit
def farthest_first(rows: np.ndarray, first: np.ndarray, k: int) -> tuple[np.ndarray, float]:
    """(order (k,) int64 starting with `first`, squared covering radius).

    rows: (N, d) float32, principal axes first.
    """
    n = len(rows)
    best = np.full(n, np.inf, np.float32)
    order = np.empty(max(k, len(first)), np.int64)
    for t in range(len(order)):
        at = first[t] if t < len(first) else np.argmax(best)
        order[t] = at
        _nearer(rows, at, best)  # type: ignore[arg-type]  # compiled
        best[at] = np.float32(-1)
    return order, max(best.max(), np.float32(0))


@jit
def facility_location(links: Links, first: np.ndarray, k: int) -> np.ndarray:
    """(<= k,) int64: lazy greedy (Minoux 1978) of sum_i max_{j in S} weight_ij, after `first`.

    Links are symmetric and hold each image itself; all others count as 0. Stops early when nothing
    gains (every image left equals a kept one).
    """
    starts, to, similarity = links
    n = len(starts) - 1
    best = np.zeros(n, np.float64)
    taken = np.zeros(n, np.bool_)
    order = np.empty(max(k, len(first)), np.int64)
    count = 0
    for at in first:
        order[count] = at
        count += 1
        taken[at] = True
        for e in range(starts[at], starts[at + 1]):
            best[to[e]] = max(best[to[e]], similarity[e])
    heap = [(-np.inf, i) for i in range(n) if not taken[i]]
    while count < k and len(heap) > 0:
        _, at = heapq.heappop(heap)
        gain = 0.0
        for e in range(starts[at], starts[at + 1]):
            gain += max(0.0, similarity[e] - best[to[e]])
        if len(heap) > 0 and (-gain, at) > heap[0]:
            heapq.heappush(heap, (-gain, at))
            continue
        if gain <= 1e-6:
            break
        order[count] = at
        count += 1
        for e in range(starts[at], starts[at + 1]):
            best[to[e]] = max(best[to[e]], similarity[e])
    return order[:count]


@jit
def greedy_with_penalties(
    gain: np.ndarray, links: Links, proportional: bool, first: np.ndarray, k: int
) -> np.ndarray:
    """Take the largest gain, lower its neighbours' gains, repeatedly.

    Each linked image loses the link's weight, times the gain taken if `proportional`. Graph cut
    lowers by a constant per link, D2 by a share of what the kept image had, which raises its
    neighbours once that is negative.

    Parameters
    ----------
    gain : (N,) float64
        At the start; changed in place.
    links : Links
        With the weights that are taken away.
    proportional : bool
    first : (P,) int64
        Positions that are taken first.
    k : int
        Images to take, at most N.

    Returns
    -------
    (k,) int64
        Positions in the order taken.
    """
    starts, to, weight = links
    n = len(gain)
    taken = np.zeros(n, np.bool_)
    order = np.empty(max(k, len(first)), np.int64)
    heap = [(-gain[i], i) for i in range(n)]
    heapq.heapify(heap)
    count = 0
    while count < len(order):
        if count < len(first):
            at = first[count]
        else:
            bound, at = heapq.heappop(heap)
            if taken[at]:
                continue
            if -gain[at] > bound:  # lowered since it was pushed
                heapq.heappush(heap, (-gain[at], at))
                continue
        taken[at] = True
        order[count] = at
        count += 1
        share = gain[at] if proportional else 1.0
        for e in range(starts[at], starts[at + 1]):
            other = np.int64(to[e])
            gain[other] -= weight[e] * share
            if share < 0 and not taken[other]:
                heapq.heappush(heap, (-gain[other], other))  # type: ignore[misc]  # compiled
    return order


@jit
def cover_balls(links: Links, radii: np.ndarray, first: np.ndarray, k: int) -> np.ndarray:
    """Take the ball that covers most uncovered images; when all are covered, go to the next radius.

    Parameters
    ----------
    links : Links
        Weights are distances, an image's own (0) among them; a ball holds links shorter than the
        radius.
    radii : (R,) float
        One after the other.
    first : (P,) int64
        Positions that are taken first.
    k : int
        Images to take, at most N.

    Returns
    -------
    (<= k,) int64
        Positions in the order taken.
    """
    starts, to, far = links
    n = len(starts) - 1
    order = np.empty(max(k, len(first)), np.int64)
    taken = np.zeros(n, np.bool_)
    count = len(first)
    for i in range(count):  # element by element: slices compile 2 s longer, for their errors
        order[i] = first[i]
        taken[first[i]] = True
    for radius in radii:
        covered = np.zeros(n, np.bool_)
        for at in order[:count]:
            for e in range(starts[at], starts[at + 1]):
                if far[e] < radius:
                    covered[to[e]] = True
        heap = [(-n - 1, i) for i in range(n) if not taken[i]]
        while count < k and len(heap) > 0:
            _, at = heapq.heappop(heap)
            gain = 0
            for e in range(starts[at], starts[at + 1]):
                gain += far[e] < radius and not covered[to[e]]
            if len(heap) > 0 and (-gain, at) > heap[0]:
                heapq.heappush(heap, (-gain, at))
                continue
            if gain == 0:
                break
            order[count] = at
            count += 1
            taken[at] = True
            for e in range(starts[at], starts[at + 1]):
                if far[e] < radius:
                    covered[to[e]] = True
    return order[:count]
