"""Methods that look at distances alone: k-center, herding, k-means medoids. No labels, no training.

All see the images in key order (`canonical.by_key`), so they do not depend on how the source lists
them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.core.config import knob
from coreset_engine.core.types import Artefacts, Ranking
from coreset_engine.selection.canonical_order import by_key, filled
from coreset_engine.selection.kernels.kmeans_partition import kmeans
from coreset_engine.selection.kernels.vectors import METRICS, comparable, turned
from coreset_engine.selection.methods.baselines import place_scores

DIMS = "leading principal components that are compared; 0 = all"


@dataclass(frozen=True)
class KCenterConfig:
    """Sener and Savarese 2018 use Euclidean distances between activations."""

    metric: str = knob("euclidean", "distance between vectors", choices=METRICS)
    dims: int = knob(0, DIMS, low=0, high=100_000)


@dataclass(frozen=True)
class HerdingConfig:
    """Welling 2009, with the vectors as features."""

    metric: str = knob(
        "cosine", "cosine: vectors of length 1, so that long ones do not go first", choices=METRICS
    )
    dims: int = knob(128, DIMS, low=0, high=100_000)


@dataclass(frozen=True)
class KMedoidsConfig:
    """k-means with as many groups as images are kept; the image nearest to each centre stands for
    its group."""

    metric: str = knob("cosine", "distance between vectors", choices=METRICS)
    dims: int = knob(128, DIMS, low=0, high=100_000)
    rounds: int = knob(15, "most rounds of k-means", low=1, high=1000)


@by_key
def k_center(
    inputs: Artefacts,
    k: int,
    config: KCenterConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Farthest-first traversal: the next image is the one farthest from all kept so far (Sener
    2018, algorithm 1).

    At most twice the optimal covering radius (Gonzalez 1985). Starts from `preselected`, else from the
    image nearest to the mean (the paper starts from its labelled pool). info: radius, the largest
    distance of any image to the kept set.
    """
    from coreset_engine.selection.kernels.greedy import farthest_first

    rows = comparable(inputs, config.metric, config.dims)
    first = (
        preselected if len(preselected) else np.array([np.einsum("nd,nd->n", rows, rows).argmin()])
    )
    order, radius = farthest_first(rows, first.astype(np.int64), min(k, len(rows)))
    reach = float(np.sqrt(max(radius, 0.0)))
    return Ranking(
        filled(order, len(rows), k),
        place_scores(order, len(rows)),
        info={
            "radius": reach,
            "reason": f"farthest from what was kept before; no image is farther than {reach:.4g} from "
            "a kept one",
        },
    )


@by_key
def herding(
    inputs: Artefacts,
    k: int,
    config: HerdingConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """x_t = argmax <w, x>, w <- w + mu - x_t, from w = mu (Welling 2009, the herding update), each
    image at most once.

    Rows are centred, which moves every score by the same amount; <mu, x> at the start needs the
    origin. `preselected` counts as chosen.
    """
    rows, origin = turned(inputs, config.metric, config.dims)
    mean = rows.mean(axis=0)
    score = rows @ (mean + origin)
    for i in preselected:
        score -= rows @ (rows[i] - mean)
    score[preselected] = -np.inf
    order = np.empty(max(0, min(k, len(rows)) - len(preselected)), np.int64)
    for t in range(len(order)):
        order[t] = pick = int(score.argmax())
        score -= rows @ (rows[pick] - mean)
        score[pick] = -np.inf
    order = filled(order, len(rows), k, preselected)
    return Ranking(
        order,
        place_scores(order, len(rows)),
        info={"reason": "chosen so that the mean of the kept vectors follows the mean of all"},
    )


@by_key
def kmedoids(
    inputs: Artefacts,
    k: int,
    config: KMedoidsConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """One image for each of k k-means groups, the one nearest to the centre, largest group first.

    Groups that hold an image of `preselected` are represented already. info: mean_distance of an image to
    its group's centre.
    """
    rows = comparable(inputs, config.metric, config.dims)
    labels, distance = kmeans(rows, k, seed, config.rounds)
    size = np.bincount(labels)
    order = np.lexsort((distance, labels))
    first = order[np.r_[0, np.flatnonzero(np.diff(labels[order])) + 1]]
    medoids = first[~np.isin(labels[first], labels[preselected])]
    medoids = medoids[np.argsort(-size[labels[medoids]], kind="stable")]
    order = filled(medoids, len(rows), k, preselected)
    spread = float(np.sqrt(np.maximum(distance, 0)).mean())
    return Ranking(
        order,
        place_scores(order, len(rows)),
        nested=False,
        info={
            "mean_distance": spread,
            "reason": f"the middle of each of {len(first)} groups of like images",
        },
    )
