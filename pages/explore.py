"""Map: the whole set at a glance, coloured by anything known about it; a lasso shows pictures, a click explains one."""

import streamlit as st

from ui import choice, selecting, state, why
from ui.columns import MEMBERSHIP, offered
from ui.frame import guarded, need_run, page_header
from ui.scatter import draw_map

page_header("Map", "What is in the whole set, and where does the coreset lie in it?")
view = need_run("map")
selection = selecting.current_or_none(view)
names = [MEMBERSHIP, *offered(view)]
if state.get("color") not in names:
    state.rebind("color", MEMBERSHIP)
left, right = st.columns([1, 3], vertical_alignment="bottom")
colour = left.selectbox("Colour by", names, key=state.bind("color"))
right.caption("Draw a lasso to see pictures, click a point to learn why it is kept or dropped. The wheel zooms, "
              "Shift-drag pans; legend entries hide and show. With the keyboard: arrows, + and -, 0, L B P, Enter.")
events = draw_map(view, key="map-explore", colour=colour, kept=None if selection is None else selection.indices,
                  groups="pseudo-label" if view.ready("pseudo_labels") else "true label", height=600,
                  picked=selecting.remembered(view))
picked = selecting.picked(view, events)


@guarded
def below() -> None:
    if picked is not None:
        why.panel(view, picked, selection, key="explore")
    if events.chosen is not None:
        selecting.lasso_panel(view, events, selection, key="explore")
    elif picked is None:
        method = state.get("method")
        knobs = choice.describe(method, state.get("prune_rate"), choice.method_params(method))
        st.caption(f"Coreset shown: {knobs}. Change it on the Select page." if selection is not None else
                   "No coreset can be shown yet: its scores are not computed. The Select page says what is missing.")


below()
