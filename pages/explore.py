"""Map: the whole set at a glance, coloured by anything known about it; a lasso shows pictures, a
click explains one."""

import streamlit as st

from ui.components.frame import page_header, require_run, with_error_boundary
from ui.map.colour_columns import MEMBERSHIP, available_columns
from ui.map.scatter import draw_map
from ui.selection import controls, session_selection
from ui.state import session
from ui.views import image_explanation

page_header("Map", "What is in the whole set, and where does the coreset lie in it?")
view = require_run("map")
selection = controls.current_or_none(view)
names = [MEMBERSHIP, *available_columns(view)]
if session.get("color") not in names:
    session.rebind("color", MEMBERSHIP)
left, right = st.columns([1, 3], vertical_alignment="bottom")
colour = left.selectbox("Colour by", names, key=session.bind("color"))
right.caption(
    "Draw a lasso to see pictures, click a point to learn why it is kept or dropped. The wheel zooms, "
    "Shift-drag pans; legend entries hide and show. With the keyboard: arrows, + and -, 0, L B P, Enter."
)
events = draw_map(
    view,
    key="map-explore",
    colour=colour,
    kept=None if selection is None else selection.indices,
    groups="pseudo-label" if view.ready("pseudo_labels") else "true label",
    height=600,
    picked=controls.remembered(view),
)
picked = controls.picked(view, events)


@with_error_boundary
def below() -> None:
    if picked is not None:
        image_explanation.show_panel(view, picked, selection, key="explore")
    if events.chosen is not None:
        controls.lasso_panel(view, events, selection, key="explore")
    elif picked is None:
        method = session.get("method")
        knobs = session_selection.describe(
            method, session.get("prune_rate"), session_selection.method_params(method)
        )
        st.caption(
            f"Coreset shown: {knobs}. Change it on the Select page."
            if selection is not None
            else "No coreset can be shown yet: its scores are not computed. The Select page says what is missing."
        )


below()
