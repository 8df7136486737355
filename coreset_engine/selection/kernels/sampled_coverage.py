"""Greedy coverage of large sets in near-linear time: a random sample first, then the graph.

`pair_coverage` looks at all N^2 pairs, which takes minutes at 60,000 images. While few images are
kept, each represents a large part of the set, and a random sample of the images measures that well;
once many are kept, an image can only gain from its nearest neighbours, which the graph holds. So:

1. The exact greedy on `limits().coverage_sample` random images, as candidates and as images to
   represent, until N / K images are kept (K neighbours an image), or an eighth of the sample.
2. How well these represent each of the N images.
3. The lazy greedy over the links of the graph that still gain, every image being a candidate.

The approximations are the sample of step 1 and that step 3 sees no pair beyond the K nearest, which
matters only for images whose representative is farther away than these. When to change over depends
on N and K alone, so the order is nested.
"""

from __future__ import annotations

import numpy as np

from coreset_engine.core.limits import limits
from coreset_engine.selection.kernels.pair_coverage import (
    LEAST,
    Links,
    Pairs,
    greedy_coverage,
    lazy_over_links,
    summed,
    uniform,
)

_BLOCK = 4096
_SHARE = 8  # the sample holds at least so many images for each that is chosen from it


def greedy_sampled_coverage(
    pairs: Pairs, nearest: np.ndarray, first: np.ndarray, k: int
) -> np.ndarray:
    """Greedy maximum of the coverage after `first`, see the module.

    Parameters
    ----------
    pairs : Pairs
        Every image counts, and represents, alike: weight and quality are 1. Rows in random order.
    nearest : (N, K) int64
        Positions of each image's nearest others; -1 = none.
    first : (P,) int64
        Positions kept already.
    k : int
        Images to place, those of `first` included.

    Returns
    -------
    (M,) int64
        Positions, `first` at the start; M < k where no image left gains more than `LEAST`.
    """
    order = _from_sample(pairs, nearest.shape[1], first, k)
    if len(order) >= k:
        return order
    best = _represented_by(pairs, order)
    return lazy_over_links(_links(pairs, nearest, best), pairs.weight, best, order, k)


def _from_sample(pairs: Pairs, width: int, first: np.ndarray, k: int) -> np.ndarray:
    """(<= k,) int64: `first`, then what the exact greedy takes of the first rows."""
    n = len(pairs.rows)
    size = min(n, limits().coverage_sample)
    goal = min(k, -(-n // max(1, width)), max(1, size // _SHARE))
    if len(first) >= goal:
        return np.asarray(first, np.int64)
    others = np.setdiff1d(np.arange(size), first)
    at = np.concatenate([first, others]).astype(np.int64)
    part = uniform(pairs.rows[at], pairs.bandwidth)
    chosen: np.ndarray = at[greedy_coverage(part, np.arange(len(first)), goal)]
    return chosen


def _represented_by(pairs: Pairs, kept: np.ndarray) -> np.ndarray:
    """(N,) float32: how well each image is represented by its most similar kept one."""
    best = np.zeros(len(pairs.rows), np.float32)
    for start in range(0, len(kept), 64):
        np.maximum(best, pairs.kernel(kept[start : start + 64]).max(axis=0), out=best)
    return best


def _links(pairs: Pairs, nearest: np.ndarray, best: np.ndarray) -> Links:
    """Each candidate's images, itself included, that it would represent better than `best`."""
    n, width = nearest.shape
    by: list[np.ndarray] = []
    to: list[np.ndarray] = []
    value: list[np.ndarray] = []
    for start in range(0, n, _BLOCK):
        at = np.arange(start, min(start + _BLOCK, n))
        candidates = np.concatenate([at[:, None], nearest[at]], axis=1)
        likeness = pairs.of_cosine(_cosines(pairs.rows, at, candidates))
        gains = (candidates >= 0) & (likeness > best[at, None] + np.float32(LEAST))
        by.append(candidates[gains])
        to.append(np.repeat(at, width + 1).reshape(gains.shape)[gains].astype(np.int32))
        value.append(likeness[gains])
    candidate = np.concatenate(by)
    order = np.argsort(candidate, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(candidate, minlength=n))])
    return Links(starts, np.concatenate(to)[order], np.concatenate(value)[order])


@summed
def _cosines(rows: np.ndarray, at: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(B, W) float32: inner products of the rows `at` (B,) with those at `others` (B, W); 0 for
    -1."""
    out = np.zeros(others.shape, np.float32)
    for b in range(len(at)):
        own = rows[at[b]]
        for w in range(others.shape[1]):
            if others[b, w] >= 0:
                other = rows[others[b, w]]
                total = np.float32(0)
                for i in range(len(own)):
                    total += own[i] * other[i]
                out[b, w] = total
    return out
