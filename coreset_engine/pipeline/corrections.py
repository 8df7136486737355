"""A user's corrections to pseudo-labels, applied in order: rename, merge, relabel.

A correction is an entry of `run.history` (kind "corrections"). Renames change names only; merges
and relabels give labels that later stages see: `Run.pseudo_labels` has them applied, so training
dynamics, selections and exports made afterwards rest on them, under keys of their own. Ids, never
positions, so that a changed source cannot shift them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.artifacts import history
from coreset_engine.artifacts.store import digest
from coreset_engine.core.ids import positions_of
from coreset_engine.core.types import PseudoLabels


def apply(
    labels: np.ndarray, ids: np.ndarray, n_clusters: int, entries: Iterable[Mapping[str, Any]]
) -> np.ndarray:
    """Labels after every correction.

    Entries that name a cluster outside the range (made for another number of clusters) are passed
    over, as are ids the source no longer has.

    Parameters
    ----------
    labels : (N,) int64 in [0, n_clusters)
    ids : (N,) str
    n_clusters : int
    entries : iterable of mapping
        Corrections, oldest first.

    Returns
    -------
    (N,) int64
    """
    corrected = np.array(labels, np.int64)
    for entry in entries:
        if entry.get("kind") == "merge" and _known(entry.get("into"), n_clusters):
            for cluster in entry.get("clusters", ()):
                corrected[corrected == cluster] = entry["into"]
        elif entry.get("kind") == "relabel" and _known(entry.get("cluster"), n_clusters):
            positions = positions_of(ids, entry.get("ids", ()))
            corrected[positions[positions >= 0]] = entry["cluster"]
    return corrected


def applicable(
    corrections: list[dict[str, Any]] | None,
    fingerprint: str,
    home: Path,
    clustering: Callable[[], str],
) -> list[dict[str, Any]]:
    """The corrections of a run's clusters, oldest first.

    Parameters
    ----------
    given
        Those the run was given; None takes those the workspace `home` keeps for the dataset.
    fingerprint
        Of the dataset.
    clustering
        Gives the key of the run's clusters; asked only where there are corrections.
    """
    kept = history.corrections(fingerprint, home) if corrections is None else corrections
    return of_clustering(kept, clustering()) if kept else []


def of_clustering(entries: Iterable[Mapping[str, Any]], clustering: str) -> list[dict[str, Any]]:
    """Corrections made for the clusters of that key.

    "merge 3 into 5" says nothing about another clustering's 3 and 5.
    """
    return [dict(entry) for entry in entries if entry.get("clustering", clustering) == clustering]


def corrected(
    clusters: PseudoLabels, ids: np.ndarray, entries: Iterable[Mapping[str, Any]]
) -> PseudoLabels:
    """The clusters with corrections applied; a cluster merged away stays, empty."""
    labels = apply(clusters.labels, ids, clusters.n_clusters, entries)
    return dataclasses.replace(clusters, labels=labels)


def names(n_clusters: int, entries: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """cluster -> the last name the user gave it."""
    return {
        entry["cluster"]: str(entry["name"])
        for entry in entries
        if entry.get("kind") == "rename" and _known(entry.get("cluster"), n_clusters)
    }


def key(entries: Iterable[Mapping[str, Any]]) -> str | None:
    """Identifies the corrections that change labels (not when they were made); None without any."""
    counted = [
        {name: value for name, value in entry.items() if name not in ("at", "clustering")}
        for entry in entries
        if entry.get("kind") in ("merge", "relabel")
    ]
    return digest(counted) if counted else None


def _known(cluster: Any, n_clusters: int) -> bool:
    return isinstance(cluster, int) and not isinstance(cluster, bool) and 0 <= cluster < n_clusters
