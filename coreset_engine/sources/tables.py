"""Tables that people keep beside their images: CSV in any dialect, JSON lines, JSON and Parquet.

Everything comes back as texts, so that "0007" stays "0007". Delimiter, encoding and whether there
is a header are found from the file; values are never evaluated.
"""

from __future__ import annotations

import codecs
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

SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet", ".pq")
MOST_BYTES = 2**30
_DELIMITERS = (",", ";", "\t", "|")
_PROBED = 50  # lines that a dialect is judged by
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class Table:
    """names: of the columns, or None where the file has no header that is known to be one. rows:
    texts, None for an absent value; every row as long as the longest."""

    names: tuple[str, ...] | None
    rows: list[list[str | None]]

    @property
    def width(self) -> int:
        return len(self.names) if self.names else len(self.rows[0]) if self.rows else 0


def read_table(path: str | Path) -> Table:
    """The table in `path`.

    Returns
    -------
    Table
        For CSV, `names` is None and the first row may be a header: only its use can tell.

    Raises
    ------
    BadInput
        When the file cannot be read, or is no table.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadInput(
                f"{str(path)!r} is over {MOST_BYTES:,} bytes long; give a smaller table."
            )
        if path.suffix.lower() in (".parquet", ".pq"):
            return _parquet(path)
        text = decoded(path.read_bytes())
    except OSError as fault:
        raise BadInput(
            f"{str(path)!r} cannot be read ({fault.strerror or fault}); check the path."
        ) from fault
    if path.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        return _records(path, text)
    return Table(None, _even(split_rows(text)))


def decoded(data: bytes) -> str:
    """The text of a file in UTF-8, UTF-16 or, failing these, Windows' Latin."""
    for bom, name in _BOMS:
        if data.startswith(bom):
            return data.decode(name, "replace")
    if b"\0" in data[:200]:  # UTF-16 without a mark: every other byte of plain letters is zero
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def split_rows(text: str) -> list[list[str]]:
    """Rows of a CSV text, by the delimiter that cuts its first lines most evenly."""
    head = [line for line in text.splitlines() if line.strip()][:_PROBED]
    delimiter = _delimiter(head)
    if delimiter is None:
        return [re.split(r"\s+", line.strip()) for line in text.splitlines() if line.strip()]
    csv.field_size_limit(2**24)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as fault:
        raise BadInput(f"the table cannot be read as CSV ({fault}); write it again.") from fault
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


def _even(rows: list[list[str]]) -> list[list[str | None]]:
    width = max((len(row) for row in rows), default=0)
    return [[*row, *[None] * (width - len(row))] for row in rows]


def _records(path: Path, text: str) -> Table:
    try:
        if path.suffix.lower() == ".json":
            found = json.loads(text)
        else:
            found = [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError) as fault:
        raise BadInput(f"{str(path)!r} is no JSON ({str(fault)[:100]}); write it again.") from fault
    records = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    if not records:
        raise BadInput(f"{str(path)!r} holds no list of records; give one JSON object per image.")
    flat = [_flat(record) for record in records]
    names = tuple(dict.fromkeys(name for record in flat for name in record))
    return Table(names, [[record.get(name) for name in names] for record in flat])


def _flat(record: dict[str, Any], prefix: str = "") -> dict[str, str | None]:
    """Plain values by dotted name; lists are left out."""
    flat: dict[str, str | None] = {}
    for name, value in record.items():
        if isinstance(value, dict) and prefix.count(".") < 4:
            flat |= _flat(value, f"{prefix}{name}.")
        elif not isinstance(value, list | dict):
            flat[f"{prefix}{name}"] = as_text(value)
    return flat


def as_text(value: Any) -> str | None:
    """A plain value as people write it: whole floats without ".0", truth as "true"."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)


def _parquet(path: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
        plain = [field.name for field in schema if not pa.types.is_nested(field.type)]
        kept = [name for name in plain if not _is_bytes(schema.field(name).type)]
        columns = pq.read_table(path, columns=kept).to_pydict()
    except (pa.ArrowException, OSError, ValueError) as fault:
        raise BadInput(
            f"{str(path)!r} cannot be read as Parquet ({' '.join(str(fault).split())[:100]})."
        ) from fault
    texts = [[as_text(value) for value in columns[name]] for name in kept]
    return Table(tuple(kept), [list(row) for row in zip(*texts, strict=True)])


def _is_bytes(kind: Any) -> bool:
    import pyarrow as pa

    checks = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    return any(check(kind) for check in checks)
