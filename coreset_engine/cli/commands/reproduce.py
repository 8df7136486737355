"""The verb `reproduce TABLE [SOURCE]`: a paper's table measured again, its figures beside ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from coreset_engine.cli import options
from coreset_engine.cli.commands.evaluate import write
from coreset_engine.core.errors import BadInput

Table = Annotated[str, typer.Argument(help="a table's name, such as elfs-1-cifar10, or list")]
Source = Annotated[
    str,
    typer.Argument(
        help="the table's data: a folder of class folders, a built-in name, vectors.npy"
    ),
]
Seeds = Annotated[int, typer.Option(help="runs a cell is averaged over; 0 = as the paper")]
Rates = Annotated[str, typer.Option(help="some of the table's pruning rates, comma between")]
Rows = Annotated[str, typer.Option(help="some of the table's rows by label, comma between")]
Small = Annotated[
    bool,
    typer.Option(
        "--small",
        help="the same protocol with this run's encoder and proxy and a linear model, on any data",
    ),
]
Out = Annotated[Path | None, typer.Option("--out", help="write the cells to this file, as JSON")]
Json = Annotated[bool, typer.Option("--json", help="print for machines")]


@options.with_run_settings(exclude=("recipe",))
def reproduce(
    table: Table,
    settings: options.RunSettings,
    source: Source = "",
    seeds: Seeds = 0,
    prune_rates: Rates = "",
    rows: Rows = "",
    small: Small = False,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """A paper's table, measured again cell by cell; resumable. `reproduce list` names them."""
    from coreset_engine.evaluation.published_tables import find_table

    if table == "list":
        _print_list(as_json)
        return
    found = _measure(find_table(table), settings, source, seeds, prune_rates, rows, small)
    if out is not None:
        write(out, json.dumps(found, indent=1, default=str) + "\n")
    print(json.dumps(found, default=str) if as_json else "\n".join(lines(found)))


def _measure(
    table: Any,
    settings: options.RunSettings,
    source: str,
    seeds: int,
    prune_rates: str,
    rows: str,
    small: bool,
) -> dict[str, Any]:
    from coreset_engine.core.device import resolve_device
    from coreset_engine.evaluation.reproduce import Reproduction, needs
    from coreset_engine.evaluation.reproduce import reproduce as measure

    if seeds < 0:
        raise BadInput(f"--seeds {seeds} must be 0 (as the paper) or more.")
    wanted = Reproduction(
        table,
        seeds or table.seeds,
        tuple(_rate(word) for word in _words(prune_rates)),
        tuple(_words(rows)),
        small,
    )
    need = needs(table, wanted.seeds)
    if not source:
        raise BadInput(f"{need}; give that data as a folder, or --small with any source.")
    if not small and settings.config.device == "auto" and resolve_device() == "cpu":
        raise BadInput(
            f"{need}, and there is no GPU here; add --small, or --device cpu to go on all the same."
        )
    run = options.open_run(source, settings)
    tick = run.tick("reproduce")

    def tell(done: int, total: int, cells: list[dict[str, Any]]) -> None:
        tick(done, total, "trainings")

    return measure(run, wanted, tell)


def lines(found: dict[str, Any]) -> list[str]:
    """The table for a person: at each rate the paper's figure, ours with its standard error, n."""
    what = "a linear model on this run's vectors" if found["small"] else found["model"]
    out = [
        f"{found['source']}: {found['title']}",
        f"here: {found['dataset']}, {what}"
        + ("; the paper's protocol in small, not its figures" if found["small"] else ""),
        f"{'row':26} {'removed':>8} {'kept':>8} {'paper':>7} {'here':>7} {'s.e.':>6} {'n':>3} "
        f"{'here - paper':>13}",
        _line("All images", 0.0, found["full"] | {"k": None}),
    ]
    out += [_line(cell["row"], cell["prune_rate"], cell) for cell in found["cells"]]
    return out + ([f"note: {found['note']}"] if found["note"] else [])


def _line(label: str, rate: float, cell: dict[str, Any]) -> str:
    start = f"{label:26} {rate:8.1%}"
    if cell["mean"] is None:
        return f"{start} {'':8} {cell['paper']:7.2f} {cell.get('error', '')}"
    kept = "" if cell.get("k") is None else f"{cell['k']:,}"
    error = "-" if cell["standard_error"] is None else f"{cell['standard_error']:.2f}"
    return (
        f"{start} {kept:>8} {cell['paper']:7.2f} {cell['mean']:7.2f} {error:>6} {cell['n']:3} "
        f"{cell['mean'] - cell['paper']:+13.2f}"
    )


def _print_list(as_json: bool) -> None:
    from coreset_engine.evaluation.published_tables import TABLES

    if as_json:
        about = {
            name: dict(title=one.title, source=one.source, dataset=one.dataset, model=one.model)
            for name, one in TABLES.items()
        }
        print(json.dumps(about))
        return
    for name, one in TABLES.items():
        print(f"{name:22} {one.source}: {one.title} ({one.model}, {one.trainings:,} trainings)")


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _rate(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise BadInput(f"prune rate {word!r} must be a number, for example 0.9.") from None
