"""What may go from the workspace, and why: a plan first, then the sweep.

Never goes: an artefact with the vectors of a selection folder that still exists
written; any artefact of a dataset with snapshots or corrections; what is being computed; shards of
a job that can be resumed; what was of use in the last `days`. What an older version wrote without
saying from what is kept while anything is kept.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coreset_engine.artifacts import filesystem, history
from coreset_engine.artifacts.selection_notes import remember
from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import BadInput, CoresetError
from coreset_engine.jobs import manager

__all__ = ["DAYS", "Item", "Needs", "needed", "plan", "remember", "sweep"]
DAYS = 30.0


@dataclass(frozen=True)
class Item:
    """One thing that may go.

    reason: one phrase for display. source: the spec it was made from, "" when unknown.
    """

    path: Path
    bytes: int
    reason: str
    lock: Path | None = None
    source: str = ""


@dataclass(frozen=True)
class Needs:
    """What to keep: keys named by selections, their embedding keys, datasets with a history."""

    keys: frozenset[str]
    roots: frozenset[str]
    sources: frozenset[str]

    def holds(self, key: str, about: dict[str, Any]) -> bool:
        if not about:
            return bool(self.keys or self.sources)
        decided = history.log_name(str(about.get("source"))) in self.sources
        return decided or key in self.keys or about.get("root") in self.roots


def plan(store: Store, days: float = DAYS) -> list[Item]:
    """Everything that may go, largest first. Changes nothing. Raises BadInput for days < 0."""
    if not days >= 0:
        raise BadInput(
            f"days={days} must be at least 0; 0 removes everything unneeded, however recent."
        )
    needs = needed(store)
    items = [
        *_artefacts(store, needs, days),
        *_shards(store, days),
        *_made_again(store, days),
        *_temporaries(store),
        *_jobs(store, days),
    ]
    return sorted(items, key=lambda item: -item.bytes)


def sweep(store: Store, items: list[Item]) -> int:
    """Remove what `plan` found; the bytes freed. What came into use meanwhile stays."""
    freed = 0
    for item in items:
        with suppress(OSError):
            if item.lock is None:
                freed += _removed(item)
                continue
            with filesystem.try_lock(item.lock) as free:
                freed += _removed(item) if free else 0
    return freed


def needed(store: Store) -> Needs:
    """What selections, snapshots and corrections of this workspace need."""
    keys = set()
    roots = set()
    for note in (store.home / "selections").glob("*.json"):
        about = filesystem.read_json(note) or {}
        folder = Path(str(about.get("folder", "")))
        artefacts = about.get("artefacts") or {}
        now = filesystem.read_json(folder / "manifest.json")
        if now is None and not _unsure(folder):
            continue
        artefacts = artefacts | ((now or {}).get("artefacts") or {})
        keys |= set(artefacts.values())
        if "embeddings" in artefacts:
            roots.add(artefacts["embeddings"])
    return Needs(
        frozenset(keys), frozenset(roots - {None}), frozenset(history.log_names(store.home))
    )


def _unsure(folder: Path) -> bool:
    """Whether the selection may exist but cannot be read: a disk not mounted, a closed folder."""
    try:
        (folder / "manifest.json").stat()
        return True
    except FileNotFoundError:  # what lay in the temporary folder and is gone will not come back
        return not folder.parent.exists() and not folder.is_relative_to(tempfile.gettempdir())
    except OSError:
        return True


def _artefacts(store: Store, needs: Needs, days: float) -> Iterator[Item]:
    for folder in (store.home / "artefacts").glob("*/*"):
        stage = folder.parent.name
        key = folder.name
        if key.startswith(".") or not folder.is_dir():
            continue
        try:
            about = store.manifest(stage, key).get("about") or {}
        except BadInput:
            continue  # a later version's: not ours to judge
        except CoresetError:
            yield Item(folder, filesystem.size(folder), "damaged", store.lock_of(stage, key))
            continue
        if not needs.holds(key, about) and _idle(folder, days):
            yield Item(
                folder,
                filesystem.size(folder),
                f"{stage}, not needed by any selection, snapshot or correction",
                store.lock_of(stage, key),
                str(about.get("spec") or ""),
            )


def _shards(store: Store, days: float) -> Iterator[Item]:
    waiting = any(
        job.status in ("queued", "running", "interrupted") for job in manager.list_jobs(store.home)
    )
    for folder in (store.home / "work").glob("*/*"):
        stage = folder.parent.name
        key = folder.name
        if _in_use(store.lock_of(stage, key)):
            continue
        if store.has(stage, key) or (not waiting and _idle(folder, days)):
            yield Item(
                folder, filesystem.size(folder), f"unfinished {stage}", store.lock_of(stage, key)
            )


def _in_use(lock: Path) -> bool:
    """Whether a process is computing under this lock now, a job or a command in a shell."""
    if not lock.exists():
        return False
    try:
        with filesystem.try_lock(lock) as free:
            return not free
    except OSError:
        return True


MADE_AGAIN = {
    "totals": "counts of all images, recomputed on demand",
    "verified/opened": "the index of a source, rebuilt when it is opened",
}


def _made_again(store: Store, days: float) -> Iterator[Item]:
    """Files of the workspace that are rebuilt on demand."""
    for name, reason in MADE_AGAIN.items():
        for path in (store.home / name).glob("*"):
            if not path.name.startswith(".") and path.suffix != ".tmp" and _idle(path, days):
                yield Item(path, filesystem.size(path), reason)


def _temporaries(store: Store) -> Iterator[Item]:
    for folder in (
        "",
        "artefacts/*/",
        "jobs/",
        "jobs/*/",
        "work/*/*/",
        "totals/",
        "selections/",
        "verified/",
        "verified/opened/",
        "uploads/",
        "links/",
        "thumbs/*/",
        "media/*/",
    ):
        for path in store.home.glob(folder + "*.tmp"):
            if filesystem.stale(path.name):
                yield Item(path, filesystem.size(path), "left by a process that was killed")


def _jobs(store: Store, days: float) -> Iterator[Item]:
    for job in manager.list_jobs(store.home):
        folder = store.home / "jobs" / job.id
        if job.status in ("done", "failed", "cancelled") and _idle(folder, max(days, 1)):
            yield Item(folder, filesystem.size(folder), f"a finished job ({job.status})")


def _idle(folder: Path, days: float) -> bool:
    """Whether `folder` was of no use for `days`.

    A time in the future (the clock went back) counts as just now.
    """
    try:
        newest = max(
            path.stat().st_mtime
            for path in [folder, *(folder.iterdir() if folder.is_dir() else ())]
        )
    except OSError:
        return False
    return days == 0 or time.time() - newest > days * 86_400


def _removed(item: Item) -> int:
    """Out of sight by one rename first, so that a kill leaves no half artefact."""
    if item.path.is_dir():
        away = item.path.with_name(f".{item.path.name}.gone.{os.getpid()}.tmp")
        os.replace(item.path, away)
        shutil.rmtree(away, ignore_errors=True)
    else:
        item.path.unlink()
    return item.bytes
