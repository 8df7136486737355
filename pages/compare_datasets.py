"""Compare datasets: what two of them share, where they differ, and what one can give the other."""

from __future__ import annotations

import streamlit as st

from ui.components import frame
from ui.views import compare_datasets, compare_datasets_actions

frame.page_header(
    "Compare datasets",
    "What do two datasets share, such as train and test, and what does one of them lack?",
)
view = frame.require_run(note_sample=False)
full = view.full or view
pair = compare_datasets.choose(full)
if pair is None:
    st.stop()
if not compare_datasets.is_ready(pair):
    compare_datasets.offer_to_compute(pair)
    st.stop()

both = compare_datasets.compared(pair)
compare_datasets.summary(pair, both)
with frame.error_boundary():
    compare_datasets.show_leaks(pair, both)
    compare_datasets_actions.exclude_buttons(pair, both)
with frame.error_boundary():
    compare_datasets.show_map(both)
with frame.error_boundary():
    compare_datasets.show_regions(both)
with frame.error_boundary():
    compare_datasets_actions.choose_what_is_lacking(pair, both)
