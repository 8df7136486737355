"""A few known labels passed along the neighbour graph to all images (Zhou et al. 2004)."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix, diags

STEPS = 30


def spread_labels(
    links: csr_matrix, known: np.ndarray, labels: np.ndarray, keep: float
) -> np.ndarray:
    """Class scores F <- keep S F + (1 - keep) Y, S = D^-1/2 W D^-1/2.

    Parameters
    ----------
    links : (N, N) sparse, symmetric
        W >= 0; the diagonal is ignored.
    known : (M,) int64
        Positions whose label is known.
    labels : (M,) int64 in [0, C)
    keep : float in [0, 1)
        Share of what a step takes from the neighbours.

    Returns
    -------
    (N, C) float32; a row of 0 for an image that no known one reaches.

    References
    ----------
    Zhou et al. 2004, the iteration of section 3, stopped after 30 steps.
    """
    graph = links - diags(links.diagonal())
    degree = np.asarray(graph.sum(axis=1)).ravel()
    scale = diags(1 / np.sqrt(np.maximum(degree, 1e-12)))
    graph = (scale @ graph @ scale).astype(np.float32).tocsr()
    start = np.zeros((graph.shape[0], int(labels.max()) + 1), np.float32)
    start[known, labels] = 1
    state = start.copy()
    for _ in range(STEPS):
        state = np.float32(keep) * (graph @ state) + np.float32(1 - keep) * start
    return state
