"""Read bytes from this machine's disk, a shared file system, an object store.

Read-only, by fsspec.

A place is a path or a URL (s3://, gs://, az://, hdfs://, memory://). Whatever is read is read as a
range of bytes: an object store that answers 503 now and then, or drops a connection, is asked again
with growing pauses (`retry_waits_s`), and only then does one sentence name the URL and the remedy.
Chained URLs and protocols that run or fetch anything else are
refused: a source comes from a form that strangers may fill in.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.limits import limits
from coreset_engine.sources.remote import clients
from coreset_engine.sources.safe_names import safe_name

BLOCK = 8 * 2**20
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Item:
    """One file: path or URL, name relative to the listing, size in bytes, and a version tag."""

    path: str
    name: str
    size: int
    version: str


def is_url(text: str) -> bool:
    return _URL.match(text) is not None


def filesystem(path: str) -> tuple[Any, str]:
    """(fsspec file system, the path inside it).

    Raises BadInput for a protocol that is not supported, Missing for one whose package is not
    installed. Retries are left to `steadily`, so that they add up to a known time.
    """
    protocol = _protocol(path)
    if protocol not in clients.PACKAGES or "::" in path:
        raise BadInput(
            f"{safe_name(path)!r} is not a readable location; use a path or one of "
            f"{', '.join(name + '://' for name in clients.PACKAGES)}."
        )
    try:
        return clients.client(protocol, path)
    except ImportError:
        raise Missing(
            f"{safe_name(path)!r} needs the package {clients.PACKAGES[protocol]}; pip install "
            f"{clients.PACKAGES[protocol]}, on every node."
        ) from None
    except ValueError as error:
        words = " ".join(str(error).split())[:160]
        if "connect to account" in words or "credential" in words:
            raise BadInput(
                f"{safe_name(path)!r} has no credentials ({words}); "
                f"{clients.remedy(protocol)}, on every node."
            ) from None
        raise BadInput(
            f"{safe_name(path)!r} is not a readable URL ({words}); write it like "
            f"{clients.example(protocol)}."
        ) from None


def _protocol(path: str) -> str:
    match = _URL.match(path)
    return match[1].lower() if match else "file"


def steadily(path: str, act: Callable[[], _T]) -> _T:
    """What `act` returns; tried again after each of `retry_waits_s` while an error may pass.

    Raises BadInput in one sentence.
    """
    for wait in (*limits().retry_waits_s, None):
        try:
            return act()
        except Exception as error:  # noqa: BLE001 - each store's client raises its own; `_sentence` knows ours
            if wait is None or not _may_pass(error):
                raise _sentence(path, error, wait is None) from error
            time.sleep(
                wait * (0.5 + secrets.randbelow(1000) / 1000)
            )  # so that a hundred nodes do not ask at once
    raise AssertionError("the last try returns or raises")


def _may_pass(error: Exception) -> bool:
    if isinstance(error, BadInput) or clients.final(error):
        return False
    return isinstance(error, OSError) or type(error).__module__.split(".")[0] in clients.REMOTE


def _sentence(path: str, error: Exception, tried: bool) -> Exception:
    shown = repr(safe_name(path))
    protocol = _protocol(path)
    words = " ".join(str(error).split()).strip(" ,")[
        :120
    ]  # gcsfs: ", 503" where the store says no more
    if isinstance(error, BadInput):
        return error
    if clients.denied(error):
        return BadInput(
            f"{shown} refuses access ({words}); give this machine, and every node, credentials "
            f"with list and read permission: {clients.remedy(protocol)}."
        )
    if isinstance(error, OSError) and clients.final(error) or clients.status(error) == 404:
        return BadInput(
            f"{shown} does not exist; check the bucket and the path."
            if is_url(path)
            else (
                f"{shown} does not exist here; on a cluster every node must see it under the same "
                "path."
            )
        )
    if isinstance(error, ValueError) or clients.final(error):
        return BadInput(
            f"{shown} cannot be read ({words}); write it like {clients.example(protocol)}."
        )
    if tried:
        return BadInput(
            f"{shown} did not answer {len(limits().retry_waits_s) + 1} times within "
            f"{sum(limits().retry_waits_s):.0f} s "
            f"({words or type(error).__name__}); wait until the store responds again, then run the "
            "same command: finished shards are kept."
        )
    return error


def listed(text: str) -> list[Item]:
    """The files `text` stands for, sorted: one file, a pattern with * or ?, or a folder's files."""
    fs, path = filesystem(text)
    fs.invalidate_cache()

    literal = not is_url(text) and os.path.exists(path)
    pattern = not literal and ("*" in path or "?" in path)

    def look() -> list[dict[str, Any]]:
        if pattern:
            return list(fs.glob(_escaped(path), detail=True).values())
        about = fs.info(path)
        return [about] if about["type"] == "file" else list(fs.find(path, detail=True).values())

    files = [
        about for about in steadily(text, look) if about["type"] == "file"
    ]  # no FIFO, no device, no folder
    fs.invalidate_cache()  # which holds the same descriptions again, up to 2 kB an object
    root = re.split(r"[*?]", path)[0].rpartition("/")[0] if pattern else path.rstrip("/")
    items = [
        Item(
            _full_path(fs, text, about["name"]),
            _below(about["name"], root),
            int(about["size"] or 0),
            _version(about),
        )
        for about in files
    ]
    return sorted(items, key=lambda item: item.name)


def _escaped(path: str) -> str:
    """A pattern in whose leading folders "[" means itself."""
    head, slash, _ = re.split(r"[*?]", path)[0].rpartition("/")
    return head.replace("[", "[[]") + slash + path[len(head) + len(slash) :]


def _full_path(fs: Any, text: str, name: str) -> str:
    """The file's URL under the protocol that was requested: adlfs calls az:// abfs://."""
    if not is_url(text):
        return name
    return f"{_protocol(text)}://{fs.unstrip_protocol(name).partition('://')[2]}"


def _below(name: str, root: str) -> str:
    return (
        name[len(root) :].lstrip("/")
        if root and name.startswith(root + "/")
        else name.rpartition("/")[2]
    )


def _version(about: dict[str, Any]) -> str:
    for field in (
        "ETag",
        "etag",
        "md5Hash",
        "mtime",
        "LastModified",
        "updated",
        "last_modified",
        "created",
    ):
        if about.get(field):
            return f"{field}={about[field]}"
    return ""


def fetch(url: str, start: int, stop: int) -> bytes:
    """Bytes start..stop of the file, all of them."""
    fs, path = filesystem(url)

    def read() -> bytes:
        data = fs.cat_file(path, start=start, end=stop)
        if len(data) != stop - start:
            raise OSError(f"gave {len(data)} of {stop - start} bytes; it is now shorter")
        return data

    return steadily(url, read) if stop > start else b""


def fetch_many(urls: list[str], sizes: list[int]) -> list[bytes]:
    """Whole files of one store, concurrently where its client can; failures are retried alone."""
    contents: list[Any] = [None] * len(urls)
    fs, _ = filesystem(urls[0])
    if len(urls) > 1 and getattr(fs, "async_impl", False):
        paths = [filesystem(url)[1] for url in urls]
        try:
            contents = fs.cat_ranges(paths, [0] * len(paths), list(sizes), on_error="return")
        except Exception:  # noqa: BLE001 - `fetch` below asks again, and words what stays
            logging.getLogger(__name__).debug(
                "%s files of %s are requested one by one", len(urls), urls[0]
            )
    return [
        data if isinstance(data, bytes) and len(data) == size else fetch(url, 0, size)
        for url, size, data in zip(urls, sizes, contents, strict=True)
    ]


class Stream:
    """A seekable file over `fetch`, a block at a time: what tarfile and pyarrow read through."""

    def __init__(self, path: str, size: int, block: int = BLOCK) -> None:
        self.path = path
        self.size = size
        self.block = block
        self.at = 0
        self.closed = False
        self._from = 0
        self._held = b""

    def read(self, count: int = -1) -> bytes:
        stop = self.size if count is None or count < 0 else min(self.size, self.at + count)
        start = self.at
        self.at = max(self.at, stop)
        if start >= stop:
            return b""
        if not self._from <= start <= stop <= self._from + len(self._held):
            self._held = fetch(self.path, start, min(self.size, max(stop, start + self.block)))
            self._from = start
        return self._held[start - self._from : stop - self._from]

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = max(0, offset + (0, self.at, self.size)[whence])
        return self.at

    def tell(self) -> int:
        return self.at

    def readable(self) -> bool:
        return True

    seekable = readable

    def writable(self) -> bool:
        return False

    def flush(self) -> None:
        """Nothing is ever written."""

    def close(self) -> None:
        self.closed = True
        self._held = b""
