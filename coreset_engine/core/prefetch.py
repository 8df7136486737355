"""Random rows of a file that memory does not hold: the system is told of them some batches before
they are read.

One row after the other waits for the disk each time, and each miss reads 128 KiB around it. Rows
told of in advance are fetched side by side, and no more than their own pages.
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
    """The `Soon` of rows that memory holds anyway."""


def readahead(array: np.ndarray) -> Soon:
    """A `Soon` for the rows of a mapped file (N, k), whole rows or their first columns; `nothing`
    for what is no such file, or no larger than half of the free memory: what was read once then
    stays."""
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
    """(the map that `array` lies in, the byte of it at which the array begins); None for an array
    of memory, or where the system takes no advice."""
    base: Any = array
    while base is not None and not isinstance(base, mmap.mmap):
        base = getattr(base, "base", None)
    if base is None or not hasattr(base, "madvise"):
        return None, 0
    return base, _address(array) - _address(np.frombuffer(base, np.uint8))


def _address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])
