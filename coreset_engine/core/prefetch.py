"""Read-ahead for random rows of a memory-mapped file: issues madvise(WILLNEED) a few batches ahead.

Without it every row waits for the disk, and each miss reads 128 KiB around it. Rows announced in
advance are fetched concurrently, and only their own pages.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from typing import Any

import numpy as np

from coreset_engine.core.device import free_memory

AHEAD = 4  # batches; with 2 of 512 rows the disk is not yet busy, with 16 it is no faster
Soon = Callable[[np.ndarray], None]  # soon(row numbers)


def nothing(rows: np.ndarray) -> None:
    """The `Soon` of rows that are in memory anyway."""


def readahead(array: np.ndarray) -> Soon:
    """A `Soon` for rows of a memory-mapped file (N, k), full rows or their first columns.

    `nothing` for other arrays, and for files no larger than half of the free memory, which stay in
    the page cache once read.
    """
    file, begins = mapped(array)
    if file is None or array.nbytes <= free_memory() // 2:
        return nothing
    stride = array.strides[0]
    length = array[:1].nbytes

    def soon(rows: np.ndarray) -> None:
        first = begins + np.asarray(rows, np.int64) * stride
        pages = np.unique(
            np.stack([first // mmap.PAGESIZE, (first + length - 1) // mmap.PAGESIZE], axis=1),
            axis=0,
        )
        for start, end in pages.tolist():
            file.madvise(
                mmap.MADV_WILLNEED, start * mmap.PAGESIZE, (end - start + 1) * mmap.PAGESIZE
            )

    return soon


def mapped(array: np.ndarray) -> tuple[mmap.mmap | None, int]:
    """The mapping behind `array` and the byte at which the array begins in it.

    None for an array in memory, or where the system has no madvise.
    """
    base: Any = array
    while base is not None and not isinstance(base, mmap.mmap):
        base = getattr(base, "base", None)
    if base is None or not hasattr(base, "madvise"):
        return None, 0
    return base, _address(array) - _address(np.frombuffer(base, np.uint8))


def _address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])
