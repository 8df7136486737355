"""Rotated and mirrored copies, from the tiny copies of all images.

The mean of the eight turns of a tiny copy (the symmetries of the square) does not change when the
image is turned. Images whose means nearly coincide are found on their principal axes, which never
lengthen distances, and are then compared turn by turn.
"""

from __future__ import annotations

import numpy as np

from coreset_engine.findings.copies import linked
from coreset_engine.findings.image_statistics import ImageStatistics
from coreset_engine.findings.report import FINDINGS, Finding

_AXES = 30  # as many as the invariants have
_LEAST_CONTRAST = 10.0  # standard deviation of the tiny copy, of 255
_CLEARLY = 0.5  # the turned difference is at most this share of the plain one
_MOST_PAIRS = 2_000_000
_FEW = 30_000  # points that are compared all with all
_BLOCK = 256


def turns(tiny: np.ndarray) -> list[np.ndarray]:
    """The 7 turned versions of (N, S, S, 3) images, without the images themselves."""
    flipped = tiny[:, :, ::-1]
    quarter = [np.rot90(tiny, times, axes=(1, 2)) for times in (1, 2, 3)]
    mirrored = [np.rot90(flipped, times, axes=(1, 2)) for times in (0, 1, 2, 3)]
    return quarter + mirrored


def rotated(statistics: ImageStatistics, same: np.ndarray, threshold: float) -> Finding:
    """Groups of images that are turned copies of each other.

    same: (N,) int64, equal for images with the same pixels; one of each is compared. threshold:
    root mean square difference of the turned copy over the standard deviation of its pixels.
    """
    rows = np.unique(same, return_index=True)[1]
    tiny = statistics.tiny[rows].astype(np.float32)
    spread = tiny.reshape(len(rows), -1).std(axis=1)
    clear = spread >= _LEAST_CONTRAST
    rows = rows[clear]
    tiny = tiny[clear]
    spread = spread[clear]
    pairs = _candidates(tiny, spread, threshold) if len(tiny) > 1 else np.empty((0, 2), np.int64)
    if len(pairs):
        pairs = pairs[_alike_in_size(statistics, rows[pairs])]
        pairs = pairs[_coarsely_turned(tiny, spread, pairs, threshold)]
    kept, scores = _turned(tiny, spread, pairs, threshold)
    return _as_finding(rows[pairs[kept]], scores, same, threshold)


def _candidates(tiny: np.ndarray, spread: np.ndarray, threshold: float) -> np.ndarray:
    """(P, 2) int64 pairs whose invariants differ by at most the threshold times their contrast.

    Contrast lies in octaves, so that a few glaring images do not widen the search among the rest.
    """
    half = tiny.shape[1] // 2  # the mean of four pixels brings images nearer, never apart
    coarse = tiny.reshape(len(tiny), half, 2, half, 2, 3).mean(axis=(2, 4))
    invariant = (coarse + sum(turns(coarse))) / 8
    flat = invariant.reshape(len(tiny), -1)
    flat = flat - flat.mean(axis=0)
    values, axes = np.linalg.eigh(flat.T @ flat)
    points = flat @ axes[:, np.argsort(-values)[:_AXES]]
    candidates = [np.empty((0, 2), np.int64)]
    octave = np.floor(np.log2(spread)).astype(int)
    for number in np.unique(octave):
        members = np.flatnonzero((octave == number) | (octave == number + 1))
        reach = threshold * 2.0 ** (number + 1)  # of the pair's lower contrast
        pairs = _close(points[members], reach * np.sqrt(flat.shape[1]))
        pairs = members[pairs]
        pairs = pairs[octave[pairs].min(axis=1) == number]
        candidates.append(pairs[_invariant_near(flat, spread, pairs, threshold)])
    return np.concatenate(candidates)


def _close(points: np.ndarray, radius: float) -> np.ndarray:
    """(P, 2) int64 pairs of points within `radius`, each once; a few a little beyond it.

    Few points are compared all with all whose first axis is near enough, block by block; of many a
    k-d tree finds at most _MOST_PAIRS, within a smaller radius where there are more.
    """
    if len(points) > _FEW:
        return _close_by_tree(points, radius)
    order = np.argsort(points[:, 0], kind="stable")
    rows = points[order].astype(np.float32)
    length = np.einsum("nd,nd->n", rows, rows) / 2
    pairs_near = [np.empty((0, 2), np.int64)]
    for start in range(0, len(rows), _BLOCK):
        last = min(start + _BLOCK, len(rows)) - 1
        stop = int(np.searchsorted(rows[:, 0], rows[last, 0] + radius * 1.0001, side="right"))
        block = rows[start : last + 1]
        similar = block @ rows[start:stop].T
        similar -= length[start:stop]
        left, right = np.nonzero(similar >= length[start : last + 1, None] - radius**2 / 1.9998)
        once = right > left
        pairs_near.append(start + np.stack([left[once], right[once]], axis=1))
    return order[np.concatenate(pairs_near)]


def _close_by_tree(points: np.ndarray, radius: float) -> np.ndarray:
    from scipy.spatial import cKDTree

    tree = cKDTree(points)
    while tree.count_neighbors(tree, radius) > _MOST_PAIRS:
        radius /= 2
    return np.asarray(tree.query_pairs(radius, output_type="ndarray"), np.int64).reshape(-1, 2)


def _invariant_near(
    flat: np.ndarray, spread: np.ndarray, pairs: np.ndarray, threshold: float
) -> np.ndarray:
    """(P,) bool: the invariants of a pair are within the threshold.

    Turning cannot bring the images themselves nearer.
    """
    near = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), 20_000):
        part = pairs[start : start + 20_000]
        difference = flat[part[:, 0]] - flat[part[:, 1]]
        distance = np.sqrt(np.einsum("nd,nd->n", difference, difference) / flat.shape[1])
        near[start : start + len(part)] = distance <= threshold * spread[part].min(axis=1)
    return near


def _alike_in_size(statistics: ImageStatistics, pairs: np.ndarray) -> np.ndarray:
    """(P,) bool: both have the same ratio of sides, upright or lying, within 3 %."""
    ratio = np.log(statistics.width / statistics.height)
    left = ratio[pairs[:, 0]]
    right = ratio[pairs[:, 1]]
    alike: np.ndarray = np.minimum(np.abs(left - right), np.abs(left + right)) < 0.03
    return alike


def _coarsely_turned(
    tiny: np.ndarray, spread: np.ndarray, pairs: np.ndarray, threshold: float
) -> np.ndarray:
    """(P,) bool: some turn brings the means of 4 x 4 pixels within the threshold.

    Means bring images nearer, never apart, so that no turned copy is lost.
    """
    cells = tiny.shape[1] // 4
    coarse = tiny.reshape(len(tiny), cells, 4, cells, 4, 3).mean(axis=(2, 4))
    turned = turns(coarse)
    possible = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), 20_000):
        a, b = pairs[start : start + 20_000].T
        right = coarse[b]
        best = np.min([_difference(one[a], right) for one in turned], axis=0)
        contrast = np.minimum(spread[a], spread[b])
        possible[start : start + len(a)] = best <= threshold * contrast * 1.0001
    return possible


def _turned(
    tiny: np.ndarray, spread: np.ndarray, pairs: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """(positions of the pairs that are turned copies, their differences)."""
    kept: list[np.ndarray] = []
    scores: list[np.ndarray] = []
    for start in range(0, len(pairs), 20_000):
        part = pairs[start : start + 20_000]
        left = tiny[part[:, 0]]
        right = tiny[part[:, 1]]
        plain = _difference(left, right)
        best = np.min([_difference(turned, right) for turned in turns(left)], axis=0)
        contrast = np.minimum(spread[part[:, 0]], spread[part[:, 1]])
        accepted = (best <= threshold * contrast) & (best <= _CLEARLY * plain)
        kept.append(start + np.flatnonzero(accepted))
        scores.append((best / contrast)[accepted])
    if not kept:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    return np.concatenate(kept), np.concatenate(scores).astype(np.float32)


def _difference(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    difference = (left - right).reshape(len(left), -1)
    return np.sqrt(np.einsum("nd,nd->n", difference, difference) / difference.shape[1])


def _as_finding(
    pairs: np.ndarray, scores: np.ndarray, same: np.ndarray, threshold: float
) -> Finding:
    n = len(same)
    groups = linked(pairs, n)
    best = np.full(n, np.inf, np.float32)
    for column in (0, 1):
        np.minimum.at(best, pairs[:, column], scores)
    positions = np.flatnonzero(np.isfinite(best))
    order = np.lexsort((best[positions], groups[positions]))
    positions = positions[order]
    codes = np.unique(groups[positions], return_inverse=True)[1].astype(np.int64)
    note = "the same picture turned by 90, 180 or 270 degrees, or mirrored"
    return Finding(FINDINGS["rotated"], positions, best[positions], codes, threshold, note)
