"""Forms drawn from frozen config dataclasses (`coreset_engine.knobs`): the same bounds the shell and manifest obey.

A registry row names its config; `knobs_form` draws one widget per field and returns the values to pass on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import streamlit as st

from coreset_engine.registry import Row, load


def choose_row(label: str, table: Mapping[str, Row], *, key: str, only: Iterable[str] | None = None) -> str:
    """A select box over a registry; the chosen row's one-line summary stands below it."""
    names = [name for name in table if only is None or name in set(only)]
    name = st.selectbox(label, names, key=key)
    if name in table:
        st.caption(table[name].summary)
    return name


def config_of(row: Row) -> type:
    return load(row.config)


def knobs_form(config: type, *, key: str, only: Iterable[str] | None = None,
               skip: Iterable[str] = ()) -> dict[str, Any]:
    """One widget per knob of `config`; returns name -> value (only fields that are knobs)."""
    values = {}
    for field in dataclasses.fields(config):
        if field.name in set(skip) or (only is not None and field.name not in set(only)) or not field.metadata:
            continue
        values[field.name] = _widget(field, f"{key}:{field.name}")
    return values


def _widget(field: dataclasses.Field, key: str) -> Any:
    about = field.metadata
    label = about.get("label") or field.name.replace("_", " ").capitalize()
    shared = dict(help=about.get("help"), key=key)
    if about.get("choices"):
        choices = list(about["choices"])
        index = choices.index(field.default) if field.default in choices else 0
        return st.selectbox(label, choices, index=index, **shared)
    if isinstance(field.default, bool):
        return st.toggle(label, value=field.default, **shared)
    if isinstance(field.default, int | float):
        return _number(label, field.default, about, shared)
    text = st.text_input(label, value="" if field.default is None else str(field.default), **shared)
    return text.strip() or None


def _number(label: str, default: float, about: Mapping[str, Any], shared: dict[str, Any]) -> float:
    kind = type(default)
    low, high, step = (kind(about[name]) if about.get(name) is not None else None for name in ("low", "high", "step"))
    step = step or (1 if kind is int else 0.01)
    bounded = low is not None and high is not None and (high - low) / step <= 1000
    if bounded:
        return st.slider(label, low, high, default, step, **shared)
    shown = "%d" if kind is int else "%g"
    return st.number_input(label, low, high, default, step, format=shown, **shared)
