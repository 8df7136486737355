"""The pipeline: the one place where packages are joined.

Each stage is computed once, kept, and found again by its key.

A run is a dataset, a `RunConfig` and an executor. Keys are derived from the config's fields and the
keys of a stage's inputs (`stages.STAGES`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from coreset_engine.artifacts import source_states
from coreset_engine.artifacts.store import Store, digest
from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.forecast import Forecast
from coreset_engine.core.registry import CLUSTERERS, look_up
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
from coreset_engine.curation.table import RunColumns
from coreset_engine.curation.tags import tags_of
from coreset_engine.pipeline import (
    corrections,
    coverage_stage,
    exclusions,
    forecast_stage,
    map_stage,
    memory_limits,
    neighbour_search,
    stage_keys,
    stages,
)
from coreset_engine.pipeline.config import ImportedLabels, RunConfig
from coreset_engine.pipeline.executor import Executor, make_executor
from coreset_engine.pipeline.named_settings import with_named_settings
from coreset_engine.pipeline.stage_inputs import by_content, inputs_of
from coreset_engine.pipeline.stages import DYNAMICS, STAGES
from coreset_engine.sources.predictions import Predictions, read_predictions

__all__ = ["DYNAMICS", "STAGES", "ImportedLabels", "Run", "embed"]
# report(stage, done, total, unit)
Report = Callable[..., None]


class Run:
    """Artefacts of one dataset under one config, computed on demand and kept in the store.

    Parameters
    ----------
    dataset
        The images.
    config
        What is computed; a text is the name of an encoder.
    executor
        Where it is computed; default this machine.
    cluster
        Address of a Ray cluster, or "local", instead of an executor: same results.
    store
        Where artefacts are kept; default the workspace, CORESET_HOME.
    progress
        Called as (stage, done, total, unit); may raise Cancelled.
    corrected_by
        Corrections of the clusters; default those the workspace keeps for this dataset.
    imported
        Labels from people, where `dataset` has such (see `pipeline.imported_labels`).
    excluded_by
        Entries of `pipeline.exclusions`; default those the workspace keeps for this dataset.
    settings
        Fields of `RunConfig` that differ from `config`, and settings of stages by their own name
        where one stage alone has it: `margin="probability"` for
        `dynamics={"margin": "probability"}`.

    Raises
    ------
    BadInput
        For a setting that its field or this dataset refuses.
    """

    def __init__(  # noqa: PLR0913
        self,
        dataset: Dataset,
        config: RunConfig | str | None = None,
        executor: Executor | None = None,
        *,
        cluster: str | None = None,
        store: Store | None = None,
        progress: Report | None = None,
        corrected_by: list[dict[str, Any]] | None = None,
        imported: ImportedLabels | None = None,
        excluded_by: list[dict[str, Any]] | None = None,
        **settings: Any,
    ) -> None:
        self.dataset = dataset
        self.config = _config(config, settings)
        _check(len(dataset), self.config.n_clusters)
        self.executor = executor or make_executor(cluster)
        self.store = store or Store()
        self.progress = progress
        self.corrected_by = corrected_by
        self.imported = imported
        self.excluded_by = excluded_by
        self.tagged_by: Mapping[str, Iterable[str]] | None = None  # None: the workspace's tags
        self.part_of: tuple[Run, np.ndarray] | None = None  # what it is a part of, and where
        self.opened: dict[str, Dataset] = {}  # other sources that need not be opened again, by spec
        self._keys: dict[str, str] = {}

    # -- settings

    @property
    def encoder(self) -> str:
        return self.config.encoder

    @property
    def weights(self) -> str | None:
        return self.config.weights

    @property
    def seed(self) -> int:
        return self.config.seed

    @property
    def clusterer(self) -> str:
        return self.config.clusterer

    @property
    def proxy(self) -> str:
        return self.config.proxy

    @property
    def search(self) -> str:
        return self.config.search

    @property
    def device(self) -> str:
        return self.config.device

    @property
    def cluster(self) -> str | None:
        """Address of the cluster that does the work, or None for this machine."""
        return self.executor.address

    @property
    def n_samples(self) -> int | None:
        """Coverage samples T requested; None: until two seeds agree (`CoverageConfig`)."""
        return self.config.n_samples

    @property
    def n_clusters(self) -> int:
        """Clusters requested, else the classes that the source knows, else those proposed."""
        return self.wanted_clusters or self.clusters.n_clusters

    @property
    def wanted_clusters(self) -> int:
        """As `n_clusters`, without computing: 0 where the data propose the number."""
        if self.config.n_clusters:
            return self.config.n_clusters
        if self.imported:
            return self.imported.n_clusters
        known = len(self.dataset.classes)
        return known if known > 1 else 0  # one class is not a clustering

    def with_config(self, **changes: Any) -> Run:
        """A run of the same dataset, store, executor and progress with other settings.

        Stages that do not depend on what changed have the same keys, and are shared.
        """
        other = self._like(self.dataset, replace(self.config, **changes), self.corrected_by)
        other.part_of = self.part_of
        return other

    def with_dataset(self, dataset: Dataset) -> Run:
        """A run of another dataset with the same settings, store, executor and progress.

        Corrections belong to a dataset; they stay only where the images do.
        """
        same = dataset.fingerprint == self.dataset.fingerprint
        made = self._like(dataset, self.config, self.corrected_by if same else None)
        made.excluded_by = self.excluded_by if same else None
        if same:
            made.part_of = self.part_of
        return made

    def take(self, positions: np.ndarray) -> Run:
        """A run over the images at `positions` (M,) int64 alone.

        Vectors are those of the whole; every later stage is computed from this part and knows
        nothing of the others.
        """
        rows = stage_keys.array_key(positions)[:32]
        key = digest([self.dataset.fingerprint, self.key_of("embeddings"), "part", rows])
        dataset = replace(self.dataset, vectors=None)
        part = replace(dataset.take(positions, key), vectors=self.vectors[positions])
        taken = self.with_dataset(part)
        taken.excluded_by = self.exclusions
        taken.part_of = (self, np.asarray(positions, np.int64))
        return taken

    def _like(
        self, dataset: Dataset, config: RunConfig, corrected_by: list[dict[str, Any]] | None
    ) -> Run:
        other = type(self)(
            dataset,
            config,
            self.executor,
            store=self.store,
            progress=self.progress,
            corrected_by=corrected_by,
            imported=self.imported,
            excluded_by=self.excluded_by,
        )
        other.tagged_by = self.tagged_by
        return other

    # -- keys

    def key_of(self, stage: str, **params: Any) -> str:
        """The content address of a stage's artefact for this run; cached."""
        asked = f"{stage} {sorted(params.items())}"
        if asked not in self._keys:
            self._keys[asked] = self._key(stage, params)
        return self._keys[asked]

    def stored_as(self, stage: str, **params: Any) -> str:
        """The artefact's key in the store.

        As `key_of`, but corrections change no clustering, only what is made of it.
        """
        raw = dict(raw=True) if stage == "pseudo_labels" else {}
        return self.key_of(stage, **params, **raw)

    def _key(self, stage: str, params: dict[str, Any]) -> str:
        key = stage_keys.stage_key(self, stage, params)
        former = source_states.continued_map(key, self.store.home) if stage == "map" else None
        return digest([key, former["map"]]) if former else key

    def params_of(self, stage: str) -> dict[str, Any]:
        """The settings in a stage's key, as they take effect on this dataset."""
        return stage_keys.settings_of(self, stage)

    @cached_property
    def corrections(self) -> list[dict[str, Any]]:
        """What the user corrected of this run's clusters, oldest first."""
        return corrections.applicable(
            self.corrected_by,
            self.dataset.fingerprint,
            self.store.home,
            lambda: self.key_of("pseudo_labels", raw=True),
        )

    @cached_property
    def corrected(self) -> str | None:
        """What identifies the corrections, or None when there are none."""
        return corrections.key(self.corrections)

    @property
    def exclusions(self) -> list[dict[str, Any]]:
        """What the user excluded from every selection, oldest first (see `pipeline.exclusions`)."""
        if self.excluded_by is not None:
            return self.excluded_by
        return exclusions.entries(self.dataset.fingerprint, self.store.home)

    @property
    def excluded_ids(self) -> tuple[str, ...]:
        """Ids that no selection keeps."""
        return tuple(exclusions.excluded(self.exclusions))

    @property
    def excluded_key(self) -> str | None:
        """What identifies the excluded ids, or None when there are none."""
        return exclusions.key(self.exclusions)

    @cached_property
    def labels_key(self) -> str:
        """What identifies the true labels; "" where the source has none."""
        return stage_keys.array_key(self.dataset.labels)

    @cached_property
    def weights_key(self) -> str | None:
        """The encoder's weights by what they hold, or None for the usual ones."""
        return by_content(self.weights)

    def ready(self, stage: str) -> bool:
        """Whether the stage is in the store. Never computes."""
        if stage == "true_dynamics":
            return self.store.has("dynamics", self.key_of("dynamics", labels="true"))
        return stage in STAGES and self.store.has(stage, self.stored_as(stage))

    def size_of(self, stage: str) -> int:
        """Bytes on disk."""
        return self.store.size(stage, self.stored_as(stage))

    def about(self) -> dict[str, str]:
        """What an artefact's manifest says it is made from, for garbage collection."""
        return dict(
            source=self.dataset.fingerprint,
            spec=self.dataset.spec,
            root=self.key_of("embeddings"),
        )

    def _get(
        self, stage: str, make: Callable[[], stages.StageResult], **params: Any
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        tick = self.tick(stage)
        self.executor.compute_stage(self, stage, params, tick)

        def checked() -> stages.StageResult:
            self._check_memory(stage)
            return make()

        return self.store.get(
            stage,
            self.stored_as(stage, **params),
            checked,
            about=self.about(),
            waiting=lambda: tick(0, 1, "(another process computes it)"),
        )

    def _check_memory(self, stage: str) -> None:
        """Refuse a stage that cannot fit. On a cluster coverage goes by the nodes' memory."""
        streams = stage == "neighbours" and neighbour_search.at_scale(
            self.search, len(self.dataset)
        )
        elsewhere = stage == "coverage" and self.cluster
        if stage != "embeddings" and not streams and not elsewhere:
            n, d = self.vectors.shape
            memory_limits.check(stage, n, d, self.vectors.itemsize)

    def tick(self, stage: str) -> Progress:
        """The progress callback (done, total, unit) of a stage."""
        report = self.progress
        if report is None:
            return silent

        def tick(done: int, total: int, unit: str = "") -> None:
            report(stage, done, total, unit)

        return tick

    # -- columns, tags and queries

    @cached_property
    def columns(self) -> RunColumns:
        """Every column of this run: metadata, file facts, tags, clusters and scores."""
        return RunColumns(self, self.part_of)

    @property
    def tags(self) -> Mapping[str, Iterable[str]]:
        """Tag -> ids of the images that have it, as the workspace keeps them for this dataset."""
        if self.tagged_by is not None:
            return self.tagged_by
        return tags_of(self.dataset.fingerprint, self.store.home)

    def similarity_to(self, query: str) -> np.ndarray:
        """(N,) float32: cosine of every image to a query.

        Parameters
        ----------
        query
            Ids of images or files, comma-separated (their centre), or "text: a red car".
        """
        from coreset_engine.curation.search import similarity_to

        return similarity_to(self, query)

    # -- artefacts

    @cached_property
    def embeddings(self) -> Embeddings:
        """Vectors of every image."""
        arrays, info = self._get("embeddings", self._embed)
        source_states.remember(self.dataset, self.store.home)
        key = self.key_of("embeddings")
        return Embeddings(arrays["vectors"], self.dataset.ids, key, info["encoder"])

    def _embed(self) -> stages.StageResult:
        if self.dataset.vectors is not None:
            return stages.source_vectors(self.dataset)
        work = self.store.work("embeddings", self.key_of("embeddings"))
        return stages.embeddings(
            self.dataset, self.config, self.store, work, self.executor, self.tick("embeddings")
        )

    @property
    def vectors(self) -> np.ndarray:
        """(N, D) float32 or float16, often a read-only memmap."""
        return self.embeddings.vectors

    @cached_property
    def neighbours(self) -> Neighbours:
        """Nearest neighbours by cosine, the image itself left out."""
        arrays, info = self._get("neighbours", self._search)
        return Neighbours(
            arrays["indices"], arrays["distances"], info["metric"], info.get("info", {})
        )

    def _search(self) -> stages.StageResult:
        return neighbour_search.search(
            self.vectors,
            self.config,
            self.executor,
            lambda: self.store.work("neighbours", self.key_of("neighbours")),
            self.tick("neighbours"),
        )

    @cached_property
    def pseudo_labels(self) -> PseudoLabels:
        """`clusters` with what the user corrected of them."""
        if not self.corrected:
            return self.clusters
        return corrections.corrected(self.clusters, self.dataset.ids, self.corrections)

    @cached_property
    def clusters(self) -> PseudoLabels:
        """What the clusterer gives, before corrections."""
        return stages.read_pseudo_labels(*self._get("pseudo_labels", self._cluster))

    def _cluster(self) -> stages.StageResult:
        needs = look_up(CLUSTERERS, self.clusterer, "clusterer").needs
        return stages.pseudo_labels(
            self.vectors,
            self.config,
            self.wanted_clusters,
            neighbours=self.neighbours if "neighbours" in needs else None,
            workers=self.executor.clustering_workers(self),
            progress=self.tick("pseudo_labels"),
        )

    @property
    def labels(self) -> np.ndarray:
        """(N,) true labels. Raises Missing when the source has none."""
        if self.dataset.labels is None:
            raise Missing(
                f"{self.dataset.spec!r} has no true labels; use pseudo-labels, or a source with "
                "labels."
            )
        return self.dataset.labels

    @cached_property
    def predictions(self) -> Predictions:
        """What the user's own model says of the images. Raises Missing when none were given."""
        if not self.config.predictions:
            raise Missing(
                "this run has no predictions of a model; give them with predictions=FILE "
                "(--predictions FILE)."
            )
        return read_predictions(self.config.predictions, self.dataset)

    @property
    def dynamics(self) -> Dynamics:
        """Training dynamics on the pseudo-labels."""
        return self.dynamics_at()

    def dynamics_at(self, *, labels: str = "pseudo", **params: Any) -> Dynamics:
        """Training dynamics on "pseudo" or "true" labels.

        Parameters
        ----------
        params
            Fields of `DynamicsConfig`, over those of the config.
        """

        def make() -> stages.StageResult:
            if self.config.predictions:
                truth = self.dataset if labels == "true" else None
                return stages.predicted_dynamics(self.predictions, truth)
            target = self.pseudo_labels.labels if labels == "pseudo" else self.labels
            wanted = dict(proxy=self.proxy) | self.config.effective("dynamics") | params
            tick = self.tick("dynamics")
            inputs = inputs_of(self, wanted["proxy"], tick)
            return stages.dynamics(inputs, target, self.config, wanted, tick)

        return stages.read_dynamics(*self._get("dynamics", make, labels=labels, **params))

    @cached_property
    def tie_keys(self) -> np.ndarray:
        """(N,) uint64 keys of the images, from their ids: what ties are broken by."""
        from coreset_engine.selection.keyed_random import image_keys

        return image_keys(self.dataset.ids, 0)

    @property
    def coverage(self) -> CoverageScores:
        """BlindCS scores under the config's settings."""
        return self.coverage_at()

    def coverage_at(self, **params: Any) -> CoverageScores:
        """BlindCS scores.

        Parameters
        ----------
        params
            Fields of `CoverageConfig`, over those of the config.
        """
        wanted = coverage_stage.settings_of(self, params)
        make = partial(coverage_stage.compute, self, wanted)
        return stages.read_coverage(*self._get("coverage", make, **wanted))

    def coverage_grid(self, n_neighbours: Iterable[int] | None = None) -> dict[int, CoverageScores]:
        """{alpha: scores} from one sweep, each stored on its own.

        alphas: by default the slider's.
        """
        from coreset_engine.coverage.scores import GRID

        alphas = [int(alpha) for alpha in n_neighbours or GRID]
        missing = [alpha for alpha in alphas if not self._has_coverage(alpha)]
        if missing:
            for alpha, made in coverage_stage.sweep(self, missing):
                self._get("coverage", partial(stages.coverage_arrays, made), n_neighbours=alpha)
        return {alpha: self.coverage_at(n_neighbours=alpha) for alpha in alphas}

    def _has_coverage(self, alpha: int) -> bool:
        return self.store.has("coverage", self.key_of("coverage", n_neighbours=alpha))

    @cached_property
    def forecast(self) -> Forecast:
        """What each method would gain over random, by pruning rate; see `ce.forecast`."""
        return forecast_stage.forecast(self, progress=self.tick("forecast"))

    def forecast_at(
        self,
        prune_rate: float,
        methods: Iterable[Any] | None = None,
        within: np.ndarray | None = None,
    ) -> Forecast:
        """The forecast at the one or two rates of its grid that bracket `prune_rate`, of selections
        from all images or from those at the positions `within`."""
        tick = self.tick("forecast")
        return forecast_stage.forecast_around(self, prune_rate, methods, within, tick)

    @cached_property
    def map(self) -> np.ndarray:
        """(N, 2) float32 UMAP positions; those of an earlier state of the source where it grew."""
        make = partial(map_stage.compute, self, self._plain_map_key)
        return self._get("map", make)[0]["points"]

    def continue_map_of(self, former: Run, state: source_states.SourceState) -> bool:
        """Have the map keep the positions of `former`, the run of an earlier `state`.

        Returns
        -------
        bool
            False where `former` has no finished map, or this run has its own already.
        """
        if not map_stage.continue_map(self, self._plain_map_key, former, state):
            return False
        self._keys = {asked: key for asked, key in self._keys.items() if key != self._plain_map_key}
        return True

    @cached_property
    def _plain_map_key(self) -> str:
        """The key of the map without regard to what it continues."""
        return stage_keys.stage_key(self, "map", {})


def _config(config: RunConfig | str | None, settings: Mapping[str, Any]) -> RunConfig:
    """`config` with `settings` taken in: fields of RunConfig, or settings of stages by name."""
    if isinstance(config, str):
        config = RunConfig(encoder=config)
    known = {about.name for about in fields(RunConfig)}
    own = {name: value for name, value in settings.items() if name in known}
    made = RunConfig.from_record(own) if config is None else replace(config, **own)
    of_stages = {name: value for name, value in settings.items() if name not in known}
    return with_named_settings(made, of_stages)


def _check(n: int, n_clusters: int | None) -> None:
    """Refuse here what would otherwise be noticed after an hour of embedding."""
    if n_clusters is not None and not 2 <= n_clusters <= n:
        raise BadInput(
            f"n_clusters={n_clusters} must lie between 2 and the number of images, {n}; leave it "
            "out for an automatic value."
        )


def embed(
    dataset: Dataset,
    encoder: str = "efficientnet_lite0",
    *,
    store: Store | None = None,
    **options: Any,
) -> Embeddings:
    """Vectors of every image, kept in the store and resumable.

    Parameters
    ----------
    dataset : Dataset
        N images.
    encoder : str
        A row of ENCODERS, "timm:NAME", "open_clip:ARCH/TAG", or several joined by "+".
    store : Store, optional
        Default: the workspace's.
    **options
        As `Run` takes them.

    Returns
    -------
    Embeddings
        .vectors (N, D) float32 or float16 memmap, in source order; .ids, .key.
    """
    return Run(dataset, RunConfig(encoder=encoder), store=store, **options).embeddings
