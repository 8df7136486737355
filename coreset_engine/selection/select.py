"""From a method's ranking to a Selection: the count, what must and must not be in, other
constraints, the reasons."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from coreset_engine.core.config import make
from coreset_engine.core.errors import BadInput
from coreset_engine.core.ids import places_of
from coreset_engine.core.registry import METHODS, MethodRow, load, look_up
from coreset_engine.core.types import Artefacts, Ranking, Selection
from coreset_engine.selection.budget import kept_count, window
from coreset_engine.selection.candidates import Pool
from coreset_engine.selection.constraints import check, make_rules, walk
from coreset_engine.selection.keyed_random import image_keys

REACH = 3  # how many times k a greedy method places when constraints turn some of its first k away


def choose(
    method: str,
    inputs: Artefacts,
    *,
    prune_rate: float,
    must_keep: Iterable[str] = (),
    never: Iterable[str] = (),
    quotas: Any = None,
    groups: Any = None,
    costs: Any = None,
    budget: float | None = None,
    near_duplicates: float | None = None,
    seed: int = 0,
    **params: Any,
) -> Selection:
    """The coreset of `method` at `prune_rate`: must_keep ids first, never ids out, then the
    method's order.

    The next batch to label, given what is labelled, is the same call with must_keep. quotas,
    groups, costs, budget,
    near_duplicates: see `constraints.make_rules`. Raises BadInput for unknown ids, an infeasible
    beta, or constraints that contradict each other.
    """
    row = look_up(METHODS, method, "method")
    config = make(load(row.config), params)
    ids = inputs.dataset.ids
    k = kept_count(len(ids), prune_rate)
    if getattr(config, "beta", None) is not None:
        window(len(ids), prune_rate, config.beta)
    forced = _positions(ids, must_keep, "must_keep")
    banned = _positions(ids, never, "never")
    allowed = np.ones(len(ids), bool)
    allowed[banned] = False
    check_pins(ids, forced, banned, k)
    rules = make_rules(
        inputs,
        k,
        quotas=quotas,
        groups=groups,
        costs=costs,
        budget=budget,
        near_duplicates=near_duplicates,
    )
    check(rules, k, allowed)
    ranking = rank(row, inputs, k, config, seed, forced, allowed)
    if rules.empty:
        free = allowed.copy()
        free[forced] = False
        order = ranking.order[free[ranking.order]]
        if len(order) < k - len(forced):
            order = complete(ranking, ids, seed)
            order = order[free[order]]
        kept = np.concatenate([forced, order[: k - len(forced)]]).astype(np.int64)
    else:
        kept = walk(complete(ranking, ids, seed).tolist(), k, rules, forced, allowed)
        if ranking.nested and not np.isin(kept, np.r_[ranking.order, forced]).all():
            # The rules turned away images that the method placed: let it place more before the rest
            # goes at random.
            ranking = rank(
                row, inputs, min(REACH * k, int(allowed.sum())), config, seed, forced, allowed
            )
            kept = walk(complete(ranking, ids, seed).tolist(), k, rules, forced, allowed)
    weights = np.ones(len(kept)) if ranking.weights is None else ranking.weights[kept]
    settled = {"beta": ranking.info["beta"]} if "beta" in ranking.info else {}
    asked = dict(
        must_keep=[str(key) for key in ids[forced]],
        never=[str(key) for key in ids[banned]],
        quotas=quotas,
        groups=groups,
        costs=costs,
        budget=budget,
        near_duplicates=near_duplicates,
    )
    return Selection(
        ids[kept],
        kept,
        weights,
        ranking.scores,
        row.name,
        {"prune_rate": prune_rate, "seed": seed, **params, **settled, **_plain(asked)},
        inputs.dataset.fingerprint,
        _info(row, ranking, kept, k, forced, banned),
    )


def _plain(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The constraints that were set, as JSON can hold them, so that a manifest can ask for the same
    choice again."""
    listed = {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in asked.items()
    }
    return {name: value for name, value in listed.items() if value is not None and value != []}


def rank(
    row: MethodRow,
    inputs: Artefacts,
    k: int,
    config: Any,
    seed: int,
    forced: np.ndarray,
    allowed: np.ndarray,
) -> Ranking:
    """The method's ranking of the whole set; methods that place images relative to each other see
    only `allowed`."""
    if allowed.all() or row.independent:
        return load(row.function)(inputs, k, config, seed, preselected=forced)
    at = np.flatnonzero(allowed)
    found = load(row.function)(
        Pool(inputs, at), k, config, seed, preselected=np.searchsorted(at, forced)
    )
    scores = np.full(len(allowed), -np.inf)
    scores[at] = found.scores
    weights = None
    if found.weights is not None:
        weights = np.zeros(len(allowed))
        weights[at] = found.weights
    return dataclasses.replace(found, order=at[found.order], scores=scores, weights=weights)


def complete(ranking: Ranking, ids: np.ndarray, seed: int) -> np.ndarray:
    """(N,) int64: the method's order, then the images it did not place, by score, then at
    random."""
    placed = np.zeros(len(ids), bool)
    placed[ranking.order] = True
    rest = np.flatnonzero(~placed)
    keys = image_keys(ids[rest], seed) if len(rest) else np.empty(0, np.uint64)
    return np.concatenate([ranking.order, rest[np.lexsort((keys, -ranking.scores[rest]))]]).astype(
        np.int64
    )


def _info(
    row: MethodRow,
    ranking: Ranking,
    kept: np.ndarray,
    k: int,
    forced: np.ndarray,
    banned: np.ndarray,
) -> Mapping[str, Any]:
    scores = ranking.scores[kept[len(forced) :]]
    finite = scores[np.isfinite(scores)]
    info = {
        "nested": ranking.nested,
        "must_keep": len(forced),
        "never": len(banned),
        "threshold": float(finite.min()) if len(finite) else None,
        "reason": row.summary,
        **ranking.info,
    }
    return info if len(kept) == k else info | {"short_by": k - len(kept)}


def _positions(ids: np.ndarray, wanted: Iterable[str], name: str) -> np.ndarray:
    wanted = list(dict.fromkeys(str(item) for item in wanted))
    if not wanted:
        return np.empty(0, np.int64)
    places = places_of(ids, wanted)
    missing = np.flatnonzero(places < 0)
    if len(missing):
        raise BadInput(
            f"{name} names {wanted[missing[0]]!r}, which is no id of this source ({len(missing)} unknown in "
            "all)."
        )
    return places


def check_pins(ids: np.ndarray, forced: np.ndarray, banned: np.ndarray, k: int) -> None:
    """Raise BadInput where pinned positions contradict each other or the k to keep."""
    both = np.intersect1d(forced, banned)
    if len(both):
        raise BadInput(f"{str(ids[both[0]])!r} is in must_keep and in never; take it out of one.")
    if len(forced) > k:
        raise BadInput(
            f"must_keep holds {len(forced)} images but only {k} are to be kept; lower the prune_rate."
        )
    if len(ids) - len(banned) < k:
        raise BadInput(
            f"never blocks {len(banned)} of {len(ids)} images, fewer than {k} remain; raise the prune_rate."
        )
