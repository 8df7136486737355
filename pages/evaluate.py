"""Evaluate: what would a model trained on the coreset reach, and would random have done as well?"""

from __future__ import annotations

import streamlit as st

from ui import certificates, evaluate_view, frame, selecting

frame.page_header("Evaluate", "What would a model trained on the coreset reach, and would random have done as well?")
view = frame.need_run("embeddings")

left, right = st.columns([3, 2], gap="large")
with left:
    st.subheader("Measured: train on the coreset", anchor=False)
    if view.dataset.labels is None:
        st.info("Training needs labels to measure with, and this source has none. The certificate on the right needs "
                "none.")
    else:
        evaluate_view.setup(view)
        evaluate_view.results(view)
with right:
    st.subheader("Without labels: the certificate", anchor=False)
    selection = selecting.current_or_none(view)
    if selection is None:
        frame.empty_state("No coreset can be computed yet.", "Choose one on the Select page", "pages/select.py")
    else:
        st.caption(f"Of the coreset chosen on Select: {len(selection):,} of {len(view):,} images.")
        with frame.boundary():
            certificates.draw(view, selection)
