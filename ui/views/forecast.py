"""The forecast beside random on the Select page; drawn from the stored artefact, made by a job."""

from __future__ import annotations

import streamlit as st

from coreset_engine.core.types import Selection
from ui.state.session import RunView


def show_forecast(view: RunView, selection: Selection) -> None:
    """Draw the forecast, or the button that computes it."""
    st.caption("Measure accuracies on the Compare page.")
