"""Export: download the coreset or send it to another tool, with a manifest that reproduces it."""

from __future__ import annotations

import streamlit as st

from ui.components import frame
from ui.selection import controls
from ui.views import export
from ui.views.export_targets import show_targets
from ui.views.fiftyone_app import side_by_side

frame.page_header(
    "Export", "How do I get this coreset into FiftyOne, a labelling tool or a training script?"
)
view = frame.require_run("embeddings", note_sample=False)
if view.full is not None:  # too many images to select while a person waits: by a job
    planned = export.planned_selection(view.full)
    if planned is not None:
        export.show_summary(view.full, planned)
        st.caption(
            "This dataset is selected and written in the background. Every folder below gets "
            "selection.parquet, ids.txt and manifest.json besides its own files."
        )
        with frame.error_boundary():
            show_targets(view.full, planned)
    st.stop()
selection = controls.current_or_none(view)
if selection is None:
    frame.empty_state(
        "Nothing to export yet: the scores of the method are not computed.",
        "Compute them on the Select page",
        "pages/select.py",
    )
    st.stop()

export.show_summary(view, selection)
left, right = st.columns(2, gap="large")
with left:
    st.subheader("Download", anchor=False)
    export.show_downloads(view, selection)
    with st.expander("Manifest: everything needed to reproduce this selection"):
        with frame.error_boundary():
            st.json(export.manifest_of(view, selection), expanded=1)
with right:
    st.subheader("Export to", anchor=False)
    with frame.error_boundary():
        show_targets(view, selection)
with frame.error_boundary():
    side_by_side(view)
