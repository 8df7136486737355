"""Methods that look at distances alone: k-center, herding, k-means medoids. No labels, no training.

All see the images in key order (`canonical_order.by_key`), so they do not depend on how the source
lists them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.core.config import knob
from coreset_engine.core.limits import limits
from coreset_engine.core.types import Artefacts, Ranking
from coreset_engine.selection.canonical_order import NONE_PRESELECTED, by_key, filled
from coreset_engine.selection.kernels.kmeans_partition import kmeans
from coreset_engine.selection.kernels.vectors import (
    METRICS,
    comparable,
    comparable_again,
    on_own_axes,
    on_principal_axes,
)
from coreset_engine.selection.methods.baselines import rank_scores

DIMS = "leading principal components that are compared; 0 = all"
# N D k up to which herding is exact by default: about 30 s on one core.
FEW_AXES = 128


@dataclass(frozen=True)
class KCenterConfig:
    """Sener and Savarese 2018 use Euclidean distances between activations."""

    metric: str = knob("euclidean", "distance between vectors", choices=METRICS)
    dims: int = knob(0, DIMS, low=0, high=100_000)


@dataclass(frozen=True)
class HerdingConfig:
    """Welling 2009, with the vectors as features."""

    metric: str = knob(
        "cosine", "cosine: on unit vectors, so that vector length has no influence", choices=METRICS
    )
    dims: int | None = knob(
        None,
        "leading principal components that are compared; 0 = all; none = all up to "
        "N D k = 1e11 (half a minute), else 128",
        low=0,
        high=100_000,
    )


@dataclass(frozen=True)
class KMedoidsConfig:
    """k-means with as many groups as kept images; the image nearest to each centre is kept."""

    metric: str = knob("cosine", "distance between vectors", choices=METRICS)
    dims: int = knob(128, DIMS, low=0, high=100_000)
    rounds: int = knob(15, "maximum number of k-means iterations", low=1, high=1000)


@by_key
def k_center(
    inputs: Artefacts,
    k: int,
    config: KCenterConfig,
    seed: int,
    *,
    preselected: np.ndarray = NONE_PRESELECTED,
) -> Ranking:
    """Farthest-first traversal: the next image is the one farthest from all kept so far.

    At most twice the optimal covering radius (Gonzalez 1985). Starts from `preselected`, else from
    the image nearest to the mean (the paper starts from its labelled pool). info: radius, the
    largest distance of any image to the kept set.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; vectors are read.
    config : KCenterConfig
        Metric, and leading principal components compared (0 = all).

    Returns
    -------
    Ranking
        Nested; scores: minus the place in the order; info: radius >= 0.

    References
    ----------
    Sener and Savarese 2018, algorithm 1.
    """
    from coreset_engine.selection.kernels.greedy import farthest_first

    rows = comparable(inputs, config.metric, config.dims)
    n = len(rows)
    first = preselected
    if len(first) == 0:
        first = np.array([np.einsum("nd,nd->n", rows, rows).argmin()])
    order, radius = farthest_first(rows, first.astype(np.int64), min(k, n))
    radius = float(np.sqrt(max(radius, 0.0)))
    reason = (
        "farthest from the images kept before; no image is farther than "
        f"{radius:.4g} from a kept one"
    )
    info = {"radius": radius, "reason": reason}
    return Ranking(filled(order, n, k), rank_scores(order, n), info=info)


@by_key
def herding(
    inputs: Artefacts,
    k: int,
    config: HerdingConfig,
    seed: int,
    *,
    preselected: np.ndarray = NONE_PRESELECTED,
) -> Ranking:
    """Herding: keep argmax <w, x>, then w <- w + mean - x, from w = mean; each image at most once.

    Rows are centred, which moves every score by the same amount; <mean, x> at the start needs the
    origin. `preselected` counts as kept. info: dims, the axes compared.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; vectors are read.
    config : HerdingConfig
        Metric, and leading principal components compared (0 = all; None = by N D k).

    References
    ----------
    Welling 2009, the herding update.
    """
    rows, origin = _herded_rows(inputs, k, config)
    n = len(rows)
    mean = rows.mean(axis=0)
    score = rows @ (mean + origin)
    for i in preselected:
        score -= rows @ (rows[i] - mean)
    score[preselected] = -np.inf
    order = np.empty(max(0, min(k, n) - len(preselected)), np.int64)
    for t in range(len(order)):
        pick = int(score.argmax())
        order[t] = pick
        score -= rows @ (rows[pick] - mean)
        score[pick] = -np.inf
    order = filled(order, n, k, preselected)
    info = {
        "dims": rows.shape[1],
        "reason": "chosen so that the mean of the kept vectors approaches the mean of all",
    }
    return Ranking(order, rank_scores(order, n), info=info)


def _herded_rows(inputs: Artefacts, k: int, config: HerdingConfig) -> tuple[np.ndarray, np.ndarray]:
    """(rows (N, d) float32, origin (d,)): rows + origin has the vectors' inner products."""
    n, width = inputs.vectors.shape
    dims = config.dims
    if dims is None:
        dims = 0 if float(n) * width * min(k, n) <= limits().exact_herding_products else FEW_AXES
    if 0 < dims < width:
        return on_principal_axes(inputs, config.metric, dims)
    rows = on_own_axes(inputs, config.metric)
    origin = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    rows -= origin
    return rows, origin


@by_key
def kmedoids(
    inputs: Artefacts,
    k: int,
    config: KMedoidsConfig,
    seed: int,
    *,
    preselected: np.ndarray = NONE_PRESELECTED,
) -> Ranking:
    """The image nearest to the centre of each of k k-means groups, largest group first.

    Groups that hold an image of `preselected` are represented already. info: mean_distance of an
    image to its group's centre.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; vectors are read.
    config : KMedoidsConfig
        Metric, leading principal components compared (0 = all), maximum number of k-means
        iterations.

    Returns
    -------
    Ranking
        For this k alone; info: mean_distance >= 0.

    References
    ----------
    Lloyd 1982; Arthur and Vassilvitskii 2007.
    """
    rows = comparable_again(inputs, config.metric, config.dims)
    labels, distance = kmeans(rows, k, seed, config.rounds)
    size = np.bincount(labels)
    order = np.lexsort((distance, labels))
    first = order[np.r_[0, np.flatnonzero(np.diff(labels[order])) + 1]]
    medoids = first[~np.isin(labels[first], labels[preselected])]
    medoids = medoids[np.argsort(-size[labels[medoids]], kind="stable")]
    order = filled(medoids, len(rows), k, preselected)
    info = {
        "mean_distance": float(np.sqrt(np.maximum(distance, 0)).mean()),
        "reason": f"medoid of one of {len(first)} groups of similar images",
    }
    return Ranking(order, rank_scores(order, len(rows)), nested=False, info=info)
