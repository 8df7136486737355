"""Interleave groups of an order: classes that share a budget, ranges of a score.

A nested order stays nested: what is kept of every group is the start of its own order.
"""

from __future__ import annotations

import numpy as np

SHARES = ("none", "equal", "proportional")


def interleave(order: np.ndarray, groups: np.ndarray, share: str = "equal") -> np.ndarray:
    """Interleave the groups of an order.

    Parameters
    ----------
    order : (M,) int64
        Distinct positions, first = kept first.
    groups : (N,) int
        Group of every image.
    share : "none", "equal" or "proportional"
        equal: one of each group at a time, a group that is used up drops out. proportional: each
        group comes as often as its share of `order`.

    Returns
    -------
    (M,) int64
        The same positions; within a group, and between groups at the same turn, as in `order`.
    """
    if share == "none" or len(order) == 0:
        return order
    own = np.asarray(groups)[order]
    by_group = np.argsort(own, kind="stable")
    _, start, size = np.unique(own[by_group], return_index=True, return_counts=True)
    turn = np.empty(len(order))
    turn[by_group] = np.arange(len(order)) - np.repeat(start, size)
    if share == "proportional":
        turn[by_group] = (turn[by_group] + 0.5) / np.repeat(size, size)
    return order[np.argsort(turn, kind="stable")]
