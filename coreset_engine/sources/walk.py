"""Walk a folder that may be hostile: no loops, no FIFOs, no devices, 100,000 files in about a
second.

Links to files are taken (data sets are often built of them); links to folders only when asked, and
never twice into the same folder. A file without an image's extension is looked at by its first
bytes, so a wrongly named picture is found and a text file is not decoded.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Rejected
from coreset_engine.sources.decoding import EXTENSIONS
from coreset_engine.sources.safe_names import safe_name

_MAGIC = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"BM",
    b"II*\x00",
    b"MM\x00*",
    b"\x00\x00\x00\x0cjP  ",
)
_DEPTH = 64


@dataclass(frozen=True)
class Found:
    """One candidate file: its place below the root (posix), its size in bytes, its modification
    time."""

    relative: str
    size: int
    modified: int


def scan(root: Path, *, follow_links: bool = False) -> tuple[list[Found], list[Rejected]]:
    """Candidate image files below `root`, sorted by name, and what was set aside on the way."""
    found: list[Found] = []
    rejected: list[Rejected] = []
    others: Counter[str] = Counter()
    seen = {_identity(os.stat(root))}
    waiting = [""]
    while waiting:
        below = waiting.pop()
        for entry in _entries(root, below, rejected):
            relative = f"{below}/{entry.name}" if below else entry.name
            if entry.name.startswith("."):
                continue
            try:
                _sort(entry, relative, root, follow_links, seen, waiting, found, rejected, others)
            except OSError as fault:
                rejected.append(
                    Rejected(display(relative), f"cannot be looked at ({fault.strerror or fault})")
                )
    for suffix, count in sorted(others.items()):
        rejected.append(Rejected(f"{suffix} ({count})", "not an image by name and first bytes"))
    found.sort(key=lambda one: one.relative)
    return found, rejected


def display(name: str) -> str:
    """A printable form of any file name, invalid bytes included."""
    return safe_name(os.fsencode(name).decode("utf-8", "backslashreplace")).replace("\\\\", "\\")


def _entries(root: Path, below: str, rejected: list[Rejected]) -> list[os.DirEntry]:
    try:
        with os.scandir(os.path.join(root, below)) as listing:
            return list(listing)
    except OSError as fault:
        if not below:
            raise BadInput(
                f"{str(root)!r} cannot be listed ({fault.strerror or fault}); check its permissions."
            ) from fault
        rejected.append(
            Rejected(display(below) + "/", f"cannot be listed ({fault.strerror or fault})")
        )
        return []


def _sort(
    entry: os.DirEntry,
    relative: str,
    root: Path,
    follow_links: bool,
    seen: set,
    waiting: list[str],
    found: list[Found],
    rejected: list[Rejected],
    others: Counter[str],
) -> None:
    """Put one entry where it belongs: a folder to walk, a candidate, or aside."""
    if entry.is_dir(follow_symlinks=True):
        reason = _why_not_enter(entry, relative, follow_links, seen)
        if reason:
            rejected.append(Rejected(display(relative) + "/", reason))
        else:
            waiting.append(relative)
        return
    if not entry.is_file(follow_symlinks=True):
        nowhere = entry.is_symlink() and not os.path.exists(os.path.join(root, relative))
        kind = (
            "is a link that leads nowhere"
            if nowhere
            else "is not a regular file (FIFO, socket, device)"
        )
        rejected.append(Rejected(display(relative), kind))
        return
    if not _is_text(relative):
        rejected.append(
            Rejected(display(relative), "has a name that is not valid UTF-8; rename it")
        )
        return
    suffix = os.path.splitext(entry.name)[1].lower()
    if suffix not in EXTENSIONS and not _looks_like_image(os.path.join(root, relative)):
        others[f"*{display(suffix)[:12]}" if suffix else "no extension"] += 1
        return
    about = entry.stat(follow_symlinks=True)
    found.append(Found(relative, about.st_size, about.st_mtime_ns))


def _why_not_enter(entry: os.DirEntry, relative: str, follow_links: bool, seen: set) -> str:
    if entry.is_symlink() and not follow_links:
        return "is a link to a folder, which is not followed; open with follow_links=True"
    if not _is_text(relative):
        return "has a name that is not valid UTF-8; rename it"
    if relative.count("/") >= _DEPTH:
        return f"lies more than {_DEPTH} folders deep"
    identity = _identity(entry.stat(follow_symlinks=True))
    if identity in seen:
        return "was already visited (a loop of links)"
    seen.add(identity)
    return ""


def _identity(about: os.stat_result) -> tuple[int, int]:
    return about.st_dev, about.st_ino


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _looks_like_image(path: str) -> bool:
    descriptor = os.open(
        path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    try:
        head = os.read(descriptor, 16)
    finally:
        os.close(descriptor)
    return (
        head.startswith(_MAGIC)
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or head[4:12] == b"ftypavif"
    )
