"""Map: all images at a glance, coloured by anything known about them; lasso and click show more."""

import streamlit as st

from ui.components.escape import markdown as escaped
from ui.components.frame import page_header, require_run, with_error_boundary
from ui.map.colour_columns import MEMBERSHIP, available_columns, colour_title
from ui.map.scatter import draw_map
from ui.selection import controls, session_selection
from ui.state import session
from ui.views import image_explanation

page_header("Map", "What is in the dataset, and which parts of it are selected?")
view = require_run("map")
selection = controls.current_or_none(view)
names = [MEMBERSHIP, *available_columns(view)]
if session.get("color") not in names:
    session.rebind("color", MEMBERSHIP)
left, right = st.columns([1, 3], vertical_alignment="bottom")
colour = left.selectbox("Colour by", names, key=session.bind("color"), format_func=colour_title)
right.caption(
    "Draw a lasso to see the images in it; click a point to see why it is selected or not. Wheel: "
    "zoom. Shift-drag: pan. Legend: hide and show. Keys: arrows, +, -, 0 (fit), L, B, P (tools), "
    "Enter."
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
        st.caption(selection_line())


def selection_line() -> str:
    """What the map shows as selected."""
    if selection is None:
        return "Nothing is selected yet; the Select page shows what still has to be computed."
    method = session.get("method")
    settings = session_selection.describe(
        method,
        session.get("prune_rate"),
        session_selection.method_params(method),
        len(selection),
    )
    return f"Selection: {escaped(settings)}. Change it on the Select page."


below()
