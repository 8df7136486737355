"""Work as Ray tasks: any function over a list of items, and blocks of a neighbour search.

A task writes what one machine would write, under the same name in the workspace that all nodes
share, and sends back a few numbers. A failed node costs its unfinished tasks: Ray gives them to
another. Nothing depends on who did what.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.core.types import Progress
from coreset_engine.distributed.embedding import Speeds, Watch
from coreset_engine.distributed.ray_cluster import connect, must_see, sentences, take_back

RETRIES = 10  # of a task whose node died; more would be the task's own doing


def scatter(
    address: str,
    function: Callable[..., Any],
    items: Sequence[tuple],
    *,
    gpu: bool = False,
    idle: Callable[[], None] = lambda: None,
) -> Generator[tuple[int, Any, dict[str, Any]]]:
    """Run a function over items on the cluster; results as they come back, in any order.

    Twice as many tasks as can run are submitted, so memory stays bounded.

    Parameters
    ----------
    address : str
        Of the cluster.
    function : callable
        Importable by name.
    items : sequence of tuple
        Arguments of each call.
    gpu : bool
        A task takes a GPU where the cluster has any, else a core.
    idle : callable
        Called every second; may raise Cancelled, which cancels what was submitted.

    Yields
    ------
    (int, object, dict)
        Index in `items`, function(*item), {node, began, ended}.
    """
    ray = connect(address)
    resources = ray.cluster_resources()
    kind = "GPU" if gpu and resources.get("GPU", 0) >= 1 else "CPU"
    task = ray.remote(
        num_cpus=0 if kind == "GPU" else 1, num_gpus=int(kind == "GPU"), max_retries=RETRIES
    )(_timed)
    waiting = list(range(len(items)))[::-1]
    running: dict[Any, Any] = {}
    watch = Watch(ray, kind)
    try:
        with sentences():
            while waiting or running:
                ahead = 2 * max(1, int(ray.cluster_resources().get(kind, 1)))
                while waiting and len(running) < ahead:
                    position = waiting.pop()
                    running[task.remote(function, items[position])] = position
                for reference in ray.wait(list(running), num_returns=1, timeout=1.0)[0]:
                    position = running.pop(
                        reference
                    )  # first: what has ended is not to be taken back
                    yield position, *ray.get(reference)
                watch.look()
                idle()
    finally:
        take_back(ray, list(running))


def _timed(function: Callable[..., Any], item: tuple) -> tuple[Any, dict[str, Any]]:
    import ray

    began = time.time()
    result = function(*item)
    return result, dict(
        node=ray.get_runtime_context().get_node_id(), began=began, ended=time.time()
    )


# -- neighbours ------------------------------------------------------------------------------------


def neighbour_steps(
    address: str, vectors: np.memmap, folder: Path
) -> Callable[[str, list[int], Progress], None]:
    """An `each` for `neighbours_at_scale`: tasks over vectors that every node maps from disk."""
    where = str(vectors.filename)
    count = len(vectors)

    def each(step: str, numbers: list[int], progress: Progress) -> None:
        size = json.loads((folder / "plan.json").read_text())[
            "piece" if step == "encode" else "block"
        ]
        speeds = Speeds()
        items = [(where, str(folder.absolute()), step, number) for number in numbers]
        for done, (position, _, about) in enumerate(scatter(address, neighbour_step, items), 1):
            rows = min(count, (numbers[position] + 1) * size) - numbers[position] * size
            speeds.add(about | dict(images=rows))
            progress(done, len(numbers), f"images ({speeds})")

    return each


def neighbour_step(where: str, folder: str, step: str, number: int) -> None:
    """One piece or block of an approximate search, on whatever node.

    Parameters
    ----------
    where : str
        The .npy of vectors (N, D), which every node must see.
    folder : str
        Folder of the search, with its plan.json.
    step : {"encode", "search"}
    number : int
        Of the piece or block, from 0.
    """
    from coreset_engine.embedding.neighbours import ivfpq

    must_see({folder: Path(folder, "plan.json"), where: Path(where)})
    ivfpq.STEPS[step](np.load(where, mmap_mode="r", allow_pickle=False), Path(folder), number)
