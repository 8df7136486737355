"""The sidebar's card: what is open, how many images, which encoder; so that every page says what it is about."""

from __future__ import annotations

import streamlit as st

from coreset_engine.errors import CoresetError
from ui import frame, state
from ui.escape import markdown as escaped


def dataset_card() -> None:
    """Draw the card, or one line when nothing is open."""
    spec = state.get("dataset")
    if not spec:
        st.caption("No images open yet.")
        return
    try:
        view = state.current_run()
    except CoresetError as error:
        frame.tell(error)
        if st.button("Close it", key="close-broken"):
            state.close_dataset()
            st.rerun()
        return
    clusters = f"{view.run.pseudo_labels.n_clusters} clusters" if view.ready("pseudo_labels") else "not prepared yet"
    st.markdown(f"**{escaped(state.short_name(view.spec), 60)}**  \n{len(view.whole or view):,} images · {clusters}")
