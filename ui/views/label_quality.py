"""Pseudo-labels against known labels, as the Labels page and galleries read them; the arithmetic is
the engine's.

Clusters have no names, so each is matched to the class it shares most images with, one to one
(Hungarian, ELFS figure 7); clusters left over take the class of their majority.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.clustering.contingency import contingency, label_quality


@dataclass(frozen=True, eq=False)
class LabelQuality:
    """counts: (classes, C) int64 images. class_of: (C,) int64 class of each cluster, -1 = empty
    cluster.

    matched: (N,) int64 class each image gets through its cluster. wrong: (N,) bool, False where
        truth is unknown.
    per_class: (classes,) float64 misclassified share in [0, 1], NaN for absent classes.
        misclassified, nmi, ari: float.
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
    """pseudo: (N,) int64 in [0, n_clusters). truth: (N,) int64 in [-1, n_classes), -1 = unknown,
    some known."""
    found = label_quality(pseudo, truth, n_clusters, n_classes)
    counts = contingency(truth, pseudo, n_classes, n_clusters)
    named = np.asarray(found["named"])
    mapping = np.asarray(found["mapping"])
    class_of = np.where(counts.sum(0) == 0, -1, np.where(mapping >= 0, mapping, counts.argmax(0)))
    wrong = (truth >= 0) & (named != truth)
    return LabelQuality(
        counts,
        class_of,
        named,
        wrong,
        np.asarray(found["class_errors"], float),
        float(wrong.sum() / (truth >= 0).sum()),
        found["nmi"],
        found["ari"],
    )


def cluster_names(
    quality: LabelQuality | None, classes: tuple[str, ...], n_clusters: int
) -> list[str]:
    """What to call each cluster: "3 (shirt)" when matched to a class, else "3"."""
    if quality is None:
        return [str(c) for c in range(n_clusters)]
    return [
        f"{c} ({classes[k]})" if k >= 0 else f"{c} (empty)" for c, k in enumerate(quality.class_of)
    ]
