"""Training dynamics of the linear proxy, in NumPy: for methods that make their own labels."""

from __future__ import annotations

import numpy as np

from coreset_engine.selection.kernels.linear_proxy import softmax

EPOCHS = 20
BATCH = 512
FEWEST_STEPS = 20  # of an epoch, where batches of SMALLEST allow it
SMALLEST = 32
RATE = 0.5


def mean_margins(rows: np.ndarray, labels: np.ndarray, n_classes: int, seed: int) -> np.ndarray:
    """AUM of a softmax regression trained by SGD from 0: 20 epochs, cosine rate.

    Batches of 512; on a small set smaller ones, down to 32, so that an epoch has 20 steps: after
    two steps an epoch the margins tell classes apart, not images.

    Parameters
    ----------
    rows : (N, d) float32
        Inputs of mean squared length about 1, see `linear_proxy.inputs_of`.
    labels : (N,) int64 in [0, n_classes)
    n_classes : int
        At least 2.
    seed : int
        Of the order of the batches.

    Returns
    -------
    (N,) float64
        Mean over epochs of z_y - max_{c != y} z_c of the logits at the end of each epoch; high =
        easy.

    References
    ----------
    Pleiss et al. 2020, eq. 1-2.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed % 2**63, len(rows)]))
    n = len(rows)
    weights = np.zeros((rows.shape[1], n_classes), np.float32)
    total = np.zeros(n)
    steps = max(-(-n // BATCH), min(FEWEST_STEPS, -(-n // SMALLEST)))
    for epoch in range(EPOCHS):
        rate = np.float32(RATE * 0.5 * (1 + np.cos(np.pi * epoch / EPOCHS)))
        for at in np.array_split(rng.permutation(n), steps):
            error = softmax(rows[at] @ weights)
            error[np.arange(len(at)), labels[at]] -= 1
            weights -= rate * (rows[at].T @ error) / np.float32(len(at))
        total += margins(rows @ weights, labels)
    return total / EPOCHS


def margins(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N,) the label's logit less the largest other; works in place."""
    at = np.arange(len(labels))
    own = logits[at, labels].copy()
    logits[at, labels] = -np.inf
    return np.asarray(own - logits.max(axis=1))
