"""Methods on the graph of nearest neighbours: facility location, graph cut, ProbCover, D2. Never an
N x N matrix.

The graph is the run's own (50 neighbours an image); what is no neighbour counts as not alike at
all. That is the one deviation all four share: with a k so small that 51 k < N the graph cannot see
all of the set at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, identity

from coreset_engine.core.config import knob
from coreset_engine.core.types import Artefacts, Neighbours, Ranking
from coreset_engine.selection.canonical_order import by_key, filled
from coreset_engine.selection.methods.baselines import LABELS, labels_of, place_scores
from coreset_engine.selection.methods.scored import hardness

LAST_RADIUS = 1e-6  # cosine distance within which float32 vectors are the same


@dataclass(frozen=True)
class FacilityConfig:
    """Mirzasoleiman et al. 2013 (via Kaushal et al. 2019): no knob."""


@dataclass(frozen=True)
class GraphCutConfig:
    """Iyer et al. 2021."""

    diversity: float = knob(
        0.5,
        "lambda: how much likeness among the kept costs; up to 0.5 no image does harm",
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
    labels: str = knob("pseudo", "labels by which purity is judged", choices=LABELS)


@dataclass(frozen=True)
class D2Config:
    """Maharana et al. 2024: difficulty passed along the graph, then taken away around what is
    kept."""

    score: str = knob(
        "uniform",
        "difficulty at the start: uniform needs no labels",
        choices=("uniform", "aum", "forgetting", "el2n", "entropy", "dyn_unc"),
    )
    labels: str = knob(
        "pseudo", "labels whose learning was watched, unless uniform", choices=LABELS
    )
    neighbours: int = knob(10, "neighbours that exchange messages", low=1, high=50)
    forward: float = knob(
        1.0, "gamma_f: how fast forward messages fade with distance", low=0.0, high=100.0
    )
    reverse: float = knob(
        1.0, "gamma_r: how fast reverse messages fade with distance", low=0.0, high=100.0
    )


@by_key
def facility_location(
    inputs: Artefacts,
    k: int,
    config: FacilityConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Greedy maximum of f(S) = sum_i max_{j in S} s_ij with s the cosine similarity on the
    neighbour graph."""
    from coreset_engine.selection.kernels import greedy

    links = likeness(inputs.neighbours)
    order = greedy.facility_location(links.indptr, links.indices, links.data, preselected, k)
    found = filled(order, len(inputs.dataset), k)
    return Ranking(
        found,
        place_scores(order, len(inputs.dataset)),
        info={
            "reason": "each adds most to how well all images are represented by their most similar kept one"
        },
    )


@by_key
def graph_cut(
    inputs: Artefacts,
    k: int,
    config: GraphCutConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """Greedy maximum of sum_{i, j in S} s_ij (all i) - lambda sum_{i, j in S} s_ij (Iyer 2021,
    graph cut)."""
    from coreset_engine.selection.kernels import greedy

    links = likeness(inputs.neighbours)
    # Gain of j: its whole likeness, less lambda s_jj = lambda, less 2 lambda for its likeness to
    # what is kept.
    gain = np.asarray(links.sum(axis=1), np.float64).ravel() - config.diversity
    pull = 2 * config.diversity * links.data.astype(np.float64)
    order = greedy.penalised(
        gain, links.indptr, links.indices, pull, False, preselected, min(k, len(gain))
    )
    return Ranking(
        filled(order, len(gain), k),
        place_scores(order, len(gain)),
        info={"reason": "like many images, unlike what is kept"},
    )


@by_key
def probcover(
    inputs: Artefacts,
    k: int,
    config: ProbcoverConfig,
    seed: int,
    *,
    preselected: np.ndarray | None = None,
) -> Ranking:
    """The image whose ball covers most uncovered ones (Yehuda 2022, algorithm 1); radius by purity.

    Added: once all are covered the radius halves and covering starts again; the paper then picks at
    random. A ball holds neighbours of the graph only. info: radius, a cosine distance.
    """
    from coreset_engine.selection.kernels import greedy

    near = inputs.neighbours
    radius = pure_radius(near, labels_of(inputs, config.labels), config.purity)
    radii = np.r_[radius * 0.5 ** np.arange(12), LAST_RADIUS]
    links = symmetric(near, near.distances)
    order = greedy.cover_balls(
        links.indptr, links.indices, links.data, np.unique(radii)[::-1], preselected, k
    )
    n = len(near.indices)
    return Ranking(
        filled(order, n, k),
        place_scores(order, n),
        info={
            "radius": radius,
            "reason": f"its ball of radius {radius:.3g} holds most images that no kept one covers",
        },
    )


@by_key
def d2(
    inputs: Artefacts, k: int, config: D2Config, seed: int, *, preselected: np.ndarray | None = None
) -> Ranking:
    """D2 pruning (Maharana 2024): score <- score + sum of neighbours' scores e^(-gamma_f d^2); then
    the best is kept and each of its neighbours loses e^(-gamma_r d^2) times its score, again and
    again.

    Scores lie in [0, 1] at the start, 1 each when uniform. An image whose score has fallen below 0
    takes none away.
    """
    from coreset_engine.selection.kernels import greedy

    near = inputs.neighbours
    n = len(inputs.dataset)
    indices = near.indices[:, : config.neighbours]
    square = squared(near)[:, : config.neighbours]
    real = indices >= 0
    start = np.ones(n)
    if config.score != "uniform":
        hard = hardness(inputs.dynamics_at(labels=config.labels), config.score)
        start = (hard - hard.min()) / max(hard.max() - hard.min(), 1e-12)
    message = np.where(real, np.exp(-config.forward * np.where(real, square, 0)), 0)
    score = start + (message * start[indices]).sum(axis=1)
    links = np.r_[0, np.cumsum(real.sum(axis=1))]
    order = greedy.penalised(
        score,
        links,
        indices[real],
        np.exp(-config.reverse * square[real]),
        True,
        preselected,
        min(k, n),
    )
    what = (
        "in dense parts"
        if config.score == "uniform"
        else f"hard by {config.score}, among hard ones"
    )
    return Ranking(
        filled(order, n, k),
        place_scores(order, n),
        info={"reason": f"{what}, away from what is kept"},
    )


def squared(near: Neighbours) -> np.ndarray:
    """(N, k) float64 squared Euclidean distances; of unit vectors where the graph's metric is
    cosine."""
    far = near.distances.astype(np.float64)
    return 2 * far if near.metric == "cosine" else far**2


def likeness(near: Neighbours) -> csr_matrix:
    """(N, N) sparse, symmetric, in [0, 1], 1 on the diagonal: cosine similarity, or e^(-d^2 / mean
    d^2) else."""
    if near.metric == "cosine":
        return symmetric(near, np.clip(1 - near.distances, 1e-6, 1), own=1.0)
    square = squared(near)
    return symmetric(
        near, np.exp(-square / max(square[np.isfinite(square)].mean(), 1e-12)), own=1.0
    )


def symmetric(near: Neighbours, values: np.ndarray, own: float = 0.0) -> csr_matrix:
    """(N, N) sparse: a link wherever one is a neighbour of the other, `own` on the diagonal.
    values: (N, k)."""
    n = len(near.indices)
    real = near.indices >= 0
    rows = np.broadcast_to(np.arange(n)[:, None], near.indices.shape)[real]
    # A sparse matrix forgets zeros, but a neighbour at distance 0 is a link.
    links = csr_matrix(
        (np.maximum(values[real].astype(np.float64), 1e-12), (rows, near.indices[real])),
        shape=(n, n),
    )
    links = links.maximum(links.T) + identity(n, np.float64, "csr") * max(own, 1e-12)
    links.sort_indices()
    return links


def pure_radius(near: Neighbours, labels: np.ndarray, purity: float) -> float:
    """The largest radius at which a share `purity` of the balls {x: d < radius} hold one label
    only."""
    other = (near.indices >= 0) & (labels[near.indices] != labels[:, None])
    first = np.where(other, near.distances, np.inf).min(axis=1, initial=np.inf)
    radius = np.sort(first)[min(int((1 - purity) * len(first) + 1e-9), len(first) - 1)]
    longest = float(near.distances[np.isfinite(near.distances)].max(initial=0.0))
    return max(float(min(radius, np.nextafter(longest, np.inf, dtype=np.float64))), LAST_RADIUS)
