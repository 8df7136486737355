"""Label files in Parquet: classes may be text, numbers with names in the schema, or nested."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coreset_engine.core.errors import BadInput
from coreset_engine.sources.label_formats.columns import plain_name
from coreset_engine.sources.label_formats.csv_file import choose_columns
from coreset_engine.sources.label_formats.rows import LabelRow, key_text
from coreset_engine.sources.label_formats.values import class_names_of, named_classes


def read_parquet(path: Path, id_column: str, label_column: str) -> Iterator[LabelRow]:
    """The rows of a Parquet file, a part at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            head = [plain_name(name) for name in schema.names]
            chosen = choose_columns(path, head, (), id_column, label_column)
            label = chosen.label
            assert label is not None  # without cells there is no one-hot table
            names = class_names_of(schema, schema.names[label])
            wanted = dict.fromkeys(schema.names[at] for at in (*chosen.keys, label))
            number = 0
            for batch in file.iter_batches(1 << 14, columns=_leaves(file, list(wanted))):
                for row in batch.to_pylist():
                    named = {head[at]: key_text(row.get(schema.names[at])) for at in chosen.keys}
                    named = {name: text for name, text in named.items() if text}
                    classes = named_classes(row.get(schema.names[label]), names)
                    reason = "" if named else "no id"
                    yield LabelRow(named, classes, f"row {number}", reason=reason)
                    number += 1
    except (pa.ArrowException, OSError) as error:
        message = " ".join(str(error).split())[:160]
        raise BadInput(f"{str(path)!r} cannot be read as Parquet ({message}).") from None


def _leaves(file: Any, wanted: list[str]) -> list[str]:
    """The columns to read; of a nested image its path alone, not its bytes."""
    paths = [file.schema.column(i).path for i in range(len(file.schema))]
    return [path for path in paths if path.split(".")[0] in wanted and not path.endswith(".bytes")]
