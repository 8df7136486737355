"""Compare: two coresets side by side, by any method, parameters or snapshot."""

import streamlit as st

from ui.components.frame import error_boundary, page_header, require_run
from ui.state import session
from ui.views import compare, evaluate

page_header("Compare", "How do two selections differ, and which one is better?")
view = require_run("map")
left, right = st.columns(2, gap="large")
with left:
    side_a = compare.side_controls(view, "A", f"elfs:{session.get('prune_rate'):g}")
    a = compare.selection_of(view, side_a)
with right:
    side_b = compare.side_controls(view, "B", f"random:{session.get('prune_rate'):g}")
    b = compare.selection_of(view, side_b)
if a is None or b is None:
    st.stop()
differing = compare.difference(a.indices, b.indices)
compare.show_overlap(a, b, differing)
compare.show_maps(view, a, b)
with error_boundary():
    compare.show_galleries(view, differing)
with error_boundary():
    compare.show_groups(view, a, b)
with error_boundary():
    st.subheader("Which is better?", anchor=False)
    compare.show_accuracies(view, side_a, side_b)
    compare.show_certificates(view, a, b)
with error_boundary():
    st.subheader("Train and measure", anchor=False)
    evaluate.show_form(view)
    evaluate.show_results(view)
