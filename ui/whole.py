"""What a page says of a set too large to draw: that the map shows a sample, and exact counts of all images."""

from __future__ import annotations

import numpy as np
import streamlit as st

from coreset_engine.errors import CoresetError
from ui import charts, choice, state
from ui.frame import tell

_SHOWN = 60  # clusters with bars of their own


def told(view: state.RunView) -> None:
    """One line where the map shows a sample."""
    if view.whole is not None:
        st.caption(f"The map shows a sample of {len(view):,} of {len(view.whole):,} images, drawn once from every "
                   "cluster by its share; jobs and exports work on all.")


def counts(view: state.RunView) -> None:
    """How many of all images the sliders keep, by cluster and by score; nothing for a set that is drawn whole."""
    if view.whole is None:
        return
    from coreset_engine.run import totals

    method = state.get("method")
    stage = totals.RANKED.get(method)
    if stage is None or not (view.ready(stage) and usual(method)):
        st.caption(f"Counts of all {len(view.whole):,} images are known for {', '.join(totals.RANKED)} with their "
                   "usual knobs and without pins; what you see counts the sample.")
        return
    try:
        found = _totals(view.key_of(stage), method, view.whole)
        rate = state.get("prune_rate")
        _draw(found, found.window(rate, beta(method, found.n, rate)))
    except CoresetError as error:
        tell(error)


def usual(method: str) -> bool:
    """Whether the session's knobs are those that the table of totals was ranked with."""
    own = {name: value for name, value in choice.method_params(method).items() if name != "beta"}
    pinned = state.get("must_keep") or state.get("never")
    return not pinned and own in ({}, {"n_neighbours": 1000})


def beta(method: str, n: int, rate: float) -> float:
    """The hard cut of all n images: the session's, else the engine's guess."""
    if method != "elfs":
        return 0.0
    from coreset_engine.selection.arithmetic import kept_count
    from coreset_engine.selection.scored import settled_beta

    return settled_beta(state.get("beta") if state.chosen("beta") else None, kept_count(n, rate), n)[0]


@st.cache_resource(max_entries=8, show_spinner="Sorting all images ...")
def _totals(key: str, method: str, _whole: state.RunView):
    from coreset_engine.run.totals import totals

    return totals(_whole.run, method)


def _draw(found, window: tuple[int, int]) -> None:
    by = "pseudo_label" if "pseudo_label" in found.columns else "true_label"
    kept = window[1] - window[0]
    st.markdown(f"**All images: {kept:,} of {found.n:,} kept**")
    left, right = st.columns(2)
    with left:
        listed = sorted(found.counts(by, window).items(), key=lambda row: -row[1][0])[:_SHOWN]
        names = [f"{'cluster' if by == 'pseudo_label' else 'class'} {value}" for value, _ in listed]
        figure, data = charts.bars(names, {"kept": np.array([row[1] for _, row in listed]),
                                           "dropped": np.array([row[0] - row[1] for _, row in listed])},
                                   title="Kept of each")
        charts.show(figure, "all-by-cluster", data, height=300)
    with right:
        score = "aum" if found.method == "elfs" else "score"
        edges, images, inside = found.histogram(score, window)
        figure, data = charts.lines((edges[1:] + edges[:-1]) / 2, {"kept": inside, "all": images},
                                    title="All images by score", x_axis="AUM" if score == "aum" else "BlindCS score",
                                    y_axis="images")
        charts.show(figure, "all-by-score", data, height=300)
