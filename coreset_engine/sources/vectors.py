"""Own embeddings as a source: a .npy matrix, with the images and ids it belongs to if they are at
hand.

Nothing is unpickled. The header's claim is compared with the file's length before anything is
mapped.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from pathlib import Path

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.core.ids import RowIds
from coreset_engine.core.types import Dataset, Progress, silent
from coreset_engine.sources.folder import open_folder
from coreset_engine.sources.safe_names import safe_name, string_array

_BLOCK = 2**26
MANY = 1_000_000  # rows above which their names are made when asked for
_HEADER = re.compile(
    r"\{'descr': '(?P<kind>[<>]f[248])', 'fortran_order': (?P<fortran>True|False), "
    r"'shape': \((?P<shape>[0-9]{1,12},|[0-9]{1,12}(?:, [0-9]{1,12}){1,7}),?\), \} *\n"
)


def open_vectors(
    path: str | Path,
    *,
    images: str | Path | None = None,
    ids: str | Path | None = None,
    memory: Path | None = None,
    progress: Progress = silent,
) -> Dataset:
    """Row i of the matrix in `path` is image i. vectors: (N, D) float16/32/64, a read-only memmap,
    finite.

    images: a folder whose usable images, sorted by path, number exactly N; ids default to their
        paths.
    ids: a text file with one id per line, N lines, unique; with `images` as well, each must be an
    image's path below that folder, and rows are matched by it. Raises BadInput otherwise.
    """
    path = Path(path).expanduser().absolute()
    vectors, digest = read_matrix(path)
    names = None if ids is None else _read_ids(Path(ids).expanduser(), len(vectors))
    spec = _spec(path, images, ids)
    if images is None:
        if names is None and len(vectors) > MANY:
            own = RowIds(len(vectors))
            return Dataset(spec=spec, ids=own, fingerprint=_joined(digest, own), vectors=vectors)
        names = names if names is not None else [f"row-{i:07d}" for i in range(len(vectors))]
        whole = hashlib.sha256((digest + "\n".join(names)).encode()).hexdigest()
        return Dataset(spec=spec, ids=string_array(names), fingerprint=whole, vectors=vectors)
    pictures = open_folder(images, memory=memory, progress=progress)
    places = _matched(path, vectors, names, pictures)
    whole = hashlib.sha256(f"{digest} {pictures.fingerprint} {names}".encode()).hexdigest()
    return Dataset(
        spec=spec,
        ids=pictures.ids[places],
        fingerprint=whole,
        reader=lambda i: pictures.image(places[i]),
        labels=None if pictures.labels is None else pictures.labels[places],
        classes=pictures.classes,
        paths=pictures.paths[places],
        columns={name: column[places] for name, column in pictures.columns.items()},
        vectors=vectors,
        rejected=pictures.rejected,
    )


def _joined(digest: str, names: RowIds) -> str:
    """The fingerprint that the same names give as a list."""
    whole = hashlib.sha256(digest.encode())
    for part in names.lines():
        whole.update(part)
    return whole.hexdigest()


def _matched(
    path: Path, vectors: np.ndarray, names: list[str] | None, pictures: Dataset
) -> np.ndarray:
    """(N,) int64: the place among `pictures` of each row."""
    if names is None:
        if len(vectors) != len(pictures):
            raise BadInput(
                f"{str(path)!r} has {len(vectors)} rows but the folder has {len(pictures)} usable images "
                f"({len(pictures.rejected)} set aside); give one row per image, or ids=FILE to match them."
            )
        return np.arange(len(vectors))
    place = {name: i for i, name in enumerate(pictures.ids.tolist())}
    absent = [name for name in names if name not in place]
    if absent:
        raise BadInput(
            f"{len(absent)} ids have no usable image, for example {absent[0]!r}; ids must be paths below "
            "the image folder."
        )
    return np.array([place[name] for name in names], dtype=np.int64)


def read_matrix(path: str | Path) -> tuple[np.ndarray, str]:
    """((N, D) read-only memmap, SHA-256 of the values). Finite floats only; integers and pickles
    are refused."""
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"{str(path)!r} is no file; give a .npy matrix with one row per image.")
    try:
        matrix = _mapped(path)
    except (ValueError, OSError, OverflowError) as fault:
        raise BadInput(
            f"{str(path)!r} cannot be read as a .npy matrix ({fault}); write it with numpy.save, as plain "
            "numbers."
        ) from fault
    if matrix.ndim != 2:
        raise BadInput(
            f"{str(path)!r} has the shape {matrix.shape}; vectors must be a matrix (images, dimensions)."
        )
    return matrix, _checked_digest(path, matrix)


def _mapped(path: Path) -> np.ndarray:
    """The array of a .npy file, read-only. Its header is read by a strict pattern, so nothing in it
    is evaluated: only what numpy.save writes for floats passes, and the length must be exactly what
    the header says.
    """
    with open(path, "rb") as file:
        start = file.read(8)
        if start[:6] != b"\x93NUMPY" or start[6:7] not in (b"\1", b"\2"):
            raise ValueError("not a .npy file of version 1 or 2")
        width = 2 if start[6] == 1 else 4
        length = int.from_bytes(file.read(width), "little")
        if length > 4096:
            raise ValueError("its header is too long")
        header = _HEADER.fullmatch(file.read(length).decode("latin-1"))
        size = os.fstat(file.fileno()).st_size
    if header is None:
        raise ValueError("its header does not describe float16, float32 or float64 numbers")
    shape = tuple(int(part) for part in header["shape"].split(",") if part.strip())
    kind = np.dtype(header["kind"])
    offset = 8 + width + length
    if 0 in shape or not shape:
        raise ValueError(f"its shape is {shape}: it holds nothing")
    if size - offset != math.prod(shape) * kind.itemsize:
        raise ValueError(
            f"its header declares {math.prod(shape) * kind.itemsize} bytes, it holds {size - offset}"
        )
    order = "F" if header["fortran"] == "True" else "C"
    return np.memmap(path, kind, "r", offset, shape, order)


def _checked_digest(path: Path, matrix: np.ndarray) -> str:
    """Hash and check block by block, so that memory stays bounded."""
    digest = hashlib.sha256(f"vectors 1 {matrix.shape} {matrix.dtype.str}".encode())
    rows = max(1, _BLOCK // (matrix.shape[1] * matrix.itemsize))
    for start in range(0, len(matrix), rows):
        block = np.ascontiguousarray(matrix[start : start + rows])
        wrong = np.flatnonzero(~np.isfinite(block).all(axis=1))
        if len(wrong):
            raise BadInput(
                f"{str(path)!r} has NaN or infinity in row {start + int(wrong[0])}; vectors must be finite: "
                "remove or repair such rows."
            )
        digest.update(block)
    return digest.hexdigest()


def _read_ids(path: Path, count: int) -> list[str]:
    try:
        names = [safe_name(line) for line in path.read_text("utf-8").split("\n")]
    except (OSError, ValueError) as fault:
        raise BadInput(
            f"ids={str(path)!r} cannot be read as UTF-8 text ({fault}); give one id per line."
        ) from fault
    if names and names[-1] == "":
        names.pop()
    if len(names) != count or len(set(names)) != count or "" in names:
        raise BadInput(
            f"ids={str(path)!r} has {len(names)} lines, {len(set(names))} of them different; it needs "
            f"{count}, unique and not empty, one per row."
        )
    return names


def _spec(path: Path, images: str | Path | None, ids: str | Path | None) -> str:
    if images is None and ids is None:
        return str(path)
    named = {"path": str(path), "images": images, "ids": ids}
    return "vectors:" + json.dumps(
        {
            name: os.path.abspath(os.path.expanduser(value))
            for name, value in named.items()
            if value is not None
        },
        sort_keys=True,
    )
