"""One naming for many heads: independent heads number their clusters differently, so a mean over
them means nothing until every head is renamed after one of them (measured on Fashion-MNIST: 44-53 %
unaligned, 66-71 % aligned).
"""

from __future__ import annotations

import numpy as np

from coreset_engine.clustering.contingency import contingency, hungarian


def align_heads(assigned: np.ndarray, n_clusters: int, best: int) -> np.ndarray:
    """(H, C) int64: `orders[h, c]` = the cluster of head h that plays cluster c of head `best`; row
    `best` is 0..C-1.

    assigned: (N, H) int in [0, C), the cluster of each image in each head. Hungarian matching (Kuhn
    1955) of the counts of images that two heads put together. Not in the paper, whose mean over
    heads (ELFS 3.3) takes the naming as given.
    """
    return align_counts(together(np.asarray(assigned), n_clusters, best), best)


def together(assigned: np.ndarray, n_clusters: int, best: int) -> np.ndarray:
    """(H, C, C) int64: how many images of cluster a of head `best` head h put into its cluster b;
    blocks add up."""
    return np.stack(
        [
            contingency(assigned[:, best], assigned[:, head], n_clusters, n_clusters)
            for head in range(assigned.shape[1])
        ]
    )


def align_counts(counts: np.ndarray, best: int) -> np.ndarray:
    """`align_heads` from the counts of `together`."""
    orders = [hungarian(table) for table in counts]
    orders[best] = np.arange(
        counts.shape[1]
    )  # clusters that died tie with each other: keep their numbers
    return np.stack(orders).astype(np.int64)


def renamed(assigned: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """(N, H) int64: the clusters of every head in the names of the reference head. orders: as from
    `align_heads`."""
    inverse = np.argsort(orders, axis=1)
    return np.stack([inverse[head][assigned[:, head]] for head in range(assigned.shape[1])], axis=1)
