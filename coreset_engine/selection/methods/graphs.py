"""Methods on the graph of nearest neighbours: facility location, graph cut, ProbCover, D2.

Never an N x N matrix.

The graph is the run's own (50 neighbours an image); images that are not linked count as not alike
at all. That is the one deviation all four share: with 51 k < N the graph cannot see all of the set
at once.

References
----------
Mirzasoleiman et al. 2013 and Kaushal et al. 2019 (facility location), Iyer et al. 2021 (graph cut),
Yehuda et al. 2022 (ProbCover), Maharana et al. 2024 (D2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix, identity

from coreset_engine.core.config import knob
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Artefacts, Neighbours, Ranking
from coreset_engine.selection.budget import cut_count, largest_beta
from coreset_engine.selection.canonical_order import NONE_PRESELECTED, by_key, filled
from coreset_engine.selection.methods.baselines import LABELS, labels_of, rank_scores
from coreset_engine.selection.methods.scored import NEVER_LEARNED, equal_width, hardness
from coreset_engine.selection.methods.stratified import shares

if TYPE_CHECKING:
    from coreset_engine.selection.kernels.greedy import Links

LAST_RADIUS = 1e-6  # cosine distance within which float32 vectors are the same
FLOOR = 1e-12  # a sparse matrix drops zeros, but a neighbour at distance 0 is a link


@dataclass(frozen=True)
class FacilityConfig:
    """Mirzasoleiman et al. 2013 (via Kaushal et al. 2019): no setting."""


@dataclass(frozen=True)
class GraphCutConfig:
    """Iyer et al. 2021."""

    diversity: float = knob(
        0.5,
        "lambda: penalty on similarity among kept images; up to 0.5 f is monotone",
        low=0.0,
        high=1.0,
        step=0.05,
    )


@dataclass(frozen=True)
class ProbcoverConfig:
    """Yehuda et al. 2022: the radius by the purity of balls under pseudo-labels."""

    purity: float = knob(
        0.95,
        "share of balls that must hold one pseudo-label only; sets the radius",
        low=0.5,
        high=1.0,
        step=0.01,
    )
    labels: str = knob("pseudo", "labels used to measure purity", choices=LABELS)


@dataclass(frozen=True)
class D2Config:
    """Maharana et al. 2024; defaults of the paper's equations, with 10 neighbours as the program.

    The paper tunes neighbours, gamma_r and the hard cut by dataset and pruning rate; its program's
    example for CIFAR-10 at 90 % is score="forgetting", labels="true", neighbours=5, reverse=0.1,
    distance="plain", hard_cut=0.4, budgets="class", never_learned="zero".
    """

    score: str = knob(
        "uniform",
        "initial difficulty: uniform needs no labels",
        choices=("uniform", "aum", "forgetting", "el2n", "entropy", "dyn_unc"),
    )
    labels: str = knob(
        "pseudo", "labels of the training dynamics and of class-wise budgets", choices=LABELS
    )
    neighbours: int = knob(
        10, "nearest neighbours an image is linked to; links count both ways", low=1, high=50
    )
    forward: float = knob(
        1.0, "gamma_f: how fast forward messages fade with distance", low=0.0, high=100.0
    )
    reverse: float = knob(
        1.0,
        "gamma_r: how fast reverse messages fade with distance (0 = the program's absolute mode)",
        low=0.0,
        high=100.0,
    )
    distance: str = knob(
        "squared",
        "in the exponent: the squared distance (paper, eq. 2-3) or the distance (released program)",
        choices=("squared", "plain"),
    )
    hard_cut: float = knob(
        0.0,
        "share of the whole set with the lowest AUM dropped before the graph is built (mis-ratio)",
        low=0.0,
        high=0.99,
        step=0.01,
    )
    budgets: str = knob(
        "global",
        "one graph for the whole set, or a graph and an equal budget for each class, or for each "
        "range of the score (CCS' strata)",
        choices=("global", "class", "strata"),
    )
    strata: int = knob(
        50, "ranges of the score of equal width, with budgets by strata", low=1, high=1000
    )
    never_learned: str = knob(
        "hardest", "forgetting score of images never learned", choices=NEVER_LEARNED
    )


@by_key
def facility_location(
    inputs: Artefacts,
    k: int,
    config: FacilityConfig,
    seed: int,
    *,
    preselected: np.ndarray = NONE_PRESELECTED,
) -> Ranking:
    """Greedy maximum of f(S) = sum_i max_{j in S} s_ij, s the cosine similarity on the graph.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; neighbours are read.
    config : FacilityConfig
        No setting.

    References
    ----------
    Mirzasoleiman et al. 2013; Kaushal et al. 2019; lazy greedy by Minoux 1978.
    """
    from coreset_engine.selection.kernels.greedy import facility_location as lazy_greedy

    links = similarity(inputs.neighbours)
    n = len(inputs.dataset)
    order = lazy_greedy(as_links(links), preselected, k)
    reason = "each adds most to the similarity of all images to their most similar kept one"
    return Ranking(filled(order, n, k), rank_scores(order, n), info={"reason": reason})


@by_key
def graph_cut(
    inputs: Artefacts,
    k: int,
    config: GraphCutConfig,
    seed: int,
    *,
    preselected: np.ndarray = NONE_PRESELECTED,
) -> Ranking:
    """Greedy maximum of sum_{i in V, j in S} s_ij - lambda sum_{i, j in S} s_ij.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; neighbours are read.
    config : GraphCutConfig
        lambda in [0, 1]; up to 0.5 f is monotone.

    References
    ----------
    Iyer et al. 2021, graph cut.
    """
    from coreset_engine.selection.kernels.greedy import greedy_with_penalties

    links = similarity(inputs.neighbours)
    n = len(inputs.dataset)
    # Gain of j: its similarity to all, less lambda s_jj = lambda, less 2 lambda s_ij for i kept.
    gain = np.asarray(links.sum(axis=1), np.float64).ravel() - config.diversity
    penalties = as_links(links, 2 * config.diversity * links.data)
    order = greedy_with_penalties(gain, penalties, False, preselected, min(k, n))
    reason = "similar to many images, dissimilar to the kept ones"
    return Ranking(filled(order, n, k), rank_scores(order, n), info={"reason": reason})


@by_key
def probcover(
    inputs: Artefacts,
    k: int,
    config: ProbcoverConfig,
    seed: int,
    *,
    preselected: np.ndarray = NONE_PRESELECTED,
) -> Ranking:
    """Keep the image whose ball covers most uncovered ones; the radius is set by purity.

    Added: once all are covered the radius halves and covering starts again; the paper then picks at
    random. A ball holds neighbours of the graph only. info: radius, a cosine distance.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; neighbours, pseudo-labels are read.
    config : ProbcoverConfig
        Purity in [0.5, 1] that sets the radius, and the labels it is measured by.

    Returns
    -------
    Ranking
        Nested; info: radius, a cosine distance in [0, 2].

    References
    ----------
    Yehuda et al. 2022, algorithm 1.
    """
    from coreset_engine.selection.kernels.greedy import cover_balls

    neighbours = inputs.neighbours
    radius = pure_radius(neighbours, labels_of(inputs, config.labels), config.purity)
    radii = np.r_[radius * 0.5 ** np.arange(12), LAST_RADIUS]
    links = symmetric(neighbours, neighbours.distances, own=0.0)
    order = cover_balls(as_links(links), np.unique(radii)[::-1], preselected, k)
    n = len(neighbours.indices)
    reason = f"its ball of radius {radius:.3g} holds most images that no kept one covers"
    info = {"radius": radius, "reason": reason}
    return Ranking(filled(order, n, k), rank_scores(order, n), info=info)


@by_key
def d2(
    inputs: Artefacts,
    k: int,
    config: D2Config,
    seed: int,
    *,
    preselected: np.ndarray = NONE_PRESELECTED,
) -> Ranking:
    """D2 pruning: difficulty is passed along an undirected graph, then taken away around the kept.

    The graph links i and j when either is among the other's nearest neighbours; d is their
    Euclidean distance (of unit vectors where the run's graph is cosine).

    Forward (eq. 2): x_i <- x_i + sum_j e^(-gamma_f d(i, j)^2) x_j over the links of i.
    Reverse (eq. 3): keep the largest x_i, then x_j <- x_j - e^(-gamma_r d(i, j)^2) x_i for its
    links, repeatedly.

    Scores are shifted to a minimum of 0 and scaled to a maximum of 1 (which image is next does not
    depend on the scale); uniform ones are 1. After a hard cut, or within classes, an image is
    linked to the nearest of its 50 neighbours that are left, where the program searches again.

    Parameters
    ----------
    inputs, k, seed, preselected
        As in `selection.contract`; neighbours are read.
    config : D2Config
        Starting score, links, gamma_f and gamma_r >= 0, hard cut, budgets.

    References
    ----------
    Maharana et al. 2024, section 3.2, eq. 2-3; the released program uses d instead of d^2, cuts
    the hardest by AUM (mis-ratio) and can give each class, or each of CCS' strata, its own graph
    and budget.
    """
    n = len(inputs.dataset)
    groups = np.zeros(n, np.int64)
    if config.budgets == "class":
        groups = np.unique(labels_of(inputs, config.labels), return_inverse=True)[1]
    dropped = _hardest(inputs, config, k)
    start = _start(inputs, config)
    if config.budgets == "strata":
        groups[~dropped] = equal_width(start[~dropped], config.strata)
    links = _undirected(inputs.neighbours, config.neighbours, groups, dropped)
    if config.distance == "plain":
        links.data = np.sqrt(links.data)
    forward = links.copy()
    forward.data = np.exp(-config.forward * links.data)
    score = start + forward @ start
    links.data = np.exp(-config.reverse * links.data)
    order = _reverse_messages(score, links, groups, dropped, preselected, k)
    rest = np.setdiff1d(np.flatnonzero(~dropped), order, assume_unique=False)
    order = np.concatenate([order, rest[: max(0, k - len(order))]])
    what = "in dense regions"
    if config.score != "uniform":
        what = f"hard by {config.score}, among hard ones"
    return Ranking(
        filled(order, n, k),
        rank_scores(order, n),
        nested=config.budgets == "global" and config.hard_cut == 0,
        info={"reason": f"{what}, away from the kept ones"},
    )


def _hardest(inputs: Artefacts, config: D2Config, k: int) -> np.ndarray:
    """(N,) bool: the share of lowest AUM that the program's mis-ratio drops."""
    n = len(inputs.dataset)
    dropped = np.zeros(n, bool)
    cut = cut_count(n, config.hard_cut)
    if cut == 0:
        return dropped
    if cut + k > n:
        raise BadInput(
            f"hard_cut={config.hard_cut} drops {cut} of {n} images, which leaves fewer than the "
            f"{k} "
            f"to keep; use hard_cut <= {largest_beta(n, k):g}, or keep fewer images."
        )
    hard = hardness(inputs.dynamics_at(labels=config.labels), "aum")
    dropped[np.argsort(-hard, kind="stable")[:cut]] = True
    return dropped


def _start(inputs: Artefacts, config: D2Config) -> np.ndarray:
    """(N,) float64 difficulty in [0, 1]."""
    if config.score == "uniform":
        return np.ones(len(inputs.dataset))
    dynamics = inputs.dynamics_at(labels=config.labels)
    hard = hardness(dynamics, config.score, config.never_learned)
    return np.asarray((hard - hard.min()) / max(hard.max() - hard.min(), 1e-12))


def _undirected(
    neighbours: Neighbours, k: int, groups: np.ndarray, dropped: np.ndarray
) -> csr_matrix:
    """(N, N) sparse squared distances: each image's k nearest of its group, counted both ways."""
    usable = (neighbours.indices >= 0) & (groups[neighbours.indices] == groups[:, None])
    usable &= ~dropped[neighbours.indices] & ~dropped[:, None]
    first = np.argsort(~usable, axis=1, kind="stable")[:, :k]
    usable = np.take_along_axis(usable, first, 1)
    nearest = Neighbours(
        np.where(usable, np.take_along_axis(neighbours.indices, first, 1), -1),
        np.take_along_axis(neighbours.distances, first, 1),
        neighbours.metric,
    )
    return symmetric(nearest, squared(nearest))


def _reverse_messages(
    score: np.ndarray,
    links: csr_matrix,
    groups: np.ndarray,
    dropped: np.ndarray,
    preselected: np.ndarray,
    k: int,
) -> np.ndarray:
    """Order of eq. 3, in each group by its own budget; groups take turns."""
    from coreset_engine.selection.kernels.greedy import greedy_with_penalties

    is_preselected = np.zeros(len(score), bool)
    is_preselected[preselected] = True
    turn = np.full(len(score), np.inf)
    members = np.flatnonzero(~dropped | is_preselected)
    for name, budget in shares(groups[members], min(k, len(members))):
        inside = members[groups[members] == name]
        first = np.flatnonzero(is_preselected[inside])
        budget = max(budget, len(first))
        own = links[inside][:, inside]
        order = greedy_with_penalties(score[inside], as_links(own), True, first, budget)
        turn[inside[order]] = (np.arange(len(order)) + 0.5) / max(budget, 1)
    turn[preselected] = -1
    return np.argsort(turn, kind="stable")[: np.isfinite(turn).sum()]


def squared(neighbours: Neighbours) -> np.ndarray:
    """(N, k) float64 squared Euclidean distances; of unit vectors where the graph is cosine."""
    far = neighbours.distances.astype(np.float64)
    return 2 * far if neighbours.metric == "cosine" else far**2


def similarity(neighbours: Neighbours) -> csr_matrix:
    """(N, N) sparse, symmetric, in [0, 1], 1 on the diagonal.

    Cosine similarity, or e^(-d^2 / mean d^2) for other metrics.
    """
    if neighbours.metric == "cosine":
        return symmetric(neighbours, np.clip(1 - neighbours.distances, 1e-6, 1), own=1.0)
    square = squared(neighbours)
    scale = max(square[np.isfinite(square)].mean(), FLOOR)
    return symmetric(neighbours, np.exp(-square / scale), own=1.0)


def symmetric(neighbours: Neighbours, values: np.ndarray, own: float | None = None) -> csr_matrix:
    """(N, N) sparse: a link wherever either image is a neighbour of the other.

    values: (N, k) >= 0, one for each link. own: value on the diagonal; None = no diagonal.
    """
    n = len(neighbours.indices)
    real = neighbours.indices >= 0
    rows = np.broadcast_to(np.arange(n)[:, None], neighbours.indices.shape)[real]
    kept = np.maximum(values[real].astype(np.float64), FLOOR)
    links = csr_matrix((kept, (rows, neighbours.indices[real])), shape=(n, n))
    links = links.maximum(links.T).tocsr()
    if own is not None:
        links = links + identity(n, np.float64, "csr") * max(own, FLOOR)
    links.sort_indices()
    return links


def as_links(graph: csr_matrix, weight: np.ndarray | None = None) -> Links:
    """The arrays of a sparse matrix for the compiled loops, optionally with other weights."""
    from coreset_engine.selection.kernels.greedy import Links

    weight = graph.data if weight is None else weight
    return Links(graph.indptr, graph.indices, np.asarray(weight, np.float64))


def pure_radius(neighbours: Neighbours, labels: np.ndarray, purity: float) -> float:
    """The largest radius at which a share `purity` of the balls {x: d < radius} hold one label."""
    other = (neighbours.indices >= 0) & (labels[neighbours.indices] != labels[:, None])
    first = np.where(other, neighbours.distances, np.inf).min(axis=1, initial=np.inf)
    radius = np.sort(first)[min(int((1 - purity) * len(first) + 1e-9), len(first) - 1)]
    longest = float(neighbours.distances[np.isfinite(neighbours.distances)].max(initial=0.0))
    return max(float(min(radius, np.nextafter(longest, np.inf, dtype=np.float64))), LAST_RADIUS)
