"""Made-up points for the map's tests and benchmark."""

from __future__ import annotations

import numpy as np


def fake_points(n: int) -> np.ndarray:
    """(n, 2) float32: ten blobs; the same for every caller."""
    rng = np.random.default_rng(7)
    centres = rng.uniform(-12, 12, (10, 2))
    return (centres[np.arange(n) % 10] + rng.normal(size=(n, 2))).astype(np.float32)
