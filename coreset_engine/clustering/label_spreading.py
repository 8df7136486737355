"""Label spreading: the labels of a few images become labels of all, along the neighbour graph.

Zhou et al. 2004 on a sparse graph: each image is joined to its nearest ones alone, so that time and
memory grow with the number of images, not with its square.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Neighbours

ALPHA = 0.8  # share of its information that an image takes from its neighbours in each step
NEIGHBOURS = 15
TOLERANCE = 1e-4
STEPS = 300


@dataclass(frozen=True, eq=False)
class SpreadLabels:
    """What label spreading found.

    Attributes
    ----------
    labels : (N,) int64
        Class of each image; -1 where no given label reaches it.
    confidence : (N,) float32 in [0, 1]
        Share of the class among all classes that reach the image; 1 for a given label.
    steps : int
        Steps until the largest change was below TOLERANCE.
    """

    labels: np.ndarray
    confidence: np.ndarray
    steps: int


def spread_labels(
    neighbours: Neighbours, known_labels: np.ndarray, n_classes: int, *, alpha: float = ALPHA
) -> SpreadLabels:
    """Spread given labels over the neighbour graph; given labels stay as they are.

    Parameters
    ----------
    neighbours : Neighbours
        Indices (N, k) int64 and cosine distances (N, k) float32; the nearest NEIGHBOURS are used.
    known_labels : (N,) int64
        Class in [0, n_classes), -1 = not labelled.
    n_classes : int
    alpha : float in (0, 1)

    Returns
    -------
    SpreadLabels

    Raises
    ------
    BadInput
        When no image is labelled or alpha is out of bounds.

    References
    ----------
    Zhou et al. 2004, "Learning with Local and Global Consistency": S = D^-1/2 W D^-1/2,
    F(t + 1) = alpha S F(t) + (1 - alpha) Y. W is that of the nearest neighbours, made symmetric.
    """
    known_labels = np.asarray(known_labels, np.int64)
    if not 0 < alpha < 1:
        raise BadInput(f"alpha={alpha} must lie between 0 and 1, for example {ALPHA}.")
    known = np.flatnonzero(known_labels >= 0)
    if not len(known):
        raise BadInput("no image is labelled; give at least one label to spread.")
    matrix = normalised_graph(neighbours)
    start = np.zeros((len(known_labels), n_classes), np.float32)
    start[known, known_labels[known]] = 1 - alpha
    scores, steps = _fixed_point(matrix, start, alpha)
    total = scores.sum(axis=1)
    labels = np.where(total > 0, scores.argmax(axis=1), -1)
    share = scores.max(axis=1) / np.where(total > 0, total, 1)
    labels[known] = known_labels[known]
    share[known] = 1
    return SpreadLabels(labels.astype(np.int64), share.astype(np.float32), steps)


def normalised_graph(neighbours: Neighbours):
    """(N, N) sparse float32 S = D^-1/2 W D^-1/2 of the nearest neighbours.

    w_ij = exp(-d_ij / s), d the cosine distance and s its median at the last neighbour used; for
    unit vectors that is Zhou's exp(-|x_i - x_j|^2 / (2 s)).
    """
    from scipy.sparse import csr_matrix, diags

    k = min(NEIGHBOURS, neighbours.indices.shape[1])
    indices = np.asarray(neighbours.indices[:, :k])
    distance = np.asarray(neighbours.distances[:, :k], np.float32)
    n = len(indices)
    scale = max(float(np.median(distance[:, -1])), 1e-6)
    weights = np.exp(-distance / np.float32(scale))
    rows = np.repeat(np.arange(n), k)
    one_way = csr_matrix((weights.ravel(), (rows, indices.ravel())), shape=(n, n))
    graph = one_way.maximum(one_way.T)
    degree = np.asarray(graph.sum(axis=1)).ravel()
    inverse = diags((1 / np.sqrt(np.maximum(degree, 1e-12))).astype(np.float32))
    return (inverse @ graph @ inverse).tocsr().astype(np.float32)


def _fixed_point(matrix, start: np.ndarray, alpha: float) -> tuple[np.ndarray, int]:
    """(N, C) F with F = alpha S F + start, and the number of steps."""
    scores = start
    for step in range(1, STEPS + 1):
        further = np.float32(alpha) * (matrix @ scores) + start
        change = float(np.abs(further - scores).max())
        scores = further
        if change < TOLERANCE * (1 - alpha):
            return scores, step
    return scores, STEPS
