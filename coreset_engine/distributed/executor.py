"""The executor that spreads a run over a Ray cluster; see `pipeline.executor.Executor`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.core.row_blocks import Workers, large
from coreset_engine.core.types import Dataset, Progress, silent
from coreset_engine.distributed import clustering, coverage_partitions, embedding, full_stages
from coreset_engine.distributed.tasks import neighbour_steps, scatter
from coreset_engine.pipeline.executor import CoverageTask, EmbeddingTask, PipelineRun, Steps


class RayExecutor:
    """The nodes of the Ray cluster at `address`; "local" starts one on this machine.

    Parameters
    ----------
    address
        As `ray.init` takes it. Nothing is connected before the executor is first used.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    def open_source(self, source: str, progress: Progress = silent) -> Dataset:
        return embedding.open_on(self.address, source, progress)

    def embed_shards(self, task: EmbeddingTask, progress: Progress = silent) -> dict[str, float]:
        return embedding.embed_on(self.address, task, progress)

    def compute_stage(
        self, run: PipelineRun, stage: str, params: dict[str, Any], progress: Progress = silent
    ) -> None:
        """Send "pseudo_labels" or "dynamics" of a source that nodes can open to the best node.

        Parameters
        ----------
        run, stage, params, progress
            As in `Executor.compute_stage`.
        """
        if run.dataset.reopenable and stage in ("pseudo_labels", "dynamics"):
            full_stages.make_there(self.address, run, stage, params, progress)

    def clustering_workers(self, run: PipelineRun) -> Workers | None:
        vectors = run.vectors
        if not isinstance(vectors, np.memmap) or not large(*vectors.shape):
            return None
        if run.config.clusterer != "kmeans":
            return None
        return clustering.Nodes(self.address, vectors)

    def neighbour_steps(self, vectors: np.ndarray, folder: Path) -> Steps | None:
        if not isinstance(vectors, np.memmap):
            return None
        return neighbour_steps(self.address, vectors, folder)

    def coverage_options(self, task: CoverageTask, progress: Progress = silent) -> dict[str, Any]:
        return coverage_partitions.coverage_work(self.address, task, progress)

    def map(
        self,
        function: Callable[..., Any],
        items: Sequence[tuple[Any, ...]],
        *,
        gpu: bool = False,
        idle: Callable[[], None] = lambda: None,
    ) -> Generator[tuple[int, Any]]:
        """Calls as Ray tasks, on any node.

        Parameters
        ----------
        function, items, gpu, idle
            As in `Executor.map`.
        """
        with closing(scatter(self.address, function, items, gpu=gpu, idle=idle)) as results:
            for index, value, _ in results:
                yield index, value
