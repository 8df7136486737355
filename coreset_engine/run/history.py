"""What a person decided, per dataset: named snapshots and corrections, append-only, so that everything can be undone."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from coreset_engine.errors import BadInput


def add(kind: str, fingerprint: str, entry: dict[str, Any], home: Path | str) -> None:
    """Append `entry` to the dataset's log of `kind`; on disk before it returns."""
    path = _path(kind, fingerprint, home)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8") as log:
            fcntl.flock(log, fcntl.LOCK_EX)
            log.write(json.dumps({**entry, "at": time.time()}) + "\n")
            log.flush()
            os.fsync(log.fileno())
    except OSError as fault:
        raise BadInput(f"{path} cannot be written ({fault.strerror}); set CORESET_HOME to a folder you can write."
                       ) from None


def entries(kind: str, fingerprint: str, home: Path | str) -> list[dict[str, Any]]:
    """Entries in force, oldest first; an undo takes back the latest one before it. Half-written lines are passed over."""
    try:
        lines = _path(kind, fingerprint, home).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found: list[dict[str, Any]] = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("undo"):
            found = found[:-1]
        else:
            found.append(entry)
    return found


def corrections(fingerprint: str, home: Path | str) -> list[dict[str, Any]]:
    return entries("corrections", fingerprint, home)


def add_correction(fingerprint: str, entry: dict[str, Any], home: Path | str) -> None:
    add("corrections", fingerprint, entry, home)


def undo_correction(fingerprint: str, home: Path | str) -> None:
    add("corrections", fingerprint, {"undo": True}, home)


def snapshots(fingerprint: str, home: Path | str) -> list[dict[str, Any]]:
    return entries("snapshots", fingerprint, home)


def add_snapshot(fingerprint: str, entry: dict[str, Any], home: Path | str) -> None:
    add("snapshots", fingerprint, entry, home)


def _path(kind: str, fingerprint: str, home: Path | str) -> Path:
    return Path(home) / "history" / f"{hashlib.sha256(fingerprint.encode()).hexdigest()[:24]}.{kind}.jsonl"
