"""A label-free certificate: distances of all images to the kept ones, and regions not covered.

Distances are exact, or upper bounds whose share is reported (`proven`; see `covering_radius`).
Energy distance and Vendi score are exact on at most SAMPLE images each, evenly spaced.
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
    """How well the kept images cover the set.

    Attributes
    ----------
    kept : int
        Images kept.
    mean_distance, p95_distance, worst_distance : float in [0, 2]
        Of the cosine distances from every image to its nearest kept image.
    clusters_missed : int
        Clusters with no member kept.
    balance : float in [0, 1]
        Entropy of the kept per cluster over log C.
    near_duplicates_kept : int
        Kept images whose nearest neighbour, nearer than a hundredth of the median distance, is kept
        too.
    energy_distance : float >= 0
        Between the kept and the whole set, on at most 2,000 of each (Szekely & Rizzo 2013).
    vendi_score : float >= 1
        Effective number of distinct images among at most 2,000 of the kept (Friedman & Dieng 2023).
    proven : float in [0, 1]
        Share of images whose distance is proven exact; the others' are upper bounds.
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
    """Measure how well the kept images cover the set.

    Parameters
    ----------
    vectors : (N, D) float
        Any scale; compared by cosine distance.
    kept_indices : (k,) int64
        Positions of the kept images, at least one.
    clusters : (N,) int, optional
        Cluster of each image; without it no cluster is missed and the balance is NaN.
    neighbours : Neighbours, optional
        Spares most distance computations; without it no near duplicate is counted.

    Returns
    -------
    Certificate

    Raises
    ------
    BadInput
        An empty selection.
    """
    kept = np.asarray(kept_indices, np.int64)
    if len(kept) == 0:
        raise BadInput("an empty selection has no certificate; keep at least one image.")
    radius = distance_to_kept(vectors, kept, neighbours)
    balance, energy, vendi = spread(vectors, kept, clusters)
    return Certificate(
        kept=len(kept),
        mean_distance=float(radius.distance.mean(dtype=np.float64)),
        p95_distance=float(np.quantile(radius.distance, 0.95)),
        worst_distance=float(radius.distance.max()),
        clusters_missed=clusters_missed(clusters, kept),
        balance=balance,
        near_duplicates_kept=near_duplicates(neighbours, kept),
        energy_distance=energy,
        vendi_score=vendi,
        proven=float(radius.proven.mean()),
    )


def spread(
    vectors: np.ndarray, kept: np.ndarray, clusters: np.ndarray | None
) -> tuple[float, float, float]:
    """Balance over clusters, energy distance to all images and Vendi score of `kept` (k,) int."""
    rows = _sampled_rows(vectors, kept)
    all_rows = _sampled_rows(vectors, np.arange(len(vectors)))
    balance = _over_clusters(clusters, kept)[1]
    return balance, _energy_distance(rows, all_rows), _vendi_score(rows)


def _sampled_rows(vectors: np.ndarray, at: np.ndarray) -> np.ndarray:
    """At most SAMPLE of the rows `at`, evenly spaced, at unit length."""
    if len(at) > SAMPLE:
        at = at[np.linspace(0, len(at) - 1, SAMPLE).astype(np.int64)]
    return unit_rows(vectors, at).numpy()


def _over_clusters(clusters: np.ndarray | None, kept: np.ndarray) -> tuple[int, float]:
    if clusters is None:
        return 0, float("nan")
    names = np.unique(clusters)
    counts = np.array([(clusters[kept] == name).sum() for name in names], float)
    missed = int((counts == 0).sum())
    if len(names) == 1:
        return missed, 1.0
    share = counts[counts > 0] / counts.sum()
    return missed, float(-(share * np.log(share)).sum() / np.log(len(names)))


def clusters_missed(clusters: np.ndarray | None, kept: np.ndarray) -> int:
    """Clusters without a kept image; 0 where there are no clusters."""
    return _over_clusters(clusters, kept)[0]


def near_duplicates(neighbours: Neighbours | None, kept: np.ndarray) -> int:
    """Kept images whose nearest neighbour, within 1 % of the median distance, is kept too."""
    if neighbours is None or neighbours.indices.shape[1] == 0:
        return 0
    nearest = neighbours.indices[kept, 0]
    distance = neighbours.distances[kept, 0]
    near = distance < 0.01 * float(np.median(neighbours.distances[:, -1]))
    return int((near & np.isin(nearest, kept)).sum())


def _energy_distance(a: np.ndarray, b: np.ndarray) -> float:
    def mean_distance(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.sqrt(np.maximum(2 - 2 * (x @ y.T), 0)).mean())

    return max(0.0, 2 * mean_distance(a, b) - mean_distance(a, a) - mean_distance(b, b))


def _vendi_score(rows: np.ndarray) -> float:
    # The eigenvalues of K / n, from the smaller of the two Gram matrices.
    gram = (rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows) / len(rows)
    values = np.linalg.eigvalsh(gram)
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))
