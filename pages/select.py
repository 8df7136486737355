"""Select: choose the coreset under the finger; pins, undo, snapshots, and the certificate of what
was chosen."""

import streamlit as st

from coreset_engine.core.registry import METHODS
from ui.components.forms import choose_row
from ui.components.frame import error_boundary, page_header, require_run, with_error_boundary
from ui.map.colour_columns import MEMBERSHIP, available_columns
from ui.map.scatter import draw_map
from ui.selection import controls
from ui.state import session
from ui.views import certificate, full_counts, image_explanation, select

KEY = "map-select"

page_header("Select", "Which images make the coreset, how many, and at what price?")
view = require_run("map")
turn = controls.hear_sliders(KEY, select.alphas(view, session.get("method")))
names = [MEMBERSHIP, *available_columns(view)]
if session.get("color") not in names:
    session.rebind("color", MEMBERSHIP)
above = st.container()  # its knobs are those of the method chosen below
method_column, colour_column = st.columns([2, 1])
with method_column:
    before = session.get("method")
    choose_row("Method", METHODS, key=session.bind("method"))
    select.note_method(before)
with colour_column:
    colour = st.selectbox("Colour by", names, key=session.bind("color"))
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
    full_counts.counts(view)
    if picked is not None:
        image_explanation.show_panel(view, picked, selection, key="select")
    if events.chosen is not None:
        controls.lasso_panel(view, events, selection, key="select")
    select.next_steps()
    parts = {
        "Kept images": select.kept_gallery,
        "Pins": select.pins,
        "Snapshots": select.snapshots,
        "Certificate": certificate.show_certificate,
    }
    shown = st.segmented_control(
        "Show", list(parts), default="Kept images", label_visibility="collapsed", key="part"
    )
    with error_boundary():
        parts[shown or "Kept images"](view, selection)


below()
