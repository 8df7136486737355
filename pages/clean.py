"""Clean: what is wrong with the images, and which of them no selection may keep."""

from __future__ import annotations

import streamlit as st

from ui.components import frame
from ui.views import clean, clean_actions

frame.page_header(
    "Clean",
    "Which images are copies, outliers, blurred or mislabelled, and should not be selected?",
)
view = frame.require_run(note_sample=False)
whole = view.full or view
if not clean.is_ready(whole):
    clean.offer_to_compute(whole)
    st.stop()

report = clean.report_of(whole)
clean.summary(whole, report)
left, right = st.columns([2, 5], gap="large")
with left:
    clean_actions.undo_button(whole)
    chosen = clean.choose_finding(view, report)
with right, frame.error_boundary():
    if chosen is not None:
        report = clean.threshold_slider(whole, report, chosen)
        clean.about(view, report, chosen)
        clean_actions.buttons(whole, report, chosen)
        clean.pictures(whole, report, chosen)
with frame.error_boundary():
    clean.downloads(whole, report)
st.page_link(
    "pages/compare_datasets.py", label="Which images occur in another dataset too (leakage)? →"
)
