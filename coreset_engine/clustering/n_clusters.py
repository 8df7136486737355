"""Propose a number of clusters from the data, where the number of classes is unknown.

Three opinions over one grid, all on a sample: the elbow of the k-means objective, the silhouette,
the eigengap. The elbow decides. Measured on 3,000 images over three seeds: Fashion-MNIST's vectors,
10 classes: elbow 9-10, silhouette 5, eigengap 9-13; digits, 10 classes: 10, 13-17, 11; 25 Gaussian
blobs: 23-25, 23-25, 25; 60 blobs: all 60. The silhouette likes few coarse groups, the eigengap
    falls for fine ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from coreset_engine.clustering.kmeans import spherical_centres
from coreset_engine.clustering.vectors import as_tensor, check_clusters, nearest, principal, unit
from coreset_engine.core.limits import limits

_GRID = (
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    12,
    13,
    14,
    15,
    17,
    20,
    23,
    25,
    27,
    30,
    35,
    40,
    50,
    60,
    70,
    80,
    100,
)
_DIMS = 64
_STARTS = 4
_LINKS = 15


@dataclass(frozen=True, eq=False)
class Proposal:
    """n_clusters: what to take. grid: (G,) int64 cluster counts that were tried, rising.

    objective: (G,) float64 mean cosine of a sampled image to its centre, rising with C. silhouette:
    (G,) float64 in [-1, 1]. gaps: (G,) float64 >= 0, fall of the graph's spectrum after C clusters.
    votes: what "elbow", "silhouette" and "eigengap" would each take. n_images: size of the sample.
    """

    n_clusters: int
    grid: np.ndarray
    objective: np.ndarray
    silhouette: np.ndarray
    gaps: np.ndarray
    votes: dict[str, int]
    n_images: int


def propose_n_clusters(vectors: np.ndarray, seed: int = 0) -> Proposal:
    """Propose a number of clusters from 1 to 100 for `vectors` (N, D), finite; seconds at any N.

    Sets with fewer than 10 images, or without two different directions, are one cluster. Sources:
    elbow as the point of the objective over log C that lies farthest above its chord (Satopaa et
    al. 2011, "Kneedle"); silhouette (Rousseeuw 1987) on cosines; eigengap of the normalised
    neighbour graph (von Luxburg 2007, section 8.3).
    """
    check_clusters(vectors, 1)
    rng = np.random.default_rng(seed)
    chosen = np.sort(
        rng.choice(len(vectors), min(limits().proposal_images, len(vectors)), replace=False)
    )
    rows = unit(principal(unit(as_tensor(vectors[chosen], "cpu")), _DIMS))
    most = min(len(rows) // 5, len(torch.unique((rows * 1e4).round(), dim=0)))
    grid = np.array([count for count in _GRID if count <= most], np.int64)
    if len(grid) == 0:
        nothing = np.zeros(0)
        return Proposal(1, grid, nothing, nothing, nothing, {}, len(rows))
    cosines = rows @ rows.T
    objective, silhouette = np.array(
        [_partition(rows, cosines, int(count), rng) for count in grid]
    ).T
    gaps = _gaps(rows)[grid - 1]
    votes = {
        "elbow": int(grid[_elbow(grid, objective)]),
        "silhouette": int(grid[silhouette.argmax()]),
        "eigengap": int(grid[gaps.argmax()]),
    }
    return Proposal(votes["elbow"], grid, objective, silhouette, gaps, votes, len(rows))


def _partition(
    rows: torch.Tensor, cosines: torch.Tensor, count: int, rng: np.random.Generator
) -> tuple[float, float]:
    """(objective, silhouette) of the better of a few k-means starts."""
    starts = [spherical_centres(rows, count, rng, n_rounds=30) for _ in range(_STARTS)]
    score, own = max(
        ((rows @ centres.T).max(dim=1) for centres in starts),
        key=lambda candidate: float(candidate[0].sum()),
    )
    return float(score.double().mean()), _silhouette(cosines, own, count)


def _silhouette(cosines: torch.Tensor, own: torch.Tensor, count: int) -> float:
    """Mean of (b - a) / max(a, b) with cosine distances; images alone in a cluster count 0."""
    member = torch.nn.functional.one_hot(own, count).float()
    sizes = member.sum(dim=0)
    distance = (1 - cosines) @ member
    inside = distance.gather(1, own[:, None])[:, 0] / (sizes[own] - 1).clamp_min(1)
    others = (
        (distance / sizes.clamp_min(1))
        .masked_fill(sizes == 0, torch.inf)
        .scatter(1, own[:, None], torch.inf)
    )
    outside = others.min(dim=1).values
    value = (outside - inside) / torch.maximum(outside, inside).clamp_min(1e-9)
    value[(sizes[own] < 2) | ~torch.isfinite(value)] = 0
    return float(value.double().mean())


def _gaps(rows: torch.Tensor) -> np.ndarray:
    """(max(_GRID),) drop from eigenvalue C to C + 1 of the neighbour graph, index C - 1."""
    graph = torch.zeros(len(rows), len(rows))
    graph.scatter_(1, nearest(rows, _LINKS), 1.0)
    graph = torch.maximum(graph, graph.T)
    scale = graph.sum(dim=1).rsqrt()
    values = (
        torch.linalg.eigvalsh(scale[:, None] * graph * scale)
        .flip(0)[: _GRID[-1] + 1]
        .double()
        .numpy()
    )
    gaps = np.zeros(_GRID[-1])
    gaps[: len(values) - 1] = np.maximum(0, values[:-1] - values[1:])
    return gaps


def _elbow(grid: np.ndarray, objective: np.ndarray) -> int:
    """Index in the grid where the objective is farthest above the chord over log C."""
    rise = objective[-1] - objective[0]
    run = np.log(grid[-1] / grid[0])
    if rise <= 1e-6 or run == 0:
        return 0
    return int(((objective - objective[0]) / rise - np.log(grid / grid[0]) / run).argmax())
