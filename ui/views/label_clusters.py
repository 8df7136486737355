"""The clusters view of the Labels page: each cluster with its name, size and typical images."""

from __future__ import annotations

import numpy as np
import streamlit as st

from coreset_engine.core.counted import counted
from ui.components.escape import markdown as escaped
from ui.components.escape import plain
from ui.components.thumbnails import gallery
from ui.state import reviews
from ui.state.clusters import cluster_names
from ui.state.run_view import RunView
from ui.views.corrections import record, show_corrections

PER_PAGE = 12
EXEMPLARS = 9
PICTURES = 76  # pixels: one row, of which a narrow page shows the first


def show_clusters(view: RunView) -> None:
    """Draw the clusters, the largest first, and below them what was corrected."""
    names = cluster_names(view)
    labels = np.asarray(view.run.pseudo_labels.labels)
    sizes = np.bincount(labels, minlength=len(names))
    order = np.argsort(-sizes, kind="stable")
    pages = max(1, -(-len(order) // PER_PAGE))
    page = st.number_input(f"Page of {pages:,}", 1, pages, key="clusters:page") if pages > 1 else 1
    certain = reviews.doubt_of(view).values
    for cluster in order[(page - 1) * PER_PAGE : page * PER_PAGE].tolist():
        members = np.flatnonzero(labels == cluster)
        typical = members[np.argsort(-certain[members], kind="stable")][:EXEMPLARS]
        _card(view, cluster, names, len(members), typical)
    with st.expander("Relabel images, and the list of corrections"):
        show_corrections(view)


def _card(view: RunView, cluster: int, names: list[str], size: int, typical: np.ndarray) -> None:
    with st.container(border=True):
        st.markdown(f"**{escaped(names[cluster], 60)}** · {counted(size, 'image')}")
        words, pictures = st.columns([2, 5], vertical_alignment="center")
        with words:
            _rename(view, cluster, names)
            _merge(view, cluster, names)
        with pictures:
            if size and view.dataset.reader is not None:
                gallery(view.dataset, typical, key=f"cluster:{cluster}", height=PICTURES)
            elif not size:
                st.caption("No images; merged into another cluster or left empty.")


def _rename(view: RunView, cluster: int, names: list[str]) -> None:
    with st.form(f"rename:{cluster}", border=False):
        line = st.container(horizontal=True, vertical_alignment="bottom")
        name = line.text_input(
            f"New name for {escaped(names[cluster], 40)}",
            placeholder="New name",
            label_visibility="collapsed",
            key=f"rename:{cluster}:name",
            max_chars=80,
        )
        if line.form_submit_button("Rename"):
            if name.strip():
                record(view, {"kind": "rename", "cluster": cluster, "name": plain(name, 80)})
            st.error("The name is empty; type one, for example shirt.")


def _merge(view: RunView, cluster: int, names: list[str]) -> None:
    others = [other for other in range(len(names)) if other != cluster]
    with st.popover("Merge into another", width="stretch"):
        target = st.selectbox(
            f"Merge {escaped(names[cluster], 40)} into",
            others,
            format_func=lambda other: plain(names[other], 60),
            key=f"merge:{cluster}:into",
        )
        st.caption(
            "Its images get the other cluster's label. Scores that rest on labels are then "
            "outdated; undo below takes it back."
        )
        if st.button("Merge", key=f"merge:{cluster}", type="primary"):
            record(view, {"kind": "merge", "clusters": [cluster], "into": int(target)})
