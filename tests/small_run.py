"""A real, small run without a store: 300 digits, their pixels as vectors, everything else computed
plainly in NumPy.

Holds what a selection method may ask for (`types.Artefacts`), so that selection is tested without
the other packages.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits

from coreset_engine.core.errors import Missing
from coreset_engine.core.forecast import Forecast
from coreset_engine.core.types import CoverageScores, Dataset, Dynamics, Neighbours, PseudoLabels
from coreset_engine.pipeline.forecast_stage import forecast_around


@dataclasses.dataclass(eq=False)
class SmallRun:
    """Everything given; properties that are None raise Missing, as a run's do."""

    dataset: Dataset
    vectors: np.ndarray
    neighbours: Neighbours
    pseudo_labels: PseudoLabels
    pseudo_dynamics: Dynamics
    true_dynamics: Dynamics
    coverage: CoverageScores
    seed: int = 0

    @property
    def labels(self) -> np.ndarray:
        if self.dataset.labels is None:
            raise Missing("no true labels here.")
        return self.dataset.labels

    @property
    def dynamics(self) -> Dynamics:
        return self.pseudo_dynamics

    def dynamics_at(self, *, labels: str = "pseudo", **params: Any) -> Dynamics:
        return self.pseudo_dynamics if labels == "pseudo" else self.true_dynamics

    def coverage_at(self, **params: Any) -> CoverageScores:
        return self.coverage

    def forecast_at(
        self, prune_rate: float, methods: Any = None, within: np.ndarray | None = None
    ) -> Forecast:
        return forecast_around(self, prune_rate, methods, within)


def make_run(
    vectors: np.ndarray,
    labels: np.ndarray,
    ids: np.ndarray,
    *,
    clusters: int = 10,
    k: int = 20,
    columns: dict | None = None,
) -> SmallRun:
    """Compute all artefacts of these vectors, each by its definition."""
    vectors = np.asarray(vectors, np.float32)
    pseudo = KMeans(clusters, n_init=2, random_state=0).fit_predict(vectors).astype(np.int64)
    dataset = Dataset(
        "small",
        np.asarray(ids),
        "small",
        labels=labels.astype(np.int64),
        classes=tuple(map(str, range(int(labels.max()) + 1))),
        columns=columns or {},
        paths=np.array([f"/images/{label}/{name}.png" for name, label in zip(ids, labels)]),
    )
    return SmallRun(
        dataset,
        vectors,
        nearest(vectors, k),
        PseudoLabels(pseudo, np.ones(len(pseudo), np.float32), clusters),
        watched(vectors, pseudo),
        watched(vectors, labels),
        scored(vectors),
    )


def nearest(vectors: np.ndarray, k: int) -> Neighbours:
    """Cosine neighbours; ties by index."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    distance = np.clip(1 - unit.astype(np.float64) @ unit.T.astype(np.float64), 0, 2).round(7)
    np.fill_diagonal(distance, np.inf)
    order = np.argsort(distance, axis=1, kind="stable")[:, :k]
    return Neighbours(order, np.take_along_axis(distance, order, 1).astype(np.float32))


def watched(vectors: np.ndarray, labels: np.ndarray, epochs: int = 15) -> Dynamics:
    """Softmax regression by gradient descent; the scores of every epoch's outputs."""
    x = (vectors - vectors.mean(0)) / (vectors.std(0) + 1)
    x = np.hstack([x, np.ones((len(x), 1))])
    onehot = np.eye(int(labels.max()) + 1)[labels]
    weights = np.zeros((x.shape[1], onehot.shape[1]))
    history = []
    for _ in range(epochs):
        logits = x @ weights
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        history.append((logits, p))
        weights -= 0.5 * x.T @ (p - onehot) / len(x)
    own = np.array([p[np.arange(len(x)), labels] for _, p in history])
    margins = np.array(
        [
            z[np.arange(len(x)), labels] - np.where(onehot == 1, -np.inf, z).max(1)
            for z, _ in history
        ]
    )
    right = margins > 0
    events = (right[:-1] & ~right[1:]).sum(0).astype(float)
    el2n = np.mean([np.linalg.norm(p - onehot, axis=1) for _, p in history[:5]], axis=0)
    last = history[-1][1]
    change = np.abs(np.diff(own, axis=0))
    windows = [own[at : at + 10] for at in range(len(own) - 9)]
    dual = np.mean([part.std(0, ddof=1) * (1 - part.mean(0)) for part in windows], axis=0)
    return Dynamics(
        margins.mean(0).astype(np.float32),
        np.where(right.any(0), events, np.inf).astype(np.float32),
        el2n.astype(np.float32),
        -(last * np.log(last + 1e-12)).sum(1).astype(np.float32),
        -np.log(own[-1] + 1e-12).astype(np.float32),
        (el2n * np.linalg.norm(x, axis=1)).astype(np.float32),
        own.std(0).astype(np.float32),
        change.std(0).astype(np.float32),
        margins.T.astype(np.float16),
        {"epochs": epochs},
        dual.astype(np.float32),
        own.mean(0).astype(np.float32),
    )


def scored(vectors: np.ndarray, draws: int = 3000, alpha: int = 20) -> CoverageScores:
    """BlindCS eq. 5-9 by brute force, exponent 4, m = 2."""
    rng = np.random.default_rng(0)
    x = vectors.astype(np.float64)
    low = x.min(0)
    mid = np.median(x, 0)
    high = x.max(0)
    live = np.flatnonzero(high > low)
    coverage = np.zeros(len(x))
    redundancy = np.zeros(len(x))
    for _ in range(draws):
        dims = rng.choice(live, 2, replace=False)
        z = rng.triangular(low[dims], np.clip(mid[dims], low[dims], high[dims]), high[dims])
        nearest_one = np.abs(x[:, dims] - z).sum(1).argmin()
        coverage[nearest_one] += 1
        distance = np.abs(x[:, dims] - x[nearest_one, dims]).sum(1)
        distance[nearest_one] = np.inf
        around = np.argsort(distance, kind="stable")[:alpha]
        weight = 1 / (1 + distance[around]) ** 4
        redundancy[around] += weight / weight.sum()
    return CoverageScores(coverage - redundancy, coverage, redundancy, draws)


def digits(n: int = 300) -> SmallRun:
    """The first n digits: a record of its own, its arrays shared and read-only."""
    return dataclasses.replace(computed_digits(n))


@functools.cache
def computed_digits(n: int) -> SmallRun:
    """What `digits` returns copies of, computed once a process; its arrays are read-only."""
    data = load_digits()
    columns = {
        "patient": np.array([f"p{i // 3}" for i in range(n)]),
        "cost": np.arange(n) % 5 + 1.0,
    }
    ids = np.array([f"digit-{i:04d}" for i in range(n)])
    run = make_run(data.data[:n], data.target[:n], ids, columns=columns)
    for record in (run, *vars(run).values()):
        for value in getattr(record, "__dict__", {}).values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
    return run


def reordered(run: SmallRun, order: np.ndarray) -> SmallRun:
    """The same images and artefacts, listed in another order."""
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))
    dataset = dataclasses.replace(
        run.dataset,
        ids=run.dataset.ids[order],
        labels=run.dataset.labels[order],
        paths=run.dataset.paths[order],
        columns={name: values[order] for name, values in run.dataset.columns.items()},
    )

    def shuffled(record):
        return dataclasses.replace(
            record,
            **{
                f.name: getattr(record, f.name)[order]
                for f in dataclasses.fields(record)
                if isinstance(getattr(record, f.name), np.ndarray)
            },
        )

    neighbours = dataclasses.replace(
        run.neighbours,
        indices=position[run.neighbours.indices[order]],
        distances=run.neighbours.distances[order],
    )
    return SmallRun(
        dataset,
        run.vectors[order],
        neighbours,
        shuffled(run.pseudo_labels),
        shuffled(run.pseudo_dynamics),
        shuffled(run.true_dynamics),
        shuffled(run.coverage),
        run.seed,
    )
