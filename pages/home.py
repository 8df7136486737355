"""Home: open images, choose a goal, and compute what the other pages need."""

from __future__ import annotations

import streamlit as st

from ui.components import frame
from ui.state import session
from ui.views import home, source_update
from ui.views.settings import settings

frame.page_header("Coreset Explorer", home.PURPOSE)
view = session.current_run()

if view is None:
    home.welcome()
    with frame.error_boundary():
        home.goals(None)
    st.stop()

home.wall(view)
st.subheader(home.title(view), anchor=False)
home.summary(view)
home.computing(view)
source_update.offer(view)
home.goals(view)
# What most visitors never open is drawn, and its scripts are loaded, only once it is opened.
for title, key, draw in (
    ("Open a folder, recent sources, demo", "home:open", home.other_sources),
    ("Settings: encoder, clusters, seed, training, cluster", "home:settings", settings),
    ("Stages and their sizes", "home:stages", home.stages),
    ("How the source was read", "home:source", home.source),
):
    asked_for = key == "home:open" and bool(session.get("proposed"))  # a link names a source
    folded = st.expander(title, expanded=asked_for, key=key, on_change="rerun")
    if folded.open:
        with folded:
            draw(view)
home.rejected(view)
