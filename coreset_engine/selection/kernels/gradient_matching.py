"""Compiled greedy loops on gradients: k-means++, dense facility location, OMP.

The rules of `greedy` hold: one thread, the interpreter lock released, a fixed order, ties to the
smaller position.
"""

from __future__ import annotations

import heapq

import numba
import numpy as np

jit = numba.njit(nogil=True, cache=True)
summed = numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"})


@summed
def _dot(a: np.ndarray, b: np.ndarray) -> float:
    total = np.float32(0)
    for t in range(len(a)):
        total += a[t] * b[t]
    return total  # type: ignore[return-value]  # compiled: float32


@jit
def kmeanspp_draws(
    error: np.ndarray,
    rows: np.ndarray,
    length: np.ndarray,
    first: np.ndarray,
    coins: np.ndarray,
) -> np.ndarray:
    """k-means++ (Arthur and Vassilvitskii 2007) on gradients error_i rows_i^T.

    The long product is only taken where the short one (over classes) leaves a chance that the new
    centre is nearer. Stops when every gradient left equals a drawn one.

    Parameters
    ----------
    error : (N, C) float32
        Predicted probabilities minus the target.
    rows : (N, D) float32
        Inputs of the linear proxy.
    length : (N,) float32
        Squared norms of `rows`.
    first : (P,) int64
        Positions that are drawn already.
    coins : (k,) float64
        Uniform draws in [0, 1).

    Returns
    -------
    (<= k,) int64
        Positions in the order drawn, `first` at the beginning.
    """
    n = len(error)
    k = max(len(coins), len(first))
    size = np.empty(n, np.float32)
    for i in range(n):
        size[i] = _dot(error[i], error[i]) * length[i]
    best = np.full(n, np.inf, np.float32)
    order = np.empty(k, np.int64)
    count = 0
    while count < k:
        if count < len(first):
            at = first[count]
        elif count == 0:
            at = np.argmax(size)
        else:
            total = 0.0
            for i in range(n):
                total += best[i]
            if total <= 0:
                break
            goal = coins[count] * total
            at = -1
            run = 0.0
            for i in range(n):
                run += best[i]
                if best[i] > 0:
                    at = i
                    if run > goal:
                        break
        order[count] = at
        count += 1
        for i in range(n):
            if best[i] > 0:
                across = _dot(error[i], error[at])
                apart = size[i] + size[at]
                if apart - 2 * abs(across) * np.sqrt(length[i] * length[at]) < best[i]:
                    gap = apart - 2 * across * _dot(rows[i], rows[at])
                    if gap < best[i]:
                        # What rounding leaves of 0 is 0: an equal image must not be drawn.
                        best[i] = gap if gap > np.float32(1e-5) * apart else np.float32(0)
        best[at] = np.float32(0)
    return order[:count]


@jit
def facility_dense(
    similarity: np.ndarray, first: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """(order (k,), rows each stands for (k,) float64). near: (n, n) float32 >= 0; lazy greedy."""
    n = len(similarity)
    best = np.full(n, np.float32(-1))
    taken = np.zeros(n, np.bool_)
    owner = np.zeros(n, np.int64)
    order = np.empty(k, np.int64)
    count = 0
    heap = [(-np.inf, i) for i in range(n)]
    while count < k:
        if count < len(first):
            at = first[count]
        else:
            _, at = heapq.heappop(heap)
            if taken[at]:
                continue
            gain = 0.0
            for i in range(n):
                gain += max(np.float32(0), similarity[at, i] - max(best[i], np.float32(0)))
            if len(heap) > 0 and (-gain, at) > heap[0]:
                heapq.heappush(heap, (-gain, at))
                continue
        taken[at] = True
        for i in range(n):
            if similarity[at, i] > best[i]:
                best[i] = similarity[at, i]
                owner[i] = count
        order[count] = at
        count += 1
    weight = np.zeros(k)
    for i in range(n):
        weight[owner[i]] += 1
    return order, weight


@jit
def matching_pursuit(
    gram: np.ndarray,
    goal: np.ndarray,
    ridge: float,
    first: np.ndarray,
    k: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Orthogonal matching pursuit in Gram space: least |sum_j w_j g_j - g|^2 + ridge |w|^2.

    Each time the atom with the largest product with the residual; all weights are solved again
    through a growing Cholesky factor. Ends when no product is > 0.

    Parameters
    ----------
    gram : (n, n) float64
        Products of the atoms.
    goal : (n,) float64
        Products of the atoms with the target g.
    ridge : float
        Penalty on large weights, >= 0.
    first : (P,) int64
        Atoms that are taken already.
    k : int
        Atoms at most.

    Returns
    -------
    tuple
        Order (<= k,) int64, and weights (<= k,) float64 >= 0.
    """
    n = len(gram)
    factor = np.zeros((k, k))
    half = np.zeros(k)
    order = np.empty(k, np.int64)
    taken = np.zeros(n, np.bool_)
    count = 0
    left = goal.copy()
    weights = np.zeros(0)
    while count < k:
        if count < len(first):
            at = first[count]
        else:
            at = -1
            most = 1e-9 * (np.abs(goal).max() + 1e-300)
            for i in range(n):
                if not taken[i] and left[i] > most:
                    at = i
                    most = left[i]
            if at < 0:
                break
        for j in range(count):
            total = gram[order[j], at]
            for t in range(j):
                total -= factor[j, t] * factor[count, t]
            factor[count, j] = total / factor[j, j]
        rest = gram[at, at] + ridge - (factor[count, :count] ** 2).sum()
        factor[count, count] = np.sqrt(max(rest, 1e-12 * (gram[at, at] + 1e-300)))
        half[count] = (goal[at] - (factor[count, :count] * half[:count]).sum()) / factor[
            count, count
        ]
        order[count] = at
        taken[at] = True
        count += 1
        weights = half[:count].copy()
        for j in range(count - 1, -1, -1):
            for t in range(j + 1, count):
                weights[j] -= factor[t, j] * weights[t]
            weights[j] /= factor[j, j]
        left = goal.copy()
        for j in range(count):
            for i in range(n):
                left[i] -= weights[j] * gram[order[j], i]
    return order[:count], np.maximum(weights, 0.0)
