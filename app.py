"""Coreset Explorer's router: page frame, navigation, the strip of jobs. `streamlit run app.py`
finds `app` here.

One file, two lives: imported by the server it makes the ASGI app with our few extra routes; run by
Streamlit for a visitor it draws the page. Only the second has a script context.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ui.components import frame
from ui.components.icon import page_icon
from ui.components.jobs import job_strip
from ui.components.sidebar import dataset_card
from ui.state import navigation, session
from ui.state.gc_freeze import freeze_new_modules

PAGES = {
    "Look": {
        "dataset": "Dataset",
        "explore": "Map",
        "gallery": "Gallery",
        "labels": "Labels",
        "coverage": "Coverage",
    },
    "Choose": {"select": "Select", "compare": "Compare", "evaluate": "Evaluate", "export": "Export"},
}


def draw() -> None:
    freeze_new_modules()
    st.set_page_config(
        "Coreset Explorer", page_icon(), layout="wide", initial_sidebar_state="expanded"
    )
    frame.apply_css()
    session.sync()
    folder = Path(__file__).parent / "pages"
    parts = {
        part: [
            st.Page(folder / f"{name}.py", title=title, url_path=name)
            for name, title in rows.items()
        ]
        for part, rows in PAGES.items()
    }
    # Streamlit's default page has no address of its own; so it is none of ours, only the way to the
    # first.
    start = st.Page(
        lambda: st.switch_page(folder / "dataset.py"),
        title="Start",
        url_path="start",
        default=True,
        visibility="hidden",
    )
    page = st.navigation({"": [start], **parts})
    if page != start:
        navigation.remember_page(page.url_path)
    with st.sidebar, frame.error_boundary():
        dataset_card()
        job_strip()
    with frame.error_boundary():
        page.run()


if get_script_run_ctx(suppress_warning=True) is not None:
    draw()
else:
    from streamlit.runtime.pages_manager import PagesManager

    from ui.server.html_shell import front_routes, warn_if_exposed
    from ui.server.routes import routes

    # Else a fresh server takes pages/ for the older kind of multipage app, and a link straight to a
    # page runs it bare.
    PagesManager.uses_pages_directory = False
    warn_if_exposed()
    names = [name for rows in PAGES.values() for name in rows]
    app = st.App(
        Path(__file__),
        routes=[*routes, *front_routes(names, "dataset")],
        on_script_error=frame.script_error,
    )
