"""Greedy choice of the largest fixed value plus diversity plus balance, compiled.

Diversity falls when a linked image is kept, balance when one of the same group is. Within a group
balance is the same for all, so each group has a heap of its own, ordered by the rest; a step takes
the best of the heaps' tops. Keys in a heap are upper bounds, checked when they come to the top.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from coreset_engine.selection.kernels.greedy import Links, jit


class Coupled(NamedTuple):
    """The two terms that depend on what is kept.

    links: symmetric graph, weights are distances. far: distance that counts as 1. group: (N,) int64
    from 0. wanted: images of a group from which on balance is 0.
    """

    diversity: float
    links: Links
    far: float
    balance: float
    group: np.ndarray
    wanted: float


@jit
def _before(key_a: float, a: int, key_b: float, b: int) -> bool:
    """Whether image a comes before image b: the larger key, of equal ones the smaller position."""
    return key_a > key_b or key_a == key_b and a < b


@jit
def _sift_down(heap: np.ndarray, key: np.ndarray, low: int, high: int, at: int) -> None:
    """Restore the heap heap[low:high] of images below index `at`."""
    image = heap[at]
    while True:
        child = low + 2 * (at - low) + 1
        if child >= high:
            break
        if child + 1 < high and _before(
            key[heap[child + 1]], heap[child + 1], key[heap[child]], heap[child]
        ):
            child += 1
        if not _before(key[heap[child]], heap[child], key[image], image):
            break
        heap[at] = heap[child]
        at = child
    heap[at] = image


class Heaps(NamedTuple):
    """One max-heap of images per group: heap[begin[g]:end[g]], ordered by `_before`."""

    heap: np.ndarray
    begin: np.ndarray
    end: np.ndarray


@jit
def _heaps_of_groups(key: np.ndarray, group: np.ndarray) -> Heaps:
    """Every image in the heap of its group; key: (N,) float64, group: (N,) int64 from 0."""
    n = len(group)
    n_groups = group.max() + 1
    begin = np.zeros(n_groups + 1, np.int64)
    for i in range(n):
        begin[group[i] + 1] += 1
    for g in range(n_groups):
        begin[g + 1] += begin[g]
    heap = np.empty(n, np.int64)
    end = begin[:-1].copy()
    for i in range(n):
        heap[end[group[i]]] = i
        end[group[i]] += 1
    for g in range(n_groups):
        for at in range(begin[g] + (end[g] - begin[g]) // 2 - 1, begin[g] - 1, -1):
            _sift_down(heap, key, begin[g], end[g], at)
    return Heaps(heap, begin, end)


@jit
def _refresh_tops(
    heaps: Heaps, key: np.ndarray, fixed: np.ndarray, diversity: np.ndarray, taken: np.ndarray
) -> None:
    """Make every heap's top its true best: taken images leave, stale upper bounds are lowered."""
    heap, begin, end = heaps
    for g in range(len(end)):
        while end[g] > begin[g]:
            top = heap[begin[g]]
            now = fixed[top] + diversity[top]
            if taken[top]:
                end[g] -= 1
                heap[begin[g]] = heap[end[g]]
            elif now < key[top]:
                key[top] = now
            else:
                break
            if end[g] > begin[g]:
                _sift_down(heap, key, begin[g], end[g], begin[g])


@jit
def _best_top(heaps: Heaps, key: np.ndarray, bonus: np.ndarray) -> int:
    """The image with the largest key plus its group's bonus (G,); ties to the smaller position."""
    heap, begin, end = heaps
    at = -1
    best = -np.inf
    for g in range(len(end)):
        if end[g] > begin[g]:
            top = heap[begin[g]]
            value = key[top] + bonus[g]
            if at < 0 or value > best or value == best and top < at:
                best = value
                at = top
    return at


@jit
def _lower_linked(
    diversity: np.ndarray, links: Links, at: int, taken: np.ndarray, weight: float, far: float
) -> None:
    """Lower the diversity of the images linked to `at`, which is kept from now on."""
    for e in range(links.starts[at], links.starts[at + 1]):
        other = links.to[e]
        if not taken[other]:
            overlap = weight * min(1.0, links.weight[e] / far)
            if overlap < diversity[other]:
                diversity[other] = overlap


@jit
def weighted_greedy(
    fixed: np.ndarray, coupled: Coupled, first: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(order (k,) int64, diversity (N,), balance (N,)) of images, `first` before all.

    diversity and balance are the weighted terms at the moment an image was kept; for the others,
    what they would add now. Ties go to the smaller position.

    Parameters
    ----------
    fixed
        (N,) float64: what each image adds whatever is kept.
    coupled
        The terms that depend on it.
    first
        (m,) int64 positions that are kept in any case.
    k
        How many in all, m <= k <= N.
    """
    diversity_weight, links, far, balance_weight, group, wanted = coupled
    n = len(fixed)
    count = np.zeros(group.max() + 1, np.int64)
    taken = np.zeros(n, np.bool_)
    diversity = np.full(n, diversity_weight)
    balance = np.empty(n, np.float64)
    key = fixed + diversity
    heaps = _heaps_of_groups(key, group)
    order = np.empty(k, np.int64)
    for step in range(k):
        if step < len(first):
            at = first[step]
        else:
            _refresh_tops(heaps, key, fixed, diversity, taken)
            at = _best_top(heaps, key, balance_weight * np.maximum(0.0, 1 - count / wanted))
        balance[at] = balance_weight * max(0.0, 1 - count[group[at]] / wanted)
        taken[at] = True
        order[step] = at
        count[group[at]] += 1
        _lower_linked(diversity, links, at, taken, diversity_weight, far)
    for i in range(n):
        if not taken[i]:
            balance[i] = balance_weight * max(0.0, 1 - count[group[i]] / wanted)
    return order, diversity, balance
