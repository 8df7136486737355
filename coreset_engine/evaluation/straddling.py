"""Copies that straddle training and test images, which make every accuracy look too good."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LIMIT = 5e10  # products of one comparison, about a second of one core
LAST = 50  # the neighbour whose distance says what is near, as in the certificate
SHARE = 0.01  # of that distance's median
_SAME = 1e-6  # cosine distance that rounding leaves between equal vectors
_BLOCK = 512


@dataclass(frozen=True)
class Straddling:
    """How many test images have a copy among the training images.

    Attributes
    ----------
    identical : int
        Test images with the vector of a training image.
    near : int
        Test images nearer to a training image than a hundredth of the median distance to the 50th
        nearest (the last, where there are fewer), those with the same vector included.
    compared : int
        Test images that were looked at; fewer than all where comparing all would take too long.
    """

    identical: int
    near: int
    compared: int

    def sentence(self) -> str:
        """What it means, as a sentence; "" where there is none."""
        if not self.near:
            return ""
        return (
            f"{self.near:,} of {self.compared:,} test images have a near copy among the training "
            f"images ({self.identical:,} the same vector): accuracies are overestimated; `coreset "
            "clean` finds such copies."
        )


def count_straddling(train: np.ndarray, test: np.ndarray, *, limit: float = LIMIT) -> Straddling:
    """Compare test images with all training images by cosine distance.

    Parameters
    ----------
    train : (N, D) float
        Vectors of the training images, any scale.
    test : (M, D) float
        Vectors of the test images.
    limit : float
        Products at most; above it, test images at even distances are compared.

    Returns
    -------
    Straddling
    """
    wanted = max(1, min(len(test), int(limit / max(1, train.size))))
    at = np.unique(np.linspace(0, len(test) - 1, wanted).astype(np.int64))
    known = _unit(train)
    k = min(LAST, len(known))
    nearest = np.empty(len(at), np.float32)
    last = np.empty(len(at), np.float32)
    for start in range(0, len(at), _BLOCK):
        part = slice(start, start + _BLOCK)
        distance = 1 - _unit(test[at[part]]) @ known.T
        smallest = np.partition(distance, k - 1, axis=1)[:, :k]
        nearest[part] = smallest.min(axis=1)
        last[part] = smallest.max(axis=1)
    identical = nearest <= _SAME
    is_near = identical | (nearest < SHARE * float(np.median(last)))
    return Straddling(int(identical.sum()), int(is_near.sum()), len(at))


def _unit(vectors: np.ndarray) -> np.ndarray:
    rows = np.asarray(vectors, np.float32)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: np.ndarray = rows / np.maximum(norms, 1e-12)
    return unit
