"""What a source held when it was embedded; a later opening can say what is new, gone or changed.

A state is the ids and content digests of one source at one time, one file under `states/` of the
workspace. `grown/` says which maps continue an earlier one.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.artifacts import filesystem
from coreset_engine.artifacts.store import digest
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Dataset

MOST_IMAGES = 5_000_000  # beyond it no state is kept
MOST_VECTORS = 2_000_000  # rows of own vectors that are distinguished by content


@dataclass(frozen=True, eq=False)
class SourceState:
    """A source at one time.

    Parameters
    ----------
    spec, fingerprint : str
        As of the `Dataset`.
    ids : (N,) str
    digests : (N,) S32 or None
        Content of each image or row; None = not known, ids alone are compared.
    at : float
        Seconds since 1970 when it was first embedded.
    """

    spec: str
    fingerprint: str
    ids: np.ndarray
    digests: np.ndarray | None
    at: float = 0.0

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class SourceChange:
    """What differs between an earlier state of a source and the dataset it is now.

    Parameters
    ----------
    former : SourceState
    row : (N,) int64
        Row of each image in the earlier state, by content; -1 = new or changed.
    new, gone, changed : tuple of str
        Ids of images that were added, that are there no more, and that hold another picture.
    renamed : tuple of (str, str)
        (earlier id, id now) of images that were moved or renamed.
    """

    former: SourceState
    row: np.ndarray
    new: tuple[str, ...]
    gone: tuple[str, ...]
    changed: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]

    def __bool__(self) -> bool:
        return bool(self.new or self.gone or self.changed or self.renamed)

    def sentence(self) -> str:
        """The change in one line without a full stop: "12 new, 3 gone, 1 changed, 0 renamed"."""
        counts = dict(new=self.new, gone=self.gone, changed=self.changed, renamed=self.renamed)
        return ", ".join(f"{len(items):,} {name}" for name, items in counts.items())


def content_of(dataset: Dataset) -> np.ndarray | None:
    """(N,) S32 digests of the images, else of the rows of own vectors; None where unknown."""
    if dataset.digests is not None:
        return np.asarray(dataset.digests, "S32")
    if dataset.vectors is None or len(dataset) > MOST_VECTORS:
        return None
    return np.array(
        [
            hashlib.blake2b(np.ascontiguousarray(row).data, digest_size=16).hexdigest()
            for row in dataset.vectors
        ],
        "S32",
    )


def compare(former: SourceState, dataset: Dataset) -> SourceChange:
    """What happened to a source since `former`.

    An image is the same where its content is, also under another name; under the same name with
    other content it changed. Without digests on both sides names alone decide.
    """
    ids = [str(name) for name in dataset.ids]
    digests = content_of(dataset) if former.digests is not None else None
    former_ids = [str(name) for name in former.ids]
    row = _matched(former_ids, former.digests, ids, digests)
    former_row = {name: number for number, name in enumerate(former_ids)}
    taken = set(row.tolist())
    changed = [
        name
        for name, at in zip(ids, row, strict=True)
        if at < 0 and name in former_row and former_row[name] not in taken
    ]
    known = set(changed)
    new = [name for name, at in zip(ids, row, strict=True) if at < 0 and name not in known]
    gone = [name for at, name in enumerate(former_ids) if at not in taken and name not in known]
    renamed = [
        (former_ids[at], name)
        for name, at in zip(ids, row, strict=True)
        if at >= 0 and former_ids[at] != name
    ]
    return SourceChange(former, row, tuple(new), tuple(gone), tuple(changed), tuple(renamed))


def _matched(
    former_ids: list[str],
    former_digests: np.ndarray | None,
    ids: list[str],
    digests: np.ndarray | None,
) -> np.ndarray:
    """(N,) int64 row in the former state, -1 = none: first by name and content, then by content."""
    former_row = {name: number for number, name in enumerate(former_ids)}
    if digests is None or former_digests is None:
        return np.array([former_row.get(name, -1) for name in ids], np.int64)
    row = np.full(len(ids), -1, np.int64)
    for number, (name, content) in enumerate(zip(ids, digests, strict=True)):
        at = former_row.get(name, -1)
        if at >= 0 and former_digests[at] == content:
            row[number] = at
    free: dict[bytes, list[int]] = defaultdict(list)
    for at in np.setdiff1d(np.arange(len(former_ids)), row)[::-1].tolist():
        if former_digests[at]:
            free[former_digests[at]].append(at)
    for number in np.flatnonzero(row < 0).tolist():
        same = free.get(digests[number])
        if same:
            row[number] = same.pop()
    return row


# -- on disk ---------------------------------------------------------------------------------------


def remember(dataset: Dataset, home: Path) -> None:
    """Keep the state of `dataset`, once; without room or permission nothing is kept."""
    if not dataset.reopenable or len(dataset) > MOST_IMAGES:
        return
    path = _folder(dataset.spec, home) / f"{dataset.fingerprint[:32]}.npz"
    if path.exists():
        return
    about = dict(spec=dataset.spec, fingerprint=dataset.fingerprint, at=time.time())
    arrays: dict[str, Any] = dict(
        about=_bytes(about), ids=_bytes([str(name) for name in dataset.ids])
    )
    content = content_of(dataset)
    if content is not None:
        arrays["digests"] = content
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp.npz")
    try:
        filesystem.make_folder(path.parent)
        np.savez_compressed(temporary, **arrays)
        os.replace(temporary, path)
    except (OSError, BadInput):
        temporary.unlink(missing_ok=True)


def states(spec: str, home: Path) -> list[SourceState]:
    """Every state that is known of a source, latest first; damaged files are passed over."""
    read = [_read(path) for path in _folder(spec, home).glob("[!.]*.npz")]
    known = [state for state in read if state is not None and state.spec == spec]
    return sorted(known, key=lambda state: -state.at)


def state_of(spec: str, fingerprint: str, home: Path) -> SourceState | None:
    """The state of a source that had this fingerprint."""
    state = _read(_folder(spec, home) / f"{fingerprint[:32]}.npz")
    return state if state is not None and state.fingerprint == fingerprint else None


def _folder(spec: str, home: Path) -> Path:
    return home / "states" / digest(spec)


def _bytes(value: Any) -> np.ndarray:
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def _read(path: Path) -> SourceState | None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            ids = np.array(json.loads(arrays["ids"].tobytes()), object)
            digests = arrays["digests"] if "digests" in arrays.files else None
        state = SourceState(
            str(about["spec"]), str(about["fingerprint"]), ids, digests, float(about["at"])
        )
    except Exception:  # noqa: BLE001 - whatever a damaged zip raises, it is not a state
        return None
    return state if digests is None or len(digests) == len(ids) else None


# -- maps that continue an earlier one -------------------------------------------------------------


def continue_map(key: str, former_map: str, former: SourceState, home: Path) -> None:
    """Note that the map with the plain key `key` continues the stored map `former_map`.

    Parameters
    ----------
    key : str
        Of the new map, without regard to what it continues.
    former_map : str
        Key of the earlier map in the store.
    former : SourceState
        The source as that map shows it.
    home : path
        The workspace.
    """
    path = home / "grown" / f"{key}.json"
    filesystem.make_folder(path.parent)
    note = dict(map=former_map, spec=former.spec, fingerprint=former.fingerprint)
    filesystem.write_json(path, note)


def continued_map(key: str, home: Path) -> dict[str, str] | None:
    """Map, spec and fingerprint of the state that the map with this plain key continues."""
    content = filesystem.read_json(home / "grown" / f"{key}.json")
    names = ("map", "spec", "fingerprint")
    if not isinstance(content, dict) or not all(
        isinstance(content.get(name), str) for name in names
    ):
        return None
    return {name: content[name] for name in names}
