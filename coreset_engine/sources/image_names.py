"""Images that a person names: by id, path, file name, or file name without extension."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from coreset_engine.core.errors import BadInput
from coreset_engine.core.ids import places_of
from coreset_engine.core.types import Dataset
from coreset_engine.core.user_paths import user_path
from coreset_engine.sources.label_formats.columns import plain_name
from coreset_engine.sources.label_formats.rows import ID_COLUMNS, PICTURES
from coreset_engine.sources.name_index import NameIndex
from coreset_engine.sources.tables import Table, read_table
from coreset_engine.sources.text_files import lines_of, refuse_packed, text_of

LISTS = frozenset("txt list ids lst".split())
TABLES = frozenset("csv tsv json jsonl ndjson parquet pq".split())
_EXAMPLES = 3


def ids_named(dataset: Dataset, names: Sequence[str], option: str) -> tuple[str, ...]:
    """The ids of the images that `names` mean, in their order, each once.

    Parameters
    ----------
    dataset
        The source.
    names
        Ids; else paths (absolute, or ending with an id), file names and file names without
        extension, each where it leaves no doubt.
    option
        What lists them, for the error: "must_keep".

    Raises
    ------
    BadInput
        When a name means no image, or several, with how many and examples.
    """
    wanted = list(dict.fromkeys(names))
    exact = places_of(dataset.ids, wanted) if wanted else ()
    if all(at >= 0 for at in exact):
        return tuple(wanted)
    index = NameIndex([str(key) for key in dataset.ids])
    by_file = _by_file(dataset)
    positions = [
        int(at) if at >= 0 else _row(name, index, by_file)
        for name, at in zip(wanted, exact, strict=True)
    ]
    missing = [name for name, row in zip(wanted, positions, strict=True) if row < 0]
    if missing:
        shown = ", ".join(map(repr, missing[:_EXAMPLES]))
        raise BadInput(
            f"{option} names {shown}, which is not an id of this source, or matches several images "
            f"({len(missing):,} of {len(wanted):,} names); ids here look like "
            f"{str(dataset.ids[0])!r}, and unique paths and file names are also accepted."
        )
    return tuple(dict.fromkeys(str(dataset.ids[row]) for row in positions))


def _by_file(dataset: Dataset) -> dict[str, int]:
    """Real path -> row, for images that are files."""
    if dataset.paths is None:
        return {}
    return {os.path.realpath(str(path)): row for row, path in enumerate(dataset.paths)}


def _row(name: str, index: NameIndex, by_file: dict[str, int]) -> int:
    """The row that a name means, -1 for none; the path of another file that exists means none."""
    file = user_path(name.strip())
    row = by_file.get(os.path.realpath(file), -1)
    if row >= 0 or by_file and file.is_absolute() and file.is_file():
        return row
    return index.find(name)


def listed_names(text: str, option: str) -> list[str]:
    """The names in a list that `text` is the path of; [text] where it is no such path.

    A list is a text of lines, a table or a list in JSON with a column of ids, paths or file names,
    a selection folder, or a folder of images, which stands for all images in it.

    Raises
    ------
    BadInput
        When the list cannot be read, names nothing, or is called like one and is not there.
    """
    path = user_path(text)
    ending = path.suffix.lower().lstrip(".")
    if path.is_dir():
        path = path / "ids.txt" if (path / "ids.txt").is_file() else path
    if path.is_dir():
        names = [str(one) for one in sorted(path.rglob("*")) if one.is_file()]
    elif not path.is_file() and ending in LISTS | TABLES - {"json"}:
        raise BadInput(f"{option} {text!r} does not exist; give a list of images, or an id.")
    elif not path.is_file() or ending not in LISTS | TABLES | {""} and path.name != "ids.txt":
        return [text]
    elif ending in TABLES:
        names = _in_table(path, text, option)
    else:
        names = _lines(path, option)
    if not names:
        raise BadInput(
            f"{option} {text!r} lists no image; give one id, path or file name per line."
        )
    return names


def _lines(path: Path, option: str) -> list[str]:
    try:
        data = path.read_bytes()
        refuse_packed(path, data)
        lines = [line.strip() for line in lines_of(text_of(data, str(path)))]
    except OSError as error:
        raise BadInput(f"{option} {str(path)!r} cannot be read ({error.strerror}).") from None
    return [line for line in lines if line and not line.startswith("# ")]


def _in_table(path: Path, text: str, option: str) -> list[str]:
    table = _list_in_json(path) or read_table(path)
    rows = table.rows
    header = table.names
    first: list[str] = []
    if header is None and rows:
        first = [plain_name(str(cell or "")) for cell in rows[0]]
        if set(first) & set(ID_COLUMNS) - {""}:
            header = tuple(first)
            rows = rows[1:]
    names = [plain_name(name) for name in header or ()]
    column = next((names.index(name) for name in ID_COLUMNS if name in names), None)
    if column is None and table.width == 1:
        column = 0
    if column is None and header is None:
        column = _file_column(rows)
    if column is None:
        raise BadInput(
            f"{option} {text!r} has the columns {', '.join(names or first)} and none of ids or "
            "files; call "
            "it id or file_name."
        )
    return [cell for row in rows if (cell := (row[column] or "").strip())]


def _file_column(rows: Sequence[Sequence[str | None]]) -> int | None:
    """The column of a table without a head whose cells are mostly names of pictures."""
    for column in range(len(rows[0]) if rows else 0):
        endings = [Path(row[column] or "").suffix.lower() for row in rows]
        if sum(ending in PICTURES for ending in endings) * 2 > len(endings):
            return column
    return None


def _list_in_json(path: Path) -> Table | None:
    """A JSON list of texts as a table of one column; None for anything else."""
    if path.suffix.lower() != ".json":
        return None
    try:
        content: Any = json.loads(text_of(path.read_bytes(), str(path)))
    except (OSError, ValueError, RecursionError):
        return None
    texts = isinstance(content, list) and all(isinstance(one, str | int) for one in content)
    return Table(("id",), [[str(one)] for one in content]) if texts else None
