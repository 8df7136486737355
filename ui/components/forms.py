"""Forms drawn from frozen config dataclasses (`coreset_engine.core.config`).

A registry row names its config; `config_form` draws one widget per field, with the bounds that the
command line and the manifest use too, and returns the values.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import streamlit as st

from coreset_engine.core.registry import MethodRow, Row, load

# Parts of field names -> the words on forms.
IN_WORDS = {
    "n": "number of",
    "lr": "learning rate",
    "min": "minimum",
    "max": "maximum",
    "dims": "dimensions",
    "aum": "AUM",
    "el2n": "EL2N",
    "knn": "kNN",
}


def field_title(name: str) -> str:
    """A field's name in words: "n_heads" -> "Number of heads"."""
    title = " ".join(IN_WORDS.get(part, part) for part in name.split("_"))
    return title[:1].upper() + title[1:]


def row_title(table: Mapping[str, Row], name: str) -> str:
    """The title of a registry's row; the name itself when the registry has no such row."""
    return table[name].title if name in table else name


def row_summary(row: MethodRow) -> str:
    """What a method does, as one sentence, and its cost where it is not answered at once."""
    sentence = f"{row.summary[:1].upper()}{row.summary[1:]}."
    if row.live:
        return sentence
    return f"{sentence} Recomputed on every change; cost: {row.cost}."


def config_of(row: Row) -> type:
    """The config dataclass that a registry row names."""
    return load(row.config)


def config_form(
    config: type,
    *,
    key: str,
    only: Iterable[str] | None = None,
    skip: Iterable[str] = (),
    start: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Draw one widget per field of `config` that carries a description.

    Parameters
    ----------
    config : type
        A frozen dataclass with metadata from `coreset_engine.core.config`.
    key : str
        Prefix of the widgets' keys.
    only, skip : iterable of str
        Fields to draw, or to leave out.
    start : mapping or None
        Values to begin with instead of the defaults, taken when the form is first drawn.

    Returns
    -------
    dict of str to Any
        Name -> value of the fields drawn.
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
    label = about.get("label") or field_title(field.name)
    shared: dict[str, Any] = dict(help=about.get("help"), key=key)
    if about.get("choices"):
        choices = list(about["choices"])
        index = choices.index(start) if start in choices else 0
        return st.selectbox(label, choices, index=index, **shared)
    if isinstance(field.default, bool):
        return st.toggle(label, value=bool(start), **shared)
    if isinstance(field.default, int | float):
        return _number(label, field.default, start, about, shared)
    text = st.text_input(label, value="" if start is None else str(start), **shared)
    return text.strip() or ("" if isinstance(field.default, str) else None)


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
        shown = "%.4g" if kind is float and step < 0.01 else None  # by default two digits
        return st.slider(label, low, high, value, step, format=shown, **shared)
    shown = "%d" if kind is int else "%g"
    return st.number_input(label, low, high, value, step, format=shown, **shared)
