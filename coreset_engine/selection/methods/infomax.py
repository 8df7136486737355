"""InfoMax: information of images less their overlap (Tan et al. 2025, arXiv 2506.01701)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.core.config import knob
from coreset_engine.core.types import Artefacts, Neighbours, Ranking
from coreset_engine.selection.canonical_order import NONE_PRESELECTED, by_key, filled
from coreset_engine.selection.kernels.kmeans_partition import kmeans
from coreset_engine.selection.kernels.vectors import comparable
from coreset_engine.selection.methods.baselines import LABELS, rank_scores
from coreset_engine.selection.methods.graphs import as_links, similarity
from coreset_engine.selection.methods.scored import hardness

SCORES = ("prototypicality", "el2n", "forgetting", "aum", "entropy", "dyn_unc", "tdds", "uniform")


@dataclass(frozen=True)
class InfomaxConfig:
    """Tan et al. 2025."""

    score: str = knob(
        "prototypicality",
        "information of an image: distance to its k-means centre (no labels), or a difficulty "
        "score",
        choices=SCORES,
    )
    labels: str = knob("pseudo", "labels of the training dynamics", choices=LABELS)
    alpha: float = knob(
        0.3,
        "alpha: weight of the information shared by two kept images",
        low=0.0,
        high=100.0,
        step=0.05,
    )
    neighbours: int = knob(
        5, "number of nearest neighbours that share information with an image", low=1, high=50
    )
    n_clusters: int = knob(100, "clusters of prototypicality", low=1, high=100_000)


@by_key
def infomax(
    inputs: Artefacts,
    k: int,
    config: InfomaxConfig,
    seed: int,
    *,
    preselected: np.ndarray = NONE_PRESELECTED,
) -> Ranking:
    """Greedy maximum of sum_{z in S} I(z) - alpha sum_{z, s in S} K_zs.

    I is scaled to [0, 1]; K is the cosine similarity of neighbours, 0 elsewhere and on the diagonal
    (a constant there, since every image shares all with itself). The gain of z is I(z) - 2 alpha
    sum_{s in S} K_zs.

    Deviation: the paper relaxes the quadratic program and solves it by gradient steps on parts of
    the set; the greedy takes the same objective and gives a nested order.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; vectors, neighbours are read.
    config : InfomaxConfig
        Information of an image, labels of the dynamics, alpha >= 0, neighbours, clusters.

    References
    ----------
    Tan et al. 2025, the discrete quadratic program and the sparse similarity matrix.
    """
    from coreset_engine.selection.kernels.greedy import greedy_with_penalties

    neighbours = inputs.neighbours
    nearest = Neighbours(
        neighbours.indices[:, : config.neighbours],
        neighbours.distances[:, : config.neighbours],
        neighbours.metric,
    )
    links = similarity(nearest)
    gain = _information(inputs, config, seed)
    n = len(gain)
    penalties = as_links(links, 2 * config.alpha * links.data)
    order = greedy_with_penalties(gain, penalties, False, preselected, min(k, n))
    reason = f"informative by {config.score}, and shares little with the kept ones"
    return Ranking(filled(order, n, k), rank_scores(order, n), info={"reason": reason})


def _information(inputs: Artefacts, config: InfomaxConfig, seed: int) -> np.ndarray:
    """(N,) float64 in [0, 1]."""
    if config.score == "uniform":
        return np.ones(len(inputs.dataset))
    if config.score == "prototypicality":
        rows = comparable(inputs, "cosine", 128)
        score = np.sqrt(kmeans(rows, config.n_clusters, seed)[1].astype(np.float64))
    else:
        score = hardness(inputs.dynamics_at(labels=config.labels), config.score)
    low = score.min()
    width = score.max() - low
    return (score - low) / width if width > 0 else np.ones(len(score))
