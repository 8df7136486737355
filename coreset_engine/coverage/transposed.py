"""Transposed, uint16-quantised embeddings: one row per dimension, with its statistics.

A sample touches m of the D dimensions, so columns must be contiguous. `Columns` holds one
column-major copy of the matrix in its own precision (none when it already is column-major) and one
in uint16 levels that the kernel scans. Nothing else of the matrix's size is made; both are filled a
few columns at a time, in memory or in files (partitions.py).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.core.hashing import row_keys
from coreset_engine.core.limits import limits
from coreset_engine.core.types import Progress, silent

WORD = 64  # images per bit mask: levels are padded to a multiple of it
FAR = 65534  # the sum of a slice's levels never exceeds it; 65535 is left for the padding
HEAVY = 64  # a level shared by more than N / HEAVY images is looked at for ties
ROWS = 4096  # images transposed at a time
Room = Callable[[str, tuple[int, int], Any], np.ndarray]


@dataclass(frozen=True, eq=False)
class Columns:
    """The transposed matrix.

    Attributes
    ----------
    exact : (D, N) float32, float64, or uint16 with the bits of float16
    levels : (D, W >= N) uint16
        The padding repeats the last image.
    grid : (D, 3) float64
        low, step, finer; level = round((x - low) / step), step = unit / 2^finer.
    modes : (D,) int64
        A level at which > N / 64 images share one exact value and no other value lies, or -1.
    low, high, median, mean, std : (D,) float64
    ranks : (N,) uint32
        Rank of each image's key among all keys: what breaks ties, together with the sample's own
        random bits.
    """

    exact: np.ndarray
    levels: np.ndarray
    grid: np.ndarray
    modes: np.ndarray
    low: np.ndarray
    high: np.ndarray
    median: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    ranks: np.ndarray

    @property
    def n_images(self) -> int:
        return self.exact.shape[1]


def check(vectors: np.ndarray) -> np.ndarray:
    """vectors as a 2-D float16, float32 or float64 array (not read yet).

    Raises BadInput for other shapes or kinds.
    """
    vectors = vectors if isinstance(vectors, np.ndarray) else np.asarray(vectors)
    if vectors.ndim != 2 or 0 in vectors.shape:
        raise BadInput(
            f"vectors must be 2-D (images x dimensions) with at least one of each, got shape "
            f"{vectors.shape}; reshape them to (N, D)."
        )
    if vectors.dtype in (np.float16, np.float32, np.float64):
        return vectors
    if vectors.dtype.kind not in "fiub":
        raise BadInput(
            f"vectors hold {vectors.dtype}, not numbers; give a float32 or float16 array."
        )
    return vectors.astype(np.float64)


def transpose_and_quantise(
    vectors: np.ndarray,
    dims: int,
    workers: int = 1,
    room: Room | None = None,
    progress: Progress = silent,
    keys: np.ndarray | None = None,
) -> Columns:
    """Columns of a matrix for slices of `dims` dimensions.

    Parameters
    ----------
    vectors : (N, D) float
    dims : int
        m, the dimensions of a slice.
    workers : int
        Threads.
    room : callable, optional
        (name, shape, dtype) -> the array to fill, for `exact` and `levels`; default memory.
    progress : callable
        Unit "columns"; called for large matrices only.
    keys : (N,) uint64, optional
        What ties are broken by; default `core.hashing.row_keys`.

    Raises
    ------
    BadInput
        For NaN or infinity, and a range too wide for float64 distances.
    """
    vectors = check(vectors)
    tell = _parts(progress, vectors)
    exact = _transposed(vectors, workers, room, tell(0.0, 0.5))
    n_images = vectors.shape[0]
    count = vectors.shape[1]
    about = np.empty((count, 4))  # low, high, mean, standard deviation

    def summarise(j: int) -> None:
        column = exact[j].astype(np.float64)
        with np.errstate(all="ignore"):
            about[j] = column.min(), column.max(), column.mean(), column.std()

    _each(summarise, count, workers, tell(0.5, 0.8))
    if not np.isfinite(
        about[:, :2]
    ).all():  # the smallest or largest of a column shows a NaN or infinity in it
        first = int(np.argmin(np.isfinite(about[:, :2]).all(1)))
        raise BadInput(
            f"vectors hold NaN or infinity (first in dimension {first}); "
            "remove those images or embed them again."
        )
    if not (
        np.isfinite(about).all()
        and (dims * (about[:, 1] / 4 - about[:, 0] / 4) < np.finfo(float).max / 4).all()
    ):
        raise BadInput(
            "the vectors' range is too wide for float64 distances; divide them by a constant."
        )
    grid = _grid(about[:, 0], about[:, 1], dims)
    levels = (room or _memory)("levels", (count, -(-n_images // WORD) * WORD), np.uint16)
    modes = np.full(count, -1, np.int64)
    median = np.empty(count)

    def fill(j: int) -> None:
        own = np.rint((exact[j].astype(np.float64) - grid[j, 0]) / grid[j, 1]).astype(np.uint16)
        levels[j, :n_images] = own
        levels[j, n_images:] = own[-1]
        counts = np.bincount(own)
        modes[j] = _mode(counts, own, exact[j])
        median[j] = _median(counts, own, exact[j])

    _each(fill, count, workers, tell(0.8, 1.0))
    if exact.dtype == np.float16:
        exact = exact.view(np.uint16)
    low, high, mean, std = np.ascontiguousarray(about.T)
    ranks = key_ranks(vectors, keys)
    return Columns(exact, levels, grid, modes, low, high, median, mean, std, ranks)


turn = transpose_and_quantise  # the former name


def key_ranks(vectors: np.ndarray, keys: np.ndarray | None) -> np.ndarray:
    """(N,) uint32 rank of each image's key; equal keys by row. Raises BadInput for other shapes."""
    keys = row_keys(vectors) if keys is None else np.asarray(keys)
    if keys.shape != (len(vectors),) or keys.dtype.kind not in "iu":
        raise BadInput(
            f"keys have shape {keys.shape} and type {keys.dtype}; give one whole number for each "
            "of "
            f"the {len(vectors)} images."
        )
    ranks = np.empty(len(keys), np.uint32)
    ranks[np.argsort(keys, kind="stable")] = np.arange(len(keys), dtype=np.uint32)
    return ranks


def _parts(
    progress: Progress, vectors: np.ndarray
) -> Callable[[float, float], Callable[[float], None]]:
    """(low, high) -> a function that reports a pass over that share of the work, in columns."""
    count = vectors.shape[1]
    report = progress if vectors.size > limits().announced_numbers else silent
    return lambda low, high: (
        lambda share: report(int(count * (low + (high - low) * share)), count, "columns")
    )


def _each(
    task: Callable[[int], None], count: int, workers: int, tell: Callable[[float], None]
) -> None:
    pool = ThreadPoolExecutor(max(1, workers))
    try:
        for done, _ in enumerate(pool.map(task, range(count))):
            tell((done + 1) / count)
    finally:
        pool.shutdown(cancel_futures=True)


def _memory(name: str, shape: tuple[int, int], kind: Any) -> np.ndarray:
    return np.empty(shape, kind)


def _transposed(
    vectors: np.ndarray, workers: int, room: Room | None, tell: Callable[[float], None]
) -> np.ndarray:
    if room is None and vectors.flags.f_contiguous and not vectors.flags.c_contiguous:
        return vectors.T
    out = (room or _memory)("exact", vectors.shape[::-1], vectors.dtype)

    def copy(part: int) -> None:
        rows = slice(part * ROWS, (part + 1) * ROWS)
        out[:, rows] = vectors[rows].T

    _each(copy, -(-len(vectors) // ROWS), workers, tell)
    return out


def _grid(low: np.ndarray, high: np.ndarray, dims: int) -> np.ndarray:
    """One step for all columns, halved for a narrow column as often as fits (at most 15 times)."""
    top = FAR // dims
    ranges = high - low
    unit = ranges.max() / top
    if not unit > 0:
        return np.stack([low, np.ones_like(low), np.zeros_like(low)], 1)
    with np.errstate(divide="ignore"):
        finer = np.clip(np.floor(np.log2(unit * top / ranges)), 0, 15)
    finer = np.where(ranges / (unit / 2.0**finer) > top, np.maximum(finer - 1, 0), finer)
    step = np.maximum(unit / 2.0**finer, np.finfo(float).tiny)
    return np.stack([low, step, finer], 1)


def _median(counts: np.ndarray, levels: np.ndarray, column: np.ndarray) -> float:
    """The column's median; only the values in the levels that hold it are sorted.

    Levels rise with the values, so the r-th smallest value lies in the level that holds rank r.
    """
    ends = np.cumsum(counts)
    middle = []
    for rank in ((len(column) - 1) // 2, len(column) // 2):
        level = int(np.searchsorted(ends, rank, "right"))
        inside = np.sort(column[levels == level])
        middle.append(float(inside[rank - ends[level] + counts[level]]))
    return middle[0] if middle[0] == middle[1] else (middle[0] + middle[1]) / 2


def _mode(counts: np.ndarray, levels: np.ndarray, column: np.ndarray) -> int:
    """The most common level where it holds one exact value of more than N / HEAVY images, or -1."""
    level = int(counts.argmax())
    if counts[level] * HEAVY <= len(levels):
        return -1
    values = column[levels == level]
    return level if (values == values[0]).all() else -1
