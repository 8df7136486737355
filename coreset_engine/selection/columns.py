"""Columns of whatever a selection is made from: a run's own table, a part of one, or a dataset's.

A run knows more columns (tags, file facts, scores) than a dataset; methods and constraints ask here
and need not know which they have.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np

from coreset_engine.core.filter_columns import Column, ColumnTable, encode, unknown_column
from coreset_engine.core.types import Artefacts, Dataset

CLUSTER = ("cluster", "pseudo_label")
CLASS = ("class", "label")
PATHS = ("path", "folder")


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
        known = dataset_column(self._inputs.dataset, name)
        if known is not None:
            return known
        if name in CLUSTER:
            return encode(name, self._inputs.pseudo_labels.labels)
        raise unknown_column(name, self.names())

    def names(self) -> list[str]:
        """What can be requested, metadata first."""
        return [*dataset_names(self._inputs.dataset), CLUSTER[0]]

    def __contains__(self, name: object) -> bool:
        return name in (*dataset_names(self._inputs.dataset), *CLUSTER)


class PartColumns:
    """The columns of some images of a table."""

    def __init__(self, full: ColumnTable, rows: np.ndarray) -> None:
        self._full = full
        self._rows = rows

    def column(self, name: str) -> Column:
        """The column at these rows. Raises BadInput as the whole table does."""
        return self._full.column(name).take(self._rows)

    def names(self) -> list[str]:
        """What the whole table knows."""
        return self._full.names()

    def __contains__(self, name: object) -> bool:
        return name in self._full


def dataset_names(dataset: Dataset) -> list[str]:
    """Names of the columns that a dataset brings, its metadata first."""
    names = [str(name) for name in dataset.columns]
    own = ["id"]
    if dataset.labels is not None:
        own.append("class")
    if dataset.paths is not None:
        own += ["path", "folder"]
    return names + [name for name in own if name not in names]


def dataset_column(dataset: Dataset, name: str) -> Column | None:
    """Such a column, or None where the dataset has none of that name."""
    values = dataset_values(dataset, name)
    if values is None:
        return None
    column = encode(name, values)
    is_path = name in PATHS and name not in dataset.columns
    return replace(column, root=root_of(dataset)) if is_path else column


def dataset_values(dataset: Dataset, name: str) -> Any:
    """(N,) values of such a column, or None where the dataset has none of that name.

    Paths and folders are named from the source's root on ("." for its own folder).
    """
    if name in dataset.columns:
        return dataset.columns[name]
    if name == "id":
        return np.asarray(dataset.ids)
    if name in CLASS and dataset.labels is not None:
        return _class_names(dataset)
    if name in PATHS and dataset.paths is not None:
        below = len(root_of(dataset))
        paths = [path[below:] for path in _slashed(dataset)]
        if name == "folder":
            paths = [path.rpartition("/")[0] or "." for path in paths]
        return np.array(paths, object)
    return None


def root_of(dataset: Dataset) -> str:
    """The folder that all images lie below, with a slash at its end; "" where there is none.

    The source's own folder where ids are the paths below it, else the deepest common one.
    """
    paths = _slashed(dataset)
    for path, name in zip(paths, dataset.ids):
        if path.endswith(f"/{name}"):
            root = path[: -len(name)]
            if all(other.startswith(root) for other in paths):
                return root
            break
    folders = {path.rpartition("/")[0] for path in paths}
    try:
        common = os.path.commonpath(folders).replace("\\", "/")
    except ValueError:  # on several drives
        return ""
    return common.rstrip("/") + "/" if common else ""


def _slashed(dataset: Dataset) -> list[str]:
    paths = () if dataset.paths is None else dataset.paths
    return [str(path).replace("\\", "/") for path in paths]


def _class_names(dataset: Dataset) -> np.ndarray:
    labels = np.asarray(dataset.labels)
    highest = int(labels.max(initial=-1))
    beyond = [str(number) for number in range(len(dataset.classes), highest + 1)]
    names = np.array([*dataset.classes, *beyond, ""], object)
    return np.asarray(names[labels])
