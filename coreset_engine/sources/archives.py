"""Unpack an uploaded zip of images without trusting it.

What was rejected is listed in a hidden file beside the images, which later openings report.

Refused as a whole, before a byte is written: more entries or bytes than the limits, an overall
ratio beyond 200:1 when the content is large. Set aside one by one: names that climb out (`..`), are
absolute, carry a drive or control characters, links and other special entries, encrypted entries,
entries that unpack to more than they declare.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import struct
import zipfile
import zlib
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from coreset_engine.core.counted import counted
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Progress, Rejected, silent
from coreset_engine.sources.decoding import EXTENSIONS, MAX_BYTES
from coreset_engine.sources.safe_names import printable_name, safe_name
from coreset_engine.sources.walk import KNOWN

MAX_ENTRIES = 2_000_000
MAX_TOTAL = 64 * 2**30
MAX_RATIO = 200
ASIDE = ".set-aside.json"
MOST_ASIDE = 10_000
MAX_ASIDE = 64 * 2**20
_SMALL = 2**20  # below this no ratio is dangerous
_CHUNK = 2**20


class ArchiveLimits(NamedTuple):
    """Most entries, most bytes in all, and the highest compression ratio of an archive."""

    entries: int = MAX_ENTRIES
    total: int = MAX_TOTAL
    ratio: int = MAX_RATIO


def extract_images(
    archive: str | Path,
    into: str | Path,
    *,
    limits: ArchiveLimits = ArchiveLimits(),
    progress: Progress = silent,
    called: str = "",
) -> tuple[Path, tuple[Rejected, ...]]:
    """Unpack the images of an archive, and nothing else, below a folder.

    Parameters
    ----------
    archive : path
        A zip or tar, compressed or not.
    into : path
        Must not exist or be empty; it appears only when all is unpacked.
    limits : ArchiveLimits
        Most entries, most bytes in all, highest compression ratio.
    progress : Progress
        Unit "files".
    called : str
        The archive's name for people, when `archive` is but a copy of it.

    Returns
    -------
    tuple
        The folder, and what was skipped.

    Raises
    ------
    BadInput
        When the archive is damaged, hostile as a whole, too large for the disk, or holds no image.
    """
    into = Path(into)
    archive = Path(archive)
    called = safe_name(called or archive.name)
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise BadInput(f"{str(into)!r} is not an empty folder; unpack into a new one.")
    partial = into.with_name(f".{into.name}.{os.getpid()}.{os.urandom(3).hex()}.tmp")
    try:
        with zipfile.ZipFile(archive) as archive_file:
            entries, rejected = _accepted(archive_file, *limits)
            _check_room(into, sum(entry.file_size for entry in entries))
            partial.mkdir(parents=True)
            for done, entry in enumerate(entries, 1):
                reason = _write(archive_file, entry, partial)
                rejected += [Rejected(safe_name(entry.filename), reason)] if reason else []
                progress(done, len(entries), "files")
        if not any(path.is_file() for path in partial.rglob("*")):
            raise BadInput(_nothing(called, rejected))
        (partial / ASIDE).write_text(json.dumps(_listed(rejected)), "utf-8")
        if into.exists():
            into.rmdir()
        os.replace(partial, into)
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        NotImplementedError,
        LookupError,
        EOFError,
        ValueError,
        OSError,
    ) as error:
        if isinstance(error, BadInput):
            raise
        full = isinstance(error, OSError) and error.errno in (
            errno.ENOSPC,
            errno.EDQUOT,
            errno.EFBIG,
        )
        raise BadInput(
            f"{called!r} cannot be unpacked ({' '.join(str(error).split())[:120]}); "
            + ("make room on the disk." if full else "create it again as an ordinary zip.")
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return into, tuple(rejected)


def _nothing(called: str, rejected: list[Rejected]) -> str:
    """Why nothing was unpacked: the most frequent reason, with an example."""
    if not rejected:
        return f"{called!r} holds no file; zip a folder of images."
    reasons = Counter(one.reason for one in rejected)
    main, count = reasons.most_common(1)[0]
    first = next(one.name for one in rejected if one.reason == main)
    aside = counted(len(rejected), "entry", "entries")
    return (
        f"{called!r} holds no image that can be unpacked: {aside} skipped, "
        f"{count:,} of them like {first!r}, which {main}."
    )


def _listed(rejected: list[Rejected]) -> list[list[str]]:
    more = (
        [[f"{len(rejected) - MOST_ASIDE:,} more", "skipped too"]]
        if len(rejected) > MOST_ASIDE
        else []
    )
    return [[one.name, one.reason] for one in rejected[:MOST_ASIDE]] + more


def set_aside(folder: Path) -> list[Rejected]:
    """What `extract_images` skipped when it made `folder`; nothing for any other folder."""
    try:
        with open(folder / ASIDE, "rb", opener=_plain) as file:
            listed = json.loads(file.read(MAX_ASIDE))
    except (OSError, ValueError, RecursionError):
        return []
    rows = listed if isinstance(listed, list) else []
    return [
        Rejected(printable_name(row[0]), printable_name(row[1]))
        for row in rows
        if isinstance(row, list) and len(row) == 2 and all(isinstance(text, str) for text in row)
    ]


def _plain(path: str, flags: int) -> int:
    """Open without waiting: an untrusted folder may hold a FIFO of this name."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError("not a regular file")


def _accepted(
    archive_file: zipfile.ZipFile, max_entries: int, max_total: int, max_ratio: int
) -> tuple[list[zipfile.ZipInfo], list[Rejected]]:
    entries = [_with_slashes(entry) for entry in archive_file.infolist()]
    entries = [entry for entry in entries if not entry.filename.endswith("/")]
    total = sum(e.file_size for e in entries)
    packed = sum(e.compress_size for e in entries)
    if len(entries) > max_entries:
        raise BadInput(
            f"the archive has {len(entries):,} entries, over the limit of {max_entries:,}; split "
            "it."
        )
    if total > max_total:
        raise BadInput(
            f"the archive unpacks to {total:,} bytes, over the limit of {max_total:,}; split it."
        )
    if total > _SMALL and total > max_ratio * max(packed, 1):
        raise BadInput(
            f"the archive unpacks to {total // max(packed, 1):,} times its size, over the limit of "
            f"{max_ratio}; ordinary images do not compress that much."
        )
    good: list[zipfile.ZipInfo] = []
    rejected: list[Rejected] = []
    taken: set[str] = set()
    for entry in entries:
        reason = _why_not(entry, taken, max_ratio)
        taken.add(entry.filename.casefold())
        if reason:
            rejected.append(Rejected(safe_name(entry.filename), reason))
        else:
            good.append(entry)
    return good, rejected


def _with_slashes(entry: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """The entry with "/" between its folders: zips of some Windows tools have backslashes."""
    if entry.create_system == 0 and "\\" in entry.filename:
        entry.filename = entry.filename.replace("\\", "/")
    return entry


def _why_not(entry: zipfile.ZipInfo, taken: set[str], max_ratio: int) -> str:
    name = entry.filename
    kind = stat.S_IFMT(entry.external_attr >> 16)
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or not path.parts:
        return "has a name that points outside the folder"
    if safe_name(name) != name or any(
        len(part.encode("utf-8", "replace")) > 255 for part in path.parts
    ):
        return "has control characters in its name, or too long a name"
    if entry.create_system != 0 and kind not in (0, stat.S_IFREG):
        return "is a link or special entry"
    if entry.flag_bits & 1:
        return "is encrypted"
    if path.suffix.lower() not in EXTENSIONS:
        return KNOWN.get(path.suffix.lower(), "is not an image by its name")
    if name.casefold() in taken:
        return "repeats a name"
    if entry.file_size > MAX_BYTES or (
        entry.file_size > _SMALL and entry.file_size > max_ratio * max(entry.compress_size, 1)
    ):
        return f"unpacks to {entry.file_size:,} bytes from {entry.compress_size:,}"
    return ""


def _check_room(into: Path, needed: int) -> None:
    parent = next(folder for folder in [into, *into.absolute().parents] if folder.exists())
    free = shutil.disk_usage(parent).free
    if needed > free:
        raise BadInput(
            f"the archive needs {needed:,} bytes, the disk has {free:,} left; make room or choose "
            "another "
            "folder."
        )


def _write(archive_file: zipfile.ZipFile, entry: zipfile.ZipInfo, root: Path) -> str:
    """Unpack one entry, never more bytes than it declares; the reason when it is damaged."""
    target = root.joinpath(*PurePosixPath(entry.filename).parts)
    written = 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive_file.open(entry) as source, open(target, "xb") as out:
            while chunk := source.read(min(_CHUNK, entry.file_size - written + 1)):
                written += len(chunk)
                if written > entry.file_size:
                    raise zipfile.BadZipFile("holds more bytes than it declares")
                out.write(chunk)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        FileExistsError,
        NotADirectoryError,
        IsADirectoryError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        if target.is_file():
            target.unlink()
        return f"is damaged ({' '.join(str(error).split())[:80]})"
    return ""
