"""A dataset's named snapshots and corrections as append-only logs, so that each can be undone."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from coreset_engine.artifacts import filesystem


def add(kind: str, fingerprint: str, entry: dict[str, Any], home: Path | str) -> None:
    """Append `entry` to the dataset's log of `kind`; on disk before it returns.

    Parameters
    ----------
    kind : str
        Name of the log: "corrections", "snapshots", ...
    fingerprint : str
        Of the dataset.
    entry : dict
        JSON-able; the time is added as "at".
    home : path
        The workspace.

    Raises
    ------
    BadInput
        When the disk refuses.
    """
    path = _path(kind, fingerprint, home)
    filesystem.make_folder(path.parent)
    data = (json.dumps({**entry, "at": time.time()}) + "\n").encode()
    try:
        with open(path, "a+b", buffering=0) as log:
            fcntl.flock(log, fcntl.LOCK_EX)
            _append(log, data)
        filesystem.sync_folder(path.parent)
    except OSError as error:
        raise filesystem.refused(path, error) from None


def _append(log: Any, data: bytes) -> None:
    """One whole line at the end.

    A line left incomplete by a crash is closed first; a refused one is removed.
    """
    end = log.seek(0, os.SEEK_END)
    if end:
        log.seek(end - 1)
        data = data if log.read(1) == b"\n" else b"\n" + data
    try:
        while data:
            data = data[log.write(data) :]
        os.fsync(log.fileno())
    except OSError:
        os.ftruncate(log.fileno(), end)
        raise


def entries(kind: str, fingerprint: str, home: Path | str) -> list[dict[str, Any]]:
    """Active entries, oldest first; an undo takes back the latest one before it.

    Torn lines are passed over.
    """
    try:
        lines = _path(kind, fingerprint, home).read_bytes().splitlines()
    except OSError:
        return []
    kept: list[dict[str, Any]] = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if not isinstance(entry, dict):
            continue
        if entry.get("undo"):
            kept = kept[:-1]
        else:
            kept.append(entry)
    return kept


def undo(kind: str, fingerprint: str, home: Path | str) -> None:
    """Undo the latest active entry."""
    add(kind, fingerprint, {"undo": True}, home)


def stamp(kind: str, fingerprint: str, home: Path | str) -> tuple[int, int, int] | None:
    """A value that changes when the log changes; None without a log."""
    try:
        about = _path(kind, fingerprint, home).stat()
    except OSError:
        return None
    return about.st_ino, about.st_size, about.st_mtime_ns


def corrections(fingerprint: str, home: Path | str) -> list[dict[str, Any]]:
    return entries("corrections", fingerprint, home)


def add_correction(fingerprint: str, entry: dict[str, Any], home: Path | str) -> None:
    add("corrections", fingerprint, entry, home)


def undo_correction(fingerprint: str, home: Path | str) -> None:
    undo("corrections", fingerprint, home)


def snapshots(fingerprint: str, home: Path | str) -> list[dict[str, Any]]:
    return entries("snapshots", fingerprint, home)


def add_snapshot(fingerprint: str, entry: dict[str, Any], home: Path | str) -> None:
    add("snapshots", fingerprint, entry, home)


def log_name(fingerprint: str) -> str:
    """The first part of the file names of a dataset's logs: 24 hex digits."""
    return hashlib.sha256(fingerprint.encode()).hexdigest()[:24]


def log_names(home: Path | str) -> set[str]:
    """`log_name` of every dataset that has a log with entries."""
    return {
        path.name.split(".")[0]
        for path in (Path(home) / "history").glob("*.jsonl")
        if path.stat().st_size
    }


def _path(kind: str, fingerprint: str, home: Path | str) -> Path:
    return Path(home) / "history" / f"{log_name(fingerprint)}.{kind}.jsonl"
