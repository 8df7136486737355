"""Nearest neighbours of every image among all images.

Candidates come from `candidates.choose_search`; then one exact finish: distances are recomputed in
float32 from differences, so that duplicates lie at exactly 0, self is removed by index, ties are
broken by index. Up to `exact_below` images the result is exact; above, on a CPU, it is approximate
and its recall is measured and reported.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from coreset_engine.core.device import resolve_device
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Neighbours, Progress, silent
from coreset_engine.embedding.neighbours.candidates import choose_search

METRICS = ("cosine", "l2")
_BLOCK_BYTES = 2**28
_PROBES = 256  # queries on which an approximate search is compared with the exact one


def neighbours(
    vectors: np.ndarray,
    k: int = 50,
    metric: str = "cosine",
    *,
    device: str = "auto",
    exact_below: int = 200_000,
    progress: Progress = silent,
) -> Neighbours:
    """The k nearest other rows of each row.

    A row is never its own neighbour, however many duplicates it has.

    Parameters
    ----------
    vectors : (N, D) float16, float32 or float64
        Finite.
    k : int >= 1
        Lowered to N - 1 where there are fewer rows.
    metric : str
        "cosine" (1 - cosine, in [0, 2]; a zero vector is at 1 from all) or "l2" (Euclidean).
    device : str
        "auto", "cpu" or "cuda".
    exact_below : int
        Sets of fewer rows are searched exactly.
    progress : callable
        Unit "images".

    Returns
    -------
    Neighbours
        indices (N, k) int64 and distances (N, k) float32, nearest first. info: method, exact,
        recall (share of true neighbours found), repeated (rows searched a second time, in full).

    Raises
    ------
    BadInput
        For an unknown metric, or vectors that are not finite.
    """
    _check(vectors, k, metric)
    count = len(vectors)
    wanted = min(int(k), len(vectors) - 1)
    if wanted == 0:
        return Neighbours(
            np.zeros((count, 0), np.int64),
            np.zeros((count, 0), np.float32),
            metric,
            {"recall": 1.0},
        )
    rows = _rows(vectors, metric, full=count <= exact_below)
    search, info = choose_search(rows, wanted, metric, resolve_device(device), count <= exact_below)
    step = int(np.clip(_BLOCK_BYTES // (4 * rows.shape[1] * 2 * wanted), 64, 4096))
    indices = np.empty((count, wanted), np.int64)
    distances = np.empty((count, wanted), np.float32)
    unproven: list[np.ndarray] = []
    for start in range(0, count, step):
        stop = min(start + step, count)
        answer, bound = search(start, stop)
        indices[start:stop], distances[start:stop] = nearest, squared = _finish(
            rows, start, answer, wanted
        )
        unproven.append(
            start + np.flatnonzero(~(squared[:, -1] <= bound) | np.isinf(squared[:, -1]))
        )
        progress(stop, count, "images")
    again = np.concatenate(unproven)
    if len(again):
        indices[again], distances[again] = _in_full(rows, again, wanted)
    info |= {"repeated": len(again)}
    if not info["exact"]:
        info["recall"] = _recall(rows, indices)
    distances = np.sqrt(distances) if metric == "l2" else _cosine_distance(rows, indices, distances)
    return Neighbours(indices, distances, metric, info)


def _check(vectors: np.ndarray, k: int, metric: str) -> None:
    if metric not in METRICS:
        raise BadInput(f"metric={metric!r} is not supported; choose one of {', '.join(METRICS)}.")
    if k != k or int(k) != k or k < 1:
        raise BadInput(f"k={k} neighbours: must be a whole number of at least 1.")
    if vectors.ndim != 2 or 0 in vectors.shape or vectors.dtype.kind != "f":
        raise BadInput(
            f"vectors of shape {vectors.shape} and type {vectors.dtype}: must be a non-empty float "
            "matrix (images, dimensions)."
        )


def _rows(vectors: np.ndarray, metric: str, full: bool) -> np.ndarray:
    """(N, D), of unit length for cosine.

    Small sets as float32; large ones keep float16 if they came so.
    """
    kind = np.float32 if full or vectors.dtype != np.float16 else np.float16
    same = metric == "l2" and vectors.dtype == kind
    rows = vectors if same else np.empty(vectors.shape, kind)
    for start in range(0, len(vectors), 8192):
        block = np.asarray(vectors[start : start + 8192], np.float32)
        if not np.isfinite(block).all():
            bad = start + int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
            raise BadInput(
                f"vectors have NaN or infinity in row {bad}; embed again or remove that row."
            )
        block = at_unit_length(block) if metric == "cosine" else block
        if not same:
            rows[start : start + 8192] = block
    return rows


def at_unit_length(block: np.ndarray) -> np.ndarray:
    """(B, D) float32 rows at unit length; a zero row stays zero."""
    largest = np.abs(block).max(
        axis=1, keepdims=True
    )  # first, so that no square over- or underflows
    block = np.divide(block, largest, out=np.zeros_like(block), where=largest > 0)
    length = np.linalg.norm(block, axis=1, keepdims=True)
    return np.divide(block, length, out=np.zeros_like(block), where=length > 0)


def _finish(
    rows: Any, start: int, candidates: np.ndarray, wanted: int
) -> tuple[np.ndarray, np.ndarray]:
    """(B, wanted) neighbours and squared distances: self removed, sorted by (distance, index)."""
    candidates = np.sort(
        candidates, axis=1
    )  # by index, so that a stable sort by distance breaks ties by index
    here = np.arange(start, start + len(candidates))[:, None]
    gathered = torch.from_numpy(np.asarray(rows[candidates.ravel()], np.float32)).view(
        *candidates.shape, -1
    )
    own = torch.from_numpy(np.array(rows[start : start + len(candidates)], np.float32)).unsqueeze(1)
    squared = gathered.sub_(own).square_().sum(-1).numpy()
    squared[(candidates == here) | (candidates < 0)] = np.inf
    order = np.argsort(squared, axis=1, kind="stable")[:, :wanted]
    return np.take_along_axis(candidates, order, 1), np.take_along_axis(squared, order, 1)


def _in_full(rows: Any, positions: np.ndarray, wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours of some rows against all, in blocks: rows the search left unproven or short."""
    indices = np.empty((len(positions), wanted), np.int64)
    squared = np.empty((len(positions), wanted), np.float32)
    size = int(np.clip(_BLOCK_BYTES // (4 * len(rows)), 1, 1024))
    for at in range(0, len(positions), size):
        some = positions[at : at + size]
        nearest = _ranked(rows, some, min(wanted + 16, len(rows) - 1))
        for row, position in enumerate(some):
            indices[at + row : at + row + 1], squared[at + row : at + row + 1] = _finish(
                rows, int(position), nearest[row : row + 1], wanted
            )
    return indices, squared


def _ranked(rows: np.ndarray, positions: np.ndarray, wanted: int) -> np.ndarray:
    """(P, wanted) int64: nearest others of the rows at `positions`, unordered, by brute force."""
    own = np.asarray(rows[positions], np.float32)
    squared = np.empty((len(positions), len(rows)), np.float32)
    for at in range(0, len(rows), 8192):
        block = np.asarray(rows[at : at + 8192], np.float32)
        squared[:, at : at + 8192] = np.square(block).sum(axis=1) - 2 * own @ block.T
    squared[np.arange(len(positions)), positions] = np.inf
    return np.argpartition(squared, wanted - 1, axis=1)[:, :wanted]


def _cosine_distance(rows: np.ndarray, indices: np.ndarray, squared: np.ndarray) -> np.ndarray:
    """|a - b|^2 = 2 (1 - cosine) for unit rows without cancellation; 1 where either is zero."""
    zero = np.concatenate(
        [~np.asarray(rows[at : at + 8192]).any(axis=1) for at in range(0, len(rows), 8192)]
    )
    distances = np.minimum(squared / 2, 2)
    if zero.any():
        distances[zero[indices] | zero[:, None]] = 1.0
    return distances


def _recall(rows: np.ndarray, indices: np.ndarray) -> float:
    """Share of the true neighbours found, over at most _PROBES evenly spaced rows."""
    probes = np.unique(np.linspace(0, len(rows) - 1, _PROBES).astype(np.int64))
    wanted = indices.shape[1]
    true = np.vstack(
        [_ranked(rows, probes[at : at + 64], wanted) for at in range(0, len(probes), 64)]
    )
    return float(
        np.mean(
            [np.isin(one, other).mean() for one, other in zip(true, indices[probes], strict=True)]
        )
    )
