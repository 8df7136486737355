"""Which neighbour search a run takes: exact, approximate, or by size; and on which machines."""

from __future__ import annotations

from typing import Any

import numpy as np

from coreset_engine.core.errors import BadInput

SEARCHES = ("auto", "exact", "approximate")
NEIGHBOURS = 50
# images from which `search="auto"` takes IVF-PQ; here, for keys are asked for without torch
ABOVE = 5_000_000


def check(search: str) -> str:
    """`search`, or BadInput."""
    if search not in SEARCHES:
        raise BadInput(
            f"neighbours={search!r} is not offered; choose one of {', '.join(SEARCHES)}."
        )
    return search


def at_scale(search: str, n: int) -> bool:
    """Whether n images are searched by IVF-PQ: when asked for, or from ABOVE on."""
    return search == "approximate" or search == "auto" and n > ABOVE


def params(search: str, n: int) -> dict[str, Any]:
    """What the artefact's key says of the search; nothing where it is the one that small sets
    always had."""
    if at_scale(search, n):
        return dict(k=NEIGHBOURS, search="ivf-pq-4")
    return (
        dict(k=NEIGHBOURS, search="exact")
        if search == "exact" and n > 200_000
        else dict(k=NEIGHBOURS)
    )


def find(run: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(arrays, info) of the run's neighbours artefact; info has the metric, the method and its
    recall."""
    vectors = run.vectors
    tick = run._tick("neighbours")
    k = min(NEIGHBOURS, len(run.dataset) - 1)
    if at_scale(run.search, len(vectors)):
        from coreset_engine.embedding.neighbours.ivfpq import neighbours_at_scale

        folder = run.store.work("neighbours", run.key_of("neighbours"))
        each = run.executor.neighbour_steps(vectors, folder)
        found = neighbours_at_scale(vectors, k, folder=folder, each=each, progress=tick)
    else:
        from coreset_engine.embedding.neighbours.search import neighbours

        exact_below = dict(exact_below=len(vectors)) if run.search == "exact" else {}
        found = neighbours(vectors, k=k, device=run.device, progress=tick, **exact_below)
    return dict(indices=found.indices, distances=found.distances), dict(
        metric=found.metric, info=dict(found.info)
    )
