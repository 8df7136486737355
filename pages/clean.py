"""Clean: problems among the images, and exclusions from every selection."""

from __future__ import annotations

import streamlit as st

from ui.components import frame
from ui.views import clean, clean_actions

frame.page_header(
    "Clean",
    "Which images are copies, outliers, blurred or mislabelled, and should not be selected?",
)
view = frame.require_run(note_sample=False)
full = view.full or view
if not clean.is_ready(full):
    clean.offer_to_compute(full)
    st.stop()

report = clean.report_of(full)
clean.summary(full, report)
left, right = st.columns([2, 5], gap="large")
with left:
    clean_actions.undo_button(full)
    chosen = clean.choose_finding(view, report)
with right, frame.error_boundary():
    if chosen is not None:
        report = clean.threshold_slider(full, report, chosen)
        clean.about(view, report, chosen)
        clean_actions.buttons(full, report, chosen)
        clean.pictures(full, report, chosen)
with frame.error_boundary():
    clean.downloads(full, report)
st.page_link(
    "pages/compare_datasets.py", label="Which images occur in another dataset too (leakage)? →"
)
