"""The linear judge of benchmarks/forecast.py and benchmarks/methods.py."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

PENALTY = 0.03


def fit(rows: np.ndarray, labels: np.ndarray, iterations: int) -> Callable[..., np.ndarray]:
    """Multinomial logistic regression with L2 penalty PENALTY on all weights but the offsets.

    Parameters
    ----------
    rows : (n, d) array of float
    labels : (n,) array of int
    iterations : int
        At most so many steps of L-BFGS.

    Returns
    -------
    callable
        (m, d) rows -> (m,) classes.
    """
    from scipy.optimize import minimize

    classes, own = np.unique(labels, return_inverse=True)
    if len(classes) == 1:
        return lambda test: np.full(len(test), classes[0])
    n, d = rows.shape
    inputs = np.hstack([rows, np.ones((n, 1))]).astype(np.float32)
    target = np.eye(len(classes), dtype=np.float32)[own]

    def slope(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(d + 1, -1).astype(np.float32)
        logits = inputs @ weights
        logits -= logits.max(axis=1, keepdims=True)
        odds = np.exp(logits)
        total = odds.sum(axis=1)
        loss = (np.log(total) - logits[np.arange(n), own]).mean()
        loss += PENALTY / 2 * (weights[:-1] ** 2).sum()
        gradient = inputs.T @ ((odds / total[:, None] - target) / np.float32(n))
        gradient[:-1] += PENALTY * weights[:-1]
        return float(loss), gradient.ravel().astype(np.float64)

    options = dict(maxiter=iterations, gtol=5e-4)
    start = np.zeros((d + 1) * len(classes))
    found = minimize(slope, start, jac=True, method="L-BFGS-B", options=options).x
    weights = found.reshape(d + 1, -1)
    return lambda test: classes[(test @ weights[:-1] + weights[-1]).argmax(axis=1)]
