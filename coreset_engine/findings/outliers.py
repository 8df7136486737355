"""Images far from all others, and clusters of one image."""

from __future__ import annotations

import numpy as np

from coreset_engine.core.types import Neighbours
from coreset_engine.findings.report import FINDINGS, Finding

_TAIL = 4.0  # robust standard deviations above the median of the log ratio
_LEAST = 1.3  # an outlier is at least so much farther than its cluster's median


def distance_ratio(neighbours: Neighbours, clusters: np.ndarray | None, k: int) -> np.ndarray:
    """(N,) float64: distance to the k-th neighbour over the median of the image's cluster.

    neighbours: at least min(k, N - 1) of each image. clusters: (N,) int64, or None = one cluster.
    Clusters of fewer than 5 images are measured against the whole set.
    """
    distances = np.asarray(neighbours.distances, np.float64)
    if distances.shape[1] == 0:
        return np.ones(len(distances))
    far = distances[:, min(k, distances.shape[1]) - 1]
    typical = np.full(len(far), np.median(far))
    if clusters is not None:
        for cluster in np.unique(clusters):
            members = np.flatnonzero(clusters == cluster)
            if len(members) >= 5:
                typical[members] = np.median(far[members])
    return far / np.maximum(typical, 1e-12)


def proposed_ratio(ratio: np.ndarray) -> float:
    """The ratio above which an image is an outlier: the upper tail of the logarithm."""
    logs = np.log(np.maximum(ratio, 1e-12))
    middle = np.median(logs)
    deviation = 1.4826 * np.median(np.abs(logs - middle))
    return float(max(_LEAST, np.exp(middle + _TAIL * deviation)))


def outliers(
    neighbours: Neighbours,
    clusters: np.ndarray | None,
    *,
    k: int = 10,
    threshold: float | None = None,
    against: str = "the whole set",
) -> Finding:
    """Images whose k-th neighbour is much farther than their cluster's median.

    Parameters
    ----------
    neighbours
        (N, K) with K >= k, self excluded, nearest first.
    clusters
        (N,) int64 cluster or class, -1 = none; None compares with the whole set.
    k
        Which neighbour is measured, from 1.
    threshold
        Ratio of the two distances above which an image counts; None proposes one from the data.
    against
        What `clusters` are, for the note.

    Returns
    -------
    Finding
        Positions by falling ratio, with the ratios as float32 scores.
    """
    ratio = distance_ratio(neighbours, clusters, k)
    limit = proposed_ratio(ratio) if threshold is None else threshold
    positions = np.flatnonzero(ratio > limit)
    positions = positions[np.argsort(-ratio[positions], kind="stable")]
    note = f"neighbour {k}, measured against {against}"
    scores = ratio[positions].astype(np.float32)
    return Finding(FINDINGS["outliers"], positions, scores, None, float(limit), note)


def singletons(clusters: np.ndarray | None, labels: np.ndarray | None) -> Finding:
    """The only image of its cluster or of its class; -1 is neither."""
    groupings = [codes for codes in (clusters, labels) if codes is not None]
    alone = np.zeros(len(groupings[0]) if groupings else 0, bool)
    for codes in groupings:
        known = codes >= 0
        counts = np.bincount(codes[known], minlength=1)
        alone[known] |= counts[codes[known]] == 1
    positions = np.flatnonzero(alone)
    scores = np.ones(len(positions), np.float32)
    return Finding(FINDINGS["singletons"], positions, scores, None, 1.0)
