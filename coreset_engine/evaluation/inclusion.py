"""How often each image is kept over seeds and encoders: the stable core of a selection.

A draw computes every random step again with its own seed (clusters, dynamics, coverage samples,
ties), so that the share of draws that keep an image says how far its place in the coreset is owed
to chance. The encoder is not a random
step: shares over several encoders also say how far it is owed to one view of the images.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from coreset_engine.artifacts.store import digest
from coreset_engine.core.errors import BadInput
from coreset_engine.core.registry import ENCODERS
from coreset_engine.evaluation.experiment import code_of
from coreset_engine.pipeline.inclusion_records import (
    STAGE,
    Inclusion,
    base_of,
    finished,
    of_selection,
    record,
)
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.select import select
from coreset_engine.selection.request import SelectionRequest

__all__ = ["Inclusion", "agreement", "finished", "inclusion", "of_selection"]
VERSION = 3


def inclusion(
    run: Run,
    method: str | SelectionRequest,
    prune_rate: float | None = None,
    *,
    seeds: int = 10,
    encoders: Iterable[str] = (),
    on_draw: Callable[[int, int], None] = lambda done, total: None,
    **params: Any,
) -> Inclusion:
    """How often each image is kept over draws of everything random, for each encoder.

    Finished draws are kept in the store, so a stopped call resumes.

    Parameters
    ----------
    run : Run
        Its seed is the first one.
    method : str or SelectionRequest
        A name, with prune_rate, constraints and parameters as `select` takes them, or a whole
        request.
    prune_rate : float in [0, 1), optional
    seeds : int
        Draws for each encoder, counted up from the run's seed.
    encoders : iterable of str
        Names; "computed" = all whose vectors are computed. Default: the run's own.
    on_draw : callable
        Called with (done, total); may raise Cancelled.
    **params
        Parameters of the method, and constraints.

    Returns
    -------
    Inclusion

    Raises
    ------
    BadInput
        For fewer than 2 draws in all.
    """
    request = (
        method
        if isinstance(method, SelectionRequest)
        else SelectionRequest.of(method, prune_rate, **params)
    )
    chosen = _encoders(run, encoders)
    if int(seeds) < 1 or int(seeds) * len(chosen) < 2:
        raise BadInput(
            f"seeds={seeds} with {len(chosen)} encoder is a single draw without variance; use at "
            "least 2."
        )
    draws = [(encoder, run.seed + i) for encoder in chosen for i in range(int(seeds))]
    first = select(request, run)
    key = digest(
        [
            VERSION,
            base_of(run, first),
            draws,
            code_of(request.method),
            run.config.to_record(results_only=True),
            run.wanted_clusters,
            request.as_json(),
            *filter(None, [run.corrected, run.excluded_key, first.info.get("where_ids_sha256")]),
        ]
    )

    def make() -> tuple[dict, dict]:
        repeats = []
        for done, (encoder, seed) in enumerate(draws):
            on_draw(done, len(draws))
            drawn = dataclasses.replace(request, seed=seed)
            kept = select(drawn, _drawn(run, encoder, seed)).indices
            repeats.append(np.isin(np.arange(len(run.dataset)), kept))
        on_draw(len(draws), len(draws))
        return dict(share=np.mean(repeats, axis=0, dtype=np.float32)), dict(
            base=base_of(run, first),
            draws=len(draws),
            method=request.method,
            prune_rate=request.budget.rate(len(run.dataset)),
            encoders=chosen,
            agreement=agreement(repeats),
        )

    arrays, info = run.store.get(
        STAGE, key, make, about=run.about(), waiting=lambda: on_draw(0, len(draws))
    )
    return record(arrays, info)


def agreement(kept: Sequence[np.ndarray]) -> float:
    """Mean Jaccard index over all pairs of draws. kept: (N,) bool each."""
    table = np.stack(kept).astype(np.float32)
    both = table @ table.T
    either = both.diagonal()[:, None] + both.diagonal()[None, :] - both
    pairs = np.triu_indices(len(table), 1)
    return float(np.mean(both[pairs] / np.maximum(either[pairs], 1)))


def _encoders(run: Run, wanted: Iterable[str]) -> list[str]:
    names = list(dict.fromkeys(wanted))
    if "computed" in names:
        names.remove("computed")
        names += [name for name in ENCODERS if _drawn(run, name, run.seed).ready("embeddings")]
    return list(dict.fromkeys([run.encoder, *names]))


def _drawn(run: Run, encoder: str, seed: int) -> Run:
    weights = run.weights if encoder == run.encoder else None
    return run.with_config(encoder=encoder, weights=weights, seed=seed)
