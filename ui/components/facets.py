"""The filter panel: one section per column, values with counts or a histogram with a range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import streamlit as st

from ui.components import browser_script
from ui.components.escape import plain

_component = browser_script.register("facets", "dom")


@dataclass(frozen=True, eq=False)
class FacetSection:
    """One column of the panel.

    Attributes
    ----------
    key, title : str
        What events name it by, and what people read.
    labels : sequence of str
        One per bar, in order.
    counts, totals : sequence of int
        Images of each bar under the other filters, and of all images.
    chosen : sequence of int
        Bars that the filter keeps; empty = no filter.
    edges : sequence of str
        Of a histogram, one more than bars; empty for values.
    missing, missing_total : int
        Images without a value, under the other filters and of all.
    missing_chosen : bool
        Whether the filter keeps images without a value.
    left_out : int
        Values that have no bar.
    pictures : mapping of int to sequence of int
        Bar -> positions of images that stand for it, where its label says little.
    thumb : str
        Address of a thumbnail, with "{i}" for the position.
    """

    key: str
    title: str
    labels: Sequence[str]
    counts: Sequence[int] | np.ndarray
    totals: Sequence[int] | np.ndarray
    chosen: Sequence[int] = ()
    edges: Sequence[str] = ()
    missing: int = 0
    missing_total: int = 0
    missing_chosen: bool = False
    left_out: int = 0
    pictures: Mapping[int, Sequence[int]] = field(default_factory=dict)
    thumb: str = ""

    def as_json(self) -> dict[str, Any]:
        """What facets.js draws."""
        return {
            "key": self.key,
            "title": plain(self.title, 60),
            "kind": "histogram" if len(self.edges) else "values",
            "labels": [plain(label, 80) for label in self.labels],
            "counts": [int(count) for count in self.counts],
            "totals": [int(total) for total in self.totals],
            "chosen": [int(bar) for bar in self.chosen],
            "edges": [str(edge) for edge in self.edges],
            "missing": int(self.missing),
            "missing_total": int(self.missing_total),
            "missing_chosen": bool(self.missing_chosen),
            "left_out": int(self.left_out),
            "pictures": {str(bar): list(map(int, shown)) for bar, shown in self.pictures.items()},
            "thumb": self.thumb,
        }


def facet_panel(sections: Sequence[FacetSection], *, key: str, n_open: int = 4) -> None:
    """Draw the panel; the first `n_open` sections start open."""
    _component(
        key=key,
        data={"facets": [section.as_json() for section in sections], "open": n_open},
        height="content",
        on_chosen_change=lambda: None,
    )


def newly_chosen(key: str) -> dict[str, tuple[list[int], bool]] | None:
    """Column key -> (bars, whether missing) as last reported by the panel; None if already handled.

    Call once per run, before the panel is drawn.
    """
    held = st.session_state.get(key)
    reported = held.get("chosen") if held is not None and hasattr(held, "get") else None
    if not isinstance(reported, Mapping) or not isinstance(reported.get("columns"), Mapping):
        return None
    turn = reported.get("turn")
    if turn == st.session_state.get(f"{key}:turn"):
        return None
    st.session_state[f"{key}:turn"] = turn
    return {
        str(name): (_bars(bars), bool(bars.get("missing")))
        for name, bars in reported["columns"].items()
        if isinstance(bars, Mapping)
    }


def _bars(chosen: Mapping[str, Any]) -> list[int]:
    bars = chosen.get("bars")
    return [bar for bar in bars if isinstance(bar, int)] if isinstance(bars, list) else []
