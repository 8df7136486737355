"""The one-screen reference of the coverage scores (BlindCS eq. 5-9): distances to all, a full sort,
float64; images at one distance in the order of a hash of (rank of the key, bits of the sample)."""

from __future__ import annotations

import numpy as np

from coreset_engine.coverage.draws import ExplicitDraws


def hashed(ranks: np.ndarray, bits: int) -> np.ndarray:
    """(N,) the 32-bit finaliser of MurmurHash3 of ranks XOR bits."""
    h = ranks.astype(np.uint64) ^ np.uint64(bits)
    h = (h ^ (h >> np.uint64(16))) * np.uint64(0x85EBCA6B) % np.uint64(2**32)
    h = (h ^ (h >> np.uint64(13))) * np.uint64(0xC2B2AE35) % np.uint64(2**32)
    return h ^ (h >> np.uint64(16))


def tie_bits(dims: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(T,) uint32 bits that explicit draws get."""
    given = ExplicitDraws(dims, points)
    return np.concatenate([given.unit(number).ties for number in range(-(-len(dims) // 1024))])


def brute_force(
    vectors: np.ndarray,
    draws: tuple[np.ndarray, np.ndarray],
    alpha: int,
    exponent: float,
    keys: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """(coverage, redundancy), each (N,) float64, of explicit draws: dims (T, m) int, points (T, m)
    float. keys: (N,) distinct."""
    n = len(vectors)
    vectors = vectors.astype(np.float64)
    ranks = np.argsort(np.argsort(keys))
    coverage = np.zeros(n)
    redundancy = np.zeros(n)
    for slice_, point, bits in zip(*draws, tie_bits(*draws)):
        order = hashed(ranks, bits)
        distance = np.abs(vectors[:, slice_] - point).sum(1)
        nearest = np.lexsort((order, distance))[0]
        coverage[nearest] += 1
        distance = np.abs(vectors[:, slice_] - vectors[nearest, slice_]).sum(1)
        distance[nearest] = np.inf
        neighbours = np.lexsort((order, distance))[: min(alpha, n - 1)]
        if len(neighbours) and distance[neighbours[0]] == 0:
            redundancy[neighbours[0]] += 1
        elif len(neighbours):
            weight = (distance[neighbours[0]] / distance[neighbours]) ** exponent
            redundancy[neighbours] += weight / weight.sum()
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
