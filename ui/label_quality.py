"""Pseudo-labels against known labels: Hungarian matching, misclassification, NMI, ARI (ELFS table 2, figure 7).

Clusters have no names, so each is first matched to the class with which it shares most images, one to one (Hungarian);
with more clusters than classes, a cluster left over takes the class of its majority.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class LabelQuality:
    """counts: (classes, C) int64 images. class_of: (C,) int64 class of each cluster, -1 = empty cluster.

    matched: (N,) int64 class each image gets through its cluster. wrong: (N,) bool, False where truth is unknown.
    per_class: (classes,) float64 misclassified share in [0, 1], NaN for absent classes. misclassified, nmi, ari: float.
    """

    counts: np.ndarray
    class_of: np.ndarray
    matched: np.ndarray
    wrong: np.ndarray
    per_class: np.ndarray
    misclassified: float
    nmi: float
    ari: float


def compare(pseudo: np.ndarray, truth: np.ndarray, n_clusters: int, n_classes: int) -> LabelQuality:
    """pseudo: (N,) int64 in [0, n_clusters). truth: (N,) int64 in [-1, n_classes), -1 = unknown, some known."""
    known = truth >= 0
    flat = truth[known] * n_clusters + pseudo[known]
    counts = np.bincount(flat, minlength=n_classes * n_clusters).reshape(n_classes, n_clusters)
    class_of = match(counts)
    matched = class_of[pseudo]
    wrong = known & (matched != truth)
    totals = np.bincount(truth[known], minlength=n_classes)
    per_class = np.bincount(truth[wrong], minlength=n_classes) / np.where(totals, totals, np.nan)
    return LabelQuality(counts, class_of, matched, wrong, per_class, float(wrong.sum() / known.sum()),
                        normalised_information(counts), rand_index(counts))


def match(counts: np.ndarray) -> np.ndarray:
    """(C,) class of each cluster from counts (classes, C): one to one first, majority for clusters left over."""
    from scipy.optimize import linear_sum_assignment

    class_of = np.where(counts.sum(0) > 0, counts.argmax(0), -1)
    rows, columns = linear_sum_assignment(-counts)
    paired = counts[rows, columns] > 0
    class_of[columns[paired]] = rows[paired]
    return class_of


def normalised_information(counts: np.ndarray) -> float:
    """NMI with the arithmetic mean of the entropies, in [0, 1]; 1 when both sides hold one group."""
    joint = counts / counts.sum()
    rows, columns = joint.sum(1), joint.sum(0)
    inside = joint > 0
    mutual = float((joint[inside] * np.log(joint[inside] / np.outer(rows, columns)[inside])).sum())
    entropy = sum(float(-(p[p > 0] * np.log(p[p > 0])).sum()) for p in (rows, columns)) / 2
    return 1.0 if entropy == 0 else max(0.0, mutual / entropy)


def rand_index(counts: np.ndarray) -> float:
    """Adjusted Rand index (Hubert and Arabie 1985), at most 1, 0 expected by chance."""
    def pairs(x: np.ndarray) -> float:
        x = x.astype(float)
        return float((x * (x - 1) / 2).sum())
    both, rows, columns = pairs(counts), pairs(counts.sum(1)), pairs(counts.sum(0))
    n = counts.sum()
    expected = rows * columns / max(1.0, n * (n - 1) / 2)
    most = (rows + columns) / 2
    return 1.0 if most == expected else (both - expected) / (most - expected)


def cluster_names(quality: LabelQuality | None, classes: tuple[str, ...], n_clusters: int) -> list[str]:
    """What to call each cluster: "3 (shirt)" when matched to a class, else "3"."""
    if quality is None:
        return [str(c) for c in range(n_clusters)]
    return [f"{c} ({classes[k]})" if k >= 0 else f"{c} (empty)" for c, k in enumerate(quality.class_of)]
