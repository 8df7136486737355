"""Durable file operations: atomic writes, fsync, locks, and OS errors as one sentence.

Nothing here trusts the clock, and nothing leaves a half-written file under a final name.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coreset_engine.core.errors import BadInput

POLL_S = 0.1
WRITABLE_FOLDER = "choose a folder you can write, on a disk with room"


def refused(path: Path | str, error: OSError, remedy: str = "") -> BadInput:
    """The sentence for a disk that says no: what, why, what to do."""
    if not remedy:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        remedy = (
            "make room (`coreset gc` lists what can be removed) and run again: finished "
            "work is kept"
            if full
            else "set CORESET_HOME to a folder you can write"
        )
    return BadInput(f"{str(path)!r} cannot be written ({error.strerror or error}); {remedy}.")


@contextmanager
def writing(path: Path | str, remedy: str = WRITABLE_FOLDER) -> Iterator[None]:
    """Turn what the system refuses while `path` is written into one sentence.

    Raises
    ------
    BadInput
        For every OSError of the block, with the reason and `remedy`.
    """
    try:
        yield
    except OSError as error:
        raise refused(path, error, remedy) from None


def make_folder(path: Path) -> None:
    """mkdir -p. Raises BadInput."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise refused(path, error) from None


def sync_folder(path: Path) -> None:
    """Make renames inside `path` durable; does nothing on file systems that cannot."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EROFS):
            raise
    finally:
        os.close(handle)


def write_atomic(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write `data` to `path` atomically.

    Raises OSError; no temporary file is left after an error or a crash.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        if stale(left.name):
            left.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(3).hex()}.tmp")
    try:
        with open(temporary, "wb") as out:
            out.write(data)
            if sync:
                out.flush()
                os.fsync(out.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if sync:
        sync_folder(path.parent)


def write_json(path: Path, value: dict[str, Any], *, sync: bool = True) -> None:
    write_atomic(path, json.dumps(value, default=str).encode(), sync=sync)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in the file, or None when it is absent, broken or no object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _patience() -> None:
    """What is done between two tries for a lock when the caller has nothing to say."""


@contextmanager
def lock(path: Path, waiting: Callable[[], None] = _patience) -> Iterator[None]:
    """Hold the advisory lock `path` against all processes and threads.

    The kernel releases it when the process dies.

    waiting: called every 0.1 s while another holds it; may raise Cancelled. Raises BadInput when
        the folder refuses.
    """
    with _open_for_write(path) as handle:
        while not _taken(handle):
            waiting()
            time.sleep(POLL_S)
        yield


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Whether the lock was free; if so it is held inside the block."""
    with _open_for_write(path) as handle:
        yield _taken(handle)


@contextmanager
def _open_for_write(path: Path) -> Iterator[Any]:
    make_folder(path.parent)
    try:
        handle = open(path, "a")  # never removed: a lock file that comes and goes locks nothing
    except OSError as error:
        raise refused(path, error) from None
    with handle:
        yield handle


def _taken(handle: Any) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def alive(pid: int) -> bool:
    """Whether a process of this number exists (it may be another's by now)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def stale(name: str) -> bool:
    """Whether `name` is one of our temporaries (NAME.PID[.xxxxxx].tmp) whose process is gone."""
    parts = name.split(".")
    pids = [int(part) for part in parts[-3:-1] if part.isdigit() and int(part) > 0]
    return parts[-1] == "tmp" and bool(pids) and not any(alive(pid) for pid in pids)


def size(path: Path) -> int:
    """Bytes of a file or of a folder and all in it; what vanishes meanwhile counts nothing."""
    if path.is_file():
        return path.stat().st_size
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                continue
    return total
