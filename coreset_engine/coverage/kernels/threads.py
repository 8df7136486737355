"""Distribute a round's samples over threads: pieces of 128, ordered so that the columns in use stay
in the cache.

The kernel releases the interpreter lock. Each thread adds to its own integer sums, which are added
up at the end, so who took which piece does not show in the result.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

import numpy as np

from coreset_engine.coverage.anytime import Scorer
from coreset_engine.coverage.draws import Samples
from coreset_engine.coverage.transposed import Columns

PIECE = 128
CACHE = 16 << 20  # bytes of columns that two tiles may take up together
POLL = 0.1  # seconds between two calls of the progress callback


def cpu_scorer(
    columns: Columns, alphas: Sequence[int], exponents: Sequence[float], workers: int
) -> Scorer:
    """A Scorer over threads of this process.

    Parameters
    ----------
    columns : Columns
        The transposed matrix.
    alphas : sequence of int
        Redundancy neighbours, descending.
    exponents : sequence of float
        Columns of the penalty are exponent-major.
    workers : int
        Threads.
    """
    from coreset_engine.coverage.kernels.cpu import Redundancy, score_samples
    from coreset_engine.coverage.kernels.search import Matrix

    n = columns.n_images
    redundancy = Redundancy(
        np.array([min(alpha, n - 1) for alpha in alphas], np.int64),
        np.array(exponents, np.float64),
    )
    matrix = Matrix(columns.exact, columns.levels, columns.modes, columns.ranks)

    def score(samples: Samples, hits, penalty, tick: Callable[[int], None]) -> None:
        samples = samples.take(cache_order(samples.dims, columns))
        pieces = itertools.count()
        stop = threading.Event()
        done = [0] * workers

        def work(me: int) -> tuple[np.ndarray, np.ndarray]:
            mine = np.zeros_like(hits), np.zeros_like(penalty)
            for piece in pieces:
                part = slice(piece * PIECE, (piece + 1) * PIECE)
                if stop.is_set() or part.start >= len(samples.dims):
                    return mine
                score_samples(matrix, columns.grid, samples.take(part), redundancy, *mine)
                done[me] += len(samples.dims[part])
            return mine

        for part in _together(work, workers, stop, lambda: tick(sum(done))):
            hits += part[0]
            penalty += part[1]

    return score


def _together(work, workers: int, stop: threading.Event, tick: Callable[[], None]) -> list:
    """Run work(0..workers-1) in threads, calling tick() meanwhile; if tick raises, the threads
    are asked to stop."""
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(work, me) for me in range(workers)]
        try:
            pending = set(futures)
            while pending:
                finished, pending = wait(pending, timeout=POLL, return_when=FIRST_EXCEPTION)
                for future in finished:
                    future.result()
                tick()
        finally:
            stop.set()
        return [future.result() for future in futures]


def cache_order(dims: np.ndarray, columns: Columns) -> np.ndarray:
    """(t,) order of the samples by tiles of dimensions, so that neighbours in time share
    columns."""
    per_column = columns.n_images * (2 + columns.exact.itemsize)
    tile = max(1, CACHE // (2 * per_column))
    first = dims.min(1)
    second = dims.max(1)
    row = first // tile
    column = second // tile
    column = np.where(
        row % 2 == 0, column, -column
    )  # back and forth: a new row begins where the last one ended
    return np.lexsort((second, first, column, row)) if tile > 1 else np.lexsort((second, first))
