"""Notes on where selections were written, so that garbage collection keeps what they need."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from coreset_engine.artifacts import filesystem
from coreset_engine.artifacts.store import Store, digest
from coreset_engine.core.errors import BadInput


def remember(store: Store, folder: Path, manifest: dict[str, Any]) -> None:
    """Note that the selection in `folder` was written, so that what it needs stays as long as it
    lies there."""
    absolute = Path(folder).absolute()
    note = dict(
        folder=str(absolute),
        artefacts=manifest.get("artefacts", {}),
        source=manifest.get("source_fingerprint"),
    )
    path = store.home / "selections" / f"{digest(str(absolute))}.json"
    with suppress(OSError, BadInput):  # a workspace that cannot be written cannot be swept either
        filesystem.make_folder(path.parent)
        filesystem.write_json(path, note)
