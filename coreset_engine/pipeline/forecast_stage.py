"""The forecast of a run: which candidates at which pruning rates, and the answer as it grows.

Cells are kept (`pipeline.forecast_cells`), so a stopped forecast resumes where it was, and
another one shares its cells. No true label is read, unless a candidate is requested that reads them
itself (labels="true"). Labels that people gave judge as well (`pipeline.forecast_labels`).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from coreset_engine.core.config import left_to, make
from coreset_engine.core.errors import BadInput
from coreset_engine.core.forecast import Forecast
from coreset_engine.core.registry import BASELINE, METHODS, load, look_up, portfolio
from coreset_engine.core.types import Artefacts, Progress, silent
from coreset_engine.forecasting import calibration
from coreset_engine.forecasting.surrogates import FEWEST
from coreset_engine.pipeline.forecast_cells import Candidate, Cell, ForecastCells
from coreset_engine.pipeline.forecast_labels import label_task
from coreset_engine.pipeline.forecast_part import Part
from coreset_engine.selection.budget import kept_count

RATES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
FEWEST_KEPT = 5  # images kept below which a rate is not judged by default

MethodSpec = str | tuple[str, Mapping[str, Any]]


def forecast(
    run: Artefacts,
    methods: Iterable[MethodSpec] | None = None,
    rates: Iterable[float] | None = None,
    *,
    seed: int | None = None,
    stored_labels: bool = True,
    progress: Progress = silent,
) -> Forecast:
    """What each method would gain over random at each pruning rate, without a label.

    Parameters
    ----------
    run : Run
        The artefacts to select from.
    methods : names, or (name, parameters) pairs, optional
        Default: the portfolio, methods that need vectors and neighbours alone, and the featured
        methods whose stages are computed. A bare name also tries the parameters worth varying.
    rates : floats in (0, 1), optional
        Pruning rates; default 0.5 to 0.99, as far as five images are kept.
    seed : int, optional
        Of the surrogate tasks and the methods; default the run's.
    stored_labels : bool
        Whether labels that people gave, 50 or more, correct the forecast. They are those that the
        workspace keeps for the dataset (`ce.keep_labels`), never the source's own.
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
    steps = forecast_steps(
        run, methods, rates, seed=seed, stored_labels=stored_labels, progress=progress
    )
    return deque(steps, maxlen=1).pop()


def forecast_steps(
    run: Artefacts,
    methods: Iterable[MethodSpec] | None = None,
    rates: Iterable[float] | None = None,
    *,
    seed: int | None = None,
    stored_labels: bool = True,
    progress: Progress = silent,
) -> Iterator[Forecast]:
    """The forecast as it grows, after every cell; takes what `forecast` takes.

    The last one is complete; all others have `complete=False`. A candidate that cannot be ranked,
    such as one whose score was not recorded, is skipped with the reason.

    Parameters
    ----------
    run
        Its vectors and neighbours are computed where they are missing.
    methods
        As in `forecast`.
    rates
        In (0, 1); as in `forecast`.
    seed
        Of the surrogate tasks and of the rankings; None = the run's.
    stored_labels
        Whether labels from earlier rounds are judged too.
    progress
        Called with cells done, cells in all, "cells".

    Raises
    ------
    BadInput
        For an unknown candidate or rate, or when the baseline itself cannot be ranked.
    """
    seed = run.seed if seed is None else int(seed)
    candidates = candidates_of(run, methods)
    wanted = checked_rates(rates, len(run.dataset))
    grid = ForecastCells(run, seed, label_task(run, stored_labels))
    if len(run.dataset) < FEWEST or not wanted:
        yield Forecast((), len(run.dataset), seed, True, calibration.SAFEST)
        return
    began = time.monotonic()
    cells: list[Cell] = []
    jobs = [(candidate, rate) for candidate in candidates for rate in wanted]
    set_aside: dict[str, str] = {}
    yield grid.forecast(cells, False, began)
    for done, (candidate, rate) in enumerate(jobs):
        progress(done, len(jobs), "cells")
        if candidate.name in set_aside:
            continue
        try:
            cell = grid.cell(candidate, rate, wanted)
        except BadInput as error:
            if candidate.method == BASELINE:
                raise
            set_aside[candidate.name] = grid.set_aside(candidate, str(error))
            continue
        if cell is not None:
            cells.append(cell)
            yield grid.forecast(cells, False, began, set_aside)
    progress(len(jobs), len(jobs), "cells")
    yield grid.forecast(cells, True, began, set_aside)


def known(
    run: Artefacts,
    methods: Iterable[MethodSpec] | None = None,
    rates: Iterable[float] | None = None,
    *,
    seed: int | None = None,
    stored_labels: bool = True,
) -> Forecast:
    """As `forecast`, of the cells that are in the store; never computes.

    Parameters
    ----------
    run, methods, rates, seed, stored_labels
        As in `forecast_steps`.

    Returns
    -------
    Forecast
        `complete` when every cell requested is there or was skipped; without rows when the set
        is too small or nothing was computed.
    """
    seed = run.seed if seed is None else int(seed)
    wanted = checked_rates(rates, len(run.dataset))
    grid = ForecastCells(run, seed, label_task(run, stored_labels))
    jobs = [(one, rate) for one in candidates_of(run, methods) for rate in wanted]
    finished = [(one, rate) for one, rate in jobs if grid.has(one, rate)]
    if not finished or not grid.has_all:
        return Forecast((), len(run.dataset), seed, False, calibration.SAFEST)
    cells = [grid.cell(one, rate, wanted) for one, rate in finished]
    judged = [cell for cell in cells if cell is not None]
    missing = [job for job in jobs if grid.fits(*job) and job not in finished]
    reasons = {one: grid.why_set_aside(one) for one in {one for one, _ in missing}}
    complete = all(reasons.values())
    set_aside = {one.name: reason for one, reason in reasons.items() if reason}
    return grid.forecast(judged, complete, time.monotonic(), set_aside)


def candidates_of(run: Artefacts, methods: Iterable[MethodSpec] | None) -> list[Candidate]:
    """The candidates requested: the baseline, then those that are answered soonest.

    Soonest: the fewest stages to compute, one ranking for all rates, neighbours instead of vectors.
    """
    if isinstance(methods, str):
        methods = [name.strip() for name in methods.split(",") if name.strip()]
    candidates = [Candidate(BASELINE)]
    for spec in _default_methods(run) if methods is None else methods:
        candidates += _candidates(spec)
    ready = getattr(run, "ready", lambda stage: False)

    def slowness(one: Candidate) -> tuple[bool, int, bool, bool]:
        unfinished = [stage for stage in one.row.stages if not ready(stage)]
        return (
            one.method != BASELINE,
            len(unfinished),
            not one.row.nested,
            "vectors" in one.row.needs,
        )

    return sorted(dict.fromkeys(candidates), key=slowness)


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
                f"{open_names[0]}=auto is set by the forecast; give a number, or {row.name!r} "
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


def forecast_around(
    run: Artefacts,
    prune_rate: float,
    methods: Iterable[MethodSpec] | None = None,
    within: np.ndarray | None = None,
    progress: Progress = silent,
) -> Forecast:
    """The forecast at the one or two rates of the grid that bracket `prune_rate`.

    Labels judge only where they were put into the run: a manifest holds those, so that a choice
    made by them can be verified.

    Parameters
    ----------
    run : Run
    prune_rate : float
        Of the images at `within`.
    methods
        As `forecast`.
    within : (M,) int64, optional
        Positions of the only images that are selected from, ascending; None = all.
    progress : Progress
    """
    part: Any = run if within is None else Part(run, within)
    rates = rates_around(prune_rate, len(part.dataset))
    return forecast(part, methods, rates, stored_labels=False, progress=progress)
