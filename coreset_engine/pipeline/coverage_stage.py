"""Coverage scores of a run, of one number of redundancy neighbours or of several from one sweep.

A sweep saves its sums as it goes, so that one that was stopped resumes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from coreset_engine.core.types import CoverageScores, Progress
from coreset_engine.pipeline.executor import CoverageTask, Executor, PipelineRun
from coreset_engine.pipeline.stages import DEFAULT_ALPHA, StageResult, coverage_arrays


class CoverageRun(PipelineRun, Protocol):
    """What coverage is computed from; `pipeline.run.Run` is one."""

    executor: Executor

    @property
    def tie_keys(self) -> np.ndarray: ...
    def key_of(self, stage: str, **params: Any) -> str: ...
    def tick(self, stage: str) -> Progress: ...


def settings_of(run: CoverageRun, params: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `CoverageConfig`: the run's, and `params` over them."""
    config = run.config
    own = dict(n_samples=config.n_samples, seed=config.seed, n_neighbours=DEFAULT_ALPHA)
    return own | config.effective("coverage") | dict(params)


def compute(run: CoverageRun, settings: dict[str, Any]) -> StageResult:
    """(arrays, info) of the scores under `settings`, as `settings_of` gives them."""
    from coreset_engine.coverage.scores import coverage_scores

    work = _resumable(run, settings)
    return coverage_arrays(coverage_scores(run.vectors, **settings, keys=run.tie_keys, **work))


def sweep(run: CoverageRun, alphas: Sequence[int]) -> Iterator[tuple[int, CoverageScores]]:
    """(alpha, scores) of each number of redundancy neighbours, from one pass over the samples.

    What the pass saved is removed once all of them were taken.
    """
    from coreset_engine.coverage.scores import coverage_grid

    common = settings_of(run, {})
    del common["n_neighbours"]
    work = _resumable(run, common | dict(n_neighbours=list(alphas)))
    yield from coverage_grid(run.vectors, alphas, **common, keys=run.tie_keys, **work).items()
    shutil.rmtree(work["resume"].parent, ignore_errors=True)


def _resumable(run: CoverageRun, settings: dict[str, Any]) -> dict[str, Any]:
    """Options of a long sweep: where sums are saved, progress, device, and the scorer."""
    folder = run.store.work("coverage", run.key_of("coverage", **settings))
    progress = run.tick("coverage")
    work = dict(resume=folder / "sums.npz", progress=progress, device=run.config.device)
    task = CoverageTask(
        run.vectors,
        folder / "columns",
        settings.get("n_dims", 2),
        np.size(settings.get("n_neighbours", 1)),
        run.tie_keys,
    )
    return work | run.executor.coverage_options(task, progress)
