"""Start centres of spherical k-means, shared by the in-memory and the out-of-core version."""

from __future__ import annotations

import numpy as np
import torch


def plus_plus(rows: torch.Tensor, n_clusters: int, rng: np.random.Generator) -> torch.Tensor:
    """(C, D) start centres by k-means++ (Arthur and Vassilvitskii 2007) on a random sample.

    Parameters
    ----------
    rows
        (N, D) unit rows, any float type.
    n_clusters
        C, the number of centres drawn.
    rng
        Draws the sample (at most 200 rows per cluster, never fewer than 2,000) and the centres.
    """
    size = min(len(rows), max(2000, 200 * n_clusters))
    sample = rows[
        torch.from_numpy(np.sort(rng.choice(len(rows), size, replace=False))).to(rows.device)
    ].float()
    chosen = [int(rng.integers(size))]
    far = 1 - sample @ sample[chosen[0]]
    while len(chosen) < n_clusters:
        weight = far.clamp_min(0).double().cpu().numpy()
        total = weight.sum()
        pick = int(rng.choice(size, p=weight / total)) if total > 1e-9 else int(rng.integers(size))
        chosen.append(pick)
        far = torch.minimum(far, 1 - sample @ sample[pick])
    return sample[chosen].clone()
