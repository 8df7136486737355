"""Named snapshots of a session's knobs, kept per dataset in the workspace (run/history.py), shared
by all sessions."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any

from coreset_engine.artifacts import history
from ui.state import session
from ui.state.session import RunView


@dataclass(frozen=True)
class Snapshot:
    """setup: what `selecting.setup` gave. made: seconds since the epoch."""

    id: str
    name: str
    setup: dict[str, Any]
    made: float


def _dataset(view: RunView) -> str:
    """Of a sample, snapshots belong to the whole set."""
    return (view.full or view).dataset.fingerprint


def list_snapshots(view: RunView) -> list[Snapshot]:
    """The dataset's snapshots, newest first. The log is append-only: a later entry of the same name
    or a "forget" takes an earlier one out."""
    found: dict[str, Snapshot] = {}
    for entry in history.snapshots(_dataset(view), session.home()):
        if entry.get("forget"):
            found.pop(str(entry["forget"]), None)
        elif isinstance(entry.get("setup"), dict) and entry.get("name"):
            name = str(entry["name"])
            key = str(entry.get("id") or entry["name"])
            found = {other: snapshot for other, snapshot in found.items() if snapshot.name != name}
            found[key] = Snapshot(key, name, entry["setup"], float(entry.get("at", 0)))
    return sorted(found.values(), key=lambda snapshot: -snapshot.made)


def save(view: RunView, name: str, setup: dict[str, Any]) -> None:
    """Keep `setup` under `name`; a snapshot of the same name is replaced."""
    entry = {"id": secrets.token_hex(8), "name": name, "setup": setup}
    history.add_snapshot(_dataset(view), entry, session.home())


def delete(view: RunView, key: str) -> None:
    history.add_snapshot(_dataset(view), {"forget": key}, session.home())


def describe(snapshot: Snapshot) -> str:
    """Its knobs in one line, with the time it was made."""
    setup = snapshot.setup
    pins = sum(len(setup.get(name) or ()) for name in ("must_keep", "never"))
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(snapshot.made))
    return (
        f"{setup.get('method')}, {100 * float(setup.get('prune_rate', 0)):g} % removed, "
        f"beta {setup.get('beta', 0):g}" + (f", {pins} pins" if pins else "") + f", {when}"
    )
