"""Arguments and options that several commands share, and the run they describe."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from coreset_engine.cli.progress import ProgressBar
from coreset_engine.cli.recipe_options import take_recipe
from coreset_engine.cli.source_options import report_source
from coreset_engine.cli.stage_params import take_stage_params
from coreset_engine.core.errors import BadInput
from coreset_engine.pipeline.config import RunConfig

if TYPE_CHECKING:
    from coreset_engine.pipeline.run import Run

Source = Annotated[
    str,
    typer.Argument(
        help="demo, fashion-mnist, a folder, vectors.npy, fiftyone:NAME, tars or "
        "Parquet ('DIR/*.tar', 'DIR/*.parquet#id=COLUMN'), a URL (s3://BUCKET/DIR)"
    ),
]
Rate = Annotated[float, typer.Option(help="share removed, 0 <= p < 1")]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Images = Annotated[
    str, typer.Option("--images", help="current folder of the source's images, if it was moved")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="replace a selection that is in --out")
]


@dataclass(frozen=True)
class RunSettings:
    """What the shared options say of a run: its settings, and the cluster that computes it."""

    config: RunConfig
    cluster: str | None = None


def with_run_settings(
    *, config_type: type[RunConfig] = RunConfig, exclude: Collection[str] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command one option for each setting of a run, and `--set` and `--cluster`.

    Parameters
    ----------
    config_type
        The record whose fields become options.
    exclude
        Fields without an option here, because the command has one of the same name.

    Returns
    -------
    Callable
        A decorator. The command's parameter `settings` gets a `RunSettings`.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own = inspect.signature(command, eval_str=True)
        shared = _setting_parameters(config_type, exclude)
        names = {parameter.name: parameter.name.removeprefix(_PREFIX) for parameter in shared}

        @functools.wraps(command)
        def called(**values: Any) -> Any:
            context = values.pop(_CONTEXT)
            chosen = {name: values.pop(parameter) for parameter, name in names.items()}
            items = chosen.pop("set") or ()
            cluster = chosen.pop("cluster")
            if chosen.get("recipe"):
                take_recipe(chosen["recipe"], values)
            typed = {name: one for name, one in chosen.items() if _was_typed(context, name)}
            config = config_type.from_record(typed).with_set(items)
            config = take_stage_params(config, values)
            return command(settings=RunSettings(config, cluster), **values)

        kept = [one for one in own.parameters.values() if one.name != "settings"]
        kept = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in kept]
        parameters = [_context_parameter(), *kept, *shared]
        called.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        called.__annotations__ = {one.name: one.annotation for one in parameters}
        del called.__wrapped__  # typer would look through it at the signature without options
        return called

    return decorate


_PREFIX = "run_setting_"  # keeps the derived parameters apart from a command's own
_CONTEXT = "run_context"
_PANEL = "Run settings"


def _setting_parameters(
    config_type: type[RunConfig], exclude: Collection[str]
) -> list[inspect.Parameter]:
    """Keyword-only parameters, annotated for typer."""
    kinds = get_type_hints(config_type)
    parameters = []
    for field in dataclasses.fields(config_type):
        flag = field.metadata.get("flag", "")
        if flag is None or field.name in exclude:
            continue
        option = typer.Option(
            flag or f"--{field.name.replace('_', '-')}",
            help=field.metadata.get("help", ""),
            rich_help_panel=_PANEL,
        )
        parameters.append(
            _parameter(field.name, Annotated[kinds[field.name], option], field.default)
        )
    group = typer.Option(
        "--set",
        help="GROUP.NAME=VALUE of a part, repeatable: temi.preset=paper, mlp.epochs=40, "
        "dynamics.margin=probability, coverage.exponent=4",
        rich_help_panel=_PANEL,
    )
    where = typer.Option(
        "--cluster",
        envvar="RAY_ADDRESS",
        help="address of a Ray cluster, or local; needs the package ray",
        rich_help_panel=_PANEL,
    )
    return [
        *parameters,
        _parameter("set", Annotated[list[str] | None, group], None),
        _parameter("cluster", Annotated[str | None, where], None),
    ]


def _context_parameter() -> inspect.Parameter:
    """The command's context, which knows what was typed and what is a default."""
    return inspect.Parameter(_CONTEXT, inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)


def _was_typed(context: typer.Context, name: str) -> bool:
    """Whether the option of a setting was typed (or is set by a variable of the environment)."""
    source = context.get_parameter_source(_PREFIX + name)
    return source is not None and source.name != "DEFAULT"


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        _PREFIX + name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default
    )


def open_run(source: str, settings: RunSettings) -> Run:
    """The run of a command, with its progress on stderr; says what of the source was skipped."""
    from coreset_engine.core.device import resolve_device
    from coreset_engine.pipeline.executor import make_executor
    from coreset_engine.pipeline.run import Run

    if settings.config.device != "auto":
        resolve_device(settings.config.device)  # before anything is read
    bar = ProgressBar()
    executor = make_executor(settings.cluster)

    def opening(done: int, total: int, unit: str = "") -> None:
        bar("opening", done, total, unit)

    dataset = executor.open_source(source, opening)
    report_source(dataset)
    return Run(dataset, settings.config, executor, progress=bar)


def params_of(values: list[str] | None, **named: Any) -> dict[str, Any]:
    params = {name: value for name, value in named.items() if value is not None}
    for item in values or ():
        name, equals, value = item.partition("=")
        if not equals:
            raise BadInput(
                f"--param {item!r} must read NAME=VALUE, for example --param n_neighbours=100."
            )
        params[name] = value
    return params


def print_record(value: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(value, default=str))
        return
    for name, entry in value.items():
        print(f"{name:>14}  {entry}")
