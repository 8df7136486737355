"""BlindCS coverage scores (also published as ZCore): what is drawn, what counts as nearest, how
redundancy is shared.

Semantics, all exact, in float64:
- T samples, each a point in m random dimensions (eq. 3, 4); the nearest image by L1 in that slice
  gets +1 coverage (eq. 5, 6); ties go to the lowest index;
- the covered image is never its own neighbour. If the nearest other image lies at distance exactly
  0, it takes the whole penalty 1 (lowest index), as the authors' released program does; else the
  alpha nearest share it in proportion to distance^-exponent (eq. 7, 8), ties at the alpha-th
  distance by index; alpha >= N - 1 means all others;
- score = coverage - redundancy, summed over samples (eq. 9).
Constant dimensions, min = median and median = max are legal; NaN and infinity are refused before
any work.

Variants: `device="cpu"` (kernel.py, all cores), `device="cuda"` (torch_kernel.py). Both are exact
and repeat bit for bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.core.config import make
from coreset_engine.core.device import cpu_count
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import CoverageScores, Progress, silent
from coreset_engine.coverage import anytime
from coreset_engine.coverage.auto_alpha import auto_neighbours, auto_samples, auto_score
from coreset_engine.coverage.config import CoverageConfig
from coreset_engine.coverage.draws import (
    Draws,
    Given,
    Sampler,
    check_draws,
)
from coreset_engine.coverage.transposed import Columns, check, turn

GRID = (10, 50, 100, 250, 500, 1000, 2000)


def coverage_scores(
    vectors: np.ndarray,
    n_samples: int | str = 1_000_000,
    n_dims: int = 2,
    n_neighbours: int | str = 1000,
    exponent: float = 4,
    distribution: str = "triangular",
    seed: int = 0,
    device: str = "auto",
    draws: Draws | None = None,
    *,
    full_score: str = "both",
    random_start: bool = False,
    sampler: str = "random",
    workers: int | None = None,
    progress: Progress = silent,
    resume: Path | None = None,
    stability: float | None = None,
    prune_rate: float = 0.9,
    make_scorer: Callable[..., anytime.Scorer] | None = None,
    columns: Columns | None = None,
) -> CoverageScores:
    """Coverage (eq. 6), redundancy (eq. 8) and their difference (eq. 9), each (N,) float64, summed
    over all samples.

    vectors: (N, D) float32, float16 or float64, any scale, finite; a memmap is read once, in row
    chunks. n_neighbours="auto": alpha by N, and a score whose k highest keep small coresets near
    random (auto.py); n_samples="auto": T by N. The paper's settings are 1000 and 1,000,000.
    draws: (dims (T, m) int, points (T, m) float) instead of drawing: a pure function of the input
        then.
    resume: a file that keeps the sums after every round; a later call with the same settings and at
    least as many samples goes on from there and ends with the same bits. stability: stop early once
    the two halves' coresets at `prune_rate` overlap (Jaccard) by this much. info["curve"]: their
    agreement along the way.
    make_scorer: (columns, alphas descending, exponents) -> Scorer, for work elsewhere than on this
        machine.
    columns: the vectors turned already for slices of n_dims, in files too large for this memory
    (groups.turn_into). The result depends on seed and n_samples, not on workers, rounds or
    interruptions. Raises BadInput for NaN or infinity, D < m, malformed draws or values out of
    bounds; Cancelled through `progress`.
    """
    n_images = len(check(vectors))
    automatic = n_neighbours == "auto"
    alpha = auto_neighbours(n_images) if automatic else n_neighbours
    total = auto_samples(n_images) if n_samples == "auto" else n_samples
    found = coverage_grid(
        vectors,
        (alpha,),
        n_samples=total,
        n_dims=n_dims,
        exponents=(exponent,),
        distribution=distribution,
        seed=seed,
        device=device,
        draws=draws,
        full_score=full_score,
        random_start=random_start,
        sampler=sampler,
        workers=workers,
        progress=progress,
        resume=resume,
        stability=stability,
        prune_rate=prune_rate,
        make_scorer=make_scorer,
        columns=columns,
    )
    scores = next(iter(found.values()))
    return (
        replace(scores, score=auto_score(scores.score, seed), info={**scores.info, "auto": True})
        if automatic
        else scores
    )


def coverage_grid(
    vectors: np.ndarray,
    n_neighbours: Sequence[int] = GRID,
    *,
    n_samples: int = 1_000_000,
    n_dims: int = 2,
    exponents: Sequence[float] | None = None,
    distribution: str = "triangular",
    seed: int = 0,
    device: str = "auto",
    draws: Draws | None = None,
    full_score: str = "both",
    random_start: bool = False,
    sampler: str = "random",
    workers: int | None = None,
    progress: Progress = silent,
    resume: Path | None = None,
    stability: float | None = None,
    prune_rate: float = 0.9,
    make_scorer: Callable[..., anytime.Scorer] | None = None,
    columns: Columns | None = None,
) -> dict[Any, CoverageScores]:
    """Scores for several alphas (and exponents) from one sweep: the alpha nearest hold the alpha' <
    alpha nearest.

    Returns {alpha: CoverageScores}, or {(alpha, exponent): ...} when exponents are given; each is
    what coverage_scores gives, bit for bit. Other arguments as there; `stability` looks at the
    largest alpha.
    """
    alphas = list(dict.fromkeys(n_neighbours))
    powers = list(dict.fromkeys(exponents or (4.0,)))
    if not alphas:
        raise BadInput(
            "n_neighbours is empty; name at least one number of redundancy neighbours, e.g. (1000,)."
        )
    common = dict(
        n_samples=n_samples,
        n_dims=n_dims,
        distribution=distribution,
        full_score=full_score,
        random_start=random_start,
        sampler=sampler,
    )
    configs = {
        (a, p): make(CoverageConfig, common | dict(n_neighbours=a, exponent=p))
        for p in powers
        for a in alphas
    }
    config = next(iter(configs.values()))
    long = columns is not None  # every round reads the files again
    columns, source, total = _prepare(vectors, config, seed, draws, workers, columns, progress)
    reaches = sorted({c.n_neighbours for c in configs.values()}, reverse=True)
    exps = sorted({c.exponent for c in configs.values()})
    running = _run(
        columns,
        source,
        total,
        reaches,
        exps,
        _device(device),
        workers or cpu_count(),
        progress,
        resume,
        _identity(columns, source, seed, config, reaches, exps),
        stability,
        prune_rate,
        make_scorer,
        long,
    )
    found = {}
    for key, c in configs.items():
        column = exps.index(c.exponent) * len(reaches) + reaches.index(c.n_neighbours)
        found[key if exponents else key[0]] = _scores(running, column, c, seed)
    return found


def unit_score(score: np.ndarray) -> np.ndarray:
    """score (N,) min-max normalised to [0, 1], float64 (eq. 10's reading); all equal: all 1."""
    low = float(np.min(score))
    high = float(np.max(score))
    return (np.asarray(score, float) - low) / (high - low) if high > low else np.ones(len(score))


def _prepare(
    vectors: np.ndarray,
    config: CoverageConfig,
    seed: int,
    draws: Draws | None,
    workers: int | None,
    columns: Columns | None,
    progress: Progress,
) -> tuple[Columns, Sampler | Given, int]:
    if workers is not None and workers < 1:
        raise BadInput(f"workers={workers} must be at least 1; leave it out for one per core.")
    vectors = check(vectors)
    threads = workers or cpu_count()
    if draws is None:
        if config.n_dims > vectors.shape[1]:
            raise BadInput(
                f"n_dims={config.n_dims} is more than the {vectors.shape[1]} dimensions of the vectors; "
                "choose fewer."
            )
        columns = columns or turn(vectors, config.n_dims, threads, None, progress)
        return (
            columns,
            Sampler(columns, config.n_dims, config.distribution, seed, config.sampler),
            config.n_samples,
        )
    given = check_draws(draws, vectors.shape[1])
    columns = columns or turn(vectors, given.dims.shape[1], threads, None, progress)
    return columns, given, len(given.dims)


def _device(device: str) -> str:
    if device == "cpu":
        return "cpu"
    from coreset_engine.core.device import resolve_device

    return resolve_device(device)


def _run(
    columns,
    source,
    total,
    reaches,
    exponents,
    device,
    workers,
    progress,
    resume,
    identity,
    stability,
    prune_rate,
    make_scorer=None,
    long=False,
) -> anytime.Running:
    column = (len(exponents) - 1) * len(reaches)  # the largest alpha
    running = anytime.load(resume, identity, total) if resume else None
    running = running or anytime.Running.empty(columns.n_images, len(reaches) * len(exponents))
    if make_scorer is not None:
        score = make_scorer(columns, reaches, exponents)
    elif device == "cpu":
        from coreset_engine.coverage.kernels.threads import cpu_scorer

        score = cpu_scorer(columns, reaches, exponents, workers)
    else:
        from coreset_engine.coverage.kernels.cuda import torch_scorer

        score = torch_scorer(columns, reaches, exponents, device)

    def after(state: anytime.Running) -> bool:
        steady = False
        doubled = (
            not state.curve or state.done >= 2 * state.curve[-1]["n_samples"] or state.done == total
        )
        if doubled or stability is not None:
            figure = anytime.convergence(state, column, (*anytime.RATES, prune_rate))
            state.curve += [figure] if figure else []
            steady = (
                bool(figure)
                and stability is not None
                and figure["jaccard"][str(prune_rate)] >= stability
            )
        if resume:
            anytime.save(resume, state, identity)
        return steady

    progress(running.done, total, "samples")
    anytime.grow(
        running,
        source,
        score,
        total,
        lambda done: progress(done, total, "samples"),
        after,
        long=long,
    )
    progress(running.done, running.done, "samples")
    return running


def _identity(
    columns: Columns, source, seed: int, config: CoverageConfig, reaches, exponents
) -> str:
    """A hash of all that decides the sums, n_samples aside: the columns' statistics, the draws and
    the settings."""
    digest = hashlib.sha256()
    for part in (columns.low, columns.high, columns.median, columns.mean, columns.std):
        digest.update(np.ascontiguousarray(part).tobytes())
    if isinstance(source, Given):
        digest.update(source.dims.tobytes() + source.points.tobytes())
        told: tuple = ("given",)
    else:
        told = (seed, config.n_dims, config.distribution, config.sampler)
    digest.update(
        repr((1, columns.exact.shape, str(columns.exact.dtype), told, reaches, exponents)).encode()
    )
    return digest.hexdigest()


def _scores(
    running: anytime.Running, column: int, config: CoverageConfig, seed: int
) -> CoverageScores:
    coverage = running.hits.sum(0).astype(np.float64)
    redundancy = running.penalty[:, :, column].sum(0) / float(1 << 40)
    score = {"both": coverage - redundancy, "coverage": coverage.copy(), "redundancy": -redundancy}[
        config.full_score
    ]
    if config.random_start:
        score = score + np.random.default_rng([seed, 3]).random(len(score))
    info = dict(
        n_neighbours=config.n_neighbours,
        exponent=config.exponent,
        distribution=config.distribution,
        sampler=config.sampler,
        curve=list(running.curve),
    )
    return CoverageScores(score, coverage, redundancy, running.done, info)
