"""The forecast of a run: candidates are ranked, their coresets judged, every cell kept.

A cell is one candidate at one number of images. It is found again by what it is made from: the
surrogate tasks, the candidate, the number kept, and the keys of the stages that its method needs.
So a forecast that was stopped goes on where it was, and another one shares its cells. No true label
is read, unless a candidate is asked for that reads them itself (labels="true").
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from coreset_engine.artifacts.store import digest
from coreset_engine.core.config import left_to, make
from coreset_engine.core.errors import BadInput
from coreset_engine.core.forecast import Forecast, ForecastRow
from coreset_engine.core.registry import BASELINE, METHODS, MethodRow, load, look_up, portfolio
from coreset_engine.core.types import Artefacts, Progress, Ranking, silent
from coreset_engine.forecasting import calibration
from coreset_engine.forecasting.config import ForecastConfig
from coreset_engine.forecasting.judge import Judge, accuracies, make_judge
from coreset_engine.forecasting.surrogates import (
    FEWEST,
    Features,
    SurrogateTasks,
    make_features,
    make_tasks,
)
from coreset_engine.selection.budget import kept_count, largest_beta
from coreset_engine.selection.keyed_random import random_order

VERSION = 1
RATES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
FEWEST_KEPT = 5  # images kept below which a rate is not judged by default
_FIRST_RANDOM = 7919  # seeds of the random coresets that candidates are compared with

MethodSpec = str | tuple[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Candidate:
    """A method with parameters that differ from its defaults."""

    method: str
    params: tuple[tuple[str, Any], ...] = ()

    @property
    def row(self) -> MethodRow:
        return METHODS[self.method]


def forecast(
    run: Artefacts,
    methods: Iterable[MethodSpec] | None = None,
    rates: Iterable[float] | None = None,
    *,
    seed: int | None = None,
    progress: Progress = silent,
) -> Forecast:
    """What each method would gain over random at each pruning rate, without a label.

    Parameters
    ----------
    run : Run
        The artefacts to select from.
    methods : names, or (name, parameters) pairs, optional
        Default: the portfolio, methods that need vectors and neighbours alone, and the featured
        methods whose stages lie finished. A bare name also tries the parameters worth varying.
    rates : floats in (0, 1), optional
        Pruning rates; default 0.5 to 0.99, as far as five images are kept.
    seed : int, optional
        Of the surrogate tasks and the methods; default the run's.
    progress : Progress
        Unit "cells"; may raise Cancelled, and what was finished stays.

    Returns
    -------
    Forecast

    Raises
    ------
    BadInput
        Unknown methods, or rates out of range.
    """
    steps = forecast_steps(run, methods, rates, seed=seed, progress=progress)
    return deque(steps, maxlen=1).pop()


def forecast_steps(
    run: Artefacts,
    methods: Iterable[MethodSpec] | None = None,
    rates: Iterable[float] | None = None,
    *,
    seed: int | None = None,
    progress: Progress = silent,
) -> Iterator[Forecast]:
    """The forecast as it grows, after every cell; takes what `forecast` takes.

    The last one is complete; all others have `complete=False`.
    """
    seed = run.seed if seed is None else int(seed)
    candidates = candidates_of(run, methods)
    wanted = checked_rates(rates, len(run.dataset))
    work = _Work(run, seed)
    if len(run.dataset) < FEWEST or not wanted:
        yield Forecast((), len(run.dataset), seed, True, calibration.SAFEST)
        return
    began = time.monotonic()
    cells: list[_Cell] = []
    jobs = [(candidate, rate) for candidate in candidates for rate in wanted]
    yield work.forecast(cells, False, began)
    for done, (candidate, rate) in enumerate(jobs):
        progress(done, len(jobs), "cells")
        cell = work.cell(candidate, rate, wanted)
        if cell is not None:
            cells.append(cell)
            yield work.forecast(cells, False, began)
    progress(len(jobs), len(jobs), "cells")
    yield work.forecast(cells, True, began)


def known(
    run: Artefacts,
    methods: Iterable[MethodSpec] | None = None,
    rates: Iterable[float] | None = None,
    *,
    seed: int | None = None,
) -> Forecast:
    """As `forecast`, of the cells that lie finished in the store alone; never computes."""
    seed = run.seed if seed is None else int(seed)
    wanted = checked_rates(rates, len(run.dataset))
    work = _Work(run, seed)
    jobs = [(one, rate) for one in candidates_of(run, methods) for rate in wanted]
    finished = [(one, rate) for one, rate in jobs if work.has(one, rate)]
    if not finished or not work.has_all:
        return Forecast((), len(run.dataset), seed, False, calibration.SAFEST)
    cells = [work.cell(one, rate, wanted) for one, rate in finished]
    judged = [cell for cell in cells if cell is not None]
    complete = len(finished) == len([job for job in jobs if work.fits(*job)])
    return work.forecast(judged, complete, time.monotonic())


def candidates_of(run: Artefacts, methods: Iterable[MethodSpec] | None) -> list[Candidate]:
    """The candidates asked for, the baseline first, then those that need the fewest stages."""
    if isinstance(methods, str):
        methods = [name.strip() for name in methods.split(",") if name.strip()]
    candidates = [Candidate(BASELINE)]
    for spec in _default_methods(run) if methods is None else methods:
        candidates += _candidates(spec)
    unique = list(dict.fromkeys(candidates))
    return sorted(unique, key=lambda one: (one.method != BASELINE, len(one.row.needs)))


def _default_methods(run: Artefacts) -> list[MethodSpec]:
    ready = getattr(run, "ready", lambda stage: False)
    finished = [
        row.name
        for row in METHODS.values()
        if row.featured
        and row.family != "recommended"
        and not row.portfolio
        and row.stages
        and all(map(ready, row.stages))
    ]
    return [*portfolio(len(run.dataset)), *finished]


def _candidates(spec: MethodSpec) -> list[Candidate]:
    if not isinstance(spec, str):
        name, params = spec
        row = look_up(METHODS, name, "method")
        open_names = left_to(make(load(row.config), dict(params)))
        if open_names:
            raise BadInput(
                f"{open_names[0]}=auto is found by the forecast; name a number, or {row.name!r} "
                "alone to try several."
            )
        return [Candidate(row.name, tuple(sorted(dict(params).items())))]
    row = look_up(METHODS, spec, "method")
    if row.name == "auto" or row.family == "recommended":
        raise BadInput(
            f"{row.name!r} follows the forecast and cannot be forecast itself; name the methods it "
            f"chooses from, for example {', '.join(portfolio(1)[:3])}."
        )
    trials = [Candidate(row.name, trial) for trial in row.trials]
    return [Candidate(row.name), *trials]


def checked_rates(rates: Iterable[float] | None, n: int) -> list[float]:
    """Ascending pruning rates; the default grid as far as `FEWEST_KEPT` images are kept."""
    if rates is None:
        return [rate for rate in RATES if kept_count(n, rate) >= FEWEST_KEPT]
    checked = set()
    for rate in rates:
        if not 0 < float(rate) < 1:
            raise BadInput(
                f"prune rate {rate} must lie between 0 and 1; 0.9 keeps a tenth of the images."
            )
        checked.add(float(rate))
    return sorted(checked)


def rates_around(prune_rate: float, n: int) -> tuple[float, ...]:
    """The rates of the grid that the gain at `prune_rate` is interpolated from."""
    grid = checked_rates(None, n)
    if not grid:
        return ()
    below = [rate for rate in grid if rate <= prune_rate]
    above = [rate for rate in grid if rate >= prune_rate]
    return tuple(sorted({*below[-1:], *above[:1]}))


@dataclass(frozen=True)
class _Cell:
    """What was judged of a candidate at one rate: accuracies by task, in [0, 1]."""

    candidate: Candidate
    prune_rate: float
    n_kept: int
    micro: tuple[float, ...]
    macro: tuple[float, ...]


class _Work:
    """The judge of one run and the cells it has; everything is made when first needed."""

    def __init__(self, run: Artefacts, seed: int) -> None:
        self.run = run
        self.seed = seed
        self.config = ForecastConfig()
        self.n = len(run.dataset)
        self._rankings: dict[Candidate, Ranking] = {}

    # -- what is judged on

    @cached_property
    def _surrogates(self) -> tuple[Features, SurrogateTasks]:
        arrays, info = self._kept("surrogates", self._surrogates_key, self._make_surrogates)
        tasks = SurrogateTasks(arrays["labels"], tuple(info["n_classes"]))
        return Features(arrays["inputs"], arrays["directions"]), tasks

    def _make_surrogates(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        features = make_features(self.run.vectors, self.config, self._order)
        tasks = make_tasks(features, self.config, self.seed, self._order)
        arrays = dict(inputs=features.inputs, directions=features.directions, labels=tasks.labels)
        return arrays, dict(n_classes=tasks.n_classes)

    @cached_property
    def _order(self) -> np.ndarray:
        """A random order that belongs to the ids, not to how the source lists them."""
        return random_order(self.run.dataset.ids, self.seed)

    @cached_property
    def _judge(self) -> Judge:
        features, tasks = self._surrogates
        return make_judge(features, tasks, self.config, self._order)

    @cached_property
    def _compact(self) -> _Compact:
        """The run as methods see it here: by the leading axes of its unit vectors."""
        return _Compact(self.run, np.asarray(self._surrogates[0].directions))

    @property
    def _surrogates_key(self) -> str:
        key_of = getattr(self.run, "key_of", None)
        made_from = key_of("embeddings") if key_of else self.run.dataset.fingerprint
        return digest(["surrogates", VERSION, made_from, vars(self.config), self.seed])

    def _kept(self, stage: str, key: str, make_it: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        store = getattr(self.run, "store", None)
        if store is None:
            return make_it()  # type: ignore[no-any-return]
        about: dict[str, Any] = self.run.about()  # type: ignore[attr-defined]
        return store.get(stage, key, make_it, about=about)  # type: ignore[no-any-return]

    # -- cells

    def fits(self, candidate: Candidate, rate: float) -> bool:
        """Whether the candidate's hard cut leaves as many images as the rate keeps."""
        beta = dict(candidate.params).get("beta")
        return beta is None or beta <= largest_beta(self.n, kept_count(self.n, rate))

    def has(self, candidate: Candidate, rate: float) -> bool:
        """Whether the cell and its baseline lie finished in the store."""
        store = getattr(self.run, "store", None)
        return store is not None and all(
            store.has("forecast", self._cell_key(one, rate))
            for one in (Candidate(BASELINE), candidate)
        )

    @property
    def has_all(self) -> bool:
        """Whether the accuracy of all images lies finished in the store."""
        store = getattr(self.run, "store", None)
        return store is not None and store.has("forecast", self._all_key)

    def cell(self, candidate: Candidate, rate: float, rates: Sequence[float]) -> _Cell | None:
        """The cell of a candidate, from the store if it is finished.

        None where the candidate's parameters do not fit the rate.
        """
        if not self.fits(candidate, rate):
            return None
        k = kept_count(self.n, rate)

        def judged() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
            most = kept_count(self.n, min(rates))
            measured = [
                accuracies(self._judge, kept) for kept in self._coresets(candidate, k, most)
            ]
            micro = np.mean([one.micro for one in measured], axis=0)
            macro = np.mean([one.macro for one in measured], axis=0)
            return {}, dict(micro=micro.tolist(), macro=macro.tolist())

        info = self._kept("forecast", self._cell_key(candidate, rate), judged)[1]
        return _Cell(candidate, rate, k, tuple(info["micro"]), tuple(info["macro"]))

    def _cell_key(self, candidate: Candidate, rate: float) -> str:
        k = kept_count(self.n, rate)
        return digest(["cell", VERSION, self._surrogates_key, *self._identity(candidate), k])

    def _identity(self, candidate: Candidate) -> list[Any]:
        """What a candidate's ranking depends on, beside the number kept."""
        key_of = getattr(self.run, "key_of", None)
        stages = candidate.row.stages if key_of else ()
        keys = [key_of(stage) for stage in stages] if key_of else []
        if key_of and dict(candidate.params).get("labels") == "true":
            keys.append(key_of("dynamics", labels="true"))  # labels may change later
        return [candidate.method, list(candidate.params), keys]

    def _coresets(self, candidate: Candidate, k: int, most: int) -> Iterator[np.ndarray]:
        """Positions of the candidate's coreset of k images; of several for the baseline."""
        if candidate.method == BASELINE:
            for draw in range(self.config.n_random):
                yield random_order(self.run.dataset.ids, self.seed + _FIRST_RANDOM + draw)[:k]
            return
        known = self._rankings.get(candidate)
        if known is None or not known.nested or len(known.order) < k:
            count = max(k, most) if candidate.row.nested else k
            method = load(candidate.row.function)
            config = make(load(candidate.row.config), dict(candidate.params))
            none = np.empty(0, np.int64)
            known = method(self._compact, count, config, self.seed, preselected=none)
            if not known.nested and count != k:
                known = method(self._compact, k, config, self.seed, preselected=none)
            self._rankings[candidate] = known
        yield known.order[:k]

    @cached_property
    def _all(self) -> np.ndarray:
        """(T,) accuracy by task of a judge trained on all images."""

        def judged() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
            return {}, dict(micro=accuracies(self._judge, np.arange(self.n)).micro.tolist())

        return np.array(self._kept("forecast", self._all_key, judged)[1]["micro"])

    @property
    def _all_key(self) -> str:
        return digest(["all", VERSION, self._surrogates_key])

    # -- rows

    def forecast(self, cells: Sequence[_Cell], complete: bool, began: float) -> Forecast:
        """The record of these cells."""
        base = {cell.prune_rate: cell for cell in cells if cell.candidate.method == BASELINE}
        rows = tuple(self._row(cell, base[cell.prune_rate]) for cell in cells)
        seconds = round(time.monotonic() - began, 3)
        return Forecast(rows, self.n, self.seed, complete, calibration.SAFEST, seconds)

    def _row(self, cell: _Cell, base: _Cell) -> ForecastRow:
        judged = 100 * float(np.mean(np.subtract(cell.micro, base.micro)))
        balanced = 100 * float(np.mean(np.subtract(cell.macro, base.macro)))
        share = calibration.expected_share(
            float(np.mean(cell.micro) / max(self._all.mean(), 1e-9)), cell.prune_rate
        )
        own = calibration.expected_gain(judged, cell.prune_rate)
        even = calibration.expected_gain(balanced, cell.prune_rate, balanced=True)
        if cell.candidate.method == BASELINE:
            own = even = calibration.NOTHING
        return ForecastRow(
            cell.candidate.method,
            dict(cell.candidate.params),
            cell.prune_rate,
            cell.n_kept,
            *(own.gain, own.low, own.high),
            *(even.gain, even.low, even.high),
            *(share.gain, share.low, share.high),
            judged=judged,
            judged_balanced=balanced,
        )


class _Compact:
    """A run whose vectors are replaced by fewer dimensions; all else is the run's own."""

    def __init__(self, run: Artefacts, vectors: np.ndarray) -> None:
        self._run = run
        self.vectors = vectors
        self.dataset = run.dataset
        self.seed = run.seed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)
