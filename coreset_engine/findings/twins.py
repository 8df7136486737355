"""Rotated and mirrored copies, from the tiny copies of all images.

The mean of the eight turns of a tiny copy (the symmetries of the square) does not change when the
image is turned. Images whose means nearly coincide are found on their principal axes, which never
lengthen distances, and are then compared turn by turn.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from coreset_engine.findings.copies import linked
from coreset_engine.findings.image_statistics import ImageStatistics
from coreset_engine.findings.kernels import pairs_in_cells
from coreset_engine.findings.report import FINDINGS, Finding

_AXES = 30  # as many as the invariants have
_LEAST_CONTRAST = 10.0  # standard deviation of the tiny copy, of 255
_CLEARLY = 0.5  # the turned difference is at most this share of the plain one
_MOST_PAIRS = 2_000_000
MOST_IMAGES = 200_000  # beyond which turned copies are not looked for


def rotations(tiny: np.ndarray) -> list[np.ndarray]:
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
    pairs, scores = rotated_pairs(statistics, same, threshold)
    return _as_finding(pairs, scores, same, threshold)


def rotated_pairs(
    statistics: ImageStatistics, same: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """(pairs (P, 2) int64 of positions, their differences (P,) float32 up to the threshold)."""
    rows = np.unique(same, return_index=True)[1]
    contrast = _contrast(statistics.tiny, rows)
    clear = contrast >= _LEAST_CONTRAST
    rows = rows[clear]
    tiny = statistics.tiny[rows]
    contrast = contrast[clear]
    pairs = _candidates(tiny, contrast, threshold) if len(tiny) > 1 else np.empty((0, 2), np.int64)
    if len(pairs):
        pairs = pairs[_alike_in_size(statistics, rows[pairs])]
        pairs = pairs[_coarsely_rotated(tiny, contrast, pairs, threshold)]
    kept, scores = _is_rotated(tiny, contrast, pairs, threshold)
    return rows[pairs[kept]], scores


def _contrast(tiny: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(M,) float32: standard deviation of the pixels of the images at `rows`."""
    parts = [
        tiny[part].reshape(len(part), -1).astype(np.float32).std(axis=1) for part in _blocks(rows)
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def _blocks(rows: np.ndarray, size: int = 20_000) -> list[np.ndarray]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _means(tiny: np.ndarray, side: int) -> np.ndarray:
    """(N, S / side, S / side, 3) float32: means of squares of pixels, which bring images nearer."""
    cells = tiny.shape[1] // side
    out = np.empty((len(tiny), cells, cells, 3), np.float32)
    for part in _blocks(np.arange(len(tiny))):
        pixels = tiny[part].astype(np.float32)
        out[part] = pixels.reshape(len(part), cells, side, cells, side, 3).mean(axis=(2, 4))
    return out


def _invariants(tiny: np.ndarray) -> np.ndarray:
    """(N, 192) float32, centred: the mean of the eight turns of the means of 2 x 2 pixels."""
    coarse = _means(tiny, 2)
    for part in _blocks(np.arange(len(tiny))):
        coarse[part] = (coarse[part] + sum(rotations(coarse[part]))) / 8
    flat: np.ndarray = coarse.reshape(len(tiny), -1)
    flat -= flat.mean(axis=0, dtype=np.float64).astype(np.float32)
    return flat


def _candidates(tiny: np.ndarray, contrast: np.ndarray, threshold: float) -> np.ndarray:
    """(P, 2) int64 pairs whose invariants differ by at most the threshold times their contrast.

    Contrast lies in octaves, so that a few glaring images do not widen the search among the rest.
    """
    flat = _invariants(tiny)
    values, axes = np.linalg.eigh(flat.T @ flat)
    points = flat @ axes[:, np.argsort(-values)[:_AXES]]
    candidates = [np.empty((0, 2), np.int64)]
    octave = np.floor(np.log2(contrast)).astype(int)
    for number in np.unique(octave):
        members = np.flatnonzero((octave == number) | (octave == number + 1))
        reach = threshold * 2.0 ** (number + 1)  # of the pair's lower contrast
        pairs = _close(points[members], reach * np.sqrt(flat.shape[1]))
        pairs = members[pairs]
        pairs = pairs[octave[pairs].min(axis=1) == number]
        candidates.append(pairs[_invariant_near(flat, contrast, pairs, threshold)])
    return np.concatenate(candidates)


def _close(points: np.ndarray, radius: float, most: int = _MOST_PAIRS) -> np.ndarray:
    """(P, 2) int64 pairs of points within `radius`, each once; a few a little beyond it.

    points: (N, d), principal axes first. Where there are more than `most` pairs, those within a
    smaller radius.
    """
    rows = np.ascontiguousarray(points, np.float32)
    while True:
        cells = _cells(rows, radius)
        order = np.argsort(cells.keys, kind="stable")
        pairs, count = pairs_in_cells(
            rows[order], cells.keys[order], cells.strides, np.float32(radius * 1.0001) ** 2, most
        )
        if count <= most:
            return np.asarray(order[pairs[:count]], np.int64)
        radius /= 2


class _Cells(NamedTuple):
    """keys: (N,) int64, cell of each point on a grid of three axes. strides: of the first two."""

    keys: np.ndarray
    strides: np.ndarray


def _cells(rows: np.ndarray, radius: float) -> _Cells:
    """A grid whose cells are as wide as the radius, with an empty border."""
    grid = np.zeros((len(rows), 3), np.int64)
    used = rows[:, :3].astype(np.float64)
    grid[:, : used.shape[1]] = (used - used.min(axis=0)) // max(radius * 1.0001, 1e-9) + 1
    sides = grid.max(axis=0) + 2
    strides = np.array([sides[1] * sides[2], sides[2]])
    return _Cells(grid[:, 0] * strides[0] + grid[:, 1] * strides[1] + grid[:, 2], strides)


def _invariant_near(
    flat: np.ndarray, contrast: np.ndarray, pairs: np.ndarray, threshold: float
) -> np.ndarray:
    """(P,) bool: the invariants of a pair are within the threshold.

    Turning cannot bring the images themselves nearer.
    """
    is_near = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), 20_000):
        part = pairs[start : start + 20_000]
        difference = flat[part[:, 0]] - flat[part[:, 1]]
        distance = np.sqrt(np.einsum("nd,nd->n", difference, difference) / flat.shape[1])
        is_near[start : start + len(part)] = distance <= threshold * contrast[part].min(axis=1)
    return is_near


def _alike_in_size(statistics: ImageStatistics, pairs: np.ndarray) -> np.ndarray:
    """(P,) bool: both have the same ratio of sides, upright or lying, within 3 %."""
    ratio = np.log(statistics.width / statistics.height)
    left = ratio[pairs[:, 0]]
    right = ratio[pairs[:, 1]]
    alike: np.ndarray = np.minimum(np.abs(left - right), np.abs(left + right)) < 0.03
    return alike


def _coarsely_rotated(
    tiny: np.ndarray, contrasts: np.ndarray, pairs: np.ndarray, threshold: float
) -> np.ndarray:
    """(P,) bool: some turn brings the means of 4 x 4 pixels within the threshold.

    Means bring images nearer, never apart, so that no turned copy is lost.
    """
    coarse = _means(tiny, 4)
    turned = rotations(coarse)
    possible = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), 20_000):
        a, b = pairs[start : start + 20_000].T
        right = coarse[b]
        best = np.min([_difference(one[a], right) for one in turned], axis=0)
        contrast = np.minimum(contrasts[a], contrasts[b])
        possible[start : start + len(a)] = best <= threshold * contrast * 1.0001
    return possible


def _is_rotated(
    tiny: np.ndarray, contrasts: np.ndarray, pairs: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """(positions of the pairs that are turned copies, their differences)."""
    kept: list[np.ndarray] = []
    scores: list[np.ndarray] = []
    for start in range(0, len(pairs), 20_000):
        part = pairs[start : start + 20_000]
        left = tiny[part[:, 0]].astype(np.float32)
        right = tiny[part[:, 1]].astype(np.float32)
        plain = _difference(left, right)
        best = np.min([_difference(turned, right) for turned in rotations(left)], axis=0)
        contrast = np.minimum(contrasts[part[:, 0]], contrasts[part[:, 1]])
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
    note = "the same image rotated by 90, 180 or 270 degrees, or mirrored"
    return Finding(FINDINGS["rotated"], positions, best[positions], codes, threshold, note)
