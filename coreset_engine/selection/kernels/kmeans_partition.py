"""k-means for any number of groups: one level, or two when thousands of groups are wanted.

Lloyd's rounds cost N k d. For k in the thousands the set is first split into a few dozen parts,
then each part into its share of the groups, which costs N (k / parts) d: 6,000 of 60,000 in
seconds. Starts: k-means++ (Arthur, Vassilvitskii 2007) in every part.
"""

from __future__ import annotations

import numpy as np

from coreset_engine.core.limits import limits

_BLOCK = 8192
# N k d, and k, up to which one level is used
MOST = 1500
PER_PART = 64  # groups in a part of the second level


def kmeans(rows: np.ndarray, k: int, seed: int, rounds: int = 15) -> tuple[np.ndarray, np.ndarray]:
    """Lloyd's algorithm from k-means++ starts; in two levels for thousands of groups.

    Parameters
    ----------
    rows : (N, d) float32
    k : int
        Groups, at most N.
    seed : int
    rounds : int
        Most rounds of each run of Lloyd's algorithm.

    Returns
    -------
    labels : (N,) int64 in [0, k)
        A group is empty only when the rows hold fewer than k distinct points.
    distance : (N,) float32
        Squared distance to the own centre.
    """
    k = min(k, len(rows))
    if k == len(rows):
        return np.arange(k), np.zeros(k, np.float32)
    rng = np.random.default_rng(np.random.SeedSequence([seed % 2**63, k]))
    if k <= PER_PART or (
        k <= MOST and float(len(rows)) * k * rows.shape[1] <= limits().one_level_products
    ):
        return _lloyd(rows, k, rng, rounds)
    part, _ = _lloyd(rows, -(-k // PER_PART), rng, rounds)
    sizes = np.bincount(part)
    labels = np.empty(len(rows), np.int64)
    distance = np.empty(len(rows), np.float32)
    done = 0
    for name, count in enumerate(proportional(sizes, k)):
        if sizes[name]:
            inside = np.flatnonzero(part == name)
            own, similarity = _lloyd(rows[inside], int(count), rng, rounds)
            labels[inside] = own + done
            distance[inside] = similarity
            done += int(count)
    return labels, distance


def proportional(sizes: np.ndarray, k: int) -> np.ndarray:
    """Split k among parts in proportion to their sizes.

    Parameters
    ----------
    sizes : (P,) int >= 0
    k : int
        At most sizes.sum().

    Returns
    -------
    (P,) int64
        Sums to k; at most a part's size, at least 1 for every part that is not empty where k
        suffices.
    """
    sizes = np.asarray(sizes, np.int64)
    if k < (sizes > 0).sum():
        few = np.zeros(len(sizes), np.int64)
        few[np.argsort(-sizes, kind="stable")[:k]] = 1
        return few
    out: np.ndarray = np.minimum(
        sizes, np.maximum(1, np.floor(sizes * (k / sizes.sum())).astype(np.int64))
    )
    while out.sum() != k:
        step = 1 if out.sum() < k else -1
        room = out < sizes if step > 0 else out > 1
        wish = np.where(room, step * (sizes * (k / sizes.sum()) - out), -np.inf)
        out[np.argsort(-wish, kind="stable")[: min(abs(k - int(out.sum())), int(room.sum()))]] += (
            step
        )
    return out


def sums(rows: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """(k, d) float32: the sum of the rows of each group."""
    from scipy.sparse import csr_matrix

    n = len(rows)
    member = csr_matrix((np.ones(n, np.float32), (labels, np.arange(n))), shape=(k, n))
    return np.asarray(member @ rows)


def centres_of(rows: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """(k, d) float32 means; 0 for an empty group."""
    return sums(rows, labels, k) / np.maximum(np.bincount(labels, minlength=k), 1)[:, None].astype(
        np.float32
    )


def _lloyd(
    rows: np.ndarray, k: int, rng: np.random.Generator, rounds: int
) -> tuple[np.ndarray, np.ndarray]:
    if k >= len(rows):
        return np.arange(len(rows)), np.zeros(len(rows), np.float32)
    centres = _plus_plus(rows, k, rng)
    labels, distance = nearest_centre(rows, centres)
    for _ in range(rounds):
        centres = centres_of(rows, labels, k)
        before = labels
        empty = np.flatnonzero(np.bincount(labels, minlength=k) == 0)
        if len(empty):  # restart at the rows farthest from their centres
            centres[empty] = rows[np.argsort(-distance, kind="stable")[: len(empty)]]
        labels, distance = nearest_centre(rows, centres)
        if np.array_equal(labels, before):
            break
    return labels, distance


def nearest_centre(rows: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(index (N,) int64, squared distance (N,) float32) of the nearest centre, in blocks."""
    labels = np.empty(len(rows), np.int64)
    distance = np.empty(len(rows), np.float32)
    half = 0.5 * np.einsum("kd,kd->k", centres, centres)
    for start in range(0, len(rows), _BLOCK):
        part = rows[start : start + _BLOCK]
        similarity = part @ centres.T
        similarity -= half
        own = similarity.argmax(axis=1)
        labels[start : start + _BLOCK] = own
        gap = part - centres[own]
        distance[start : start + _BLOCK] = np.einsum("nd,nd->n", gap, gap)
    return labels, distance


def _plus_plus(rows: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """(k, d) k-means++ starts from at most 30 rows per group."""
    sample = rows[: max(30 * k, 1000)] if len(rows) > 30 * k else rows
    square = np.einsum("nd,nd->n", sample, sample)
    chosen = [int(rng.integers(len(sample)))]
    far = np.full(len(sample), np.inf, np.float32)
    while len(chosen) < k:
        last = chosen[-1]
        far = np.minimum(far, np.maximum(square - 2 * (sample @ sample[last]) + square[last], 0))
        far[chosen] = 0
        cumulated = np.cumsum(far, dtype=np.float64)
        if cumulated[-1] <= 1e-12:  # fewer distinct rows than groups: any rows not yet taken
            left = np.setdiff1d(np.arange(len(sample)), chosen)[: k - len(chosen)]
            chosen += left.tolist()
            break
        chosen.append(
            int(
                np.searchsorted(cumulated, rng.random() * cumulated[-1], side="right").clip(
                    0, len(far) - 1
                )
            )
        )
    return sample[chosen].copy()
