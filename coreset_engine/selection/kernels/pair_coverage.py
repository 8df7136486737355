"""Greedy maximum of a coverage over all pairs, without an N x N matrix in memory.

    f(S) = sum_i w_i max_{j in S} q_j K(x_i, x_j),    K >= 0

Facility location (K = cosine similarity), MaxHerding (K = Gaussian kernel), UHerding (w =
uncertainty) and SubZeroCore (q = density) are of this form. f is monotone and submodular, so an old
gain bounds a new one from above (Minoux 1978). Gains are always taken over all N images.

Two phases. While few images are kept, most pairs can still gain, and the candidates are a random
sample (`limits().greedy_candidates`, doubled when half of it is taken: stochastic greedy,
Mirzasoleiman et al. 2015), whose gains are computed in blocks of a matrix product. Once every image
is well represented, few pairs can still gain: these are written down, and the lazy greedy continues
over that list with every image as a candidate. A set whose pairs fit the list at once (4,472 images
for 20 million) has no first phase.

Time O(N^2 d) for the pass over all pairs, memory O(N d) and the list (`limits().pair_links`). When
to change over depends on the data alone, never on k, so the order is nested.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np

from coreset_engine.core.limits import limits

LEAST = 1e-6  # a gain below it is what rounding leaves of 0
_BLOCK = 1 << 24  # numbers in a block of similarities
_CANDIDATES = 64  # whose gains are computed at a time
_SAMPLE = 256  # images by which the number of pairs is estimated

jit = numba.njit(nogil=True, cache=True)
summed = numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"})


@dataclass(frozen=True, eq=False)
class Pairs:
    """The similarities of all pairs, computed block by block on demand.

    Parameters
    ----------
    rows : (N, d) float32
        Unit vectors.
    bandwidth : float or None
        sigma of exp(-|x - y|^2 / sigma^2); None = cosine similarity, negative ones as 0.
    weight : (N,) float32 >= 0
        w_i, how much it counts that image i is represented.
    quality : (N,) float32 >= 0
        q_j, how well image j represents.
    """

    rows: np.ndarray
    bandwidth: float | None
    weight: np.ndarray
    quality: np.ndarray

    def kernel(self, at: np.ndarray) -> np.ndarray:
        """(B, N) float32: K of the images at `at` (B,) with all."""
        return self.of_cosine(self.rows[at] @ self.rows.T)

    def of_cosine(self, similarity: np.ndarray) -> np.ndarray:
        """K of pairs whose cosine similarity is `similarity`, float32; the array is overwritten."""
        if self.bandwidth is None:
            np.maximum(similarity, 0, out=similarity)
            return similarity
        similarity -= 1
        similarity *= np.float32(2 / self.bandwidth**2)
        np.minimum(similarity, 0, out=similarity)
        np.exp(similarity, out=similarity)
        return similarity

    def represented(self, at: np.ndarray) -> np.ndarray:
        """(B, N) float32: how well each candidate at `at` represents every image, q_j K(i, j)."""
        similarity = self.kernel(at)
        similarity *= self.quality[at, None]
        return similarity

    def blocks(self) -> Iterator[np.ndarray]:
        """Positions of all images, as many at a time as a block of similarities holds."""
        size = max(1, _BLOCK // len(self.rows))
        for start in range(0, len(self.rows), size):
            yield np.arange(start, min(start + size, len(self.rows)))


def uniform(rows: np.ndarray, bandwidth: float | None = None) -> Pairs:
    """Pairs in which every image counts, and represents, alike."""
    ones = np.ones(len(rows), np.float32)
    return Pairs(rows, bandwidth, ones, ones)


def greedy_coverage(pairs: Pairs, first: np.ndarray, k: int) -> np.ndarray:
    """Greedy maximum of f after `first`.

    Parameters
    ----------
    pairs : Pairs
    first : (P,) int64
        Positions kept already.
    k : int
        Images to place, those of `first` included.

    Returns
    -------
    (M,) int64
        Positions, `first` at the start; M < k where no image left gains more than `LEAST`. Equal
        gains go to the smaller position.

    References
    ----------
    Nemhauser, Wolsey and Fisher 1978 (greedy); Minoux 1978 (lazy evaluation).
    """
    best = np.zeros(len(pairs.rows), np.float32)
    for at in np.array_split(first, -(-len(first) // _CANDIDATES) or 1):
        if len(at):
            np.maximum(best, pairs.represented(at).max(axis=0), out=best)
    order = list(first)
    if len(order) >= k:
        return np.asarray(order, np.int64)
    bound = np.empty(0)
    picks = 0
    while len(order) < k:
        if picks & (picks - 1) == 0 and _few(pairs, best):  # at 0, 1, 2, 4, 8, ... picks
            return _over_links(pairs, best, np.asarray(order, np.int64), k)
        bound = _with_candidates(pairs, best, bound, order, picks)
        winner = _largest(pairs, best, bound)
        if bound[winner] <= LEAST:
            return _over_links(pairs, best, np.asarray(order, np.int64), k)
        order.append(winner)
        picks += 1
        bound[winner] = -np.inf
        np.maximum(best, pairs.represented(np.array([winner]))[0], out=best)
    return np.asarray(order, np.int64)


def _few(pairs: Pairs, best: np.ndarray) -> bool:
    """Whether the pairs that can still gain, estimated from a sample of images, fit the list."""
    n = len(best)
    at = np.unique(np.linspace(0, n - 1, min(n, _SAMPLE)).astype(np.int64))
    most = limits().pair_links
    if n * n <= most:
        return True
    above = pairs.kernel(at) * pairs.quality > best[at, None] + np.float32(LEAST)
    return bool(above[pairs.weight[at] > 0].sum() * (n / len(at)) <= most / 2)


def _with_candidates(
    pairs: Pairs, best: np.ndarray, bound: np.ndarray, order: list[int], picks: int
) -> np.ndarray:
    """`bound` (M,), the gains of the first M images, grown when half of them are taken.

    Under `by_key` the first images are a random sample.
    """
    n = len(best)
    size = limits().greedy_candidates if len(bound) == 0 else len(bound)
    while size < n and picks >= size // 2:
        size *= 2
    size = min(size, n)
    if size == len(bound):
        return bound
    added = np.arange(len(bound), size)
    step = max(1, _BLOCK // n)
    gains = [
        _gains(pairs.represented(added[at : at + step]), best, pairs.weight)
        for at in range(0, len(added), step)
    ]
    bound = np.concatenate([bound, *gains])
    bound[[at for at in order if at < size]] = -np.inf
    return bound


def _largest(pairs: Pairs, best: np.ndarray, bound: np.ndarray) -> int:
    """The candidate of largest gain; `bound` (M,), old gains, is brought up to date on the way."""
    fresh = np.zeros(len(bound), bool)
    while True:
        at = int(bound.argmax())
        if fresh[at] or not np.isfinite(bound[at]):
            return at
        stale = np.where(fresh, -np.inf, bound)
        size = min(_CANDIDATES, len(bound))
        some = np.argpartition(-stale, size - 1)[:size]
        some = np.sort(some[np.isfinite(stale[some])])
        bound[some] = _gains(pairs.represented(some), best, pairs.weight)
        fresh[some] = True


def _over_links(pairs: Pairs, best: np.ndarray, order: np.ndarray, k: int) -> np.ndarray:
    """`order` continued by the lazy greedy over the pairs that can still gain."""
    counts = np.zeros(len(best) + 1, np.int64)
    to: list[np.ndarray] = []
    value: list[np.ndarray] = []
    for at in pairs.blocks():
        block = pairs.represented(at)
        counts[at + 1] = _count_above(block, best, pairs.weight)
        own_to, own_value = _above(block, best, pairs.weight, int(counts[at + 1].sum()))
        to.append(own_to)
        value.append(own_value)
    starts = np.cumsum(counts)
    links = Links(starts, np.concatenate(to), np.concatenate(value))
    return lazy_over_links(links, pairs.weight, best.copy(), order, k)


@summed
def _gains(block: np.ndarray, best: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(B,) float64: sum_i w_i max(0, block_ji - best_i)."""
    out = np.empty(len(block))
    for j in range(len(block)):
        row = block[j]
        total = 0.0
        for start in range(0, len(best), 4096):
            part = np.float32(0)
            for i in range(start, min(start + 4096, len(best))):
                part += weight[i] * max(np.float32(0), row[i] - best[i])
            total += part  # type: ignore[assignment]  # numba adds it as float64
        out[j] = total
    return out


@jit
def _count_above(block: np.ndarray, best: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(B,) int64: how many images each candidate would represent better than now."""
    out = np.zeros(len(block), np.int64)
    for j in range(len(block)):
        for i in range(len(best)):
            out[j] += block[j, i] > best[i] + np.float32(1e-6) and weight[i] > 0
    return out


@jit
def _above(
    block: np.ndarray, best: np.ndarray, weight: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """(images, values) of what `_count_above` counts, candidate by candidate."""
    to = np.empty(count, np.int32)
    value = np.empty(count, np.float32)
    at = 0
    for j in range(len(block)):
        for i in range(len(best)):
            if block[j, i] > best[i] + np.float32(1e-6) and weight[i] > 0:
                to[at] = i
                value[at] = block[j, i]
                at += 1
    return to, value


@jit
def _gain_of(
    at: int,
    starts: np.ndarray,
    to: np.ndarray,
    value: np.ndarray,
    weight: np.ndarray,
    best: np.ndarray,
) -> float:
    gain = 0.0
    for e in range(starts[at], starts[at + 1]):
        more = np.float64(value[e]) - np.float64(best[to[e]])
        if more > 0:
            gain += weight[to[e]] * more
    return gain


class Links(NamedTuple):
    """Which images each candidate represents, and how well.

    Attributes
    ----------
    starts : (N + 1,) int64
        Candidate j represents the images to[starts[j] : starts[j + 1]].
    to : (E,) int32
        Positions of images.
    value : (E,) float32
        How well the candidate represents each.
    """

    starts: np.ndarray
    to: np.ndarray
    value: np.ndarray


@jit
def lazy_over_links(
    links: Links, weight: np.ndarray, best: np.ndarray, first: np.ndarray, k: int
) -> np.ndarray:
    """Lazy greedy (Minoux 1978) over links; stops where nothing gains more than 1e-6.

    Parameters
    ----------
    links : Links
        Who represents whom, and how well.
    weight : (N,) float32
        What it counts to represent each image.
    best : (N,) float32
        How well each is represented so far; overwritten.
    first : (P,) int64
        Positions that are taken first.
    k : int
        Images to take.

    Returns
    -------
    (<= k,) int64
        Positions in the order taken.
    """
    starts, to, value = links
    n = len(best)
    taken = np.zeros(n, np.bool_)
    order = np.empty(max(k, len(first)), np.int64)
    count = len(first)
    order[:count] = first
    taken[first] = True
    heap = [(-_gain_of(j, starts, to, value, weight, best), j) for j in range(n)]
    heapq.heapify(heap)
    while count < len(order) and len(heap) > 0:
        _, at = heapq.heappop(heap)
        if taken[at]:
            continue
        gain = _gain_of(at, starts, to, value, weight, best)
        if len(heap) > 0 and (-gain, at) > heap[0]:
            heapq.heappush(heap, (-gain, at))
            continue
        if gain <= 1e-6:
            break
        taken[at] = True
        order[count] = at
        count += 1
        for e in range(starts[at], starts[at + 1]):
            best[to[e]] = max(best[to[e]], value[e])
    return order[:count]


def kth_nearest(rows: np.ndarray, k: int) -> np.ndarray:
    """(N,) float32 cosine distance of unit rows to their k-th nearest other row, over all pairs."""
    n = len(rows)
    pairs = uniform(rows)
    out = np.empty(n, np.float32)
    for at in pairs.blocks():
        similarity = rows[at] @ rows.T
        similarity[np.arange(len(at)), at] = np.float32(-np.inf)
        column = n - min(max(k, 1), n - 1)  # ascending; the own row comes first
        out[at] = 1 - np.partition(similarity, column, axis=1)[:, column]
    return np.maximum(out, 0)
