"""Dataset: open a source, choose encoder and clusters, compute what the other pages need."""

from __future__ import annotations

import streamlit as st

from ui.components import frame
from ui.state import sampling, session
from ui.views import dataset
from ui.views.source_form import source_form
from ui.views.tour import tour

frame.page_header(
    "Dataset",
    "Which images are open, and are all stages computed that the other pages need?",
)
view = session.current_run()

if view is None:
    with st.container(border=True):
        st.markdown("**Open images to begin.** Nothing leaves this machine.")
        source_form()
    st.stop()

if not view.missing():
    tour()
with st.expander("Open another source"):
    source_form()

st.subheader(dataset.title(view), anchor=False)
dataset.facts(view.full or view)
left, right = st.columns([5, 4], gap="medium")
with left:
    dataset.settings(view)
    dataset.classes(view.full or view)
with right:
    dataset.stages(view)
dataset.rejected(view)
st.subheader("Random images", anchor=False)
sampling.show_sample_note(view)
dataset.sample(view)
