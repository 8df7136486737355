"""selection.csv: every image with all scores, one row each, in source order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coreset_engine.artifacts import filesystem
from coreset_engine.core.types import Progress, silent
from coreset_engine.export.bundle import ExportBundle


def write_csv(
    bundle: ExportBundle, destination: str | Path, progress: Progress = silent
) -> dict[str, Any]:
    """Write selection.csv into the folder `destination`.

    Columns: those of selection.parquet, `reason`, and `class` (the name) where the source has
    labels.

    Raises
    ------
    BadInput
        When it cannot be written.
    """
    path = Path(destination) / "selection.csv"
    with filesystem.writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        table = bundle.table.assign(reason=bundle.reasons)
        if bundle.truth is not None and "class" not in table:
            table = table.assign(**{"class": bundle.truth})
        table.to_csv(path, index=False)
    progress(1, 1, "files")
    return dict(path=str(path))
