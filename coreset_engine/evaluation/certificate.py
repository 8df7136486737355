"""A certificate for a selection, without labels: how far any image is from the kept ones, and what
is left out.

Distances are exact, or upper bounds whose share is told (`proven`; see `radius`). Energy distance
and Vendi score are exact on at most SAMPLE images each, taken at even spaces.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Neighbours
from coreset_engine.evaluation.covering_radius import distance_to_kept, unit_rows

SAMPLE = 2000


@dataclass(frozen=True)
class Certificate:
    """Cosine distances in [0, 2] from every image to its nearest kept image, and what the clusters
    say.

    clusters_missed: clusters with no member kept. balance: entropy of the kept per cluster over log
        C, in [0, 1].
    near_duplicates_kept: kept images whose nearest neighbour, nearer than a hundredth of the median
    distance, is kept too. energy_distance: between the kept and the whole set (Szekely & Rizzo
    2013), on at most 2,000 of each.
    vendi_score: effective number of distinct images among (at most 2,000 of) the kept (Friedman &
        Dieng 2023).
    proven: share of images whose distance is proven exact; the others' are upper bounds.
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
    proven: float = 1.0


def certify(
    vectors: np.ndarray,
    kept_indices: np.ndarray,
    *,
    clusters: np.ndarray | None = None,
    neighbours: Neighbours | None = None,
) -> Certificate:
    """Certificate of the kept images. vectors: (N, D) float. kept_indices: (k,) int64 positions, k
    >= 1."""
    kept = np.asarray(kept_indices, np.int64)
    if len(kept) == 0:
        raise BadInput("an empty selection has no certificate; keep at least one image.")
    found = distance_to_kept(vectors, kept, neighbours)
    radius = found.distance
    chosen = _thinned(vectors, kept)
    whole = _thinned(vectors, np.arange(len(vectors)))
    missed, balance = _over_clusters(clusters, kept)
    return Certificate(
        len(kept),
        float(radius.mean(dtype=np.float64)),
        float(np.quantile(radius, 0.95)),
        float(radius.max()),
        missed,
        balance,
        _duplicates(neighbours, kept),
        _energy(chosen, whole),
        _vendi(chosen),
        float(found.proven.mean()),
    )


def _thinned(vectors: np.ndarray, at: np.ndarray) -> np.ndarray:
    """At most SAMPLE of the rows `at` at unit length, evenly spaced: the same for the same
    input."""
    at = at if len(at) <= SAMPLE else at[np.linspace(0, len(at) - 1, SAMPLE).astype(np.int64)]
    return unit_rows(vectors, at).numpy()


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
    nearest = neighbours.indices[kept, 0]
    distance = neighbours.distances[kept, 0]
    near = distance < 0.01 * float(np.median(neighbours.distances[:, -1]))
    return int((near & np.isin(nearest, kept)).sum())


def _energy(a: np.ndarray, b: np.ndarray) -> float:
    def apart(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.sqrt(np.maximum(2 - 2 * (x @ y.T), 0)).mean())

    return max(0.0, 2 * apart(a, b) - apart(a, a) - apart(b, b))


def _vendi(rows: np.ndarray) -> float:
    # The eigenvalues of K / n, from the smaller of the two Gram matrices.
    gram = (rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows) / len(rows)
    values = np.linalg.eigvalsh(gram)
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))
