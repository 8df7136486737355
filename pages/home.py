"""Home: open images, choose a goal, and compute what the other pages need."""

from __future__ import annotations

import streamlit as st

from ui.components import frame
from ui.state import session
from ui.views import home, source_update
from ui.views.settings import settings
from ui.views.source_form import quick_open, recent, source_form

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
with st.expander("Open a folder, recent sources, demo"):
    quick_open()
    recent()
    source_form()
# What most visitors never open is drawn, and its scripts are loaded, only once it is opened.
for title, key, draw in (
    ("Settings: encoder, clusters, seed, training, cluster", "home:settings", settings),
    ("Stages and their sizes", "home:stages", home.stages),
    ("How the source was read", "home:source", home.source),
):
    folded = st.expander(title, key=key, on_change="rerun")
    if folded.open:
        with folded:
            draw(view)
home.rejected(view)
