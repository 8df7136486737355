"""Which neighbour search a run takes: exact, approximate, or by size; and on which machines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.core.types import Progress
from coreset_engine.pipeline.config import RunConfig
from coreset_engine.pipeline.executor import Executor

NEIGHBOURS = 50
# images from which `search="auto"` takes IVF-PQ; here, for keys are computed without torch
ABOVE = 5_000_000


def at_scale(search: str, n: int) -> bool:
    """Whether n images are searched by IVF-PQ: when requested, or from ABOVE images on."""
    return search == "approximate" or search == "auto" and n > ABOVE


def params(search: str, n: int) -> dict[str, Any]:
    """The search's part of the artefact key; empty for the default search of small sets."""
    if at_scale(search, n):
        return dict(k=NEIGHBOURS, search="ivf-pq-4")
    if search == "exact" and n > 200_000:
        return dict(k=NEIGHBOURS, search="exact")
    return dict(k=NEIGHBOURS)


def search(
    vectors: np.ndarray,
    config: RunConfig,
    executor: Executor,
    folder: Callable[[], Path],
    progress: Progress,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The neighbours artefact: (indices and distances, metric and how they were found).

    Parameters
    ----------
    vectors
        (N, D) float.
    config
        Its search and device.
    folder
        Gives the folder where an approximate search keeps its pieces.
    """
    k = max(1, min(NEIGHBOURS, len(vectors) - 1))  # of a single image none is found
    if at_scale(config.search, len(vectors)):
        from coreset_engine.embedding.neighbours.ivfpq import neighbours_at_scale

        scratch = folder()
        steps = executor.neighbour_steps(vectors, scratch)
        result = neighbours_at_scale(vectors, k, folder=scratch, each=steps, progress=progress)
    else:
        from coreset_engine.embedding.neighbours.search import neighbours

        exact: dict[str, Any] = dict(exact_below=len(vectors)) if config.search == "exact" else {}
        result = neighbours(vectors, k=k, device=config.device, progress=progress, **exact)
    arrays = dict(indices=result.indices, distances=result.distances)
    return arrays, dict(metric=result.metric, info=dict(result.info))
