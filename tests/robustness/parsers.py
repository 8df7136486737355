"""Every parser of external input: one or two valid inputs each, and how to call
it.

PARSERS[name] is (seeds, call): call(data, folder) reads `data` the way the program does, with files
of its own below `folder`, and returns a word for what came out. A CoresetError is an answer too.
Anything else is an internal error.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import re
import struct
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from seeds import columns, encoded, npy, packed, selection, tarred

from coreset_engine.core.errors import CoresetError
from coreset_engine.sources import verdicts

Call = Callable[[bytes, Path], object]


def image(data: bytes, folder: Path) -> str:
    from coreset_engine.sources.decoding import check_header, decode

    check_header(data)
    return decode(data).mode


def matrix(data: bytes, folder: Path) -> object:
    from coreset_engine.sources.vectors import read_matrix

    (folder / "v.npy").write_bytes(data)
    found, _ = read_matrix(folder / "v.npy")
    assert found.ndim == 2 and np.isfinite(found).all()
    return found.dtype


def idx(data: bytes, folder: Path) -> object:
    from coreset_engine.sources.builtin import read_idx

    path = folder / ("f.gz" if data[:1] == b"\x1f" else "f")
    path.write_bytes(data)
    return read_idx(path, 3 if b"\x08\x03" in data[:4] else 1).dtype


def archive(data: bytes, folder: Path) -> object:
    from coreset_engine.sources.archives import extract_images

    (folder / "in.zip").write_bytes(data)
    try:
        return len(extract_images(folder / "in.zip", folder / "deep" / "into")[1])
    finally:
        assert {path.name for path in folder.iterdir()} <= {"in.zip", "deep"}
        assert {path.name for path in folder.glob("deep/*")} <= {"into"}


def _slices(look: Callable, data: bytes, folder: Path, name: str, **options: str) -> object:
    from coreset_engine.sources.decoding import decode
    from coreset_engine.sources.remote.storage import Item

    def examine(picture: bytes) -> tuple[str, str, str]:
        try:
            return decode(picture).mode, "", ""
        except CoresetError as error:
            return "", str(error), ""

    (folder / name).write_bytes(data)
    rows = list(look(Item(str(folder / name), name, len(data), "v"), examine, options))
    json.dumps(rows)
    return sorted({re.sub(r"[^a-z ]", "_", str(row.get("reason")))[:40] for row in rows})


def tar(data: bytes, folder: Path) -> object:
    from coreset_engine.sources.remote.tar import look_through

    return _slices(look_through, data, folder, "x.tar")


def parquet(data: bytes, folder: Path) -> object:
    from coreset_engine.sources.remote.parquet import look_through

    return _slices(look_through, data, folder, "x.parquet", id="id")


def aside(data: bytes, folder: Path) -> object:
    from coreset_engine.sources.archives import ASIDE, set_aside

    (folder / ASIDE).write_bytes(data)
    assert all(one.name.isprintable() and one.reason.isprintable() for one in set_aside(folder))
    return len(set_aside(folder))


def remembered(data: bytes, folder: Path) -> object:
    """What a folder of images remembers of an earlier look."""
    from coreset_engine.sources.verdicts import VerdictMemory

    memory = VerdictMemory(folder, Path("/x"))
    memory.path.write_bytes(data)
    return [type(part).__name__ for entry in memory.recall().values() for part in entry][:4]


def spec(data: bytes, folder: Path) -> object:
    from coreset_engine.sources import open, options

    text = data.decode("utf-8", "surrogateescape")
    for kind in ("folder", "vectors"):
        if text.startswith(f"{kind}:"):
            return sorted(options.unpacked(text, f"{kind}:", kind)[1])
    return open._fashion_parts(text)[0]


def table(data: bytes, folder: Path) -> object:
    from coreset_engine.artifacts.selection_folder import read_selection

    (folder / "selection.parquet").write_bytes(data)
    (folder / "manifest.json").write_bytes(SELECTION[1])
    return int(read_selection(folder)[0]["selected"].sum())


def manifest(data: bytes, folder: Path) -> object:
    from coreset_engine.pipeline.manifest import read_manifest

    (folder / "manifest.json").write_bytes(data)
    return sorted(read_manifest(folder))


def labels(data: bytes, folder: Path) -> object:
    from coreset_engine.sources.label_import import read_labels

    (folder / "labels").write_bytes(data)
    assert all(
        isinstance(text, str) for pair in read_labels(folder / "labels").items() for text in pair
    )
    return "labels"


def artefact(data: bytes, folder: Path) -> object:
    from coreset_engine.artifacts.store import Store

    target = folder / "artefacts" / "s" / "k"
    target.mkdir(parents=True)
    (target / "manifest.json").write_bytes(data)
    (target / "a.npy").write_bytes(_ARRAY)
    return sorted(Store(folder).read("s", "k")[0])


def job(data: bytes, folder: Path) -> object:
    from coreset_engine.jobs import manager

    target = folder / "jobs" / "20260101-000000-000000-aaaaaa"
    target.mkdir(parents=True)
    first, _, second = data.partition(b"\n")
    (target / "request.json").write_bytes(first)
    (target / "state.json").write_bytes(second)
    (target / "process.json").write_bytes(second)
    return [one.status for one in manager.list_jobs(folder)]


def decisions(data: bytes, folder: Path) -> object:
    from coreset_engine.artifacts import history

    (folder / "history").mkdir()
    history._path("snapshots", "f", folder).write_bytes(data)
    return len(history.snapshots("f", folder))


def log(data: bytes, folder: Path) -> object:
    from coreset_engine.artifacts import log as logs

    logs.path_of(folder).parent.mkdir()
    logs.path_of(folder).write_bytes(data)
    return len(logs.tail(folder))


def link(data: bytes, folder: Path) -> object:
    from ui.state import link_storage

    (folder / "links").mkdir()
    (folder / "links" / f"{'0' * 16}.json").write_bytes(data)
    link_storage.load_values(data.decode("utf-8", "surrogateescape"), folder)
    return sorted(link_storage.load_values("0" * 16, folder))


def knobs(data: bytes, folder: Path) -> object:
    """Parameters of every method as a shell, a link or a manifest gives them."""
    from coreset_engine.core.config import make
    from coreset_engine.core.registry import METHODS, load

    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        values = data.decode("utf-8", "replace")
    for row in METHODS.values():
        config = load(row.config)
        for field in dataclasses.fields(config):
            try:
                made = make(config, {field.name: values})
            except CoresetError as error:
                assert "\n" not in str(error) or "\n" in str(values)
            else:
                assert not isinstance(value := getattr(made, field.name), float) or np.isfinite(
                    value
                )
    return type(values).__name__


def gesture(data: bytes, folder: Path) -> object:
    """What a browser claims that somebody did with the map."""
    from ui.map.scatter import _events

    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        return "no JSON"
    points = np.random.default_rng(0).random((50, 2)).astype(np.float32)
    events = _events(
        message
        if isinstance(message, dict)
        else {"lasso": message, "click": message, "scrub": message, "hidden": []},
        points,
        SimpleNamespace(codes=np.zeros(50, np.uint16)),
        np.arange(40),
    )
    assert events.chosen is None or ((events.chosen >= 0) & (events.chosen < 50)).all()
    return type(events.polygon).__name__


SELECTION = selection()
_ARRAY = npy(np.arange(3))
_STORED = dict(
    format=2,
    stage="s",
    key="k",
    info={},
    files={"a": dict(sha256=sha256(_ARRAY).hexdigest(), size=3, shape=[3], dtype="int64")},
)
_REQUEST = b'{"kind": "prepare", "spec": "demo", "params": {"seed": 0}, "created": 1.5}\n'
_STATE = b'{"status": "running", "stage": "map", "done": 1, "total": 2, "pid": 1, "birth": "b:1", "result": {}}'
_TASKS = [
    {
        "data": {"coreset_id": "a"},
        "annotations": [
            {"was_cancelled": False, "result": [{"type": "choices", "value": {"choices": ["cat"]}}]}
        ],
    },
    {"coreset_id": "b", "choice": "dog"},
]

PARSERS: dict[str, tuple[list[bytes], Call]] = {
    "image": (
        [
            encoded("JPEG"),
            encoded("JPEG", "CMYK"),
            encoded("PNG"),
            encoded("PNG", "P"),
            encoded("GIF", "P"),
            encoded("BMP"),
            encoded("TIFF"),
            encoded("WEBP"),
            encoded("PPM"),
        ],
        image,
    ),
    "matrix": (
        [npy(np.ones((4, 3), np.float32)), npy(np.ones((2, 5), np.float16)), npy(np.ones(3))],
        matrix,
    ),
    "idx": (
        [
            struct.pack(">4I", 0x803, 3, 4, 5) + bytes(60),
            gzip.compress(struct.pack(">2I", 0x801, 9) + bytes(9), mtime=0),
        ],
        idx,
    ),
    "archive": ([packed()], archive),
    "tar": ([tarred()], tar),
    "parquet": ([columns()], parquet),
    "aside": ([b'[["a.png", "is damaged"], ["b", "c"]]'], aside),
    "remembered": (
        [
            b'{"version": %d, "files": {"a.png": [9, 8, 7, "00ff", "", "0f", "alpha", 4, 3], '
            b'"b.png": [1, 2, 3, "", "is empty", "", "", 0, 0]}}' % verdicts.VERSION
        ],
        remembered,
    ),
    "spec": (
        [
            b'folder:{"follow_links": true, "path": "/x", "verify": "header"}',
            b"fashion-mnist:test:/x",
            b'vectors:{"ids": "/i", "images": "/m", "path": "/x.npy"}',
        ],
        spec,
    ),
    "table": ([SELECTION[0]], table),
    "manifest": ([SELECTION[1]], manifest),
    "labels": ([b"id,label\na,cat\nb,dog\n", json.dumps(_TASKS).encode()], labels),
    "artefact": ([json.dumps(_STORED).encode()], artefact),
    "job": ([_REQUEST + _STATE], job),
    "decisions": ([b'{"name": "one", "at": 1}\n{"undo": true}\n{"name": "two"}\n'], decisions),
    "log": ([b'{"at": "x", "pid": 1, "event": "fault", "id": "a"}\n{"event": "tick"}\n'], log),
    "link": (
        [b'{"must_keep": ["a"], "never": ["b"], "params": {"ccs": {"strata": 50}}}', b"0" * 16],
        link,
    ),
    "knobs": (
        [b"0.5", b"1000", b'"auto"', b"true", b"[1, 2]", b"-1e999", b"null", b'{"a": 1}'],
        knobs,
    ),
    "gesture": (
        [
            b'{"lasso": {"polygon": [[0, 0], [1, 0], [0.5, 1]], "hidden": [1], "sides": ["kept"]}, "click": 3, '
            b'"scrub": {"p": 0.5, "turn": 1}, "hidden": [0]}'
        ],
        gesture,
    ),
}


def outcome(name: str, data: bytes, folder: Path) -> str:
    """What came out, without the details: the result's word, or the refusal without names and
    numbers."""
    try:
        return f"read: {PARSERS[name][1](data, folder)}"[:120]
    except CoresetError as error:
        words = re.sub(r"'[^']*'|\"[^\"]*\"|/\S+|\d[\d,.]*", "_", str(error))
        return f"{type(error).__name__}: {words}"[:80]
