"""Tables that people keep beside their images: CSV in any dialect, JSON lines, JSON and Parquet.

Everything comes back as texts, so that "0007" stays "0007". Delimiter, encoding and whether there
is a header are found from the file; values are never evaluated.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coreset_engine.core.errors import BadInput
from coreset_engine.sources.label_formats.csv_file import without_comments
from coreset_engine.sources.label_formats.values import (
    class_names_of,
    classes_of,
    named_classes,
    plain_text,
)
from coreset_engine.sources.text_files import lines_of, refuse_packed, text_of

SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet", ".pq")
MOST_BYTES = 2**30
_DELIMITERS = (",", ";", "\t", "|")
_PROBED = 50  # lines that a dialect is judged by
SEVERAL = "\0several"  # in the place of a cell that holds more than one value


@dataclass(frozen=True)
class Table:
    """A table of texts.

    names: of the columns, or None where the file has no header that is known to be one. rows:
    texts, None for an absent value and SEVERAL for more than one; every row as long as the longest.
    broken: how many lines could not be read.
    """

    names: tuple[str, ...] | None
    rows: list[list[str | None]]
    broken: int = 0

    @property
    def width(self) -> int:
        if self.names:
            return len(self.names)
        return len(self.rows[0]) if self.rows else 0


def read_table(path: str | Path) -> Table:
    """The table in `path`.

    Returns
    -------
    Table
        For CSV, `names` is None and the first row may be a header: only its use can tell.

    Raises
    ------
    BadInput
        When the file cannot be read, or is not a table.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadInput(
                f"{str(path)!r} is over {MOST_BYTES:,} bytes long; give a smaller table."
            )
        if path.suffix.lower() in (".parquet", ".pq"):
            return _parquet(path)
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"{str(path)!r} cannot be read ({error.strerror or error}); check the path."
        ) from error
    refuse_packed(path, data)
    text = text_of(data, str(path))
    if path.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        return _records(path, text)
    rows, broken = _even(split_rows(without_comments(text)))
    return Table(None, rows, broken)


decoded = text_of  # its name in earlier editions


def split_rows(text: str) -> list[list[str]]:
    """Rows of a CSV text, by the delimiter that cuts its first lines most evenly."""
    head = [line for line in text.splitlines() if line.strip()][:_PROBED]
    delimiter = _delimiter(head)
    if delimiter is None:
        return [re.split(r"\s+", line.strip()) for line in text.splitlines() if line.strip()]
    csv.field_size_limit(2**24)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise BadInput(f"the table cannot be read as CSV ({error}); write it again.") from error
    return [row for row in rows if any(cell.strip() for cell in row)]


def _delimiter(head: Sequence[str]) -> str | None:
    """The delimiter; "," for a single column; None for columns set apart by blanks."""
    scores = {}
    for delimiter in _DELIMITERS:
        try:
            widths = Counter(len(row) for row in csv.reader(head, delimiter=delimiter))
        except csv.Error:
            continue
        width, count = widths.most_common(1)[0] if widths else (1, 0)
        scores[delimiter] = (count * (width > 1), width)
    best = max(scores, key=scores.__getitem__) if scores else ","
    if scores.get(best, (0, 1))[0] > len(head) // 2:
        return best
    blanks = Counter(len(line.split()) for line in head)
    width, count = blanks.most_common(1)[0] if blanks else (1, 0)
    return None if width > 1 and count == len(head) else ","


def _even(rows: list[list[str]]) -> tuple[list[list[str | None]], int]:
    """(rows of one length, how many were left out).

    A few rows that are longer than the first hold a delimiter that is not quoted: which cell is
    which is not known of them.
    """
    first = len(rows[0]) if rows else 0
    longer = [row for row in rows if any(cell.strip() for cell in row[first:])]
    few = 0 < len(longer) * 2 <= len(rows)
    if few:
        rows = [row for row in rows if row not in longer]
    width = first if few else max((len(row) for row in rows), default=0)
    even = [[*row[:width], *[None] * (width - len(row))] for row in rows]
    return even, len(longer) if few else 0


def _records(path: Path, text: str) -> Table:
    """Rows of JSON lines, or of a JSON list of objects; a broken line costs itself only."""
    broken = 0
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        entries = [_parsed(line) for line in lines_of(text) if line.strip()]
        broken = sum(one is None for one in entries)
        if broken == len(entries) or path.suffix.lower() == ".json":
            raise BadInput(
                f"{str(path)!r} is no JSON ({str(error)[:100]}); write it again."
            ) from error
    records = [one for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []
    if isinstance(entries, dict) and path.suffix.lower() != ".json":  # JSON lines of a single line
        records = [entries]
    if not records:
        raise BadInput(f"{str(path)!r} holds no list of records; give one JSON object per image.")
    flat = [_flat(record) for record in records]
    names = tuple(dict.fromkeys(name for record in flat for name in record))
    return Table(names, [[record.get(name) for name in names] for record in flat], broken)


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _flat(record: dict[str, Any], prefix: str = "") -> dict[str, str | None]:
    """Plain values by dotted name; what a labelling tool writes for a choice is the choice."""
    flat: dict[str, str | None] = {}
    for name, value in record.items():
        if isinstance(value, dict) and "choices" in value:
            flat[f"{prefix}{name}"] = _only(classes_of(value))
        elif isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.") if prefix.count(".") < 4 else {}
        elif isinstance(value, list):
            if not any(isinstance(item, float) for item in value):  # no vector
                flat[f"{prefix}{name}"] = _only(classes_of(value))
        else:
            flat[f"{prefix}{name}"] = plain_text(value)
    return flat


def _only(values: Sequence[str]) -> str | None:
    """The one value of a list; SEVERAL where there are more, None where there is none."""
    if not values:
        return None
    return values[0] if len(values) == 1 else SEVERAL


def _parquet(path: Path) -> Table:
    """The columns of a Parquet file; of a nested image its path, of a list its only value, and for
    numbers of classes the names that the schema lists."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            names_of = {name: class_names_of(schema, name) for name in schema.names}
            table = file.read(columns=_readable(schema, names_of))
        while any(pa.types.is_struct(field.type) for field in table.schema):
            table = table.flatten()
        columns = {
            name: _column(table[name], names_of.get(name, [])) for name in table.column_names
        }
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadInput(
            f"{str(path)!r} cannot be read as Parquet ({' '.join(str(error).split())[:100]})."
        ) from error
    return Table(tuple(columns), [list(row) for row in zip(*columns.values(), strict=True)])


def _readable(schema: Any, names_of: dict[str, list[str]]) -> list[str]:
    """The columns of plain values, of lists of texts or classes, and the plain parts of structs."""
    import pyarrow as pa

    names = []
    for field in schema:
        kind = field.type
        if pa.types.is_struct(kind):
            inner = [one.name for one in kind if _is_plain(one.type)]
            names += [f"{field.name}.{name}" for name in inner]
        elif _is_plain(kind) or _is_list_of_classes(kind, names_of.get(field.name, [])):
            names.append(field.name)
    return names


def _is_plain(kind: Any) -> bool:
    import pyarrow as pa

    return not pa.types.is_nested(kind) and not _is_bytes(kind)


def _is_list_of_classes(kind: Any, names: list[str]) -> bool:
    """Lists of numbers without names are vectors or boxes."""
    import pyarrow as pa

    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return False
    return bool(names) or pa.types.is_string(kind.value_type)


def _column(column: Any, names: list[str]) -> list[str | None]:
    return [_cell(value, names) for value in column.to_pylist()]


def _cell(value: Any, names: list[str]) -> str | None:
    if names and isinstance(value, int) or isinstance(value, list):
        return _only(named_classes(value, names))
    return plain_text(value)


def _is_bytes(kind: Any) -> bool:
    import pyarrow as pa

    checks = (
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_fixed_size_binary,
        pa.types.is_binary_view,
    )
    return any(check(kind) for check in checks)
