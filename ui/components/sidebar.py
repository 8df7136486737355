"""The sidebar's card: the open dataset, its number of images, its clusters, and the basket."""

from __future__ import annotations

import streamlit as st

from coreset_engine.core.counted import counted
from coreset_engine.core.errors import CoresetError
from ui.components import frame
from ui.components.escape import markdown as escaped
from ui.state import marks, session


def dataset_card() -> None:
    """Draw the card, or one line when no dataset is open."""
    spec = session.get("dataset")
    if not spec:
        st.caption("No dataset is open.")
        return
    try:
        view = session.current_run()
    except CoresetError as error:
        frame.show_error(error)
        if st.button("Close dataset", key="close-broken"):
            session.close_dataset()
            st.rerun()
        return
    if view is None:
        return
    name = escaped(session.short_name(view.spec), 60)
    clusters = "not computed yet"
    if view.ready("pseudo_labels"):
        clusters = f"{view.run.pseudo_labels.n_clusters} clusters"
    st.markdown(f"**{name}**  \n{counted(len(view.full or view), 'image')} · {clusters}")
    picked = len(marks.basket())
    if picked:
        st.page_link("pages/explore.py", label=f"Basket: {counted(picked, 'image')}")
