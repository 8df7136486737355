"""BlindCS coverage scores: what is drawn, what counts as nearest, and how redundancy is shared out.

Semantics, all exact: the nearest image is by L1 in the slice, ties to the lowest index; the covered image is never its
own neighbour; if the nearest other image lies at distance 0 it takes the whole penalty (lowest index), as the authors'
program does; else the alpha nearest share it by distance^-exponent, ties at the alpha-th distance by index;
alpha >= N - 1 means all others.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from coreset_engine.device import cpu_count
from coreset_engine.errors import BadInput
from coreset_engine.knobs import knob
from coreset_engine.types import CoverageScores, Progress, silent

BLOCK = 256


@dataclass(frozen=True)
class CoverageConfig:
    """The paper's settings (BlindCS 5.2-5.4)."""

    n_samples: int = knob(1_000_000, "samples T drawn over the embedding space", low=1)
    n_dims: int = knob(2, "embedding dimensions m of each random slice", low=1)
    n_neighbours: int = knob(1000, "redundancy neighbours alpha", low=1)
    exponent: float = knob(4.0, "how steeply the penalty falls with distance", low=0.0)
    distribution: str = knob("triangular", "where samples fall per dimension",
                             choices=("triangular", "gaussian", "uniform"))


def coverage_scores(vectors: np.ndarray, n_samples: int = 1_000_000, n_dims: int = 2, n_neighbours: int = 1000,
                    exponent: float = 4, distribution: str = "triangular", seed: int = 0, device: str = "auto",
                    draws: tuple[np.ndarray, np.ndarray] | None = None, *, workers: int | None = None,
                    progress: Progress = silent) -> CoverageScores:
    """Coverage (eq. 6), redundancy (eq. 8) and their difference (eq. 9), each (N,) float64, summed over all samples.

    vectors: (N, D) float32 or float16, finite. draws: (dims (T, m) int, points (T, m) float) instead of drawing.
    The result depends on seed, not on workers. Raises BadInput for NaN or inf, D < m, or malformed draws.
    """
    columns = _columns(vectors)
    dims, points = draws if draws is not None else (None, None)
    if draws is None and not 1 <= n_dims <= len(columns):
        raise BadInput(f"n_dims={n_dims} must lie between 1 and the {len(columns)} dimensions of the vectors.")
    total = n_samples if draws is None else len(dims)
    blocks = [(start, min(start + BLOCK, total)) for start in range(0, total, BLOCK)]
    streams = np.random.SeedSequence(seed).spawn(len(blocks))
    shape = None if draws is not None else _summary(columns, distribution)

    def job(number: int) -> tuple[np.ndarray, np.ndarray]:
        start, stop = blocks[number]
        if draws is not None:
            return np.ascontiguousarray(dims[start:stop], np.int64), np.ascontiguousarray(points[start:stop], float)
        return _draw(np.random.default_rng(streams[number]), stop - start, n_dims, shape, distribution)

    hits, penalty = _run(columns, job, blocks, n_neighbours, exponent, workers or cpu_count(), progress, total)
    coverage, redundancy = hits.astype(np.float64), penalty / float(1 << 40)
    return CoverageScores(coverage - redundancy, coverage, redundancy, total)


def _run(columns, job, blocks, alpha, exponent, workers, progress, total) -> tuple[np.ndarray, np.ndarray]:
    from coreset_engine.coverage.kernel import score_block

    n = columns.shape[1]

    def work(first: int) -> tuple[np.ndarray, np.ndarray]:
        hits, penalty = np.zeros(n, np.int64), np.zeros(n, np.int64)
        for number in range(first, len(blocks), workers):
            score_block(columns, *job(number), int(alpha), float(exponent), hits, penalty)
            if first == 0:
                progress(min(total, blocks[number][1]), total, "samples")
        return hits, penalty

    with ThreadPoolExecutor(workers) as pool:
        parts = list(pool.map(work, range(min(workers, len(blocks)))))
    return sum(part[0] for part in parts), sum(part[1] for part in parts)


def _columns(vectors: np.ndarray) -> np.ndarray:
    if getattr(vectors, "ndim", 0) != 2:
        raise BadInput(f"vectors must be 2-D (images x dimensions), got shape {np.shape(vectors)}.")
    columns = np.ascontiguousarray(np.asarray(vectors).T, dtype=np.float32)
    if not np.isfinite(columns).all():
        raise BadInput("vectors hold NaN or infinity; remove those rows or embed the images again.")
    return columns


def _summary(columns: np.ndarray, distribution: str) -> dict[str, Any]:
    if distribution not in ("triangular", "gaussian", "uniform"):
        raise BadInput(f"distribution={distribution!r} is unknown; use triangular, gaussian or uniform.")
    summary = dict(low=columns.min(axis=1), high=columns.max(axis=1))
    if distribution == "triangular":
        return summary | dict(median=np.median(columns, axis=1))
    return summary | dict(mean=columns.mean(axis=1, dtype=float), std=columns.std(axis=1, dtype=float))


def _draw(rng, count: int, m: int, summary: dict[str, Any], distribution: str) -> tuple[np.ndarray, np.ndarray]:
    """(count, m) dims without replacement per sample (eq. 4) and points by eq. 3 (or the ablation's shapes)."""
    n_columns = len(summary["low"])
    dims = rng.integers(n_columns, size=(count, m))
    for row in range(count):  # redraw the few rows in which a dimension repeats
        while len(set(dims[row])) < m:
            dims[row] = rng.choice(n_columns, m, replace=False)
    low, high = summary["low"][dims].astype(float), summary["high"][dims].astype(float)
    if distribution == "uniform":
        return dims, rng.uniform(low, high)
    if distribution == "gaussian":
        return dims, rng.normal(summary["mean"][dims], summary["std"][dims])
    flat = high <= low
    return dims, np.where(flat, low, rng.triangular(low, summary["median"][dims], np.where(flat, low + 1, high)))
