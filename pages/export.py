"""Export: hand the coreset on, with a manifest that reproduces it bit for bit."""

from __future__ import annotations

import streamlit as st

from ui.components import frame
from ui.selection import controls
from ui.views import export
from ui.views.export_targets import targets
from ui.views.fiftyone_app import side_by_side

frame.page_header(
    "Export", "How do I hand this coreset to FiftyOne, a labelling tool or a training script?"
)
view = frame.require_run("embeddings", note_sample=False)
if view.full is not None:  # what leaves the house is chosen from all images, so many in a job
    export.large(view.full)
    st.stop()
selection = controls.current_or_none(view)
if selection is None:
    frame.empty_state(
        "There is no coreset to export yet: its method still lacks scores.",
        "Choose one on Select",
        "pages/select.py",
    )
    st.stop()

export.headline(view, selection)
left, right = st.columns(2, gap="large")
with left:
    st.subheader("Download", anchor=False)
    export.downloads(view, selection)
    with st.expander("Manifest: what reproduces this selection"):
        with frame.error_boundary():
            st.json(export.manifest_of(view, selection), expanded=1)
with right:
    st.subheader("Hand over", anchor=False)
    with frame.error_boundary():
        targets(view, selection)
with frame.error_boundary():
    side_by_side(view)
