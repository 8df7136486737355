"""Compare: which of two selections is better and by how much, then where they differ."""

import streamlit as st

from ui.components.folded import folded
from ui.components.frame import error_boundary, page_header, require_run
from ui.views import compare, compare_results, evaluate

page_header("Compare", "Which of two selections is better, and by how much?")
view = require_run("map")
answer = st.container()
left, right = st.columns(2, gap="large")
with left:
    side_a = compare.side_controls(view, "A", None)
    a = compare.selection_of(view, side_a)
with right:
    side_b = compare.side_controls(view, "B", a)
    b = compare.selection_of(view, side_b)
if a is None or b is None:
    st.stop()
with answer, error_boundary():
    compare_results.show_answer(view, compare_results.Pair(side_a, side_b, a, b))
differing = compare.difference(a.indices, b.indices)
compare.show_maps(view, a, b)
compare.show_overlap(a, b, differing)
with error_boundary():
    compare.show_galleries(view, differing)
with error_boundary():
    compare_results.show_table(view, compare_results.Pair(side_a, side_b, a, b))
with error_boundary():
    compare.show_groups(view, a, b)
folded("Train at several sizes and with other methods", evaluate.show_form, view, key="train")
with error_boundary():
    evaluate.show_results(view)
