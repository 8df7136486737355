"""Ranks for live sliders: a browser re-selects by moving a window over them.

An image is in the double-end coreset iff lo <= hardness_rank < hi, with (lo, hi) = window(n,
prune_rate, beta).
"""

from __future__ import annotations

import numpy as np

from coreset_engine.selection.budget import hardness_order, window

__all__ = ["hardness_rank", "rank_of", "window"]


def hardness_rank(aum: np.ndarray) -> np.ndarray:
    """(N,) int32, 0 = hardest (lowest AUM); ties by position. aum: (N,) float without NaN."""
    return rank_of(hardness_order(aum), len(aum))


def rank_of(order: np.ndarray, n: int) -> np.ndarray:
    """(n,) int32: the place of every image in `order`; images not placed get n."""
    rank = np.full(n, n, np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank
