"""A certificate for a selection, without labels: how far any image is from the kept ones, and what is left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.errors import BadInput
from coreset_engine.types import Neighbours

SAMPLE = 2000


@dataclass(frozen=True)
class Certificate:
    """Cosine distances in [0, 2] from every image to its nearest kept image, and what the clusters say.

    clusters_missed: clusters with no member kept. balance: entropy of the kept per cluster over log C, in [0, 1].
    near_duplicates_kept: kept images whose nearest neighbour, nearer than a hundredth of the median distance, is kept
    too. energy_distance: between the kept and the whole set (Szekely & Rizzo 2013), on at most 2,000 of each.
    vendi_score: effective number of distinct images among (at most 2,000 of) the kept (Friedman & Dieng 2023).
    """

    kept: int
    mean_distance: float
    p95_distance: float
    worst_distance: float
    clusters_missed: int
    balance: float
    near_duplicates_kept: int
    energy_distance: float
    vendi_score: float


def certify(vectors: np.ndarray, kept_indices: np.ndarray, *, clusters: np.ndarray | None = None,
            neighbours: Neighbours | None = None, device: str = "auto") -> Certificate:
    """Certificate of the kept images. vectors: (N, D) float. kept_indices: (k,) int64 positions, k >= 1."""
    import faiss

    kept = np.asarray(kept_indices, np.int64)
    if len(kept) == 0:
        raise BadInput("an empty selection has no certificate; keep at least one image.")
    unit = _unit(vectors)
    index = faiss.IndexFlatIP(unit.shape[1])
    index.add(unit[kept])
    radius = np.clip(1 - index.search(unit, 1)[0][:, 0], 0, 2)
    chosen, whole = _thinned(unit[kept]), _thinned(unit)
    missed, balance = _over_clusters(clusters, kept)
    return Certificate(len(kept), float(radius.mean()), float(np.quantile(radius, 0.95)), float(radius.max()), missed,
                       balance, _duplicates(neighbours, kept), _energy(chosen, whole), _vendi(chosen))


def _unit(vectors: np.ndarray) -> np.ndarray:
    rows = np.array(vectors, np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _thinned(rows: np.ndarray) -> np.ndarray:
    """At most SAMPLE rows, evenly spaced: the same for the same input."""
    return rows if len(rows) <= SAMPLE else rows[np.linspace(0, len(rows) - 1, SAMPLE).astype(np.int64)]


def _over_clusters(clusters: np.ndarray | None, kept: np.ndarray) -> tuple[int, float]:
    if clusters is None:
        return 0, float("nan")
    names = np.unique(clusters)
    counts = np.array([(clusters[kept] == name).sum() for name in names], float)
    share = counts[counts > 0] / counts.sum()
    balance = float(-(share * np.log(share)).sum() / np.log(len(names))) if len(names) > 1 else 1.0
    return int((counts == 0).sum()), balance


def _duplicates(neighbours: Neighbours | None, kept: np.ndarray) -> int:
    if neighbours is None or neighbours.indices.shape[1] == 0:
        return 0
    nearest, distance = neighbours.indices[kept, 0], neighbours.distances[kept, 0]
    near = distance < 0.01 * float(np.median(neighbours.distances[:, -1]))
    return int((near & np.isin(nearest, kept)).sum())


def _energy(a: np.ndarray, b: np.ndarray) -> float:
    def apart(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.sqrt(np.maximum(2 - 2 * (x @ y.T), 0)).mean())

    return max(0.0, 2 * apart(a, b) - apart(a, a) - apart(b, b))


def _vendi(rows: np.ndarray) -> float:
    values = np.linalg.svd(rows / np.sqrt(len(rows)), compute_uv=False) ** 2
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))
