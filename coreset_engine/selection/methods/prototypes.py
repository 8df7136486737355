"""Methods that rank an image by its place in its own group: prototypicality, moderate,
TypiClust."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.core.config import knob
from coreset_engine.core.types import Artefacts, Ranking
from coreset_engine.selection.canonical_order import by_key, filled
from coreset_engine.selection.kernels.kmeans_partition import centres_of, kmeans
from coreset_engine.selection.kernels.vectors import METRICS, comparable
from coreset_engine.selection.methods.baselines import LABELS, labels_of, place_scores, turns
from coreset_engine.selection.methods.geometric import DIMS

SMALL = 5  # Hacohen 2022: clusters with fewer images are passed over


@dataclass(frozen=True)
class PrototypicalityConfig:
    """Sorscher et al. 2022: hard images when data is plentiful, easy ones when it is scarce."""

    n_clusters: int = knob(
        100, "k-means clusters whose centres are the prototypes", low=1, high=100_000
    )
    keep: str = knob(
        "hard", "far from the prototype (hard) or near to it (easy)", choices=("hard", "easy")
    )
    balance: float = knob(
        0.5,
        "share of an equal split that every cluster is sure of; 0 = no balance",
        low=0.0,
        high=1.0,
        step=0.05,
    )
    dims: int = knob(128, DIMS, low=0, high=100_000)


@dataclass(frozen=True)
class ModerateConfig:
    """Xia et al. 2023: no knob but the labels that define the classes."""

    labels: str = knob("pseudo", "labels that define the classes", choices=LABELS)
    metric: str = knob("euclidean", "distance to the class centre", choices=METRICS)
    dims: int = knob(0, DIMS, low=0, high=100_000)


@dataclass(frozen=True)
class TypiclustConfig:
    """Hacohen et al. 2022: at most 500 clusters, typicality over 20 neighbours."""

    max_clusters: int = knob(
        500,
        "most k-means clusters; more are never made, so that none is too fine",
        low=1,
        high=100_000,
    )
    neighbours: int = knob(
        20, "neighbours within the cluster over which typicality is averaged", low=1, high=1000
    )
    metric: str = knob("cosine", "distance between vectors", choices=METRICS)
    dims: int = knob(128, DIMS, low=0, high=100_000)


@by_key
def prototypicality(
    inputs: Artefacts,
    k: int,
    config: PrototypicalityConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Distance to the nearest k-means centre, on vectors of length 1 (Sorscher 2022: cosine
    distance).

    balance b: each cluster is first granted b k / C of its best images (their class balance score
    is 0.5), then the rest go by score over all clusters. `preselected` counts towards its clusters.
    """
    rows = comparable(inputs, "cosine", config.dims)
    labels, distance = kmeans(rows, config.n_clusters, seed)
    score = np.sqrt(distance.astype(np.float64)) * (1 if config.keep == "hard" else -1)
    by_score = np.argsort(-score, kind="stable")
    place = np.empty(len(rows), np.int64)
    place[by_score] = np.arange(len(rows))
    sure = turns(labels, place, preselected) < int(config.balance * k / (labels.max() + 1))
    order = np.concatenate([by_score[sure[by_score]], by_score[~sure[by_score]]])
    what = "far from" if config.keep == "hard" else "near to"
    return Ranking(
        order,
        score,
        nested=config.balance == 0,
        info={"reason": f"{what} the prototype of its cluster, {int(labels.max()) + 1} clusters"},
    )


@by_key
def moderate(
    inputs: Artefacts,
    k: int,
    config: ModerateConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Images whose distance to their class centre is closest to the median distance (Xia 2023)."""
    labels = np.unique(labels_of(inputs, config.labels), return_inverse=True)[1]
    rows = comparable(inputs, config.metric, config.dims)
    gap = rows - centres_of(rows, labels, int(labels.max()) + 1)[labels]
    distance = np.sqrt(np.einsum("nd,nd->n", gap, gap)).astype(np.float64)
    score = -np.abs(distance - np.median(distance))
    return Ranking(
        np.argsort(-score, kind="stable").astype(np.int64),
        score,
        info={"reason": "as far from its class centre as the median image is"},
    )


@by_key
def typiclust(
    inputs: Artefacts,
    k: int,
    config: TypiclustConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """The most typical image of each cluster, clusters with the fewest kept first, then the largest
    (Hacohen 2022, algorithm 1). Typicality: eq. 4, one over the mean distance to the neighbours
    within the cluster.

    Added: clusters under 5 images come last in a round, not never; an exact double waits until all
    else is kept. Typicality is not computed again after a pick.
    """
    rows = comparable(inputs, config.metric, config.dims)
    labels, _ = kmeans(rows, min(max(k, len(preselected)), config.max_clusters), seed)
    typical = typicality(rows, labels, config.neighbours)
    twin = repeats(inputs.vectors)
    place = np.empty(len(rows), np.int64)
    place[np.lexsort((-typical, twin))] = np.arange(len(rows))
    turn = turns(labels, place, preselected)
    size = np.bincount(labels)[labels]
    order = np.lexsort((labels, -size, size < SMALL, turn, twin))
    order = filled(order[~np.isin(order, preselected)], len(rows), k, preselected)
    return Ranking(
        order,
        place_scores(order, len(rows)),
        nested=False,
        info={
            "reason": f"the most typical images of {int(labels.max()) + 1} clusters, those with the fewest kept first"
        },
    )


def typicality(rows: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """(N,) float64: eq. 4 of Hacohen 2022 within each cluster, over min(k, size - 1) neighbours; 0
    for one alone."""
    out = np.zeros(len(rows))
    for inside in np.split(
        np.argsort(labels, kind="stable"), np.flatnonzero(np.diff(np.sort(labels))) + 1
    ):
        near = min(k, len(inside) - 1)
        block = max(1, 20_000_000 // len(inside))
        own = rows[inside]
        square = np.einsum("nd,nd->n", own, own)
        for start in range(0, len(inside) if near else 0, block):
            part = slice(start, start + block)
            far = square[part, None] + square[None] - 2 * (own[part] @ own.T)
            np.maximum(far, 0, out=far)
            far[np.arange(len(far)), np.arange(start, start + len(far))] = np.inf
            nearest = np.partition(far, near - 1, axis=1)[:, :near]
            out[inside[part]] = 1 / np.maximum(
                np.sqrt(nearest).mean(axis=1, dtype=np.float64), 1e-9
            )
    return out


def repeats(vectors: np.ndarray) -> np.ndarray:
    """(N,) bool: True for a row that equals an earlier one in every bit (by a 64-bit hash of its
    bytes)."""
    from coreset_engine.selection.keyed_random import mix

    factors = mix(np.arange(1, vectors.shape[1] + 1)) | np.uint64(1)
    key = np.empty(len(vectors), np.uint64)
    for start in range(0, len(vectors), 2048):
        bits = (
            np.ascontiguousarray(vectors[start : start + 2048], np.float32)
            .view(np.uint32)
            .astype(np.uint64)
        )
        key[start : start + 2048] = (bits * factors).sum(axis=1, dtype=np.uint64)
    _, first = np.unique(key, return_index=True)
    out = np.ones(len(vectors), bool)
    out[first] = False
    return out
