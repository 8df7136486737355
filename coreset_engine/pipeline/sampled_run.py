"""Runs too large for a page: a stratified sample for the map, exact counts from Parquet.

`Sampled` is a run over the sample: its scores are those of the full run, taken at the sampled
images, only the map and its neighbours are its own. It is drawn once per artefact set and kept in
the store, so every page and session sees the same. What is counted is counted over all images:
run.totals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from coreset_engine.artifacts.store import Store, digest
from coreset_engine.core.errors import Missing
from coreset_engine.core.forecast import Forecast
from coreset_engine.core.limits import limits
from coreset_engine.core.registry import featured
from coreset_engine.core.types import (
    CoverageScores,
    Dynamics,
    Embeddings,
    Neighbours,
    PseudoLabels,
    scores_at,
)
from coreset_engine.pipeline.config import RunConfig
from coreset_engine.pipeline.counts import Totals, Window, finished, totals, why_not
from coreset_engine.pipeline.run import Run
from coreset_engine.selection.columns import PartColumns


def too_many(n: int) -> bool:
    """Whether pages show a sample of n images."""
    return n > limits().sampled_above


def full_run_of(run: Run | Sampled) -> Run:
    """The run over all images: that of a sample, else the run itself."""
    return run.full_run if isinstance(run, Sampled) else run


def prepare(run: Run) -> None:
    """All that pages need of a run too large to be drawn: sample, its map, the tables of totals."""
    sample = Sampled(run)
    sample.map  # noqa: B018 - computed and kept
    for method in featured():  # with their usual knobs; others on demand
        if not why_not(run, method):
            count_all(run, method)


def count_all(run: Run, method: str, params: dict[str, Any] | None = None) -> Totals:
    """`totals` with counts and histogram computed at once, so that a page's first query is fast."""
    counted = totals(run, method, params)
    for name in ("pseudo_label", "true_label"):
        if name in counted.columns:
            counted.counts(name, Window(0, 1))
    if counted.score:
        counted.histogram(counted.score, Window(0, 1))
    return counted


# -- the sample ------------------------------------------------------------------------------------


def stratified(strata: np.ndarray, size: int, seed: int = 0) -> np.ndarray:
    """Sorted positions of about `size` rows.

    Each stratum gets its share, at least `sample_per_cluster` where it has as many.

    strata: (N,) int >= 0. Deterministic for a seed.
    """
    counts = np.bincount(strata)
    wanted = np.minimum(
        counts,
        np.maximum(
            np.rint(counts * (size / len(strata))).astype(np.int64), limits().sample_per_cluster
        ),
    )
    narrow = (
        strata.astype(np.uint16) if len(counts) <= 2**16 else strata
    )  # of these numpy sorts 50 million in a second
    order = np.argsort(narrow, kind="stable")
    rng = np.random.default_rng([seed, 53])
    starts = np.concatenate([[0], np.cumsum(counts)])
    taken = [
        order[start + rng.choice(count, take, replace=False)]
        for start, count, take in zip(starts, counts, wanted, strict=False)
        if take
    ]
    return np.sort(np.concatenate(taken))


class Sampled:
    """A run's artefacts at its sampled images; what pages read instead of `Run`.

    Computes nothing but sample and map.

    Where the run has clusters every one is in the sample, corrected or not; else images are drawn
    evenly. Artefacts that are not finished raise Missing.
    """

    def __init__(self, full_run: Run) -> None:
        self.full_run = full_run
        clustered = full_run.ready("pseudo_labels")
        made_of = [
            full_run.key_of("embeddings"),
            full_run.stored_as("pseudo_labels"),
            limits().sample_images,
            limits().sample_per_cluster,
            1,
        ]
        self.cache_key = digest(
            made_of if clustered else [full_run.dataset.fingerprint, limits().sample_images, 1]
        )
        about = dict(source=full_run.dataset.fingerprint, root=full_run.key_of("embeddings"))

        def draw() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
            strata = (
                np.asarray(full_run.clusters.labels)
                if clustered
                else np.zeros(len(full_run.dataset), np.int8)
            )
            return dict(rows=stratified(strata, limits().sample_images)), {}

        arrays, _ = full_run.store.get("sample", self.cache_key, draw, about=about)
        self.rows = np.array(arrays["rows"])
        self._about = about
        self.dataset = replace(full_run.dataset, vectors=None).take(self.rows, self.cache_key)
        self._scores: dict[str, Any] = {}

    @property
    def columns(self) -> PartColumns:
        """The full run's columns at the sampled images."""
        return PartColumns(self.full_run.columns, self.rows)

    @property
    def config(self) -> RunConfig:
        return self.full_run.config

    @property
    def store(self) -> Store:
        return self.full_run.store

    @property
    def encoder(self) -> str:
        return self.full_run.encoder

    @property
    def seed(self) -> int:
        return self.full_run.seed

    @property
    def device(self) -> str:
        return self.full_run.device

    @property
    def n_samples(self) -> int | None:
        return self.full_run.n_samples

    @property
    def n_clusters(self) -> int:
        return self.full_run.n_clusters

    @property
    def corrections(self) -> list[dict[str, Any]]:
        return self.full_run.corrections

    @property
    def exclusions(self) -> list[dict[str, Any]]:
        return self.full_run.exclusions

    @property
    def excluded_ids(self) -> tuple[str, ...]:
        return self.full_run.excluded_ids

    @property
    def excluded_key(self) -> str | None:
        return self.full_run.excluded_key

    @property
    def corrected(self) -> str | None:
        return self.full_run.corrected

    def stored_as(self, stage: str, **params: Any) -> str:
        """The full run's."""
        return self.full_run.stored_as(stage, **params)

    def key_of(self, stage: str, **params: Any) -> str:
        """The full run's key: what is shown changes when it changes."""
        return self.full_run.key_of(stage, **params)

    def ready(self, stage: str) -> bool:
        """Whether the stage is computed; map and neighbours are the sample's own."""
        own = stage in ("map", "neighbours")
        return (
            self.full_run.store.has("sample_map", self.cache_key)
            if own
            else self.full_run.ready(stage)
        )

    def size_of(self, stage: str) -> int:
        """Bytes on disk."""
        own = stage in ("map", "neighbours")
        return (
            self.full_run.store.size("sample_map", self.cache_key)
            if own
            else self.full_run.size_of(stage)
        )

    @cached_property
    def embeddings(self) -> Embeddings:
        self._finished("embeddings")
        stored = self.full_run.embeddings
        return Embeddings(
            np.asarray(stored.vectors[self.rows]), self.dataset.ids, stored.key, stored.encoder
        )

    @property
    def vectors(self) -> np.ndarray:
        return self.embeddings.vectors

    @property
    def labels(self) -> np.ndarray:
        labels: np.ndarray = self.full_run.labels[self.rows]
        return labels

    @cached_property
    def _drawn(self) -> dict[str, np.ndarray]:
        def make() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
            from coreset_engine.embedding.neighbours.search import neighbours
            from coreset_engine.embedding.projection import project

            tick = self.full_run.tick("map")
            result = neighbours(self.vectors, k=min(50, len(self.rows) - 1), progress=tick)
            points = project(self.vectors, result, seed=self.full_run.seed, progress=tick)
            return dict(points=points, indices=result.indices, distances=result.distances), {}

        return self.full_run.store.get("sample_map", self.cache_key, make, about=self._about)[0]

    @property
    def map(self) -> np.ndarray:
        """(n, 2) float32 positions of the sampled images."""
        return self._drawn["points"]

    @property
    def neighbours(self) -> Neighbours:
        """Within the sample."""
        return Neighbours(self._drawn["indices"], self._drawn["distances"])

    @cached_property
    def pseudo_labels(self) -> PseudoLabels:
        self._finished("pseudo_labels")
        return scores_at(self.full_run.pseudo_labels, self.rows)

    @cached_property
    def clusters(self) -> PseudoLabels:
        self._finished("pseudo_labels")
        return scores_at(self.full_run.clusters, self.rows)

    @property
    def dynamics(self) -> Dynamics:
        return self.dynamics_at()

    def dynamics_at(self, **params: Any) -> Dynamics:
        """The full run's, at the sample."""
        made: Dynamics = self._at("dynamics", lambda: self.full_run.dynamics_at(**params), params)
        return made

    @property
    def coverage(self) -> CoverageScores:
        return self.coverage_at()

    def coverage_at(self, **params: Any) -> CoverageScores:
        """The full run's, at the sample."""
        made: CoverageScores = self._at(
            "coverage", lambda: self.full_run.coverage_at(**params), params
        )
        return made

    @property
    def forecast(self) -> Forecast:
        """The full run's."""
        return self.full_run.forecast

    def forecast_at(
        self,
        prune_rate: float,
        methods: Iterable[Any] | None = None,
        within: np.ndarray | None = None,
    ) -> Forecast:
        """The full run's."""
        return self.full_run.forecast_at(prune_rate, methods)

    def _at(self, stage: str, find: Callable[[], Any], params: dict[str, Any]) -> Any:
        """The record at the sample, cached: the full files are gigabytes and hashed on read."""
        key = self.full_run.stored_as(stage, **params)
        if key not in self._scores:
            self._finished(stage, **params)
            self._scores[key] = scores_at(find(), self.rows)
        return self._scores[key]

    def _finished(self, stage: str, **params: Any) -> None:
        if not finished(self.full_run, stage, **params):
            raise Missing(
                f"the {stage.replace('_', '-')} of all {len(self.full_run.dataset):,} images are "
                "not computed for these parameters, and a sample cannot replace them; compute "
                "them, or reset the parameters."
            )
