"""What the address bar holds: the linked values, their types, defaults and bounds.

Run settings come from the fields of `RunConfig` that name a URL parameter. A value from a link
counts only where the widgets could have set it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from coreset_engine.core.registry import DEFAULT_METHOD, METHODS
from coreset_engine.pipeline.config import RunConfig


def _setting_links() -> dict[str, tuple[str, type, Any]]:
    """The run's settings that have a place in the address bar; 0 stands for None in numbers."""
    return {
        field.name: (
            field.metadata["url"],
            int if str(field.type).startswith("int") else str,
            0 if field.default is None else field.default,
        )
        for field in dataclasses.fields(RunConfig)
        if field.metadata["url"]
    }


# Linked values: session name -> (URL parameter, type, default).
LINKED: dict[str, tuple[str, type, Any]] = {
    "dataset": ("dataset", str, ""),
    **_setting_links(),
    "method": ("method", str, DEFAULT_METHOD),
    "prune_rate": ("p", float, 0.9),
    "count": ("k", int, 0),  # images to keep as typed; 0 = the pruning rate says it
    "beta": ("beta", float, None),  # None = untouched: the guess for the pruning rate, see `get`
    "alpha": ("alpha", int, 1000),
    "color": ("color", str, "membership"),
    "image": ("image", str, ""),  # the picked image's id
    "memo": ("memo", str, ""),  # key of what is too long for an address, see link_storage.py
}
# In the address of every opened dataset, so that a reload brings back this tab's selection and not
# the dataset's last.
ALWAYS_LINKED = ("method", "prune_rate")


def comparable(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as an address holds them, for comparison.

    Where a number of images is typed it says the pruning rate, which an address may not show yet.
    """
    return {
        name: url_text(value) if isinstance(value, float) else value
        for name, value in values.items()
        if name != "prune_rate" or not values.get("count")
    }


def url_text(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def has_right_type(name: str, value: Any) -> bool:
    kind = LINKED[name][1]
    fits = isinstance(value, (int, float) if kind is float else kind)
    return fits and not isinstance(value, bool) and in_bounds(name, value)


def in_bounds(name: str, value: Any) -> bool:
    """Whether a value from a link lies where the widgets could have put it."""
    if isinstance(value, str):
        return (
            len(value) <= 1000 and (name != "method" or value in METHODS) and _offered(name, value)
        )
    if name in ("prune_rate", "beta"):
        return 0 <= value < 1
    return (1 if name == "alpha" else 0) <= value < 2**31


def _offered(name: str, value: str) -> bool:
    """Whether a run's setting takes this text."""
    about = next((one for one in dataclasses.fields(RunConfig) if one.name == name), None)
    if about is None:
        return True
    table = about.metadata.get("table")
    choices = about.metadata.get("choices")
    return (table is None or value in table) and (not choices or value in choices)
