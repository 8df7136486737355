"""Exact counts of all images of a set too large to draw, whose pages show a sample
(ui/state/sampling.py)."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from coreset_engine.core.errors import CoresetError
from coreset_engine.core.ids import places_of
from ui.components import charts
from ui.components.escape import markdown as escaped
from ui.components.frame import show_error
from ui.components.jobs import submit_button
from ui.map.colour_columns import TITLES
from ui.selection import session_selection
from ui.state import session

AT_ONCE = 5_000_000  # images that are sorted while a person waits; more are in the background
_SHOWN = 60  # clusters with bars of their own


def counts(view: session.RunView) -> None:
    """How many of all images the sliders keep, by cluster and by score; nothing for a set that is
    drawn whole. Where it cannot be told, a sentence says why."""
    if view.full is None:
        return
    from coreset_engine.pipeline import counts as totals

    run = view.full.run
    method = session.get("method")
    params = {
        name: value
        for name, value in session_selection.method_params(method).items()
        if name != "beta"
    }
    try:
        reason = totals.why_not(run, method, params)
        path = None if reason else totals.path_of(run, method, params)
        if reason:
            st.caption(f"What you see counts the sample: {escaped(reason)}")
        elif len(run.dataset) > AT_ONCE and not path.is_file():
            st.caption(
                f"What you see counts the sample. To count all {len(run.dataset):,} images by {escaped(method)} "
                "with these knobs they are sorted once, in the background."
            )
            submit_button("Count all images", "totals", view, method=method, params=params)
        else:
            if not path.is_file():
                _totals.clear()  # cleared away since it was opened: it is written again
            found = _totals(str(path), method, params, view.full)
            _draw(
                found,
                found.window(
                    session.get("prune_rate"),
                    session.get("beta") if session.chosen("beta") else None,
                    *(_places(run, name) for name in ("must_keep", "never")),
                ),
            )
    except CoresetError as error:
        show_error(error)


def _places(run: Any, name: str) -> np.ndarray:
    """Rows of all images that are pinned."""
    places = _found(run.dataset.fingerprint, tuple(session.get(name) or ()), run)
    return places[places >= 0]


@st.cache_resource(max_entries=16, show_spinner=False)
def _found(fingerprint: str, names: tuple[str, ...], _run: Any) -> np.ndarray:
    return places_of(_run.dataset.ids, names)


@st.cache_resource(max_entries=8, show_spinner="Sorting all images ...")
def _totals(path: str, method: str, params: dict[str, Any], _whole: session.RunView) -> Any:
    from coreset_engine.pipeline.counts import totals

    return totals(_whole.run, method, params)


def _draw(found: Any, window: Any) -> None:
    by = "pseudo_label" if "pseudo_label" in found.columns else "true_label"
    st.markdown(f"**All images: {window.kept:,} of {found.n:,} kept**")
    left, right = st.columns(2)
    with left:
        listed = sorted(found.counts(by, window).items(), key=lambda row: -row[1][0])[:_SHOWN]
        names = [f"{'cluster' if by == 'pseudo_label' else 'class'} {value}" for value, _ in listed]
        figure, data = charts.bars(
            names,
            {
                "kept": np.array([row[1] for _, row in listed]),
                "dropped": np.array([row[0] - row[1] for _, row in listed]),
            },
            title="Kept of each",
        )
        charts.show(figure, "all-by-cluster", data, height=300)
    with right:
        if not found.score:
            return
        edges, images, inside = found.histogram(found.score, window)
        figure, data = charts.lines(
            (edges[1:] + edges[:-1]) / 2,
            {"kept": inside, "all": images},
            title="All images by score",
            x_axis=TITLES.get(found.score, found.score),
            y_axis="images",
        )
        charts.show(figure, "all-by-score", data, height=300)
