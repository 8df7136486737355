"""Methods that rank an image within its group: prototypicality, moderate, TypiClust."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.core.config import knob
from coreset_engine.core.hashing import mix
from coreset_engine.core.types import Artefacts, Ranking
from coreset_engine.selection.canonical_order import NONE_PRESELECTED, by_key, filled
from coreset_engine.selection.kernels.kmeans_partition import centres_of, kmeans
from coreset_engine.selection.kernels.vectors import METRICS, comparable, on_own_axes
from coreset_engine.selection.methods.baselines import (
    LABELS,
    labels_of,
    rank_scores,
    rank_within_class,
)
from coreset_engine.selection.methods.geometric import DIMS

SMALL = {"paper": 5, "program": 6}  # clusters with fewer images are passed over
_BLOCK = 20_000_000  # numbers in a block of distances


@dataclass(frozen=True)
class PrototypicalityConfig:
    """Sorscher et al. 2022: hard images when data is plentiful, easy ones when it is scarce."""

    n_clusters: int = knob(
        100, "k-means clusters whose centres are the prototypes", low=1, high=100_000
    )
    keep: str = knob(
        "hard", "far from the prototype (hard) or close to it (easy)", choices=("hard", "easy")
    )
    balance: float = knob(
        0.5,
        "guaranteed share of an equal split for every cluster; 0 = no balance",
        low=0.0,
        high=1.0,
        step=0.05,
    )
    dims: int = knob(128, DIMS, low=0, high=100_000)


@dataclass(frozen=True)
class ModerateConfig:
    """Xia et al. 2023; defaults of the paper."""

    labels: str = knob("pseudo", "labels that define the classes", choices=LABELS)
    metric: str = knob("euclidean", "distance to the class centre", choices=METRICS)
    dims: int = knob(0, DIMS, low=0, high=100_000)
    centre: str = knob(
        "mean",
        "class centre: mean of its vectors (paper) or coordinate-wise median (released program)",
        choices=("mean", "median"),
    )
    window: str = knob(
        "distance",
        "kept: distances closest to the median (paper), or the ranks around the middle (released "
        "program)",
        choices=("distance", "rank"),
    )


@dataclass(frozen=True)
class TypiclustConfig:
    """Hacohen et al. 2022: at most 500 clusters, typicality over 20 neighbours."""

    max_clusters: int = knob(
        500,
        "maximum number of k-means clusters",
        low=1,
        high=100_000,
    )
    neighbours: int = knob(
        20, "neighbours within the cluster over which typicality is averaged", low=1, high=1000
    )
    variant: str = knob(
        "paper",
        "paper: 20 neighbours at most, clusters under 5 images last; program: at most half of the "
        "cluster's images left, squared distances, computed again after each pick, clusters under "
        "6 last",
        choices=("paper", "program"),
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
    preselected: np.ndarray = NONE_PRESELECTED,
) -> Ranking:
    """Distance to the nearest k-means centre, on unit vectors.

    balance b: each cluster is first granted b k / C of its best images (their class balance score
    is 0.5), then the rest go by score over all clusters. `preselected` counts towards its clusters.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; vectors are read.
    config : PrototypicalityConfig
        Clusters, the end that is kept, balance in [0, 1], components compared.

    Returns
    -------
    Ranking
        Scores: distance to the nearest centre, negative where the near ones are kept; nested
        without balance.

    References
    ----------
    Sorscher et al. 2022, section 5 (self-supervised prototypes, cosine distance) and appendix H.
    """
    rows = comparable(inputs, "cosine", config.dims)
    labels, distance = kmeans(rows, config.n_clusters, seed)
    score = np.sqrt(distance.astype(np.float64)) * (1 if config.keep == "hard" else -1)
    by_score = np.argsort(-score, kind="stable")
    rank = np.empty(len(rows), np.int64)
    rank[by_score] = np.arange(len(rows))
    n_clusters = int(labels.max()) + 1
    sure = rank_within_class(labels, rank, preselected) < int(config.balance * k / n_clusters)
    order = np.concatenate([by_score[sure[by_score]], by_score[~sure[by_score]]])
    what = "far from" if config.keep == "hard" else "near to"
    reason = f"{what} the prototype of its cluster, {n_clusters} clusters"
    return Ranking(order, score, nested=config.balance == 0, info={"reason": reason})


@by_key
def moderate(
    inputs: Artefacts,
    k: int,
    config: ModerateConfig,
    seed: int,
    *,
    preselected: np.ndarray = NONE_PRESELECTED,
) -> Ranking:
    """Images whose distance to their class centre is closest to the median distance.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; vectors, pseudo-labels are read.
    config : ModerateConfig
        Labels, metric, components, kind of centre and of window (paper or program).

    Returns
    -------
    Ranking
        Nested; scores <= 0: minus the distance (or ranks) to the median.

    References
    ----------
    Xia et al. 2023, section 3: the centre is a class's mean, kept are the distances closest to the
    median. The released program takes coordinate-wise medians as centres and a window of ranks
    around the middle one.
    """
    labels = np.unique(labels_of(inputs, config.labels), return_inverse=True)[1]
    if config.centre == "median":
        # Medians of coordinates are not those of turned axes, so `dims` does not count here.
        rows = on_own_axes(inputs, config.metric)
        centres = _medians(rows, labels)
    else:
        rows = comparable(inputs, config.metric, config.dims)
        centres = centres_of(rows, labels, int(labels.max()) + 1)
    gap = rows - centres[labels]
    distance = np.sqrt(np.einsum("nd,nd->n", gap, gap)).astype(np.float64)
    if config.window == "rank":
        rank = np.argsort(np.argsort(distance, kind="stable"), kind="stable")
        score = -np.abs(rank - (len(rows) - 1) / 2)
    else:
        score = -np.abs(distance - np.median(distance))
    order = np.argsort(-score, kind="stable").astype(np.int64)
    reason = "as far from its class centre as the median image is"
    return Ranking(order, score, info={"reason": reason})


def _medians(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(C, D) float32 coordinate-wise medians of the classes."""
    return np.stack([np.median(rows[labels == c], axis=0) for c in range(int(labels.max()) + 1)])


@by_key
def typiclust(
    inputs: Artefacts,
    k: int,
    config: TypiclustConfig,
    seed: int,
    *,
    preselected: np.ndarray = NONE_PRESELECTED,
) -> Ranking:
    """The most typical image of each cluster; clusters with the fewest kept, then the largest.

    Typicality (eq. 4) is one over the mean distance to the nearest images of the cluster. Clusters
    that are too small come after all others, and exact copies of an image last of all; the paper
    and its program never reach them.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; vectors are read.
    config : TypiclustConfig
        Most clusters, neighbours of typicality, paper or program, metric and components.

    Returns
    -------
    Ranking
        For this k alone, nested from `max_clusters` images on.

    References
    ----------
    Hacohen et al. 2022, eq. 4 and algorithm 1; the released program differs as `variant` says.
    """
    rows = comparable(inputs, config.metric, config.dims)
    labels, _ = kmeans(rows, min(max(k, len(preselected)), config.max_clusters), seed)
    copies = repeats(inputs.vectors)
    typical = typicality(rows, labels, config.neighbours)
    rank = np.empty(len(rows), np.int64)
    rank[np.lexsort((-typical, copies))] = np.arange(len(rows))
    if config.variant == "program":
        rank = _picked_per_class(rows, labels, config.neighbours, preselected)
    turn = rank_within_class(labels, rank, preselected)
    size = np.bincount(labels)[labels]
    small = size < SMALL[config.variant]
    order = np.lexsort((labels, -size, turn, small, copies))
    order = filled(order[~np.isin(order, preselected)], len(rows), k, preselected)
    n_clusters = int(labels.max()) + 1
    reason = f"the most typical images of {n_clusters} clusters, those with the fewest kept first"
    return Ranking(
        order,
        rank_scores(order, len(rows)),
        nested=False,
        info={"reason": reason},
        nested_from=config.max_clusters if k >= config.max_clusters else None,
    )


def typicality(rows: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """(N,) float64: eq. 4 of Hacohen 2022 within each cluster; 0 for an image alone.

    Over min(k, size - 1) neighbours, by Euclidean distances of the rows.
    """
    out = np.zeros(len(rows))
    for inside in _clusters(labels):
        n_near = min(k, len(inside) - 1)
        if n_near == 0:
            continue
        block = max(1, _BLOCK // len(inside))
        for start in range(0, len(inside), block):
            part = inside[start : start + block]
            far = _squared(rows[part], rows[inside])
            far[np.arange(len(far)), np.arange(start, start + len(far))] = np.inf
            nearest = np.sqrt(np.partition(far, n_near - 1, axis=1)[:, :n_near])
            out[part] = 1 / np.maximum(nearest.mean(axis=1, dtype=np.float64), 1e-9)
    return out


def _picked_per_class(
    rows: np.ndarray, labels: np.ndarray, k: int, preselected: np.ndarray
) -> np.ndarray:
    """(N,) int64: ranks within clusters as the released program picks.

    Each next image is the one of least mean squared distance to its min(k, left // 2) nearest among
    the cluster's images that are left.
    """
    rank = np.full(len(rows), len(rows), np.int64)
    gone = np.zeros(len(rows), bool)
    gone[preselected] = True
    for inside in _clusters(labels):
        left = inside[~gone[inside]]
        far = _squared(rows[left], rows[left]).astype(np.float64)
        np.fill_diagonal(far, np.inf)
        alive = np.arange(len(left))
        for turn in range(len(left)):
            n_near = min(k, len(alive) // 2)
            pick = 0
            if n_near:
                own = far[np.ix_(alive, alive)]
                pick = int(np.partition(own, n_near - 1, axis=1)[:, :n_near].mean(axis=1).argmin())
            rank[left[alive[pick]]] = turn
            alive = np.delete(alive, pick)
    return rank


def _clusters(labels: np.ndarray) -> list[np.ndarray]:
    """Positions of each cluster, ascending."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def _squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(A, B) float32 squared Euclidean distances."""
    far: np.ndarray = (
        np.einsum("nd,nd->n", a, a)[:, None] + np.einsum("nd,nd->n", b, b) - 2 * (a @ b.T)
    )
    np.maximum(far, 0, out=far)
    return far


def repeats(vectors: np.ndarray) -> np.ndarray:
    """(N,) bool: True for a row that equals an earlier one bit for bit (64-bit hash)."""
    factors = mix(np.arange(1, vectors.shape[1] + 1)) | np.uint64(1)
    key = np.empty(len(vectors), np.uint64)
    for start in range(0, len(vectors), 2048):
        part = np.ascontiguousarray(vectors[start : start + 2048], np.float32)
        bits = part.view(np.uint32).astype(np.uint64)
        key[start : start + 2048] = (bits * factors).sum(axis=1, dtype=np.uint64)
    _, first = np.unique(key, return_index=True)
    out = np.ones(len(vectors), bool)
    out[first] = False
    return out
