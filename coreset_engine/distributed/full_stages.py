"""Stages computed by one node of a Ray cluster.

Networks on pixels always; TEMI and proxies on vectors where the cluster has a GPU and this machine
has none.

The artefact is written there, into the workspace that all nodes share. Its progress is in a
small file beside it, which the machine that asked reads once a second.
"""

from __future__ import annotations

import platform
import time
from pathlib import Path
from typing import Any

from coreset_engine.artifacts import filesystem
from coreset_engine.core.device import resolve_device
from coreset_engine.core.limits import limits
from coreset_engine.core.registry import CLUSTERERS, PROXIES, look_up
from coreset_engine.core.types import Progress
from coreset_engine.distributed.ray_cluster import connect
from coreset_engine.distributed.tasks import scatter
from coreset_engine.pipeline.executor import PipelineRun
from coreset_engine.pipeline.run_spec import open_run, run_spec

TOLD = "told.json"


def make_there(
    address: str, run: PipelineRun, stage: str, params: dict[str, Any], progress: Progress
) -> None:
    """Compute "dynamics" or "pseudo_labels" as one task; the artefact is then in the store.

    Does nothing where it exists, or where this machine is as fast as a node.

    Parameters
    ----------
    address : str
        Of the Ray cluster, or "local".
    run : PipelineRun
        Its store must be one that every node sees.
    stage : {"dynamics", "pseudo_labels"}
    params : dict
        What distinguishes the artefact, such as labels="true".
    progress : Progress
        Units of the stage itself.
    """
    if run.store.has(stage, run.stored_as(stage, **params)) or not _gains(
        address, run, stage, params
    ):
        return
    if stage == "pseudo_labels":
        run.neighbours  # noqa: B018 - made here, with all of the cluster, before one task asks for them
    elif params["labels"] == "pseudo":
        run.pseudo_labels  # noqa: B018 - as above
    _one_node(address, run, stage, params, progress)


def _gains(address: str, run: PipelineRun, stage: str, params: dict[str, Any]) -> bool:
    """Whether a single node would be faster; k-means is distributed over all nodes instead."""
    if stage == "pseudo_labels":
        return "neighbours" in look_up(
            CLUSTERERS, run.config.clusterer, "clusterer"
        ).needs and better_there(address, run)
    return "images" in look_up(
        PROXIES, params.get("proxy", run.config.proxy), "proxy"
    ).needs or better_there(address, run)


def better_there(address: str, run: PipelineRun) -> bool:
    """Whether the cluster has a GPU, this machine none, and no device was chosen by name."""
    if run.config.device != "auto" or resolve_device() != "cpu":
        return False
    return connect(address).cluster_resources().get("GPU", 0) >= 1


def _one_node(
    address: str, run: PipelineRun, stage: str, params: dict[str, Any], progress: Progress
) -> None:
    estimate = run.store.work(stage, run.stored_as(stage, **params)) / TOLD
    estimate.unlink(missing_ok=True)
    heard: dict[str, Any] = dict(done=0, total=1, unit="(on a node of the cluster)")

    def report() -> None:
        heard.update(filesystem.read_json(estimate) or {})
        progress(heard["done"], heard["total"], heard["unit"])

    item = (run_spec(run), str(estimate.absolute()), stage, params)
    for _, note, _ in scatter(
        address, full_stage_task, [item], gpu=run.config.device != "cpu", idle=report
    ):
        heard.update(note)
        progress(heard["total"], heard["total"], heard["unit"])


def full_stage_task(
    settings: str, summary: str, stage: str, params: dict[str, Any]
) -> dict[str, Any]:
    """Compute on the node what `Run.dynamics_at` or `Run.clusters` would.

    Parameters
    ----------
    settings : str
        The run as JSON, for `open_run`.
    summary : str
        File that progress is written to, which the sender reads.
    stage : {"dynamics", "pseudo_labels"}
    params : dict
        As in `make_there`.

    Returns
    -------
    dict
        The last note of the progress.
    """
    run = open_run(settings)
    run.progress = teller = Teller(Path(summary), stage)
    try:
        run.dynamics_at(**params) if stage == "dynamics" else run.clusters
    finally:
        run.progress = None  # a later task on this node has its own
    return teller.note


class Teller:
    """A `Run.progress` that writes a stage's progress into a file, at most once a second.

    note: the last one received.
    """

    def __init__(self, path: Path, stage: str) -> None:
        self.path = path
        self.stage = stage
        self.written = -limits().progress_s
        self.note: dict[str, Any] = {}

    def __call__(self, stage: str, done: int, total: int, unit: str = "") -> None:
        if stage != self.stage:
            return
        self.note = dict(done=done, total=total, unit=f"{unit} (on {platform.node()})".strip())
        now = time.monotonic()
        if now - self.written < limits().progress_s:
            return
        self.written = now
        try:
            filesystem.write_json(self.path, self.note, sync=False)
        except OSError:
            pass  # the caller gets no progress for a while; the work continues
