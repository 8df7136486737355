"""The session's coreset: method, rates and pins as they stand on every page, turned into one
Selection.

Scores are finished artefacts, so choosing again is arithmetic; the last few answers are cached for
the server.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import streamlit as st

from coreset_engine.core.ids import places_of
from coreset_engine.core.registry import METHODS, load
from coreset_engine.core.types import Selection
from coreset_engine.selection.budget import kept_count
from ui.state import session


def knob_names(method: str) -> set[str]:
    return {field.name for field in dataclasses.fields(load(METHODS[method].config))}


def method_params(method: str) -> dict[str, Any]:
    """The session's parameters that `method` knows: its own (`params`) and the shared beta and
    alpha."""
    names = knob_names(method)
    shared = (
        {"beta": session.get("beta")} if session.chosen("beta") else {}
    )  # else the engine's guess for each rate
    shared["n_neighbours"] = session.get("alpha")
    own = (session.get("params") or {}).get(method, {})
    return {name: value for name, value in {**shared, **own}.items() if name in names}


def needed_stages(method: str) -> list[str]:
    """Stages that must be finished for `method`."""
    return list(METHODS[method].stages)


def current_selection(view: session.RunView) -> Selection:
    """The coreset the session's knobs describe. Raises BadInput with the reason when they
    contradict."""
    method = session.get("method")
    return select(
        view,
        method,
        session.get("prune_rate"),
        method_params(method),
        tuple(session.get("must_keep") or ()),
        tuple(session.get("never") or ()),
    )


def select(
    view: session.RunView,
    method: str,
    prune_rate: float,
    params: dict[str, Any],
    must_keep: tuple[str, ...] = (),
    never: tuple[str, ...] = (),
) -> Selection:
    """Selection of `method` on the opened run, cached. Of a sample: with the pins that it holds,
    and of those that shall stay no more than its share; counts, jobs and exports of all images heed
    every one."""
    if view.full is not None and (must_keep or never):
        must_keep, never = (
            tuple(view.dataset.ids[places[places >= 0]].tolist())
            for places in (places_of(view.dataset.ids, pinned) for pinned in (must_keep, never))
        )
        must_keep = must_keep[: kept_count(len(view), prune_rate)]
    key = json.dumps(
        [method, float(prune_rate), params, must_keep, never], sort_keys=True, default=str
    )
    return _select(view.dataset.fingerprint, view.job_params, key, view)


@st.cache_resource(max_entries=64, show_spinner="Selecting ...")
def _select(
    fingerprint: str, job_params: dict[str, Any], key: str, _view: session.RunView
) -> Selection:
    from coreset_engine.pipeline.select import select as choose

    method, prune_rate, params, must_keep, never = json.loads(key)
    return choose(method, _view.run, prune_rate, tuple(must_keep), tuple(never), **params)


def describe(method: str, prune_rate: float, params: dict[str, Any]) -> str:
    """Method and settings in one line.

    For example "Mid-difficulty (ELFS) · 90% removed · hardest 40% skipped".
    """
    title = METHODS[method].title if method in METHODS else method
    parts = [title, f"{100 * prune_rate:g}% removed"]
    for name, value in params.items():
        if name == "beta":
            parts.append(f"hardest {100 * value:g}% skipped")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            parts.append(f"{name.replace('_', ' ')} {value:,g}")
        else:
            parts.append(f"{name.replace('_', ' ')} {value}")
    return " · ".join(parts)
