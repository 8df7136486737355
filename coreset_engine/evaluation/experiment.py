"""Is it better than random? Train on each coreset, test on held-out data, at several rates, paired
over seeds.

What selection sees (`Arena.train`) is fixed before anything is selected: the source itself where it
has a test split, else four fifths of it, with every stage computed on that part alone. Each cell of
the table is one artefact in the store, so a stopped evaluation goes on where it was.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from coreset_engine.artifacts.store import digest
from coreset_engine.core.classes import align_classes, names_of
from coreset_engine.core.config import make
from coreset_engine.core.errors import BadInput
from coreset_engine.core.registry import BASELINE, METHODS, load, look_up
from coreset_engine.core.types import Dataset, Selection
from coreset_engine.evaluation.split import flip_labels, stratified_split
from coreset_engine.evaluation.subset_training import (
    ON_PIXELS,
    WITHOUT_SEED,
    EvaluationConfig,
    evaluate_subset,
)
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.run_spec import open_run, run_spec
from coreset_engine.pipeline.select import select
from coreset_engine.selection.budget import kept_count

VERSION = 2
Row = dict[str, Any]
# on_rows(rows so far, accuracy of the full set or None, rows in all): called often; may raise
# Cancelled.
OnRows = Callable[[list[Row], float | None, int], None]


def nothing(rows: list[Row], full: float | None, total: int) -> None:
    """The callback for callers that want none."""


def evaluate(
    run: Run,
    *,
    on_rows: OnRows = nothing,
    methods: Sequence[str] = ("elfs", "blindcs"),
    prune_rates: Sequence[float] = (0.5, 0.8, 0.9),
    seeds: int | Sequence[int] = 3,
    model: str = "linear",
    method_params: Mapping[str, Mapping[str, Any]] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """{"rows", "full_accuracy", "labels", ...}: one row per method, rate and seed; random is always
    among the methods.

    seeds: how many (counted up from the run's), or which. options: fields of EvaluationConfig. A
    row has method, prune_rate, seed, k, accuracy, worst_class_accuracy, seconds (training),
    select_seconds, class_balance, model, labels ("true", or "pseudo": accuracy is then agreement
    with pseudo-labels, not with the truth). A cell that cannot be (a beta too large for its rate,
    ...) has accuracy None and `error`. Raises BadInput when no cell can be.
    """
    config = make(EvaluationConfig, dict(model=model, **options))
    names = list(
        dict.fromkeys([BASELINE, *(look_up(METHODS, name, "method").name for name in methods)])
    )
    rates = sorted({float(rate) for rate in prune_rates})
    chosen_seeds = _seeds(seeds, run.seed)
    table = Table(
        run,
        config,
        names,
        rates,
        chosen_seeds,
        {name: dict(value) for name, value in (method_params or {}).items()},
        on_rows,
    )
    return table.fill()


def _seeds(seeds: int | Sequence[int], first: int) -> list[int]:
    found = (
        [first + i for i in range(int(seeds))]
        if isinstance(seeds, int | float | str)
        else [int(s) for s in seeds]
    )
    if not found:
        raise BadInput(f"seeds={seeds!r} must be at least 1; 5 make a claim.")
    return list(dict.fromkeys(found))


class Arena:
    """What selection sees (`train`: a Run) and what judges. labels: "true" or "pseudo"."""

    def __init__(self, run: Run, config: EvaluationConfig, tick: Callable[[], None]) -> None:
        self.config = config
        self._tick = tick
        self.labels = _which(run, config.labels)
        self.unmatched: dict[str, dict[str, int]] = {}
        truth = run.labels if self.labels == "true" else run.pseudo_labels.labels
        if self.labels == "true" and run.dataset.test_spec:
            from coreset_engine.sources.open import open_source

            known = np.flatnonzero(truth >= 0)
            self.train = run if len(known) == len(truth) else part(run, known)
            self.test: Run = sibling(run, open_source(run.dataset.test_spec))
            self.train_labels = truth[known]
            found, self.unmatched = _matched_by_name(run, self.train_labels, self.test)
            self.test_at = np.flatnonzero(found >= 0)
            self.test_labels = found[self.test_at]
        else:
            at, self.test_at = stratified_split(run.dataset.ids, truth)
            self.train = part(run, at)
            self.test = run
            self.train_labels = truth[at]
            self.test_labels = truth[self.test_at]
        self.n_classes = int(max(self.train_labels.max(), self.test_labels.max())) + 1
        self.n_classes = max(
            self.n_classes, len(run.dataset.classes) if self.labels == "true" else 0
        )

    @cached_property
    def key(self) -> str:
        """What the numbers depend on besides method, rate, seed and recipe."""
        return digest(
            [
                self.train.key_of("embeddings"),
                self.test.key_of("embeddings"),
                self.labels,
                _sum(self.train_labels),
                _sum(self.test_labels),
                _sum(self.test_at),
            ]
        )

    @cached_property
    def inputs(self) -> tuple[Any, Any]:
        """(of the training images, of the test images): vectors, or pixels for networks on
        pixels."""
        if self.config.model == "finetune":
            return self._feature_maps()
        if self.config.model not in ON_PIXELS:
            return self.train.vectors, self.test.vectors[self.test_at]
        from coreset_engine.training.pixels import pixels_of

        def tick(*_: Any) -> None:
            self._tick()

        ours = pixels_of(
            self.train.dataset,
            np.arange(len(self.train.dataset)),
            self.config.image_size,
            progress=tick,
        )
        return ours, pixels_of(self.test.dataset, self.test_at, shape=ours.shape[1:], progress=tick)

    def _feature_maps(self) -> tuple[Any, Any]:
        """Inputs of the encoder's last stage, of the training and of the test images."""
        from coreset_engine.evaluation.finetune import MapReader

        def tick(*_: Any) -> None:
            self._tick()

        train = self.train
        reader = MapReader(train.encoder, train.weights, train.device, train.dataset)
        ours = reader.read(train.dataset, np.arange(len(train.dataset)), tick)
        return ours, reader.read(self.test.dataset, self.test_at, tick)

    def noisy(self, seed: int) -> tuple[Run, np.ndarray]:
        """The run and labels of this seed: with `label_noise`, methods that may use true labels see
        the noise too."""
        if not self.config.label_noise:
            return self.train, self.train_labels
        spoilt = flip_labels(self.train_labels, self.config.label_noise, self.n_classes, seed)
        if self.labels == "pseudo":
            return self.train, spoilt
        return sibling(self.train, dataclasses.replace(self.train.dataset, labels=spoilt)), spoilt


class Table:
    """The cells of one evaluation: filled seed by seed, so that a curve over all rates shows
    early."""

    def __init__(
        self,
        run: Run,
        config: EvaluationConfig,
        methods: list[str],
        rates: list[float],
        seeds: list[int],
        params: Mapping[str, dict[str, Any]],
        on_rows: OnRows,
    ) -> None:
        self.run = run
        self.config = config
        self.methods = methods
        self.rates = rates
        self.seeds = seeds
        self.params = params
        self.on_rows = on_rows
        self.rows: list[Row] = []
        self.full: list[float] = []
        self.trained: dict[str, dict[str, Any]] = {}
        self.total = len(methods) * len(rates) * len(seeds)

    def tick(self, *_: Any) -> None:
        self.on_rows(self.rows, float(np.mean(self.full)) if self.full else None, self.total)

    def fill(self) -> dict[str, Any]:
        self.arena = Arena(self.run, self.config, self.tick)
        for rate in self.rates:
            kept_count(len(self.arena.train.dataset), rate)
        self.tick()
        grid = [
            cell
            for seed in self.seeds
            for cell in [
                *((method, rate, seed) for rate in self.rates for method in self.methods),
                (None, 0.0, seed),
            ]
        ]
        found: dict[int, Row] = {}
        for place, row in self.measured(grid):
            found[place] = row
            self.rows = [found[i] for i in sorted(found) if grid[i][0] is not None]
            self.full = [found[i]["accuracy"] for i in sorted(found) if grid[i][0] is None]
            self.tick()
        told = [row["error"] for row in self.rows if row.get("error")]
        if len(told) == len(self.rows):
            raise BadInput(told[0])
        return dict(
            rows=self.rows,
            full_accuracy=float(np.mean(self.full)),
            model=self.config.model,
            labels=self.arena.labels,
            trained_on=len(self.arena.train.dataset),
            tested_on=len(self.arena.test_at),
            n_classes=self.arena.n_classes,
            **({"unmatched_classes": self.arena.unmatched} if self.arena.unmatched else {}),
        )

    def measured(self, grid: list[tuple[str | None, float, int]]) -> Iterator[tuple[int, Row]]:
        """(place in grid, row) of each cell: here, one after the other, or as tasks of the run's
        cluster."""
        if self.run.cluster and self.run.reopenable:
            about = (
                run_spec(self.run),
                json.dumps(dataclasses.asdict(self.config)),
                json.dumps(self.params),
            )
            gpu = self.config.model in ON_PIXELS and self.run.device != "cpu"
            items = [(*about, *cell) for cell in grid]
            yield from self.run.executor.map(cell_task, items, gpu=gpu, idle=self.tick)
            return
        for place, cell in enumerate(grid):
            yield place, self.cell(*cell)

    def cell(self, method: str | None, rate: float, seed: int) -> Row:
        """One row, from the store where it lies finished. method None: the full set."""
        train = self.arena.train
        about = dict(source=self.run.dataset.fingerprint, root=self.run.key_of("embeddings"))
        row = dict(
            method=method or "full",
            prune_rate=rate,
            seed=seed,
            model=self.config.model,
            labels=self.arena.labels,
        )
        try:
            _, info = train.store.get(
                "evaluation",
                self.key(method, rate, seed),
                lambda: self.measure(method, rate, seed),
                about=about,
                waiting=self.tick,
            )
        except BadInput as fault:
            if method in (None, BASELINE):
                raise
            return row | dict(
                accuracy=None,
                worst_class_accuracy=None,
                k=kept_count(len(train.dataset), rate),
                error=str(fault),
            )
        return row | info

    def key(self, method: str | None, rate: float, seed: int) -> str:
        train = self.arena.train
        params = self.given(method)
        chosen = [
            train.seed,
            train.clusterer,
            train.proxy,
            train.n_samples,
            train._n_clusters,
            code_of(method),
            *filter(None, [train.corrected]),
        ]
        return digest(
            [
                VERSION,
                self.arena.key,
                method,
                rate,
                seed,
                params,
                dataclasses.asdict(self.config),
                chosen if method else None,
            ]
        )

    def given(self, method: str | None) -> dict[str, Any]:
        """The method's parameters, with the labels it may see and the balance asked for."""
        if method is None:
            return {}
        params = dict(self.params.get(method, {}))
        knows = {field.name for field in dataclasses.fields(load(METHODS[method].config))}
        if self.config.select_labels == "true" and "labels" in knows:
            params.setdefault("labels", "true")
        if self.config.balance:
            by = "class" if self.config.select_labels == "true" else "cluster"
            params.setdefault("quotas", {"by": by, "spread": "equal"})
        return params

    def measure(self, method: str | None, rate: float, seed: int) -> tuple[dict, dict]:
        """(arrays, info) of one cell: select, train, test."""
        seen, labels = self.arena.noisy(seed)
        began = time.perf_counter()
        chosen = (
            None if method is None else select(method, seen, rate, seed=seed, **self.given(method))
        )
        spent = time.perf_counter() - began
        kept = np.arange(len(labels)) if chosen is None else np.sort(chosen.indices)
        found = self.train_on(kept, labels, self.weights_of(chosen, kept), seed)
        counts = np.bincount(self.arena.train_labels[kept], minlength=self.arena.n_classes)
        info = {name: value for name, value in found.items() if name != "per_class"}
        return dict(per_class=np.asarray(found["per_class"]), kept_per_class=counts), info | dict(
            k=len(kept), select_seconds=round(spent, 4), class_balance=balance(counts)
        )

    def weights_of(self, chosen: Selection | None, kept: np.ndarray) -> np.ndarray | None:
        if chosen is None or not self.config.loss_weights:
            return None
        weights = chosen.weights[np.argsort(chosen.indices)]
        return None if np.ptp(weights) == 0 else weights

    def train_on(
        self, kept: np.ndarray, labels: np.ndarray, weights: np.ndarray | None, seed: int
    ) -> dict[str, Any]:
        """The outcome as a dict. The linear fit has no seed, so the same images are fitted once."""
        mark = digest(
            [
                _sum(kept),
                _sum(labels[kept]),
                None if weights is None else _sum(weights),
                None if self.config.model in WITHOUT_SEED else seed,
            ]
        )
        if mark not in self.trained:
            ours, theirs = self.arena.inputs
            outcome = evaluate_subset(
                self.config.model,
                ours[kept],
                np.array(labels[kept]),
                theirs,
                self.arena.test_labels,
                n_classes=self.arena.n_classes,
                whole=len(labels),
                steps=self.config.steps,
                weights=weights,
                seed=seed,
                device=self.run.device,
                progress=self.tick,
            )
            self.trained[mark] = dict(
                dataclasses.asdict(outcome), seconds=round(outcome.seconds, 4)
            )
        return self.trained[mark]


def cell_task(
    spec: str, config: str, params: str, method: str | None, rate: float, seed: int
) -> Row:
    """One row, in whatever process; who needs a stage first computes it, others wait for it."""
    return _table_of(spec, config, params).cell(method, rate, seed)


@lru_cache(maxsize=2)
def _table_of(spec: str, config: str, params: str) -> Table:
    run = open_run(spec)
    recipe = EvaluationConfig(**json.loads(config))
    table = Table(run, recipe, [], [], [], json.loads(params), nothing)
    table.arena = Arena(run, recipe, table.tick)
    return table


def _matched_by_name(
    run: Run, train_labels: np.ndarray, test: Run
) -> tuple[np.ndarray, dict[str, dict[str, int]]]:
    """The test part's labels in the numbers of the training part, and what has no counterpart.

    A test image whose class the training part does not have gets -1 and is not tested on.

    Parameters
    ----------
    run
        The source, whose class list numbers `train_labels`.
    train_labels : ndarray, shape (n,), int64 >= 0
        Labels selection and training see.
    test
        The test part, with a class list of its own.

    Returns
    -------
    labels : ndarray, shape (len(test.dataset),), int64
        -1 = not tested on.
    unmatched : dict
        "test_only" and "train_only", each class name -> number of images; absent where there are
        none.

    Raises
    ------
    BadInput
        When the two parts share no class.
    """
    if test.dataset.labels is None:
        raise BadInput(
            f"the test part {test.dataset.spec!r} has no labels; give one with labels, or evaluate "
            "with labels=pseudo."
        )
    theirs = np.asarray(test.dataset.labels, np.int64)
    names = names_of(run.dataset.classes, train_labels)
    test_names = names_of(test.dataset.classes, theirs)
    found = align_classes(names, test_names).apply(theirs)
    trained = np.bincount(train_labels, minlength=len(names))
    found[(found >= 0) & (trained[found] == 0)] = -1
    if not (found >= 0).any():
        raise BadInput(
            f"the test part has the classes {_some(test_names)} and the training part "
            f"{_some(names)}: no class with images is in both; give both the same class names."
        )
    tested = np.bincount(found[found >= 0], minlength=len(names))
    unmatched = dict(
        test_only=_counted(test_names, theirs[(found < 0) & (theirs >= 0)]),
        train_only=_counted(names, train_labels[tested[train_labels] == 0]),
    )
    return found, {side: counts for side, counts in unmatched.items() if counts}


def unmatched_sentence(found: Mapping[str, Any]) -> str:
    """What an evaluation's `unmatched_classes` say, for a person; "" when every class has both
    parts."""
    unmatched = found.get("unmatched_classes") or {}
    said = []
    if lacking := unmatched.get("test_only"):
        said.append(
            f"{sum(lacking.values()):,} test images were left out: training has no image of "
            f"{_some(list(lacking))}."
        )
    if untested := unmatched.get("train_only"):
        said.append(f"The test part has no image of {_some(list(untested))}: not tested.")
    return " ".join(said)


def _counted(names: Sequence[str], labels: np.ndarray) -> dict[str, int]:
    """Class name -> how many of `labels` it has, for those that have any."""
    counts = np.bincount(labels, minlength=len(names))
    return {name: int(count) for name, count in zip(names, counts, strict=True) if count}


def _some(names: Sequence[str], shown: int = 5) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(map(repr, names[:shown])) + more


def part(run: Run, at: np.ndarray) -> Run:
    """A run over the images at `at` alone: its stages are computed from these and know nothing of
    the others."""
    whole = run.dataset
    mark = digest([whole.fingerprint, run.key_of("embeddings"), "part", _sum(at)])
    dataset = dataclasses.replace(
        whole,
        ids=whole.ids[at],
        fingerprint=mark,
        labels=None if whole.labels is None else whole.labels[at],
        reader=None if whole.reader is None else lambda i: whole.image(at[i]),
        vectors=run.vectors[at],
        paths=None if whole.paths is None else whole.paths[at],
        test_spec=None,
        rejected=(),
        columns={name: np.asarray(values)[at] for name, values in whole.columns.items()},
    )
    found = sibling(run, dataset)
    found.sliced = True
    return found


def sibling(run: Run, dataset: Dataset) -> Run:
    """Another dataset with the same settings and store."""
    return Run(
        dataset,
        run.encoder,
        run.seed,
        n_clusters=run._n_clusters,
        clusterer=run.clusterer,
        proxy=run.proxy,
        n_samples=run.n_samples,
        weights=run.weights,
        device=run.device,
        store=run.store,
        progress=run.progress,
        cluster=run.cluster,
        search=run.search,
    )


def balance(counts: np.ndarray) -> float:
    """Entropy of the kept over classes, as a share of the largest possible: 1 = the same number of
    each."""
    share = counts[counts > 0] / max(1, counts.sum())
    return float(-(share * np.log(share)).sum() / np.log(len(counts))) if len(counts) > 1 else 1.0


def code_of(method: str | None) -> str:
    """Hash of the source of the method's module, so that a changed method is measured again."""
    if method is None:
        return ""
    return digest(inspect.getsource(sys.modules[load(METHODS[method].function).__module__]))


def _which(run: Run, wanted: str) -> str:
    if wanted == "true" and run.labels is not None:  # run.labels raises Missing with the way out
        return "true"
    return wanted if wanted != "auto" else "pseudo" if run.dataset.labels is None else "true"


def _sum(values: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(values)).hexdigest()[:32]
