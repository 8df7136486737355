"""Helpers on rows of vectors for the clusterers: checks, unit length, neighbours, PCA.

All of them work block by block in float32, so that a float16 memmap never has to fit in memory
twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Progress, silent

BLOCK = 8192


def check_clusters(vectors: np.ndarray, n_clusters: int) -> int:
    """`n_clusters` as int, or BadInput: vectors must be (N, D) and 1 <= n_clusters <= N."""
    if vectors.ndim != 2 or 0 in vectors.shape:
        raise BadInput(
            f"vectors of shape {vectors.shape} cannot be clustered; give (images, dimensions)."
        )
    if n_clusters != n_clusters or int(n_clusters) != n_clusters or n_clusters < 1:
        raise BadInput(f"n_clusters={n_clusters}: must be a whole number of at least 1.")
    if n_clusters > len(vectors):
        raise BadInput(
            f"n_clusters={n_clusters} is more than the {len(vectors)} images; "
            f"ask for at most {len(vectors)}."
        )
    return int(n_clusters)


def as_tensor(vectors: np.ndarray, device: str) -> torch.Tensor:
    """(N, D) float32 or float16 on `device`; a copy, so that read-only memmaps are safe.

    Raises on NaN or infinity.
    """
    kind = np.float16 if vectors.dtype == np.float16 else np.float32
    rows = torch.from_numpy(np.array(vectors, kind)).to(device)
    for start in range(0, len(rows), BLOCK):
        finite = torch.isfinite(rows[start : start + BLOCK]).all(dim=1)
        if not finite.all():
            raise BadInput(
                f"vectors have NaN or infinity in row {start + int((~finite).nonzero()[0])}; "
                "embed again or remove that row."
            )
    return rows


def unit(rows: torch.Tensor) -> torch.Tensor:
    """Rows at unit length, in place for float32; a zero row stays zero."""
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK].float()
        rows[start : start + BLOCK] = block / block.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return rows


def nearest(rows: torch.Tensor, k: int, progress: Progress = silent) -> torch.Tensor:
    """(N, k) int64: the k nearest other rows by cosine, exact, nearest first. rows: unit length."""
    k = min(k, len(rows) - 1)
    indices = torch.empty((len(rows), k), dtype=torch.int64, device=rows.device)
    step = max(64, min(2048, 2**27 // max(1, len(rows))))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        similarity = (
            block.float() @ rows.float().T
            if rows.dtype == torch.float32
            else (block @ rows.T).float()
        )
        similarity[torch.arange(len(block)), torch.arange(start, start + len(block))] = -torch.inf
        indices[start : start + step] = similarity.topk(k, dim=1).indices
        progress(min(start + step, len(rows)), len(rows), "images")
    return indices


def principal(rows: torch.Tensor, n_dims: int, whiten: float = 0.0) -> torch.Tensor:
    """(N, min(n_dims, D)) float32: centred rows along their `axes`."""
    basis, shift = axes(rows, n_dims, whiten)
    return torch.cat(
        [rows[s : s + BLOCK].float() @ basis - shift for s in range(0, len(rows), BLOCK)]
    )


def axes(
    rows: Any, n_dims: int, whiten: float = 0.0, idle: Callable[[], None] = lambda: None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The first principal axes, exact, from the D x D covariance.

    Parameters
    ----------
    rows : (N, D) tensor or UnitRows
        Read once, block by block.
    n_dims : int
        At most D axes are kept.
    whiten : float in [0, 1]
        0 keeps the variances, 1 makes them all equal; between, each axis is divided by its
        deviation^whiten.
    idle : callable
        Called after each block; may raise Cancelled.

    Returns
    -------
    basis : (D, min(n_dims, D)) tensor
    shift : tensor
        `row @ basis - shift` is a centred row on these axes.
    """
    total = torch.zeros(rows.shape[1], dtype=torch.float64)
    second = 0
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK].float()
        total += block.sum(dim=0).double().cpu()
        second = second + (block.T @ block).double().cpu()
        idle()
    mean = total / len(rows)
    values, vectors = torch.linalg.eigh(second / len(rows) - torch.outer(mean, mean))
    values = values.flip(0)[:n_dims].clamp_min(1e-12)
    vectors = vectors.flip(1)[:, :n_dims]
    vectors = vectors * torch.sign(
        vectors[vectors.abs().argmax(dim=0), torch.arange(vectors.shape[1])]
    )  # one sign
    basis = (vectors / values.sqrt() ** whiten).float().to(rows.device)
    return basis, mean.float().to(rows.device) @ basis
