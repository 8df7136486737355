"""Constraints on any method's selection: quotas, whole groups, a cost budget, near-duplicates.

A method gives an order; `walk` goes down it and takes each image that no rule forbids, holding
places back for quotas that are not yet filled. What cannot be met is said in one sentence that
names the conflict.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.filter_columns import ColumnTable
from coreset_engine.core.types import Artefacts, Dataset, Neighbours
from coreset_engine.selection.budget import DEFAULT_RATE, Budget
from coreset_engine.selection.columns import columns_of
from coreset_engine.selection.request import QuotaSpec, SelectionRequest

_NAMED = 30  # columns that an error lists


@dataclass(frozen=True, eq=False)
class Quota:
    """Bounds on how many images of each value are kept.

    by: what is counted. names: (V,) of str. code: (N,) int64 into names. least, most: (V,) int64.
    """

    by: str
    names: np.ndarray
    code: np.ndarray
    least: np.ndarray
    most: np.ndarray


@dataclass(frozen=True, eq=False)
class Rules:
    """The constraints as arrays.

    unit: (N,) int64 group of every image, selected whole. twin: (N,) int64 near-duplicate family,
    or None. cost: (N,) float64 or None, with budget. quotas: checked one by one.
    """

    unit: np.ndarray | None = None
    twin: np.ndarray | None = None
    cost: np.ndarray | None = None
    budget: float = np.inf
    quotas: tuple[Quota, ...] = ()

    @property
    def empty(self) -> bool:
        return self.unit is None and self.twin is None and self.cost is None and not self.quotas


def make_rules(
    request: SelectionRequest, inputs: Artefacts, k: int, allowed: np.ndarray | None = None
) -> Rules:
    """The request's constraints, looked up in the source and checked.

    Parameters
    ----------
    request
        Its groups, near_duplicates, costs, cost_budget and quotas are read.
    inputs
        Where columns, labels and, for near duplicates, neighbours come from.
    k
        Images to keep.
    allowed
        (N,) bool, images that may be kept; None = all.

    Raises
    ------
    BadInput
        For columns and values that the source lacks.
    Missing
        For folders where images are not files.
    """
    unit = None
    if request.groups is not None:
        unit = np.unique(column(inputs, request.groups, "groups"), return_inverse=True)[1]
    twin = None
    if request.near_duplicates is not None:
        twin = families(inputs.neighbours, request.near_duplicates)
    if allowed is None:
        allowed = np.ones(len(inputs.dataset), bool)
    return Rules(
        unit,
        twin,
        None if request.costs is None else _costs(inputs.dataset, request.costs),
        np.inf if request.cost_budget is None else request.cost_budget,
        tuple(_quota(inputs, k, spec, allowed) for spec in request.quotas),
    )


def column(inputs: Artefacts, what: Any, noun: str) -> np.ndarray:
    """(N,) str values of "class", "cluster", "folder", a metadata column, or a given array."""
    dataset = inputs.dataset
    if not isinstance(what, str):
        values = np.asarray(what)
        if values.shape != (len(dataset),):
            raise BadInput(
                f"{noun} has shape {values.shape}; give one value for each of the {len(dataset)} "
                "images."
            )
        return values.astype(str)
    if what in dataset.columns:
        return np.asarray(dataset.columns[what]).astype(str)
    if what in ("class", "label"):
        labels = np.asarray(inputs.labels)
        names = np.array(
            [
                *dataset.classes,
                *map(str, range(len(dataset.classes), int(labels.max()) + 1)),
                "unknown",
            ]
        )
        named: np.ndarray = names[labels]
        return named
    if what in ("cluster", "pseudo_label"):
        return np.asarray(inputs.pseudo_labels.labels).astype(str)
    if what == "folder":
        if dataset.paths is None:
            raise Missing(
                f"{noun} by folder needs images that are files; {dataset.spec!r} has none."
            )
        return np.asarray(columns_of(inputs).column(what).texts())
    table = columns_of(inputs)
    if what in table:
        return np.asarray(table.column(what).texts())
    raise BadInput(f"{noun} by {what!r} is unknown; choose one of {_groupings(table)}.")


def _groupings(table: ColumnTable) -> str:
    """Names of the columns to balance or group by, the usual ones first."""
    names = table.names()
    usual = [name for name in ("class", "cluster", "folder") if name in names]
    others = [name for name in names if name not in (*usual, "id", "path")]
    shown = [*usual, *others][:_NAMED]
    return ", ".join(shown) + (", ..." if len(usual) + len(others) > _NAMED else "")


def families(neighbours: Neighbours, distance: float) -> np.ndarray:
    """(N,) int64: images linked by neighbours no farther apart than `distance` share a number."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rows, columns = np.nonzero((neighbours.distances <= distance) & (neighbours.indices >= 0))
    n = len(neighbours.indices)
    links = coo_matrix(
        (np.ones(len(rows), np.int8), (rows, neighbours.indices[rows, columns])), shape=(n, n)
    )
    return np.asarray(connected_components(links, directed=False)[1], np.int64)


def _costs(dataset: Dataset, costs: Any) -> np.ndarray:
    if isinstance(costs, str):
        if costs not in dataset.columns:
            known = ", ".join(dataset.columns) or "none"
            raise BadInput(f"costs names {costs!r}, which is not a column here; known: {known}.")
        costs = dataset.columns[costs]
    try:
        values = np.asarray(costs, np.float64)
    except (TypeError, ValueError):
        raise BadInput(
            "costs holds values that are not numbers; give a number per image."
        ) from None
    if values.shape != (len(dataset),) or not np.isfinite(values).all() or (values < 0).any():
        raise BadInput(f"costs must be {len(dataset)} finite numbers >= 0, one per image.")
    return values


def _quota(inputs: Artefacts, k: int, spec: QuotaSpec, allowed: np.ndarray) -> Quota:
    names, code = np.unique(column(inputs, spec.by, "quotas"), return_inverse=True)
    sizes = np.bincount(code, minlength=len(names)).astype(np.int64)
    least = np.zeros(len(names), np.int64)
    most = sizes.copy()
    if spec.spread:
        least[:] = most[:] = shares_of(sizes, k, spec.spread)
    by = spec.by if isinstance(spec.by, str) else "the values given"
    index_of = {str(name): at for at, name in enumerate(names)}
    if by == "folder" and inputs.dataset.paths is not None:  # by its whole path, too
        root = columns_of(inputs).column(by).root
        absolute = {os.path.normpath(root + name): at for name, at in index_of.items()}
        index_of = absolute | index_of
    usable = np.bincount(code[allowed], minlength=len(names))
    for bound, arrays in (
        (spec.at_least, (least,)),
        (spec.at_most, (most,)),
        (spec.counts, (least, most)),
    ):
        if isinstance(bound, int):  # of values with fewer images, all of them
            for array in arrays:
                array[:] = np.minimum(bound, usable)
            continue
        for value, number in bound or ():
            if value not in index_of:
                raise BadInput(
                    f"quota value {value!r} does not occur in {by!r}; known: "
                    f"{', '.join(names[:12])}."
                )
            for array in arrays:
                array[index_of[value]] = number
    return Quota(by, names.astype(object), code, least, most)


def shares_of(sizes: np.ndarray, k: int, how: str) -> np.ndarray:
    """(V,) int64 that sum to min(k, all).

    how: "equal" fills small ones and shares the rest, "proportional" goes by size.
    """
    sizes = np.asarray(sizes, np.int64)
    k = min(int(k), int(np.sum(sizes)))
    if how == "proportional":
        exact = sizes * k / max(1, sizes.sum())
        out: np.ndarray = np.floor(exact + 1e-9).astype(np.int64)
        out[np.argsort(-(exact - out), kind="stable")[: k - out.sum()]] += 1
        return out
    out = np.zeros(len(sizes), np.int64)
    left = k
    for turn, at in enumerate(np.argsort(sizes, kind="stable")):
        out[at] = min(sizes[at], left // (len(sizes) - turn))
        left -= out[at]
    return out


def check(rules: Rules, k: int, allowed: np.ndarray, budget: Budget = Budget(DEFAULT_RATE)) -> None:
    """Raise BadInput for the first conflict that can be seen before selecting.

    Parameters
    ----------
    rules
        From `make_rules`.
    k
        Images to keep.
    allowed
        (N,) bool, images that may be kept.
    budget
        How `k` was requested, so that the remedy names the rate or the count.
    """
    for quota in rules.quotas:
        have = np.bincount(quota.code[allowed], minlength=len(quota.names))
        short = np.flatnonzero(quota.least > have)
        if len(short):
            at = short[0]
            raise BadInput(
                f"the quota on {quota.by!r} asks for {quota.least[at]} of {quota.names[at]!r}, but "
                "only "
                f"{have[at]} are allowed; lower the quota or unblock images."
            )
        over = np.flatnonzero(quota.least > quota.most)
        if len(over):
            raise BadInput(
                f"the quota on {quota.names[over[0]]!r} asks for at least {quota.least[over[0]]} "
                "and at "
                f"most {quota.most[over[0]]}; change one of them."
            )
        if quota.least.sum() > k:
            raise BadInput(
                f"the quotas on {quota.by!r} ask for {quota.least.sum()} images, but only {k} are "
                "to be "
                f"kept; lower the quotas or {budget.keep_more}."
            )
        room = int(np.minimum(quota.most, have).sum())
        if room < k and rules.unit is None and rules.cost is None:
            raise BadInput(
                f"the quotas on {quota.by!r} allow at most {room} images, but {k} are to be kept; "
                "raise a "
                f"quota or {budget.keep_fewer}."
            )
    if rules.twin is not None and rules.unit is None and rules.cost is None:
        distinct = len(np.unique(rules.twin[allowed]))
        if distinct < k:
            raise BadInput(
                f"near-duplicates counted once leave {distinct} distinct images, but {k} are to be "
                "kept; "
                f"lower near_duplicates or {budget.keep_fewer}."
            )


def walk(
    order: Sequence[int], k: int, rules: Rules, forced: np.ndarray, allowed: np.ndarray
) -> np.ndarray:
    """(M,) int64, forced first: down `order`, every image or whole group that all rules admit.

    M < k only where whole groups or the budget leave no exact fit.

    Parameters
    ----------
    order
        Positions, best first; each at most once.
    k
        Images to keep.
    rules
        From `make_rules`; `check` has passed.
    forced
        (P,) int64 positions that are kept first, P <= k.
    allowed
        (N,) bool, images that may be kept.

    Raises
    ------
    BadInput
        When a quota stays unfilled.
    """
    state = _descend(order, k, rules, forced, allowed, quotas_first=False)
    if state.unfilled and (rules.unit is not None or rules.cost is not None):
        # Groups or costs used up the room that a quota needed: fill the quotas first, then go down
        # the order.
        again = _descend(order, k, rules, forced, allowed, quotas_first=True)
        state = state if again.unfilled else again
    state.finish()
    return np.array(state.kept, np.int64)


def _descend(
    order: Sequence[int],
    k: int,
    rules: Rules,
    forced: np.ndarray,
    allowed: np.ndarray,
    quotas_first: bool,
) -> _State:
    state = _State(k, rules, allowed)
    for i in forced:
        if not state.taken[i]:
            state.take(state.members(i), forced=True)
    for only_needed in (True, False) if quotas_first else (False,):
        for i in order:
            if state.count >= k:
                break
            if not state.taken[i] and allowed[i] and not (only_needed and not state.needs(i)):
                members = state.members(i)
                if state.fits(members):
                    state.take(members)
    return state


class _State:
    """The kept images so far, with the state of each constraint."""

    def __init__(self, k: int, rules: Rules, allowed: np.ndarray) -> None:
        self.k = k
        self.rules = rules
        self.allowed = allowed
        self.taken = np.zeros(len(allowed), bool)
        self.kept: list[int] = []
        self.count = 0
        self.spent = 0.0
        self.counts = [np.zeros(len(quota.names), np.int64) for quota in rules.quotas]
        self.seen: set[int] = set()
        self.by_unit: dict[int, list[int]] = {}
        if rules.unit is not None:
            for i, unit in enumerate(rules.unit.tolist()):
                self.by_unit.setdefault(unit, []).append(i)

    def members(self, i: int) -> list[int]:
        return [int(i)] if self.rules.unit is None else self.by_unit[int(self.rules.unit[i])]

    def fits(self, members: list[int]) -> bool:
        rules = self.rules
        after = self.count + len(members)
        if after > self.k or not self.allowed[members].all():
            return False
        if rules.cost is not None and self.spent + rules.cost[members].sum() > rules.budget * (
            1 + 1e-12
        ):
            return False
        if rules.twin is not None and any(int(rules.twin[i]) in self.seen for i in members):
            return False
        for quota, counts in zip(rules.quotas, self.counts):
            more = counts + np.bincount(quota.code[members], minlength=len(counts))
            if (more > quota.most).any() or np.maximum(
                quota.least - more, 0
            ).sum() > self.k - after:
                return False
        return True

    def take(self, members: list[int], forced: bool = False) -> None:
        rules = self.rules
        self.taken[members] = True
        self.kept += members
        self.count += len(members)
        if rules.cost is not None:
            self.spent += float(rules.cost[members].sum())
        if rules.twin is not None:
            self.seen.update(rules.twin[members].tolist())
        for quota, counts in zip(rules.quotas, self.counts):
            counts += np.bincount(quota.code[members], minlength=len(counts))
        if forced:
            self._check_forced(members)

    def _check_forced(self, members: list[int]) -> None:
        if self.count > self.k:
            raise BadInput(
                f"must_keep with its whole groups holds {self.count} images, but only {self.k} are "
                "to be "
                "kept; keep more images."
            )
        if not self.allowed[members].all():
            raise BadInput(
                "a group holds an image of must_keep and one of never; remove one of them."
            )
        if self.spent > self.rules.budget * (1 + 1e-12):
            raise BadInput(
                f"must_keep alone costs {self.spent:g}, more than the budget of "
                f"{self.rules.budget:g}."
            )
        for quota, counts in zip(self.rules.quotas, self.counts):
            if (counts > quota.most).any():
                at = int(np.argmax(counts > quota.most))
                raise BadInput(
                    f"must_keep has {counts[at]} of {quota.names[at]!r}, but the quota on "
                    f"{quota.by!r} "
                    f"allows {quota.most[at]}."
                )

    def needs(self, i: int) -> bool:
        """Whether image i brings a quota nearer to its lower bound."""
        return any(
            counts[quota.code[i]] < quota.least[quota.code[i]]
            for quota, counts in zip(self.rules.quotas, self.counts)
        )

    @property
    def unfilled(self) -> bool:
        return any(
            (counts < quota.least).any() for quota, counts in zip(self.rules.quotas, self.counts)
        )

    def finish(self) -> None:
        for quota, counts in zip(self.rules.quotas, self.counts):
            if (counts < quota.least).any():
                at = int(np.argmax(counts < quota.least))
                raise BadInput(
                    f"the quota on {quota.by!r} asks for {quota.least[at]} of {quota.names[at]!r}, "
                    "but the "
                    f"other constraints leave room for {counts[at]}; loosen one of them."
                )
        if self.count == 0:
            raise BadInput(
                f"no image fits: every group or cost exceeds the limit (k={self.k}, "
                f"budget={self.rules.budget:g})."
            )
        if self.count < self.k and self.rules.unit is None and self.rules.cost is None:
            raise BadInput(
                f"the constraints together leave room for {self.count} of the {self.k} images to "
                "keep; "
                "loosen a quota or near_duplicates, or keep fewer images."
            )
