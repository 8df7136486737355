"""The options that describe a selection, shared by every command that makes one."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coreset_engine.core.errors import BadInput
from coreset_engine.core.registry import DEFAULT_METHOD, METHODS, load, look_up

if TYPE_CHECKING:
    from coreset_engine.selection.request import SelectionRequest

_PANEL = "Selection"
_OWN_OPTION = ("method", "prune_rate", "count", "beta", "n_neighbours")


def _option(help: str, *names: str) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=_PANEL)


_BETA = ", ".join(row.name for row in METHODS.values() if row.beta)
_ALPHA = ", ".join(row.name for row in METHODS.values() if row.alpha)


def _options(  # noqa: PLR0913
    *,
    method: Annotated[str, _option("see `methods`")] = DEFAULT_METHOD,
    prune_rate: Annotated[
        float | None, _option("share removed, 0 <= p < 1; 0.9 without --count")
    ] = None,
    count: Annotated[int | None, _option("images to keep, instead of --prune-rate")] = None,
    beta: Annotated[
        str | None,
        _option(f"share dropped first as hardest, or auto: by the forecast ({_BETA})"),
    ] = None,
    n_neighbours: Annotated[
        str | None, _option(f"redundancy neighbours, or auto: by the forecast ({_ALPHA})")
    ] = None,
    param: Annotated[
        list[str] | None,
        _option(
            "NAME=VALUE of the method (METHOD.NAME=VALUE of one of several), repeatable", "--param"
        ),
    ] = None,
    must_keep: Annotated[
        list[str] | None,
        _option(
            "an id, path or file name, or a list: a text file, table, selection folder or folder "
            "of images; repeatable"
        ),
    ] = None,
    never: Annotated[
        list[str] | None,
        _option("images never to keep, given like --must-keep; repeatable", "--never", "--exclude"),
    ] = None,
    quota: Annotated[
        list[str] | None,
        _option(
            "COLUMN=equal, COLUMN=proportional, COLUMN=N, or COLUMN:VALUE=N, where COLUMN is "
            "class, cluster, folder or a metadata column; repeatable"
        ),
    ] = None,
    at_least: Annotated[
        list[str] | None,
        _option("at least N of every cluster, or COLUMN=N of every value of a column; repeatable"),
    ] = None,
    group: Annotated[
        str | None, _option("column (or folder) whose groups are kept whole or not at all")
    ] = None,
    cost: Annotated[str | None, _option("column with each image's cost; needs --budget")] = None,
    budget: Annotated[float | None, _option("upper limit on the total cost")] = None,
    beyond: Annotated[
        str | None,
        _option("another source that counts as already kept: choose what it lacks"),
    ] = None,
    near_duplicates: Annotated[
        float | None, _option("cosine distance within which images count as one, e.g. 0.02")
    ] = None,
    where: Annotated[
        str | None,
        _option('only images that match a filter, e.g. "time=night and width>=512"; see `columns`'),
    ] = None,
) -> None:
    """The options, as typer reads them from a signature."""


def with_selection_options(
    command: Callable[..., Any], method: str = DEFAULT_METHOD
) -> Callable[..., Any]:
    """Give a command the options above; its parameter `request` gets the `SelectionRequest`.

    method: what --method is where it is not given.
    """
    made = _with_options(command, "request", request_of, exclude=())
    signature = inspect.signature(made)
    parameters = [
        one.replace(default=method) if one.name == "method" else one
        for one in signature.parameters.values()
    ]
    made.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return made


def with_options_of_methods(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options above for a command that takes several methods, rates and counts of its own.

    Its parameter `selections` gets a `Selections`.
    """
    own = ("method", "prune_rate", "count")
    return _with_options(command, "selections", selections_of, exclude=own)


def _with_options(
    command: Callable[..., Any], name: str, made_of: Callable[..., Any], exclude: Collection[str]
) -> Callable[..., Any]:
    own = inspect.signature(command, eval_str=True)
    options = inspect.signature(_options, eval_str=True).parameters
    shared = {option: options[option] for option in options if option not in exclude}

    @functools.wraps(command)
    def called(**values: Any) -> Any:
        chosen = {option: values.pop(option) for option in shared}
        return command(**{name: made_of(**chosen)}, **values)

    kept = [one for one in own.parameters.values() if one.name != name]
    kept = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in kept]
    parameters = [*kept, *shared.values()]
    called.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    del called.__wrapped__  # typer would look through it at the signature without options
    return called


@dataclass(frozen=True)
class Selections:
    """What the options say of several methods: parameters, and constraints that bind them all.

    Attributes
    ----------
    params : tuple of (method or "", name, value)
        "" = of every method that has such a parameter.
    constraints : mapping
        Keywords of `SelectionRequest.of`.
    """

    params: tuple[tuple[str, str, Any], ...] = ()
    constraints: Mapping[str, Any] = field(default_factory=dict)

    def params_by_method(self, methods: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Method -> its parameters. Raises BadInput for one that none of the methods has."""
        names = list(dict.fromkeys(look_up(METHODS, name, "method").name for name in methods))
        by_method: dict[str, dict[str, Any]] = {name: {} for name in names}
        for owner, param, value in self.params:
            taken = [
                name
                for name in names
                if not owner or look_up(METHODS, owner, "method").name == name
            ]
            taken = [name for name in taken if param in _knobs_of(name)]
            if not taken:
                whose = f"{owner}.{param}" if owner else param
                known = "; ".join(
                    f"{name}: {', '.join(_knobs_of(name)) or 'none'}" for name in names
                )
                raise BadInput(f"--param {whose}={value}: no such parameter; known are {known}.")
            for name in taken:
                by_method[name][param] = value
        return {name: params for name, params in by_method.items() if params}


def _knobs_of(method: str) -> list[str]:
    return [one.name for one in dataclasses.fields(load(METHODS[method].config))]


def selections_of(
    *,
    param: list[str] | None = None,
    beta: float | None = None,
    n_neighbours: int | None = None,
    **constraints: Any,
) -> Selections:
    """What the options describe; NAME=VALUE or METHOD.NAME=VALUE of `--param`."""
    selections: list[tuple[str, str, Any]] = []
    for name, value in params_of(param).items():
        owner, _, knob = name.rpartition(".")
        selections.append((owner, knob, value))
    names = {name for _, name, _ in selections}
    for name, number in (("beta", beta), ("n_neighbours", n_neighbours)):
        if number is None:
            continue
        if name in names:
            raise BadInput(f"--param {name} repeats --{name.replace('_', '-')}; give it once.")
        selections.append(("", name, number))
    return Selections(tuple(selections), _constraints(**constraints))


def request_of(*, param: list[str] | None = None, **values: Any) -> SelectionRequest:
    """The request that the options describe.

    Parameters
    ----------
    param
        Items of --param, NAME=VALUE.
    **values
        The other options by their names in `_options`; None = not given.

    Raises
    ------
    BadInput
        For what cannot be read, and for what is given twice.
    """
    from coreset_engine.selection.request import SelectionRequest

    named = _constraints(**values)
    if "beyond" in named and named.get("method") == DEFAULT_METHOD:
        named["method"] = "k_center"
    own = params_of(param)
    for name in own:
        if name in _OWN_OPTION and (name not in ("beta", "n_neighbours") or name in named):
            option = f"--{name.replace('_', '-')}"
            raise BadInput(f"--param {name}={own[name]}: give it once, as {option} VALUE.")
        if name in named:
            raise BadInput(f"--param {name}={own[name]} repeats an option; give it once.")
    return SelectionRequest.of(**named, **own)


def _constraints(
    *,
    must_keep: list[str] | None = None,
    never: list[str] | None = None,
    quota: list[str] | None = None,
    at_least: list[str] | None = None,
    group: str | None = None,
    cost: str | None = None,
    **values: Any,
) -> dict[str, Any]:
    """Keywords of `SelectionRequest.of` for the constraints that are given."""
    named = values | dict(
        must_keep=ids_of(must_keep, "--must-keep") or None,
        never=ids_of(never, "--never") or None,
        quotas=quota or None,
        at_least=at_least or None,
        groups=group,
        costs=cost,
    )
    return {name: value for name, value in named.items() if value is not None}


def params_of(items: Iterable[str] | None) -> dict[str, str]:
    """NAME=VALUE items as a mapping."""
    params = {}
    for item in items or ():
        name, equals, value = item.partition("=")
        if not equals:
            raise BadInput(
                f"--param {item!r} must read NAME=VALUE, for example --param n_neighbours=100."
            )
        params[name.strip()] = value
    return params


def ids_of(values: list[str] | None, option: str) -> list[str]:
    """Names of images given one by one or as lists, see `sources.image_names.listed_names`."""
    from coreset_engine.sources.image_names import listed_names

    return [name for value in values or () for name in listed_names(value, option)]
