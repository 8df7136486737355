"""Greedy loops over 60,000 images, compiled: farthest-first, and the lazy greedy of submodular functions.

All run in float32 or float64 on one thread with the interpreter lock released, in a fixed order: same input, same bits.
Ties go to the smaller position.
"""

from __future__ import annotations

import numba
import numpy as np

jit = numba.njit(nogil=True, cache=True)


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"})
def _nearer(rows: np.ndarray, at: int, best: np.ndarray) -> None:
    """best (N,) <- min(best, squared distance to rows[at]); a row is left once its first axes exceed its best."""
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
    """(order (k,) int64 starting with `first`, squared covering radius). rows: (N, d) float32, principal axes first."""
    n = len(rows)
    best = np.full(n, np.inf, np.float32)
    order = np.empty(max(k, len(first)), np.int64)
    for t in range(len(order)):
        at = first[t] if t < len(first) else np.argmax(best)
        order[t] = at
        _nearer(rows, at, best)
        best[at] = np.float32(-1)
    return order, max(best.max(), np.float32(0))
