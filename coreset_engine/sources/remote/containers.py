"""Parquet files, WebDataset tars and object-store folders as a Dataset, scanned once.

    DIR/*.tar, ONE.tar, s3://BUCKET/train/     tars, Parquet files or images, distinguished by their
    extensions ...#id=COLUMN&label=COLUMN&image=COLUMN    columns of a Parquet file; verify=header
    decodes no pixel when opening

What is read and when: opening lists the files and scans every one that is not cached
(sources.looking), one pass over all bytes, nothing kept but an index. Afterwards images are read by
slices where they are embedded or shown (sources.slices), never all in memory.

The fingerprint is that of a folder source, over ids and digests: the same files under the same
names are the same source, wherever they lie.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

import numpy as np

from coreset_engine.core.counted import counted
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Dataset, Note, Progress, Rejected, silent
from coreset_engine.sources import arrow_columns
from coreset_engine.sources.decoding import EXTENSIONS, DecodeOptions
from coreset_engine.sources.folder import _fingerprint
from coreset_engine.sources.folder_labels import FEW, MODES, understand
from coreset_engine.sources.options import ReadOptions, not_taken
from coreset_engine.sources.remote import index_cache
from coreset_engine.sources.remote.class_lists import declared_classes
from coreset_engine.sources.remote.index_cache import ContainerIndex
from coreset_engine.sources.remote.readers import ContainerReader
from coreset_engine.sources.remote.scan import KINDS, Unit, look_through_all, remembered, units_of
from coreset_engine.sources.remote.storage import is_url
from coreset_engine.sources.safe_names import printable_name, safe_name
from coreset_engine.sources.verdicts import loss_note

COLUMNS = ("id", "image", "label")
READING = ("labels", "split", "fit", "verify", "max_pixels", "bands")
OPTIONS = (*COLUMNS, *READING)
_ONE = rf"(?:{'|'.join(OPTIONS)})=[^#&]*"
_OPTIONS = re.compile(rf"#({_ONE}(?:&{_ONE})*)$")
_FOREIGN = re.compile(r"[#&](fps|patches)=([^#&]*)")  # options of folders alone
_FRACTION = re.compile(r"-?\d*\.\d+(e-?\d+)?", re.IGNORECASE)
_MOST_KEYS = 1_000_000  # keys of tars whose folders are looked at
_SUFFIXES = tuple(
    suffix for name, kind in KINDS.items() if name != "images" for suffix in kind.suffixes
)


def is_container(text: str) -> bool:
    """Whether `text` is a URL, local tars or Parquet files, or a folder that holds only those."""
    path = _without_options(text)
    if os.path.isdir(os.path.expanduser(path)):
        return _holds_containers(os.path.expanduser(path))
    return is_url(path) or path.lower().endswith(_SUFFIXES)


def _is_path(text: str) -> bool:
    """Whether the whole text is a path of this machine, whatever characters are in it."""
    try:
        return os.path.exists(os.path.expanduser(text))
    except (OSError, ValueError):
        return False


def _without_options(text: str) -> str:
    return text if _is_path(text) else _OPTIONS.sub("", text)


def _holds_containers(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            suffixes = {
                "/" if entry.is_dir() else os.path.splitext(entry.name)[1].lower()
                for entry in entries
                if not entry.name.startswith(".")
            }
    except OSError:
        return False
    return bool(suffixes & set(_SUFFIXES)) and not suffixes & {"/", *EXTENSIONS}


def local_folder(text: str) -> str | None:
    """The folder of this machine that a file:// URL means, as a path; None for anything else."""
    local_path = _without_options(text)
    path = local_path.removeprefix("file://")
    if path == local_path:
        return None
    written = (path, unquote(path))  # file:///my%20data is what a browser or a program writes
    return next((one for one in written if os.path.isdir(one)), None)


def open_container(
    text: str, *, memory: Path | None = None, progress: Progress = silent, **options: str
) -> Dataset:
    """Every usable image of `text` (see the module), by file name, then by position in the file.

    ids: a tar's keys, a Parquet file's column `id` or `file:row`, an image file's name below the
    URL; keys that several tars share are written `tar:key`. labels: a tar's label members, a
    Parquet column (`label`, or one called label or class), sub-folder names; None when there are
    none. memory: where indexes are remembered. Raises BadInput when nothing usable is there, a
    column is missing, or the store does not answer.
    """
    path, chosen = split_options(text, options)
    reading = reading_of(chosen)
    units, aside, left = units_of(path, reading.verify, scan_options(chosen), reading.split)
    kept = index_cache.index_path(memory, [*(unit.cache_key() for unit in units), reading.fit])
    index = index_cache.recall(kept)
    if index is None:
        tables = look_through_all(units, memory, progress)
        index = _join(safe_name(path), units, tables, kept, reading)
        arrow_columns.give_back()
    notes = index.notes
    if left:
        note = counted(
            left,
            "file of a test part is not part of the pool and is used for evaluation",
            "files of a test part are not part of the pool and are used for evaluation",
        )
        notes = (*notes, Note("splits", f"{note}; split=all or split=NAME (--split) changes that"))
    return Dataset(
        spec=_spec(path, chosen),
        ids=index.arrays["ids"],
        fingerprint=index.fingerprint,
        reader=_reader(units, index, chosen.get("image"), reading.decoding),
        labels=index.labels,
        classes=index.classes,
        columns=index.columns,
        rejected=(*index.rejected, *aside),
        test_spec=_spec(path, chosen | {"split": "test"}) if left else None,
        digests=index.arrays["digest"],
        fit=reading.fit,
        notes=notes,
    )


def reading_of(chosen: dict[str, str]) -> ReadOptions:
    """The read options among the given options."""
    options = {name: value for name, value in chosen.items() if name in READING}
    return ReadOptions.of("container", options)


def scan_options(chosen: dict[str, str]) -> dict[str, str]:
    """What the scan of a file depends on: columns and limits."""
    options = {name: chosen[name] for name in (*COLUMNS, "max_pixels", "bands") if name in chosen}
    labels = chosen.get("labels")
    if labels and labels not in MODES:
        options.setdefault("label", labels)
    return options


def _join(
    called: str, units: list[Unit], tables: list[Any], kept: Path | None, reading: ReadOptions
) -> ContainerIndex:
    """The indexes of all units as one, without what is skipped.

    Raises BadInput when nothing usable is left.
    """
    kind = units[0].kind
    items = [item for unit in units for item in unit.items]
    seen, file = _joined(units, tables)
    seen, file, names, rejected = _usable(kind, seen, file, items)
    if not len(names) and not rejected:
        raise BadInput(f"{called!r} holds no rows; give files with images.")
    if not len(names):
        first = rejected[0]
        raise BadInput(
            f"{called!r} holds no usable image: {len(rejected)} skipped, for example "
            f"{first.name!r} {first.reason}; give tars, Parquet files or image files with readable "
            "images."
        )
    fingerprint = _fingerprint(
        arrow_columns.texts(names), arrow_columns.texts(seen["digest"]), reading.fit
    )
    declared = declared_classes(kind, items[0], dict(units[0].options))
    labels, classes, texts, notes = _labels(
        kind, seen["key"], seen["label"], reading.labels, declared
    )
    notes += _loss_notes(names, seen["losses"], reading.fit)

    def fill(make: index_cache.Make) -> ContainerIndex:
        arrays = dict(
            ids=arrow_columns.strings(names, partial(make, "ids")),
            file=arrow_columns.numbers(file, np.int32, partial(make, "file")),
            digest=arrow_columns.codes(seen["digest"], 32, partial(make, "digest")),
            place=arrow_columns.numbers(seen["place"], np.int64, partial(make, "place")),
            size=arrow_columns.numbers(seen["size"], np.int64, partial(make, "size")),
        )
        if labels is not None:
            arrays["labels"] = arrow_columns.numbers(labels, np.int64, partial(make, "labels"))
        for name, column in texts.items():
            arrays[f"column {name}"] = arrow_columns.strings(
                column, partial(make, f"column {name}")
            )
        return ContainerIndex(arrays, fingerprint, classes, tuple(rejected), tuple(notes))

    return index_cache.made(kept, len(names), fill)


def _loss_notes(names: Any, losses: Any, fit: str) -> list[Note]:
    """What was lost of the pictures when they were decoded, counted, with examples."""
    import pyarrow.compute as pc

    counts: Counter[str] = Counter()
    examples: dict[str, list[str]] = {}
    for entry in pc.value_counts(losses.combine_chunks()).to_pylist():
        for code in entry["values"].split(",") if entry["values"] else ():
            counts[code] += entry["counts"]
            some = names.filter(pc.equal(losses, entry["values"])).slice(0, 3).to_pylist()
            examples[code] = (examples.get(code, []) + some)[:3]
    return [
        Note("decoding", loss_note(count, code, fit), tuple(examples[code]))
        for code, count in counts.most_common()
    ]


def _reader(
    units: list[Unit], index: ContainerIndex, column: str | None, options: DecodeOptions
) -> ContainerReader:
    items = [item for unit in units for item in unit.items]
    files = (
        [item.path for item in items],
        [item.size for item in items],
        [item.version for item in items],
    )
    return ContainerReader(
        units[0].kind,
        files,
        ids=index.arrays["ids"],
        file=index.arrays["file"],
        offset=index.arrays["place"],
        size=index.arrays["size"],
        digest=index.arrays["digest"],
        column=column,
        options=options,
    )


def unseen(text: str, *, memory: Path | None) -> list[Unit]:
    """The units of `text` that opening it would have to scan."""
    path, chosen = split_options(text, {})
    reading = reading_of(chosen)
    units, _, _ = units_of(path, reading.verify, scan_options(chosen), reading.split)
    return [unit for unit in units if not remembered(unit, memory)]


def split_options(text: str, options: dict[str, str]) -> tuple[str, dict[str, str]]:
    """(path, options) of "path#id=...&label=..."; `options` win.

    Local paths come back absolute.
    """
    match = None if _is_path(text) else _OPTIONS.search(text)
    foreign = None if _is_path(text) else _FOREIGN.search(text)
    if foreign:
        raise not_taken(foreign[1], foreign[2], text, OPTIONS)
    chosen = dict(parse_qsl(match[1], keep_blank_values=True)) if match else {}
    unknown = set(options) - set(OPTIONS)
    if unknown:
        raise TypeError(
            f"unexpected keyword argument '{sorted(unknown)[0]}'"
        )  # worded by open_source
    chosen |= {name: str(value) for name, value in options.items() if value is not None}
    path = _without_options(text).removeprefix("file://")
    if not is_url(path):
        path = os.path.abspath(os.path.expanduser(path))
    return path, {name: value for name, value in chosen.items() if value}


def _spec(path: str, options: dict[str, str]) -> str:
    options_text = "&".join(f"{name}={quote(value)}" for name, value in sorted(options.items()))
    return f"{path}#{options_text}" if options_text else path


def _joined(units: list[Unit], tables: list[Any]) -> tuple[Any, np.ndarray]:
    """(all indexes as one table, (N,) int32: which of all the units' items a picture lies in)."""
    import pyarrow as pa

    start = 0
    files = []
    for unit, table in zip(units, tables, strict=True):
        files.append((table["item"].to_numpy() + start).astype(np.int32))
        start += len(unit.items)
    return pa.concat_tables(tables).drop_columns("item"), np.concatenate(files)


def _usable(
    kind: str,
    seen: Any,
    file: np.ndarray,
    items: list[Any],
) -> tuple[Any, np.ndarray, Any, list[Rejected]]:
    """(rows of usable images, their files, their ids, what is rejected).

    Rejected: unreadable images, repeated ids, unusable files. A tar's keys carry its name only
    where tars share keys.
    """
    import pyarrow.compute as pc

    named = pc.not_equal(seen["key"], "").to_numpy()
    fine = named & pc.equal(seen["reason"], "").to_numpy()
    names = arrow_columns.safe(seen["key"])
    again = arrow_columns.repeats(names, fine)
    if kind == "tar" and len(again):
        longer = arrow_columns.with_files([item.name for item in items], file, names)
        apart = arrow_columns.repeats(longer, fine)
        names, again = (longer, apart) if len(apart) < len(again) else (names, again)
    chosen = fine.copy()
    chosen[again] = False
    if chosen.all():
        return seen, file, names, []
    rejected = _set_aside(~chosen, named, names, seen["reason"], file, items)
    return seen.filter(chosen), file[chosen], names.filter(chosen), rejected


def _set_aside(
    bad: np.ndarray,
    named: np.ndarray,
    names: Any,
    reasons: Any,
    file: np.ndarray,
    items: list[Any],
) -> list[Rejected]:
    skipped = zip(
        np.flatnonzero(bad).tolist(),
        arrow_columns.texts(names.filter(bad)),
        arrow_columns.texts(reasons.filter(bad)),
        strict=True,
    )
    return [
        Rejected(name, reason or "repeats an id")
        if named[row]
        else Rejected(safe_name(items[file[row]].name), reason or "has an empty id")
        for row, name, reason in skipped
    ]


def _listed(known: list[str], declared: tuple[str, ...]) -> list[str] | None:
    """The texts that stand for the declared classes, in their order: their names, or their numbers;
    None where others occur."""
    numbers = [str(number) for number in range(len(declared))]
    for texts in (list(declared), numbers):
        if declared and set(known) <= set(texts):
            return texts
    return None


def _are_captions(known: list[str], count: int) -> bool:
    """Whether texts read like sentences, or hardly repeat; a few single words are classes."""
    if sum(text.count(" ") >= 4 for text in known) * 2 > len(known) > 2:
        return True
    if len(known) <= max(2, count // 2):
        return False
    if len(known) == count:
        return True
    words = sum(text.count(" ") + 1 for text in known) / len(known)
    measured = all(_FRACTION.fullmatch(text) for text in known)
    return len(known) > FEW or words >= 3 or measured


def _labels(
    kind: str, keys: Any, texts: Any, mode: str | None, declared: tuple[str, ...] = ()
) -> tuple[np.ndarray | None, tuple[str, ...], dict[str, Any], list[Note]]:
    """(labels, classes, columns of texts, notes).

    Texts that hardly repeat are captions, kept as the column "text", not classes. declared: the
    container's own list of classes, whose numbers count.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if kind == "images":
        understood = understand(keys.to_pylist(), mode if mode in MODES else None)
        columns = {"split": understood.splits, "folder": understood.folders}
        texts = {
            name: pa.chunked_array([column.tolist()])
            for name, column in columns.items()
            if column is not None
        }
        return understood.labels, understood.classes, texts, list(understood.notes)
    known = pc.unique(pc.drop_null(texts)).to_pylist()
    if mode == "none" or not known:
        return _of_folders(kind, keys, mode)
    listed = _listed(known, declared)
    if listed is not None:
        codes = pc.fill_null(pc.index_in(texts, pa.array(listed, texts.type)), -1)
        return codes.to_numpy(), tuple(printable_name(name) for name in declared), {}, []
    if _are_captions(known, len(texts) - texts.null_count):
        text = f"{len(known):,} different texts of {len(texts):,} images are captions, not classes"
        note = Note("labels", f"{text}; they are the column 'text'")
        return None, (), {"text": arrow_columns.safe(pc.fill_null(texts, ""))}, [note]
    numbers = all(text.isascii() and text.isdigit() and len(text) < 10 for text in known)
    classes = sorted(known, key=int if numbers else None)
    codes = pc.fill_null(pc.index_in(texts, pa.array(classes, texts.type)), -1)
    notes = _mixture(classes)
    return codes.to_numpy(), tuple(safe_name(text) for text in classes), {}, notes


def _of_folders(
    kind: str, keys: Any, mode: str | None
) -> tuple[np.ndarray | None, tuple[str, ...], dict[str, Any], list[Note]]:
    """The classes that folders inside of tars name, where no member does."""
    import pyarrow.compute as pc

    inside = kind == "tar" and mode != "none" and len(keys) <= _MOST_KEYS
    if not inside or not pc.any(pc.match_substring(keys, "/")).as_py():
        return None, (), {}, []
    understood = understand([key.removeprefix("./") for key in keys.to_pylist()], mode)
    if understood.labels is None:
        return None, (), {}, []
    return understood.labels, understood.classes, {}, list(understood.notes)


def _mixture(classes: list[str]) -> list[Note]:
    """A note of classes that are numbers in some files and names in others."""
    numbers = [text for text in classes if text.isdigit()]
    if not numbers or len(numbers) == len(classes) or len(numbers) < 2:
        return []
    names = [text for text in classes if not text.isdigit()]
    text = (
        f"classes are numbers in some rows ({', '.join(numbers[:3])}) and names in others "
        f"({', '.join(safe_name(name) for name in names[:3])}): they may be the same list written "
        "in two ways"
    )
    return [Note("labels", text)]
