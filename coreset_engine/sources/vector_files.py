"""Matrices of vectors as people keep them: .npy, .npz and Parquet, with ids where the file has any.

Nothing is unpickled. The header of a .npy file is read by a strict pattern and its claim compared
with the file's length before anything is mapped.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from coreset_engine.core.counted import counted
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Note
from coreset_engine.core.user_paths import user_path
from coreset_engine.sources.label_formats.values import plain_text
from coreset_engine.sources.remote.parquet import holds_bytes

SUFFIXES = (".npy", ".npz", ".parquet", ".pq")
VECTOR_NAMES = tuple("vectors embeddings embedding features feature emb x data arr_0".split())
ID_NAMES = tuple(
    "ids id names name filenames filename file_name files file paths path image_ids image_id image "
    "images keys key filepath".split()
)
LABEL_NAMES = tuple(
    "labels label y targets target class classes class_name label_name category".split()
)
_ONLY_IDS = frozenset(("id", "ids", "uid", "uuid", "key", "keys", "image_id", "image_ids"))
_NUMBERED = re.compile(r"(\D*?)_?(\d{1,6})")
LEAST_DIMENSIONS = 2
_BLOCK = 2**26
LARGEST = 1e15  # beyond it, and below one over it, squares leave what float32 holds
MOST_BYTES = 2**37
_HEADER = re.compile(
    r"\{'descr': '(?P<kind>[<>|=]?[a-zA-Z?][0-9]*)', 'fortran_order': (?P<fortran>True|False), "
    r"'shape': \((?P<shape>[0-9]{1,12},|[0-9]{1,12}(?:, [0-9]{1,12}){1,7})?,?\), \} *\n"
)
_NUMBERS = re.compile(r"[<>|=]?(f[248]|f1[26]|[iu][1248]|b1|\?)")


@dataclass(frozen=True, eq=False)
class VectorFile:
    """matrix: (N, D) float16/32/64, finite where `bad` does not say otherwise, often a memmap.

    digest: SHA-256 of the values. ids: one text per row, or None. bad: row -> why it is of no use.
    labels: the class name of every row, "" for none, or None where the file has no labels.
    lost_ids: name of an array of ids that cannot be read without unpickling it, "" for none.
    """

    matrix: np.ndarray
    digest: str
    ids: list[str] | None
    bad: dict[int, str]
    notes: tuple[Note, ...] = ()
    labels: list[str] | None = None
    lost_ids: str = ""


@dataclass(frozen=True, eq=False)
class _Found:
    """What a file holds, before it is checked; see `VectorFile`."""

    matrix: np.ndarray
    ids: list[str] | None = None
    labels: list[str] | None = None
    lost_ids: str = ""
    notes: tuple[Note, ...] = ()


def read_vectors(path: Path) -> VectorFile:
    """The vectors in `path`, checked.

    Raises
    ------
    BadInput
        When the file is missing, damaged, or holds no matrix of numbers.
    """
    if not path.is_file():
        raise BadInput(f"{str(path)!r} is not a file; give a .npy matrix with one row per image.")
    suffix = path.suffix.lower()
    try:
        if suffix == ".npz":
            content = _from_npz(path)
        elif suffix in (".parquet", ".pq"):
            content = _from_parquet(path)
        else:
            content = _Found(_mapped(path))
    except (ValueError, OSError, OverflowError, zipfile.BadZipFile, KeyError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(
            f"{str(path)!r} cannot be read as a {suffix} matrix ({error}); write it with "
            "numpy.save, as plain numbers."
        ) from error
    return _checked(path, content)


def _checked(path: Path, content: _Found) -> VectorFile:
    matrix, notes = _as_matrix(path, content.matrix)
    notes += content.notes
    digest, bad, largest = _examined(matrix)
    notes += _zero_note(matrix, bad)
    if len(bad) == len(matrix):
        raise BadInput(f"{str(path)!r} has NaN or infinity in every row; vectors must be finite.")
    if largest > LARGEST or 0 < largest < 1 / LARGEST:
        power = -round(math.log2(largest))
        matrix = _scaled(matrix, power)
        text = f"the largest value is {largest:.3g}: all vectors were multiplied by 2^{power}"
        notes.append(Note("vectors", f"{text}, which does not change directions or ratios"))
    for row, name in enumerate(content.ids or ()):
        if not name:
            bad.setdefault(row, "has no id")
    return VectorFile(
        matrix, digest, content.ids, bad, tuple(notes), content.labels, content.lost_ids
    )


def _zero_note(matrix: np.ndarray, bad: dict[int, str]) -> list[Note]:
    """A note of vectors of zeros alone, which have no direction to compare."""
    rows = max(1, _BLOCK // (matrix.shape[1] * matrix.itemsize))
    zeros: list[int] = []
    for start in range(0, len(matrix), rows):
        empty = ~np.asarray(matrix[start : start + rows]).any(axis=1)
        zeros += (start + np.flatnonzero(empty)).tolist()
    if not zeros:
        return []
    text = (
        f"{counted(len(zeros), 'vector is', 'vectors are')} all zeros, without a direction: cosine "
        "distances to them are undefined"
    )
    return [Note("vectors", text, tuple(f"row {row}" for row in zeros[:3]))]


def _as_matrix(path: Path, matrix: np.ndarray) -> tuple[np.ndarray, list[Note]]:
    """(N, D) floats of what was read."""
    notes = []
    if matrix.ndim > 2 and math.prod(matrix.shape[2:]) == 1:
        notes.append(Note("vectors", f"the shape {matrix.shape} was read as {matrix.shape[:2]}"))
        matrix = matrix.reshape(matrix.shape[:2])
    if matrix.ndim != 2:
        raise BadInput(
            f"{str(path)!r} has the shape {matrix.shape}; vectors must be a matrix (images, "
            "dimensions): reshape it, one row per image, and save it again."
        )
    if matrix.shape[1] < LEAST_DIMENSIONS:
        raise BadInput(
            f"{str(path)!r} has the shape {matrix.shape}, one number per image, which has no "
            "direction to compare; give vectors of at least two dimensions."
        )
    if matrix.dtype.kind != "f" or matrix.dtype.itemsize > 8:
        notes.append(Note("vectors", f"{matrix.dtype} numbers were converted to float32"))
        matrix = matrix.astype(np.float32)
    return matrix, notes


def _examined(matrix: np.ndarray) -> tuple[str, dict[int, str], float]:
    """(digest, bad rows, largest absolute value), block by block, so that memory stays bounded."""
    digest = hashlib.sha256(f"vectors 1 {matrix.shape} {matrix.dtype.str}".encode())
    rows = max(1, _BLOCK // (matrix.shape[1] * matrix.itemsize))
    bad: dict[int, str] = {}
    largest = 0.0
    for start in range(0, len(matrix), rows):
        block = np.ascontiguousarray(matrix[start : start + rows])
        digest.update(block)
        low = float(block.min())
        high = float(block.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            finite = np.isfinite(block).all(axis=1)
            for row in np.flatnonzero(~finite).tolist():
                bad[start + row] = "has NaN or infinity in its vector"
            if not finite.any():
                continue
            low = float(block[finite].min())
            high = float(block[finite].max())
        largest = max(largest, abs(low), abs(high))
    return digest.hexdigest(), bad, largest


def _scaled(matrix: np.ndarray, power: int) -> np.ndarray:
    """(N, D) float32, every value times 2^power."""
    out = np.empty(matrix.shape, np.float32)
    rows = max(1, _BLOCK // (8 * matrix.shape[1]))
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(matrix), rows):
            block = np.asarray(matrix[start : start + rows], np.float64)
            out[start : start + rows] = np.ldexp(block, power)
    return out


def _mapped(path: Path) -> np.ndarray:
    """The array of a .npy file, read-only. Only what numpy.save writes for plain numbers passes."""
    with open(path, "rb") as file:
        start = file.read(8)
        if start[:6] != b"\x93NUMPY" or start[6:7] not in (b"\1", b"\2", b"\3"):
            raise ValueError("not a .npy file of version 1 to 3")
        width = 2 if start[6] == 1 else 4
        length = int.from_bytes(file.read(width), "little")
        if length > 4096:
            raise ValueError("its header is too long")
        header = _HEADER.fullmatch(file.read(length).decode("latin-1"))
        size = os.fstat(file.fileno()).st_size
    if header is None or not _NUMBERS.fullmatch(header["kind"]):
        raise ValueError(_no_numbers(header["kind"] if header else ""))
    shape = tuple(int(part) for part in (header["shape"] or "").split(",") if part.strip())
    kind = np.dtype(header["kind"])
    offset = 8 + width + length
    if 0 in shape or not shape:
        raise ValueError(f"its shape is {shape}: it is empty")
    if size - offset != math.prod(shape) * kind.itemsize:
        raise ValueError(
            f"its header declares {math.prod(shape) * kind.itemsize} bytes, it holds "
            f"{size - offset}"
        )
    order: Literal["C", "F"] = "F" if header["fortran"] == "True" else "C"
    return np.memmap(path, kind, "r", offset, shape, order)


def _no_numbers(kind: str) -> str:
    if kind.endswith("O"):
        return "it holds Python objects, which are never unpickled; save numpy.stack(list) instead"
    words = f"numbers of type {kind}" if kind else "named fields or an unknown type"
    return f"its header declares {words}, not float16, float32, float64 or integer numbers"


def _from_npz(path: Path) -> _Found:
    """The array of a usual name, else the only matrix of numbers; ids and classes beside it."""
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MOST_BYTES:
            raise ValueError(f"it unpacks to over {MOST_BYTES:,} bytes")
    plain_arrays: dict[str, np.ndarray] = {}
    lost = []
    with np.load(path, allow_pickle=False) as arrays:
        for name in arrays.files:
            try:
                plain_arrays[name] = arrays[name]
            except ValueError:  # Python objects: never unpickled, and perhaps not needed
                lost.append(name)
    by_name = _one_an_image(plain_arrays) if not lost else None
    if by_name is not None:
        return by_name
    chosen = _chosen_matrix(plain_arrays)
    matrix = plain_arrays[chosen]
    labels, unread = _label_array(plain_arrays, len(matrix))
    ids = _id_array(plain_arrays, len(matrix), labels)
    others = [
        name
        for name in _matrices(plain_arrays)
        if name != chosen and name.lower() not in LABEL_NAMES
    ]
    notes = _not_used(chosen, others) + unread_note(unread)
    lost_ids = next((name for name in lost if name.lower() in ID_NAMES), "")
    return _Found(
        matrix,
        None if ids is None else _texts(ids, len(matrix)),
        None if labels is None else _texts(labels, len(matrix)),
        "" if ids is not None else lost_ids,
        tuple(notes),
    )


def _one_an_image(arrays: dict[str, np.ndarray]) -> _Found | None:
    """The vectors of an archive that holds one array of numbers for every image, named by it."""
    shapes = {array.shape for array in arrays.values()}
    kinds = {array.dtype.kind for array in arrays.values()}
    if len(arrays) < 2 or len(shapes) != 1 or kinds != {"f"}:
        return None
    if len(next(iter(shapes))) != 1 or any(name.startswith("arr_") for name in arrays):
        return None
    note = Note("vectors", f"{len(arrays):,} arrays of one vector each, named by their images")
    return _Found(np.stack(list(arrays.values())), list(arrays), notes=(note,))


def _matrices(arrays: dict[str, np.ndarray]) -> list[str]:
    return [name for name, one in arrays.items() if one.dtype.kind in "fiub" and one.ndim > 1]


def _chosen_matrix(arrays: dict[str, np.ndarray]) -> str:
    """The name of the matrix of vectors. Raises ValueError where that is in doubt."""
    lower = {name.lower(): name for name in _matrices(arrays)}
    named = next((lower[name] for name in VECTOR_NAMES if name in lower), None)
    possible = [name for key, name in lower.items() if key not in LABEL_NAMES]
    if named is None and len(possible) != 1:
        raise ValueError(
            f"it holds {', '.join(arrays) or 'no plain array'}; exactly one must be a matrix, or "
            "be "
            "called vectors"
        )
    return named or possible[0]


def _not_used(chosen: str, others: list[str]) -> list[Note]:
    """A note of matrices beside the one that was taken."""
    if not others:
        return []
    shown = ", ".join(map(repr, others[:3]))
    return [
        Note(
            "vectors",
            f"the vectors are {chosen!r}; not used: {shown} (save it to its own file to open it)",
        )
    ]


def unread_note(names: list[str]) -> list[Note]:
    """A note of arrays that are called labels and hold none that can be understood."""
    if not names:
        return []
    text = f"{', '.join(map(repr, names))} is not one class per row and is not used as labels"
    return [Note("labels", text)]


def _id_array(
    arrays: dict[str, np.ndarray], count: int, labels: np.ndarray | None
) -> np.ndarray | None:
    """The array of a usual name that holds an id a row, texts or whole numbers, else the only array
    of texts; None where there is none."""
    lower = {name.lower(): array for name, array in arrays.items()}
    for name in ID_NAMES:
        ids = lower.get(name)
        if ids is None:
            continue
        if ids.dtype.kind in "US":
            return ids
        if ids.shape == (count,) and _holds_integers(ids):
            return ids
    texts = [one for one in arrays.values() if one.dtype.kind in "US" and one is not labels]
    return texts[0] if len(texts) == 1 and texts[0].shape == (count,) else None


def _holds_integers(array: np.ndarray) -> bool:
    """Whether an array holds whole numbers, as integers or as floats without a fraction."""
    if array.dtype.kind in "iu":
        return True
    return array.dtype.kind == "f" and bool((np.isfinite(array) & (array % 1 == 0)).all())


def _label_array(arrays: dict[str, np.ndarray], count: int) -> tuple[np.ndarray | None, list[str]]:
    """(the array that holds one class a row, arrays called so that hold none).

    A column (N, 1) and rows with a single one (N, K) are classes too; floats are where they are
    whole numbers or NaN, which is not a class.
    """
    unread: list[str] = []
    for name, array in arrays.items():
        if name.lower() not in LABEL_NAMES:
            continue
        labels = _one_a_row(array, count)
        if labels is not None:
            return labels, unread
        unread.append(name)
    return None, unread


def _one_a_row(array: np.ndarray, count: int) -> np.ndarray | None:
    if array.shape == (count, 1):
        array = array[:, 0]
    elif array.ndim == 2 and len(array) == count and array.dtype.kind in "fiub":
        single = ((array == 0) | (array == 1)).all() and (array.sum(1) == 1).all()
        return array.argmax(1) if single else None
    if array.shape != (count,) or array.dtype.kind not in "iuUSbf":
        return None
    if array.dtype.kind == "f" and not _holds_integers(array[~np.isnan(array)]):
        return None
    return array


def _texts(values: np.ndarray, count: int) -> list[str]:
    """Each value as people write it: whole floats without ".0", "" for NaN."""
    if values.shape != (count,):
        raise ValueError(f"it has {values.size} ids for {count} rows")
    return [
        value.decode("utf-8", "backslashreplace")
        if isinstance(value, bytes)
        else plain_text(value) or ""
        for value in values.tolist()
    ]


def vector_column(schema: Any) -> str | None:
    """The column of an Arrow schema that holds lists of numbers, None when there is none."""
    fit = [field.name for field in schema if _holds_numbers(field.type)]
    lower = {name.lower(): name for name in fit}
    return next((lower[name] for name in VECTOR_NAMES if name in lower), fit[0] if fit else None)


def is_vector_table(text: str) -> bool:
    """Whether `text` is a Parquet file of this machine with vectors in it and no pictures."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = user_path(text)
    if path.suffix.lower() not in (".parquet", ".pq") or not path.is_file():
        return False
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError, ValueError):
        return False
    pictures = any(
        holds_bytes(field.type) and field.name.lower() not in _ONLY_IDS for field in schema
    )
    return (vector_column(schema) is not None or bool(wide_columns(schema))) and not pictures


def _holds_numbers(kind: Any) -> bool:
    import pyarrow as pa

    kind = _plain_type(kind)
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if not any(check(kind) for check in lists):
        return False
    numbers = (pa.types.is_floating, pa.types.is_integer, pa.types.is_decimal, pa.types.is_boolean)
    return any(check(kind.value_type) for check in numbers)


def _plain_type(kind: Any) -> Any:
    """A tensor's type as the list that stores it; any other type as it is."""
    return kind.storage_type if hasattr(kind, "storage_type") else kind


def _from_parquet(path: Path) -> _Found:
    """A column of number lists, with ids and classes beside it; rows of another length are NaN, so
    that they are skipped."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
        column = vector_column(schema)
        wide = [] if column else wide_columns(schema)
        if column is None and not wide:
            raise ValueError(f"no column holds lists of numbers, of {', '.join(schema.names)}")
        lower = {name.lower(): name for name in schema.names if name not in (column, *wide)}
        named = next((lower[name] for name in ID_NAMES if name in lower), None)
        named = named or _index_of_names(schema)
        label = next((lower[name] for name in LABEL_NAMES if name in lower), None)
        if label is not None and pa.types.is_nested(schema.field(label).type):
            label = None
        wanted = dict.fromkeys(filter(None, (column, *wide, named, label)))
        table = pq.read_table(path, columns=list(wanted))
    except pa.ArrowException as error:
        raise ValueError(" ".join(str(error).split())[:120]) from error
    matrix = _stacked(table[column]) if column else _side_by_side(table, wide)
    ids = [plain_text(value) or "" for value in table[named].to_pylist()] if named else None
    labels = [plain_text(value) or "" for value in table[label].to_pylist()] if label else None
    others = [one.name for one in schema if one.name != column and _holds_numbers(one.type)]
    chosen = column or f"{wide[0]} to {wide[-1]}"
    notes = _not_used(chosen, others if column else [])
    if wide:
        text = f"the {len(wide):,} columns {wide[0]!r} to {wide[-1]!r} were read as vectors"
        notes.append(Note("vectors", text))
    return _Found(matrix, ids, labels, notes=tuple(notes))


def wide_columns(schema: Any) -> list[str]:
    """Columns f0, f1, ... of plain numbers that hold a value of the vector each; [] for none."""
    import pyarrow as pa

    runs: dict[str, dict[int, str]] = {}
    for field in schema:
        match = _NUMBERED.fullmatch(field.name)
        if match and pa.types.is_floating(field.type):
            runs.setdefault(match[1], {})[int(match[2])] = field.name
    longest = max(runs.values(), key=len, default={})
    numbers = sorted(longest)
    consecutive = bool(numbers) and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return [longest[number] for number in numbers] if consecutive and len(numbers) > 1 else []


def _side_by_side(table: Any, columns: list[str]) -> np.ndarray:
    return np.stack(
        [table[name].to_numpy(zero_copy_only=False).astype(np.float32) for name in columns], axis=1
    )


def _index_of_names(schema: Any) -> str | None:
    """The index of texts that pandas wrote, None without one: it names the rows."""
    import pyarrow as pa

    for field in schema:
        texts = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        if field.name.startswith("__index_level_") and texts:
            return str(field.name)
    return None


def _stacked(column: Any) -> np.ndarray:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = _plain_type(column.type)
    if kind is not column.type:
        column = column.cast(kind)
    if not pa.types.is_floating(kind.value_type):
        column = column.cast(pa.list_(pa.float64()))
    lengths = pc.fill_null(pc.list_value_length(column), -1).to_numpy()
    if not len(lengths) or lengths.max() < 1:
        raise ValueError("it holds no vector")
    values, counts = np.unique(lengths[lengths > 0], return_counts=True)
    width = int(values[np.argmax(counts)])
    matrix = np.full((len(lengths), width), np.nan, np.float32)
    usable = lengths == width
    flat = pc.list_flatten(column.filter(pa.array(usable)))
    matrix[usable] = flat.to_numpy(zero_copy_only=False).astype(np.float32).reshape(-1, width)
    return matrix
