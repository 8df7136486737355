"""Stages on a Ray cluster: Ray Data embeds shards, actors score blocks of samples.

Nothing of the result depends on who did what: embedding workers write the very shard files that one
machine writes, and coverage sums are integers, added in any order. So a run on a cluster ends with
the artefacts, the keys and the selection of a run on one machine. A failed node costs its
unfinished shards or blocks; Ray gives them to another. Where nodes cannot hold the matrix for the
coverage scores, run.cluster_columns takes their place.

The workspace (CORESET_HOME) and a source on disk must be reachable under the same path on every
node, as on a shared file system; vectors that are not travel through Ray's object store. A source
on an object store is read by the nodes themselves, with their own credentials. Needs
the package ray.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.installation import python_path
from coreset_engine.core.limits import limits
from coreset_engine.sources.open import home

BLOCK = 4096  # coverage samples a task: about a tenth of a second a core at 60,000 images
SILENCE_S = 600.0  # a block takes seconds, reading 1.28 million vectors minutes
# Where object stores other than the clouds' own answer; nodes need it. Credentials they have
# themselves.
ADDRESSES = ("AWS_ENDPOINT_URL", "STORAGE_EMULATOR_HOST")


def connect(address: str) -> Any:
    """The module `ray`, connected to `address` ("local" starts one here).

    Raises Missing or BadInput.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise Missing(
            f'cluster={address!r} needs Ray, which is not installed; pip install "ray[data]".'
        ) from None
    if ray.is_initialized():
        return ray
    options = {
        "PYTHONPATH": python_path(),
        "RAY_USAGE_STATS_ENABLED": "0",
        "CORESET_HOME": str(home().absolute()),
    }
    options |= {name: os.environ[name] for name in ADDRESSES if os.environ.get(name)}
    common: dict[str, Any] = dict(
        log_to_driver=False, logging_level="ERROR", runtime_env={"env_vars": options}
    )
    try:
        if address == "local":
            ray.init(include_dashboard=False, _node_ip_address="127.0.0.1", **common)
        else:
            ray.init(address=address, **common)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        words = " ".join(str(error).split())[:160]
        raise BadInput(
            f"cluster={address!r} does not answer ({words}); start it with `ray start --head`, or "
            "use cluster='local'."
        ) from None
    return ray


def must_see(files: dict[str, Path]) -> None:
    """Raise BadInput on a node where a file is missing. files: displayed path -> a file in it."""
    if not all(file.is_file() for file in files.values()):
        raise BadInput(
            f"the node {platform.node()} does not see {' and '.join(map(repr, files))}; "
            "CORESET_HOME must lie on a file system that all nodes share."
        )


class CoverageWorker:
    """One worker of the coverage stage: holds the columns of all vectors, scores blocks."""

    def __init__(
        self,
        where: str,
        handed: np.ndarray | None,
        dims: int,
        alphas: Sequence[int],
        exponents: Sequence[float],
        ranks: np.ndarray,
    ) -> None:
        """Columns and kernel of one core.

        Parameters
        ----------
        where : str
            The .npy of vectors (N, D), read where none are handed over.
        handed : (N, D) float32 or float16, or None
            Vectors from Ray's object store.
        dims : int
            Dimensions of a random slice, m.
        alphas : sequence of int
            Redundancy neighbours, descending.
        exponents : sequence of float
            Of the penalty, > 0.
        ranks : (N,) uint32
            Ranks of the images' keys, for ties.
        """
        from coreset_engine.coverage.kernels.threads import cpu_scorer
        from coreset_engine.coverage.transposed import transpose_and_quantise

        vectors = (
            handed if handed is not None else np.load(where, mmap_mode="r", allow_pickle=False)
        )
        self.columns = transpose_and_quantise(vectors, dims, keys=ranks)
        self.shape = (len(alphas) * len(exponents),)
        self.scorer = cpu_scorer(self.columns, alphas, exponents, 1)

    def hello(self) -> bool:
        """Answers once the columns are there."""
        return True

    def score(self, samples: Any) -> tuple[np.ndarray, np.ndarray]:
        """(hits (N,), penalty (N, C)), int64, of one block."""
        n = self.columns.n_images
        hits = np.zeros(n, np.int64)
        penalty = np.zeros((n, *self.shape), np.int64)
        self.scorer(samples, hits, penalty, lambda done: None)
        return hits, penalty


def coverage_scorer(address: str, vectors: np.ndarray, n_dims: int = 2) -> Callable[..., Any]:
    """A `make_scorer` for `coverage_scores` with one actor per core of the cluster."""

    def make_scorer(columns: Any, alphas: Sequence[int], exponents: Sequence[float]) -> Any:
        ray = connect(address)
        where = str(vectors.filename) if isinstance(vectors, np.memmap) else ""
        handed = None if where else ray.put(np.asarray(vectors))
        kind = ray.remote(num_cpus=1)(CoverageWorker)
        count = max(1, int(ray.cluster_resources().get("CPU", 1)))
        ranks = ray.put(columns.ranks)
        actors = [
            kind.remote(where, handed, n_dims, list(alphas), list(exponents), ranks)
            for _ in range(count)
        ]
        pool = ActorPool(ray, actors)

        def score(
            samples: Any,
            hits: np.ndarray,
            penalty: np.ndarray,
            tick: Callable[[int], None],
        ) -> None:
            with sentences():
                for done, block in pool.scatter(samples):
                    hits += block[0]
                    penalty += block[1]
                    tick(done)

        return score

    return make_scorer


class ActorPool:
    """The actors that score blocks: used once ready, dropped when they die.

    Not left to Ray's restarts: those wait for a free core, which a lost spot instance never gives
    back. Nor to Ray's word that a node is gone, which comes late or never: what an actor holds for
    too long is given to others, and it gets no more until it answers. Each block counts once; sums
    are integers, so it is the same whose answer that was.
    """

    def __init__(self, ray: Any, actors: Sequence[Any]) -> None:
        self.ray = ray
        self.ready: list[Any] = []
        self.slowest = 0.0
        self.starting = {actor.hello.remote(): actor for actor in actors}
        self.running: dict[
            Any, tuple[Any, int, float, object]
        ] = {}  # reference: actor, block, when given, whose

    def scatter(self, samples: Any) -> Iterator[tuple[int, Any]]:
        """Yield (samples done, sums of a block) as they finish; free actors get the next block."""
        count = len(samples.dims)
        waiting = list(range(0, count, BLOCK))[::-1]
        lacking = set(range(0, count, BLOCK))
        mine = object()
        heard = time.monotonic()
        while lacking:
            self._let_go_of_the_late(waiting, lacking, mine)
            for actor, start in self._next(waiting, mine):
                part = slice(start, start + BLOCK)
                self.running[actor.score.remote(samples.take(part))] = (
                    actor,
                    start,
                    time.monotonic(),
                    mine,
                )
            for reference in self.ray.wait(
                [*self.running, *self.starting], num_returns=1, timeout=1.0
            )[0]:
                heard = time.monotonic()
                block = self._fetch(reference)
                if reference in self.starting:
                    self._welcome(self.starting.pop(reference), block)
                    continue
                actor, start, item_key, whose = self.running.pop(reference)
                self._welcome(actor, block)
                if whose is mine and start in lacking and block is not None:
                    lacking.remove(start)
                    waiting[:] = [other for other in waiting if other != start]
                    self.slowest = max(self.slowest, heard - item_key)
                    left = sum(min(BLOCK, count - other) for other in lacking)
                    yield count - left, block
                elif whose is mine and start in lacking and start not in waiting:
                    waiting.append(start)
            if not self.ready and not self.starting or time.monotonic() - heard > SILENCE_S:
                raise BadInput(
                    "the cluster has no worker that answers; start nodes with free cores and run "
                    "again: finished rounds are kept."
                )

    def _welcome(self, actor: Any, answer: Any) -> None:
        """Who answers gets blocks, who died gets none."""
        self.ready = [other for other in self.ready if other is not actor] + (
            [] if answer is None else [actor]
        )

    def _next(self, waiting: list[int], mine: object) -> Iterator[tuple[Any, int]]:
        """(actor, block) to hand out: one running and one queued per actor, which bounds memory."""
        for actor in [*self.ready, *self.ready]:
            if (
                waiting
                and sum(held[0] is actor and held[3] is mine for held in self.running.values()) < 2
            ):
                yield actor, waiting.pop()

    def _let_go_of_the_late(self, waiting: list[int], lacking: set[int], mine: object) -> None:
        """Requeue the blocks of actors that take too long, where other actors are free."""
        before = time.monotonic() - max(limits().late_s, 3 * self.slowest)
        late = [held[0] for held in self.running.values() if held[2] < before]
        prompt = [actor for actor in self.ready if not any(actor is other for other in late)]
        if not prompt or len(prompt) == len(self.ready):
            return
        self.ready = prompt
        held = {
            start
            for actor, start, _, whose in self.running.values()
            if whose is mine and any(actor is other for other in late)
        }
        waiting += sorted(held & lacking - set(waiting))

    def _fetch(self, reference: Any) -> Any:
        """What `reference` stands for; None when its actor died."""
        try:
            return self.ray.get(reference)
        except (self.ray.exceptions.RayActorError, self.ray.exceptions.ObjectLostError):
            return None


def take_back(ray: Any, handed: Sequence[Any]) -> None:
    """Cancel the tasks of `handed` that have not ended.

    One that has just ended must not be: Ray 2.60 ends this process when the cancellation meets the
    task's own last breath.
    """
    if handed:
        for reference in ray.wait(
            list(handed), num_returns=len(handed), timeout=0, fetch_local=False
        )[1]:
            ray.cancel(reference)


@contextmanager
def sentences() -> Iterator[None]:
    """Ray's errors carry ours inside; show that, or one sentence."""
    import ray.exceptions

    try:
        yield
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, (BadInput, Missing)):
            raise error.cause from None
        raise
    except ray.exceptions.RayActorError as error:
        words = " ".join(str(error).split())[:160]
        raise BadInput(
            f"the cluster lost its workers ({words}); start more nodes and run again: finished "
            "work is kept."
        ) from None
