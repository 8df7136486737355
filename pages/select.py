"""Select: how many images are selected, by which method, and whether that beats random."""

import streamlit as st

from coreset_engine.core.types import Selection
from ui.components.frame import error_boundary, page_header, require_run, with_error_boundary
from ui.map.colour_columns import MEMBERSHIP, available_columns, colour_title
from ui.map.scatter import draw_map
from ui.selection import constraints, controls
from ui.state import session
from ui.views import certificate, forecast, full_counts, image_explanation, select, stability

KEY = "map-select"
SELECTED = "Selected images"

page_header("Select", "Which images are selected, and is the selection better than random?")
view = require_run("map")
turn = controls.apply_slider_events(KEY, select.alphas(view, session.get("method")))
select.budget_and_method(view)
names = [MEMBERSHIP, *available_columns(view)]
if session.get("color") not in names:
    session.rebind("color", MEMBERSHIP)
limits, options, colouring, back, forward = st.columns(
    [3, 2, 3, 1.5, 1.5], vertical_alignment="bottom"
)
with limits:
    constraints.constraint_controls(view)
with options:
    select.method_options(view, session.get("method"))
colour = colouring.selectbox(
    "Colour by", names, key=session.bind("color"), format_func=colour_title
)
select.undo_buttons(back, forward)
view = select.need_stages(view, session.get("method"))
alphas = select.alphas(view, session.get("method"))
selection, drawn = select.chosen(view, alphas, turn)
if selection is None or drawn is None:
    st.stop()
select.say_what_holds(view, selection)
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
def below(selection: Selection) -> None:
    full_counts.show_full_counts(view)
    if picked is not None:
        image_explanation.show_panel(view, picked, selection, key="select")
    if events.chosen is not None:
        controls.lasso_panel(view, events, selection, key="select")
    select.next_steps()
    left, right = st.columns(2, gap="large")
    with left, error_boundary():
        st.subheader("Expected accuracy", anchor=False)
        forecast.show_forecast(view, selection)
    with right, error_boundary():
        st.subheader("How well it covers the dataset", anchor=False)
        certificate.show_certificate(view, selection)
    parts = {
        SELECTED: select.selected_gallery,
        "Always include / exclude": select.pins,
        "Snapshots": select.snapshots,
        "Stability": stability.show_stability,
    }
    shown = st.segmented_control(
        "Show",
        list(parts),
        default=SELECTED,
        label_visibility="collapsed",
        key="part",
        required=True,
    )
    parts[shown or SELECTED](view, selection)


below(selection)
