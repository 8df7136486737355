"""Clusters as people see them: their names, the corrections made to them, and how they match truth.

A cluster has one name everywhere: the one the user gave it, else the class that most of its images
have, else its two commonest classes ("cat / gravel"), else "cluster 3". Quality is judged after
matching clusters to classes one to one (ELFS figure 7), which may give a cluster another class than
its majority's.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from coreset_engine.artifacts import history
from coreset_engine.clustering.contingency import contingency, label_quality
from coreset_engine.pipeline import corrections
from ui.state import session


@dataclass(frozen=True, eq=False)
class LabelQuality:
    """Pseudo-labels against true labels.

    Attributes
    ----------
    counts : (classes, C) int64
        Images of each class in each cluster.
    class_of : (C,) int64
        Class of each cluster by one-to-one matching, -1 for an empty one.
    majority : (C,) int64
        Class that more than half of the cluster's labelled images have; -1 where there is none.
    matched : (N,) int64
        Class that each image gets through its cluster.
    wrong : (N,) bool
        Whether that differs from the true label; False where truth is unknown.
    per_class : (classes,) float64
        Misclassified share in [0, 1], NaN for absent classes.
    misclassified, nmi, ari : float
        Of all images with a true label.
    """

    counts: np.ndarray
    class_of: np.ndarray
    majority: np.ndarray
    matched: np.ndarray
    wrong: np.ndarray
    per_class: np.ndarray
    misclassified: float
    nmi: float
    ari: float


def compare_labels(
    pseudo: np.ndarray, truth: np.ndarray, n_clusters: int, n_classes: int
) -> LabelQuality:
    """Compare pseudo-labels with true labels.

    Parameters
    ----------
    pseudo : (N,) int64
        In [0, n_clusters).
    truth : (N,) int64
        In [-1, n_classes), -1 = unknown; at least one known.
    n_clusters, n_classes : int
        How many there are.

    Returns
    -------
    LabelQuality
        With clusters matched to classes.
    """
    result = label_quality(pseudo, truth, n_clusters, n_classes)
    counts = contingency(truth, pseudo, n_classes, n_clusters)
    matched = np.asarray(result["named"])
    mapping = np.asarray(result["mapping"])
    most = counts.argmax(0)
    empty = counts.sum(0) == 0
    wrong = (truth >= 0) & (matched != truth)
    return LabelQuality(
        counts=counts,
        class_of=np.where(empty, -1, np.where(mapping >= 0, mapping, most)),
        majority=np.where(2 * counts.max(0) > counts.sum(0), most, -1),
        matched=matched,
        wrong=wrong,
        per_class=np.asarray(result["class_errors"], float),
        misclassified=float(wrong.sum() / (truth >= 0).sum()),
        nmi=result["nmi"],
        ari=result["ari"],
    )


def quality_of(view: session.RunView) -> LabelQuality | None:
    """Pseudo-labels against truth, or None when the source has no labels; cached per artefact."""
    labels = view.dataset.labels
    if labels is None or not (labels >= 0).any() or not view.dataset.classes:
        return None
    return _quality(view.key_of("pseudo_labels"), view.dataset.fingerprint, view)


@st.cache_resource(max_entries=8, show_spinner=False)
def _quality(key: str, fingerprint: str, _view: session.RunView) -> LabelQuality:
    pseudo = _view.run.pseudo_labels
    dataset = _view.dataset
    assert dataset.labels is not None
    return compare_labels(pseudo.labels, dataset.labels, pseudo.n_clusters, len(dataset.classes))


def clustering_key(view: session.RunView) -> str:
    """The key of the clusters as computed, without corrections."""
    return str(view.run.stored_as("pseudo_labels"))


def corrections_of(view: session.RunView) -> list[dict[str, Any]]:
    """The corrections made to this clustering of the dataset, oldest first.

    They belong to all images, also those made while looking at a sample.
    """
    made = _all_corrections(view)
    return corrections.of_clustering(made, clustering_key(view)) if made else []


def n_corrections_elsewhere(view: session.RunView) -> int:
    """How many corrections belong to another clustering of the dataset and do not apply to this."""
    return len(_all_corrections(view)) - len(corrections_of(view))


def _all_corrections(view: session.RunView) -> list[dict[str, Any]]:
    return history.corrections((view.full or view).dataset.fingerprint, session.home())


def cluster_names(view: session.RunView) -> list[str]:
    """The name of each cluster, no two alike."""
    n_clusters = view.run.pseudo_labels.n_clusters
    names = matched_names(quality_of(view), view.dataset.classes, n_clusters)
    for entry in corrections_of(view):
        if entry["kind"] == "rename" and 0 <= entry["cluster"] < n_clusters:
            names[entry["cluster"]] = str(entry["name"])
    return distinct(names)


def exemplars_of_unnamed(view: session.RunView, most: int = 2) -> dict[int, list[int]]:
    """Cluster without a name of its own -> positions of its most typical images.

    Shown beside "cluster 3"; empty for a source without images.
    """
    if view.dataset.reader is None or not view.ready("pseudo_labels"):
        return {}
    typical = _typical(view.key_of("pseudo_labels"), view.dataset.fingerprint, most, view)
    names = cluster_names(view)
    return {
        cluster: positions
        for cluster, positions in enumerate(typical)
        if positions and names[cluster] == f"cluster {cluster}"
    }


@st.cache_resource(max_entries=8, show_spinner=False)
def _typical(key: str, fingerprint: str, most: int, _view: session.RunView) -> list[list[int]]:
    """Per cluster the positions of the images that it is most certain of."""
    pseudo = _view.run.pseudo_labels
    labels = np.asarray(pseudo.labels)
    order = np.argsort(-np.asarray(pseudo.confidence, float), kind="stable")
    return [order[labels[order] == c][:most].tolist() for c in range(pseudo.n_clusters)]


def matched_names(
    quality: LabelQuality | None, classes: tuple[str, ...], n_clusters: int
) -> list[str]:
    """The majority class of each cluster, or its two commonest classes where there is none.

    "cluster 3" without truth and for empty clusters.
    """
    names = [f"cluster {c}" for c in range(n_clusters)]
    if quality is None:
        return names
    for cluster, label in enumerate(quality.majority):
        two = np.argsort(-quality.counts[:, cluster], kind="stable")[:2]
        if label >= 0:
            names[cluster] = str(classes[label])
        elif quality.counts[two, cluster].any():
            names[cluster] = " / ".join(str(classes[one]) for one in two)
    return names


def distinct(names: list[str]) -> list[str]:
    """The names; one that several clusters share gets the cluster's number behind it."""
    count = Counter(names)
    return [
        name if count[name] == 1 else f"{name} (cluster {cluster})"
        for cluster, name in enumerate(names)
    ]
