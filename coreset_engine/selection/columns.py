"""Columns of whatever a selection is made from: a run's own table, a part of one, or a dataset's.

A run knows more columns (tags, file facts, scores) than a dataset; methods and constraints ask here
and need not know which they have.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coreset_engine.core.filter_columns import Column, ColumnTable, encode, unknown_column
from coreset_engine.core.types import Artefacts, Dataset

CLUSTER = ("cluster", "pseudo_label")
CLASS = ("class", "label")


def columns_of(inputs: Artefacts) -> ColumnTable:
    """The table of columns of a run, or of its dataset where it has no table of its own."""
    own = getattr(inputs, "columns", None)
    return own if own is not None else DatasetColumns(inputs)


class DatasetColumns:
    """Metadata columns, class, folder, id, path and cluster of a dataset."""

    def __init__(self, inputs: Artefacts) -> None:
        self._inputs = inputs

    def column(self, name: str) -> Column:
        """The column. Raises BadInput with the nearest names for one that does not exist."""
        values = dataset_values(self._inputs.dataset, name)
        if values is None and name in CLUSTER:
            values = self._inputs.pseudo_labels.labels
        if values is None:
            raise unknown_column(name, [*dataset_names(self._inputs.dataset), "cluster"])
        return encode(name, values)

    def __contains__(self, name: object) -> bool:
        return name in (*dataset_names(self._inputs.dataset), *CLUSTER)


class PartColumns:
    """The columns of some images of a table."""

    def __init__(self, whole: ColumnTable, rows: np.ndarray) -> None:
        self._whole = whole
        self._rows = rows

    def column(self, name: str) -> Column:
        """The column at these rows. Raises BadInput as the whole table does."""
        return self._whole.column(name).take(self._rows)

    def __contains__(self, name: object) -> bool:
        return name in self._whole


def dataset_names(dataset: Dataset) -> list[str]:
    """Names of the columns that a dataset brings, its metadata first."""
    names = [str(name) for name in dataset.columns]
    own = ["id"]
    if dataset.labels is not None:
        own.append("class")
    if dataset.paths is not None:
        own += ["path", "folder"]
    return names + [name for name in own if name not in names]


def dataset_values(dataset: Dataset, name: str) -> Any:
    """(N,) values of such a column, or None where the dataset has none of that name."""
    if name in dataset.columns:
        return dataset.columns[name]
    if name == "id":
        return np.asarray(dataset.ids)
    if name in CLASS and dataset.labels is not None:
        return _class_names(dataset)
    if name == "path" and dataset.paths is not None:
        return dataset.paths
    if name == "folder" and dataset.paths is not None:
        return _folders(dataset)
    return None


def _class_names(dataset: Dataset) -> np.ndarray:
    labels = np.asarray(dataset.labels)
    highest = int(labels.max(initial=-1))
    beyond = [str(number) for number in range(len(dataset.classes), highest + 1)]
    names = np.array([*dataset.classes, *beyond, ""], object)
    return np.asarray(names[labels])


def _folders(dataset: Dataset) -> np.ndarray:
    paths = [str(path).replace("\\", "/") for path in dataset.paths]  # type: ignore[union-attr]
    return np.array([path.rpartition("/")[0] for path in paths], object)
