"""Export & next round: export the coreset, import labels, select the next images."""

from __future__ import annotations

import streamlit as st

from ui.components import folded, frame
from ui.selection import controls
from ui.state import session
from ui.views import export, export_import, export_rounds
from ui.views.export_targets import show_targets
from ui.views.fiftyone_app import side_by_side
from ui.views.source_form import moved_form


def export_all(view) -> None:
    """Too many images to select while the user waits: by a job."""
    planned = export.planned_selection(view)
    if planned is None:
        return
    export.show_summary(view, planned)
    st.caption(
        "This dataset is selected and written in the background. Every folder below gets "
        "selection.parquet, ids.txt and manifest.json besides its own files."
    )
    with frame.error_boundary():
        show_targets(view, planned)


def export_chosen(view) -> None:
    """Downloads and targets of the current coreset."""
    view = export.run_of_selection(view)
    selection = controls.current_or_none(view)
    if selection is None:
        frame.empty_state(
            "Nothing to export yet: the scores of the method are not computed.",
            "Compute them on the Select page",
            "pages/select.py",
        )
        return
    export.show_summary(view, selection)
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Download", anchor=False)
        export.show_downloads(view, selection)
        folded.folded(
            "Manifest: everything needed to reproduce this selection",
            export.show_manifest,
            view,
            selection,
            key="export:manifest",
        )
    with right:
        st.subheader("Export to", anchor=False)
        with frame.error_boundary():
            show_targets(view, selection)
    with frame.error_boundary():
        side_by_side(view)


frame.page_header(
    "Export & next round",
    "Where does this coreset go, which labels came back, and which images are next?",
)
view = frame.require_run("embeddings", note_sample=False)
full = view.full or view
state = export_rounds.state_of(full)
with st.container(), frame.error_boundary():  # a place of its own, so that the tabs keep theirs
    export_rounds.show_status(full, state)


def draw_export() -> None:
    export_all(full) if view.full is not None else export_chosen(view)
    moved_form([session.get("dataset")])


def draw_labels_back() -> None:
    export_import.show_import(full)
    export_rounds.show_label_errors(full)


def draw_next_round() -> None:
    export_rounds.show_next(full, state)
    export_rounds.show_rounds(full)
    export_rounds.show_curve(full, state)


folded.tabs(
    {"Export": draw_export, "Import labels": draw_labels_back, "Next round": draw_next_round},
    key="export:part",
)
