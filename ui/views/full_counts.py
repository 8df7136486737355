"""Counts of all images of a dataset too large to draw, whose pages show a sample.

See `ui.state.sampling`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from coreset_engine.core.errors import CoresetError
from coreset_engine.core.ids import positions_of
from coreset_engine.core.limits import limits
from coreset_engine.core.registry import METHODS
from ui.components import charts
from ui.components.escape import markdown as escaped
from ui.components.forms import row_title
from ui.components.frame import show_error
from ui.components.jobs import submit_button
from ui.map.colour_columns import TITLES
from ui.selection import session_selection
from ui.state import session
from ui.state.clusters import cluster_names

if TYPE_CHECKING:
    from coreset_engine.pipeline.counts import Totals, Window
    from coreset_engine.pipeline.run import Run

MAX_BARS = 60


def show_full_counts(view: session.RunView) -> None:
    """Draw how many of all images are selected, by cluster and by score.

    Nothing for a dataset that is drawn in full. Where it cannot be counted, a sentence says why.
    """
    if view.full is None:
        return
    try:
        _show(view)
    except CoresetError as error:
        show_error(error)


def _show(view: session.RunView) -> None:
    from coreset_engine.pipeline import counts

    full = view.full
    assert full is not None
    run = full.full_run
    method = session.get("method")
    params = session_selection.method_params(method)
    params.pop("beta", None)  # the ranking does not depend on it
    reason = counts.why_not(run, method, params)
    if reason:
        st.caption(f"Counts on this page are of the sample: {escaped(reason)}")
        return
    if session.get("constraints"):
        st.caption(
            "Counts on this page are of the sample: constraints are active, which counts of all "
            "images do not follow. Jobs and exports do."
        )
        return
    path = counts.path_of(run, method, params)
    if len(run.dataset) > limits().interactive_images and not path.is_file():
        title = escaped(row_title(METHODS, method))
        st.caption(
            f"Counts on this page are of the sample. Counting all {len(run.dataset):,} images "
            f"ranks them once by {title}, in the background."
        )
        submit_button("Count all images", "totals", view, method=method, params=params)
        return
    totals = _totals_at(path, method, params, full)
    beta = session.get("beta") if session.chosen("beta") else None
    pins = (_pinned_rows(run, name) for name in ("must_keep", "never"))
    _draw(view, totals, totals.window(session.get("prune_rate"), beta, *pins))


def _totals_at(path: Path, method: str, params: dict[str, Any], full: session.RunView) -> Totals:
    if not path.is_file():
        _totals.clear()  # the file was deleted since it was opened; it is written again
    return _totals(str(path), method, params, full)


@st.cache_resource(max_entries=8, show_spinner="Ranking all images ...")
def _totals(path: str, method: str, params: dict[str, Any], _full: session.RunView) -> Totals:
    from coreset_engine.pipeline.counts import totals

    return totals(_full.full_run, method, params)


def _pinned_rows(run: Run, name: str) -> np.ndarray:
    """(n,) int64: rows of the pinned images among all images."""
    names = tuple(session.get(name) or ())
    if name == "never":  # and what was excluded on the Clean page
        names += tuple(run.excluded_ids)
    rows = _rows_of(run.dataset.fingerprint, names, run)
    return rows[rows >= 0]


@st.cache_resource(max_entries=16, show_spinner=False)
def _rows_of(fingerprint: str, names: tuple[str, ...], _run: Run) -> np.ndarray:
    return positions_of(_run.dataset.ids, names)


def _draw(view: session.RunView, totals: Totals, window: Window) -> None:
    st.markdown(f"**All images: {window.kept:,} of {totals.n:,} selected**")
    left, right = st.columns(2)
    with left:
        _draw_groups(view, totals, window)
    with right:
        if totals.score:
            _draw_scores(totals, totals.score, window)


def _draw_groups(view: session.RunView, totals: Totals, window: Window) -> None:
    by_cluster = "pseudo_label" in totals.columns
    column = "pseudo_label" if by_cluster else "true_label"
    counts = totals.counts(column, window)
    largest = sorted(counts.items(), key=lambda row: -row[1][0])[:MAX_BARS]
    word = "cluster" if by_cluster else "class"
    names = cluster_names(view) if by_cluster else view.dataset.classes
    figure, data = charts.bars(
        [str(names[value]) if 0 <= value < len(names) else "unknown" for value, _ in largest],
        {
            "selected": np.array([row[1] for _, row in largest]),
            "not selected": np.array([row[0] - row[1] for _, row in largest]),
        },
        title=f"Selected per {word}",
    )
    charts.show(figure, "all-by-cluster", data, height=300)


def _draw_scores(totals: Totals, score: str, window: Window) -> None:
    edges, images, inside = totals.histogram(score, window)
    figure, data = charts.lines(
        (edges[1:] + edges[:-1]) / 2,
        {"selected": inside, "all": images},
        title="All images by score",
        x_axis=TITLES.get(score, score),
        y_axis="images",
    )
    charts.show(figure, "all-by-score", data, height=300)
