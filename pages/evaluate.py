"""Evaluate: what would a model trained on the coreset reach, and would random have done as well?"""

from __future__ import annotations

import streamlit as st

from ui.components import frame
from ui.selection import controls
from ui.views import certificate, evaluate, stability

frame.page_header(
    "Evaluate",
    "What would a model trained on the coreset reach, and would random have done as well?",
)
view = frame.require_run("embeddings")

left, right = st.columns([3, 2], gap="large")
with left:
    st.subheader("Measured: train on the coreset", anchor=False)
    with frame.error_boundary():
        evaluate.setup(view)
        evaluate.results(view)
with right:
    st.subheader("Without labels: the certificate", anchor=False)
    selection = controls.current_or_none(view)
    if selection is None:
        frame.empty_state(
            "No coreset can be computed yet.", "Choose one on the Select page", "pages/select.py"
        )
    else:
        st.caption(f"Of the coreset chosen on Select: {len(selection):,} of {len(view):,} images.")
        with frame.error_boundary():
            certificate.show_certificate(view, selection)
            certificate.show_smallest(view, selection)
        st.subheader("Stability: kept again with another seed?", anchor=False)
        with frame.error_boundary():
            stability.show_stability(view, selection)
