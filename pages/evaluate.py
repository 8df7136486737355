"""Evaluate: accuracy of a model trained on the coreset, against random; coverage; stability."""

from __future__ import annotations

import streamlit as st

from ui.components import frame
from ui.selection import controls
from ui.views import certificate, evaluate, stability

frame.page_header(
    "Evaluate",
    "How accurate is a model trained on the coreset, and is it better than a random selection?",
)
view = frame.require_run("embeddings")

left, right = st.columns([3, 2], gap="large")
with left:
    st.subheader("Accuracy: train on the coreset", anchor=False)
    with frame.error_boundary():
        evaluate.show_form(view)
        evaluate.show_results(view)
with right:
    st.subheader("Coverage, without labels", anchor=False)
    selection = controls.current_or_none(view)
    if selection is None:
        frame.empty_state(
            "Nothing is selected yet.", "Select a coreset on the Select page", "pages/select.py"
        )
    else:
        st.caption(f"Coreset of the Select page: {len(selection):,} of {len(view):,} images.")
        with frame.error_boundary():
            certificate.show_certificate(view, selection)
            certificate.show_smallest(view, selection)
        st.subheader("Stability: same images with another seed?", anchor=False)
        with frame.error_boundary():
            stability.show_stability(view, selection)
