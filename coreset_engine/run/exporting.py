"""Send a selection of a run to a target: the table of targets and the one function the app and the shell call."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from coreset_engine.errors import BadInput
from coreset_engine.run.output import columns, write_run
from coreset_engine.run.pipeline import Run
from coreset_engine.run.selecting import select
from coreset_engine.types import Progress, Selection, silent

# target -> one line; each needs a folder `out`.
TARGETS: dict[str, str] = {
    "csv": "every image with all scores, one row each",
}


def export(run: Run, *, target: str, method: str, prune_rate: float, params: dict[str, Any] | None = None,
           must_keep: Iterable[str] = (), never: Iterable[str] = (), out: str = "", name: str = "",
           progress: Progress = silent) -> dict[str, Any]:
    """Choose again and write to `target`; what was written where."""
    if target not in TARGETS:
        raise BadInput(f"target {target!r} is unknown; known: {', '.join(TARGETS)}.")
    if not out:
        raise BadInput(f"target {target!r} needs a folder; name one.")
    chosen = select(method, run, prune_rate, must_keep, never, **(params or {}))
    folder = write_run(Path(out), run, chosen)
    _write_csv(folder / "selection.csv", run, chosen)
    progress(1, 1, "files")
    return dict(target=target, out=str(folder), kept=len(chosen))


def _write_csv(path: Path, run: Run, chosen: Selection) -> None:
    import pandas as pd

    selected = pd.Series(False, index=range(len(run.dataset)))
    selected.iloc[chosen.indices] = True
    pd.DataFrame({"id": run.dataset.ids.astype(object), "selected": selected, "score": chosen.scores,
                  **columns(run, chosen.method)}).to_csv(path, index=False)
