"""Coverage: how BlindCS scores are computed, what they look like, and whether T is large enough."""

from __future__ import annotations

import streamlit as st

from ui.components import frame
from ui.state import session
from ui.views.coverage import show_rank, show_slice, show_stability

VIEWS = {
    "One slice": (show_slice, ()),
    "Score and rank": (show_rank, ("coverage",)),
    "Number of samples": (show_stability, ("coverage",)),
}

frame.page_header(
    "Coverage", "Which images represent many others, and which only repeat their neighbours?"
)
view = frame.require_run("embeddings")
chosen = (
    st.segmented_control(
        "View",
        list(VIEWS),
        key=session.bind("coverage_view", "One slice"),
        label_visibility="collapsed",
        required=True,
    )
    or "One slice"
)
draw, stages = VIEWS[chosen]
frame.require_run(*stages, note_sample=False)
draw(view)
