"""Duel: two coresets side by side, by any method, knobs or snapshot."""

import streamlit as st

from ui.components.frame import error_boundary, page_header, require_run
from ui.state import session
from ui.views import compare

page_header(
    "Duel", "Do two ways of choosing pick different images, and which choice is worth more?"
)
view = require_run("map")
left, right = st.columns(2, gap="large")
with left:
    side_a = compare.choose_side(view, "A", f"elfs:{session.get('prune_rate'):g}")
    a = compare.select(view, side_a)
with right:
    side_b = compare.choose_side(view, "B", f"random:{session.get('prune_rate'):g}")
    b = compare.select(view, side_b)
if a is None or b is None:
    st.stop()
difference = compare.compare(a.indices, b.indices)
compare.numbers(a, b, difference)
compare.maps(view, a, b)
with error_boundary():
    compare.galleries(view, difference)
with error_boundary():
    compare.by_group(view, a, b)
with error_boundary():
    st.subheader("What each is worth", anchor=False)
    compare.accuracies(view, side_a, side_b)
    compare.worth(view, a, b)
