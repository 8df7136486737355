"""Named snapshots of a session's knobs, one small JSON file each under the workspace, shared by all sessions."""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coreset_engine.errors import BadInput
from ui import state
from ui.state import RunView

_MOST = 200


@dataclass(frozen=True)
class Snapshot:
    """setup: what `selecting.setup` gave. made: seconds since the epoch."""

    id: str
    name: str
    setup: dict[str, Any]
    made: float


def _folder(view: RunView) -> Path:
    return state.home() / "snapshots" / re.sub(r"[^0-9a-zA-Z]", "", view.dataset.fingerprint)[:40]


def listed(view: RunView) -> list[Snapshot]:
    """The dataset's snapshots, newest first; unreadable files are passed over."""
    found = []
    for path in _folder(view).glob("*.json"):
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            found.append(Snapshot(path.stem, str(said["name"]), dict(said["setup"]), float(said["made"])))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sorted(found, key=lambda snapshot: -snapshot.made)


def save(view: RunView, name: str, setup: dict[str, Any]) -> Snapshot:
    """Write one; a snapshot of the same name is replaced."""
    for old in listed(view):
        if old.name == name:
            delete(view, old.id)
    if len(listed(view)) >= _MOST:
        raise BadInput(f"this dataset already has {_MOST} snapshots; delete one first.")
    made, key, folder = time.time(), secrets.token_hex(8), _folder(view)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{key}.part"
    part.write_text(json.dumps({"name": name, "setup": setup, "made": made}), encoding="utf-8")
    os.replace(part, folder / f"{key}.json")
    return Snapshot(key, name, setup, made)


def delete(view: RunView, key: str) -> None:
    if re.fullmatch(r"[0-9a-f]{16}", key):
        (_folder(view) / f"{key}.json").unlink(missing_ok=True)


def describe(snapshot: Snapshot) -> str:
    """Its knobs in one line, with the time it was made."""
    setup = snapshot.setup
    pins = sum(len(setup.get(name) or ()) for name in ("must_keep", "never"))
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(snapshot.made))
    return f"{setup.get('method')}, {100 * float(setup.get('prune_rate', 0)):g} % removed, " \
           f"beta {setup.get('beta', 0):g}" + (f", {pins} pins" if pins else "") + f", {when}"
