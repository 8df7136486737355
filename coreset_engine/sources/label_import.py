"""Labels that come back from people and their tools: a file, a folder, or a FiftyOne dataset.

`import_labels` reads them (see `label_formats`); `ImportedLabels.match` joins them to images.
"""

from __future__ import annotations

from pathlib import Path

from coreset_engine.core.user_paths import user_path
from coreset_engine.sources.label_formats import read_rows
from coreset_engine.sources.label_matching import (
    CONFLICTS,
    Conflict,
    ImportedLabels,
    LabelMatch,
)

__all__ = [
    "CONFLICTS",
    "Conflict",
    "ImportedLabels",
    "LabelMatch",
    "import_labels",
    "read_labels",
]


def import_labels(
    where: Path | str, *, id_column: str = "", label_column: str = ""
) -> ImportedLabels:
    """The labels in a file, a folder, or a FiftyOne dataset ("fiftyone:NAME[/FIELD]").

    Raises
    ------
    BadInput
        When it cannot be read, or has no columns that name images and classes.
    Missing
        When FiftyOne's database cannot be reached.
    """
    text = str(where)
    if text.startswith("fiftyone:"):
        from coreset_engine.sources.fiftyone_labels import label_rows

        rows, fingerprints = label_rows(text.partition(":")[2], label_column)
        return ImportedLabels(text, rows, fingerprints, by_proof=True)
    path = user_path(text)
    column = label_column
    if not path.exists() and "#" in text:  # FILE#COLUMN
        name, _, column = text.rpartition("#")
        path = user_path(name)
    return ImportedLabels(str(path), read_rows(path, id_column, column))


def read_labels(path: Path | str) -> dict[str, str]:
    """{id: class name} of a label file, ids as they stand there.

    Raises
    ------
    BadInput
        When it cannot be read or holds no label.
    """
    return import_labels(path).as_they_are().labels
