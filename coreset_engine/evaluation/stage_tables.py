"""Tables of papers about single stages: how good pseudo-labels are, and how long the stages take.

`coreset reproduce elfs-2-cifar10` measures misclassification, NMI and ARI of the clustering under
the table's encoders; `elfs-6-cifar10` measures minutes of every stage, in a store of its own, so
that no stage found in the store counts as fast; `blindcs-fig-2` measures where samples of the
coverage scores fall, and `blindcs-fig-4-runtime` how long scoring them takes.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.evaluation.sampling_figure import (
    SAMPLING,
    drawn_on,
    histogram,
    record,
    sampling_shares,
)

if TYPE_CHECKING:
    from coreset_engine.pipeline.run import Run

CLUSTERING = ("misclassified, %", "NMI, %", "ARI, %")
STAGES = ("embedding and k-NN", "clustering heads", "training dynamics", "difficulty")
RUNTIME = ("coverage scores, s",)
TRAINED = {CLUSTERING: "TEMI", STAGES: "every stage of ELFS"}  # what the list of tables names
OnStage = Callable[[int, int, list[dict[str, Any]]], None]


@dataclass(frozen=True)
class StageRow:
    """One row of a stage table.

    Attributes
    ----------
    label : str
    recipe : str
        Recipe that makes it; "" = none.
    figures : tuple of float or None
        The paper's by measure; None where it draws a curve or a histogram.
    run : mapping
        Fields of RunConfig beside the recipe's; "coverage" and "n_samples" hold with `small` too.
    """

    label: str
    recipe: str
    figures: tuple[float | None, ...]
    run: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StageTable:
    """A table about stages.

    Attributes
    ----------
    name, title, source, dataset : str
        As `PaperTable`'s.
    measures : tuple of str
        CLUSTERING or SAMPLING, in percent, STAGES, in minutes, or RUNTIME, in seconds.
    rows : tuple of StageRow
    seeds : int
        Runs a row is averaged over; the paper does not say how many.
    note : str
        What differs from the paper.
    """

    name: str
    title: str
    source: str
    dataset: str
    measures: tuple[str, ...]
    rows: tuple[StageRow, ...]
    seeds: int = 1
    note: str = ""

    @property
    def model(self) -> str:
        """What is trained, for the list of tables."""
        return TRAINED.get(self.measures, "no training")

    @property
    def trainings(self) -> int:
        """Rows times seeds: as many clusterings."""
        return self.seeds * len(self.rows)


def _clustering(number: int, dataset: str, name: str, rows: tuple[StageRow, ...]) -> StageTable:
    return StageTable(
        f"elfs-{number}-{name}",
        f"Pseudo-labels against classes, {dataset}",
        f"ELFS (arXiv 2406.04273), table {number}",
        dataset,
        CLUSTERING,
        rows,
    )


def _minutes(dataset: str, name: str, *figures: float) -> StageTable:
    recipe = f"elfs-paper-{name}"
    return StageTable(
        f"elfs-6-{name}",
        f"Minutes of each stage, {dataset}",
        "ELFS (arXiv 2406.04273), table 6",
        dataset,
        STAGES,
        (StageRow("ELFS (DINO)", recipe, figures),),
        note="the paper's minutes are those of a 2080 Ti; here those of this machine",
    )


def _sampling() -> StageTable:
    rows = [
        StageRow(
            f"{title}, {distribution}",
            "",
            (None,) * len(SAMPLING),
            {"encoder": encoder, "coverage": {"distribution": distribution}},
        )
        for title, encoder in (("ResNet18", "resnet18"), ("CLIP", "clip"))
        for distribution in ("images", "triangular", "gaussian", "uniform")
    ]
    return StageTable(
        "blindcs-fig-2",
        "Samples of each distribution on the first embedding dimension, CIFAR100",
        "BlindCS (ZCore, arXiv 2411.15349), figure 2",
        "CIFAR-100",
        SAMPLING,
        tuple(rows),
        note="the paper plots histograms without numbers; its three claims for the triangular "
        "distribution are measured as shares of the samples, and the row of the images says what "
        "the embeddings themselves have",
    )


def _runtime() -> StageTable:
    rows = [
        StageRow(f"T = {count:,}", "zcore-paper", (None,), {"n_samples": count})
        for count in (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
    ]
    return StageTable(
        "blindcs-fig-4-runtime",
        "Samples T against the runtime of the scores, CIFAR100",
        "BlindCS (ZCore, arXiv 2411.15349), figure 4 (left)",
        "CIFAR-100",
        RUNTIME,
        tuple(rows),
        note="the paper draws a curve; of T = 1,000,000 its text says less than 400 s on a laptop",
    )


_LIST = (
    _clustering(
        2,
        "CIFAR-10",
        "cifar10",
        (
            StageRow("TEMI (SwAv)", "elfs-paper-cifar10-swav", (39.33, 54.61, 43.39)),
            StageRow("TEMI (CLIP)", "elfs-paper-cifar10-clip", (14.87, 75.53, 70.93)),
            StageRow("TEMI (DINO)", "elfs-paper-cifar10", (7.50, 86.49, 85.07)),
        ),
    ),
    _clustering(
        2,
        "CIFAR-100",
        "cifar100",
        (
            StageRow("TEMI (SwAv)", "elfs-paper-cifar100-swav", (60.23, 57.73, 26.51)),
            StageRow("TEMI (CLIP)", "elfs-paper-cifar100-clip", (45.95, 66.43, 40.18)),
            StageRow("TEMI (DINO)", "elfs-paper-cifar100", (33.69, 76.48, 52.95)),
        ),
    ),
    _clustering(
        10,
        "STL-10",
        "stl10",
        (StageRow("TEMI (DINO)", "elfs-paper-stl10", (7.02, 89.59, 86.06)),),
    ),
    _clustering(
        10,
        "CINIC-10",
        "cinic10",
        (StageRow("TEMI (DINO)", "elfs-paper-cinic10", (33.94, 16.67, 9.55)),),
    ),
    _clustering(
        10,
        "ImageNet-1K",
        "imagenet",
        (StageRow("TEMI (DINO)", "elfs-paper-imagenet", (41.2, 81.35, 44.85)),),
    ),
    _minutes("CIFAR-10", "cifar10", 2, 41, 65, 1),
    _minutes("CIFAR-100", "cifar100", 2, 41, 65, 1),
    _minutes("STL-10", "stl10", 2, 12, 50, 1),
    _minutes("CINIC-10", "cinic10", 14, 4 * 60 + 46, 80, 2),
    _minutes("ImageNet-1K", "imagenet", 4 * 60 + 50, 34 * 60, 31 * 60, 40),
    _sampling(),
    _runtime(),
)
STAGE_TABLES: dict[str, StageTable] = {table.name: table for table in _LIST}


@dataclass(frozen=True)
class StageReproduction:
    """What of a stage table is measured: seeds, rows by label (() = all), and whether `small`."""

    table: StageTable
    seeds: int
    rows: tuple[str, ...] = ()
    small: bool = False
    wanted_rows: tuple[StageRow, ...] = field(init=False)

    def __post_init__(self) -> None:
        asked = {name.lower() for name in self.rows}
        known = {row.label.lower() for row in self.table.rows}
        lost = [name for name in self.rows if name.lower() not in known]
        if lost:
            labels = ", ".join(row.label for row in self.table.rows)
            raise BadInput(f"row {lost[0]!r} is not in {self.table.name}; its rows: {labels}.")
        chosen = tuple(row for row in self.table.rows if not asked or row.label.lower() in asked)
        object.__setattr__(self, "wanted_rows", chosen)

    @property
    def trainings(self) -> int:
        """Rows times seeds."""
        return self.seeds * len(self.wanted_rows)


def nothing(done: int, total: int, cells: list[dict[str, Any]]) -> None:
    """The callback for callers that want none."""


def reproduce_stages(
    run: Run, wanted: StageReproduction, on_cell: OnStage = nothing
) -> dict[str, Any]:
    """The paper's figures about stages beside ours.

    Parameters
    ----------
    run : Run
        The data and settings that no recipe sets. With `small`, its settings throughout.
    wanted : StageReproduction
    on_cell : callable
        Called as (rows and seeds done, in all, cells so far); may raise Cancelled.

    Returns
    -------
    dict
        As `reproduce` returns it, without rates and full; a cell has `measure` instead of
        prune_rate, and `values` instead of accuracies. For SAMPLING, `histograms` has the counts
        of each row's first seed.

    Raises
    ------
    BadInput
        For clustering figures of a source without true labels.
    """
    table = wanted.table
    if table.measures == CLUSTERING and run.dataset.labels is None:
        raise BadInput(
            f"{table.name} compares pseudo-labels with classes, and {run.dataset.spec!r} has no "
            "true labels; give a source with class folders, or labels."
        )
    cells: list[dict[str, Any]] = []
    histograms: list[dict[str, Any]] = []
    for row in wanted.wanted_rows:
        made = _run_of(run, row, wanted.small)
        values = []
        for seed in range(run.config.seed, run.config.seed + wanted.seeds):
            values.append(_figures(table, made.with_config(seed=seed)))
            on_cell(
                len(cells) // len(table.measures) * wanted.seeds + len(values),
                wanted.trainings,
                cells,
            )
        cells += list(_cells(table, row, np.array(values)))
        if table.measures == SAMPLING:
            histograms.append(record(row.label, histogram(*_first_dimension(made))))
    on_cell(wanted.trainings, wanted.trainings, cells)
    return dict(
        table=table.name,
        title=table.title,
        source=table.source,
        dataset=run.dataset.spec,
        paper_dataset=table.dataset,
        small=wanted.small,
        model=table.model,
        note=table.note,
        measures=list(table.measures),
        cells=cells,
        **(dict(histograms=histograms) if histograms else {}),
    )


def _run_of(run: Run, row: StageRow, small: bool) -> Run:
    """The run with the row's recipe and settings; with `small`, with its own encoder."""
    if small:
        kept = {name: row.run[name] for name in ("coverage", "n_samples") if name in row.run}
        return run.with_config(**kept) if kept else run
    recipe = {"recipe": row.recipe} if row.recipe else {}
    return run.with_config(**recipe, **row.run)


def _cells(table: StageTable, row: StageRow, values: np.ndarray) -> Iterator[dict[str, Any]]:
    """One cell for each measure. values: (seeds, measures)."""
    n = len(values)
    for column, measure in enumerate(table.measures):
        own = values[:, column]
        paper = row.figures[column]
        yield dict(
            row=row.label,
            recipe=row.recipe,
            measure=measure,
            paper=paper,
            values=own.tolist(),
            mean=float(own.mean()),
            standard_error=float(own.std(ddof=1) / np.sqrt(n)) if n > 1 else None,
            n=n,
            **({} if paper is None else dict(difference=float(own.mean()) - paper)),
        )


def _figures(table: StageTable, run: Run) -> Sequence[float]:
    if table.measures == CLUSTERING:
        return _clustering_quality(run)
    if table.measures == SAMPLING:
        return sampling_shares(*_first_dimension(run))
    if table.measures == RUNTIME:
        return [_scoring_seconds(run)]
    return _stage_minutes(run)


def _first_dimension(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """(N,) embeddings and (N,) samples of the run's distribution over their first dimension."""
    column = np.asarray(run.vectors[:, 0])
    distribution = run.config.effective("coverage").get("distribution", "triangular")
    return column, drawn_on(column, distribution, run.config.seed)


def _scoring_seconds(run: Run) -> float:
    """Wall seconds of the coverage scores, the embeddings being there."""
    from coreset_engine.coverage.scores import coverage_scores

    vectors = run.vectors
    about = run.config.effective("coverage")
    about |= dict(n_samples=run.config.n_samples, seed=run.config.seed, device=run.config.device)
    coverage_scores(vectors[:64], **about | dict(n_samples=64))  # compiled code is there
    began = time.perf_counter()
    coverage_scores(vectors, **about)
    return time.perf_counter() - began


def _clustering_quality(run: Run) -> Sequence[float]:
    """CLUSTERING of the run's pseudo-labels, in percent."""
    from coreset_engine.clustering.contingency import accuracy, ari, nmi

    pseudo = run.pseudo_labels.labels
    truth = run.labels
    wrong = 1 - accuracy(pseudo, truth)
    return [100 * wrong, 100 * nmi(pseudo, truth), 100 * ari(pseudo, truth)]


def _stage_minutes(run: Run) -> Sequence[float]:
    """STAGES in minutes, recomputed in a temporary store."""
    from coreset_engine.artifacts.store import Store
    from coreset_engine.pipeline.run import Run as FreshRun
    from coreset_engine.selection.methods.scored import hardness

    with tempfile.TemporaryDirectory() as folder:
        fresh = FreshRun(run.dataset, run.config, run.executor, store=Store(Path(folder)))
        steps: tuple[Callable[[], Any], ...] = (
            lambda: (fresh.embeddings, fresh.neighbours),
            lambda: fresh.pseudo_labels,
            lambda: fresh.dynamics,
            lambda: np.argsort(hardness(fresh.dynamics, "aum"), kind="stable"),
        )
        cells = []
        for step in steps:
            began = time.perf_counter()
            step()
            cells.append((time.perf_counter() - began) / 60)
    return cells
