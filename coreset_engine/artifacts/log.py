"""The event log: JSON lines in CORESET_HOME/log/coreset.jsonl, rotated, shared by processes.

A line holds at, pid, event and the caller's fields. Rotation happens under a lock, so that no two
processes rotate.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from pathlib import Path
from typing import Any

from coreset_engine.artifacts import filesystem
from coreset_engine.core.errors import BadInput
from coreset_engine.core.limits import limits

KEPT = 3


def path_of(home: Path | str) -> Path:
    return Path(home) / "log" / "coreset.jsonl"


def write(home: Path | str, event: str, **fields: Any) -> bool:
    """Append one line; whether it could be.

    A log that cannot be written never stops the work.
    """
    path = path_of(home)
    at = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    line = json.dumps(dict(at=at, pid=os.getpid(), event=event, **fields), default=str) + "\n"
    try:
        with filesystem.lock(path.with_name(".lock")):
            if path.exists() and path.stat().st_size + len(line) > limits().log_bytes:
                _rotate(path)
            with open(path, "a", encoding="utf-8") as out:
                out.write(line)
    except (OSError, BadInput):
        return False
    return True


def tail(home: Path | str, count: int = 200) -> list[dict[str, Any]]:
    """The last `count` lines, oldest first; a torn line is passed over."""
    entries: deque[dict[str, Any]] = deque(maxlen=count)
    path = path_of(home)
    for file in [*(_old(path, number) for number in range(KEPT, 0, -1)), path]:
        try:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict):
                entries.append(entry)
    return list(entries)


def _old(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _rotate(path: Path) -> None:
    for number in range(KEPT - 1, 0, -1):
        if _old(path, number).exists():
            os.replace(_old(path, number), _old(path, number + 1))
    os.replace(path, _old(path, 1))
