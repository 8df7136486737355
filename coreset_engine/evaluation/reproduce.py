"""Measure a paper's table again: its rows by their recipes, at its rates, over seeds.

Every cell is an artefact of the store, so a stopped reproduction resumes where it was. With `small`
the protocol stays, but the run's own encoder, clusterer and proxy are used and a linear model is
trained: what a laptop can do, and named as such.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from coreset_engine.core.config import make
from coreset_engine.core.errors import BadInput
from coreset_engine.evaluation.experiment import EvaluationGrid, Plan
from coreset_engine.evaluation.paper_table import PaperRow, PaperTable
from coreset_engine.evaluation.stage_tables import (
    CLUSTERING,
    STAGE_TABLES,
    STAGES,
    StageTable,
)
from coreset_engine.evaluation.subset_training import EvaluationConfig
from coreset_engine.pipeline.recipes import Recipe
from coreset_engine.pipeline.recipes import find as find_recipe
from coreset_engine.pipeline.run import Run
from coreset_engine.selection.budget import kept_count

KEPT_IN_SMALL = ("coverage", "n_samples")  # settings of a row that cost nothing and are its point
BATCH = 256  # of the networks' recipes, by which passes become steps
# on_cell(trainings done, trainings in all, cells so far): called after each; may raise Cancelled.
OnCell = Callable[[int, int, list[dict[str, Any]]], None]


@dataclass(frozen=True)
class Reproduction:
    """What is measured.

    Parameters
    ----------
    table : PaperTable
    seeds : int
        Runs a cell is averaged over.
    rates : tuple of float
        Pruning rates of the table that are measured; () = all.
    rows : tuple of str
        Labels of the rows that are measured; () = all.
    small : bool
        The run's own settings and a linear model instead of the paper's.
    """

    table: PaperTable
    seeds: int
    rates: tuple[float, ...] = ()
    rows: tuple[str, ...] = ()
    small: bool = False

    def __post_init__(self) -> None:
        unknown = sorted(set(self.rates) - set(self.table.rates))
        if unknown:
            known = ", ".join(map(str, self.table.rates))
            raise BadInput(f"rate {unknown[0]} is not in {self.table.name}; its rates: {known}.")
        labels = {row.label.lower() for row in self.table.rows}
        lost = [name for name in self.rows if name.lower() not in labels]
        if lost:
            known = ", ".join(row.label for row in self.table.rows)
            raise BadInput(f"row {lost[0]!r} is not in {self.table.name}; its rows: {known}.")

    @property
    def wanted_rows(self) -> list[PaperRow]:
        asked = {name.lower() for name in self.rows}
        return [row for row in self.table.rows if not asked or row.label.lower() in asked]

    @property
    def wanted_rates(self) -> tuple[float, ...]:
        return self.rates or self.table.rates

    @property
    def trainings(self) -> int:
        """Trainings in all, the one on all images of each seed included."""
        return self.seeds * (len(self.wanted_rows) * len(self.wanted_rates) + 1)


def nothing(done: int, total: int, cells: list[dict[str, Any]]) -> None:
    """The callback for callers that want none."""


def reproduce(run: Run, wanted: Reproduction, on_cell: OnCell = nothing) -> dict[str, Any]:
    """The paper's figures beside ours.

    Parameters
    ----------
    run : Run
        The data, and settings that no recipe sets (device, store, first seed, ...).
    wanted : Reproduction
    on_cell : callable

    Returns
    -------
    dict
        table, title, source, dataset, small, model, note, rates, full (paper, accuracies, mean,
        standard_error, n), and cells, one for each row and rate: row, method, recipe, prune_rate,
        k, paper, accuracies, mean, standard_error, n, difference (ours less the paper's); all
        figures in percent. Where BlindCS made a cell, `coverage` states T, alpha and the agreement
        of two seeds. A cell that could not be measured has mean None and `error`; one of a
        mean over the rates has prune_rate None; where the paper prints no figure, paper is None and
        there is no difference.
    """
    table = wanted.table
    seeds = [run.config.seed + i for i in range(wanted.seeds)]
    done = 0
    cells: list[dict[str, Any]] = []
    full: list[float] = []
    for seed in seeds:
        row = _grid(run, wanted, None, 0.0).cell(None, 0.0, seed)
        full.append(100 * row["accuracy"])
        done += 1
        on_cell(done, wanted.trainings, cells)
    for cell, measured in _cells(run, wanted, seeds):
        for _ in measured:
            done += 1
            on_cell(done, wanted.trainings, cells)
        cells.append(cell)
    on_cell(done, wanted.trainings, cells)
    return dict(
        table=table.name,
        title=table.title,
        source=table.source,
        dataset=run.dataset.spec,
        paper_dataset=table.dataset,
        small=wanted.small,
        model="linear" if wanted.small else table.model,
        note=table.note,
        rates=list(wanted.wanted_rates),
        full=dict(paper=table.full, **_summary(full)),
        cells=cells,
    )


def _cells(
    run: Run, wanted: Reproduction, seeds: Sequence[int]
) -> Iterator[tuple[dict[str, Any], Iterator[None]]]:
    """(cell, its trainings as an iterator that fills the cell) of each row and rate, or of each row
    where the table prints means over the rates."""
    rates = wanted.wanted_rates
    for row in wanted.wanted_rows:
        made = _run_of(run, row, wanted.small)
        groups = [rates] if wanted.table.mean_over_rates else [(rate,) for rate in rates]
        for group in groups:
            rate = None if wanted.table.mean_over_rates else group[0]
            cell: dict[str, Any] = dict(
                row=row.label,
                method=row.method,
                recipe=row.recipe,
                prune_rate=rate,
                paper=wanted.table.figure(row, rate),
            )
            yield cell, _measured(made, wanted, row, group, seeds, cell)


def _measured(
    run: Run,
    wanted: Reproduction,
    row: PaperRow,
    rates: Sequence[float],
    seeds: Sequence[int],
    cell: dict[str, Any],
) -> Iterator[None]:
    """Train the cell once for each seed and rate; yields after each, and fills `cell` at the end.

    Its accuracies are means over the rates, one for each seed that had them all.
    """
    grids = [_grid(run, wanted, row, rate) for rate in rates]
    cells = []
    errors = []
    for seed in seeds:
        parts = []
        for grid, rate in zip(grids, rates, strict=True):
            made = _trained(grid, row.method, rate, seed)
            if made["accuracy"] is None:
                errors.append(made["error"])
            else:
                parts.append(100 * made["accuracy"])
                cell["k"] = made["k"]
                if "coverage" in made:
                    cell.setdefault("coverage", made["coverage"])
            yield
        if len(parts) == len(rates):
            cells.append(float(np.mean(parts)))
    if len(rates) > 1:
        cell.pop("k", None)
    cell |= _summary(cells)
    if cells and cell["paper"] is not None:
        cell["difference"] = cell["mean"] - cell["paper"]
    if errors:
        cell["error"] = errors[0]


def _trained(grid: EvaluationGrid, method: str, rate: float, seed: int) -> dict[str, Any]:
    """The grid's cell; one that cannot be has accuracy None and `error`."""
    try:
        return grid.cell(method, rate, seed)
    except BadInput as error:
        return dict(accuracy=None, k=None, error=str(error))


def _summary(values: Sequence[float]) -> dict[str, Any]:
    """accuracies, mean, standard_error (None for fewer than two) and n."""
    n = len(values)
    error = float(np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else None
    mean = float(np.mean(values)) if n else None
    return dict(accuracies=list(values), mean=mean, standard_error=error, n=n)


def _run_of(run: Run, row: PaperRow, small: bool) -> Run:
    """The run with the row's recipe and settings; with `small`, with its own encoder and proxy."""
    if small:
        return run.with_config(**{name: row.run[name] for name in KEPT_IN_SMALL if name in row.run})
    recipe = {"recipe": row.recipe} if row.recipe else {}
    return run.with_config(**recipe, **row.run)


def _grid(run: Run, wanted: Reproduction, row: PaperRow | None, rate: float) -> EvaluationGrid:
    """The grid that measures one row at one rate; row None: all images."""
    table = wanted.table
    options: dict[str, Any] = dict(model=table.model, steps=table.steps)
    if row is not None:
        options |= dict(row.options)
    if wanted.small:
        options |= dict(model="linear", steps=0)
    elif table.epochs:
        kept = kept_count(len(run.dataset), rate)
        options["steps"] = table.epochs * -(-kept // BATCH)
    params = {} if row is None else {row.method: _params(row, rate)}
    methods = [] if row is None else [row.method]
    plan = Plan(methods, [rate], [], params)
    return EvaluationGrid(run, make(EvaluationConfig, options), plan)


def _params(row: PaperRow, rate: float) -> dict[str, Any]:
    recipe: Recipe | None = find_recipe(row.recipe) if row.recipe else None
    params = {} if recipe is None else recipe.params_at(rate)
    return {**params, **dict(row.params)}


def needs(table: PaperTable | StageTable, seeds: int) -> str:
    """What a full reproduction takes, in one sentence."""
    if isinstance(table, StageTable):
        return _stages_needed(table, seeds)
    trainings = dataclasses.replace(table, seeds=seeds).trainings
    text = f"{table.name} is {trainings:,} trainings of {table.model} on {table.dataset}"
    if table.minutes:
        hours = trainings * table.minutes / 60
        text += f", some {hours:,.0f} hours on a GPU of the paper (ELFS, table 6)"
    return text


def _stages_needed(table: StageTable, seeds: int) -> str:
    clusterings = seeds * len(table.rows)
    if table.measures not in (CLUSTERING, STAGES):
        return (
            f"{table.name} needs the vectors of {table.dataset} and no training; "
            f"{clusterings:,} runs of seconds to minutes"
        )
    figures = STAGE_TABLES[f"elfs-6-{table.name.rpartition('-')[2]}"].rows[0].figures[:2]
    if table.measures == STAGES:
        figures = table.rows[0].figures
    minutes = sum(figure or 0.0 for figure in figures)
    return (
        f"{table.name} is {clusterings:,} runs of {table.model} on {table.dataset}, some "
        f"{clusterings * minutes / 60:,.1f} hours on a GPU of the paper (ELFS, table 6)"
    )
