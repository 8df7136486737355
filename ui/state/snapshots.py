"""Named snapshots of a session's settings, stored per dataset and shared by all sessions."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any

from coreset_engine.artifacts import history
from coreset_engine.core.counted import counted
from coreset_engine.core.registry import METHODS
from coreset_engine.selection.budget import kept_count
from ui.state import session
from ui.state.run_view import RunView


@dataclass(frozen=True)
class Snapshot:
    """setup: from `ui.selection.controls.setup`. made: seconds since the epoch."""

    id: str
    name: str
    setup: dict[str, Any]
    made: float


def _dataset(view: RunView) -> str:
    """Snapshots made while looking at a sample belong to all images."""
    return (view.full or view).dataset.fingerprint


def list_snapshots(view: RunView) -> list[Snapshot]:
    """The dataset's snapshots, newest first.

    The log is append-only: a later entry of the same name, or a "forget", removes an earlier one.
    """
    snapshots: dict[str, Snapshot] = {}
    for entry in history.snapshots(_dataset(view), session.home()):
        if entry.get("forget"):
            snapshots.pop(str(entry["forget"]), None)
        elif isinstance(entry.get("setup"), dict) and entry.get("name"):
            name = str(entry["name"])
            key = str(entry.get("id") or entry["name"])
            snapshots = {
                other: snapshot for other, snapshot in snapshots.items() if snapshot.name != name
            }
            snapshots[key] = Snapshot(key, name, entry["setup"], float(entry.get("at", 0)))
    return sorted(snapshots.values(), key=lambda snapshot: -snapshot.made)


def save(view: RunView, name: str, setup: dict[str, Any]) -> None:
    """Save `setup` under `name`; a snapshot of the same name is replaced."""
    entry = {"id": secrets.token_hex(8), "name": name, "setup": setup}
    history.add_snapshot(_dataset(view), entry, session.home())


def delete(view: RunView, key: str) -> None:
    """Remove the snapshot with this id."""
    history.add_snapshot(_dataset(view), {"forget": key}, session.home())


def describe(snapshot: Snapshot, n: int) -> str:
    """Method, settings and time in one line; n: images of the dataset."""
    setup = snapshot.setup
    pins = sum(len(setup.get(name) or ()) for name in ("must_keep", "never"))
    method = str(setup.get("method"))
    kept = int(setup.get("count") or 0) or kept_count(n, float(setup.get("prune_rate", 0)))
    parts = [
        METHODS[method].title if method in METHODS else method,
        f"{kept:,} of {n:,} images",
    ]
    if setup.get("beta"):
        parts.append(f"hardest {100 * float(setup['beta']):g}% skipped")
    if pins:
        parts.append(f"{counted(pins, 'image')} pinned")
    parts.append(time.strftime("%Y-%m-%d %H:%M", time.localtime(snapshot.made)))
    return ", ".join(parts)
