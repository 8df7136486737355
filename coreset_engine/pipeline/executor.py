"""Where the work of a run is done: on this machine, or on a cluster.

An executor never changes what comes out, only which processors compute it, so it enters no artefact
key. `LocalExecutor` is the default; `coreset_engine.distributed.executor.RayExecutor` spreads the
same work over a Ray cluster. The pipeline knows the protocol and the registry's row of dotted paths
(`core.registry.EXECUTORS`), never Ray itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from coreset_engine.artifacts.store import Store
from coreset_engine.core.registry import EXECUTORS, load
from coreset_engine.core.row_blocks import Workers
from coreset_engine.core.types import Artefacts, Dataset, Progress, PseudoLabels, silent
from coreset_engine.pipeline.config import ImportedLabels, RunConfig

# step(name, numbers of the pieces to compute, progress)
Steps = Callable[[str, list[int], Progress], None]


@dataclass(frozen=True)
class EmbeddingTask:
    """Shards of vectors to compute.

    Parameters
    ----------
    dataset
        The images.
    encoder, weights
        As in `RunConfig`.
    shards
        Folder of the shard files; every machine of the executor must see it.
    device
        "auto", "cpu" or "cuda".
    sizes
        Image size of every network of the encoder, settled on the whole source.
    shard_size
        Images a shard.
    """

    dataset: Dataset
    encoder: str
    weights: str | None
    shards: Path
    device: str = "auto"
    sizes: tuple[int | None, ...] = ()
    shard_size: int = 1024


@dataclass(frozen=True)
class CoverageTask:
    """A sweep of coverage samples.

    Parameters
    ----------
    vectors
        (N, D) float32 or float16.
    folder
        Where transposed columns go if the executor needs them.
    n_dims
        Dimensions of a random slice.
    n_alphas
        Numbers of redundancy neighbours scored in the same sweep.
    keys
        (N,) uint64 of the images, for ties; None: from the vectors.
    """

    vectors: np.ndarray
    folder: Path
    n_dims: int = 2
    n_alphas: int = 1
    keys: np.ndarray | None = None


class PipelineRun(Artefacts, Protocol):
    """What an executor reads of a run: artefacts, settings and the store."""

    store: Store
    config: RunConfig
    corrected_by: list[dict[str, Any]] | None
    imported: ImportedLabels | None

    @property
    def clusters(self) -> PseudoLabels: ...
    def stored_as(self, stage: str, **params: Any) -> str: ...


class Executor(Protocol):
    """Distributes the work of a run. Every method may do nothing; the run then computes locally."""

    @property
    def address(self) -> str | None:
        """Address of the cluster, or None for this machine."""
        ...

    def open_source(self, source: str, progress: Progress = silent) -> Dataset:
        """`sources.open.open_source`, with the scan of remote archives shared out."""
        ...

    def embed_shards(self, task: EmbeddingTask, progress: Progress = silent) -> dict[str, float]:
        """Write missing shards; images per second of each node, empty where nothing was done."""
        ...

    def compute_stage(
        self, run: PipelineRun, stage: str, params: dict[str, Any], progress: Progress = silent
    ) -> None:
        """Leave "pseudo_labels" or "dynamics" in the store if another machine is better at it.

        Parameters
        ----------
        run : PipelineRun
        stage : str
            Any stage; others than those two are left alone.
        params : dict
            What distinguishes the artefact from others of the stage.
        progress : Progress
            Units of the stage itself.
        """
        ...

    def clustering_workers(self, run: PipelineRun) -> Workers | None:
        """Who shares the rounds of a large k-means; None for the threads of this process."""
        ...

    def neighbour_steps(self, vectors: np.ndarray, folder: Path) -> Steps | None:
        """Who computes the blocks of an approximate search; None for this process."""
        ...

    def coverage_options(self, task: CoverageTask, progress: Progress = silent) -> dict[str, Any]:
        """Keyword arguments for `coverage_scores` that send its samples elsewhere."""
        ...

    def map(
        self,
        function: Callable[..., Any],
        items: Sequence[tuple[Any, ...]],
        *,
        gpu: bool = False,
        idle: Callable[[], None] = lambda: None,
    ) -> Iterator[tuple[int, Any]]:
        """(index in items, function(*item)) as calls end, in any order.

        Parameters
        ----------
        function
            Importable by name, and so are its arguments' types.
        gpu
            Give each call a GPU where the cluster has any.
        idle
            Called about every second; may raise Cancelled.
        """
        ...


class LocalExecutor:
    """This machine: the run computes everything locally."""

    address: str | None = None

    def open_source(self, source: str, progress: Progress = silent) -> Dataset:
        from coreset_engine.sources.open import open_source

        return open_source(source, progress=progress)

    def embed_shards(self, task: EmbeddingTask, progress: Progress = silent) -> dict[str, float]:
        return {}

    def compute_stage(
        self, run: PipelineRun, stage: str, params: dict[str, Any], progress: Progress = silent
    ) -> None:
        """Do nothing: the run computes it.

        Parameters
        ----------
        run, stage, params, progress
            As in `Executor.compute_stage`.
        """
        return None

    def clustering_workers(self, run: PipelineRun) -> Workers | None:
        return None

    def neighbour_steps(self, vectors: np.ndarray, folder: Path) -> Steps | None:
        return None

    def coverage_options(self, task: CoverageTask, progress: Progress = silent) -> dict[str, Any]:
        return {}

    def map(
        self,
        function: Callable[..., Any],
        items: Sequence[tuple[Any, ...]],
        *,
        gpu: bool = False,
        idle: Callable[[], None] = lambda: None,
    ) -> Iterator[tuple[int, Any]]:
        """One call after the other, in order.

        Parameters
        ----------
        function, items, gpu, idle
            As in `Executor.map`; gpu means nothing here.
        """
        for index, item in enumerate(items):
            yield index, function(*item)
            idle()


def make_executor(cluster: str | None) -> Executor:
    """The executor of `--cluster ADDRESS`: None or "" is this machine, else a Ray cluster.

    Nothing is connected before the executor is first used.
    """
    if not cluster:
        return LocalExecutor()
    executor: Executor = load(EXECUTORS["ray"])(cluster)
    return executor
