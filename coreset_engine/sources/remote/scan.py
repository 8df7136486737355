"""Scan tars, Parquet files and image files once, local or remote, and cache the index.

Each picture's bytes pass through memory once, are decoded (verify="full") or have their header read
(verify="header"), and leave a line in an index: key, place in the file, size, digest, or the reason
why it is skipped. The index of a unit (one container, or CHUNK image files) is kept under the
workspace by place, size and version, so that opening again costs a listing. Units are
independent: threads scan them here, nodes on a cluster.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coreset_engine.core.counted import counted
from coreset_engine.core.device import cpu_count
from coreset_engine.core.errors import BadInput, Cancelled
from coreset_engine.core.limits import limits
from coreset_engine.core.types import Progress, Rejected, silent
from coreset_engine.sources.decoding import EXTENSIONS, MAX_BYTES, DecodeOptions, Unreadable
from coreset_engine.sources.folder_names import split_of
from coreset_engine.sources.options import ReadOptions
from coreset_engine.sources.remote import parquet, tar
from coreset_engine.sources.remote.storage import Item, fetch, is_url, listed
from coreset_engine.sources.safe_names import safe_name
from coreset_engine.sources.verdicts import LOOKS

VERSION = 4
CHUNK = 256  # single image files a unit


@dataclass(frozen=True)
class Kind:
    """One row of KINDS: the extension that tells it, and what scans one of its files."""

    name: str
    suffixes: frozenset[str]
    summary: str
    look_through: Callable[..., Iterator[dict[str, Any]]]


def _look_at_file(item: Item, examine: Any, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The one row of an image file."""
    if not 0 < item.size <= MAX_BYTES:
        reason = (
            "is empty (0 bytes)"
            if not item.size
            else (f"is {item.size:,} bytes long, over the limit of {MAX_BYTES:,}")
        )
        yield dict(key=item.name, size=item.size, digest="", reason=reason)
        return
    digest, reason, losses = examine(fetch(item.path, 0, item.size))
    yield dict(key=item.name, place=0, size=item.size, digest=digest, reason=reason, losses=losses)


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "images",
            EXTENSIONS,
            "image files below a URL; sub-folder names offered as labels",
            _look_at_file,
        ),
        Kind(
            "tar",
            frozenset((".tar",)),
            "WebDataset tars; ids are keys, labels from .cls, .txt or .json",
            tar.look_through,
        ),
        Kind(
            "parquet",
            frozenset((".parquet", ".pq")),
            "Parquet with image bytes or Hugging Face's {bytes, path}",
            parquet.look_through,
        ),
    )
}


@dataclass(frozen=True)
class Unit:
    """What is scanned and cached as one: a tar, a Parquet file, or up to CHUNK image files."""

    kind: str
    items: tuple[Item, ...]
    verify: str
    options: tuple[tuple[str, str], ...] = ()

    @property
    def size(self) -> int:
        return sum(item.size for item in self.items)

    def cache_key(self) -> str:
        """Names the remembered index: other options, another size or version give another."""
        files = [(item.path, item.name, item.size, item.version) for item in self.items]
        identity = [VERSION, self.kind, self.verify, self.options, files]
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:40]


def units_of(
    path: str, verify: str, options: dict[str, str], split: str | None = None
) -> tuple[list[Unit], list[Rejected], int]:
    """Split a remote folder into units of scanning: tars before Parquet files before single images.

    Parameters
    ----------
    path : str
        URL of a folder or file.
    verify : {"full", "header"}
        Whether pictures will be decoded, or only their headers read.
    options : dict of str
        Of the source, such as image_column.
    split : str, optional
        Which part, as in `ReadOptions`.

    Returns
    -------
    tuple
        Units; what there is no use for; how many files of a test part were left out.

    Raises
    ------
    BadInput
        When there is nothing that can be read.
    """
    if verify not in ("full", "header"):
        raise BadInput(f"verify={verify!r} is not supported; use 'full' or 'header'.")
    sorted_in: dict[str, list[Item]] = {name: [] for name in KINDS}
    others: Counter[str] = Counter()
    for item in listed(path):
        if any(part.startswith(".") for part in item.name.split("/")):
            continue
        suffix = os.path.splitext(item.name)[1].lower()
        name = next((name for name, kind in KINDS.items() if suffix in kind.suffixes), None)
        if name is None:
            others[f"*{safe_name(suffix)[:12]}" if suffix else "no extension"] += 1
        else:
            sorted_in[name].append(item)
    kind = next((name for name in ("tar", "parquet", "images") if sorted_in[name]), None)
    if kind is None:
        raise BadInput(
            f"{safe_name(path)!r} holds no tar, Parquet or image file ({sum(others.values())} "
            "others); "
            "check bucket, folder and pattern, for example s3://bucket/train/*.tar."
        )
    for name in sorted_in.keys() - {kind}:
        if sorted_in[name]:
            others[f"{name} beside {kind}"] += len(sorted_in[name])
    aside = [
        Rejected(f"{suffix} ({count})", "not of a supported kind", count)
        for suffix, count in sorted(others.items())
    ]
    step = CHUNK if kind == "images" else 1
    items, left = _of_split(kind, sorted_in[kind], split)
    frozen = tuple(sorted(options.items()))
    return (
        [
            Unit(kind, tuple(items[start : start + step]), verify, frozen)
            for start in range(0, len(items), step)
        ],
        aside,
        left,
    )


def split_of_file(kind: str, name: str) -> str | None:
    """The split that a file's folders, or the first word of a container's name, look like."""
    folders = name.split("/")[:-1]
    splits = [split for split in map(split_of, folders) if split]
    if splits or kind == "images":
        return splits[0] if splits else None
    return split_of(re.split(r"[-_.]", name.rpartition("/")[2])[0])


def _of_split(kind: str, items: list[Item], asked: str | None) -> tuple[list[Item], int]:
    """(files of the requested parts, by default all but a test part; how many were left out)."""
    if asked == "all":
        return items, 0
    splits = [split_of_file(kind, item.name) for item in items]
    if asked is None:
        kept = [item for item, split in zip(items, splits, strict=True) if split != "test"]
        others = any(split not in (None, "test") for split in splits)
        return (kept, len(items) - len(kept)) if kept and others else (items, 0)
    wanted = {word.strip() for word in asked.split(",")}
    kept = [
        item
        for item, split in zip(items, splits, strict=True)
        if split in wanted or wanted & set(item.name.split("/")[:-1])
    ]
    if not kept:
        there = sorted({split for split in splits if split}) or ["none"]
        raise BadInput(
            f"split={asked!r} is not a split of this source; there are {', '.join(there)}."
        )
    return kept, 0


def look_through_unit(
    unit: Unit, memory: Path | None, on_picture: Callable[[int], None] = lambda count: None
) -> Any:
    """The unit's index as an Arrow table, from the cache if it is there, else scanned and cached.

    on_picture: called with 1 after every picture; may raise. Raises BadInput when the store does
    not
        answer.
    """
    import pyarrow as pa

    kept = _index_path(unit, memory)
    table = _recall(kept)
    if table is not None:
        return table
    schema = pa.schema([(name, getattr(pa, kind)()) for name, kind in _SCHEMA.items()])
    table = pa.Table.from_batches(_batches(unit, on_picture, schema), schema)
    _write(kept, table)
    return table


def _batches(unit: Unit, on_picture: Callable[[int], None], schema: Any) -> Iterator[Any]:
    """Yield the unit's index in batches of `column_values` rows.

    As Python objects a row takes five times the memory.
    """
    import pyarrow as pa

    rows: dict[str, list[Any]] = {name: [] for name in _SCHEMA}
    kind = KINDS[unit.kind]
    options = dict(unit.options)
    reading: dict[str, Any] = {
        name: options.pop(name) for name in ("max_pixels", "bands") if name in options
    }
    examine = examiner(unit.verify, ReadOptions.of("container", reading).decoding)
    for number, item in enumerate(unit.items):
        for row in kind.look_through(item, examine, options):
            for name, column in rows.items():
                column.append(number if name == "item" else row.get(name, _ABSENT.get(name)))
            if len(rows["key"]) == limits().column_values:
                yield pa.record_batch(rows, schema=schema)
                rows = {name: [] for name in _SCHEMA}
            on_picture(1)
    yield pa.record_batch(rows, schema=schema)


def remembered(unit: Unit, memory: Path | None) -> bool:
    """Whether the unit's index lies in `memory`, as far as its name tells."""
    kept = _index_path(unit, memory)
    return kept is not None and kept.is_file()


def _index_path(unit: Unit, memory: Path | None) -> Path | None:
    return None if memory is None else memory / "units" / f"{unit.cache_key()}.parquet"


def remember(unit: Unit, memory: Path, table: Any) -> None:
    """Keep an index that another machine made, unless it already lies in the memory both share."""
    kept = _index_path(unit, memory)
    if _recall(kept) is None:
        _write(kept, table)


_SCHEMA = dict(
    key="string",
    item="int32",
    place="int64",
    size="int64",
    digest="string",
    reason="string",
    label="string",
    losses="string",
)
_ABSENT = dict(key="", place=-1, size=0, digest="", reason="", losses="")


def examiner(verify: str, options: DecodeOptions) -> Callable[[bytes], tuple[str, str, str]]:
    """bytes of one picture -> (digest, reason, losses)."""

    def examine(data: bytes) -> tuple[str, str, str]:
        if not data:
            return "", "is empty (0 bytes)", ""
        try:
            verdict = LOOKS[verify](data, options)
        except Unreadable as error:
            return "", str(error), ""
        except MemoryError:
            return "", "does not fit in memory when decoded", ""
        return verdict.digest, "", verdict.losses

    return examine


def _recall(kept: Path | None) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if kept is None or not kept.is_file():
        return None
    try:
        table = pq.read_table(kept)
        return table if table.schema.names == list(_SCHEMA) else None
    except (pa.ArrowException, OSError, ValueError):  # torn or foreign: look again
        return None


def _write(kept: Path | None, table: Any) -> None:
    import pyarrow.parquet as pq

    if kept is None:
        return
    temporary = kept.with_suffix(f".{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, temporary)
        os.replace(temporary, kept)
    except (
        OSError
    ):  # only a memory: without room or permission for it, the next opening looks again
        temporary.unlink(missing_ok=True)


def look_through_all(
    units: list[Unit], memory: Path | None, progress: Progress = silent
) -> list[Any]:
    """The index of every unit, in order, by threads.

    progress: unit "images"; its Cancelled stops all of them.
    """
    seen = 0
    stopped = threading.Event()
    door = threading.Lock()

    def on_picture(count: int) -> None:
        nonlocal seen
        with door:
            seen += count
        if stopped.is_set():
            raise Cancelled("cancelled.")

    threads = max(
        cpu_count(), 8 if is_url(units[0].items[0].path) else 1
    )  # a store's answers are waited for
    with ThreadPoolExecutor(max_workers=min(16, threads, len(units))) as pool:
        futures = [pool.submit(look_through_unit, unit, memory, on_picture) for unit in units]
        try:
            waiting: set[Future] = set(futures)
            while waiting:
                done, waiting = wait(waiting, timeout=0.3, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
                progress(
                    len(units) - len(waiting),
                    len(units),
                    f"files scanned ({counted(seen, 'image')})",
                )
        except BaseException:
            stopped.set()
            for future in futures:
                future.cancel()
            raise
    return [future.result() for future in futures]
