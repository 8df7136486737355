"""The forecast for pages: stored cells, and the job that computes the rest.

Where people labelled 50 images or more, the forecast that their labels correct is shown once it is
finished, and the one without labels until then. Pages never compute. Until the forecast of a
dataset is there, the recommended method goes by the measured rule, and the page says so.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from coreset_engine.artifacts import history, label_log
from coreset_engine.core.errors import CoresetError
from coreset_engine.core.forecast import Forecast
from coreset_engine.core.registry import METHODS
from ui.components.jobs import ACTIVE, list_jobs, submit
from ui.state import session
from ui.state.run_view import RunView

JOB = "forecast"
EVERY = 20  # cells after which a running forecast is read again


def known_forecast(view: RunView) -> Forecast | None:
    """The finished cells of the dataset's forecast; None where there is none.

    Of a dataset too large to draw: of all its images. Corrected by labels where this is finished.
    """
    return _finished(view, None, None)


def labels_pending(view: RunView) -> int:
    """Labels that people gave and that do not correct the forecast yet; 0 where all do."""
    count, _ = _known_labels(view)
    forecast = known_forecast(view)
    return 0 if forecast is None or forecast.n_labels == count else count


def _known_labels(view: RunView) -> tuple[int, str]:
    """(number of given labels that judge, a name for them); (0, "") where they are too few."""
    full = view.full or view
    fingerprint = full.dataset.fingerprint
    stamp = history.stamp(label_log.LABELS, fingerprint, session.home())
    return _label_task(fingerprint, full.key_of("neighbours"), stamp, full)


@st.cache_data(max_entries=16, show_spinner=False)
def _label_task(
    fingerprint: str, neighbours: str, stamp: tuple[int, ...] | None, _view: RunView
) -> tuple[int, str]:
    from coreset_engine.pipeline.forecast_labels import label_task

    task = label_task(_view.run, stored=True) if stamp else None
    return (0, "") if task is None else (task.n_given, task.key)


def known_betas(view: RunView, prune_rate: float, score: str) -> Forecast | None:
    """The finished cells of ELFS at the values of beta that the forecast tries, at the rates around
    `prune_rate`; None where there are none.

    score: "aum" or "forgetting".
    """
    from coreset_engine.pipeline.forecast_stage import rates_around

    full = view.full or view
    return _finished(view, beta_trials(score), rates_around(prune_rate, len(full)))


def beta_trials(score: str) -> tuple[tuple[str, dict[str, Any]], ...]:
    """ELFS on a score with each value of beta that its row tries, as a forecast takes them."""
    other = {} if score == "aum" else {"score": score}
    return tuple(("elfs", {**dict(trial), **other}) for trial in METHODS["elfs"].trials)


def _finished(
    view: RunView, methods: tuple[Any, ...] | None, rates: tuple[float, ...] | None
) -> Forecast | None:
    full = view.full or view
    if not hasattr(full.run, "forecast_at"):  # plain arrays
        return None
    if not full.ready("embeddings", "neighbours"):
        return None
    jobs = [job for job in list_jobs() if job.kind == JOB and job.spec == full.spec]
    step = sum(job.done or 0 for job in jobs) // EVERY + sum(
        job.status not in ACTIVE for job in jobs
    )
    stages = full.key_of("dynamics") if methods else full.key_of("pseudo_labels")
    asked = (methods, rates)
    for labels in dict.fromkeys([_known_labels(view)[1], ""]):
        state = (stages, step, labels)
        forecast = _known(full.dataset.fingerprint, full.job_params, state, asked, full)
        if forecast is not None and forecast.rows and (forecast.complete or not labels):
            return forecast
    return None


@st.cache_resource(max_entries=16, show_spinner=False)
def _known(
    fingerprint: str,
    job_params: dict[str, Any],
    state: tuple[str, int, str],
    asked: tuple[Any, Any],
    _view: RunView,
) -> Forecast | None:
    from coreset_engine.pipeline import forecast_stage

    try:
        return forecast_stage.known(_view.run, *asked, stored_labels=bool(state[2]))
    except CoresetError:
        return None


def decides(view: RunView) -> bool:
    """Whether the forecast is far enough to recommend a method without computing anything."""
    forecast = known_forecast(view)
    return forecast is not None and forecast.complete


def start_once(view: RunView) -> None:
    """Start the job that makes the forecast, once per session and state of the dataset."""
    full = view.full or view
    asked = f"{full.spec} {full.key_of('neighbours')} {_known_labels(view)[1]}"
    if hasattr(full.run, "forecast_at") and session.get("forecast_asked") != asked:
        session.put("forecast_asked", asked)
        submit(JOB, full.spec, full.job_params)


def being_computed(view: RunView) -> bool:
    """Whether a job that makes the forecast of this dataset is queued or running."""
    return any(
        job.kind == JOB and job.spec == view.spec and job.status in ACTIVE for job in list_jobs()
    )


def method_of(selection: Any) -> tuple[str, dict[str, Any]]:
    """The method behind a selection, with the parameters the forecast knows it by."""
    name = selection.info.get("recommended")
    if name in METHODS:
        return str(name), dict(selection.info.get("recommended_params") or {})
    return selection.method, {}
