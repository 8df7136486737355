"""From a request to a Selection: ranking, pins, constraints, and the reason for every image."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from coreset_engine.core.config import left_to
from coreset_engine.core.errors import BadInput
from coreset_engine.core.filter_columns import apply_filter, require_some
from coreset_engine.core.ids import positions_of
from coreset_engine.core.registry import METHODS, MethodRow, load
from coreset_engine.core.types import Artefacts, Ranking, Selection
from coreset_engine.selection.beyond import Beyond, rank_beyond
from coreset_engine.selection.budget import DEFAULT_RATE, Budget, cut_beside, largest_beta
from coreset_engine.selection.candidates import Pool
from coreset_engine.selection.columns import columns_of
from coreset_engine.selection.constraints import Rules, check, make_rules, walk
from coreset_engine.selection.contract import SelectionMethod
from coreset_engine.selection.keyed_random import image_keys
from coreset_engine.selection.request import QuotaSpec, SelectionRequest

# How many times k a greedy method places when constraints turn some of its first k away.
EXTENDED = 3


@dataclass(frozen=True, eq=False)
class Pins:
    """must_keep, never, excluded: (M,) int64 positions.

    allowed: (N,) bool, False for never and excluded.
    """

    must_keep: np.ndarray
    never: np.ndarray
    allowed: np.ndarray
    excluded: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0, np.int64))


def select(
    request: SelectionRequest, inputs: Artefacts, other: np.ndarray | None = None
) -> Selection:
    """The coreset that `request` describes.

    Must-keep ids first, never ids out, then the method's order. What `inputs.excluded_ids` names is
    never kept.

    other: (M, D) vectors of another source, which count as kept already (`request.beyond`).

    The next batch to label, when some images are labelled, is the same request with these as
    must_keep.

    Raises
    ------
    BadInput
        For unknown ids, columns or values, an infeasible beta, or constraints that contradict each
        other.
    Missing
        When an artefact that the method needs cannot exist.
    """
    if request.where is not None:
        return select_within(request, inputs, other)
    row = METHODS[request.method]
    ids = inputs.dataset.ids
    k = request.budget.kept(len(ids))
    request, settled = settle_by_forecast(request, inputs, k)
    config = request.config
    if row.beta and config.beta is not None:
        cut_beside(len(ids), k, config.beta)
    pins = _pins(request, ids, k, getattr(inputs, "excluded_ids", ()))
    if other is not None:
        inputs = Beyond(inputs, other)
    rules = make_rules(request, inputs, k, pins.allowed)
    check(rules, k, pins.allowed, request.budget)
    seed = inputs.seed if request.seed is None else request.seed
    ranker = _Ranker(row, inputs, config, seed, pins)
    ranking, kept = _ranked_and_kept(ranker, k, rules)
    return Selection(
        ids=ids[kept],
        indices=kept,
        weights=np.ones(len(kept)) if ranking.weights is None else ranking.weights[kept],
        scores=ranking.scores,
        method=row.name,
        params=_recorded(request, seed, len(ids), ranking),
        source_key=inputs.dataset.fingerprint,
        info=dict(_info(row, ranking, kept, k, pins)) | settled,
        columns=ranking.columns,
    )


def settle_by_forecast(
    request: SelectionRequest, inputs: Artefacts, k: int
) -> tuple[SelectionRequest, dict[str, Any]]:
    """`request` with numbers where a parameter says "auto", and the `reason` as info.

    Each number is the one of highest expected gain among those that the method's row tries; the
    request as it returns says the number, so that it is recorded and verified as such.
    """
    open_names = left_to(request.config)
    if not open_names:
        return request, {}
    row = METHODS[request.method]
    n = len(inputs.dataset)
    fixed = {name: value for name, value in request.params if name not in open_names}
    trials = [fixed | dict(trial) for trial in row.trials if set(dict(trial)) == set(open_names)]
    fitting = [one for one in trials if one.get("beta", 0) <= largest_beta(n, k)]
    rate = 1 - k / n
    forecast = inputs.forecast_at(rate, [(row.name, params) for params in fitting])
    ranked = [option for option in forecast.ranking(rate) if option.method == row.name]
    chosen = dict(ranked[0].params) if ranked else fitting[0]
    settings = ", ".join(f"{name} = {chosen[name]:g}" for name in open_names)
    reason = f"{settings}, the first that applies, since so few images have no forecast"
    if ranked:
        reason = (
            f"{settings} by the forecast, expected at {ranked[0].gain} points over random, the "
            "highest "
            f"of {len(ranked)} values tried"
        )
    params = tuple((fixed | chosen).items())
    return dataclasses.replace(request, params=params), {"reason": reason}


def select_within(
    request: SelectionRequest, inputs: Artefacts, other: np.ndarray | None = None
) -> Selection:
    """The selection among the images that pass `request.where`, and those of must_keep.

    The method, its window and a pruning rate see these images alone; scores of the others are -inf.
    info says how many images pass and the SHA-256 of their ids.

    Raises
    ------
    BadInput
        As `select`; for unknown columns, and for a filter that leaves nothing.
    """
    n = len(inputs.dataset)
    where = request.where
    assert where is not None
    table = columns_of(inputs)
    filtered = require_some(apply_filter(where, table), table)
    ids = inputs.dataset.ids
    in_pool = filtered.mask.copy()
    in_pool[_positions(ids, request.must_keep, "must_keep")] = True
    never = _positions(ids, request.never, "never")
    at = np.flatnonzero(in_pool)
    inner = dataclasses.replace(
        request,
        where=None,
        never=tuple(str(key) for key in ids[never[in_pool[never]]]),
        quotas=tuple(_quota_at(quota, at) for quota in request.quotas),
        groups=_values_at(request.groups, at),
        costs=_values_at(request.costs, at),
    )
    part = select(inner, Pool(inputs, at), other)
    asked = request.constraints()
    about = {
        "where": where.text,
        "where_matched": filtered.matched,
        "where_ids_sha256": matched_digest(ids, filtered.mask),
        "where_sentence": filtered.sentence,
    }
    return dataclasses.replace(
        part,
        indices=at[part.indices],
        scores=_placed(part.scores, at, n, -np.inf),
        params={**part.params, **asked},
        info={**part.info, **about},
        columns={name: _placed(values, at, n, np.nan) for name, values in part.columns.items()},
    )


def matched_digest(ids: Any, mask: np.ndarray) -> str:
    """SHA-256 of the ids that pass, sorted, one a line: which images a filter left."""
    names = sorted(str(key) for key in ids[np.flatnonzero(mask)])
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def _quota_at(quota: QuotaSpec, at: np.ndarray) -> QuotaSpec:
    return dataclasses.replace(quota, by=_values_at(quota.by, at))


def _values_at(what: Any, at: np.ndarray) -> Any:
    """Values given one per image, of some images; a column's name stays."""
    return tuple(what[position] for position in at) if isinstance(what, tuple) else what


def choose(method: str, inputs: Artefacts, *, seed: int = 0, **values: Any) -> Selection:
    """`select` by keywords, see `SelectionRequest.of`. The name of the first edition."""
    return select(SelectionRequest.of(method, seed=seed, **values), inputs)


class _Ranker(NamedTuple):
    """A method with all it needs to rank the images for any number kept."""

    row: MethodRow
    inputs: Artefacts
    config: Any
    seed: int
    pins: Pins

    def __call__(self, k: int) -> Ranking:
        return rank(self.row, self.inputs, k, self.config, self.seed, self.pins)


def _ranked_and_kept(ranker: _Ranker, k: int, rules: Rules) -> tuple[Ranking, np.ndarray]:
    """The method's ranking, and the (k,) int64 positions kept of it, must-keep first."""
    ids = ranker.inputs.dataset.ids
    seed = ranker.seed
    pins = ranker.pins
    ranking = ranker(k)
    if rules.empty:
        return ranking, _first_free(ranking, ids, k, seed, pins)
    order = complete(ranking, ids, seed).tolist()
    kept = walk(order, k, rules, pins.must_keep, pins.allowed)
    if ranking.nested and not np.isin(kept, np.r_[ranking.order, pins.must_keep]).all():
        # The rules rejected images that the method ranked: let it rank more before the rest is
        # drawn at random.
        ranking = ranker(min(EXTENDED * k, int(pins.allowed.sum())))
        order = complete(ranking, ids, seed).tolist()
        kept = walk(order, k, rules, pins.must_keep, pins.allowed)
    return ranking, kept


def _first_free(ranking: Ranking, ids: np.ndarray, k: int, seed: int, pins: Pins) -> np.ndarray:
    """(k,) int64: must-keep, then the first free images of the order."""
    free = pins.allowed.copy()
    free[pins.must_keep] = False
    wanted = k - len(pins.must_keep)
    order = ranking.order[free[ranking.order]]
    if len(order) < wanted:
        order = complete(ranking, ids, seed)
        order = order[free[order]]
    return np.concatenate([pins.must_keep, order[:wanted]]).astype(np.int64)


def _recorded(request: SelectionRequest, seed: int, n: int, ranking: Ranking) -> dict[str, Any]:
    """Flat record of a request for the manifest."""
    rate = request.budget.rate(n)
    count = {} if request.budget.count is None else {"count": request.budget.count}
    settled = {"beta": ranking.info["beta"]} if "beta" in ranking.info else {}
    settled |= dict(ranking.info.get("settled", {}))
    asked = request.constraints() | {"seed": seed}
    return {"prune_rate": rate, **count, **dict(request.params), **settled, **asked}


def rank(row: MethodRow, inputs: Artefacts, k: int, config: Any, seed: int, pins: Pins) -> Ranking:
    """The method's ranking of the whole set.

    Methods that place images relative to each other see only the allowed ones.

    Parameters
    ----------
    row
        The method's registry row.
    inputs
        Finished stages, or a `Beyond` with another source whose images count as kept.
    k
        Images to keep, 1 <= k <= N.
    config
        An instance of the row's config.
    seed
        For what the row says is random.
    pins
        Positions to keep, (P,) int64, and `allowed`, (N,) bool.

    Returns
    -------
    Ranking
        Positions in the whole set. Images that are not allowed have score -inf, weight 0 and NaN
        in the columns, and are absent from the order; none of this for an independent method,
        which ranks them all.
    """
    method: SelectionMethod = load(row.function)
    if (pins.allowed.all() and not isinstance(inputs, Beyond)) or row.independent:
        return method(inputs, k, config, seed, preselected=pins.must_keep)
    at = np.flatnonzero(pins.allowed)
    preselected = np.searchsorted(at, pins.must_keep)
    if isinstance(inputs, Beyond):
        ranking = rank_beyond(method, inputs.pool(at), k, config, seed, preselected)
    else:
        ranking = method(Pool(inputs, at), k, config, seed, preselected=preselected)
    n = len(pins.allowed)
    weights = None if ranking.weights is None else _placed(ranking.weights, at, n, 0.0)
    scores = _placed(ranking.scores, at, n, -np.inf)
    columns = {name: _placed(part, at, n, np.nan) for name, part in ranking.columns.items()}
    return dataclasses.replace(
        ranking, order=at[ranking.order], scores=scores, weights=weights, columns=columns
    )


def _placed(values: np.ndarray, at: np.ndarray, n: int, elsewhere: float) -> np.ndarray:
    out = np.full(n, elsewhere)
    out[at] = values
    return out


def complete(ranking: Ranking, ids: np.ndarray, seed: int) -> np.ndarray:
    """(N,) int64: the method's order, then the unranked images by score, then at random."""
    placed = np.zeros(len(ids), bool)
    placed[ranking.order] = True
    rest = np.flatnonzero(~placed)
    keys = image_keys(ids[rest], seed) if len(rest) else np.empty(0, np.uint64)
    return np.concatenate([ranking.order, rest[np.lexsort((keys, -ranking.scores[rest]))]]).astype(
        np.int64
    )


def _info(
    row: MethodRow, ranking: Ranking, kept: np.ndarray, k: int, pins: Pins
) -> Mapping[str, Any]:
    scores = ranking.scores[kept[len(pins.must_keep) :]]
    finite = scores[np.isfinite(scores)]
    info = {
        "nested": ranking.nested,
        "must_keep": len(pins.must_keep),
        "never": len(pins.never),
        "threshold": float(finite.min()) if len(finite) else None,
        "reason": row.summary,
        **ranking.info,
    }
    if len(pins.excluded):
        info["excluded"] = len(pins.excluded)
    return info if len(kept) == k else info | {"short_by": k - len(kept)}


def _pins(
    request: SelectionRequest, ids: np.ndarray, k: int, excluded_ids: Sequence[str] = ()
) -> Pins:
    must_keep = _positions(ids, request.must_keep, "must_keep")
    never = _positions(ids, request.never, "never")
    positions = positions_of(ids, list(excluded_ids)) if excluded_ids else np.empty(0, np.int64)
    excluded = np.sort(positions[positions >= 0]).astype(np.int64)
    check_pins(ids, must_keep, never, k, request.budget)
    _check_excluded(ids, must_keep, np.union1d(never, excluded), excluded, k, request.budget)
    allowed = np.ones(len(ids), bool)
    allowed[never] = False
    allowed[excluded] = False
    return Pins(must_keep, never, allowed, excluded)


def _check_excluded(
    ids: np.ndarray,
    must_keep: np.ndarray,
    blocked: np.ndarray,
    excluded: np.ndarray,
    k: int,
    budget: Budget,
) -> None:
    both = np.intersect1d(must_keep, excluded)
    if len(both):
        raise BadInput(
            f"{str(ids[both[0]])!r} is always included but was excluded when the set was cleaned; "
            "remove it from must_keep, or restore it (`clean SOURCE --restore ID`, page "
            "Clean)."
        )
    if len(excluded) and len(ids) - len(blocked) < k:
        raise BadInput(
            f"{len(excluded):,} excluded and {len(blocked) - len(excluded):,} blocked images leave "
            f"{len(ids) - len(blocked):,} of {len(ids):,}, fewer than the {k:,} to keep; "
            f"{budget.keep_fewer}, or undo an exclusion."
        )


def _positions(ids: np.ndarray, wanted: tuple[str, ...], name: str) -> np.ndarray:
    if not wanted:
        return np.empty(0, np.int64)
    positions = positions_of(ids, list(wanted))
    missing = np.flatnonzero(positions < 0)
    if len(missing):
        raise BadInput(
            f"{name} names {wanted[missing[0]]!r}, which is not an id of this source "
            f"({len(missing)} "
            f"unknown in all); ids here look like {str(ids[0])!r}."
        )
    return positions


def check_pins(
    ids: np.ndarray,
    must_keep: np.ndarray,
    never: np.ndarray,
    k: int,
    budget: Budget = Budget(DEFAULT_RATE),
) -> None:
    """Raise BadInput where pinned positions contradict each other or the k to keep.

    Parameters
    ----------
    ids
        (N,) str, of the whole source, for the message.
    must_keep, never
        (P,) and (Q,) int64 positions in `ids`, each without repeats.
    k
        Images to keep, 1 <= k <= N.
    budget
        How `k` was requested, so that the remedy names the rate or the count.

    Raises
    ------
    BadInput
        A position is in both, more than `k` must be kept, or fewer than `k` are left.
    """
    both = np.intersect1d(must_keep, never)
    if len(both):
        raise BadInput(f"{str(ids[both[0]])!r} is in must_keep and in never; remove it from one.")
    if len(must_keep) > k:
        raise BadInput(
            f"must_keep has {len(must_keep)} images but only {k} are to be kept; "
            f"{budget.keep_more}."
        )
    if len(ids) - len(never) < k:
        raise BadInput(
            f"never blocks {len(never)} of {len(ids)} images, fewer than {k} remain; "
            f"{budget.keep_fewer}."
        )
