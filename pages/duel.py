"""Duel: two coresets side by side, by any method, knobs or snapshot."""

import streamlit as st

from ui import duel, state
from ui.frame import boundary, need_run, page_header

page_header("Duel", "Do two ways of choosing pick different images, and which choice is worth more?")
view = need_run("map")
left, right = st.columns(2, gap="large")
with left:
    side_a = duel.choose_side(view, "A", f"elfs:{state.get('prune_rate'):g}")
    a = duel.select(view, side_a)
with right:
    side_b = duel.choose_side(view, "B", f"random:{state.get('prune_rate'):g}")
    b = duel.select(view, side_b)
if a is None or b is None:
    st.stop()
difference = duel.compare(a.indices, b.indices)
duel.numbers(a, b, difference)
duel.maps(view, a, b)
with boundary():
    duel.galleries(view, difference)
with boundary():
    duel.by_group(view, a, b)
with boundary():
    st.subheader("What each is worth", anchor=False)
    duel.accuracies(view, side_a, side_b)
    duel.worth(view, a, b)
