"""Looking at more images than a page can hold: a stratified sample for the map, exact counts of all from Parquet.

`Sampled` is a run over the sample: its scores are those of the whole run, taken at the sampled images, only the map and
its neighbours are its own. It is drawn once per artefact set and kept in the store, so every page and session sees the
same. What is counted is counted over all images: run.totals.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Any

import numpy as np

from coreset_engine.run.pipeline import Run
from coreset_engine.run.store import digest
from coreset_engine.run.totals import RANKED, totals
from coreset_engine.types import CoverageScores, Dataset, Dynamics, Embeddings, Neighbours, PseudoLabels, scores_at

ABOVE = 2_000_000  # images from which pages show a sample
SIZE = 100_000
FEWEST = 20  # images of each cluster in the sample, where it has so many


def too_many(n: int) -> bool:
    """Whether pages show a sample of n images."""
    return n > ABOVE


def prepare(run: Run) -> None:
    """All that pages need of a run too large to be drawn: sample, its map, the tables of totals."""
    sample = Sampled(run)
    sample.map  # noqa: B018 - computed and kept
    for method, stage in RANKED.items():
        if run.ready(stage):
            found = totals(run, method)
            found.counts("pseudo_label", (0, 1))  # counted and kept, so that the first look is fast as well
            found.histogram("aum" if method == "elfs" else "score", (0, 1))


# -- the sample ----------------------------------------------------------------------------------------------------

def stratified(strata: np.ndarray, size: int, seed: int = 0) -> np.ndarray:
    """Sorted positions of about `size` rows: from each stratum its share, but FEWEST where it has so many.

    strata: (N,) int >= 0. Deterministic for a seed.
    """
    counts = np.bincount(strata)
    wanted = np.minimum(counts, np.maximum(np.rint(counts * (size / len(strata))).astype(np.int64), FEWEST))
    order, rng = np.argsort(strata, kind="stable"), np.random.default_rng([seed, 53])
    starts = np.concatenate([[0], np.cumsum(counts)])
    taken = [order[start + rng.choice(count, take, replace=False)]
             for start, count, take in zip(starts, counts, wanted, strict=False) if take]
    return np.sort(np.concatenate(taken))


class Sampled:
    """A run's artefacts at its sampled images; what pages read instead of `Run`. Computes nothing but sample and map.

    Raises Missing or computes as the run does where its embeddings and pseudo-labels are not finished.
    """

    def __init__(self, whole: Run) -> None:
        self.whole = whole
        self.mark = digest([whole.key_of("embeddings"), whole.key_of("pseudo_labels"), SIZE, FEWEST, 1])
        about = dict(source=whole.dataset.fingerprint, root=whole.key_of("embeddings"))
        arrays, _ = whole.store.get("sample", self.mark, lambda: (
            dict(rows=stratified(np.asarray(whole.pseudo_labels.labels), SIZE)), {}), about=about)
        self.rows, self._about = np.array(arrays["rows"]), about
        self.dataset = part_of(whole.dataset, self.rows, self.mark)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.whole, name)  # settings, store and keys are the whole run's

    def key_of(self, stage: str, **params: Any) -> str:
        """The whole run's key: what is shown changes when it changes."""
        return self.whole.key_of(stage, **params)

    def ready(self, stage: str) -> bool:
        """Whether the stage lies finished; map and neighbours are the sample's own."""
        own = stage in ("map", "neighbours")
        return self.whole.store.has("sample_map", self.mark) if own else self.whole.ready(stage)

    def size_of(self, stage: str) -> int:
        """Bytes on disk."""
        return self.whole.store.size("sample_map", self.mark) if stage == "map" else self.whole.size_of(stage)

    @cached_property
    def embeddings(self) -> Embeddings:
        found = self.whole.embeddings
        return Embeddings(np.asarray(found.vectors[self.rows]), self.dataset.ids, found.key, found.encoder)

    @property
    def vectors(self) -> np.ndarray:
        return self.embeddings.vectors

    @property
    def labels(self) -> np.ndarray:
        return self.whole.labels[self.rows]

    @cached_property
    def _drawn(self) -> dict[str, np.ndarray]:
        def make() -> tuple[dict, dict]:
            from coreset_engine.embedding.neighbourhood import neighbours
            from coreset_engine.embedding.projection import project

            tick = self.whole._tick("map")
            near = neighbours(self.vectors, k=min(50, len(self.rows) - 1), progress=tick)
            points = project(self.vectors, near, seed=self.whole.seed, progress=tick)
            return dict(points=points, indices=near.indices, distances=near.distances), {}

        return self.whole.store.get("sample_map", self.mark, make, about=self._about)[0]

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
        return scores_at(self.whole.pseudo_labels, self.rows)

    @property
    def dynamics(self) -> Dynamics:
        return self.dynamics_at()

    def dynamics_at(self, **params: Any) -> Dynamics:
        """The whole run's, at the sample."""
        return scores_at(self.whole.dynamics_at(**params), self.rows)

    @property
    def coverage(self) -> CoverageScores:
        return self.coverage_at()

    def coverage_at(self, **params: Any) -> CoverageScores:
        """The whole run's, at the sample."""
        return scores_at(self.whole.coverage_at(**params), self.rows)


def part_of(dataset: Dataset, rows: np.ndarray, mark: str) -> Dataset:
    """The images at `rows`, decoded one by one from where the whole has them."""
    def take(values: Any) -> Any:
        return None if values is None else np.asarray(values)[rows]

    return dataclasses.replace(
        dataset, ids=take(dataset.ids), labels=take(dataset.labels), paths=take(dataset.paths), vectors=None,
        fingerprint=mark, columns={name: take(values) for name, values in dataset.columns.items()},
        reader=None if dataset.reader is None else lambda i: dataset.image(int(rows[i])))
