"""A selection request as one frozen record: method, budget, parameters, constraints.

The pages, the command line, notebooks, the FiftyOne plugin, jobs and manifests all describe a
selection by a `SelectionRequest` and hand it to one `select`. It is checked and converted when it
is made (strings from a shell, JSON from a manifest), it is hashable, so that caches can be keyed by
it, and `as_json` / `from_json` bring it through a file.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from coreset_engine.core.config import make
from coreset_engine.core.errors import BadInput
from coreset_engine.core.filters import Filter, filter_of
from coreset_engine.core.registry import METHODS, load, look_up
from coreset_engine.selection.budget import DEFAULT_RATE, Budget

SPREADS = ("equal", "proportional")
Bound = int | tuple[tuple[str, int], ...]  # the same for every value, or (value, number) pairs
Column = str | tuple[Any, ...]  # a column's name, or one value per image

FARTHEST = 2.0  # the largest cosine distance there is


# Settings of the stages before a selection, by group: named by those who look for them here.
STAGE_SETTINGS = {
    "coverage": "coreset_engine.coverage.config:CoverageConfig",
    "dynamics": "coreset_engine.training.config:DynamicsConfig",
    "temi": "coreset_engine.clustering.config:TemiConfig",
}


def _names(config: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(config)}


def _stage_hint(name: str, value: Any) -> str:
    """Where a stage's setting is given; "" for a name that no stage knows."""
    if name == "n_samples":
        return "It is a setting of the run: --n-samples, in Python Run(..., n_samples=...)."
    for group, path in STAGE_SETTINGS.items():
        if name in _names(load(path)):
            field = "clusterer_settings" if group == "temi" else group
            return (
                f"It is a setting of the run: --set {group}.{name}={value}, in Python "
                f"Run(..., {field}={{{name!r}: ...}})."
            )
    return ""


@dataclass(frozen=True)
class QuotaSpec:
    """Bounds on how many images of each value of a column are kept.

    Parameters
    ----------
    by : str or (N,) values
        "class", "cluster", "folder", a metadata column, or one value per image.
    counts, at_least, at_most : int, mapping of value to int, or None
        Exact numbers and bounds; a single number holds for every value that has so many images.
    spread : str
        "equal" or "proportional": the whole budget shared over all values; "" = not.
    """

    by: Column
    counts: Bound | None = None
    at_least: Bound | None = None
    at_most: Bound | None = None
    spread: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "by", _column(self.by, "quotas"))
        for name in ("counts", "at_least", "at_most"):
            object.__setattr__(self, name, _bound(getattr(self, name)))
        if self.spread and self.spread not in SPREADS:
            raise BadInput(
                f"spread={self.spread!r} is not supported; choose equal or proportional."
            )

    @classmethod
    def parse(cls, text: str) -> QuotaSpec:
        """From a shell: "class=equal", "cluster=10", "class:cat=10"."""
        left, equals, right = text.rpartition("=")
        by, _, value = left.partition(":")
        right = right.strip()
        if equals and by and right in SPREADS and not value:
            return cls(by, spread=right)
        if equals and by and right.isdecimal():
            return cls(by, counts={value: int(right)} if value else int(right))  # type: ignore[arg-type]
        raise BadInput(
            f"quota {text!r} must read COLUMN=equal, COLUMN=proportional, COLUMN=N or "
            "COLUMN:VALUE=N, for example class=equal."
        )

    @classmethod
    def of(cls, value: Any) -> QuotaSpec:
        """From a mapping with "by" and bounds, a shell's text, or a spec."""
        if isinstance(value, QuotaSpec):
            return value
        if isinstance(value, str):
            return cls.parse(value)
        known = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(value, Mapping) or set(value) - known or "by" not in value:
            got = sorted(map(str, value)) if isinstance(value, Mapping) else value
            raise BadInput(
                f"a quota has 'by' and any of counts, at_least, at_most, spread; got {got}."
            )
        return cls(**{str(name): part for name, part in value.items()})

    def as_json(self) -> dict[str, Any]:
        """As `of` reads it back."""
        record: dict[str, Any] = {"by": _listed(self.by)}
        for name in ("counts", "at_least", "at_most"):
            bound = getattr(self, name)
            if bound is not None:
                record[name] = dict(bound) if isinstance(bound, tuple) else bound
        return record | ({"spread": self.spread} if self.spread else {})


@dataclass(frozen=True)
class SelectionRequest:
    """One selection to make; loosely typed values are converted on construction.

    Parameters
    ----------
    method : str
        A name or alias in the METHODS registry.
    budget : Budget
        How much is kept, as a pruning rate or a count.
    params : mapping, or pairs
        The method's own parameters; converted by the types and bounds of its config.
    must_keep, never : ids
        One id, or several; a JSON list of strings is read as such.
    quotas : mapping, "class=equal", QuotaSpec, or several
        See `QuotaSpec`.
    groups : str or (N,) values
        Images with the same value are kept together or not at all.
    costs : str or (N,) float
        A column's name, or a number >= 0 per image; needs `cost_budget`, the most all may cost.
    near_duplicates : float
        Cosine distance >= 0 within which images (chained) count as one.
    seed : int or None
        Seed of what the method draws; None = the run's.
    where : Filter, its text, or None
        Only images that pass take part, and a pruning rate is a share of these; must_keep images
        stay whether they pass or not.
    beyond : str
        Spec of another source that counts as kept already: what it lacks is chosen. "" = none.

    Raises
    ------
    BadInput
        With value, constraint and remedy, for anything that cannot be read.
    """

    method: str
    budget: Budget = Budget(DEFAULT_RATE)
    params: tuple[tuple[str, Any], ...] = ()
    must_keep: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    quotas: tuple[QuotaSpec, ...] = ()
    groups: Column | None = None
    costs: Column | None = None
    cost_budget: float | None = None
    near_duplicates: float | None = None
    seed: int | None = None
    where: Filter | None = None
    beyond: str = ""

    def __post_init__(self) -> None:
        values: dict[str, Any] = dict(
            method=look_up(METHODS, self.method, "method").name,
            must_keep=id_list(self.must_keep, "must_keep"),
            never=id_list(self.never, "never"),
            quotas=_quotas(self.quotas),
            groups=None if self.groups is None else _column(self.groups, "groups"),
            costs=None if self.costs is None else _column(self.costs, "costs"),
            cost_budget=_number(self.cost_budget, "budget", 100),
            near_duplicates=_number(self.near_duplicates, "near_duplicates", 0.02),
            seed=_seed(self.seed),
            where=filter_of(self.where),
            beyond=_beyond(self.beyond, self.method),
        )
        for name, value in values.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "params", self._converted(dict(self.params)))
        if (self.costs is None) != (self.cost_budget is None):
            raise BadInput(
                "costs and budget need each other; give a cost per image and the total budget."
            )

    def _converted(self, params: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
        kind = load(METHODS[self.method].config)
        try:
            config = make(kind, params)
        except BadInput as error:
            hints = [_stage_hint(name, params[name]) for name in sorted(set(params) - _names(kind))]
            raise BadInput(" ".join([str(error), *filter(None, hints)])) from None
        return tuple((name, getattr(config, name)) for name in sorted(params))

    @property
    def config(self) -> Any:
        """The method's config with the parameters set."""
        return make(load(METHODS[self.method].config), dict(self.params))

    @property
    def constrained(self) -> bool:
        """Whether anything but the budget and the pins limits what is kept."""
        limits = (self.groups, self.costs, self.near_duplicates, self.where)
        return bool(self.quotas) or any(limit is not None for limit in limits)

    def as_json(self) -> dict[str, Any]:
        """Plain values that `from_json` reads back; unset fields are omitted."""
        rate = self.budget.prune_rate
        budget = {"count": self.budget.count} if rate is None else {"prune_rate": rate}
        return {"method": self.method, **budget, "params": dict(self.params)} | self.constraints()

    def constraints(self) -> dict[str, Any]:
        """Seed, pins and constraints that are set, as plain values under the names `of` takes."""
        quotas = [quota.as_json() for quota in self.quotas]
        arguments: dict[str, Any] = dict(
            seed=self.seed,
            must_keep=list(self.must_keep) or None,
            never=list(self.never) or None,
            quotas=(quotas[0] if len(quotas) == 1 else quotas) or None,
            groups=_listed(self.groups),
            costs=_listed(self.costs),
            budget=self.cost_budget,
            near_duplicates=self.near_duplicates,
            where=None if self.where is None else self.where.text,
            beyond=self.beyond or None,
        )
        return {name: value for name, value in arguments.items() if value is not None}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> SelectionRequest:
        """The request that `as_json` wrote."""
        values = dict(value)
        return cls.of(values.pop("method"), **(values.pop("params", None) or {}), **values)

    @classmethod
    def of(
        cls,
        method: str,
        prune_rate: Any = None,
        count: Any = None,
        *,
        budget: Any = None,
        at_least: Any = None,
        quotas: Any = None,
        **values: Any,
    ) -> SelectionRequest:
        """From keywords as notebooks, shells and manifests write them.

        Parameters
        ----------
        method : str
            A row of METHODS, or an alias.
        prune_rate : float, optional
            Share removed, 0 <= p < 1; 0.9 where neither rate nor count is given.
        count : int, optional
            Images to keep, >= 1, instead of a rate.
        budget : float, optional
            The most that all `costs` together may come to.
        at_least : int or str, optional
            N or "COLUMN=N", so many of every cluster (or value of the column).
        quotas : str, mapping or sequence, optional
            "COLUMN=equal", "COLUMN=proportional", "COLUMN=N", "COLUMN:VALUE=N".
        **values
            Other fields; keywords that are no field are the method's parameters.

        Raises
        ------
        BadInput
            For an unknown method or parameter, a value out of bounds, or a rate beside a count.
        """
        if prune_rate is None and count is None:
            prune_rate = DEFAULT_RATE
        own = {field.name for field in dataclasses.fields(cls)} - {"method", "budget", "params"}
        known = {name: value for name, value in values.items() if name in own}
        params = {name: value for name, value in values.items() if name not in own}
        return cls(
            method=method,
            budget=Budget(prune_rate, count),
            params=tuple(params.items()),
            quotas=(*_quotas(quotas), *_at_least(at_least)),
            **{"cost_budget": budget, **known},
        )

    @classmethod
    def from_manifest(cls, method: str, params: Mapping[str, Any]) -> SelectionRequest:
        """From the "method" and "params" of a selection's manifest."""
        values = dict(params)
        if values.get("count") is not None:
            values.pop("prune_rate", None)  # beside a count it is the rate in effect
        return cls.of(method, **values)


def id_list(value: Any, name: str) -> tuple[str, ...]:
    """Distinct ids in order, from one id, several, or a JSON list of strings."""
    if value is None:
        return ()
    if isinstance(value, str | os.PathLike):
        text = os.fspath(value)
        listed = _json(text) if str(text)[:1] in ("[", "{") else None
        if isinstance(listed, Mapping):
            raise BadInput(f'{name} is a JSON object; give a JSON list of ids, like ["a.png"].')
        is_list = isinstance(listed, list) and all(isinstance(item, str) for item in listed)
        own = [text] if text else []
        value = listed if is_list else own
    if isinstance(value, Mapping):
        raise BadInput(f"{name} is a mapping; it must be an id or a list of ids, like ['a.png'].")
    if not isinstance(value, Iterable):
        raise BadInput(f"{name}={value!r} must be an id or a list of ids, for example ['a.png'].")
    return tuple(dict.fromkeys(str(item) for item in value))


def _quotas(value: Any) -> tuple[QuotaSpec, ...]:
    if isinstance(value, str):
        text = value.strip()
        value = _json(text) if text[:1] in ("{", "[") else text
        if value is None:
            raise BadInput(f"quotas={text!r} is no JSON; write it like class=equal.")
    if not value:
        return ()
    many = [value] if isinstance(value, str | Mapping | QuotaSpec) else value
    if not isinstance(many, Iterable):
        raise BadInput(f"quotas={value!r} must be a quota or a list of them, like class=equal.")
    return tuple(QuotaSpec.of(one) for one in many)


def _at_least(value: Any) -> tuple[QuotaSpec, ...]:
    if value is None or value == ():
        return ()
    if isinstance(value, list | tuple):
        return tuple(spec for one in value for spec in _at_least(one))
    by, _, number = str(value).rpartition("=")
    if not number.strip().isdecimal():
        raise BadInput(
            f"at_least={value!r} must read N or COLUMN=N, for example 5 (of every cluster) or "
            "class=5."
        )
    return (QuotaSpec(by or "cluster", at_least=int(number)),)


def _bound(value: Any) -> Bound | None:
    if value is None or isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    pairs = value.items() if isinstance(value, Mapping) else value
    if not isinstance(pairs, Iterable) or isinstance(pairs, str):
        raise BadInput(f"a quota of {value!r} must be a whole number >= 0 or a mapping of them.")
    return tuple((str(name), _bound_number(name, number)) for name, number in pairs)


def _bound_number(name: Any, number: Any) -> int:
    try:
        converted = int(number)
    except (TypeError, ValueError):
        converted = -1
    if converted != number or converted < 0:
        raise BadInput(f"quota {name!r}: {number} must be a whole number >= 0.")
    return converted


def _column(value: Any, name: str) -> Column:
    if isinstance(value, str):
        if not value:
            raise BadInput(f"{name} is not a column; give class, cluster, folder or a column.")
        return value
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, Iterable):
        raise BadInput(f"{name}={value!r} must be a column's name or one value per image.")
    return tuple(value)


def _number(value: Any, name: str, example: float) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    is_distance = name == "near_duplicates"
    if not (math.isfinite(number) and number >= 0) or is_distance and number > FARTHEST:
        what = "a distance of at least 0 and at most 2" if is_distance else "a finite number >= 0"
        raise BadInput(f"{name}={value} must be {what}, for example {example:g}.")
    return number


def _beyond(value: Any, method: str) -> str:
    """The spec of `beyond`, with a method that can count another source as kept."""
    if not value:
        return ""
    if not isinstance(value, str | os.PathLike):
        raise BadInput(f"beyond={value!r} must name a source, for example '/data/last-month'.")
    row = look_up(METHODS, method, "method")
    if not row.counts_other_sources:
        able = ", ".join(one.name for one in METHODS.values() if one.counts_other_sources)
        raise BadInput(
            f"method {row.name!r} cannot count another source as kept already; with beyond choose "
            f"one of {able}."
        )
    return os.fspath(value)


def _seed(value: Any) -> int | None:
    if value is None:
        return None
    try:
        return int(value)
    except (TypeError, ValueError):
        raise BadInput(f"seed={value!r} must be a whole number, for example 0.") from None


def _listed(value: Column | None) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
