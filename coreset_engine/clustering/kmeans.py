"""Spherical k-means: the simple clusterer, and the bar TEMI has to clear.

Unit vectors, cosine similarity, k-means++ starts, several restarts, best objective wins. Two
blocked matrix products per round (similarities, sums), so that it runs at memory speed on two cores
and unchanged on a GPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from coreset_engine.clustering.config import KMeansConfig
from coreset_engine.clustering.context import ClusterContext
from coreset_engine.clustering.kmeans_init import plus_plus
from coreset_engine.clustering.kmeans_out_of_core import full_clusters, kmeans_at_scale
from coreset_engine.clustering.vectors import as_tensor, check_clusters, unit
from coreset_engine.core.device import resolve_device
from coreset_engine.core.row_blocks import kept, large
from coreset_engine.core.types import PseudoLabels

_BLOCK = 16384


def spherical_kmeans(
    vectors: np.ndarray,
    n_clusters: int,
    config: KMeansConfig | None = None,
    seed: int = 0,
    context: ClusterContext = ClusterContext(),
) -> PseudoLabels:
    """Cluster by angle.

    Every cluster holds at least one image: an emptied one restarts at the image farthest from its
    centre.

    Parameters
    ----------
    vectors : (N, D) float
        Finite, any scale.
    n_clusters : int
        1 <= n_clusters <= N.
    config : KMeansConfig, optional
    seed : int
        Of the starts.
    context : ClusterContext
        Streamed vectors go to `kmeans_at_scale`, on a CPU. Neighbours are not used. Progress: unit
        "starts", or "images" when streamed.

    Returns
    -------
    PseudoLabels
        confidence (N,) float32 in [0, 1]: softmax of the cosines to the centres.
        info["objective"]: mean cosine to the own centre.

    Raises
    ------
    BadInput
        When there are fewer distinct directions than clusters.

    References
    ----------
    Dhillon and Modha 2001, "Concept decompositions"; starts: Arthur and Vassilvitskii 2007.
    """
    config = config or KMeansConfig()
    n_clusters = check_clusters(vectors, n_clusters)
    if large(*vectors.shape) if context.streamed is None else context.streamed:
        return kmeans_at_scale(vectors, n_clusters, config, seed, context)
    rows = unit(as_tensor(vectors, resolve_device(context.device)))
    starts: list[tuple[Any, Any, Any]] = []
    for start, stream in enumerate(np.random.SeedSequence(seed).spawn(config.n_starts)):
        starts.append(_one_start(rows, n_clusters, config.n_rounds, np.random.default_rng(stream)))
        context.progress(start + 1, config.n_starts, "starts")
    centres, objective, rounds = max(starts, key=lambda start: start[1])
    labels, confidence, probabilities = _soft(rows, centres, config.temperature)
    info = dict(
        method="kmeans",
        objective=objective,
        rounds=rounds,
        starts=config.n_starts,
        dead=[],
        sizes=full_clusters(labels, n_clusters),
    )
    return PseudoLabels(labels, confidence, n_clusters, probabilities, None, info)


def spherical_centres(
    rows: torch.Tensor,
    n_clusters: int,
    rng: np.random.Generator,
    n_images: int = 10_000,
    n_rounds: int = 10,
) -> torch.Tensor:
    """Centres of a short k-means on a random sample of the rows.

    Parameters
    ----------
    rows : (N, D) tensor
        Unit vectors.
    n_clusters : int
        C.
    rng : numpy Generator
    n_images : int
        Rows of the sample, at least C.
    n_rounds : int

    Returns
    -------
    (C, D) tensor
        Unit vectors.
    """
    size = min(len(rows), max(n_images, n_clusters))
    sample = rows[
        torch.from_numpy(np.sort(rng.choice(len(rows), size, replace=False))).to(rows.device)
    ]
    return _one_start(sample, n_clusters, n_rounds, rng)[0]


def _one_start(rows: torch.Tensor, n_clusters: int, n_rounds: int, rng: np.random.Generator):
    centres = plus_plus(rows, n_clusters, rng)
    last = -np.inf
    for done in range(1, n_rounds + 1):  # noqa: B007 - returned
        sums, value, worst = _assign(rows, centres)
        empty = (sums.norm(dim=1) < 1e-9).nonzero().flatten()
        sums[empty] = rows[worst[: len(empty)]].float() if len(empty) <= len(worst) else sums[empty]
        centres = torch.nn.functional.normalize(sums, dim=1)
        if not len(empty) and value - last < 1e-6:
            break
        last = value
    return centres, float(value), done


def _assign(rows: torch.Tensor, centres: torch.Tensor):
    """One round: (sums per cluster (C, D), mean best cosine, rows farthest from their centre)."""
    sums = torch.zeros_like(centres)
    total = 0.0
    count = centres.shape[0]
    best = torch.empty(len(rows), device=rows.device)
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK].float()
        similarity, own = (block @ centres.T).max(dim=1)
        best[start : start + _BLOCK] = similarity
        # A one-hot product instead of index_add: the same order of additions on every run, on any
        # device.
        sums += torch.nn.functional.one_hot(own, count).float().T @ block
        total += float(similarity.double().sum())
    return sums, total / len(rows), best.topk(min(count, len(rows)), largest=False).indices


def _soft(
    rows: torch.Tensor, centres: torch.Tensor, temperature: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Labels and confidences from the softmax of cosines / temperature.

    labels (N,) int64, confidence (N,) float32, and the (N, C) float32 probabilities unless they are
    too many.
    """
    n = len(rows)
    labels = np.empty(len(rows), np.int64)
    confidence = np.empty(len(rows), np.float32)
    probabilities = np.empty((n, len(centres)), np.float32) if kept(n, len(centres)) else None
    for start in range(0, n, _BLOCK):
        part = (
            torch.softmax(rows[start : start + _BLOCK].float() @ centres.T / temperature, dim=1)
            .cpu()
            .numpy()
        )
        labels[start : start + _BLOCK] = part.argmax(axis=1)
        confidence[start : start + _BLOCK] = part.max(axis=1)
        if probabilities is not None:
            probabilities[start : start + _BLOCK] = part
    return labels, confidence, probabilities
