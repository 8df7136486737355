"""Pseudo-labels on a Ray cluster: k-means rounds as tasks over vectors on a shared disk.

Centres travel once a round, to each node; a task reads its pieces from the file that all nodes map
and sends back sums. They are combined by piece number (difficulty.pieces), so the labels are those
of one machine, bit for bit where the processors are alike. A failed node costs its unfinished
tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.distributed.embedding import Speeds
from coreset_engine.distributed.ray_cluster import connect, must_see
from coreset_engine.distributed.tasks import scatter


class Nodes:
    """The nodes of a cluster as `difficulty.pieces.Workers`. vectors: a whole .npy file, mapped."""

    def __init__(self, address: str, vectors: np.memmap) -> None:
        self.address = address
        self.where = str(Path(str(vectors.filename)).absolute())
        self.note = ""
        self.ray = connect(address)
        self.slots = max(1, int(self.ray.cluster_resources().get("CPU", 1)))

    def map(
        self,
        task: Callable[..., Any],
        shared: tuple,
        items: Sequence[tuple[int, int]],
        idle: Callable[[], None],
    ) -> Generator[tuple[int, Any]]:
        """As `Workers.map`; note tells what each node did of this call, in images per second.

        Parameters
        ----------
        task, shared, items, idle
            As in `Workers.map`.
        """
        kept = self.ray.put(shared)
        speeds = Speeds()
        items_sent = [(self.where, task, [kept], first, last) for first, last in items]
        with closing(scatter(self.address, on_a_node, items_sent, idle=idle)) as steps:
            for position, result, about in steps:
                first, last = items[position]
                speeds.add(about | dict(images=last - first))
                self.note = f" ({speeds})"
                yield position, result


def on_a_node(
    where: str, task: Callable[..., Any], shared: list[Any], first: int, last: int
) -> Any:
    """Run task(vectors, shared, first, last) on this node, with one thread as everywhere.

    Parameters
    ----------
    where : str
        The .npy of vectors (N, D), which every node must see.
    task : callable
        As in `Workers.map`.
    shared : list
        One Ray reference to what every call gets.
    first, last : int
        Rows first <= i < last.
    """
    import ray
    import torch

    must_see({where: Path(where)})
    torch.set_num_threads(1)
    return task(np.load(where, mmap_mode="r", allow_pickle=False), ray.get(shared[0]), first, last)
