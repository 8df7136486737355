"""A table of metadata or labels joined to the images of a folder, by name.

    labels.csv, metadata.jsonl, ... beside the images are found by themselves
    labels="FILE", labels="FILE#COLUMN" (a column's name, or its number from 1)

Rows find their image by path below the folder, by the end of a longer path, by file name, or by
file name without extension; a name that fits several images fits none. What does not match is
counted on both sides, with examples.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from coreset_engine.core.counted import counted
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Note
from coreset_engine.core.user_paths import user_path
from coreset_engine.sources.folder_labels import FEW, MODES
from coreset_engine.sources.folder_names import split_of
from coreset_engine.sources.label_formats.columns import (
    one_hot_columns,
    plain_name,
    positive_cells,
    several_in,
    spelt_column,
    without_fractions,
)
from coreset_engine.sources.label_formats.read import read_rows
from coreset_engine.sources.label_formats.rows import ID_COLUMNS, PICTURES
from coreset_engine.sources.label_matching import ImportedLabels
from coreset_engine.sources.name_index import NameIndex
from coreset_engine.sources.safe_names import safe_name, string_array
from coreset_engine.sources.tables import SEVERAL, SUFFIXES, Table, read_table
from coreset_engine.sources.text_files import text_of

BESIDE = ("metadata", "labels", "label", "annotations", "classes", "_classes")
ANNOTATIONS = ("annotations.json", "labels.json", "_annotations.coco.json", "annotations.xml")
LABELS = tuple(
    "label labels class classes cls class_name label_name category target species y".split()
)
_LABEL_ENDINGS = ("_label", "_labels", "_class")
KEYS = frozenset("id ids image_id sample_id key uid index".split()) | {"unnamed:_0", ""}
_FRACTION = re.compile(r"-?\d*\.\d+(e-?\d+)?", re.IGNORECASE)
_LONGEST_HEAD = 4096
_EXAMPLES = 3
_MOST_FOLDERS = 64  # folders that are looked into for a table


@dataclass(frozen=True, eq=False)
class JoinedTable:
    """labels: (N,) int64, -1 = none, or None. columns: name -> (N,) str, "" where absent."""

    path: Path
    labels: np.ndarray | None
    classes: tuple[str, ...]
    columns: dict[str, np.ndarray]
    notes: tuple[Note, ...] = field(default=())


@dataclass(frozen=True, eq=False)
class _Match:
    """Which column of a table names images.

    rows: (N,) int64 table row per image, -1 = none. more: image -> its further rows.
    """

    column: int
    rows: np.ndarray
    header: tuple[str, ...]
    body: list[list[str | None]]
    unknown: list[str]
    more: dict[int, list[int]]
    broken: int = 0

    def cells(self, column: int) -> list[str | None]:
        """The column of the table, SEVERAL where the rows of an image differ in it."""
        cells = [row[column] for row in self.body]
        for image, others in self.more.items():
            own = int(self.rows[image])
            if any((cells[row] or "").strip() != (cells[own] or "").strip() for row in others):
                cells[own] = SEVERAL
        return cells


def for_folder(root: Path, labels: str | None, relatives: Sequence[str]) -> JoinedTable | None:
    """The table that `labels` names, or the one beside the images that fits most of them.

    Raises
    ------
    BadInput
        When the table or column that is requested does not exist, or no row names an image.
    """
    if labels in MODES:
        return None
    if labels is None:
        return _beside(root, relatives)
    path, column = _named(root, labels)
    if path is None:
        table = _beside(root, relatives, labels)
        if table is None:
            raise BadInput(
                f"labels={labels!r} is neither 'folder', 'parent', 'none', nor an existing table, "
                "and no table beside the images has such a column; give a CSV, JSONL or Parquet "
                "file, or FILE#COLUMN."
            )
        return table
    if is_annotations(path):
        return _annotated(path, column, root, relatives)
    match = _matched(read_table(path), relatives)
    if match is None:
        raise BadInput(
            f"no row of {str(path)!r} names an image; its first row is "
            f"{_first_row(path)}, the first image is {safe_name(relatives[0])!r}: a column must "
            "hold paths below the folder, or file names."
        )
    return _joined(path, match, column, relatives)


def is_annotations(path: Path) -> bool:
    """Whether a file or folder was written by an annotation tool: COCO, YOLO, CVAT, ..."""
    if path.is_dir() or path.suffix.lower() == ".xml":
        return True
    if path.suffix.lower() == ".csv":
        with open(path, "rb") as file:
            return b"region_attributes" in file.readline(_LONGEST_HEAD)  # VIA
    if path.suffix.lower() != ".json":
        return False
    text = text_of(path.read_bytes(), str(path)).lstrip()
    return text.startswith("{") or text.startswith("[") and '"annotations"' in text


def _annotated(path: Path, column: str | None, root: Path, relatives: Sequence[str]) -> JoinedTable:
    """Labels from an annotation tool's file: images with one class; others are counted."""
    rows = read_rows(path, label_column=column or "")
    files = [str(root / relative) for relative in relatives]
    match = ImportedLabels(str(path), rows).match(relatives, files)
    classes = sorted(set(match.labels.values()))
    number = {name: code for code, name in enumerate(classes)}
    codes = [number.get(match.labels.get(relative, ""), -1) for relative in relatives]
    sentence = f"labels come from {path.name!r}: {' '.join(match.sentences())}"
    note = Note("labels", f"{sentence.rstrip('.')}; labels=none (--labels) changes that")
    names = tuple(safe_name(name) for name in classes)
    return JoinedTable(path, np.array(codes, np.int64), names, {}, (note,))


def _first_row(path: Path) -> str:
    rows = read_table(path).rows
    return repr([str(cell)[:40] for cell in rows[0][:4]]) if rows else "absent"


def _named(root: Path, labels: str) -> tuple[Path | None, str | None]:
    """(table, column) of "FILE", "FILE#COLUMN"; relative paths also below the folder itself."""
    name, _, column = labels.rpartition("#")
    for text, chosen in ((labels, None), (name, column or None)):
        typed_path = user_path(text)
        for path in (typed_path, root / text):
            if text and (path.is_file() or "/" in text and path.is_dir()):
                return path.absolute(), chosen
    return None, None


def _beside(root: Path, relatives: Sequence[str], column: str | None = None) -> JoinedTable | None:
    """The table beside the images, in `root` or in the folders they lie in.

    Of several the first that gives labels, with the columns of all.
    """
    tables, notes = _tables_in(root, relatives)
    joined = [_joined(path, match, column, relatives) for path, match in tables]
    if not joined and column is None:
        joined = _annotations_in(root, relatives, notes)
    if not joined:
        path, table = _of_parts(root, relatives)
        match = None if table is None else _matched(table, relatives)
        if path is not None and match is not None and (match.rows >= 0).mean() >= 0.5:
            joined = [_joined(path, match, column, relatives)]
    if not joined:
        return JoinedTable(root, None, (), {}, tuple(notes)) if notes else None
    first = next((one for one in joined if one.labels is not None), joined[0])
    columns = {name: values for one in joined for name, values in one.columns.items()}
    return replace(first, columns=columns | first.columns, notes=(*first.notes, *notes))


def _annotations_in(root: Path, relatives: Sequence[str], notes: list[Note]) -> list[JoinedTable]:
    """What an annotation tool's file beside the images says, where it names half of them."""
    for name in ANNOTATIONS:
        path = root / name
        if not path.is_file() or not is_annotations(path):
            continue
        try:
            joined = _annotated(path, None, root, relatives)
        except BadInput as error:
            notes.append(_unused(path, error))
            continue
        if joined.labels is not None and (joined.labels >= 0).mean() >= 0.5:
            return [joined]
    return []


def _unused(path: Path, error: BadInput) -> Note:
    return Note("labels", f"{path.name!r} beside the images is not used: {error}".rstrip("."))


def _tables_in(
    folder: Path, relatives: Sequence[str]
) -> tuple[list[tuple[Path, _Match]], list[Note]]:
    """(tables in `folder` whose rows name at least half of the images below it, notes on those that
    cannot be read)."""
    tables = []
    notes = []
    for stem in BESIDE:
        for suffix in SUFFIXES:
            path = folder / f"{stem}{suffix}"
            if not path.is_file():
                continue
            try:
                match = _matched(read_table(path), relatives)
            except BadInput as error:
                if suffix != ".json":  # what other tools write, see ANNOTATIONS
                    notes.append(_unused(path, error))
                continue
            if match is not None and (match.rows >= 0).mean() >= 0.5:
                tables.append((path, match))
    return tables, notes


def _of_parts(root: Path, relatives: Sequence[str]) -> tuple[Path | None, Table | None]:
    """The tables of several folders (train/metadata.jsonl, test/metadata.jsonl) as one."""
    first: Path | None = None
    records: list[dict[str, str | None]] = []
    tables = [f"{stem}{suffix}" for stem in BESIDE for suffix in SUFFIXES]
    for folder in _folders(relatives):
        if not any((root / folder / name).is_file() for name in tables):
            continue
        inside = [name[len(folder) + 1 :] for name in relatives if name.startswith(f"{folder}/")]
        tables_there, _ = _tables_in(root / folder, inside)
        if not tables_there:
            continue
        path, match = tables_there[0]
        first = first or path
        for row in match.body:
            record = dict(zip(match.header, row, strict=False))
            record.pop(match.header[match.column])
            records.append({"file_name": f"{folder}/{row[match.column]}", **record})
    if first is None:
        return None, None
    names = tuple(dict.fromkeys(name for record in records for name in record))
    return first, Table(names, [[record.get(name) for name in names] for record in records])


def _folders(relatives: Sequence[str]) -> list[str]:
    """The first two levels of folders that hold images; none where they are many."""
    parents = {relative.rpartition("/")[0] for relative in relatives}
    if len(parents) > 16 * _MOST_FOLDERS:
        return []
    parts = [parent.split("/") for parent in parents if parent]
    folders = {"/".join(names[:depth]) for names in parts for depth in (1, 2)}
    return sorted(folders) if len(folders) <= _MOST_FOLDERS else []


def _matched(table: Table, relatives: Sequence[str]) -> _Match | None:
    """The column that names most images; None when none does."""
    if not table.rows:
        return None
    index = NameIndex(relatives)
    probe = table.rows[:1000]
    columns = range(table.width)
    hits = [sum(index.find(row[column]) >= 0 for row in probe) for column in columns]
    names = table.names or [str(cell or "") for cell in table.rows[0]]
    column = max(
        columns,
        key=lambda at: (_worth(hits, probe, at), hits[at], _files_in(probe, at), _rank(names[at])),
    )
    if hits[column] and table.names and table.names[column].lower() in LABELS:
        others = [at for at in columns if at != column and hits[at]]
        column = max(others, key=hits.__getitem__, default=column)  # "1" may also be 1.png
    if not hits[column]:
        return None
    header, body = _header(table, index, column)
    rows = np.full(len(relatives), -1, np.int64)
    unknown = []
    more: dict[int, list[int]] = {}
    for number, row in enumerate(body):
        image = index.find(row[column])
        if image < 0:
            unknown.append(str(row[column]))
        elif rows[image] >= 0:
            more.setdefault(image, []).append(number)
        else:
            rows[image] = number
    return _Match(column, rows, header, body, unknown, more, table.broken)


def _worth(hits: list[int], rows: list[list[str | None]], column: int) -> int:
    """0 for a column without a hit, 1 for one that only counts the rows, 2 for any other."""
    cells = [(row[column] or "").strip() for row in rows]
    numbers = [int(cell) for cell in cells if cell.isascii() and cell.isdigit() and len(cell) < 19]
    counts = len(numbers) > 1 and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    if not hits[column]:
        return 0
    return 1 if counts and len(numbers) >= len(cells) - 1 else 2


def _rank(name: str) -> int:
    """Rank of a column's name as an image column: common names for files first."""
    plain = plain_name(name)
    rank = ID_COLUMNS.index(plain) if plain in ID_COLUMNS and plain else len(ID_COLUMNS)
    return -rank


def _files_in(rows: list[list[str | None]], column: int) -> int:
    """How many cells of a column are names of picture files."""
    return sum(Path(row[column] or "").suffix.lower() in PICTURES for row in rows)


def _header(
    table: Table, index: NameIndex, column: int
) -> tuple[tuple[str, ...], list[list[str | None]]]:
    """(column names, rows); a first row that names an image is not a header."""
    if table.names is not None:
        return table.names, table.rows
    first = table.rows[0]
    if index.find(first[column]) >= 0:
        return tuple(str(number + 1) for number in range(table.width)), table.rows
    names = tuple((name or "").strip() or str(at + 1) for at, name in enumerate(first))
    return names, table.rows[1:]


def _joined(path: Path, match: _Match, asked: str | None, relatives: Sequence[str]) -> JoinedTable:
    columns = {
        safe_name(name): string_array(
            [_shown(match.body[row][at]) if row >= 0 else "" for row in match.rows]
        )
        for at, name in enumerate(match.header)
        if at != match.column
    }
    chosen = _label_column(path, match, asked)
    cells, sentence = _label_cells(match, chosen, asked)
    labels, classes = (None, ()) if cells is None else _codes(match, cells, asked is not None)
    note = _note(path, match, sentence, cells if labels is not None else None, relatives)
    return JoinedTable(path, labels, classes, columns, (note,))


def _label_cells(
    match: _Match, chosen: int | None, asked: str | None
) -> tuple[list[str | None] | None, str]:
    """(the class in each row of the table, where it stands); None where no column holds any."""
    columns = [match.cells(at) for at in range(len(match.header))]
    if chosen is None:
        others = [at for at in range(len(columns)) if at != match.column]
        one_hot = [] if asked else one_hot_columns(columns, others)
        if not one_hot:
            return None, ""
        names = [match.header[at] for at in one_hot]
        rows = zip(*(columns[at] for at in one_hot), strict=True)
        shown = f"the columns {', '.join(map(repr, names[:_EXAMPLES]))} of ones and zeros"
        return [_only_class([names[at] for at in positive_cells(row)]) for row in rows], shown
    if asked is None:
        chosen = spelt_column(match.header, columns, chosen)
    cells = without_fractions(columns[chosen])
    known = frozenset((cell or "").strip() for cell in cells)
    texts = [SEVERAL if len(several_in(cell or "", known)) > 1 else cell for cell in cells]
    return texts, f"column {match.header[chosen]!r}"


def _only_class(names: list[str]) -> str | None:
    if not names:
        return None
    return names[0] if len(names) == 1 else SEVERAL


def _shown(cell: str | None) -> str:
    return "" if cell is None or cell == SEVERAL else safe_name(cell)


def _label_column(path: Path, match: _Match, asked: str | None) -> int | None:
    """The column that holds labels: the one requested, one of a usual name, or the only other."""
    names = [plain_name(name) for name in match.header]
    if asked is not None:
        if plain_name(asked) in names:
            return names.index(plain_name(asked))
        if asked.isdigit() and 1 <= int(asked) <= len(names):
            return int(asked) - 1
        raise BadInput(
            f"{str(path)!r} has no column {asked!r}; its columns are {', '.join(match.header)}."
        )
    usual = [names.index(name) for name in LABELS if name in names]
    usual += [at for at, name in enumerate(names) if name.endswith(_LABEL_ENDINGS)]
    if usual:
        return usual[0]
    others = [at for at in range(len(names)) if at != match.column and names[at] not in KEYS]
    others = [at for at in others if _files_in(match.body, at) * 2 <= len(match.body)]
    others = [at for at in others if not all(split_of(row[at] or "") for row in match.body)]
    return others[0] if len(others) == 1 and _repeats(match.cells(others[0])) else None


def _repeats(cells: Sequence[str | None]) -> bool:
    """Whether the values of a column occur more than once, as classes do and captions do not."""
    filled = [cell for cell in cells if cell is not None and cell.strip()]
    return len(set(filled)) < len(filled)


def _codes(
    match: _Match, column: Sequence[str | None], asked: bool
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    cells = [column[row] if row >= 0 else None for row in match.rows]
    texts = ["" if cell is None or cell == SEVERAL else cell.strip() for cell in cells]
    known = set(texts) - {""}
    many = len(known) > max(FEW, len(texts) // 2) or _are_measured(texts)
    if not known or not asked and (len(known) == 1 or many):
        return None, ()
    numbers = all(text.isascii() and text.isdigit() for text in known)
    classes = sorted(known, key=(lambda text: (int(text), text)) if numbers else None)
    number = {name: code for code, name in enumerate(classes)}
    labels = np.array([number.get(text, -1) for text in texts], np.int64)
    return labels, tuple(safe_name(name) for name in classes)


def _are_measured(texts: Sequence[str]) -> bool:
    """Whether texts are numbers with fractions that do not repeat: measured, no classes."""
    filled = [text for text in texts if text]
    fractions = all(_FRACTION.fullmatch(text) for text in filled)
    return fractions and len(set(filled)) == len(filled) > 2


def _note(
    path: Path,
    match: _Match,
    sentence: str,
    cells: Sequence[str | None] | None,
    relatives: Sequence[str],
) -> Note:
    others = [name for at, name in enumerate(match.header) if at != match.column]
    if cells is not None:
        note = f"labels come from {sentence} of {path.name!r}; {_counts(match, relatives, cells)}"
        return Note("labels", f"{note}; labels=FILE#COLUMN or labels=none (--labels) changes that")
    return Note(
        "labels",
        f"{path.name!r} was joined, but none of its columns is used as labels; "
        f"{_counts(match, relatives)}; choose one with labels={path.name}#COLUMN (--labels), "
        f"COLUMN being {', '.join(others[:8])}",
    )


def _counts(
    match: _Match, relatives: Sequence[str], cells: Sequence[str | None] | None = None
) -> str:
    """How many images and rows found each other, by which column, and what did not."""
    matched = np.flatnonzero(match.rows >= 0)
    counts = f"{len(matched):,} of {len(match.rows):,} images have a row"
    if len(matched):
        key = match.body[match.rows[matched[0]]][match.column] or ""
        pair = f"{safe_name(key[:60])!r} = {safe_name(relatives[matched[0]])!r}"
        counts += f" (by column {match.header[match.column]!r}: {pair})"
    if match.unknown:
        shown = ", ".join(repr(safe_name(name)[:60]) for name in match.unknown[:_EXAMPLES])
        unknown = counted(len(match.unknown), "row names", "rows name")
        counts += f"; {unknown} no image, for example {shown}"
    repeated = sum(
        match.body[row] != match.body[match.rows[image]]
        for image, rows in match.more.items()
        for row in rows
    )
    if repeated:
        counts += f"; {counted(repeated, 'row repeats', 'rows repeat')} an image with other values"
    if match.broken:
        broken = counted(match.broken, "line")
        agree = "was" if match.broken == 1 else "were"
        counts += f"; {broken} could not be read and {agree} skipped"
    several = 0 if cells is None else sum(cells[row] == SEVERAL for row in match.rows if row >= 0)
    if several:
        counts += "; " + counted(
            several,
            "image has several classes and counts as unlabelled",
            "images have several classes and count as unlabelled",
        )
    return counts
