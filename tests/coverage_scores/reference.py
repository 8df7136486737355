"""The one-screen reference of the coverage scores (BlindCS eq. 5-9): distances to all, a stable
argsort, float64."""

from __future__ import annotations

import numpy as np


def brute_force(
    vectors: np.ndarray,
    dims: np.ndarray,
    points: np.ndarray,
    alpha: int,
    exponent: float,
) -> tuple[np.ndarray, np.ndarray]:
    """(coverage, redundancy), each (N,) float64, of explicit draws: dims (T, m) int, points (T, m)
    float."""
    n = len(vectors)
    vectors = vectors.astype(np.float64)
    coverage = np.zeros(n)
    redundancy = np.zeros(n)
    for slice_, point in zip(dims, points):
        nearest = int(np.argmin(np.abs(vectors[:, slice_] - point).sum(1)))
        coverage[nearest] += 1
        distance = np.abs(vectors[:, slice_] - vectors[nearest, slice_]).sum(1)
        distance[nearest] = np.inf
        near = np.argsort(distance, kind="stable")[: min(alpha, n - 1)]
        if len(near) and distance[near[0]] == 0:
            redundancy[near[0]] += 1
        elif len(near):
            weight = (distance[near[0]] / distance[near]) ** exponent
            redundancy[near] += weight / weight.sum()
    return coverage, redundancy


def draw(
    vectors: np.ndarray, m: int, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Explicit draws a little beyond the range of the vectors."""
    dims = np.array([rng.permutation(vectors.shape[1])[:m] for _ in range(count)])
    low = vectors.min(0).astype(float)[dims]
    high = vectors.max(0).astype(float)[dims]
    span = 0.2 * (high - low) + 0.1
    return dims, rng.uniform(low - span, high + span)
