"""The sidebar's card: what is open, how many images, which encoder; so that every page says what it
is about."""

from __future__ import annotations

import streamlit as st

from coreset_engine.core.errors import CoresetError
from ui.components import frame
from ui.components.escape import markdown as escaped
from ui.state import session


def dataset_card() -> None:
    """Draw the card, or one line when nothing is open."""
    spec = session.get("dataset")
    if not spec:
        st.caption("No images open yet.")
        return
    try:
        view = session.current_run()
    except CoresetError as error:
        frame.tell(error)
        if st.button("Close it", key="close-broken"):
            session.close_dataset()
            st.rerun()
        return
    clusters = (
        f"{view.run.pseudo_labels.n_clusters} clusters"
        if view.ready("pseudo_labels")
        else "not prepared yet"
    )
    st.markdown(
        f"**{escaped(session.short_name(view.spec), 60)}**  \n{len(view.whole or view):,} images · {clusters}"
    )
