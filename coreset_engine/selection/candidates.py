"""A part of a source as a source: a method then places its centres among allowed images only."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from coreset_engine.core.forecast import Forecast
from coreset_engine.core.types import (
    Artefacts,
    CoverageScores,
    Dataset,
    Dynamics,
    Neighbours,
    PseudoLabels,
    scores_at,
)
from coreset_engine.selection.columns import PartColumns, columns_of
from coreset_engine.selection.queries import similarity_to

# Share of the images that a pool may leave out (blocked ones, say) and still go by the forecast of
# the whole set, whose cells are likely to be finished.
FEW_LEFT_OUT = 0.02


class Pool:
    """`inputs` restricted to `positions` (M,) int64, ascending. Scores are those of the whole set.

    neighbours: indices into the pool; a neighbour outside it is -1 at distance inf.
    """

    def __init__(self, inputs: Artefacts, positions: np.ndarray) -> None:
        self._inputs = inputs
        self._at = np.asarray(positions, np.int64)
        self.seed = inputs.seed
        full = _without_content(inputs.dataset)
        self.dataset = full.take(self._at, full.fingerprint)

    @property
    def columns(self) -> PartColumns:
        return PartColumns(columns_of(self._inputs), self._at)

    @property
    def excluded_ids(self) -> tuple[str, ...]:
        """Of the whole; ids that are not in the pool are ignored."""
        return tuple(getattr(self._inputs, "excluded_ids", ()))

    def similarity_to(self, query: str) -> np.ndarray:
        """(M,) float32, cosine to a query that may lie outside the pool."""
        return similarity_to(self._inputs, query)[self._at]

    @property
    def vectors(self) -> np.ndarray:
        return self._inputs.vectors[self._at]

    @property
    def source(self) -> tuple[np.ndarray, np.ndarray]:
        """The vectors of the whole, and the (M,) positions in it that `vectors` shows."""
        if isinstance(self._inputs, Pool):
            vectors, positions = self._inputs.source
            return vectors, positions[self._at]
        return self._inputs.vectors, self._at

    @property
    def labels(self) -> np.ndarray:
        return self._inputs.labels[self._at]

    @property
    def pseudo_labels(self) -> PseudoLabels:
        full = self._inputs.pseudo_labels
        soft = None if full.probabilities is None else full.probabilities[self._at]
        return dataclasses.replace(
            full,
            labels=full.labels[self._at],
            confidence=full.confidence[self._at],
            probabilities=soft,
            agreement=None,
        )

    @property
    def neighbours(self) -> Neighbours:
        full = self._inputs.neighbours
        position_of = np.full(len(full.indices), -1, np.int64)
        position_of[self._at] = np.arange(len(self._at))
        indices = position_of[full.indices[self._at]]
        distances = np.where(indices >= 0, full.distances[self._at], np.inf).astype(np.float32)
        return dataclasses.replace(full, indices=indices, distances=distances)

    @property
    def dynamics(self) -> Dynamics:
        return self.dynamics_at()

    def dynamics_at(self, **params: Any) -> Dynamics:
        return scores_at(self._inputs.dynamics_at(**params), self._at)

    @property
    def coverage(self) -> CoverageScores:
        return self.coverage_at()

    def coverage_at(self, **params: Any) -> CoverageScores:
        return scores_at(self._inputs.coverage_at(**params), self._at)

    def forecast_at(
        self,
        prune_rate: float,
        methods: Iterable[Any] | None = None,
        within: np.ndarray | None = None,
    ) -> Forecast:
        """The forecast of selections from the pool's images; that of the whole set where the pool
        leaves out less than `FEW_LEFT_OUT` of it."""
        at = self._at if within is None else self._at[within]
        if len(at) >= (1 - FEW_LEFT_OUT) * len(self._inputs.dataset):
            return self._inputs.forecast_at(prune_rate, methods)
        return self._inputs.forecast_at(prune_rate, methods, np.sort(at))


def _without_content(dataset: Dataset) -> Dataset:
    """`dataset` without images, vectors and labels, none of which is read here.

    A method that reads labels asks for them by `labels`.
    """
    names = [field.name for field in dataclasses.fields(dataset)]
    kept = [name for name in names if name not in ("reader", "vectors", "labels")]
    return Dataset(**{name: getattr(dataset, name) for name in kept})
