"""A k-nearest-neighbour vote on embeddings: a judge without training, quick on a CPU."""

from __future__ import annotations

import numpy as np
import torch

from coreset_engine.core.types import Progress, silent
from coreset_engine.training.loop import TrainingSet

K = 5  # scikit-learn's default; a coreset of fewer images votes with all
_BLOCK = 1024


def knn_predict(
    data: TrainingSet,
    test_inputs: np.ndarray,
    n_classes: int,
    *,
    k: int = K,
    device: str = "cpu",
    progress: Progress = silent,
) -> np.ndarray:
    """Class of each test image by the vote of its k nearest training images.

    Parameters
    ----------
    data : TrainingSet
        inputs (N, D) float of any scale, compared by cosine distance; labels (N,) int in
        [0, n_classes); weights (N,) float >= 0, the votes of the training images, None = 1 each.
    test_inputs : (M, D) float
        Of any scale.
    n_classes : int
        Classes that can be predicted.
    k : int
        Neighbours that vote; at most N.
    device : str
        "cpu" or "cuda".
    progress : Progress
        Unit "images".

    Returns
    -------
    (M,) int64
        The class with most votes; of equal ones that of the nearest voter among them.
    """
    known = _unit(data.inputs, device)
    k = min(k, len(known))
    target = torch.as_tensor(np.array(data.labels, np.int64), device=device)
    votes = torch.ones(len(known), device=device)
    if data.weights is not None:
        votes = torch.as_tensor(np.asarray(data.weights), dtype=torch.float32, device=device)
    out = []
    for start in range(0, len(test_inputs), _BLOCK):
        part = _unit(test_inputs[start : start + _BLOCK], device)
        nearest = (part @ known.T).topk(k, dim=1).indices
        out.append(_vote(target[nearest], votes[nearest], n_classes).cpu())
        progress(min(start + _BLOCK, len(test_inputs)), len(test_inputs), "images")
    return torch.cat(out).numpy()


def _vote(labels: torch.Tensor, votes: torch.Tensor, n_classes: int) -> torch.Tensor:
    """(B,) winning class. labels, votes: (B, k), nearest first."""
    total = torch.zeros(len(labels), n_classes, device=labels.device)
    total.scatter_add_(1, labels, votes)
    won = total.gather(1, labels) >= total.max(dim=1, keepdim=True).values
    first = won.float().argmax(dim=1, keepdim=True)
    return labels.gather(1, first)[:, 0]


def _unit(vectors: np.ndarray, device: str) -> torch.Tensor:
    rows = torch.from_numpy(np.array(vectors, np.float32)).to(device)
    return rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-12)
