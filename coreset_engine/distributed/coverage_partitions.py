"""Coverage on a cluster whose nodes cannot hold the matrix: tasks over column groups.

Where every core of every node, and this machine, has room for the whole turned matrix, nothing of
this is used: `run.cluster.coverage_scorer` scores. Else the columns are written turned beside the
unfinished sums, once, and S is chosen so that the smallest node holds what a task does: two of S
groups (m for slices of m dimensions) and, per core, one set of sums (16 bytes an image for one
alpha). A task fills a node of the smallest kind and asks Ray for that much memory, so a larger node
takes several. Two partial sums that are finished become one by a task of their own, wherever they
lie; this machine fetches one pair of sums per half-round and keeps eight numbers an image.

Any S, any cut and any order give the same bits (coverage.groups). A failed node costs its
unfinished tasks, and the partial sums that only it held, which Ray makes again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.artifacts import filesystem
from coreset_engine.core.device import free_memory
from coreset_engine.core.errors import BadInput
from coreset_engine.core.limits import limits
from coreset_engine.core.types import Progress, silent
from coreset_engine.coverage import partitions as over
from coreset_engine.coverage.draws import Samples
from coreset_engine.coverage.transposed import Columns
from coreset_engine.distributed.ray_cluster import (
    connect,
    coverage_scorer,
    must_see,
    sentences,
    take_back,
)
from coreset_engine.pipeline import memory_limits
from coreset_engine.pipeline.executor import CoverageTask

RETRIES = 10  # of a task whose node died
LEAST = 256  # samples a task: fewer are not worth reading columns for
TURNING = 48  # bytes an image and thread while columns are turned


def coverage_work(
    address: str, task: CoverageTask, progress: Progress = silent, *, groups: int | None = None
) -> dict[str, Any]:
    """Options of `coverage_scores` that run it on the cluster.

    Parameters
    ----------
    address
        Of the cluster.
    task
        Every node must see its folder.
    progress
        Unit "columns".
    groups
        Groups of columns; None: as few as the smallest node's memory allows.

    Raises
    ------
    BadInput
        When no number of groups fits the smallest node.
    """
    ray = connect(address)
    vectors = task.vectors
    n, d = vectors.shape
    nodes = _nodes(ray)
    if (
        groups is None
        and all(fits_in_memory(n, d, vectors.itemsize, cores, memory) for cores, memory in nodes)
        and memory_limits.needed("coverage", n, d, vectors.itemsize) <= free_memory()
    ):
        return dict(make_scorer=coverage_scorer(address, vectors, task.n_dims))
    threads, memory = smallest(nodes, n, task.n_alphas)
    size = over.TaskSize(n, d, vectors.itemsize, task.n_dims, task.n_alphas, threads)
    groups = groups or over.groups_for(size, memory)
    resources = dict(num_cpus=threads, memory=over.held(size, groups))
    workers = int(np.clip(free_memory() // (TURNING * n), 1, max(1, threads)))
    try:
        columns = over.transpose_to_folder(
            task.folder, vectors, task.n_dims, workers, progress, task.keys
        )
    except OSError as error:
        raise filesystem.refused(task.folder, error) from None
    make_scorer = column_scorer(address, task.folder, groups, resources)
    return dict(columns=columns, make_scorer=make_scorer)


def fits_in_memory(n: int, d: int, itemsize: int, cores: int, memory: float) -> bool:
    """Whether every core of a node can hold all columns, as `coverage_scorer`'s actors do.

    Parameters
    ----------
    n, d : int
        Images and dimensions.
    itemsize : int
        Bytes of a vector's entry, 2 or 4.
    cores : int
        Of the node; each holds the columns once.
    memory : float
        Bytes of the node.
    """
    return cores * memory_limits.needed("coverage", n, d, itemsize) <= over.SHARE * memory


def smallest(nodes: Sequence[tuple[int, float]], n: int, n_alphas: int) -> tuple[int, float]:
    """(threads, bytes) of a task: the fewest cores and the least memory of any node.

    Fewer threads where their sums would fill more than half of it.
    """
    cores, memory = (min(column) for column in zip(*nodes, strict=True))
    room = int(over.SHARE * memory / 2) // (8 * n * (1 + n_alphas)) - 2
    return max(1, min(cores, room)), memory


def _nodes(ray: Any) -> list[tuple[int, float]]:
    """(cores, bytes for work) of the living nodes that have a core.

    Raises BadInput when there are none.
    """
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    nodes = [
        (int(node["CPU"]), float(node.get("memory", 0)))
        for node in alive
        if node.get("CPU", 0) >= 1
    ]
    if not nodes:
        raise BadInput("the cluster has no node with a core; start nodes and run again.")
    return nodes


def column_scorer(
    address: str, folder: Path, groups: int, task: dict[str, Any]
) -> Callable[..., Any]:
    """A `make_scorer` whose samples are scored per set of groups of columns.

    Parameters
    ----------
    address : str
        Of the Ray cluster, or "local".
    folder : path
        Transposed columns, which every node must see.
    groups : int
        Parts that the columns are cut into.
    task : dict
        num_cpus and memory (bytes) that Ray reserves for one task.
    """

    def make_scorer(columns: Columns, alphas: Sequence[int], exponents: Sequence[float]) -> Any:
        about = over.Task(
            Path(folder).absolute(), groups, list(alphas), list(exponents), task["num_cpus"]
        )

        def score(
            samples: Samples,
            hits: np.ndarray,
            penalty: np.ndarray,
            tick: Callable[[int], None],
        ) -> None:
            tree = Tree(connect(address), about, task)
            done = 0
            with sentences(), closing(tree.grow(samples, len(columns.low))) as steps:
                for finished in steps:
                    done += finished
                    tick(done)
                hits += tree.sums[0]
                penalty += tree.sums[1]

        return score

    return make_scorer


class Tree:
    """One half-round: tasks over sets of groups at the leaves, pairwise additions above."""

    def __init__(self, ray: Any, about: over.Task, task: dict[str, Any]) -> None:
        self.ray = ray
        self.about = about
        self.task = task
        self.heard = time.monotonic()
        self.leaf = ray.remote(max_retries=RETRIES, num_returns=2, **task)(leaf)
        self.fork = ray.remote(max_retries=RETRIES, num_cpus=0)(over.add)  # at once: it makes room
        self.sums: Any = None

    def grow(self, samples: Samples, count: int) -> Generator[int]:
        """Samples finished, as tasks end; 0 about every second. At the end `sums` is their sum."""
        slots = self._slots()
        waiting = parts(samples.dims, count, self.about.groups, slots)[::-1]
        running: dict[Any, Any] = {}
        complete = []
        try:
            while waiting or running:
                while waiting and sum(
                    sums is not reports for reports, sums in running.items()
                ) < 2 * max(1, slots):
                    names, rows = waiting.pop()
                    sums, reports = self.leaf.remote(self.about, names, samples.take(rows))
                    running[reports] = sums
                for reports in self.ray.wait(
                    list(running), num_returns=1, timeout=1.0, fetch_local=False
                )[0]:
                    complete.append(running.pop(reports))
                    yield self.ray.get(reports) if reports is not complete[-1] else 0
                if len(complete) > 1:
                    sums = self.fork.remote(complete.pop(), complete.pop())
                    running[sums] = sums
                slots = self._slots()
                yield 0
            self.sums = self.ray.get(complete[0])
        finally:
            take_back(self.ray, list(running))

    def _slots(self) -> int:
        """How many tasks the living nodes take at once.

        Raises BadInput when none took any for `gone_s` seconds.
        """
        cores = self.task["num_cpus"]
        memory = self.task["memory"]
        now = time.monotonic()
        slots = sum(
            int(min(node[0] // cores, node[1] // memory)) for node in _nodes_or_none(self.ray)
        )
        if slots:
            self.heard = now
        elif now - self.heard > limits().gone_s:
            raise BadInput(
                f"the cluster has had no node with {cores} cores and {memory / 1e9:.1f} GB for "
                f"{limits().gone_s:.0f} s; start nodes and run again: finished rounds are kept."
            )
        return slots


def _nodes_or_none(ray: Any) -> list[tuple[int, float]]:
    try:
        return _nodes(ray)
    except BadInput:
        return []


def parts(
    dims: np.ndarray, count: int, groups: int, slots: int
) -> list[tuple[tuple[int, ...], np.ndarray]]:
    """Samples of every task: sets of groups, split while that gives idle nodes work.

    Parameters
    ----------
    dims : (T, m) int
        Dimensions of each sample.
    count : int
        D, dimensions in all.
    groups : int
        Parts that the columns are cut into.
    slots : int
        Tasks that can run at once.

    Returns
    -------
    list of (tuple of int, (n,) int64)
        Groups of columns that a task reads, and its samples.
    """
    sets = over.sets_of(dims, count, groups)
    wanted = -(-2 * max(1, slots) // max(1, len(sets)))
    return [
        (names, part)
        for names, rows in sets
        for part in np.array_split(rows, max(1, min(wanted, len(rows) // LEAST)))
    ]


def leaf(about: over.Task, names: tuple[int, ...], samples: Samples) -> tuple[over.Sums, int]:
    """The sums of one task's samples, and their number, which confirms that it succeeded."""
    must_see({str(about.folder): Path(about.folder, "about.npz")})
    return over.score_set(about, names, samples), len(samples.dims)
