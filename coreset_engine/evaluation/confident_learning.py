"""Confident learning: which given labels are probably wrong, from out-of-fold probabilities.

From the equations of Northcutt et al. 2021. Notation: n images with given labels y~, C classes,
p(x)[j] the out-of-fold probability of class j.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class ConfidentLearning:
    """What confident learning finds.

    Attributes
    ----------
    thresholds : (C,) float64
        t_j, mean p[j] of the images labelled j (eq. 2); +inf for a class without images.
    joint : (C, C) int64
        Confident joint (eq. 1): images labelled i (row) that are confidently class j (column).
    suspected : (n,) bool
        Images counted off the diagonal of the joint.
    confident_class : (n,) int64
        Class the image is confidently counted as; -1 = none.
    estimated_errors : float
        n times the off-diagonal mass of the calibrated joint (eq. 3).
    """

    thresholds: np.ndarray
    joint: np.ndarray
    suspected: np.ndarray
    confident_class: np.ndarray
    estimated_errors: float


def confident_learning(labels: np.ndarray, probabilities: np.ndarray) -> ConfidentLearning:
    """Count confident joint and suspected labels.

    Parameters
    ----------
    labels : (n,) int in [0, C)
    probabilities : (n, C) float, rows sum to 1
        Out of fold: by a model that did not see the image's label.

    References
    ----------
    Northcutt et al. 2021, "Confident Learning", eq. 1-3.
    """
    labels = np.asarray(labels, np.int64)
    p = np.asarray(probabilities, np.float64)
    n_classes = p.shape[1]
    count = np.bincount(labels, minlength=n_classes)
    own = p[np.arange(len(labels)), labels]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(labels, own, minlength=n_classes) / count
    thresholds = np.where(count > 0, mean, np.inf)
    above = p >= thresholds - 1e-12
    confident = np.where(above, p, -1).argmax(axis=1)
    confident = np.where(above.any(axis=1), confident, -1)
    joint = np.zeros((n_classes, n_classes), np.int64)
    counted = confident >= 0
    np.add.at(joint, (labels[counted], confident[counted]), 1)
    return ConfidentLearning(
        thresholds,
        joint,
        counted & (confident != labels),
        confident,
        _off_diagonal(joint, count),
    )


def _off_diagonal(joint: np.ndarray, count: np.ndarray) -> float:
    """Images off the diagonal when each row of the joint is scaled to its class's size (eq. 3)."""
    row = joint.sum(axis=1)
    share = np.where(row > 0, 1 - np.diag(joint) / np.maximum(row, 1), 0.0)
    return float((share * count).sum())


def normalised_margin(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(n,) float64 in [-1, 1]: p[given] minus the largest other probability; low = suspect.

    References
    ----------
    Northcutt et al. 2021, section 3.2 (ranking by normalised margin).
    """
    p = np.asarray(probabilities, np.float64).copy()
    at = np.arange(len(labels))
    own = p[at, labels]
    p[at, labels] = -np.inf
    return own - p.max(axis=1)
