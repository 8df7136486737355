"""Gaussian clusters with known labels, which several tests of clusterers find again."""

from __future__ import annotations

import numpy as np


def blobs(sizes, dims=24, seed=0, spread=0.5):
    """(vectors (N, dims) float32, labels (N,) int64), sizes[c] images around random centre c."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    centres = rng.normal(size=(len(sizes), dims))
    return (centres[labels] + rng.normal(0, spread, (len(labels), dims))).astype(np.float32), labels
