"""A run as text: what another process or another node needs to have the very same run."""

from __future__ import annotations

import dataclasses
import json
import platform
from functools import lru_cache
from typing import Any

from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import BadInput
from coreset_engine.pipeline.config import RunConfig
from coreset_engine.pipeline.executor import PipelineRun
from coreset_engine.pipeline.imported_labels import with_labels
from coreset_engine.pipeline.run import Run
from coreset_engine.sources.open import open_source


def run_spec(run: PipelineRun) -> str:
    """JSON from which `open_run` makes the same run.

    A device that was named with its number is this machine's own; elsewhere only "cpu" is kept.
    """
    config = run.config
    device = "cpu" if config.device == "cpu" else "auto"
    about = dict(
        source=run.dataset.spec,
        fingerprint=run.dataset.fingerprint,
        home=str(run.store.home.absolute()),
        run=dataclasses.replace(config, device=device).to_record(),
        imported_labels=dict(run.imported.labels) if run.imported else None,
        label_spreading=run.imported.how if run.imported else None,
        corrected_by=run.corrected_by,
    )
    return json.dumps(about)


@lru_cache(maxsize=2)
def open_run(spec: str) -> Run:
    """The run of `run_spec`, in this process.

    Raises
    ------
    BadInput
        When the source holds other images here.
    """
    about: dict[str, Any] = json.loads(spec)
    source = about["source"]
    run = Run(
        open_source(source),
        RunConfig.from_record(about["run"]),
        store=Store(about["home"]),
        corrected_by=about["corrected_by"],
    )
    if about["imported_labels"]:
        run = with_labels(run, about["imported_labels"], about.get("label_spreading") or "clusters")
    if run.dataset.fingerprint != about["fingerprint"]:
        raise BadInput(
            f"{source!r} holds other images on the node {platform.node()}; every node must see "
            "the same source, as on a shared file system."
        )
    return run
