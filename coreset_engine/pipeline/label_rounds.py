"""Labels from people, put back into a run: score again with them, and choose the next part with the
labelled kept.

How labels of some images become labels of all: `pipeline.imported_labels`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from coreset_engine.artifacts.selection_folder import check_place, read_selection
from coreset_engine.artifacts.store import Store
from coreset_engine.core.registry import METHODS, load
from coreset_engine.pipeline.imported_labels import agreement, spread, with_labels
from coreset_engine.pipeline.manifest import write_run
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.select import select
from coreset_engine.sources.label_import import read_labels
from coreset_engine.sources.open import open_source

__all__ = ["agreement", "rescore", "spread", "with_labels"]


def rescore(
    folder: Path | str,
    file: Path | str,
    out: Path | str,
    *,
    prune_rate: float | None = None,
    store: Store | None = None,
    progress: Any = None,
) -> dict[str, Any]:
    """Take the labels in `file` for the selection in `folder`; write the next selection to `out`;
    what was learnt.

    The labelled images are kept, the rest is chosen by the same method, where it watches training
    on the new labels.
    """
    check_place(out)
    _, manifest = read_selection(folder)
    given = read_labels(file)
    run = Run(
        open_source(manifest["source"]),
        manifest["encoder"],
        weights=manifest.get("weights"),
        store=store,
        progress=progress,
        corrected_by=manifest.get("corrections", []),
        **manifest["run"],
    )
    labelled = with_labels(run, given)
    params = {
        name: value
        for name, value in manifest["params"].items()
        if name not in ("must_keep", "beta")
    }
    rate = params.pop("prune_rate") if prune_rate is None else prune_rate
    method = manifest["method"]
    params.pop("prune_rate", None)
    if "labels" in {field.name for field in dataclasses.fields(load(METHODS[method].config))}:
        params["labels"] = "true"
    chosen = select(method, labelled, rate, must_keep=list(labelled.given_labels), **params)
    written = write_run(out, labelled, chosen)
    return dict(
        labelled=len(labelled.given_labels),
        unknown=len(given) - len(labelled.given_labels),
        agreement=agreement(run, labelled.given_labels),
        classes=len(labelled.dataset.classes),
        kept=len(chosen),
        new=len(chosen) - len(labelled.given_labels),
        out=str(written),
    )
