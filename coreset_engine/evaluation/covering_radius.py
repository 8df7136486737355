"""Distance from every image to the nearest kept one, by three methods, cheapest first.

1. The neighbour lists: the first kept image in an image's list of nearest neighbours is its nearest
kept one.
2. All pairs, for images whose list holds no kept one, while that is little work.
3. Otherwise a filter: on orthonormal axes plus the length of what they leave out, distances are
   never larger than the true ones. The few nearest there are measured exactly; where the next lies
   farther than the best found, the answer is proven, elsewhere it is an upper bound. Measured on
   Fashion-MNIST (60,000 x 1,280, 6,000 kept): 99 % of the images exact, the mean 0.02 % too large.
   The FARTHEST images are then measured against all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from coreset_engine.core.limits import limits
from coreset_engine.core.types import Neighbours

BLOCK = 2048
SAMPLE = 2048
CANDIDATES = 3
FARTHEST = 256


@dataclass(frozen=True, eq=False)
class Radius:
    """How far each image is from the nearest kept one.

    Attributes
    ----------
    distance : (N,) float32 in [0, 2]
        Cosine distance to the nearest kept image, or an upper bound.
    proven : (N,) bool
        Whether it is exact; by a neighbour list, as exact as the list
        (`Neighbours.info["recall"]`).
    """

    distance: np.ndarray
    proven: np.ndarray


def distance_to_kept(
    vectors: np.ndarray, kept: np.ndarray, neighbours: Neighbours | None = None
) -> Radius:
    """Measure how far each image is from the nearest kept one; deterministic.

    Parameters
    ----------
    vectors : (N, D) float
        Any scale.
    kept : (k,) int64
        Positions, at least one.
    neighbours : Neighbours, optional
        Cosine neighbour lists; where a list holds a kept image, no distance is computed.

    Returns
    -------
    Radius
    """
    distance = np.full(len(vectors), np.inf, np.float32)
    proven = np.zeros(len(vectors), bool)
    distance[kept] = 0
    proven[kept] = True
    if neighbours is not None and neighbours.metric == "cosine" and neighbours.indices.shape[1]:
        _from_lists(neighbours, kept, distance, proven)
    rest = np.flatnonzero(~proven)
    if len(rest) == 0:
        return Radius(distance, proven)
    if len(rest) * len(kept) * vectors.shape[1] <= limits().all_pairs_products:
        distance[rest] = _all_pairs(vectors, rest, kept)
        proven[rest] = True
    else:
        distance[rest], proven[rest] = _filtered(vectors, rest, kept)
        # Measured exactly, so that the worst distance is exact.
        far = rest[np.argsort(-distance[rest], kind="stable")[:FARTHEST]]
        distance[far] = _all_pairs(vectors, far, kept)
        proven[far] = True
    return Radius(np.clip(distance, 0, 2), proven)


def _from_lists(
    neighbours: Neighbours, kept: np.ndarray, distance: np.ndarray, proven: np.ndarray
) -> None:
    inside = np.zeros(len(distance), bool)
    inside[kept] = True
    hit = inside[neighbours.indices] & (neighbours.indices >= 0)
    first = hit.argmax(axis=1)
    rows = np.flatnonzero(hit[np.arange(len(hit)), first] & ~inside)
    distance[rows] = neighbours.distances[rows, first[rows]]
    proven[rows] = True


def unit_rows(vectors: np.ndarray, at: np.ndarray) -> torch.Tensor:
    """(len(at), D) float32 rows at unit length; a zero row stays zero."""
    rows = torch.from_numpy(np.asarray(vectors[at], np.float32))
    return rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-12)


def _all_pairs(vectors: np.ndarray, rest: np.ndarray, kept: np.ndarray) -> np.ndarray:
    ours = unit_rows(vectors, kept)
    nearest = np.empty(len(rest), np.float32)
    for start in range(0, len(rest), BLOCK):
        part = unit_rows(vectors, rest[start : start + BLOCK])
        best = torch.full((len(part),), -1.0)
        for first in range(0, len(ours), 4 * BLOCK):
            best = torch.maximum(best, (part @ ours[first : first + 4 * BLOCK].T).amax(dim=1))
        nearest[start : start + BLOCK] = (1 - best).numpy()
    return nearest


def _filtered(
    vectors: np.ndarray, rest: np.ndarray, kept: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    ours = unit_rows(vectors, kept)
    axes = _axes(ours)
    low = _lowered(ours, axes)
    length = (low * low).sum(dim=1)
    count = min(CANDIDATES, len(kept) - 1)
    nearest = np.empty(len(rest), np.float32)
    proven = np.empty(len(rest), bool)
    for start in range(0, len(rest), BLOCK):
        part = unit_rows(vectors, rest[start : start + BLOCK])
        short = _lowered(part, axes)
        # squared distance on the axes, at most the true squared distance 2 (1 - cos)
        bound, closest = torch.topk(
            torch.addmm(length, short, low.T, alpha=-2), count + 1, dim=1, largest=False
        )
        bound = bound + (short * short).sum(dim=1, keepdim=True)
        exact = 1 - torch.einsum("nd,ncd->nc", part, ours[closest[:, :count]])
        best = exact.amin(dim=1)
        nearest[start : start + BLOCK] = best.numpy()
        proven[start : start + BLOCK] = (bound[:, count] >= 2 * best + 1e-5).numpy()
    return nearest, proven


def _axes(rows: torch.Tensor) -> torch.Tensor:
    """(D, `radius_axes`) orthonormal main directions of at most SAMPLE rows, by randomised SVD."""
    some = rows[torch.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).long()]
    width = min(limits().radius_axes, *some.shape)
    start = torch.randn(some.shape[1], width, generator=torch.Generator().manual_seed(0))
    for _ in range(2):
        start = torch.linalg.qr(some.T @ (some @ start)).Q
    return start


def _lowered(rows: torch.Tensor, axes: torch.Tensor) -> torch.Tensor:
    """(n, `radius_axes` + 1): coordinates and the rest's length, a lower bound on distances."""
    main = rows @ axes
    rest = ((rows * rows).sum(dim=1) - (main * main).sum(dim=1)).clamp_min(0).sqrt()
    return torch.cat([main, rest[:, None]], dim=1)


def smallest_k(
    order: np.ndarray, neighbours: Neighbours, radius: float, share: float = 0.95
) -> tuple[int, bool]:
    """How many leading images of an order cover a share of all images within a radius.

    Parameters
    ----------
    order : (N,) int64
        All images, kept first.
    neighbours : Neighbours
    radius : float >= 0
        In the metric of `neighbours`.
    share : float in (0, 1]

    Returns
    -------
    k : int
    tight : bool
        True: no smaller k does. False where more images than a list holds lie within the radius: k
        suffices, and a smaller one may.
    """
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    within = (neighbours.distances <= radius) & (neighbours.indices >= 0)
    ranks = np.where(within, rank[neighbours.indices], len(order))
    first = np.minimum(rank, ranks.min(axis=1, initial=len(order)))
    needed = int(np.ceil(share * len(order) - 1e-9))
    k = int(np.partition(first, needed - 1)[needed - 1]) + 1
    cut = within[:, -1] & (first >= k - 1) if within.shape[1] else np.zeros(len(order), bool)
    return k, not bool(cut.any()) or k == 1


def search_k(
    choose: Callable[[int], np.ndarray],
    vectors: np.ndarray,
    radius: float,
    *,
    share: float = 0.95,
    neighbours: Neighbours | None = None,
) -> int | None:
    """The smallest k, by bisection, whose coreset covers `share` of the images within `radius`.

    For methods whose choices are not prefixes of one order. Bisection assumes that more kept images
    do not cover less.

    Parameters
    ----------
    choose : callable
        choose(k) -> (k,) positions.
    vectors : (N, D) float
    radius : float
    share : float in (0, 1]
    neighbours : Neighbours, optional
        Of the same vectors, to save searches.

    Returns
    -------
    int or None
        None when even all images do not cover (a radius below 0).
    """
    low = 0
    high = len(vectors)

    def reaches(k: int) -> bool:
        reached = distance_to_kept(vectors, np.asarray(choose(k), np.int64), neighbours).distance
        return bool((reached <= radius).mean() >= share)

    if radius < 0:
        return None
    while high - low > max(
        1, high // 200
    ):  # to half a per cent: a finer answer would be an accident of ties
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high
