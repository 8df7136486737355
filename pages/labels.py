"""Labels: quality of the clustering, difficulty, probable label errors, and corrections."""

from __future__ import annotations

import streamlit as st

from ui.components import frame
from ui.state import session
from ui.views.corrections import show_corrections
from ui.views.labels import show_difficulty, show_errors, show_quality

VIEWS = {
    "Quality": show_quality,
    "Difficulty": show_difficulty,
    "Probable errors": show_errors,
    "Corrections": show_corrections,
}

frame.page_header(
    "Labels", "Which cluster does each image belong to, and which labels are probably wrong?"
)
view = frame.require_run("pseudo_labels")
chosen = st.segmented_control(
    "View",
    list(VIEWS),
    key=session.bind("labels_view", "Quality"),
    label_visibility="collapsed",
    required=True,
)
VIEWS[chosen or "Quality"](view)
