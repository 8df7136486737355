"""Parquet files, WebDataset tars and folders of an object store as a Dataset: looked through once, read in slices.

    DIR/*.tar, ONE.tar, s3://BUCKET/train/     tars, Parquet files or images, told apart by their extensions
    ...#id=COLUMN&label=COLUMN&image=COLUMN    columns of a Parquet file; verify=header decodes no pixel at the door

What is read and when: opening lists the place and looks through every file it does not remember (sources.looking), one
pass over all bytes, nothing kept but an index. Afterwards images are read by slices where they are embedded or shown
(sources.slices), never all in memory.

The fingerprint is that of a folder source, over ids and digests: the same files under the same names are the same
source, wherever they lie.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

import numpy as np

from coreset_engine.errors import BadInput
from coreset_engine.sources.decoding import EXTENSIONS
from coreset_engine.sources.folder import _fingerprint, folder_labels
from coreset_engine.sources.looking import KINDS, Unit, look_through_all, remembered, units_of
from coreset_engine.sources.names import safe_name, string_array
from coreset_engine.sources.places import is_url
from coreset_engine.sources.slices import Slices
from coreset_engine.types import Dataset, Progress, Rejected, silent

OPTIONS = ("id", "image", "label", "verify")
_OPTIONS = re.compile(r"#((?:id|image|label|verify)=[^#&]*(?:&(?:id|image|label|verify)=[^#&]*)*)$")
_SUFFIXES = tuple(suffix for name, kind in KINDS.items() if name != "images" for suffix in kind.suffixes)


def is_container(text: str) -> bool:
    """Whether `text` is a URL, names tars or Parquet files of this machine, or a folder whose top holds only such."""
    place = _OPTIONS.sub("", text)
    if os.path.isdir(os.path.expanduser(place)):
        return _holds_containers(os.path.expanduser(place))
    return is_url(place) or place.lower().endswith(_SUFFIXES)


def _holds_containers(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            suffixes = {"/" if entry.is_dir() else os.path.splitext(entry.name)[1].lower() for entry in entries
                        if not entry.name.startswith(".")}
    except OSError:
        return False
    return bool(suffixes & set(_SUFFIXES)) and not suffixes & {"/", *EXTENSIONS}


def local_folder(text: str) -> str | None:
    """The folder of this machine that a file:// URL means, as a path; None for anything else."""
    place = _OPTIONS.sub("", text)
    path = place.removeprefix("file://")
    return path if path != place and os.path.isdir(path) else None


def open_container(text: str, *, memory: Path | None = None, progress: Progress = silent, **options: str) -> Dataset:
    """Every usable image of `text` (see the module), in the order of file names, then as they lie in each file.

    ids: a tar's keys, a Parquet file's column `id` or `file:row`, an image file's name below the URL; keys that several
    tars share are written `tar:key`. labels: a tar's label members, a Parquet column (`label`, or one called label or
    class), sub-folder names; None when there are none. memory: where indexes are remembered.
    Raises BadInput when nothing usable is there, a column is missing, or the store does not answer.
    """
    place, chosen = split_options(text, options)
    units, aside = units_of(place, chosen.pop("verify", "full"), chosen)
    seen = _joined(units, look_through_all(units, memory, progress))
    items = [item for unit in units for item in unit.items]
    names = _names(units[0].kind, seen, [item.name for item in items])
    good, rejected = _sorted_out(names, seen, items)
    if not len(good):
        first = rejected[0]
        raise BadInput(f"{safe_name(place)!r} holds no usable image: {len(rejected)} set aside, for example "
                       f"{first.name!r} {first.reason}; give tars, Parquet files or images that hold pictures.")
    ids = [names[i] for i in good]
    labels, classes, columns = _labels(units[0].kind, [seen["key"][i] for i in good], [seen["label"][i] for i in good])
    digests = seen["digest"][good]
    reader = Slices(units[0].kind, ([item.place for item in items], [item.size for item in items],
                                    [item.version for item in items]),
                    string_array(ids), seen["file"][good], seen["place"][good], seen["size"][good], digests,
                    chosen.get("image"))
    return Dataset(spec=_spec(place, chosen | ({"verify": "header"} if units[0].verify == "header" else {})),
                   ids=reader.ids, fingerprint=_fingerprint(ids, [digest.decode() for digest in digests]),
                   reader=reader, labels=labels, classes=classes, columns=columns, rejected=(*rejected, *aside))


def unseen(text: str, *, memory: Path | None) -> list[Unit]:
    """The units of `text` that opening it would have to look through."""
    place, chosen = split_options(text, {})
    units, _ = units_of(place, chosen.pop("verify", "full"), chosen)
    return [unit for unit in units if not remembered(unit, memory)]


def split_options(text: str, given: dict[str, str]) -> tuple[str, dict[str, str]]:
    """(place, options) of "place#id=...&label=..."; `given` wins. Local paths come back absolute."""
    found = _OPTIONS.search(text)
    chosen = dict(parse_qsl(found[1], keep_blank_values=True)) if found else {}
    unknown = set(given) - set(OPTIONS)
    if unknown:
        raise TypeError(f"unexpected keyword argument '{sorted(unknown)[0]}'")  # worded by open_source
    chosen |= {name: str(value) for name, value in given.items() if value is not None}
    place = _OPTIONS.sub("", text).removeprefix("file://")
    if not is_url(place):
        place = os.path.abspath(os.path.expanduser(place))
    return place, {name: value for name, value in chosen.items() if value}


def _spec(place: str, options: dict[str, str]) -> str:
    told = "&".join(f"{name}={quote(value)}" for name, value in sorted(options.items()))
    return f"{place}#{told}" if told else place


def _joined(units: list[Unit], tables: list[Any]) -> dict[str, Any]:
    """All indexes as one; a value a picture. file: which of all the units' items."""
    import pyarrow as pa

    start, files = 0, []
    for unit, table in zip(units, tables, strict=True):
        files.append(table["item"].to_numpy() + start)
        start += len(unit.items)
    whole = pa.concat_tables(tables)
    return dict(key=whole["key"].to_pylist(), file=np.concatenate(files).astype(np.int32),
                place=whole["place"].to_numpy(), size=whole["size"].to_numpy(),
                digest=np.array(whole["digest"].to_pylist(), "S32"), reason=whole["reason"].to_pylist(),
                label=whole["label"].to_pylist())


def _names(kind: str, seen: dict[str, Any], files: list[str]) -> list[str]:
    """The id of every picture, usable or not; a tar's keys carry its name only where tars share keys."""
    keys = [safe_name(key) for key in seen["key"]]
    whole = [file for file, reason in zip(seen["file"], seen["reason"], strict=True) if not reason]
    good = [key for key, reason in zip(keys, seen["reason"], strict=True) if not reason]
    if kind == "tar" and len(set(good)) < len(set(zip(whole, good, strict=True))):
        keys = [f"{safe_name(files[file])}:{key}" for file, key in zip(seen["file"], keys, strict=True)]
    return keys


def _sorted_out(names: list[str], seen: dict[str, Any], items: list[Any]) -> tuple[np.ndarray, list[Rejected]]:
    """(places of the usable pictures, what is set aside): bad ones, ids that came before, files of no use."""
    good: list[int] = []
    rejected: list[Rejected] = []
    taken: set[str] = set()
    for i, (name, reason) in enumerate(zip(names, seen["reason"], strict=True)):
        if not seen["key"][i]:
            rejected.append(Rejected(safe_name(items[seen["file"][i]].name), reason or "has an empty id"))
        elif reason or name in taken:
            rejected.append(Rejected(name, reason or "repeats an id"))
        else:
            taken.add(name)
            good.append(i)
    return np.array(good, np.int64), rejected


def _labels(kind: str, keys: list[str], texts: list[str | None],
            ) -> tuple[np.ndarray | None, tuple[str, ...], dict[str, np.ndarray]]:
    """(labels, classes, columns). Texts that hardly repeat are captions, kept as the column "text", not classes."""
    if kind == "images":
        labels, classes, splits = folder_labels(keys)
        return labels, classes, {} if splits is None else {"split": splits}
    known = Counter(text for text in texts if text is not None)
    if not known:
        return None, (), {}
    if len(known) > max(2, len(texts) // 2):
        return None, (), {"text": string_array([safe_name(text or "") for text in texts])}
    numbers = all(text.isascii() and text.isdigit() and len(text) < 10 for text in known)
    classes = sorted(known, key=int if numbers else None)
    number = {text: place for place, text in enumerate(classes)}
    labels = np.array([-1 if text is None else number[text] for text in texts], np.int64)
    return labels, tuple(safe_name(text) for text in classes), {}
