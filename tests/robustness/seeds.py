"""Seeds of the fuzzer: one small valid file of each kind that a parser reads."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image


def encoded(kind: str, mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (11, 13, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(out, kind)
    return out.getvalue()


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def packed() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in (
            ("a/1.png", encoded("PNG")),
            ("../2.png", encoded("PNG")),
            ("3.txt", b"hello"),
        ):
            opened.writestr(name, data)
    return out.getvalue()


def tarred() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as opened:
        for name, data in (
            ("a/1.png", encoded("PNG")),
            ("a/1.cls", b"cat"),
            ("ü.jpg", b"no"),
            ("2.json", b'{"label": 3}'),
            ("2.png", encoded("PNG")),
        ):
            about = tarfile.TarInfo(name)
            about.size = len(data)
            opened.addfile(about, io.BytesIO(data))
    return out.getvalue()


def columns() -> bytes:
    """A Parquet file with pictures, ids and labels."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(
        pa.table(
            {"image": [encoded("PNG"), b"", None], "id": ["a", "b", "c"], "label": ["x", "ü", None]}
        ),
        out,
    )
    return out.getvalue()


def small_selection():
    """(dataset, selection) of four images with odd names, of which two are kept."""
    from coreset_engine.core.types import Dataset, Selection

    ids = np.array(["a", "b/ü.png", "c\nd", "e"])
    chosen = Selection(
        ids[[2, 0]],
        np.array([2, 0]),
        np.ones(2),
        np.arange(4.0),
        "random",
        {"prune_rate": 0.5},
        "f",
    )
    return Dataset("demo", ids, "f"), chosen


def selection() -> tuple[bytes, bytes]:
    """(selection.parquet, manifest.json) of a small selection."""
    import tempfile

    from coreset_engine.artifacts.selection_folder import write_selection

    dataset, chosen = small_selection()
    about = dict(
        source="demo",
        source_fingerprint="f",
        encoder="clip",
        run={"seed": 0},
        method="random",
        params={"prune_rate": 0.5},
        artefacts={"embeddings": "k"},
    )
    with tempfile.TemporaryDirectory() as root:
        columns = {"aum": np.arange(4.0)}
        folder = write_selection(Path(root) / "s", dataset, chosen, columns, about)
        return (folder / "selection.parquet").read_bytes(), (folder / "manifest.json").read_bytes()
