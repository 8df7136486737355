"""The order in which a method sees the images: by their keys, never by their place in the source.

A greedy method or a k-means gives other results when its input is listed differently: ties fall
elsewhere, sums round otherwise. `by_key` hands the method a view of the run sorted by
`draws.image_keys` and translates its answer back, so that every decorated method is independent
of the input order by construction, and breaks ties at random by seed.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from coreset_engine.core.types import Artefacts, Ranking
from coreset_engine.selection.candidates import Pool
from coreset_engine.selection.contract import SelectionMethod
from coreset_engine.selection.keyed_random import random_order

NONE_PRESELECTED = np.empty(0, np.int64)


def by_key(method: Callable[..., Ranking]) -> SelectionMethod:
    """Let `method` see the images in key order; `preselected` is then always an array.

    Its Ranking is translated back.
    """

    @functools.wraps(method)
    def seen(
        inputs: Artefacts, k: int, config: Any, seed: int, *, preselected: np.ndarray | None = None
    ) -> Ranking:
        at = random_order(inputs.dataset.ids, seed)
        position_of = np.empty(len(at), np.int64)
        position_of[at] = np.arange(len(at))
        mine = (
            NONE_PRESELECTED
            if preselected is None
            else position_of[np.asarray(preselected, np.int64)]
        )
        ranking = method(Pool(inputs, at), k, config, seed, preselected=mine)
        weights = None if ranking.weights is None else ranking.weights[position_of]
        return dataclasses.replace(
            ranking,
            order=at[ranking.order],
            scores=ranking.scores[position_of],
            weights=weights,
            columns={name: values[position_of] for name, values in ranking.columns.items()},
        )

    return seen


def filled(
    order: np.ndarray, n: int, k: int, preselected: np.ndarray = NONE_PRESELECTED
) -> np.ndarray:
    """(M,) int64, M >= k: preselected, then `order` without repeats, then others by position.

    Under `by_key` the position is a random key, so what is added is a uniform sample of the images
    left.

    Parameters
    ----------
    order
        (K,) positions in 0 ... n - 1, best first; repeats are dropped.
    n
        Images of the set.
    k
        Least length of the result, k <= n.
    preselected
        (P,) int64 positions that come first.
    """
    chosen = np.concatenate([preselected, np.asarray(order, np.int64)]).astype(np.int64)
    _, first = np.unique(chosen, return_index=True)
    chosen = chosen[np.sort(first)]
    if len(chosen) >= k:
        return chosen
    left = np.ones(n, bool)
    left[chosen] = False
    return np.concatenate([chosen, np.flatnonzero(left)[: k - len(chosen)]])


def relative_weights(counts: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """(N,) float64 loss weights: `counts` scaled to mean 1 over `chosen`, 1 for all others."""
    weights = np.ones(len(counts))
    mean = counts[chosen].mean() if len(chosen) else 0.0
    if mean > 0:
        weights[chosen] = counts[chosen] / mean
    return weights
