"""The session's coreset: method, rates and pins of every page as one Selection.

Scores are finished artefacts, so choosing again is arithmetic; the last few answers are cached for
the server.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import streamlit as st

from coreset_engine.core.counted import counted
from coreset_engine.core.ids import positions_of
from coreset_engine.core.registry import METHODS, load
from coreset_engine.core.types import Selection
from coreset_engine.selection.budget import Budget
from coreset_engine.selection.request import SelectionRequest
from ui.selection import forecasts
from ui.state import session

# The setting of the recommended method that says how it decides, and its value without a forecast.
RULE = "rule"
MEASURED = "measured"


def knob_names(method: str) -> set[str]:
    return {field.name for field in dataclasses.fields(load(METHODS[method].config))}


def method_params(method: str) -> dict[str, Any]:
    """The session's parameters of `method`: its own (`params`) and the shared beta and alpha."""
    names = knob_names(method)
    shared = (
        {"beta": session.get("beta")} if session.chosen("beta") else {}
    )  # else the engine's guess for each rate
    shared["n_neighbours"] = session.get("alpha")
    own = (session.get("params") or {}).get(method, {})
    combined = {**shared, **own}
    return {name: value for name, value in combined.items() if name in names and value is not None}


def needed_stages(method: str) -> list[str]:
    """Stages that must be finished for `method`."""
    return list(METHODS[method].stages)


def current_request() -> SelectionRequest:
    """What the session's settings ask for. Raises BadInput where a value cannot be read."""
    method = session.get("method")
    count = session.get("count")
    return SelectionRequest.of(
        method,
        prune_rate=None if count else session.get("prune_rate"),
        count=count or None,
        must_keep=session.get("must_keep") or (),
        never=session.get("never") or (),
        **constraints(),
        **method_params(method),
    )


def settled(view: session.RunView, request: SelectionRequest) -> SelectionRequest:
    """The request, by the measured rule where it asks for a forecast that is not finished.

    Pages and exports must not wait for a forecast.
    """
    if RULE in dict(request.params) or not goes_by_measured_rule(view, request.method):
        return request
    return dataclasses.replace(request, params=(*request.params, (RULE, MEASURED)))


def goes_by_measured_rule(view: session.RunView, method: str) -> bool:
    """Whether the method recommends by the forecast, which is not finished for these images."""
    if RULE in method_params(method) or RULE not in knob_names(method):
        return False
    return filtered() or not forecasts.decides(view)


def filtered() -> bool:
    """Whether the session selects among some images only, whose forecast no job makes."""
    return bool(constraints().get("where"))


def constraints() -> dict[str, Any]:
    """The session's quotas, groups, costs and near-duplicates, for `SelectionRequest.of`."""
    return dict(session.get("constraints") or {})


def current_stages() -> list[str]:
    """Stages that must be finished for the session's method and constraints."""
    limits = constraints()
    stages = needed_stages(session.get("method"))
    quotas = limits.get("quotas") or []
    columns = [quota.get("by") for quota in quotas] + [limits.get("groups")]
    if any(name in ("cluster", "pseudo_label") for name in columns):
        stages.append("pseudo_labels")
    if limits.get("near_duplicates") is not None:
        stages.append("neighbours")
    return list(dict.fromkeys(stages))


def current_selection(view: session.RunView) -> Selection:
    """The coreset that the session's settings describe. Raises BadInput when they contradict."""
    return select(view, current_request())


def select(view: session.RunView, request: SelectionRequest) -> Selection:
    """The selection of `request` on the opened run, cached.

    Of a sample: at the same rate, with the pins that it holds, no more must-keeps than its share,
    and without quotas and costs, which count all images; counts, jobs and exports of all images
    follow every pin and constraint.
    """
    if view.full is not None:
        request = _for_sample(view, request, len(view.full))
    request = settled(view, request)
    excluded = str(view.run.excluded_key)  # images taken out on the Clean page
    return _select(view.dataset.fingerprint, view.job_params, request, excluded, view)


def _for_sample(view: session.RunView, request: SelectionRequest, n: int) -> SelectionRequest:
    budget = Budget(request.budget.rate(n))
    must_keep, never = (_in_sample(view, ids) for ids in (request.must_keep, request.never))
    return dataclasses.replace(
        request,
        budget=budget,
        must_keep=must_keep[: budget.kept(len(view))],
        never=never,
        quotas=(),
        costs=None,
        cost_budget=None,
    )


def _in_sample(view: session.RunView, ids: tuple[str, ...]) -> tuple[str, ...]:
    positions = positions_of(view.dataset.ids, ids)
    return tuple(view.dataset.ids[positions[positions >= 0]].tolist())


@st.cache_resource(
    max_entries=64, show_spinner="Selecting ...", hash_funcs={SelectionRequest: repr}
)
def _select(
    fingerprint: str,
    job_params: dict[str, Any],
    request: SelectionRequest,
    excluded: str,
    _view: session.RunView,
) -> Selection:
    from coreset_engine.pipeline.sampled_run import full_run_of
    from coreset_engine.pipeline.select import select as select_on_run

    if request.beyond:
        full_run = full_run_of(_view.run)
        full_run.opened[request.beyond] = session.dataset_of(request.beyond)
    return select_on_run(request, _view.run)


def describe(
    method: str, prune_rate: float, params: dict[str, Any], kept: int | None = None
) -> str:
    """Method and settings in one line.

    For example "Mid-difficulty (ELFS) · 180 images · hardest 40% skipped".

    Parameters
    ----------
    method : str
        A row of METHODS.
    prune_rate : float
        Share removed, 0 <= p < 1.
    params : dict
        Parameters that differ from the defaults.
    kept : int, optional
        Number of images, where it is known.
    """
    title = METHODS[method].title if method in METHODS else method
    parts = [title, f"{100 * (1 - prune_rate):.3g}% kept" if kept is None else images(kept)]
    for name, value in params.items():
        if name == "beta":
            parts.append(f"hardest {100 * value:g}% skipped")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            parts.append(f"{name.replace('_', ' ')} {value:,g}")
        else:
            parts.append(f"{name.replace('_', ' ')} {value}")
    return " · ".join(parts)


def images(count: int) -> str:
    """ "1 image", "1,797 images"."""
    return counted(count, "image")
