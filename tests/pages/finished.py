"""A finished run over real digits, small enough to make in a second, for tests of what pages draw.

Pages only read finished artefacts, so this double holds plain arrays: pixels as vectors, k-means
clusters, margins from distances to the centres. It computes nothing on access and fails loudly when
a page asks for what is missing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import Missing
from coreset_engine.core.forecast import Forecast, ForecastRow
from coreset_engine.core.types import CoverageScores, Dynamics, Embeddings, Neighbours, PseudoLabels
from coreset_engine.pipeline.config import RunConfig
from ui.state import session

ROOT = Path(__file__).parents[2]
N = 400
CLUSTERS = 10
EPOCHS = 6


class FinishedRun:
    """Artefacts as attributes; `finished` says which exist."""

    def __init__(self, dataset, finished=session.STAGES):
        from sklearn.cluster import KMeans
        from sklearn.decomposition import PCA

        self.dataset = dataset
        self.seed = 0
        self.finished = set(finished)
        self.encoder = "efficientnet_lite0"
        self.weights = None
        self.clusterer = "kmeans"
        self.proxy = "mlp"
        self.n_samples = 1000
        self.config = RunConfig(clusterer="kmeans", n_samples=1000)
        self.imported = None
        self.search = "auto"
        self.corrections = []
        self.exclusions = []
        self.excluded_ids = ()
        self.excluded_key = None
        self.store = Store(ROOT / "no such workspace")
        pixels = np.stack(
            [
                np.asarray(dataset.image(i).convert("L").resize((8, 8)), np.float32).ravel()
                for i in range(len(dataset))
            ]
        )
        self._vectors = pixels / np.linalg.norm(pixels, axis=1, keepdims=True)
        model = KMeans(CLUSTERS, n_init=1, random_state=0).fit(self._vectors)
        gaps = np.sort(model.transform(self._vectors), axis=1)
        margin = (gaps[:, 1] - gaps[:, 0]).astype(np.float32)
        self._pseudo = PseudoLabels(
            model.labels_.astype(np.int64), 1 / (1 + np.exp(-5 * margin)), CLUSTERS
        )
        steps = np.linspace(0, 2, EPOCHS, dtype=np.float32)
        hard = {
            name: 1 - margin for name in ("el2n", "entropy", "loss", "grand", "dyn_unc", "tdds")
        }
        self._dynamics = Dynamics(
            aum=margin,
            forgetting=np.where(margin < 0.02, np.inf, np.round(3 - 9 * margin)),
            margins=(margin[:, None] * steps).astype(np.float16),
            info={"epochs": EPOCHS},
            **hard,
        )
        self._coverage = CoverageScores(
            margin * 2.0 - 0.1, margin * 2.0, np.full(len(margin), 0.1), 1000
        )
        self._map = PCA(2, random_state=0).fit_transform(self._vectors).astype(np.float32)
        similar = -(self._vectors @ self._vectors.T)
        np.fill_diagonal(similar, np.inf)
        order = np.argsort(similar, axis=1)[:, :15]
        self._neighbours = Neighbours(
            order, (1 + np.take_along_axis(similar, order, 1)).astype(np.float32)
        )

    def ready(self, stage):
        return stage in self.finished

    def key_of(self, stage, **params):
        return f"key-{stage}"

    def stored_as(self, stage, **params):
        return self.key_of(stage)

    def size_of(self, stage):
        return 1_234_567

    def _of(self, stage, value):
        if stage not in self.finished:
            raise Missing(f"{stage} is not finished, and a page must not compute it.")
        return value

    vectors = property(lambda self: self._of("embeddings", self._vectors))

    @property
    def embeddings(self):
        return Embeddings(self.vectors, self.dataset.ids, self.key_of("embeddings"), self.encoder)

    neighbours = property(lambda self: self._of("neighbours", self._neighbours))
    pseudo_labels = property(lambda self: self._of("pseudo_labels", self._pseudo))
    clusters = pseudo_labels
    labels = property(lambda self: self.dataset.labels)
    dynamics = property(lambda self: self._of("dynamics", self._dynamics))
    coverage = property(lambda self: self._of("coverage", self._coverage))
    map = property(lambda self: self._of("map", self._map))

    tagged_by = None

    @property
    def columns(self):
        from coreset_engine.curation.table import RunColumns

        return self.__dict__.setdefault("_columns", RunColumns(self))

    @property
    def tags(self):
        from coreset_engine.curation.tags import tags_of

        return tags_of(self.dataset.fingerprint, self.store.home)

    def coverage_at(self, **params):
        return self.coverage

    def dynamics_at(self, *, labels="pseudo", **params):
        return self.dynamics

    def forecast_at(self, prune_rate, methods=None, within=None):
        kept = round((1 - prune_rate) * len(self.dataset))
        ends = (2.0, 1.0, 3.0)
        row = ForecastRow("kmedoids", {}, prune_rate, kept, *ends, *ends, 0.9, 0.8, 1.0)
        return Forecast((row,), len(self.dataset))


def small_digits(labelled=True):
    import dataclasses

    from coreset_engine.sources.open import open_source

    full = open_source("demo")
    return dataclasses.replace(
        full,
        ids=full.ids[:N],
        labels=full.labels[:N] if labelled else None,
        classes=full.classes if labelled else (),
        columns={name: values[:N] for name, values in full.columns.items()},
        paths=None if full.paths is None else full.paths[:N],
    )


def go_to(test, page):
    """Another page of the same session."""
    return test.switch_page(f"pages/{page}.py").run()


def texts(test):
    """All the words of a page in one string."""
    parts = [
        e.value
        for kind in (
            "title",
            "subheader",
            "markdown",
            "caption",
            "info",
            "error",
            "success",
            "warning",
        )
        for e in getattr(test, kind)
    ]
    return "\n".join(map(str, parts))
