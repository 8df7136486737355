"""The options that describe a selection, shared by every command that makes one."""

from __future__ import annotations

import csv
import functools
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coreset_engine.core.errors import BadInput
from coreset_engine.core.registry import DEFAULT_METHOD, METHODS

if TYPE_CHECKING:
    from coreset_engine.selection.request import SelectionRequest

_PANEL = "Selection"
# Files that list ids; anything else named by --must-keep or --never is an id itself.
_LISTS = {"", ".txt", ".csv", ".tsv", ".list", ".ids"}
_ID_COLUMNS = ("coreset_id", "id")
_OWN_OPTION = ("method", "prune_rate", "count", "beta", "n_neighbours")


def _option(help: str, *names: str) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=_PANEL)


_BETA = ", ".join(row.name for row in METHODS.values() if row.beta)
_ALPHA = ", ".join(row.name for row in METHODS.values() if row.alpha)


def _options(
    *,
    method: Annotated[str, _option("see `methods`")] = DEFAULT_METHOD,
    prune_rate: Annotated[
        float | None, _option("share removed, 0 <= p < 1; 0.9 without --count")
    ] = None,
    count: Annotated[int | None, _option("images to keep, in place of --prune-rate")] = None,
    beta: Annotated[float | None, _option(f"share dropped first as hardest ({_BETA})")] = None,
    n_neighbours: Annotated[int | None, _option(f"redundancy neighbours ({_ALPHA})")] = None,
    param: Annotated[
        list[str] | None, _option("NAME=VALUE of the method, repeatable", "--param")
    ] = None,
    must_keep: Annotated[
        list[str] | None,
        _option("an id, or a file of ids (one a line, or CSV with an id column); repeatable"),
    ] = None,
    never: Annotated[
        list[str] | None,
        _option("an id, or a file of ids, never kept; repeatable", "--never", "--exclude"),
    ] = None,
    quota: Annotated[
        list[str] | None,
        _option(
            "COLUMN=equal, COLUMN=proportional, COLUMN=N, or COLUMN:VALUE=N, where COLUMN is "
            "class, "
            "cluster, folder or a metadata column; repeatable"
        ),
    ] = None,
    at_least: Annotated[
        list[str] | None,
        _option("N of every cluster, or COLUMN=N of every value of a column; repeatable"),
    ] = None,
    group: Annotated[
        str | None, _option("column whose values are kept whole or not at all, or folder")
    ] = None,
    cost: Annotated[str | None, _option("column with each image's cost; needs --budget")] = None,
    budget: Annotated[float | None, _option("the most that all costs may come to")] = None,
    near_duplicates: Annotated[
        float | None, _option("cosine distance within which images count as one, e.g. 0.02")
    ] = None,
) -> None:
    """The options, as typer reads them from a signature."""


def with_selection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options above; its parameter `request` gets the `SelectionRequest`."""
    own = inspect.signature(command, eval_str=True)
    shared = inspect.signature(_options, eval_str=True).parameters

    @functools.wraps(command)
    def called(**values: Any) -> Any:
        chosen = {name: values.pop(name) for name in shared}
        return command(request=request_of(**chosen), **values)

    kept = [one for one in own.parameters.values() if one.name != "request"]
    kept = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in kept]
    parameters = [*kept, *shared.values()]
    called.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    del called.__wrapped__  # typer would look through it at the signature without options
    return called


def request_of(
    *,
    param: list[str] | None = None,
    must_keep: list[str] | None = None,
    never: list[str] | None = None,
    quota: list[str] | None = None,
    at_least: list[str] | None = None,
    group: str | None = None,
    cost: str | None = None,
    **values: Any,
) -> SelectionRequest:
    """The request that the options describe. Raises BadInput for what cannot be read."""
    from coreset_engine.selection.request import SelectionRequest

    named = {name: value for name, value in values.items() if value is not None}
    named |= dict(
        must_keep=ids_of(must_keep, "--must-keep") or None,
        never=ids_of(never, "--never") or None,
        quotas=quota or None,
        at_least=at_least or None,
        groups=group,
        costs=cost,
    )
    named = {name: value for name, value in named.items() if value is not None}
    own = params_of(param)
    for name in own:
        if name in _OWN_OPTION and (name not in ("beta", "n_neighbours") or name in named):
            option = f"--{name.replace('_', '-')}"
            raise BadInput(f"--param {name}={own[name]}: give it once, as {option} VALUE.")
        if name in named:
            raise BadInput(f"--param {name}={own[name]} repeats an option; give it once.")
    return SelectionRequest.of(**named, **own)


def params_of(items: Iterable[str] | None) -> dict[str, str]:
    """NAME=VALUE items as a mapping."""
    found = {}
    for item in items or ():
        name, equals, value = item.partition("=")
        if not equals:
            raise BadInput(
                f"--param {item!r} must read NAME=VALUE, for example --param exponent=4."
            )
        found[name.strip()] = value
    return found


def ids_of(values: list[str] | None, option: str) -> list[str]:
    """Ids given one by one or as files that list them."""
    return [name for value in values or () for name in _id_or_file(value, option)]


def _id_or_file(value: str, option: str) -> list[str]:
    path = Path(value).expanduser()
    if path.is_dir() and (path / "ids.txt").is_file():
        path = path / "ids.txt"  # a selection folder
    if path.suffix.lower() not in _LISTS or not path.is_file():
        return [value]
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as fault:
        raise BadInput(
            f"{option} {value!r} cannot be read as a list of ids ({fault}); give UTF-8 text."
        ) from None
    lines = text.splitlines()
    if path.suffix.lower() in (".csv", ".tsv") and lines:
        return _id_column(lines, value, option)
    return [line.strip() for line in lines if line.strip()]


def _id_column(lines: list[str], value: str, option: str) -> list[str]:
    delimiter = max(",;\t", key=lines[0].count)
    rows = list(csv.DictReader(lines, delimiter=delimiter))
    columns = [name for name in _ID_COLUMNS if rows and name in rows[0]]
    if not columns:
        raise BadInput(
            f"{option} {value!r} has no column {' or '.join(_ID_COLUMNS)}; name one so, or give "
            "one "
            "id a line in a .txt file."
        )
    return [row[columns[0]] for row in rows if row[columns[0]]]
