"""Coreset Explorer's router: page frame, navigation, sidebar.

`streamlit run app.py` finds `app` here. The file is used twice: imported by the server it makes the
ASGI app with a few routes of our own; run by Streamlit for a visitor it draws the page. Only the
latter has a script context.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ui.components import frame
from ui.components.icon import page_icon
from ui.components.jobs import job_strip
from ui.components.sidebar import dataset_card
from ui.server import warm_up
from ui.state import navigation, session
from ui.state.gc_freeze import freeze_new_modules

PAGES = {
    "": {
        "home": "Home",
        "explore": "Explore",
        "clean": "Clean",
        "compare_datasets": "Compare datasets",
        "labels": "Labels",
        "select": "Select",
        "compare": "Compare",
        "export": "Export & next round",
    },
    "More": {
        "gallery": "Gallery",
        "coverage": "Coverage scores",
    },
}
# Pages with an address but no link: Explore holds what they show.
HIDDEN = {"gallery"}
# Titles on the page that differ from those in the navigation.
HEADINGS = {"home": "Coreset Explorer", "coverage": "Coverage"}

# Addresses of earlier editions -> page.
MOVED = {"dataset": "home", "duel": "compare", "evaluate": "compare"}
FIRST = "home"


def draw() -> None:
    freeze_new_modules()
    st.set_page_config(
        "Coreset Explorer", page_icon(), layout="wide", initial_sidebar_state="expanded"
    )
    frame.apply_css()
    session.sync()
    folder = Path(__file__).parent / "pages"
    sections = {
        section: [
            st.Page(
                folder / f"{name}.py",
                title=title,
                url_path=name,
                visibility="hidden" if name in HIDDEN else "visible",
            )
            for name, title in pages.items()
        ]
        for section, pages in PAGES.items()
    }
    # Streamlit's default page has no address of its own, so it only leads to our first page.
    start = st.Page(
        lambda: st.switch_page(folder / f"{FIRST}.py"),
        title="Start",
        url_path="start",
        default=True,
        visibility="hidden",
    )
    sections[""].insert(0, start)
    page = st.navigation(sections)
    if page != start:
        navigation.remember_page(page.url_path)
    with st.sidebar, frame.error_boundary():
        dataset_card()
        job_strip()
    try:
        with frame.error_boundary():
            page.run()
    finally:
        session.end_run()


if get_script_run_ctx(suppress_warning=True) is not None:
    with warm_up.page_first():
        draw()
else:
    from starlette.middleware import Middleware
    from streamlit.runtime.pages_manager import PagesManager

    from ui.server.html_shell import Page, front_routes, warn_if_exposed
    from ui.server.routes import routes
    from ui.server.sockets import send_at_once
    from ui.server.static_files import StaticFiles

    # Otherwise a fresh server takes pages/ for Streamlit's older kind of multipage app, and a link
    # straight to a page runs it without this file.
    PagesManager.uses_pages_directory = False
    warn_if_exposed()
    warm_up.start()
    fronts = {
        name: Page(HEADINGS.get(name, title), "" if name in HIDDEN else title)
        for pages in PAGES.values()
        for name, title in pages.items()
    }
    app = st.App(
        Path(__file__),
        routes=[*routes, *front_routes(fronts, FIRST, MOVED)],
        on_script_error=frame.script_error,
        lifespan=send_at_once,
        middleware=[Middleware(StaticFiles)],
    )
