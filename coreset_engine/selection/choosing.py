"""From a method's ranking to a Selection: the count, must-keep and never, and the checks before any work."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from coreset_engine.errors import BadInput
from coreset_engine.knobs import make
from coreset_engine.registry import METHODS, load, look_up
from coreset_engine.selection.arithmetic import kept_count, window
from coreset_engine.types import Artefacts, Selection


def choose(method: str, inputs: Artefacts, *, prune_rate: float, must_keep: Iterable[str] = (),
           never: Iterable[str] = (), seed: int = 0, **params: Any) -> Selection:
    """The coreset of `method` at `prune_rate`: must_keep ids first, never ids out, then the method's order.

    Raises BadInput for unknown ids, an infeasible beta, or constraints that contradict each other.
    """
    row = look_up(METHODS, method, "method")
    config = make(load(row.config), params)
    ids = inputs.dataset.ids
    k = kept_count(len(ids), prune_rate)
    if hasattr(config, "beta"):
        window(len(ids), prune_rate, config.beta)
    forced, banned = _positions(ids, must_keep, "must_keep"), _positions(ids, never, "never")
    _check(ids, forced, banned, k)
    ranking = load(row.function)(inputs, k, config, seed, given=forced)
    free = ranking.order[~np.isin(ranking.order, np.concatenate([forced, banned]))]
    kept = np.concatenate([forced, free[:k - len(forced)]]).astype(np.int64)
    weights = np.ones(len(kept)) if ranking.weights is None else ranking.weights[kept]
    info = {"nested": ranking.nested, "must_keep": len(forced), "never": len(banned)}
    return Selection(ids[kept], kept, weights, ranking.scores, row.name,
                     {"prune_rate": prune_rate, "seed": seed, **params}, inputs.dataset.fingerprint, info)


def _positions(ids: np.ndarray, wanted: Iterable[str], name: str) -> np.ndarray:
    wanted = list(dict.fromkeys(str(item) for item in wanted))
    if not wanted:
        return np.empty(0, np.int64)
    place = {str(key): i for i, key in enumerate(ids)}
    missing = [item for item in wanted if item not in place]
    if missing:
        raise BadInput(f"{name} names {missing[0]!r}, which is no id of this source ({len(missing)} unknown in all).")
    return np.array([place[item] for item in wanted], np.int64)


def _check(ids: np.ndarray, forced: np.ndarray, banned: np.ndarray, k: int) -> None:
    both = np.intersect1d(forced, banned)
    if len(both):
        raise BadInput(f"{str(ids[both[0]])!r} is in must_keep and in never; take it out of one.")
    if len(forced) > k:
        raise BadInput(f"must_keep holds {len(forced)} images but only {k} are to be kept; lower the prune_rate.")
    if len(ids) - len(banned) < k:
        raise BadInput(f"never blocks {len(banned)} of {len(ids)} images, fewer than {k} remain; raise the prune_rate.")
