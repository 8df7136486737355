"""A run as text: what another process or another node needs to have the very same run."""

from __future__ import annotations

import json
import platform
from functools import lru_cache
from typing import Any

from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import BadInput
from coreset_engine.pipeline.imported_labels import with_labels
from coreset_engine.pipeline.run import Run
from coreset_engine.sources.open import open_source


def run_spec(run: Run) -> str:
    """JSON from which `open_run` makes the same run.

    A device that was named with its number is this machine's own; elsewhere only "cpu" is kept.
    """
    return json.dumps(
        dict(
            spec=run.dataset.spec,
            fingerprint=run.dataset.fingerprint,
            device="cpu" if run.device == "cpu" else "auto",
            home=str(run.store.home.absolute()),
            given=getattr(run, "given_labels", None),
            n_clusters=getattr(run, "base_clusters", run._n_clusters),
            **{
                name: getattr(run, name)
                for name in (
                    "encoder",
                    "seed",
                    "clusterer",
                    "proxy",
                    "n_samples",
                    "weights",
                    "search",
                    "corrected_by",
                )
            },
        )
    )


@lru_cache(maxsize=2)
def open_run(spec: str) -> Run:
    """The run of `run_spec`, in this process.

    Raises
    ------
    BadInput
        When the source holds other images here.
    """
    about: dict[str, Any] = json.loads(spec)
    source = about.pop("spec")
    fingerprint = about.pop("fingerprint")
    given = about.pop("given")
    run = Run(open_source(source), store=Store(about.pop("home")), **about)
    if given:
        run = with_labels(run, given)
    if run.dataset.fingerprint != fingerprint:
        raise BadInput(
            f"{source!r} holds other images on the node {platform.node()}; every node must see "
            "the same source, as on a shared file system."
        )
    return run
