"""What each stage computes: inputs and settings in, arrays and JSON-able info out.

source -> embeddings -> neighbours -> pseudo-labels -> dynamics ; embeddings -> coverage ;
neighbours -> map

`Run` decides when a stage is computed and keeps what these functions return; nothing here knows
the store's keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.artifacts import log
from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import BadInput
from coreset_engine.core.row_blocks import Workers
from coreset_engine.core.types import (
    CoverageScores,
    Dataset,
    Dynamics,
    Neighbours,
    Progress,
    PseudoLabels,
)
from coreset_engine.pipeline.config import RunConfig
from coreset_engine.pipeline.embedding_stage import embed_with_reuse
from coreset_engine.pipeline.executor import EmbeddingTask, Executor
from coreset_engine.sources.predictions import Predictions

StageResult = tuple[dict[str, np.ndarray], dict[str, Any]]  # arrays by name, info

# stage -> (version, the stages its key is made from). A change of what a stage computes raises its
# version, as does a changed default of a clusterer's or proxy's settings.
STAGES: dict[str, tuple[int, tuple[str, ...]]] = {
    "embeddings": (3, ()),
    "neighbours": (1, ("embeddings",)),
    "pseudo_labels": (1, ("embeddings", "neighbours")),
    "dynamics": (3, ("embeddings", "pseudo_labels")),
    "coverage": (4, ("embeddings",)),
    "map": (1, ("embeddings", "neighbours")),
}
DYNAMICS = (
    *("aum", "forgetting", "el2n", "entropy", "loss", "grand", "dyn_unc", "tdds", "margins"),
    *("dual", "mean_probability"),
)
LABELS = ("labels", "confidence", "probabilities", "agreement")
DEFAULT_ALPHA = 1000  # redundancy neighbours (BlindCS 5.3)


def embeddings(
    dataset: Dataset,
    config: RunConfig,
    store: Store,
    work: Path,
    executor: Executor,
    progress: Progress,
) -> StageResult:
    """Vectors of every image; those of pictures that were embedded before are reused.

    Parameters
    ----------
    work
        Folder of unfinished shards.
    """
    from coreset_engine.embedding.embedder import embed_images
    from coreset_engine.embedding.encoders.builders import make_encoder

    encoder = make_encoder(config.encoder, weights=config.weights, device=config.device)
    encoder = encoder.sized_for(dataset)
    sizes = tuple(part.image_size for part in getattr(encoder, "parts", (encoder,)))

    def embed_rest(part: Dataset, shards: Path) -> np.ndarray:
        task = EmbeddingTask(part, config.encoder, config.weights, shards, config.device, sizes)
        speeds = executor.embed_shards(task, progress)
        if speeds:
            log.write(store.home, "embedded on a cluster", images_per_second=speeds)
        return embed_images(part, encoder, shards=shards, progress=progress)

    # a node opens a folder by its spec, which names all images, not those that are left
    divisible = executor.address is None or hasattr(dataset.reader, "save")
    return embed_with_reuse(dataset, encoder, store, work, embed_rest, divisible=divisible)


def source_vectors(dataset: Dataset) -> StageResult:
    """The vectors of a source that is embeddings already."""
    return dict(vectors=np.asarray(dataset.vectors)), dict(encoder="given", weights=None)


def pseudo_labels(
    vectors: np.ndarray,
    config: RunConfig,
    n_clusters: int,
    *,
    neighbours: Neighbours | None,
    workers: Workers | None,
    progress: Progress,
) -> StageResult:
    """Clusters as pseudo-labels.

    Parameters
    ----------
    vectors
        (N, D) float32 or float16, finite.
    config
        Clusterer, its settings, seed and device are read.
    n_clusters
        0 lets the data propose a number.
    neighbours
        (N, K); None for a clusterer that needs none.
    workers
        Where blocks of rows are clustered: None = here, else the executor's.
    progress
        Called with done, total and unit.

    Returns
    -------
    arrays : dict
        Those of `LABELS` that the clusterer gives, (N,) each.
    info : dict
        n_clusters and the clusterer's diagnostics.
    """
    from coreset_engine.clustering import pseudo_labels as clustering

    count = n_clusters or clustering.propose_n_clusters(vectors, seed=config.seed).n_clusters
    made = clustering.pseudo_labels(
        vectors,
        count,
        config.clusterer,
        config.seed,
        neighbours=neighbours,
        workers=workers,
        device=config.device,
        progress=progress,
        **config.effective("clusterer_settings"),
    )
    arrays = {name: getattr(made, name) for name in LABELS if getattr(made, name) is not None}
    return arrays, dict(n_clusters=int(made.n_clusters), info=dict(made.info))


def read_pseudo_labels(arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> PseudoLabels:
    """The record of `pseudo_labels`."""
    return PseudoLabels(
        arrays["labels"],
        arrays["confidence"],
        info["n_clusters"],
        arrays.get("probabilities"),
        arrays.get("agreement"),
        info["info"],
    )


def predicted_dynamics(predictions: Predictions, truth: Dataset | None) -> StageResult:
    """Difficulty from the user's own predictions, in the place of a proxy's training.

    Parameters
    ----------
    predictions
        Class alone is not enough: what is uncertain about it is not known.
    truth
        The dataset whose labels the margin is taken for; None = the predicted classes.
    """
    from coreset_engine.training.predicted_dynamics import predicted_dynamics as scored

    if predictions.probabilities is None:
        raise BadInput(
            f"{predictions.name!r} holds a class per image but no probabilities, which difficulty "
            "needs; add the columns p_CLASS or logit_CLASS, or leave "
            "--predictions out."
        )
    labels = np.full(len(predictions.predicted), -1, np.int64)
    if truth is not None and truth.labels is not None:
        number = {name: code for code, name in enumerate(predictions.classes)}
        codes = np.array([number.get(name, -1) for name in truth.classes] + [-1], np.int64)
        labels = codes[np.asarray(truth.labels)]
    made = scored(predictions.probabilities, predictions.logits, labels)
    return {name: getattr(made, name) for name in DYNAMICS}, dict(made.info)


def dynamics(
    inputs: np.ndarray,
    labels: np.ndarray,
    config: RunConfig,
    params: Mapping[str, Any],
    progress: Progress,
) -> StageResult:
    """Training dynamics of a proxy.

    Parameters
    ----------
    inputs
        (N, D) vectors or (N, ch, S, S) uint8 pixels, as the proxy takes them.
    labels
        (N,) int >= 0.
    config
        Seed, device and the proxy's recipe.
    params
        proxy, and fields of `DynamicsConfig` and of the proxy's config.
    """
    from coreset_engine.training.dynamics import training_dynamics

    own = params["proxy"] == config.proxy
    recipe = config.effective("proxy_settings") if own else {}
    watched = {name: value for name, value in params.items() if name != "proxy"}
    made = training_dynamics(
        inputs,
        labels,
        params["proxy"],
        seed=config.seed,
        device=config.device,
        progress=progress,
        **recipe | watched,
    )
    return {name: getattr(made, name) for name in DYNAMICS}, dict(made.info)


def read_dynamics(arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> Dynamics:
    """The record of `dynamics`."""
    return Dynamics(**{name: arrays[name] for name in DYNAMICS}, info=info)


def coverage_arrays(made: CoverageScores) -> StageResult:
    """What is kept of coverage scores."""
    arrays = dict(score=made.score, coverage=made.coverage, redundancy=made.redundancy)
    return arrays, dict(made.info) | dict(n_samples=made.n_samples)


def read_coverage(arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> CoverageScores:
    """The record of `coverage_arrays`."""
    return CoverageScores(
        arrays["score"], arrays["coverage"], arrays["redundancy"], info["n_samples"], info
    )


def projection(
    vectors: np.ndarray, neighbours: Neighbours, seed: int, progress: Progress
) -> StageResult:
    """(N, 2) float32 UMAP positions, as "points".

    Parameters
    ----------
    vectors
        (N, D) float32 or float16, finite.
    neighbours
        Of the same rows, self excluded.
    seed
        Of the layout.
    progress
        Called with done, total and unit.
    """
    from coreset_engine.embedding.projection import project

    return dict(points=project(vectors, neighbours, seed=seed, progress=progress)), {}


def continued_projection(
    former: np.ndarray,
    row: np.ndarray,
    vectors: np.ndarray,
    neighbours: Neighbours,
    seed: int,
    progress: Progress,
) -> StageResult:
    """(N, 2) float32 positions on an earlier map, as "points".

    Parameters
    ----------
    former
        (M, 2) float32 positions of the earlier map.
    row
        (N,) int64 row of each image in it, -1 = a new image.
    """
    from coreset_engine.embedding.projection import place_among

    known = row >= 0
    if not known.any():
        return projection(vectors, neighbours, seed, progress)
    points = np.zeros((len(row), 2), np.float32)
    points[known] = former[row[known]]
    placed = place_among(points, known, vectors, neighbours, seed=seed, progress=progress)
    return dict(points=placed), dict(continued=int(known.sum()))
