"""The forecast as pages see it: what lies finished in the store, and the job that makes the rest.

Pages never compute. Until the forecast of a dataset is there, the recommended method goes by the
measured rule, and the page says so.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from coreset_engine.core.errors import CoresetError
from coreset_engine.core.forecast import Forecast
from coreset_engine.core.registry import METHODS
from ui.components.jobs import ACTIVE, list_jobs, submit
from ui.state import session
from ui.state.session import RunView

JOB = "forecast"
EVERY = 20  # cells after which a running forecast is read again


def known_forecast(view: RunView) -> Forecast | None:
    """The finished cells of the dataset's forecast; None where there is none.

    Of a dataset too large to draw: of all its images.
    """
    return _finished(view, None, None)


def known_betas(view: RunView, prune_rate: float, score: str) -> Forecast | None:
    """The finished cells of ELFS at the values of beta that the forecast tries, at the rates around
    `prune_rate`; None where there are none.

    score: "aum" or "forgetting".
    """
    from coreset_engine.pipeline.forecast_stage import rates_around

    whole = view.full or view
    return _finished(view, beta_trials(score), rates_around(prune_rate, len(whole)))


def beta_trials(score: str) -> tuple[tuple[str, dict[str, Any]], ...]:
    """ELFS on a score with each value of beta that its row tries, as a forecast takes them."""
    other = {} if score == "aum" else {"score": score}
    return tuple(("elfs", {**dict(trial), **other}) for trial in METHODS["elfs"].trials)


def _finished(
    view: RunView, methods: tuple[Any, ...] | None, rates: tuple[float, ...] | None
) -> Forecast | None:
    whole = view.full or view
    if not hasattr(whole.run, "forecast_at"):  # plain arrays
        return None
    if not whole.ready("embeddings", "neighbours"):
        return None
    jobs = [job for job in list_jobs() if job.kind == JOB and job.spec == whole.spec]
    step = sum(job.done or 0 for job in jobs) // EVERY + sum(
        job.status not in ACTIVE for job in jobs
    )
    stages = whole.key_of("dynamics") if methods else whole.key_of("pseudo_labels")
    finished = _known(
        whole.dataset.fingerprint, whole.job_params, stages, (methods, rates), step, whole
    )
    return finished if finished is not None and finished.rows else None


@st.cache_resource(max_entries=16, show_spinner=False)
def _known(
    fingerprint: str,
    job_params: dict[str, Any],
    stages: str,
    asked: tuple[Any, Any],
    step: int,
    _view: RunView,
) -> Forecast | None:
    from coreset_engine.pipeline import forecast_stage

    try:
        return forecast_stage.known(_view.run, *asked)
    except CoresetError:
        return None


def decides(view: RunView) -> bool:
    """Whether the forecast is far enough to recommend a method without computing anything."""
    forecast = known_forecast(view)
    return forecast is not None and forecast.complete


def start_once(view: RunView) -> None:
    """Start the job that makes the forecast, once per session and state of the dataset."""
    whole = view.full or view
    asked = f"{whole.spec} {whole.key_of('neighbours')}"
    if hasattr(whole.run, "forecast_at") and session.get("forecast_asked") != asked:
        session.put("forecast_asked", asked)
        submit(JOB, whole.spec, whole.job_params)


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
