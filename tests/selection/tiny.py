"""A run of a few points on a line or plane, small enough to work every method by hand."""

from __future__ import annotations

import numpy as np

from coreset_engine.core.errors import Missing
from coreset_engine.core.registry import METHODS, load
from coreset_engine.core.types import Dataset, Neighbours, PseudoLabels, Ranking


class Tiny:
    """vectors: (N, D) or (N,) for points on a line. What is not given raises Missing."""

    seed = 0

    def __init__(
        self, vectors, labels=None, neighbours: Neighbours | None = None, dynamics=None
    ) -> None:
        self.vectors = np.asarray(vectors, np.float32).reshape(len(vectors), -1)
        n = len(self.vectors)
        self.labels = np.zeros(n, np.int64) if labels is None else np.asarray(labels, np.int64)
        self.dataset = Dataset(
            "tiny",
            np.array([f"t{i}" for i in range(n)]),
            "tiny",
            labels=self.labels,
            classes=tuple(map(str, range(int(self.labels.max()) + 1))),
        )
        self._neighbours = neighbours
        self._dynamics = dynamics

    @property
    def pseudo_labels(self) -> PseudoLabels:
        return PseudoLabels(
            self.labels, np.ones(len(self.labels), np.float32), int(self.labels.max()) + 1
        )

    @property
    def neighbours(self) -> Neighbours:
        if self._neighbours is None:
            raise Missing("no neighbours here.")
        return self._neighbours

    def dynamics_at(self, **params):
        if self._dynamics is None:
            raise Missing("no dynamics here.")
        return self._dynamics


def ranked(name: str, run: Tiny, k: int, *, preselected=None, seed: int = 0, **params) -> Ranking:
    """The method's ranking with these knobs."""
    row = METHODS[name]
    preselected = None if preselected is None else np.asarray(preselected, np.int64)
    return load(row.function)(run, k, load(row.config)(**params), seed, preselected=preselected)


def line_graph(points, k: int) -> Neighbours:
    """The k nearest of points on a line, with their plain distances."""
    points = np.asarray(points, np.float64)
    far = np.abs(points[:, None] - points[None])
    np.fill_diagonal(far, np.inf)
    order = np.argsort(far, axis=1, kind="stable")[:, :k]
    return Neighbours(order, np.take_along_axis(far, order, 1).astype(np.float32), "euclidean")
