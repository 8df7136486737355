"""Select: how many images are selected and by which method; pins, snapshots, certificate."""

import streamlit as st

from coreset_engine.core.registry import METHODS
from ui.components.forms import select_row
from ui.components.frame import error_boundary, page_header, require_run, with_error_boundary
from ui.map.colour_columns import MEMBERSHIP, available_columns, colour_title
from ui.map.scatter import draw_map
from ui.selection import controls
from ui.state import session
from ui.views import certificate, full_counts, image_explanation, select

KEY = "map-select"
SELECTED = "Selected images"

page_header(
    "Select", "Which images are selected, how many, and how well do they cover the dataset?"
)
view = require_run("map")
turn = controls.apply_slider_events(KEY, select.alphas(view, session.get("method")))
names = [MEMBERSHIP, *available_columns(view)]
if session.get("color") not in names:
    session.rebind("color", MEMBERSHIP)
above = st.container()  # its options are those of the method selected below
method_column, colour_column = st.columns([2, 1])
with method_column:
    before = session.get("method")
    select_row("Method", METHODS, key=session.bind("method"))
    select.note_method(before)
with colour_column:
    colour = st.selectbox("Colour by", names, key=session.bind("color"), format_func=colour_title)
with above:
    select.tools(view)
select.need_stages(view, session.get("method"))
alphas = select.alphas(view, session.get("method"))
selection, drawn = select.chosen(view, alphas, turn)
if drawn is None:
    st.stop()
events = draw_map(
    view,
    key=KEY,
    colour=colour,
    bins=select.score_of(view, session.get("method")),
    groups="pseudo-label" if view.ready("pseudo_labels") else "true label",
    height=540,
    picked=controls.remembered(view),
    **drawn,
)
picked = controls.picked(view, events)


@with_error_boundary
def below() -> None:
    full_counts.show_full_counts(view)
    if picked is not None:
        image_explanation.show_panel(view, picked, selection, key="select")
    if events.chosen is not None:
        controls.lasso_panel(view, events, selection, key="select")
    select.next_steps()
    parts = {
        SELECTED: select.selected_gallery,
        "Always include / exclude": select.pins,
        "Snapshots": select.snapshots,
        "Certificate": certificate.show_certificate,
    }
    shown = st.segmented_control(
        "Show", list(parts), default=SELECTED, label_visibility="collapsed", key="part"
    )
    with error_boundary():
        parts[shown or SELECTED](view, selection)


below()
