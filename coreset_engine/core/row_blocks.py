"""Map-reduce over rows that stay on disk, in pieces whose size depends on the data alone.

Each piece is processed by one thread, of this process or of a cluster, and results are combined in
pairs by piece number, so the bits of a result depend neither on the number of workers nor on who
processed which piece. Blocks of a piece are read as float32 rows of unit length; nothing of the
size of the vectors is held in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from coreset_engine.core.device import cpu_count, torch_threads
from coreset_engine.core.errors import BadInput
from coreset_engine.core.limits import limits

T = TypeVar("T")


def large(n: int, d: int) -> bool:
    """Whether (n, d) vectors are clustered in pieces.

    By the data only, so that every machine finds the same labels.
    """
    return 4 * n * d > limits().in_memory_bytes


def kept(n: int, n_clusters: int) -> bool:
    """Whether the (n, C) probabilities are small enough to be stored beside the labels."""
    return 4 * n * n_clusters <= limits().table_bytes


class Workers(Protocol):
    """What processes pieces: threads of this process (`LocalWorkers`), or a cluster.

    slots: concurrent tasks. note: a remark on their speed, "" or " (...)".
    """

    slots: int
    note: str

    def map(
        self,
        task: Callable[..., Any],
        shared: tuple[Any, ...],
        items: Sequence[tuple[int, int]],
        idle: Callable[[], None],
    ) -> Generator[tuple[int, Any]]:
        """Yield (position in items, task(vectors, shared, first row, last row)) in any order.

        Parameters
        ----------
        task : callable
            Importable by name, since it may run in another process.
        shared : tuple
            What every call gets; sent once.
        items : sequence of (int, int)
            First row and the one after the last of each call.
        idle : callable
            Called about every second; may raise Cancelled.
        """
        ...


class LocalWorkers:
    """Threads of this process, one to a core, each with torch on one thread."""

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = vectors
        self.slots = cpu_count()
        self.note = ""

    def map(
        self,
        task: Callable[..., Any],
        shared: tuple[Any, ...],
        items: Sequence[tuple[int, int]],
        idle: Callable[[], None],
    ) -> Generator[tuple[int, Any]]:
        """Yield (position in items, result) from threads of this process, one core each.

        Parameters
        ----------
        task, shared, items, idle
            As in `Workers.map`.
        """
        from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

        with torch_threads(1):
            pool = ThreadPoolExecutor(self.slots)
            try:
                waiting = list(enumerate(items))[::-1]
                running: dict[Any, int] = {}
                while waiting or running:
                    while waiting and len(running) < 2 * self.slots:
                        position, rows = waiting.pop()
                        running[pool.submit(task, self.vectors, shared, *rows)] = position
                    for ended in wait(running, 1.0, FIRST_COMPLETED).done:
                        yield running.pop(ended), ended.result()
                    idle()
            finally:
                pool.shutdown(cancel_futures=True)


def spans(n: int, piece: int, slots: int = 0) -> list[tuple[int, int]]:
    """(first, last) rows of every task.

    A task is one piece, or 2^j neighbouring pieces while about eight tasks a slot remain.

    slots: 0 = one piece each. Spans of 2^j pieces are whole branches of the tree of `in_pairs`, so
    that any j gives the same bits.
    """
    rows = piece
    while slots and n > 16 * slots * rows:
        rows *= 2
    return [(first, min(n, first + rows)) for first in range(0, n, rows)]


def in_pairs(parts: Sequence[T], both: Callable[[T, T], T]) -> T:
    """Combine `parts` as a binary tree; an odd last part moves up a level."""
    level = list(parts)
    while len(level) > 1:
        odd = level[len(level) - len(level) % 2 :]
        level = [both(one, two) for one, two in zip(level[0::2], level[1::2])] + odd
    return level[0]


def block_of(d: int) -> int:
    """Rows read at once; by the data only."""
    return int(np.clip(limits().block_numbers // d, 256, 16384))


def unit_blocks(
    vectors: np.ndarray, first: int, last: int, width: int
) -> Generator[tuple[int, Any]]:
    """Yield (first row, (B, D) float32 tensor of unit rows), block by block.

    Parameters
    ----------
    vectors : (N, D) float
    first, last : int
        Rows [first, last) are read.
    width : int
        Numbers computed per row, where these are more than D; sets the size of a block.

    Raises
    ------
    BadInput
        On NaN or infinity.
    """
    step = block_of(max(width, vectors.shape[1]))
    for start in range(first, last, step):
        yield start, unit_rows(vectors[start : min(last, start + step)], start)


def unit_rows(rows: np.ndarray, start: int | np.ndarray = 0, normalise: bool = True) -> Any:
    """`rows` as a float32 tensor, at unit length; a zero row stays zero.

    Parameters
    ----------
    rows : (B, D) float array
        float16 rows are rounded to float16 again, as those that are kept in memory.
    start : int or (B,) int array
        Number of the first row, or of all rows, for the message.
    normalise : bool
        False leaves the length as it is.

    Raises
    ------
    BadInput
        For NaN or infinity.
    """
    import torch

    block = torch.from_numpy(np.array(rows, np.float32))
    length = block.norm(dim=1, keepdim=True)
    if not bool(torch.isfinite(length).all()):
        bad = np.flatnonzero(~torch.isfinite(block).all(dim=1).numpy())
        if len(bad):
            row = start + int(bad[0]) if isinstance(start, int) else int(start[bad[0]])
            raise BadInput(
                f"vectors have NaN or infinity in row {row}; embed again or remove that row."
            )
    if normalise:
        block /= length.clamp_min(1e-12)
    return block.half().float() if rows.dtype == np.float16 else block
