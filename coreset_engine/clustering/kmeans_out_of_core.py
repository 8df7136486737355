"""Spherical k-means out of core: every round is a map over blocks of rows.

Differs from `kmeans`, which small sets use: starts are made and compared on a uniform sample of
rows (at most 256 MiB), each until it converges, and only the best centres are refined over all
rows, until the mean cosine gains less than 1e-5. A round reads all rows once and returns sums and
the farthest rows; memory is (C, D) numbers a thread, and 12 bytes an image for labels and
confidences. The CPU computes even where there is a GPU, which would wait for the disk: so a laptop,
a GPU machine and a cluster of like CPUs give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from coreset_engine.clustering.config import KMeansConfig
from coreset_engine.clustering.context import ClusterContext
from coreset_engine.clustering.kmeans_init import plus_plus
from coreset_engine.core.device import torch_threads
from coreset_engine.core.errors import BadInput
from coreset_engine.core.limits import limits
from coreset_engine.core.row_blocks import (
    LocalWorkers,
    Workers,
    block_of,
    in_pairs,
    kept,
    spans,
    unit_blocks,
    unit_rows,
)
from coreset_engine.core.row_streaming import scratch
from coreset_engine.core.types import PseudoLabels

_SAMPLE_PIECE = 2**14
_GAIN = 1e-5  # of the mean cosine: what another reading of all rows must bring
Tick = Callable[[float], None]  # called with the finished share of a phase; may raise Cancelled


@dataclass(frozen=True, eq=False)
class Round:
    """Sums over rows that update the centres.

    sums (C, D) float64 of the rows of each, counts (C,) int64, total of their cosines, and the rows
    farthest from their own centre, farthest first: far (k,) float32 cosines, rows (k,) int64.
    """

    sums: np.ndarray
    counts: np.ndarray
    total: float
    far: np.ndarray
    rows: np.ndarray


def kmeans_at_scale(
    vectors: np.ndarray,
    n_clusters: int,
    config: KMeansConfig,
    seed: int = 0,
    context: ClusterContext = ClusterContext(),
    *,
    piece: int | None = None,
) -> PseudoLabels:
    """As `spherical_kmeans`, with nothing of size N x D in memory.

    Parameters
    ----------
    vectors : (N, D) float
        A memmap for workers in other processes.
    n_clusters : int
    config : KMeansConfig
    seed : int
    context : ClusterContext
        Progress: unit "images"; one pass over all rows is 1 / (n_rounds + 2) of it.
    piece : int, optional
        Rows a worker reads at a time; default `limits().kmeans_rows`.

    Returns
    -------
    PseudoLabels
        probabilities is None where (N, C) would take more than 256 MiB. info also has `sample`, the
        number of rows that starts were compared on.
    """
    piece = piece or limits().kmeans_rows
    workers = context.workers or LocalWorkers(vectors)
    n = len(vectors)

    def tick(phase: float) -> None:
        context.progress(
            int(n * min(1.0, phase / (config.n_rounds + 2))), n, "images" + workers.note
        )

    draw, starts = np.random.SeedSequence(seed).spawn(2)
    sample = _sample(vectors, n_clusters, draw)
    size = len(sample)
    centres = _best_start(sample, n_clusters, config, starts, tick)
    del sample  # and its file
    centres, value, rounds = lloyd(
        workers, vectors, centres, config.n_rounds, piece, lambda share: tick(1 + share)
    )
    labels, confidence, probabilities = _named(
        workers,
        n,
        (centres, config.temperature, kept(n, n_clusters)),
        piece,
        lambda share: tick(config.n_rounds + 1 + share),
    )
    info = dict(
        method="kmeans",
        objective=value,
        rounds=rounds,
        starts=config.n_starts,
        dead=[],
        sizes=full_clusters(labels, n_clusters),
        sample=size,
    )
    return PseudoLabels(labels, confidence, n_clusters, probabilities, None, info)


def full_clusters(labels: np.ndarray, n_clusters: int) -> list[int]:
    """Images of each cluster.

    Raises
    ------
    BadInput
        When a cluster is empty.
    """
    sizes = np.bincount(labels, minlength=n_clusters)
    if (sizes == 0).any():
        raise BadInput(
            f"n_clusters={n_clusters}, but only {int((sizes > 0).sum())} groups of distinct "
            "directions were found; ask for fewer clusters."
        )
    return sizes.tolist()


def _sample(vectors: np.ndarray, n_clusters: int, draw: np.random.SeedSequence) -> np.ndarray:
    """(S, D) rows as they are stored, in their order; in a file where they are many."""
    n, d = vectors.shape
    size = min(n, max(limits().kmeans_sample_bytes // (4 * d), 50 * n_clusters))
    rows = np.sort(np.random.default_rng(draw).choice(n, size, replace=False, shuffle=False))
    sample = scratch((size, d), vectors.dtype)
    step = block_of(d)
    for start in range(0, size, step):
        sample[start : start + step] = vectors[rows[start : start + step]]
    return sample


def _best_start(
    sample: np.ndarray,
    n_clusters: int,
    config: KMeansConfig,
    starts: np.random.SeedSequence,
    tick: Tick,
) -> np.ndarray:
    """(C, D) float32 centres of the start whose objective on the sample is best."""
    tried = []
    local = LocalWorkers(sample)
    for number, stream in enumerate(starts.spawn(config.n_starts)):
        rng = np.random.default_rng(stream)
        chosen = np.sort(
            rng.choice(len(sample), min(len(sample), max(2000, 200 * n_clusters)), replace=False)
        )
        with torch_threads(1):
            centres = plus_plus(unit_rows(sample[chosen], chosen), n_clusters, rng).numpy()

        def of_start(share: float, number: int = number) -> None:
            tick((number + share / config.n_rounds) / config.n_starts)

        tried.append(lloyd(local, sample, centres, config.n_rounds, _SAMPLE_PIECE, of_start))
    return max(tried, key=lambda start: start[1])[0]


def lloyd(
    workers: Workers,
    vectors: np.ndarray,
    centres: np.ndarray,
    n_rounds: int,
    piece: int,
    tick: Tick,
) -> tuple[np.ndarray, float, int]:
    """Rounds of spherical k-means until the mean cosine gains less than 1e-5.

    Parameters
    ----------
    workers : Workers
        Read the rows.
    vectors : (N, D) float
    centres : (C, D) float32
        Where it starts.
    n_rounds : int
        Most rounds.
    piece : int
        Rows a worker reads at a time.
    tick : callable
        Called with the number of finished rounds, fractions included; may raise Cancelled.

    Returns
    -------
    centres : (C, D) float32
    value : float
        Mean cosine before the last move.
    rounds : int
    """
    last = -np.inf
    for done in range(1, n_rounds + 1):  # noqa: B007 - returned

        def of_round(share: float, done: int = done) -> None:
            tick(done - 1 + share)

        result = _round(workers, len(vectors), centres, piece, of_round)
        empty = np.flatnonzero(result.counts == 0)
        sums = result.sums
        value = result.total / len(vectors)
        if 0 < len(empty) <= len(result.rows):
            far = result.rows[: len(empty)]
            sums[empty] = unit_rows(vectors[far], far).numpy()
        centres = (sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)).astype(
            np.float32
        )
        if not len(empty) and value - last < _GAIN:
            break
        last = value
    return centres, float(value), done


def _round(workers: Workers, n: int, centres: np.ndarray, piece: int, tick: Tick) -> Round:
    cut = spans(n, piece, workers.slots)
    parts: list[Any] = [None] * len(cut)
    done = 0
    with closing(workers.map(assign, (centres, piece), cut, lambda: tick(done / n))) as steps:
        for position, part in steps:
            parts[position] = part
            done = done + cut[position][1] - cut[position][0]
            tick(done / n)
    return in_pairs(parts, _both)


def assign(vectors: np.ndarray, shared: tuple[np.ndarray, int], first: int, last: int) -> Round:
    """Assign rows to their nearest centres, piece by piece; one call is one task of a round.

    Parameters
    ----------
    vectors : (N, D) float32 or float16
        Any scale; rows are scaled to unit length.
    shared : tuple
        Centres (C, D) float32 of unit length; rows of a piece, an int.
    first, last : int
        Rows first <= i < last.

    Returns
    -------
    Round
        Sums of these rows, added in pairs, so that the split into tasks changes no bit.
    """
    centres, piece = shared
    return in_pairs(
        [
            _piece(vectors, torch.from_numpy(np.array(centres)), start, min(last, start + piece))
            for start in range(first, last, piece)
        ],
        _both,
    )


def _piece(vectors: np.ndarray, centres: torch.Tensor, first: int, last: int) -> Round:
    from scipy.sparse import csr_matrix

    count = len(centres)
    sums = np.zeros(centres.shape)
    best = np.empty(last - first, np.float32)
    counts = np.zeros(count, np.int64)
    for start, block in unit_blocks(vectors, first, last, count):
        similarity, own = (block @ centres.T).max(dim=1)
        best[start - first : start - first + len(block)] = similarity.numpy()
        order = np.argsort(own.numpy(), kind="stable")
        sizes = np.bincount(own.numpy(), minlength=count)
        # Members as a sparse matrix: its product takes a quarter of the time of a one-hot one, and
        # one order of sums.
        weights = (np.ones(len(block), np.float32), order, np.concatenate([[0], np.cumsum(sizes)]))
        sums += csr_matrix(weights, shape=(count, len(block))) @ block.numpy()
        counts += sizes
    bound = np.partition(best, min(count, len(best)) - 1)[min(count, len(best)) - 1]
    far = np.flatnonzero(best <= bound)
    return _farthest(sums, counts, float(best.sum(dtype=np.float64)), best[far], first + far)


def _both(one: Round, two: Round) -> Round:
    return _farthest(
        one.sums + two.sums,
        one.counts + two.counts,
        one.total + two.total,
        np.concatenate([one.far, two.far]),
        np.concatenate([one.rows, two.rows]),
    )


def _farthest(
    sums: np.ndarray, counts: np.ndarray, total: float, far: np.ndarray, rows: np.ndarray
) -> Round:
    keep = np.lexsort((rows, far))[: len(counts)]
    return Round(sums, counts, total, far[keep], rows[keep])


def _named(
    workers: Workers, n: int, shared: tuple[np.ndarray, float, bool], piece: int, tick: Tick
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """(labels (N,) int64, confidence (N,) float32, probabilities (N, C) float32 or None)."""
    cut = spans(n, piece)
    done = 0
    labels = scratch((n,), np.int64)
    confidence = scratch((n,), np.float32)
    probabilities = scratch((n, len(shared[0])), np.float32) if shared[2] else None
    with closing(workers.map(name, shared, cut, lambda: tick(done / n))) as steps:
        for position, (own, sure, soft) in steps:
            rows = slice(*cut[position])
            labels[rows] = own
            confidence[rows] = sure
            if probabilities is not None:
                probabilities[rows] = soft
            done += rows.stop - rows.start
            tick(done / n)
    return labels, confidence, probabilities


def name(
    vectors: np.ndarray, shared: tuple[np.ndarray, float, bool], first: int, last: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Label rows by their most probable centre.

    Parameters
    ----------
    vectors : (N, D) float32 or float16
        Any scale; rows are scaled to unit length.
    shared : tuple
        Centres (C, D) float32 of unit length; temperature > 0 of the softmax over cosines; whether
        all probabilities are wanted.
    first, last : int
        Rows first <= i < last, M of them.

    Returns
    -------
    tuple
        labels (M,) int32 in [0, C); confidence (M,) float32 in (0, 1]; probabilities (M, C)
        float32, or None.
    """
    centres = torch.from_numpy(np.array(shared[0]))
    temperature = shared[1]
    soft = []
    labels = np.empty(last - first, np.int32)
    confidence = np.empty(last - first, np.float32)
    for start, block in unit_blocks(vectors, first, last, len(centres)):
        part = torch.softmax(block @ centres.T / temperature, dim=1).numpy()
        at = start - first
        labels[at : at + len(part)] = part.argmax(axis=1)
        confidence[at : at + len(part)] = part.max(axis=1)
        if shared[2]:
            soft.append(part)
    return labels, confidence, np.concatenate(soft) if shared[2] else None
