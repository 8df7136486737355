"""A person's corrections to pseudo-labels, applied in the order they were made: rename, merge, relabel.

A correction is an entry of `run.history` (kind "corrections"). Renames change names only; merges and relabels give
labels that later stages should see. Ids, never positions, so that a changed source cannot shift them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from coreset_engine.run.store import digest


def apply(labels: np.ndarray, ids: np.ndarray, n_clusters: int, entries: Iterable[Mapping[str, Any]]) -> np.ndarray:
    """(N,) int64 labels after every entry. labels: (N,) int64 in [0, n_clusters). ids: (N,) str.

    Entries that name a cluster outside the range (made for another number of clusters) are passed over, as are ids
    the source no longer has.
    """
    corrected = np.array(labels, np.int64)
    for entry in entries:
        if entry.get("kind") == "merge" and _known(entry.get("into"), n_clusters):
            for cluster in entry.get("clusters", ()):
                corrected[corrected == cluster] = entry["into"]
        elif entry.get("kind") == "relabel" and _known(entry.get("cluster"), n_clusters):
            corrected[np.isin(ids, np.asarray(list(entry.get("ids", ())), dtype=str))] = entry["cluster"]
    return corrected


def names(n_clusters: int, entries: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """cluster -> the last name a person gave it."""
    return {entry["cluster"]: str(entry["name"]) for entry in entries
            if entry.get("kind") == "rename" and _known(entry.get("cluster"), n_clusters)}


def key(entries: Iterable[Mapping[str, Any]]) -> str | None:
    """What identifies the corrections that change labels (not when they were made), or None when there is none."""
    counted = [{name: value for name, value in entry.items() if name != "at"} for entry in entries
               if entry.get("kind") in ("merge", "relabel")]
    return digest(counted) if counted else None


def _known(cluster: Any, n_clusters: int) -> bool:
    return isinstance(cluster, int) and not isinstance(cluster, bool) and 0 <= cluster < n_clusters
