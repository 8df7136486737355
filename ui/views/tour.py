"""Three first steps, each one click away, shown on the Dataset page until they are dismissed."""

from __future__ import annotations

import streamlit as st

from ui.state import session

STEPS = (
    (
        "1 · Explore",
        "See all images as a map, coloured by cluster or difficulty. Draw a lasso to see the "
        "images, click one to see why it is selected.",
        "pages/explore.py",
        "Open the map",
    ),
    (
        "2 · Check labels",
        "See which cluster each image falls in, and where that is probably wrong.",
        "pages/labels.py",
        "Find label errors",
    ),
    (
        "3 · Select",
        "Set how many images to keep, compare with a random selection, and export.",
        "pages/select.py",
        "Select a coreset",
    ),
)


def tour() -> None:
    """Draw the three steps, unless this session has dismissed them."""
    if session.get("tour_done"):
        return
    for column, (title, text, page, label) in zip(st.columns(3), STEPS, strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{title}**")
            st.markdown(text)
            if st.button(f"{label} →", key=f"tour:{page}"):
                if page == "pages/labels.py":
                    session.rebind("labels_view", "Probable errors")
                st.switch_page(page)
    if st.button("Dismiss", type="tertiary", key="tour:done"):
        session.put("tour_done", True)
        st.rerun()
