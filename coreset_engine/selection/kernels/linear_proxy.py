"""The linear proxy whose gradients BADGE, CRAIG, GradMatch and Glister use.

Softmax regression on the leading principal components.

The gradient of an image is (p - y) x^T. It is kept as its two factors, (N, C) and (N, d): inner
products of gradients are products of inner products, so the (N, C d) matrix of all gradients is
never built.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.core.types import Artefacts
from coreset_engine.selection.kernels.vectors import comparable
from coreset_engine.selection.methods.baselines import labels_of

DIMS = 128
PENALTY = 1e-2
ROUNDS = 60
SAMPLE = 20_000


@dataclass(frozen=True, eq=False)
class Gradients:
    """Gradients of all images: that of image i is the outer product error[i] rows[i]^T.

    Attributes
    ----------
    error : (N, C) float32
        p - y.
    rows : (N, d + 1) float32
        Inputs of mean 0 and mean squared length 1; last column 1.
    labels : (N,) int64 in [0, C)
    """

    error: np.ndarray
    rows: np.ndarray
    labels: np.ndarray

    def products(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """(A, B) float32 inner products of the gradients of images a with those of images b."""
        products_ab: np.ndarray = (self.error[a] @ self.error[b].T) * (
            self.rows[a] @ self.rows[b].T
        )
        return products_ab

    @property
    def square(self) -> np.ndarray:
        """(N,) float32 squared norms."""
        errors: np.ndarray = np.einsum("nc,nc->n", self.error, self.error)
        inputs: np.ndarray = np.einsum("nd,nd->n", self.rows, self.rows)
        squares: np.ndarray = errors * inputs
        return squares


def proxy_gradients(inputs: Artefacts, which: str, *, own_prediction: bool = False) -> Gradients:
    """Fit the proxy and take its gradients.

    Parameters
    ----------
    inputs : Artefacts
    which : "pseudo" or "true"
        Labels that are fitted. Images labelled -1 (unknown) are left out of the fit and get the
        proxy's own prediction as label.
    own_prediction : bool
        Take gradients against the proxy's own prediction (BADGE) instead of the labels.

    Returns
    -------
    Gradients
    """
    own_labels = labels_of(inputs, which)
    known = own_labels >= 0
    names, labels = np.unique(own_labels[known], return_inverse=True)
    rows = inputs_of(inputs)
    weights = fit(rows[known][:SAMPLE], labels[:SAMPLE], len(names))
    error = softmax(rows @ weights)
    target = error.argmax(axis=1)
    if not own_prediction:
        target[known] = labels
    error[np.arange(len(error)), target] -= 1
    return Gradients(error, rows, target)


def inputs_of(inputs: Artefacts) -> np.ndarray:
    """(N, d + 1) float32: principal components on a common scale, and a column of ones."""
    rows = comparable(inputs, "euclidean", DIMS)
    scale = np.sqrt(rows.shape[1] / max(float(np.einsum("nd,nd->", rows, rows)) / len(rows), 1e-12))
    return np.hstack(
        [rows * np.float32(scale / np.sqrt(rows.shape[1])), np.ones((len(rows), 1), np.float32)]
    )


def softmax(logits: np.ndarray) -> np.ndarray:
    """(N, C) float32 probabilities; works in place."""
    logits -= logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=1, keepdims=True)
    return logits


def fit(rows: np.ndarray, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """(d + 1, C) float32 minimiser of mean cross-entropy + PENALTY / 2 |W|^2, by L-BFGS from 0.

    The intercept, the last row, is not penalised.
    """
    from scipy.optimize import minimize

    n = len(rows)
    at = np.arange(len(rows))
    ridge = np.full((rows.shape[1], 1), PENALTY)
    ridge[-1] = 0

    def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(-1, n_classes)
        p = softmax(rows @ weights.astype(np.float32))
        loss = -np.log(np.maximum(p[at, labels], 1e-30)).mean(dtype=np.float64)
        p[at, labels] -= 1
        slope = (rows.T @ p).astype(np.float64) / n + ridge * weights
        return float(loss + 0.5 * (ridge * weights**2).sum()), slope.ravel()

    start = np.zeros(rows.shape[1] * n_classes)
    solution = minimize(value, start, jac=True, method="L-BFGS-B", options=dict(maxiter=ROUNDS))
    weights: np.ndarray = solution.x.reshape(-1, n_classes).astype(np.float32)
    return weights
