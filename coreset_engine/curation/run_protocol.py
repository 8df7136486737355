"""What curation reads of a run; `pipeline.run.Run`, which lies in a layer above, satisfies it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from coreset_engine.artifacts.store import Store
from coreset_engine.core.filter_columns import ColumnTable
from coreset_engine.core.types import Dataset, Progress

if TYPE_CHECKING:
    from coreset_engine.sources.predictions import Predictions


@dataclass(frozen=True)
class ColumnInfo:
    """A column that can be requested.

    Parameters
    ----------
    name : str
    group : {"metadata", "file", "exif", "tags", "computed"}
    ready : bool
        Whether it is computed; asking for another one computes what it rests on.
    stage : str
        What would be computed, "" = nothing.
    """

    name: str
    group: str
    ready: bool = True
    stage: str = ""


class DescribedColumns(ColumnTable, Protocol):
    """Columns that also say, without computing, which there are."""

    def describe(self) -> list[ColumnInfo]: ...


class PredictionSettings(Protocol):
    """The one setting of a run that curation asks for."""

    @property
    def predictions(self) -> str | None: ...


class CuratedRun(Protocol):
    """A dataset with its settings, its columns and tags, and the store of its artefacts."""

    @property
    def dataset(self) -> Dataset: ...
    @property
    def store(self) -> Store: ...
    @property
    def config(self) -> PredictionSettings: ...
    @property
    def encoder(self) -> str: ...
    @property
    def weights(self) -> str | None: ...
    @property
    def device(self) -> str: ...
    @property
    def vectors(self) -> np.ndarray: ...
    @property
    def predictions(self) -> Predictions: ...
    @property
    def columns(self) -> DescribedColumns: ...
    @property
    def tags(self) -> Mapping[str, Iterable[str]]: ...
    @property
    def tagged_by(self) -> Mapping[str, Iterable[str]] | None: ...
    @property
    def excluded_ids(self) -> tuple[str, ...]: ...
    def key_of(self, stage: str, **params: Any) -> str: ...
    def ready(self, stage: str) -> bool: ...
    def about(self) -> dict[str, str]: ...
    def tick(self, stage: str) -> Progress: ...
