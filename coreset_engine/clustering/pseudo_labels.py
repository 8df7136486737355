"""Pseudo-labels by any registered clusterer: one entry for the pipeline, the app and notebooks.

`propose_n_clusters` is offered here too, for sets whose number of classes is unknown.
"""

from __future__ import annotations

import numpy as np

from coreset_engine.clustering.context import ClusterContext
from coreset_engine.clustering.n_clusters import Proposal, propose_n_clusters
from coreset_engine.clustering.vectors import check_clusters
from coreset_engine.core.config import make
from coreset_engine.core.errors import BadInput
from coreset_engine.core.registry import CLUSTERERS, load, look_up
from coreset_engine.core.row_blocks import Workers
from coreset_engine.core.types import Neighbours, Progress, PseudoLabels, silent

__all__ = ["Proposal", "propose_n_clusters", "pseudo_labels"]


def pseudo_labels(  # noqa: PLR0913
    vectors: np.ndarray,
    n_clusters: int = 10,
    method: str = "temi",
    seed: int = 0,
    *,
    neighbours: Neighbours | None = None,
    preset: str = "cpu",
    device: str = "auto",
    progress: Progress = silent,
    streamed: bool | None = None,
    workers: Workers | None = None,
    **params,
) -> PseudoLabels:
    """Cluster the images and use the cluster of each as its label (ELFS 3.3).

    Parameters
    ----------
    vectors : (N, D) float
        Finite, any scale.
    n_clusters : int
        1 <= n_clusters <= N.
    method : str
        A name in `CLUSTERERS`.
    seed : int
        Of everything random.
    neighbours : Neighbours, optional
        Of the same images; None: computed where the method needs them.
    preset : str
        Named settings of methods that have them: "cpu" or "paper".
    device : str
        "auto", "cpu" or "cuda".
    progress : callable
        Called with (done, total, unit); may raise Cancelled.
    streamed : bool, optional
        Read rows from disk as they are needed (True), keep a copy in memory (False); None: streamed
        above 2 GiB of float32.
    workers : Workers, optional
        Who shares the rounds of a streamed k-means; None: the threads of this process.
    **params
        Fields of the method's config; they override those of the preset.

    Returns
    -------
    PseudoLabels
        labels (N,) int64 in [0, n_clusters), confidence (N,) float32 in [0, 1];
        info["dead"]: clusters that ended up empty.

    Raises
    ------
    BadInput
        For an unknown method, preset or parameter, or vectors that cannot be clustered so.

    References
    ----------
    ELFS, section 3.3.
    """
    check_clusters(vectors, n_clusters)
    row = look_up(CLUSTERERS, method, "clustering method")
    kind = load(row.config)
    presets = getattr(kind, "PRESETS", {})
    if presets and preset not in presets:
        raise BadInput(
            f"preset={preset!r} is not supported by {row.name}; choose one of {', '.join(presets)}."
        )
    config = make(kind, {**presets.get(preset, {}), **params})
    context = ClusterContext(neighbours, device, progress, streamed, workers)
    return load(row.function)(vectors, n_clusters, config, seed, context)
