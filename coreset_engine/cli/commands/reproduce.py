"""The verb `reproduce TABLE [SOURCE]`: a paper's table measured again, its figures beside ours."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from coreset_engine.cli import options
from coreset_engine.cli.commands.evaluate import write_text
from coreset_engine.cli.source_options import with_source_options
from coreset_engine.core.errors import BadInput

if TYPE_CHECKING:
    from coreset_engine.evaluation.paper_table import PaperTable
    from coreset_engine.evaluation.reproduce import Reproduction
    from coreset_engine.evaluation.stage_tables import StageReproduction, StageTable

Table = Annotated[str, typer.Argument(help="a table's name, such as elfs-1-cifar10, or list")]
Source = Annotated[
    str,
    typer.Argument(
        help="the table's data: a folder of class folders, a built-in name, vectors.npy"
    ),
]
Seeds = Annotated[int, typer.Option(help="runs averaged per cell; 0 = as in the paper")]
Rates = Annotated[str, typer.Option(help="comma-separated subset of the table's pruning rates")]
Rows = Annotated[str, typer.Option(help="comma-separated subset of the table's row labels")]
Small = Annotated[
    bool,
    typer.Option(
        "--small",
        help="the same protocol with this run's encoder and proxy and a linear model, on any data",
    ),
]
Out = Annotated[Path | None, typer.Option("--out", help="write the cells to this file, as JSON")]


@with_source_options
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
    as_json: options.Json = False,
) -> None:
    """Re-run a paper's table, cell by cell; `reproduce list` lists them."""
    from coreset_engine.evaluation.published_tables import find_table

    if table == "list":
        _print_list(as_json)
        return
    asked = Asked(seeds, prune_rates, rows, small)
    result = _measure(find_table(table), settings, source, asked)
    if out is not None:
        write_text(out, json.dumps(result, indent=1, default=str) + "\n")
    print(json.dumps(result, default=str) if as_json else "\n".join(lines(result)))


class Asked(NamedTuple):
    """Which cells are measured, as the command line says it; see the options of `reproduce`."""

    seeds: int
    prune_rates: str
    rows: str
    small: bool


def _measure(
    table: PaperTable | StageTable, settings: options.RunSettings, source: str, asked: Asked
) -> dict[str, Any]:
    from coreset_engine.core.device import resolve_device
    from coreset_engine.evaluation.reproduce import needs
    from coreset_engine.evaluation.reproduce import reproduce as measure
    from coreset_engine.evaluation.stage_tables import StageReproduction, reproduce_stages

    if asked.seeds < 0:
        raise BadInput(f"--seeds {asked.seeds} must be 0 (as in the paper) or more.")
    wanted = _wanted(table, asked)
    need = needs(table, wanted.seeds)
    if not source:
        raise BadInput(f"{need}; give that data as a folder, or --small with any source.")
    if not asked.small and settings.config.device == "auto" and resolve_device() == "cpu":
        raise BadInput(
            f"{need}, and there is no GPU here; add --small, or --device cpu to run it anyway."
        )
    run = options.open_run(source, settings)
    tick = run.tick("reproduce")

    def tell(done: int, total: int, cells: list[dict[str, Any]]) -> None:
        tick(done, total, "trainings")

    if isinstance(wanted, StageReproduction):
        return reproduce_stages(run, wanted, tell)
    return measure(run, wanted, tell)


def _wanted(table: PaperTable | StageTable, asked: Asked) -> Reproduction | StageReproduction:
    """The cells that were requested, of a table of accuracies or of one about stages."""
    from coreset_engine.evaluation.reproduce import Reproduction
    from coreset_engine.evaluation.stage_tables import StageReproduction, StageTable

    rows = _row_labels(asked.rows, [row.label for row in table.rows])
    seeds = asked.seeds or table.seeds
    if not isinstance(table, StageTable):
        rates = tuple(_rate(word) for word in _words(asked.prune_rates))
        return Reproduction(table, seeds, rates, rows, asked.small)
    if asked.prune_rates:
        raise BadInput(
            f"--prune-rates {asked.prune_rates} does not apply: {table.name} has no pruning rate; "
            "leave it out."
        )
    return StageReproduction(table, seeds, rows, asked.small)


def lines(result: dict[str, Any]) -> list[str]:
    """The table as text: at each rate the paper's figure, ours with its standard error, n."""
    from coreset_engine.evaluation.sampling_figure import bars

    stages = "measures" in result
    what = "a linear model on this run's vectors" if result["small"] else result["model"]
    if stages:
        what = "this run's settings" if result["small"] else result["model"]
    out = [
        f"{result['source']}: {result['title']}",
        f"here: {result['dataset']}, {what}"
        + ("; the paper's protocol at small scale, not its figures" if result["small"] else ""),
        f"{'row':26} {'measure' if stages else 'removed':>18} {'kept':>8} {'paper':>8} {'here':>8} "
        f"{'s.e.':>6} {'n':>3} {'here - paper':>13}",
    ]
    if not stages:
        out.append(_line("All images", "0.0%", result["full"] | {"k": None}))
    out += [_line(cell["row"], _column(cell), cell) for cell in result["cells"]]
    for cell in result["cells"]:
        if cell.get("coverage"):
            out.append(f"{cell['row']}, {_column(cell)}: {cell['coverage']}")
    for one in result.get("histograms", ()):
        out.append(f"{one['row']:26} images  |{bars(one['images'])}|")
        out.append(f"{'':26} samples |{bars(one['samples'])}|")
    return out + ([f"note: {result['note']}"] if result["note"] else [])


def _column(cell: dict[str, Any]) -> str:
    """The rate or measure of a cell."""
    if "measure" in cell:
        return str(cell["measure"])
    return "mean of rates" if cell["prune_rate"] is None else f"{cell['prune_rate']:.1%}"


def _line(label: str, column: str, cell: dict[str, Any]) -> str:
    start = f"{label:26} {column:>18}"
    paper = "-" if cell["paper"] is None else f"{cell['paper']:.2f}"
    if cell["mean"] is None:
        return f"{start} {'':8} {paper:>8} {cell.get('error', '')}"
    kept = "" if cell.get("k") is None else f"{cell['k']:,}"
    error = "-" if cell["standard_error"] is None else f"{cell['standard_error']:.2f}"
    difference = "-" if cell["paper"] is None else f"{cell['mean'] - cell['paper']:+.2f}"
    return (
        f"{start} {kept:>8} {paper:>8} {cell['mean']:8.2f} {error:>6} {cell['n']:3} "
        f"{difference:>13}"
    )


def _print_list(as_json: bool) -> None:
    from coreset_engine.evaluation.published_tables import TABLES
    from coreset_engine.evaluation.stage_tables import STAGE_TABLES

    tables: dict[str, Any] = {**TABLES, **STAGE_TABLES}
    if as_json:
        about = {
            name: dict(title=one.title, source=one.source, dataset=one.dataset, model=one.model)
            for name, one in tables.items()
        }
        print(json.dumps(about))
        return
    for name, one in tables.items():
        what = "runs" if name in STAGE_TABLES else "trainings"
        print(f"{name:22} {one.source}: {one.title} ({one.model}, {one.trainings:,} {what})")


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _row_labels(text: str, known: Sequence[str]) -> tuple[str, ...]:
    """The rows that `text` names, comma-separated; labels such as "T = 1,000" have commas too."""
    by_length = sorted(known, key=len, reverse=True)
    rest = text.strip(" ,")
    labels_found = []
    while rest:
        label = next((one for one in by_length if _begins_with(rest, one)), "")
        taken = len(label) or len(rest.partition(",")[0])
        labels_found.append(rest[:taken].strip())
        rest = rest[taken:].strip(" ,")
    return tuple(labels_found)


def _begins_with(text: str, label: str) -> bool:
    """Whether the first word of a comma-separated list is `label`, in any case."""
    after = text[len(label) :].lstrip()[:1]
    return text.lower().startswith(label.lower()) and after in ("", ",")


def _rate(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise BadInput(f"prune rate {word!r} must be a number, for example 0.9.") from None
