"""TEMI: cluster heads trained so that an image and its nearest neighbours get the same cluster.

Teacher ensemble-weighted pointwise mutual information (Adaloglou et al., BMVC 2023; ELFS 3.3, eq.
1-2) on frozen embeddings: H student heads are trained on pairs (x, one of its nearest neighbours),
H teachers follow as their moving average; the heads are aligned to the one with the lowest loss and
averaged. Presets: "cpu" (minutes on two cores for 60,000 images) and "paper" (ELFS 8.1 with the
head, schedule and inputs of TEMI's program; meant for a GPU).

What moved quality on Fashion-MNIST's EfficientNet-Lite0 vectors, accuracy / NMI in %. 6,000 images,
mean of 3 seeds (2 for k-means, "as above" and "10 epochs only"); 16 linear heads, 40 epochs,
PCA-256, temperature 0.1 unless said. Spherical k-means: 64.5 / 57.9.

    as above                      69.5 / 61.7 | momentum 0.996, 80 epochs     63.0 / 58.9
    10 epochs only                55.1 / 51.9 | half-whitened axes            68.5 / 61.6
    lr 3e-3                       69.6 / 61.8 | PCA-64                        68.3 / 60.7
    lr 1e-2                       69.2 / 61.7 | all 1,280 dimensions          66.2 / 60.1
    batch 256                     69.9 / 62.0 | start at k-means centres      64.6 / 60.0
    25 neighbours                 68.6 / 61.1 | mean of logarithms            68.2 / 61.0
    beta 0.7                      68.7 / 61.1 | the better half of the heads  68.6 / 61.4
    beta 0.55                     64.2 / 59.9 | temperature 0.07              70.5 / 62.8
    temperature 0.05              69.4 / 62.4 | temperature 0.05, 80 epochs   70.4 / 63.0

60,000 images, 2 seeds: spherical k-means 62.7 / 58.0; temperature 0.07, 10 epochs 72.3 / 64.6;
temperature 0.05, 10 epochs 72.4 / 65.1, 20 epochs 73.0 / 65.9. What counts is enough updates with a
quick teacher, reduction to 256 axes, a random start (k-means starts make all heads alike) and a
sharper softmax.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from coreset_engine.clustering.alignment import align_counts, together
from coreset_engine.clustering.config import TemiConfig
from coreset_engine.clustering.context import ClusterContext
from coreset_engine.clustering.heads import Parameters, head_logits, n_clusters_of
from coreset_engine.clustering.temi_training import Training
from coreset_engine.clustering.vectors import (
    as_tensor,
    axes,
    check_clusters,
    nearest,
    principal,
    unit,
)
from coreset_engine.core.device import resolve_device, torch_threads
from coreset_engine.core.errors import BadInput
from coreset_engine.core.row_blocks import kept, large
from coreset_engine.core.row_streaming import ListsOnDisk, UnitRows, scratch
from coreset_engine.core.types import Neighbours, PseudoLabels


def temi(
    vectors: np.ndarray,
    n_clusters: int,
    config: TemiConfig | None = None,
    seed: int = 0,
    context: ClusterContext = ClusterContext(),
) -> PseudoLabels:
    """Cluster by agreement of neighbours, without labels.

    Parameters
    ----------
    vectors : (N, D) float
        Finite.
    n_clusters : int
        1 <= n_clusters <= N.
    config : TemiConfig, optional
    seed : int
        Of the heads, the pairs and their order.
    context : ClusterContext
        Neighbours, of which fewer than the config wants are used as they are; they must be given
        when streamed. Streamed labels are those of rows in memory except for the last bit of a
        product. Workers are not used: one process takes every step. Progress: unit "steps".

    Returns
    -------
    PseudoLabels
        labels: argmax of the aligned heads' mean (ELFS 3.3); confidence: its value; agreement: the
        share of heads with the same label; probabilities: None where (N, C) would take more than
        256 MiB. info: loss of each head, best head, sizes, `dead` clusters (also warned about).

    Raises
    ------
    BadInput
        For vectors or n_clusters that cannot be clustered.
    """
    config = config or TemiConfig()
    n_clusters = check_clusters(vectors, n_clusters)
    device = resolve_device(context.device)
    progress = context.progress
    neighbours = context.neighbours
    if large(*vectors.shape) if context.streamed is None else context.streamed:
        rows: Any
        pairs: Any
        rows, pairs = _on_disk(
            vectors, n_clusters, config, neighbours, device, lambda: progress(0, 1, "steps")
        )
    else:
        rows, pairs = _in_memory(vectors, n_clusters, config, neighbours, device)
    training = Training(rows, pairs, n_clusters, config, seed)
    with torch_threads(
        1 if device == "cpu" and training.batch < config.batch else torch.get_num_threads()
    ):
        losses = training.run(progress)
    labels, confidence, agreement, probabilities, used = _ensemble(
        training.teachers,
        rows,
        losses,
        config,
        lambda: progress(training.updates, training.updates, "steps"),
    )
    sizes = np.bincount(labels, minlength=n_clusters)
    dead = np.flatnonzero(sizes == 0).tolist()
    if dead:
        warnings.warn(
            f"{len(dead)} of {n_clusters} clusters hold no image ({dead}); ask for fewer clusters "
            "or "
            "another seed.",
            stacklevel=2,
        )
    info = {
        "method": "temi",
        "heads": len(used),
        "best_head": used[0],
        "head_losses": losses.tolist(),
        "dead": dead,
        "sizes": sizes.tolist(),
        "neighbours": pairs.shape[1],
        "micro_batch": training.micro,
    }
    return PseudoLabels(labels, confidence, n_clusters, probabilities, agreement, info)


def _in_memory(
    vectors: np.ndarray,
    n_clusters: int,
    config: TemiConfig,
    neighbours: Neighbours | None,
    device: str,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(rows (N, d), partners (N, k)) as tensors on the device."""
    rows = as_tensor(vectors, device)
    if _unit_inputs(config):
        rows = unit(rows)
    pairs = _pairs(rows, neighbours, _list_length(config, len(rows), n_clusters))
    if config.n_dims:
        rows = principal(rows, config.n_dims, config.whiten)
        rows = unit(rows) if _unit_inputs(config) else rows
    return rows, pairs


def _on_disk(
    vectors: np.ndarray,
    n_clusters: int,
    config: TemiConfig,
    neighbours: Neighbours | None,
    device: str,
    idle: Callable[[], None],
) -> tuple[UnitRows, ListsOnDisk]:
    """The same, read on demand."""
    if neighbours is None:
        raise BadInput(
            f"neighbours=None: TEMI of {len(vectors):,} images that stay on disk needs their "
            "neighbours; give those of the pipeline, or use the clusterer 'kmeans'."
        )
    normalise = _unit_inputs(config)
    rows = UnitRows(vectors, device, normalise=normalise)
    pairs = ListsOnDisk(
        neighbours.indices[:, : _list_length(config, len(rows), n_clusters)], device
    )
    if config.n_dims:
        basis = axes(rows, config.n_dims, config.whiten, idle)
        rows = UnitRows(vectors, device, basis, normalise)
    return rows, pairs


def _unit_inputs(config: TemiConfig) -> bool:
    return config.unit_inputs or config.hidden == 0


def _list_length(config: TemiConfig, n_images: int, n_clusters: int) -> int:
    """At most half a mean cluster: a longer list must hold images of other clusters."""
    return max(1, min(config.n_neighbours, n_images // (2 * n_clusters)))


def _pairs(rows: torch.Tensor, neighbours: Neighbours | None, k: int) -> torch.Tensor:
    """(N, <= k) int64 partners of each image; a lone image is its own."""
    if len(rows) == 1:
        return torch.zeros((1, 1), dtype=torch.int64, device=rows.device)
    if neighbours is None:
        return nearest(unit(rows.clone()), k)
    return torch.from_numpy(np.array(neighbours.indices[:, :k], np.int64)).to(rows.device)


@torch.no_grad()
def _ensemble(
    teachers: Parameters,
    rows: torch.Tensor | UnitRows,
    losses: np.ndarray,
    config: TemiConfig,
    idle: Callable[[], None],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None, list[int]]:
    """The aligned heads' mean as labels, confidence, agreement and probabilities.

    (labels (N,) int64, confidence (N,) float32, agreement (N,) float32, probabilities (N, C)
    float32 or None, the heads used, best first).

    Two passes over the rows, so that (N, H, C) never exists: one for each head's clusters, one for
    the mean.
    """
    used = np.argsort(losses, kind="stable")[: max(1, round(config.keep * len(losses)))]
    n = len(rows)
    n_clusters = n_clusters_of(teachers)
    size = max(64, 2**24 // (config.n_heads * max(n_clusters, config.hidden)))
    counts: Any = 0
    for block in rows.split(size):
        assigned = head_logits(teachers, block.float(), 1.0)[:, used].argmax(dim=2)
        counts = counts + together(assigned.cpu().numpy(), n_clusters, 0)
        idle()
    orders = torch.from_numpy(align_counts(counts, 0)).to(rows.device)
    labels, confidence, agreement = (
        scratch((n,), kind) for kind in (np.int64, np.float32, np.float32)
    )
    at = 0
    means = scratch((n, n_clusters), np.float32) if kept(n, n_clusters) else None
    for block in rows.split(size):
        chances = torch.log_softmax(
            head_logits(teachers, block.float(), config.temperature)[:, used], dim=2
        )
        chances = chances.gather(2, orders.expand(len(block), -1, -1))
        mean = (
            chances.exp().mean(dim=1)
            if config.average == "probability"
            else chances.mean(dim=1).softmax(dim=1)
        )
        own = mean.argmax(dim=1, keepdim=True)
        agreement[at : at + len(block)] = (
            (chances.argmax(dim=2) == own).float().mean(dim=1).cpu().numpy()
        )
        part = mean.cpu().numpy()
        labels[at : at + len(block)] = part.argmax(axis=1)
        confidence[at : at + len(block)] = part.max(axis=1)
        if means is not None:
            means[at : at + len(block)] = part
        at += len(block)
        idle()
    return labels, confidence, agreement, means, used.tolist()
