"""Labels: review probable errors, name and merge clusters, quality, difficulty, and imports."""

from __future__ import annotations

import streamlit as st

from ui.components import frame
from ui.state import session
from ui.views.label_clusters import show_clusters
from ui.views.label_import import show_import
from ui.views.labels import show_difficulty, show_quality
from ui.views.review import show_review

VIEWS = {
    "Review": show_review,
    "Clusters": show_clusters,
    "Quality": show_quality,
    "Difficulty": show_difficulty,
    "Import labels": show_import,
}
# Views of earlier editions -> where their content is now.
MOVED = {"Probable errors": "Review", "Corrections": "Clusters"}

frame.page_header("Labels", "Which labels are probably wrong, and what is in each cluster?")
view = frame.require_run("pseudo_labels")
asked = session.get("labels_view", "Review")
if asked not in VIEWS:
    session.rebind("labels_view", MOVED.get(asked, "Review"))
chosen = st.segmented_control(
    "View",
    list(VIEWS),
    key=session.bind("labels_view", "Review"),
    label_visibility="collapsed",
    required=True,
)
with frame.error_boundary():
    VIEWS[chosen or "Review"](view)
