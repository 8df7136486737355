"""Compare methods with random: train on each coreset, test on held-out data, paired over seeds.

What selection sees (`EvaluationSplit.train`) is fixed before anything is selected: the source
itself where it has a test split, else four fifths of it, with every stage computed on that part
alone. Each seed draws everything random in a method again: clustering, dynamics, coverage samples
and ties; only the embeddings and neighbours, which have no chance in them, are shared. Each cell is
one artefact in the store, so a stopped evaluation resumes where it was.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from coreset_engine.artifacts.store import digest
from coreset_engine.core.config import make
from coreset_engine.core.errors import BadInput
from coreset_engine.core.registry import BASELINE, METHODS, load, look_up
from coreset_engine.core.types import Selection, describe_selected_samples
from coreset_engine.curation.tagging import frozen
from coreset_engine.evaluation.evaluation_split import EvaluationSplit, array_digest
from coreset_engine.evaluation.subset_training import (
    ON_PIXELS,
    WITHOUT_SEED,
    EvaluationConfig,
    TrainTest,
    evaluate_subset,
)
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.run_spec import open_run, run_spec
from coreset_engine.pipeline.select import select
from coreset_engine.selection.budget import Budget, kept_count
from coreset_engine.selection.request import SelectionRequest, id_list
from coreset_engine.sources.image_names import ids_named

VERSION = 3  # 3: every seed draws clustering, dynamics and coverage again
Row = dict[str, Any]
Cell = tuple[str | None, float, int]  # method or None for the full set, prune rate, seed
# on_rows(rows so far, accuracy of the full set or None, rows in all): called often; may raise
# Cancelled.
OnRows = Callable[[list[Row], float | None, int], None]


def nothing(rows: list[Row], full: float | None, total: int) -> None:
    """The callback for callers that want none."""


def evaluate(  # noqa: PLR0913
    run: Run,
    *,
    on_rows: OnRows = nothing,
    methods: Sequence[str] = ("elfs", "blindcs"),
    prune_rates: Sequence[float] = (0.5, 0.8, 0.9),
    seeds: int | Sequence[int] = 3,
    model: str = "linear",
    method_params: Mapping[str, Mapping[str, Any]] | None = None,
    counts: Sequence[int] = (),
    constraints: Mapping[str, Any] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Train on every coreset and on the full set, and test; random is always among the methods.

    Parameters
    ----------
    run
        Settings and artefacts. Its seed is the first one.
    on_rows
        Called as (rows so far, accuracy of the full set or None, rows in all); may raise Cancelled.
    methods, prune_rates
        Names of METHODS, and shares removed, 0 <= p < 1.
    seeds
        How many (counted up from the run's), or which. Each draws every random step again.
    model
        What is trained: "linear", "mlp", or a network on pixels.
    method_params
        Method -> its parameters, under the names `SelectionRequest.of` takes.
    counts
        Numbers of images kept, of those that selection sees; beside the rates, each as the rate it
        amounts to.
    constraints
        What every method, random included, must obey: must_keep, never, quotas, at_least, groups,
        costs with budget, near_duplicates, as `SelectionRequest.of` takes them. Pinned images that
        are held out to test on are left aside.
    options
        Fields of `EvaluationConfig`.

    Returns
    -------
    dict
        rows, full_accuracy, model, labels, trained_on, tested_on, n_classes, straddling (test
        images with a copy among the training images, see `Straddling`). A row has method,
        prune_rate, seed, k, accuracy, worst_class_accuracy, seconds (training), select_seconds,
        class_balance, kept_digest, model, labels ("true", or "pseudo": accuracy is then agreement
        with pseudo-labels, not with the truth). A cell that cannot be (a beta too large for its
        rate, ...) has accuracy None and `error`.

    Raises
    ------
    BadInput
        When no cell can be.
    """
    config = make(EvaluationConfig, dict(model=model, **options))
    names = list(
        dict.fromkeys([BASELINE, *(look_up(METHODS, name, "method").name for name in methods)])
    )
    budgets = [Budget(count=count) for count in counts]
    rates = sorted({float(rate) for rate in prune_rates})
    params_of_method = {name: dict(value) for name, value in (method_params or {}).items()}
    limits = dict(constraints or {})
    if limits.get("where") is not None:
        limits["where"] = frozen(run, limits["where"])
    params = {name: limits | params_of_method.get(name, {}) for name in names}
    for name in names:
        _checked(name, params[name])
    plan = Plan(names, rates, _seeds(seeds, run.seed), params)
    grid = EvaluationGrid(run, config, plan, on_rows)
    if budgets:
        seen = len(grid.split.train.dataset)
        rates = sorted({*rates, *(1 - budget.kept(seen) / seen for budget in budgets)})
        grid.plan = dataclasses.replace(plan, prune_rates=rates)
    return grid.fill()


def _checked(method: str, params: Mapping[str, Any]) -> None:
    """Raise BadInput for what no request of this method may say, before anything is computed."""
    known = {name: value for name, value in params.items() if not isinstance(value, Mapping)}
    if not isinstance(params.get("quotas"), str | None):
        known["quotas"] = params["quotas"]
    SelectionRequest.of(method, **known)


def _seeds(seeds: int | Sequence[int], first: int) -> list[int]:
    if isinstance(seeds, int | float | str):
        wanted = [first + i for i in range(int(seeds))]
    else:
        wanted = [int(seed) for seed in seeds]
    if not wanted:
        raise BadInput(f"seeds={seeds!r} must be at least 1; use at least 5 to claim a difference.")
    return list(dict.fromkeys(wanted))


@dataclasses.dataclass(frozen=True)
class Plan:
    """The cells of an evaluation.

    Parameters
    ----------
    methods, prune_rates, seeds
        Every combination is one cell; the full set is one more for each seed.
    params
        Method -> its parameters; beta may be a mapping, pruning rate (as text) -> beta.
    """

    methods: Sequence[str]
    prune_rates: Sequence[float]
    seeds: Sequence[int]
    params: Mapping[str, Mapping[str, Any]]

    def cells(self) -> list[Cell]:
        """Seed by seed, so that a curve over all rates shows early."""
        return [
            cell
            for seed in self.seeds
            for cell in [
                *((method, rate, seed) for rate in self.prune_rates for method in self.methods),
                (None, 0.0, seed),
            ]
        ]


class EvaluationGrid:
    """The cells of one evaluation, each measured once and kept in the store."""

    def __init__(
        self, run: Run, config: EvaluationConfig, plan: Plan, on_rows: OnRows = nothing
    ) -> None:
        """An experiment of which nothing is measured yet.

        Parameters
        ----------
        run : Run
            With a test split, or labels of which a fifth is skipped.
        config : EvaluationConfig
            Model and its training.
        plan : Plan
            Methods, rates and seeds of the cells.
        on_rows : callable
            Called as (rows, accuracy on all images or None, total) after each training.
        """
        self.run = run
        self.config = config
        self.plan = plan
        self.on_rows = on_rows
        self.rows: list[Row] = []
        self.full: list[float] = []
        self._outcomes: dict[str, dict[str, Any]] = {}

    @cached_property
    def split(self) -> EvaluationSplit:
        return EvaluationSplit(self.run, self.config, self.tick)

    def tick(self, *_: Any) -> None:
        """Report the rows so far; raises Cancelled when asked to stop."""
        plan = self.plan
        total = len(plan.methods) * len(plan.prune_rates) * len(plan.seeds)
        self.on_rows(self.rows, float(np.mean(self.full)) if self.full else None, total)

    def fill(self) -> dict[str, Any]:
        """Measure every cell; the outcome as `evaluate` returns it."""
        for rate in self.plan.prune_rates:
            kept_count(len(self.split.train.dataset), rate)
        self.tick()
        cells = self.plan.cells()
        measured: dict[int, Row] = {}
        for index, row in self._measured(cells):
            measured[index] = row
            ordered = [(cells[i][0], measured[i]) for i in sorted(measured)]
            self.rows = [row for method, row in ordered if method is not None]
            self.full = [row["accuracy"] for method, row in ordered if method is None]
            self.tick()
        errors = [row["error"] for row in self.rows if row.get("error")]
        if len(errors) == len(self.rows):
            raise BadInput(errors[0])
        return dict(
            rows=self.rows,
            full_accuracy=float(np.mean(self.full)),
            model=self.config.model,
            labels=self.split.labels,
            trained_on=len(self.split.train.dataset),
            tested_on=len(self.split.test_at),
            n_classes=self.split.n_classes,
            **({"unmatched_classes": self.split.unmatched} if self.split.unmatched else {}),
            **self.split.straddling(),
        )

    def _measured(self, cells: Sequence[Cell]) -> Iterator[tuple[int, Row]]:
        """(index, row) of each cell: here one after the other, or as tasks of the run's cluster."""
        if not self.run.cluster or not self.run.dataset.reopenable:
            for index, cell in enumerate(cells):
                yield index, self.cell(*cell)
            return
        about = (
            run_spec(self.run),
            json.dumps(dataclasses.asdict(self.config)),
            json.dumps({name: dict(value) for name, value in self.plan.params.items()}),
        )
        gpu = self.config.model in ON_PIXELS and self.run.device != "cpu"
        items = [(*about, *cell) for cell in cells]
        yield from self.run.executor.map(cell_task, items, gpu=gpu, idle=self.tick)

    def cell(self, method: str | None, rate: float, seed: int) -> Row:
        """One row, from the store if it is there. method None: the full set."""
        row = dict(
            method=method or "full",
            prune_rate=rate,
            seed=seed,
            model=self.config.model,
            labels=self.split.labels,
        )
        try:
            _, info = self.run.store.get(
                "evaluation",
                self.key(method, rate, seed),
                lambda: self._measure(method, rate, seed),
                about=self.run.about(),
                waiting=self.tick,
            )
        except BadInput as error:
            if method in (None, BASELINE):
                raise
            return row | dict(
                accuracy=None,
                worst_class_accuracy=None,
                k=kept_count(len(self.split.train.dataset), rate),
                error=str(error),
            )
        return row | info

    def key(self, method: str | None, rate: float, seed: int) -> str:
        """The cell's artefact key: everything that its numbers depend on."""
        run = self.split.run_of(seed)
        chosen_by = [
            run.config.to_record(results_only=True),
            run.wanted_clusters,
            code_of(method),
            run.corrected,
            *filter(None, [run.excluded_key]),
        ]
        return digest(
            [
                VERSION,
                self.split.key,
                method,
                rate,
                seed,
                self.method_params(method, rate),
                dataclasses.asdict(self.config),
                chosen_by if method else None,
            ]
        )

    def method_params(self, method: str | None, rate: float) -> dict[str, Any]:
        """The method's parameters, with the labels it may see and the balance requested."""
        if method is None:
            return {}
        params = dict(self.plan.params.get(method, {}))
        for name in ("must_keep", "never"):
            if name in params:
                full = self.split.full.dataset
                named = ids_named(full, id_list(params[name], name), name)
                params[name] = self.split.seen_ids(named)
        for name in ("groups", "costs"):
            if params.get(name) is not None:
                params[name] = self.split.seen_values(params[name])
        if isinstance(params.get("beta"), Mapping):
            params["beta"] = params["beta"].get(str(float(rate)))
        knows = {field.name for field in dataclasses.fields(load(METHODS[method].config))}
        if self.config.select_labels == "true" and "labels" in knows:
            params.setdefault("labels", "true")
        if self.config.balance:
            by = "class" if self.config.select_labels == "true" else "cluster"
            params.setdefault("quotas", {"by": by, "spread": "equal"})
        return params

    def _measure(
        self, method: str | None, rate: float, seed: int
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """(arrays, info) of one cell: select, train, test."""
        run, labels = self.split.noisy(seed)
        began = time.perf_counter()
        chosen = None
        if method is not None:
            chosen = select(method, run, rate, seed=seed, **self.method_params(method, rate))
        spent = time.perf_counter() - began
        kept = np.arange(len(labels)) if chosen is None else np.sort(chosen.indices)
        outcome = self._train(kept, labels, self._weights(chosen), seed)
        counts = np.bincount(self.split.train_labels[kept], minlength=self.split.n_classes)
        arrays = dict(per_class=np.asarray(outcome["per_class"]), kept_per_class=counts)
        info = {name: value for name, value in outcome.items() if name != "per_class"}
        if chosen is not None and (sentence := describe_selected_samples(chosen.info, rate)):
            info["coverage"] = sentence
        return arrays, info | dict(
            k=len(kept),
            kept_digest=array_digest(kept),  # tells whether two seeds keep the same images
            select_seconds=round(spent, 4),
            class_balance=balance(counts),
        )

    def _weights(self, chosen: Selection | None) -> np.ndarray | None:
        """(k,) loss weights in source order, or None where all are the same or none is wanted."""
        if chosen is None or not self.config.loss_weights:
            return None
        weights = chosen.weights[np.argsort(chosen.indices)]
        return None if np.ptp(weights) == 0 else weights

    def _train(
        self, kept: np.ndarray, labels: np.ndarray, weights: np.ndarray | None, seed: int
    ) -> dict[str, Any]:
        """The outcome as a dict. The linear fit has no seed, so the same images are fitted once."""
        cache_key = digest(
            [
                array_digest(kept),
                array_digest(labels[kept]),
                None if weights is None else array_digest(weights),
                None if self.config.model in WITHOUT_SEED else seed,
            ]
        )
        if cache_key not in self._outcomes:
            train_inputs, test_inputs = self.split.inputs
            data = TrainTest(
                train_inputs[kept],
                np.array(labels[kept]),
                test_inputs,
                self.split.test_labels,
                self.split.n_classes,
                weights,
                full_size=len(labels),
            )
            outcome = evaluate_subset(
                self.config.model,
                data,
                steps=self.config.steps,
                seed=seed,
                device=self.run.device,
                progress=self.tick,
            )
            made = dict(dataclasses.asdict(outcome), seconds=round(outcome.seconds, 4))
            self._outcomes[cache_key] = made
        return self._outcomes[cache_key]


def cell_task(
    spec: str, config: str, params: str, method: str | None, rate: float, seed: int
) -> Row:
    """One row, in whatever process; who needs a stage first computes it, others wait for it.

    Parameters
    ----------
    spec : str
        The source.
    config, params : str
        The run's settings and the experiment's, as JSON.
    method : str or None
        A row of METHODS; None trains on all images.
    rate : float
        Pruning rate, 0 <= p < 1.
    seed : int
        Of clustering, dynamics, draws, ties and training alike.
    """
    return _grid_of(spec, config, params).cell(method, rate, seed)


@lru_cache(maxsize=2)
def _grid_of(spec: str, config: str, params: str) -> EvaluationGrid:
    recipe = EvaluationConfig(**json.loads(config))
    return EvaluationGrid(open_run(spec), recipe, Plan((), (), (), json.loads(params)))


def coverage_sentences(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """T, alpha and the agreement of two seeds behind each rate's BlindCS figures.

    Of the first seed that has them; none for methods that score no coverage.
    """
    sentences: dict[tuple[str, float], str] = {}
    for row in rows:
        if row.get("coverage"):
            sentences.setdefault((row["method"], row["prune_rate"]), row["coverage"])
    return [
        f"{method} at {rate:.1%} removed: {words}." for (method, rate), words in sentences.items()
    ]


def balance(counts: np.ndarray) -> float:
    """Entropy of the kept images over classes, relative to the maximum: 1 = equal numbers."""
    share = counts[counts > 0] / max(1, counts.sum())
    return float(-(share * np.log(share)).sum() / np.log(len(counts))) if len(counts) > 1 else 1.0


def code_of(method: str | None) -> str:
    """Hash of the source of the method's module, so that a changed method is measured again."""
    if method is None:
        return ""
    return digest(inspect.getsource(sys.modules[load(METHODS[method].function).__module__]))
