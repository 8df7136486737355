"""Own embeddings as a source: a matrix, with its images and ids where they are available.

Rows are joined to images by ids: a column of the file, names in an .npz, or `ids=FILE`. Where only
the order is known, "natural" (img_2 before img_10), "lexical" and "folders" (folder by folder, as
torchvision lists them) are distinguished; where they
differ, natural order is assumed, the first pairs are shown, and the shell and the app ask for
`order` before use. A row without an image, an image without a row, and a row with NaN are
skipped.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from coreset_engine.core.counted import counted
from coreset_engine.core.errors import BadInput
from coreset_engine.core.ids import RowIds
from coreset_engine.core.limits import limits
from coreset_engine.core.types import Dataset, Note, Progress, Rejected, silent
from coreset_engine.core.user_paths import user_path
from coreset_engine.sources.folder import open_folder
from coreset_engine.sources.name_index import NameIndex
from coreset_engine.sources.options import ReadOptions, vectors_spec
from coreset_engine.sources.safe_names import safe_name, string_array
from coreset_engine.sources.tables import read_table
from coreset_engine.sources.text_files import lines_of, text_of
from coreset_engine.sources.vector_files import ID_NAMES, VectorFile, read_vectors

_SHOWN = 3
_PARTS = re.compile(r"(\d+)")


def open_vectors(
    path: str | Path,
    *,
    memory: Path | None = None,
    progress: Progress = silent,
    **options: object,
) -> Dataset:
    """Row i of the matrix in `path` is image i.

    Parameters
    ----------
    path
        .npy, .npz or Parquet: (N, D) numbers, one row per image.
    memory
        Where verdicts on image files are remembered.
    progress
        Called with unit "files".
    **options
        Fields of `ReadOptions`: images (a folder), ids ("FILE" or "FILE#COLUMN"; one unique id per
        row, which with `images` names an image), order (see `options.ORDERS`), and those of a
        folder.

    Returns
    -------
    Dataset
        vectors: (N, D) float16, float32 or float64, finite, a memmap where nothing was skipped.

    Raises
    ------
    BadInput
        When rows and images cannot be joined.
    """
    path = user_path(path).absolute()
    chosen = ReadOptions.of("vectors", options)
    read = read_vectors(path)
    names = _names(path, chosen, read)
    if chosen.labels == "none":
        read = replace(read, labels=None)
    if chosen.images is None:
        return _alone(path, chosen, read, names)
    images = user_path(chosen.images)
    folder_options = {name: value for name, value in chosen.changed().items() if name not in _OWN}
    pictures = open_folder(images, memory=memory, progress=progress, **folder_options)
    return _with_images(path, chosen, read, names, pictures)


_OWN = ("images", "ids", "order")


def _names(path: Path, chosen: ReadOptions, read: VectorFile) -> list[str] | None:
    """The ids of the rows, from `ids=`, from the file itself, or from an ids.txt beside it."""
    if chosen.ids is not None:
        return read_ids(chosen.ids, len(read.matrix))
    if read.ids is not None:
        return [safe_name(name) for name in read.ids]
    if chosen.images is None or chosen.order is not None:
        return None
    beside = path.with_name("ids.txt")
    if beside.is_file():
        return read_ids(beside, len(read.matrix))
    return next((names for one in _beside(path) if (names := _fitting(one, read))), None)


def _beside(path: Path) -> list[Path]:
    """Files beside the vectors that may hold the ids of their rows."""
    stems = ("ids", "filenames", "file_names", "paths", f"{path.stem}_ids")
    return [path.with_name(f"{stem}{end}") for stem in stems for end in (".txt", ".json", ".csv")]


def _fitting(path: Path, read: VectorFile) -> list[str] | None:
    """The ids in a file beside the vectors, where it has one for each row."""
    try:
        return read_ids(path, len(read.matrix)) if path.is_file() else None
    except BadInput:
        return None


def _alone(path: Path, chosen: ReadOptions, read: VectorFile, names: list[str] | None) -> Dataset:
    spec = vectors_spec(path, chosen)
    lazy = names is None and read.labels is None and not read.bad
    if lazy and len(read.matrix) > limits().lazy_names_above:
        own = RowIds(len(read.matrix))
        return Dataset(
            spec=spec,
            ids=cast(np.ndarray, own),  # RowIds answers like an array of strings
            fingerprint=_joined(read.digest, own),
            vectors=read.matrix,
            notes=read.notes,
        )
    if names is None:
        names = [f"row-{i:07d}" for i in range(len(read.matrix))]
    else:
        names, read = _without_repeats(path, names, read)
    digest = hashlib.sha256((read.digest + "\n".join(names)).encode()).hexdigest()
    good = _good_rows(read)
    labels, classes, notes = _own_labels(path, read, good)
    return Dataset(
        spec=spec,
        ids=string_array(names if not read.bad else [names[row] for row in good]),
        fingerprint=digest,
        vectors=read.matrix if not read.bad else read.matrix[good],
        rejected=_bad_rows(read, names),
        labels=labels,
        classes=classes,
        notes=(*read.notes, *notes),
    )


def _without_repeats(
    path: Path, names: list[str], read: VectorFile
) -> tuple[list[str], VectorFile]:
    """The ids, and the rows with those skipped that have no id or an earlier row's."""
    bad = dict(read.bad)
    seen: set[str] = set()
    for row, name in enumerate(names):
        if row in bad:
            continue
        if name in seen:
            bad[row] = "has the id of an earlier row"
        seen.add(name)
    if len(seen) * 2 <= len(names):
        _unique(names, len(names), str(path))
    shown = [name or f"row {row}" for row, name in enumerate(names)]
    return shown, replace(read, bad=bad)


def _own_labels(
    path: Path, read: VectorFile, rows: np.ndarray
) -> tuple[np.ndarray | None, tuple[str, ...], tuple[Note, ...]]:
    """(labels, classes, notes) of `rows` from the file's own column of classes."""
    if read.labels is None:
        return None, (), ()
    names = [read.labels[row].strip() for row in rows]
    known = set(names) - {""}
    numbers = all(name.isascii() and name.isdigit() for name in known)
    classes = sorted(known, key=(lambda name: (int(name), name)) if numbers else None)
    if len(classes) < 2:
        return None, (), ()
    code = {name: number for number, name in enumerate(classes)}
    labels = np.array([code.get(name, -1) for name in names], np.int64)
    sentence = (
        f"{len(classes):,} classes come from {path.name!r}; labels=none (--labels) changes that"
    )
    return labels, tuple(safe_name(name) for name in classes), (Note("labels", sentence),)


def _good_rows(read: VectorFile) -> np.ndarray:
    return np.array([row for row in range(len(read.matrix)) if row not in read.bad], np.int64)


def _bad_rows(read: VectorFile, names: Sequence[str]) -> tuple[Rejected, ...]:
    return tuple(Rejected(names[row], reason) for row, reason in sorted(read.bad.items()))


@dataclass(frozen=True, eq=False)
class _Join:
    """rows, images: (M,) int64, which row belongs to which image. aside: what has no partner."""

    rows: np.ndarray
    images: np.ndarray
    aside: tuple[Rejected, ...]
    notes: tuple[Note, ...]


def _with_images(
    path: Path,
    chosen: ReadOptions,
    read: VectorFile,
    names: list[str] | None,
    pictures: Dataset,
) -> Dataset:
    if names is None:
        join = _by_order(path, chosen.order, read, pictures)
    else:
        join = _by_ids(path, read, names, pictures)
    digest = hashlib.sha256(f"{read.digest} {pictures.fingerprint} {names}".encode())
    if chosen.order is not None or names is None:
        digest.update(join.images.tobytes())
    part = pictures.take(join.images)
    labels = part.labels
    classes = part.classes
    notes: tuple[Note, ...] = ()
    if labels is None:
        labels, classes, notes = _own_labels(path, read, join.rows)
    everything = len(join.rows) == len(read.matrix)
    in_order = everything and bool((join.rows == np.arange(len(join.rows))).all())
    return Dataset(
        spec=vectors_spec(path, chosen),
        ids=part.ids,
        fingerprint=digest.hexdigest(),
        reader=part.reader,
        labels=labels,
        classes=classes,
        paths=part.paths,
        columns=part.columns,
        vectors=read.matrix if in_order else read.matrix[join.rows],
        rejected=(*join.aside, *pictures.rejected),
        digests=part.digests,
        fit=pictures.fit,
        notes=(*join.notes, *read.notes, *notes, *pictures.notes),
    )


def _by_ids(path: Path, read: VectorFile, names: list[str], pictures: Dataset) -> _Join:
    """Rows joined to the images that their ids name."""
    index = NameIndex(pictures.ids.tolist())
    positions = [index.find(name) for name in names]
    if max(positions, default=-1) < 0 and all(name.isascii() and name.isdigit() for name in names):
        positions = _by_number(names, pictures)
    rows: list[int] = []
    images: list[int] = []
    taken: set[int] = set()
    named: set[int] = set()
    aside = []
    for row, name in enumerate(names):
        image = positions[row]
        named.add(image)
        reason = read.bad.get(row, "")
        if image < 0:
            reason = reason or "names no usable image, or several"
        elif image in taken:
            reason = reason or "names the same image as an earlier row"
        if reason:
            aside.append(Rejected(name or f"row {row}", reason))
            continue
        taken.add(image)
        rows.append(row)
        images.append(image)
    if not rows:
        raise BadInput(
            f"no id of {str(path)!r} names a usable image: the first id is {names[0]!r}, the first "
            f"image {str(pictures.ids[0])!r}; ids must be paths below the image folder, or file "
            "names."
        )
    lacking = [str(pictures.ids[i]) for i in range(len(pictures)) if i not in named]
    aside += [Rejected(name, "has no vector") for name in lacking]
    sentence = f"rows were joined to images by id: {len(rows):,} of {len(names):,} rows"
    note = Note("vectors", f"{sentence}, {counted(len(lacking), 'image')} without a vector")
    return _Join(np.array(rows, np.int64), np.array(images, np.int64), tuple(aside), (note,))


def _by_number(names: Sequence[str], pictures: Dataset) -> list[int]:
    """The image of each id that is a number: 7 is 0007.png where only one image has that number."""
    number_of: dict[int, int] = {}
    for row, key in enumerate(pictures.ids.tolist()):
        stem = Path(key).stem
        if stem.isascii() and stem.isdigit():
            number_of[int(stem)] = -1 if int(stem) in number_of else row
    return [number_of.get(int(name), -1) if name.isdigit() else -1 for name in names]


def _by_order(path: Path, order: str | None, read: VectorFile, pictures: Dataset) -> _Join:
    """Rows joined to images by their order alone."""
    if read.lost_ids and order is None:
        raise BadInput(
            f"{str(path)!r} holds {read.lost_ids!r} as Python objects, which are never unpickled, "
            "so "
            "which row is which image is not known; save them as texts (ids.astype(str)), give "
            "ids=FILE (--ids), or say order=natural (--order) where the order is right."
        )
    if len(read.matrix) != len(pictures):
        held = counted(len(read.matrix), "row")
        raise BadInput(
            f"{str(path)!r} has {held} but the folder has {len(pictures):,} usable images "
            f"({pictures.n_rejected:,} skipped); give one row per image, or "
            "ids=FILE (--ids) to match them."
        )
    names = [str(name) for name in pictures.ids]
    orders = {
        name: sorted(range(len(names)), key=lambda i: key(names[i])) for name, key in _ORDER.items()
    }
    chosen = orders[order or "natural"]
    rows = _good_rows(read)
    notes = (_order_note(names, orders, order),)
    bad = tuple(Rejected(names[chosen[row]], reason) for row, reason in sorted(read.bad.items()))
    return _Join(rows, np.array(chosen, np.int64)[rows], bad, notes)


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts img_2 before img_10: runs of digits count as numbers, before letters."""
    return [
        (0, int(part), part) if part.isdecimal() else (1, 0, part)
        for part in _PARTS.split(name)
        if part
    ]


def _in_folders(name: str) -> tuple[str, ...]:
    """A key that sorts folder by folder, as torchvision's ImageFolder does: a/1 before a-b/1."""
    return tuple(name.split("/"))


_ORDER: dict[str, Callable[[str], Any]] = {
    "natural": natural_key,
    "lexical": lambda name: name,
    "folders": _in_folders,
}


def _order_note(names: list[str], orders: dict[str, list[int]], order: str | None) -> Note:
    others: dict[str, list[int]] = {}
    for name, rows in orders.items():
        if rows not in others.values():
            others[name] = rows
    different = [name for name in others if name != "natural"]
    if not different:
        pairs = tuple(f"row {row} = {names[row]}" for row in range(min(_SHOWN, len(names))))
        return Note("order", "rows were matched to images by order", pairs)
    natural = orders["natural"]
    first = next(
        row
        for row in range(len(names))
        if any(orders[name][row] != natural[row] for name in different)
    )
    pairs = tuple(
        f"row {row} = "
        + " or ".join(f"{names[others[name][row]]} ({name})" for name in ("natural", *different))
        for row in range(first, min(first + _SHOWN, len(names)))
    )
    sentence = (
        f"rows were joined to images by {order or 'natural'} order, which is not the only one"
    )
    words = "|".join(("natural", *different))
    return Note(
        "order",
        f"{sentence}; say which with order={words} (--order), or join by ids=FILE (--ids)",
        pairs,
        confirm=order is None,
    )


def _joined(digest: str, names: RowIds) -> str:
    """The fingerprint that the same names give as a list."""
    sha = hashlib.sha256(digest.encode())
    for part in names.lines():
        sha.update(part)
    return sha.hexdigest()


# -- ids -------------------------------------------------------------------------------------------


def read_ids(text: str | Path, count: int) -> list[str]:
    """One id per row from "FILE" or "FILE#COLUMN": lines of a text, an array of texts, or a table.

    Raises
    ------
    BadInput
        When the file cannot be read, or does not hold `count` unique ids.
    """
    path, column = _ids_file(str(text))
    if path.suffix.lower() == ".npy":
        names = _array_ids(path)
    elif path.suffix.lower() in (".txt", "", ".ids", ".lst", ".list") and column is None:
        names = _lines(path)
    else:
        names = _column_ids(path, column)
    return _unique(names, count, f"ids={str(path)}")


def _ids_file(text: str) -> tuple[Path, str | None]:
    path = user_path(text)
    name, separator, column = text.rpartition("#")
    if separator and not path.exists():
        return user_path(name), column
    return path, None


def _lines(path: Path) -> list[str]:
    try:
        text = text_of(path.read_bytes())
    except OSError as error:
        raise BadInput(
            f"ids={str(path)!r} cannot be read as UTF-8 text ({error}); give one id per line."
        ) from error
    names = [safe_name(line) for line in lines_of(text)]
    while names and not names[-1].strip():
        names.pop()
    return names


def _array_ids(path: Path) -> list[str]:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise BadInput(
            f"ids={str(path)!r} cannot be read as an array of texts ({error}); give one id per "
            "line "
            "in a text file."
        ) from error
    return [safe_name(str(name)) for name in array.reshape(-1).tolist()]


def _listed_ids(path: Path) -> list[str] | None:
    """The ids of a JSON list of texts or numbers; None for any other file."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return None
    try:
        content = json.loads(text_of(path.read_bytes()))
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, list) or not all(isinstance(one, str | int) for one in content):
        return None
    return [safe_name(str(one)) for one in content]


def _column_ids(path: Path, column: str | None) -> list[str]:
    listed = _listed_ids(path) if column is None else None
    if listed is not None:
        return listed
    table = read_table(path)
    if table.names is None and not table.rows:
        raise BadInput(f"ids={str(path)!r} is empty; give one id per row.")
    header = table.names or tuple(str(cell) for cell in table.rows[0])
    lower = [name.strip().lower() for name in header]
    named = next((name for name in ID_NAMES if name in lower), None)
    wanted = column.lower() if column else named
    rows = table.rows
    if wanted in lower:
        at = lower.index(wanted)
        rows = rows if table.names else rows[1:]
    elif column is None and len(header) == 1:
        at = 0
    else:
        raise BadInput(
            f"ids={str(path)!r} has no column {column or 'of ids'!r}; its columns are "
            f"{', '.join(header)}: name one as FILE#COLUMN."
        )
    return [safe_name(row[at] or "") for row in rows]


def _unique(names: list[str], count: int, called: str) -> list[str]:
    if len(names) != count or len(set(names)) != count or "" in names:
        raise BadInput(
            f"{called!r} has {len(names):,} lines, {len(set(names)):,} of them different; it needs "
            f"{count:,}, unique and not empty, one per row."
        )
    return names


def read_matrix(path: str | Path) -> tuple[np.ndarray, str]:
    """((N, D) matrix, SHA-256 of its values), all rows finite; the first edition's name."""
    read = read_vectors(Path(path))
    if read.bad:
        row = min(read.bad)
        raise BadInput(
            f"{str(path)!r} has NaN or infinity in row {row}; vectors must be finite: remove or "
            "repair such rows."
        )
    return read.matrix, read.digest
