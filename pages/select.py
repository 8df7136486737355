"""Select: choose the coreset under the finger; pins, undo, snapshots, and the certificate of what was chosen."""

import streamlit as st

from coreset_engine.registry import METHODS
from ui import certificates, select_view, selecting, state, whole, why
from ui.columns import MEMBERSHIP, offered
from ui.forms import choose_row
from ui.frame import boundary, guarded, need_run, page_header
from ui.scatter import draw_map

KEY = "map-select"

page_header("Select", "Which images make the coreset, how many, and at what price?")
view = need_run("map")
turn = selecting.hear_sliders(KEY, select_view.alphas(view, state.get("method")))
names = [MEMBERSHIP, *offered(view)]
if state.get("color") not in names:
    state.rebind("color", MEMBERSHIP)
above = st.container()  # its knobs are those of the method chosen below
method_column, colour_column = st.columns([2, 1])
with method_column:
    before = state.get("method")
    choose_row("Method", METHODS, key=state.bind("method"))
    select_view.note_method(before)
with colour_column:
    colour = st.selectbox("Colour by", names, key=state.bind("color"))
with above:
    select_view.tools(view)
select_view.need_stages(view, state.get("method"))
alphas = select_view.alphas(view, state.get("method"))
selection, drawn = select_view.chosen(view, alphas, turn)
if drawn is None:
    st.stop()
events = draw_map(view, key=KEY, colour=colour, bins=select_view.score_of(view, state.get("method")),
                  groups="pseudo-label" if view.ready("pseudo_labels") else "true label", height=540,
                  picked=selecting.remembered(view), **drawn)
picked = selecting.picked(view, events)


@guarded
def below() -> None:
    whole.counts(view)
    if picked is not None:
        why.panel(view, picked, selection, key="select")
    if events.chosen is not None:
        selecting.lasso_panel(view, events, selection, key="select")
    select_view.next_steps()
    parts = {"Kept images": select_view.kept_gallery, "Pins": select_view.pins, "Snapshots": select_view.snapshots,
             "Certificate": certificates.draw}
    shown = st.segmented_control("Show", list(parts), default="Kept images", label_visibility="collapsed", key="part")
    with boundary():
        parts[shown or "Kept images"](view, selection)


below()
