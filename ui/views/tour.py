"""The first visit: three steps, each one click, shown until put away. No manual needed."""

from __future__ import annotations

import streamlit as st

from ui.state import session

STEPS = (
    (
        "1 · Look",
        "The whole set as a map: colour it by pseudo-label or difficulty, lasso a corner, click an image and "
        "ask why.",
        "pages/explore.py",
        "Open the map",
    ),
    (
        "2 · Doubt",
        "See what a clustering would call each image and where that is probably wrong.",
        "pages/labels.py",
        "Hunt label errors",
    ),
    (
        "3 · Choose",
        "Move the pruning rate to 90 %, compare with random, and hand the rest to your tool.",
        "pages/select.py",
        "Choose a coreset",
    ),
)


def tour() -> None:
    """Draw the three steps, unless this session has put them away."""
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
    if st.button("Put the tour away", type="tertiary", key="tour:done"):
        session.put("tour_done", True)
        st.rerun()
