"""BlindCS coverage scores (also published as ZCore): samples, nearest images, shared penalties.

Semantics, all exact, in float64:
- T samples, each a point in m random dimensions (eq. 3, 4); the nearest image by L1 in that slice
  gets +1 coverage (eq. 5, 6);
- the covered image is never its own neighbour. If the nearest other image lies at distance exactly
  0, it takes the whole penalty 1, as in the authors' released program; else the alpha nearest share
  it in proportion to distance^-exponent (eq. 7, 8); alpha >= N - 1 means all others;
- score = coverage - redundancy, summed over samples (eq. 9).
Ties: among images at one distance, the order is that of a hash of the image's key and the sample's
random bits, drawn for every sample. Neither the order of the rows nor any one image is
favoured. Without keys, an image's key is a hash of its values, and images that are equal in all
dimensions share their sums equally, so that a permutation of the rows permutes the scores.
Constant dimensions, min = median and median = max are legal; NaN and infinity are refused before
any work.

Variants: `device="cpu"` (kernels/cpu.py, all cores), `device="cuda"` (kernels/cuda.py). Both are
exact and repeat bit for bit.

How many samples: `n_samples` as given, or None ("auto"): until two seeds would keep the same images
(`anytime.seed_agreement`), at most `max_samples` and 1,000 an image. `info` states T, alpha and the
agreement.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.core.config import make
from coreset_engine.core.device import cpu_count
from coreset_engine.core.errors import BadInput
from coreset_engine.core.hashing import row_keys, uniform
from coreset_engine.core.types import CoverageScores, Progress, silent
from coreset_engine.coverage import anytime
from coreset_engine.coverage.auto_alpha import auto_neighbours, auto_score
from coreset_engine.coverage.config import CoverageConfig
from coreset_engine.coverage.draws import Draws, ExplicitDraws, Sampler, check_draws
from coreset_engine.coverage.transposed import Columns, check, transpose_and_quantise

GRID = (10, 50, 100, 250, 500, 1000, 2000)
_FORMAT = 2  # of the sums in a resume file


@dataclass(frozen=True, eq=False)
class Execution:
    """Where and how scores are computed; nothing here changes a bit of them.

    Attributes
    ----------
    device : "auto", "cpu" or "cuda"
    workers : threads; None = one per core
    progress : called with (done, total, unit); may raise Cancelled
    resume : a file that keeps the sums after every round; a later call with the same settings
        continues from it and ends with the same bits
    make_scorer : (columns, alphas descending, exponents) -> Scorer, for work on other machines
    columns : the vectors transposed already, in files too large for memory
        (`partitions.transpose_to_folder`)
    """

    device: str = "auto"
    workers: int | None = None
    progress: Progress = silent
    resume: Path | None = None
    make_scorer: Callable[..., anytime.Scorer] | None = None
    columns: Columns | None = None


def coverage_scores(  # noqa: PLR0913
    vectors: np.ndarray,
    n_samples: int | str | None = 1_000_000,
    n_dims: int = 2,
    n_neighbours: int | str = 1000,
    exponent: float = 4,
    distribution: str = "triangular",
    seed: int = 0,
    device: str = "auto",
    draws: Draws | None = None,
    *,
    keys: np.ndarray | None = None,
    **options: Any,
) -> CoverageScores:
    """Coverage (eq. 6), redundancy (eq. 8) and their difference (eq. 9), summed over all samples.

    Parameters
    ----------
    vectors : (N, D) float16, float32 or float64
        Any scale, finite. A memmap is read once, in blocks of rows.
    n_samples : int, None or "auto"
        T; the paper sets 1,000,000. None or "auto": until two seeds agree, at most `max_samples`
        and 1,000 an image.
    n_dims, exponent, distribution
        m, the penalty's exponent and where samples fall, as in `CoverageConfig`.
    n_neighbours : int or "auto"
        alpha. "auto": by N, with a score whose k highest keep small coresets near random
        (auto_alpha.py).
    seed : int
    device : str
        "auto", "cpu" or "cuda".
    draws : (dims (T, m) int, points (T, m) float), optional
        Use these samples; the result is then a pure function of the input.
    keys : (N,) uint64, optional
        Of the images, for ties; default from the vectors' values.
    **options
        Further fields of `CoverageConfig` (full_score, random_start, sampler, agreement,
        agreement_at, max_samples) and of `Execution` (workers, progress, resume, make_scorer,
        columns). stability: stop an explicit T early once the two halves' coresets at `prune_rate`
        have this Jaccard index. prune_rate: the same as agreement_at.

    Returns
    -------
    CoverageScores
        score, coverage, redundancy: (N,) float64; n_samples. info: n_samples, n_neighbours,
        exponent, distribution, sampler, agreement (Jaccard index expected of two seeds, by pruning
        rate), curve (its growth), stopped ("agreement", "max_samples" or "n_samples").

    Raises
    ------
    BadInput
        For NaN or infinity, D < m, malformed draws or keys, values out of bounds.
    Cancelled
        Through `progress`.

    References
    ----------
    BlindCS eq. 3-9, table 5 (ablations), figure 4 (T).
    """
    n_images = len(check(vectors))
    automatic = n_neighbours == "auto"
    alpha = auto_neighbours(n_images) if automatic else int(n_neighbours)
    grid = coverage_grid(
        vectors,
        (alpha,),
        exponents=(exponent,),
        seed=seed,
        draws=draws,
        keys=keys,
        n_samples=n_samples,
        n_dims=n_dims,
        distribution=distribution,
        device=device,
        **options,
    )
    scores = next(iter(grid.values()))
    if not automatic:
        return scores
    keys = row_keys(check(vectors)) if keys is None else keys
    info = {**scores.info, "auto": True}
    return replace(scores, score=auto_score(scores.score, seed, keys), info=info)


def coverage_grid(
    vectors: np.ndarray,
    n_neighbours: Sequence[int] = GRID,
    *,
    exponents: Sequence[float] | None = None,
    seed: int = 0,
    draws: Draws | None = None,
    keys: np.ndarray | None = None,
    **options: Any,
) -> dict[Any, CoverageScores]:
    """Scores for several alphas (and exponents) from one sweep.

    The alpha nearest images hold the alpha' < alpha nearest. With n_samples=None each alpha stops
    at its own T.

    Parameters
    ----------
    n_neighbours, exponents
        What to score.
    vectors, seed, draws, keys, **options
        As in `coverage_scores`.

    Returns
    -------
    dict
        {alpha: CoverageScores}, or {(alpha, exponent): ...} when exponents are given; each is what
        `coverage_scores` gives, bit for bit.
    """
    wanted = list(dict.fromkeys(n_neighbours))
    powers = list(dict.fromkeys(exponents or (4.0,)))
    if not wanted:
        raise BadInput(
            "n_neighbours is empty; name at least one number of redundancy neighbours, "
            "e.g. (1000,)."
        )
    common, execution, stability = _split(options)
    configs = {
        (alpha, power): make(CoverageConfig, common | dict(n_neighbours=alpha, exponent=power))
        for power in powers
        for alpha in wanted
    }
    sweep = _prepare(vectors, list(configs.values()), seed, draws, keys, execution)
    sweep = replace(sweep, rule=_rule(sweep, stability))
    running = _run(sweep)
    scores = {}
    for (alpha, power), config in configs.items():
        scores[(alpha, power) if exponents else alpha] = _scores(sweep, running, config, seed)
    return scores


def unit_score(score: np.ndarray) -> np.ndarray:
    """score (N,) min-max normalised to [0, 1], float64 (eq. 10's reading); all equal: all 1."""
    low = float(np.min(score))
    high = float(np.max(score))
    return (np.asarray(score, float) - low) / (high - low) if high > low else np.ones(len(score))


@dataclass(frozen=True, eq=False)
class _Sweep:
    """One pass over samples for every alpha (descending) and exponent (ascending)."""

    columns: Columns
    source: Sampler | ExplicitDraws
    total: int
    config: CoverageConfig
    alphas: list[int]
    exponents: list[float]
    keys: np.ndarray
    keys_from_values: bool
    execution: Execution
    identity: str
    rule: anytime.StopRule | None = None

    def column(self, config: CoverageConfig) -> int:
        """Where the sums of one alpha and exponent are."""
        at = self.exponents.index(config.exponent)
        return at * len(self.alphas) + self.alphas.index(config.n_neighbours)


def _split(options: dict[str, Any]) -> tuple[dict[str, Any], Execution, float | None]:
    """Settings, execution and stability from keyword arguments."""
    rest = dict(options)
    stability = rest.pop("stability", None)
    if "prune_rate" in rest:
        rest["agreement_at"] = rest.pop("prune_rate")
    if rest.get("n_samples", 1) == "auto":
        rest["n_samples"] = None
    rest.setdefault("n_samples", 1_000_000)
    names = [field.name for field in dataclasses.fields(Execution)]
    execution = Execution(**{name: rest.pop(name) for name in names if name in rest})
    if execution.workers is not None and execution.workers < 1:
        raise BadInput(
            f"workers={execution.workers} must be at least 1; leave it out for one per core."
        )
    return rest, execution, stability


def _rule(sweep: _Sweep, stability: float | None) -> anytime.StopRule | None:
    config = sweep.config
    if stability is not None:
        return anytime.StopRule(stability, config.agreement_at, seeds=False)
    if config.n_samples is None and isinstance(sweep.source, Sampler):
        return anytime.StopRule(config.agreement, config.agreement_at)
    return None


def _prepare(
    vectors: np.ndarray,
    configs: list[CoverageConfig],
    seed: int,
    draws: Draws | None,
    keys: np.ndarray | None,
    execution: Execution,
) -> _Sweep:
    config = configs[0]
    vectors = check(vectors)
    supplied = None if draws is None else check_draws(draws, vectors.shape[1])
    n_dims = config.n_dims if supplied is None else supplied.dims.shape[1]
    if n_dims > vectors.shape[1]:
        raise BadInput(
            f"n_dims={n_dims} is more than the {vectors.shape[1]} dimensions of the vectors; "
            "choose fewer."
        )
    own = row_keys(vectors) if keys is None else np.asarray(keys)
    columns = execution.columns or transpose_and_quantise(
        vectors, n_dims, execution.workers or cpu_count(), None, execution.progress, own
    )
    source: Sampler | ExplicitDraws = supplied or Sampler(
        columns, n_dims, config.distribution, seed, config.sampler
    )
    alphas = sorted({one.n_neighbours for one in configs}, reverse=True)
    exponents = sorted({one.exponent for one in configs})
    drawn = (seed, n_dims, config.distribution, config.sampler)
    return _Sweep(
        columns,
        source,
        len(supplied.dims) if supplied else config.most_samples(len(vectors)),
        config,
        alphas,
        exponents,
        own,
        keys is None,
        execution,
        _identity(columns, supplied or drawn, (alphas, exponents)),
    )


def _device(device: str) -> str:
    if device == "cpu":
        return "cpu"
    from coreset_engine.core.device import resolve_device

    return resolve_device(device)


def _scorer(sweep: _Sweep) -> anytime.Scorer:
    execution = sweep.execution
    about = sweep.columns, sweep.alphas, sweep.exponents
    if execution.make_scorer is not None:
        return execution.make_scorer(*about)
    device = _device(execution.device)
    if device == "cpu":
        from coreset_engine.coverage.kernels.threads import cpu_scorer

        return cpu_scorer(*about, execution.workers or cpu_count())
    from coreset_engine.coverage.kernels.cuda import torch_scorer

    return torch_scorer(*about, device)


def _run(sweep: _Sweep) -> anytime.Running:
    """All samples, or as many as the rule asks for; resumes from the resume file."""
    execution = sweep.execution
    progress = execution.progress
    total = sweep.total
    running = None
    if execution.resume:
        running = anytime.load(execution.resume, sweep.identity, total)
    if running is None:
        count = len(sweep.alphas) * len(sweep.exponents)
        running = anytime.Running.empty(sweep.columns.n_images, count)
    rates = (*anytime.RATES, sweep.config.agreement_at)

    def after(state: anytime.Running) -> bool:
        done = state.observe(rates, sweep.rule, state.done == total)
        if execution.resume:
            anytime.save(execution.resume, state, sweep.identity)
        return done

    progress(running.done, total, "samples")
    if sweep.rule is None or not (running.done and running.observe(rates, sweep.rule, False)):
        anytime.grow(
            running,
            sweep.source,
            _scorer(sweep),
            total,
            anytime.Hooks(lambda done: progress(done, total, "samples"), after),
            long=execution.columns is not None,  # every round reads the files again
        )
    progress(running.done, running.done, "samples")
    return running


def _identity(columns: Columns, drawn: ExplicitDraws | tuple, redundancy: tuple) -> str:
    """A hash of what decides the sums (but n_samples): statistics, keys, draws and settings."""
    digest = hashlib.sha256()
    about = (columns.low, columns.high, columns.median, columns.mean, columns.std, columns.ranks)
    for part in about:
        digest.update(np.ascontiguousarray(part).tobytes())
    if isinstance(drawn, ExplicitDraws):
        digest.update(drawn.dims.tobytes() + drawn.points.tobytes())
        drawn = ("given",)
    shape = columns.exact.shape, str(columns.exact.dtype)
    digest.update(repr((_FORMAT, *shape, drawn, redundancy)).encode())
    return digest.hexdigest()


def _scores(
    sweep: _Sweep, running: anytime.Running, config: CoverageConfig, seed: int
) -> CoverageScores:
    column = sweep.column(config)
    sums = running.at(column)
    coverage = sums.hits.sum(0).astype(np.float64)
    # Each half is added as a float: together they may exceed the fixed point's 2^23.
    redundancy = sums.penalty[0] / anytime.FIXED + sums.penalty[1] / anytime.FIXED
    if sweep.keys_from_values:
        coverage, redundancy = _share_equally(sweep.keys, coverage, redundancy)
    score = {"both": coverage - redundancy, "coverage": coverage.copy(), "redundancy": -redundancy}[
        config.full_score
    ]
    if config.random_start:
        score = score + uniform(sweep.keys, 4 * seed + 3)
    curve = list(running.curves.get(column, []))
    info = dict(
        n_samples=sums.done,
        n_neighbours=config.n_neighbours,
        exponent=config.exponent,
        distribution=config.distribution,
        sampler=config.sampler,
        agreement=dict(curve[-1]["agreement"]) if curve else {},
        stopped=_reason(config, column in running.settled),
        curve=curve,
    )
    return CoverageScores(score, coverage, redundancy, sums.done, info)


def _reason(config: CoverageConfig, settled: bool) -> str:
    if settled:
        return "agreement"
    return "max_samples" if config.n_samples is None else "n_samples"


def _share_equally(keys: np.ndarray, *sums: np.ndarray) -> list[np.ndarray]:
    """Each (N,) array with its mean over images of equal keys: images that are equal everywhere."""
    groups, group, counts = np.unique(keys, return_inverse=True, return_counts=True)
    if len(groups) == len(keys):
        return list(sums)
    return [(np.bincount(group, values) / counts)[group] for values in sums]
