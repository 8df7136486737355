"""Pseudo-labels by any registered clusterer: one entry for the pipeline, the app and notebooks.

`propose_n_clusters` is offered here too, for sets whose number of classes is unknown.
"""

from __future__ import annotations

import numpy as np

from coreset_engine.clustering.n_clusters import Proposal, propose_n_clusters
from coreset_engine.clustering.vectors import check_clusters
from coreset_engine.core.config import make
from coreset_engine.core.errors import BadInput
from coreset_engine.core.registry import CLUSTERERS, load, look_up
from coreset_engine.core.row_blocks import Workers
from coreset_engine.core.types import Neighbours, Progress, PseudoLabels, silent

__all__ = ["Proposal", "propose_n_clusters", "pseudo_labels"]


def pseudo_labels(
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
    """Name each image after its cluster, without any label (ELFS 3.3).

    vectors: (N, D) float, finite. method: a name in CLUSTERERS. neighbours: reused when given, else
    computed where the method needs them. preset: named settings of methods that have them ("cpu",
    "paper"); params override single settings. streamed: read rows from disk as they are needed
    (True), keep a copy (False), or by their number (None).
    workers: who shares the rounds of a streamed k-means. labels lie in [0, n_clusters); n_clusters
    > N is refused. info["dead"]: clusters that ended up empty.
    """
    check_clusters(vectors, n_clusters)
    row = look_up(CLUSTERERS, method, "clustering method")
    kind = load(row.config)
    presets = getattr(kind, "PRESETS", {})
    if presets and preset not in presets:
        raise BadInput(
            f"preset={preset!r} is not offered by {row.name}; choose one of {', '.join(presets)}."
        )
    config = make(kind, {**presets.get(preset, {}), **params})
    info = {
        name: value
        for name, value in dict(streamed=streamed, workers=workers).items()
        if value is not None
    }
    return load(row.function)(
        vectors,
        n_clusters,
        config,
        seed,
        neighbours=neighbours,
        device=device,
        progress=progress,
        **info,
    )
