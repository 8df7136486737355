"""Forms drawn from frozen config dataclasses (`coreset_engine.core.config`): the same bounds the
shell and manifest obey.

A registry row names its config; `knobs_form` draws one widget per field and returns the values to
pass on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import streamlit as st

from coreset_engine.core.registry import Row, load


def choose_row(
    label: str, table: Mapping[str, Row], *, key: str, only: Iterable[str] | None = None
) -> str:
    """A select box over a registry; the chosen row's one-line summary stands below it."""
    names = [name for name in table if only is None or name in set(only)]
    name = st.selectbox(label, names, key=key)
    if name in table:
        row = table[name]
        st.caption(
            row.summary
            if row.live
            else f"{row.summary}. Chosen anew at every move; cost {row.cost}"
        )
    return name


def config_of(row: Row) -> type:
    return load(row.config)


def knobs_form(
    config: type,
    *,
    key: str,
    only: Iterable[str] | None = None,
    skip: Iterable[str] = (),
    start: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One widget per knob of `config`; returns name -> value (only fields that are knobs).

    start: values to begin with instead of the defaults, taken when the form is first drawn.
    """
    values = {}
    start = st.session_state.setdefault(f"{key}:start", dict(start or {}))
    for field in dataclasses.fields(config):
        if (
            field.name in set(skip)
            or (only is not None and field.name not in set(only))
            or not field.metadata
        ):
            continue
        values[field.name] = _widget(
            field, f"{key}:{field.name}", start.get(field.name, field.default)
        )
    return values


def _widget(field: dataclasses.Field, key: str, start: Any) -> Any:
    about = field.metadata
    label = about.get("label") or field.name.replace("_", " ").capitalize()
    shared = dict(help=about.get("help"), key=key)
    if about.get("choices"):
        choices = list(about["choices"])
        index = choices.index(start) if start in choices else 0
        return st.selectbox(label, choices, index=index, **shared)
    if isinstance(field.default, bool):
        return st.toggle(label, value=bool(start), **shared)
    if isinstance(field.default, int | float):
        return _number(label, field.default, start, about, shared)
    text = st.text_input(label, value="" if start is None else str(start), **shared)
    return text.strip() or None


def _number(
    label: str, default: float, start: Any, about: Mapping[str, Any], shared: dict[str, Any]
) -> float:
    kind = type(default)
    value = kind(start) if isinstance(start, int | float) else default
    low, high, step = (
        kind(about[name]) if about.get(name) is not None else None
        for name in ("low", "high", "step")
    )
    step = step or (1 if kind is int else 0.01)
    value = min(max(value, low if low is not None else value), high if high is not None else value)
    bounded = low is not None and high is not None and (high - low) / step <= 1000
    if bounded:
        return st.slider(label, low, high, value, step, **shared)
    shown = "%d" if kind is int else "%g"
    return st.number_input(label, low, high, value, step, format=shown, **shared)
