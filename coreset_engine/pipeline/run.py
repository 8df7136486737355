"""The pipeline: the one place where wings are joined. Each stage is computed once, kept, and found
again by its key.

source -> embeddings -> neighbours -> pseudo-labels -> dynamics ; embeddings -> coverage ;
neighbours -> map
"""

from __future__ import annotations

import hashlib
import shutil
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.artifacts import log
from coreset_engine.artifacts.store import Store, digest
from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.registry import CLUSTERERS, PROXIES, look_up
from coreset_engine.core.types import (
    CoverageScores,
    Dataset,
    Dynamics,
    Embeddings,
    Neighbours,
    Progress,
    PseudoLabels,
    silent,
)
from coreset_engine.pipeline import corrections, memory_limits, neighbour_search
from coreset_engine.pipeline.embedding_stage import embed_with_reuse
from coreset_engine.pipeline.executor import (
    CoverageTask,
    EmbeddingTask,
    Executor,
    make_executor,
)
from coreset_engine.pipeline.stage_inputs import by_content, inputs_of

# stage -> (version, the stages its key is made from). A change of what a stage computes raises its
# version.
STAGES: dict[str, tuple[int, tuple[str, ...]]] = {
    "embeddings": (2, ()),
    "neighbours": (1, ("embeddings",)),
    "pseudo_labels": (1, ("embeddings", "neighbours")),
    "dynamics": (2, ("embeddings", "pseudo_labels")),
    "coverage": (3, ("embeddings",)),
    "map": (1, ("embeddings", "neighbours")),
}
DYNAMICS = ("aum", "forgetting", "el2n", "entropy", "loss", "grand", "dyn_unc", "tdds", "margins")


class Run:
    """Artefacts of one dataset, encoder and seed, computed when asked for and kept in the store.

    n_clusters: default the number of class names the source knows, else a proposal from the data.
    clusterer, proxy: rows of CLUSTERERS and PROXIES; what makes pseudo-labels, what is watched
        while it learns them.
    n_samples: coverage samples; default: until two seeds agree (`CoverageConfig`).
    progress: called as (stage, done, total, unit). cluster: address of a Ray cluster, or "local":
        same results. executor: instead of `cluster`, who does the work.
    search: of neighbours: "exact", "approximate" (IVF-PQ), or "auto" by number of images (see
        run.near).
    corrected_by: corrections of the clusters; default those the workspace keeps for this dataset
        (run.corrections).
    """

    def __init__(
        self,
        dataset: Dataset,
        encoder: str = "efficientnet_lite0",
        seed: int = 0,
        *,
        n_clusters: int | None = None,
        clusterer: str = "temi",
        proxy: str = "mlp",
        n_samples: int | None = None,
        weights: str | None = None,
        device: str = "auto",
        store: Store | None = None,
        progress: Any = None,
        cluster: str | None = None,
        search: str = "auto",
        corrected_by: list[dict[str, Any]] | None = None,
        executor: Executor | None = None,
    ) -> None:
        _check(len(dataset), seed, n_clusters, n_samples)
        self.dataset = dataset
        self.encoder = encoder
        self.seed = int(seed)
        look_up(CLUSTERERS, clusterer, "clusterer")
        look_up(PROXIES, proxy, "proxy")
        self.clusterer = clusterer
        self.proxy = proxy
        self.weights = weights
        self.device = device
        self.n_samples = n_samples
        self.store = store or Store()
        self.progress = progress
        self.executor = executor or make_executor(cluster)
        self._n_clusters = n_clusters
        self.search = neighbour_search.check(search)
        self.corrected_by = corrected_by
        self.sliced = False  # a part of a source, which no other process can open by its spec
        self._keys: dict[str, str] = {}

    @property
    def cluster(self) -> str | None:
        """Address of the cluster that does the work, or None for this machine."""
        return self.executor.address

    @property
    def reopenable(self) -> bool:
        """Whether another process gets this run's dataset by opening its spec."""
        return not self.sliced

    # -- keys
    # --------------------------------------------------------------------------------------------------

    def key_of(self, stage: str, **params: Any) -> str:
        """The content address of a stage's artefact for this run. Pages ask a hundred times a run,
        so it is kept."""
        asked = f"{stage} {sorted(params.items())}"
        if asked not in self._keys:
            self._keys[asked] = self._key(stage, params)
        return self._keys[asked]

    def _key(self, stage: str, params: dict[str, Any]) -> str:
        version, inputs = STAGES[stage]
        if stage == "pseudo_labels" and not params.pop("raw", False) and self.corrected:
            params = params | dict(corrections=self.corrected)
        if (
            params.get("labels") == "true"
        ):  # labels may be given or changed after the images were seen
            params = params | dict(truth=self._truth)
        return digest(
            dict(
                stage=stage,
                version=version,
                params=self._params(stage) | params,
                inputs=[
                    (self.stored_as if "truth" in params else self.key_of)(other)
                    for other in inputs
                ],
            )
        )

    @cached_property
    def corrections(self) -> list[dict[str, Any]]:
        """What a person corrected of this run's clusters, oldest first."""
        return corrections.of(self)

    @cached_property
    def corrected(self) -> str | None:
        return corrections.key(self.corrections)

    def stored_as(self, stage: str, **params: Any) -> str:
        """Where the artefact lies: `key_of`, but corrections change no clustering, only what is
        made of it."""
        return self.key_of(stage, **params, **(dict(raw=True) if stage == "pseudo_labels" else {}))

    @cached_property
    def _truth(self) -> str:
        labels = self.dataset.labels
        return "" if labels is None else hashlib.sha256(np.ascontiguousarray(labels)).hexdigest()

    @cached_property
    def _weights_key(self) -> str | None:
        return by_content(self.weights)

    def _params(self, stage: str) -> dict[str, Any]:
        if stage == "embeddings":
            if self.dataset.vectors is not None:
                return dict(source=self.dataset.fingerprint, encoder="given")
            return dict(
                source=self.dataset.fingerprint, encoder=self.encoder, weights=self._weights_key
            )
        return {
            "neighbours": neighbour_search.params(self.search, len(self.dataset)),
            "pseudo_labels": dict(
                method=self.clusterer,
                n_clusters=self._n_clusters or self._known_classes,
                seed=self.seed,
            ),
            "dynamics": dict(proxy=self.proxy, seed=self.seed, labels="pseudo"),
            "coverage": dict(n_samples=self.n_samples, seed=self.seed, n_neighbours=1000),
            "map": dict(seed=self.seed),
        }[stage]

    def ready(self, stage: str) -> bool:
        """Whether the stage lies finished in the store. Never computes."""
        if stage == "true_dynamics":
            return self.store.has("dynamics", self.key_of("dynamics", labels="true"))
        return stage in STAGES and self.store.has(stage, self.stored_as(stage))

    def size_of(self, stage: str) -> int:
        """Bytes on disk."""
        return self.store.size(stage, self.stored_as(stage))

    def _get(self, stage: str, make: Any, **params: Any) -> tuple[dict, dict]:
        about = dict(
            source=self.dataset.fingerprint,
            root=self.key_of("embeddings"),
            spec=self.dataset.spec,
        )
        tick = self._tick(stage)
        self.executor.compute_stage(self, stage, params, tick)

        def checked() -> tuple[dict, dict]:
            streams = stage == "neighbours" and neighbour_search.at_scale(
                self.search, len(self.dataset)
            )
            elsewhere = (
                stage == "coverage" and self.cluster
            )  # which chooses its way by the nodes' memory
            if stage != "embeddings" and not streams and not elsewhere:
                memory_limits.check(stage, *self.vectors.shape, self.vectors.itemsize)
            return make()

        return self.store.get(
            stage,
            self.stored_as(stage, **params),
            checked,
            about=about,
            waiting=lambda: tick(0, 1, "(another process computes it)"),
        )

    def _tick(self, stage: str) -> Progress:
        report = self.progress
        return (
            silent
            if report is None
            else lambda done, total, unit="": report(stage, done, total, unit)
        )

    # -- artefacts
    # ---------------------------------------------------------------------------------------------

    @cached_property
    def embeddings(self) -> Embeddings:
        def make() -> tuple[dict, dict]:
            from coreset_engine.embedding.embedder import embed_images
            from coreset_engine.embedding.encoders.builders import make_encoder

            if self.dataset.vectors is not None:
                return dict(vectors=np.asarray(self.dataset.vectors)), dict(
                    encoder="given", weights=None
                )
            encoder = make_encoder(self.encoder, weights=self.weights, device=self.device)
            encoder = encoder.sized_for(self.dataset)
            work = self.store.work("embeddings", self.key_of("embeddings"))

            def embed_rest(dataset: Dataset, shards: Path) -> np.ndarray:
                sizes = tuple(part.image_size for part in getattr(encoder, "parts", (encoder,)))
                task = EmbeddingTask(
                    dataset, self.encoder, self.weights, shards, self.device, sizes
                )
                speeds = self.executor.embed_shards(task, self._tick("embeddings"))
                if speeds:
                    log.write(self.store.home, "embedded on a cluster", images_per_second=speeds)
                return embed_images(
                    dataset, encoder, shards=shards, progress=self._tick("embeddings")
                )

            # a node opens a folder by its spec, which names all images, not those that are left
            divisible = self.executor.address is None or hasattr(self.dataset.reader, "save")
            return embed_with_reuse(
                self.dataset, encoder, self.store, work, embed_rest, divisible=divisible
            )

        arrays, info = self._get("embeddings", make)
        return Embeddings(
            arrays["vectors"], self.dataset.ids, self.key_of("embeddings"), info["encoder"]
        )

    @property
    def vectors(self) -> np.ndarray:
        return self.embeddings.vectors

    @cached_property
    def neighbours(self) -> Neighbours:
        arrays, info = self._get("neighbours", lambda: neighbour_search.find(self))
        return Neighbours(
            arrays["indices"], arrays["distances"], info["metric"], info.get("info", {})
        )

    @property
    def n_clusters(self) -> int:
        return self._n_clusters or self._known_classes or self.clusters.n_clusters

    @property
    def _known_classes(self) -> int:
        """The number of class names, 0 where there are fewer than two: one class is no cluster."""
        return len(self.dataset.classes) if len(self.dataset.classes) > 1 else 0

    @cached_property
    def pseudo_labels(self) -> PseudoLabels:
        """`clusters` with what a person corrected of them."""
        return corrections.corrected(self) if self.corrected else self.clusters

    @cached_property
    def clusters(self) -> PseudoLabels:
        """What the clusterer found."""

        def make() -> tuple[dict, dict]:
            from coreset_engine.clustering.pseudo_labels import pseudo_labels

            count = self._n_clusters or self._known_classes or self._proposed_clusters()
            close = (
                self.neighbours
                if "neighbours" in look_up(CLUSTERERS, self.clusterer, "clusterer").needs
                else None
            )
            found = pseudo_labels(
                self.vectors,
                count,
                self.clusterer,
                self.seed,
                neighbours=close,
                workers=self.executor.clustering_workers(self),
                progress=self._tick("pseudo_labels"),
            )
            arrays = {
                name: getattr(found, name)
                for name in ("labels", "confidence", "probabilities", "agreement")
            }
            info = dict(n_clusters=int(found.n_clusters), info=dict(found.info))
            return {name: array for name, array in arrays.items() if array is not None}, info

        arrays, info = self._get("pseudo_labels", make)
        return PseudoLabels(
            arrays["labels"],
            arrays["confidence"],
            info["n_clusters"],
            arrays.get("probabilities"),
            arrays.get("agreement"),
            info["info"],
        )

    def _proposed_clusters(self) -> int:
        from coreset_engine.clustering.pseudo_labels import propose_n_clusters

        return propose_n_clusters(self.vectors, seed=self.seed).n_clusters

    @property
    def labels(self) -> np.ndarray:
        """(N,) true labels. Raises Missing when the source has none."""
        if self.dataset.labels is None:
            raise Missing(
                f"{self.dataset.spec!r} has no true labels; use pseudo-labels, or a source with labels."
            )
        return self.dataset.labels

    @property
    def dynamics(self) -> Dynamics:
        return self.dynamics_at()

    def dynamics_at(self, *, labels: str = "pseudo", **params: Any) -> Dynamics:
        """Training dynamics on pseudo or true labels; params as in DynamicsConfig."""

        def make() -> tuple[dict, dict]:
            from coreset_engine.training.dynamics import training_dynamics

            target = self.pseudo_labels.labels if labels == "pseudo" else self.labels
            proxy = params.get("proxy", self.proxy)
            tick = self._tick("dynamics")
            found = training_dynamics(
                inputs_of(self, proxy, tick),
                target,
                proxy,
                seed=self.seed,
                device=self.device,
                progress=tick,
                **{name: value for name, value in params.items() if name != "proxy"},
            )
            return {name: getattr(found, name) for name in DYNAMICS}, dict(found.info)

        arrays, info = self._get("dynamics", make, labels=labels, **params)
        return Dynamics(**{name: arrays[name] for name in DYNAMICS}, info=info)

    @cached_property
    def tie_keys(self) -> np.ndarray:
        """(N,) uint64 keys of the images, from their ids: what ties are broken by."""
        from coreset_engine.selection.keyed_random import image_keys

        return image_keys(self.dataset.ids, 0)

    @property
    def coverage(self) -> CoverageScores:
        return self.coverage_at()

    def coverage_at(self, **params: Any) -> CoverageScores:
        """BlindCS scores; params as in CoverageConfig, over this run's n_samples and seed."""
        wanted = dict(n_samples=self.n_samples, seed=self.seed, n_neighbours=1000) | params

        def make() -> tuple[dict, dict]:
            from coreset_engine.coverage.scores import coverage_scores

            work = self._resumable("coverage", wanted)
            return _kept(coverage_scores(self.vectors, **wanted, keys=self.tie_keys, **work))

        arrays, info = self._get("coverage", make, **wanted)
        return CoverageScores(
            arrays["score"], arrays["coverage"], arrays["redundancy"], info["n_samples"], info
        )

    def coverage_grid(self, n_neighbours: Any = None) -> dict[int, CoverageScores]:
        """{alpha: scores} from one sweep, each kept as if asked for alone; default the slider's
        alphas."""
        from coreset_engine.coverage.scores import GRID, coverage_grid

        alphas = [int(alpha) for alpha in n_neighbours or GRID]
        common = dict(n_samples=self.n_samples, seed=self.seed, keys=self.tie_keys)
        keys = {alpha: self.key_of("coverage", n_neighbours=alpha) for alpha in alphas}
        lacking = [alpha for alpha in alphas if not self.store.has("coverage", keys[alpha])]
        if lacking:
            work = self._resumable("coverage", dict(n_neighbours=lacking))
            for alpha, found in coverage_grid(self.vectors, lacking, **common, **work).items():
                self._get("coverage", lambda found=found: _kept(found), n_neighbours=alpha)
            shutil.rmtree(work["resume"].parent, ignore_errors=True)
        return {alpha: self.coverage_at(n_neighbours=alpha) for alpha in alphas}

    def _resumable(self, stage: str, params: dict[str, Any]) -> dict[str, Any]:
        """Options of a long sweep: where its sums are kept after every round, its progress, the
        device."""
        folder = self.store.work(stage, self.key_of(stage, **params))
        work = dict(resume=folder / "sums.npz", progress=self._tick(stage), device=self.device)
        task = CoverageTask(
            self.vectors,
            folder / "columns",
            params.get("n_dims", 2),
            np.size(params.get("n_neighbours", 1)),
            self.tie_keys,
        )
        return work | self.executor.coverage_options(task, work["progress"])

    @cached_property
    def map(self) -> np.ndarray:
        """(N, 2) float32 UMAP positions."""

        def make() -> tuple[dict, dict]:
            from coreset_engine.embedding.projection import project

            return dict(
                points=project(
                    self.vectors, self.neighbours, seed=self.seed, progress=self._tick("map")
                )
            ), {}

        return self._get("map", make)[0]["points"]


def _kept(found: CoverageScores) -> tuple[dict, dict]:
    arrays = dict(score=found.score, coverage=found.coverage, redundancy=found.redundancy)
    return arrays, dict(found.info) | dict(n_samples=found.n_samples)


def _check(n: int, seed: int, n_clusters: int | None, n_samples: int | None) -> None:
    """Refuse here what would otherwise be found after an hour of embedding."""
    if seed < 0:
        raise BadInput(f"seed={seed} is negative; give a whole number from 0 on.")
    if n_clusters is not None and not 2 <= n_clusters <= n:
        raise BadInput(
            f"n_clusters={n_clusters} does not lie between 2 and the number of images, {n}; leave it out to "
            "let the data propose one."
        )
    if n_samples is not None and n_samples < 1:
        raise BadInput(
            f"n_samples={n_samples} is no number of samples; give 1 or more, for example {20 * n:,}."
        )


def embed(
    dataset: Dataset,
    encoder: str = "efficientnet_lite0",
    *,
    store: Store | None = None,
    **options: Any,
) -> Embeddings:
    """Vectors of every image: `Embeddings` with .vectors (N, D), kept in the store and
    resumable."""
    return Run(dataset, encoder, store=store, **options).embeddings
