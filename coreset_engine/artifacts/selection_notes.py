"""Notes on where selections were written, so that garbage collection keeps what they need."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from coreset_engine.artifacts import filesystem
from coreset_engine.artifacts.store import Store, digest
from coreset_engine.core.errors import BadInput


def remember(store: Store, folder: Path, manifest: dict[str, Any]) -> None:
    """Record that a selection was written to `folder`, so that gc keeps what it needs."""
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
