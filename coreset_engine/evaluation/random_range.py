"""What random selections of the same size reach, so that a certificate's numbers can be judged.

A distance of 0.21 says nothing by itself. Beside the range of a few random selections of as many
images it says whether the method covers the set better than chance does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Neighbours
from coreset_engine.evaluation.covering_radius import distance_to_kept

DRAWS = 5


@dataclass(frozen=True)
class RandomRange:
    """Smallest and largest value over the draws of each measure, as in `Certificate`.

    Attributes
    ----------
    mean_distance, p95_distance, worst_distance : (low, high) float in [0, 2]
        Cosine distances from every image to its nearest kept image.
    clusters_missed, near_duplicates_kept : (low, high) int
        Counts, as `certify` takes them.
    draws : int
        Random selections drawn.
    """

    mean_distance: tuple[float, float]
    p95_distance: tuple[float, float]
    worst_distance: tuple[float, float]
    clusters_missed: tuple[int, int]
    near_duplicates_kept: tuple[int, int]
    draws: int


@dataclass(frozen=True)
class SpreadRange:
    """Smallest and largest value over the draws of what takes longer, as in `Certificate`.

    Attributes
    ----------
    balance : (low, high) float in [0, 1]
        Evenness over clusters; NaN without clusters.
    energy_distance : (low, high) float >= 0
        Between the selection and all images.
    vendi_score : (low, high) float >= 1
        Effective number of different images.
    """

    balance: tuple[float, float]
    energy_distance: tuple[float, float]
    vendi_score: tuple[float, float]


def random_range(
    vectors: np.ndarray,
    k: int,
    *,
    clusters: np.ndarray | None = None,
    neighbours: Neighbours | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> RandomRange:
    """Measure `draws` random selections of k images.

    Parameters
    ----------
    vectors : (N, D) float
        Any scale; compared by cosine distance.
    k : int
        Images of each selection, 1 <= k <= N.
    clusters : (N,) int, optional
        Cluster of each image; without it no cluster is missed.
    neighbours : Neighbours, optional
        Spares most distance computations; without it no near duplicate is counted.
    draws : int
        Random selections, at least 1.
    seed : int
        Seed of the draws, which are uniform without replacement.

    Returns
    -------
    RandomRange

    Raises
    ------
    BadInput
        For k or draws out of range.
    """
    drawn = [
        _measured(vectors, kept, clusters, neighbours)
        for kept in _random_selections(len(vectors), k, draws, seed)
    ]
    mean, p95, worst, missed, duplicates = (
        (min(values), max(values)) for values in zip(*drawn, strict=True)
    )
    return RandomRange(mean, p95, worst, missed, duplicates, draws)


def spread_range(
    vectors: np.ndarray,
    k: int,
    *,
    clusters: np.ndarray | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> SpreadRange:
    """Measure balance and variety of the random selections of `random_range`.

    Parameters
    ----------
    vectors : (N, D) float
        Any scale; compared by cosine distance.
    k : int
        Images of each selection, 1 <= k <= N.
    clusters : (N,) int, optional
        Cluster of each image; without it the balance is NaN.
    draws : int
        Random selections, at least 1.
    seed : int
        Seed of the draws, which are uniform without replacement.

    Returns
    -------
    SpreadRange

    Raises
    ------
    BadInput
        For k or draws out of range.
    """
    from coreset_engine.evaluation.certificate import spread

    drawn = [
        spread(vectors, kept, clusters) for kept in _random_selections(len(vectors), k, draws, seed)
    ]
    balance, energy, vendi = ((min(values), max(values)) for values in zip(*drawn, strict=True))
    return SpreadRange(balance, energy, vendi)


def _random_selections(n: int, k: int, draws: int, seed: int) -> list[np.ndarray]:
    """(k,) sorted positions of each draw."""
    if not 1 <= k <= n or draws < 1:
        raise BadInput(f"k={k} and draws={draws}: k must be from 1 to {n} and draws at least 1.")
    rng = np.random.default_rng(seed)
    return [np.sort(rng.choice(n, k, replace=False)) for _ in range(draws)]


def _measured(
    vectors: np.ndarray,
    kept: np.ndarray,
    clusters: np.ndarray | None,
    neighbours: Neighbours | None,
) -> tuple[float, float, float, int, int]:
    from coreset_engine.evaluation.certificate import clusters_missed, near_duplicates

    distance = distance_to_kept(vectors, kept, neighbours).distance
    return (
        float(distance.mean(dtype=np.float64)),
        float(np.quantile(distance, 0.95)),
        float(distance.max()),
        clusters_missed(clusters, kept),
        near_duplicates(neighbours, kept),
    )
