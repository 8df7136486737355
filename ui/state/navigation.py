"""Which page a session is on, and how to return to it.

When a script changes the page (st.switch_page), a message that the browser sent a moment earlier,
for example the polling of the job list, still names the previous page. Streamlit then tells the
browser that it is on that page again and runs only the polling fragment, so that the main part of
the window stays empty.
"""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ui.state import session


def remember_page(url_path: str) -> None:
    """Remember that this run draws pages/`url_path`.py; call once per page run, before drawing."""
    session.put("here", (_running(), f"pages/{url_path}.py"))


def return_to_page() -> None:
    """In a polling fragment: return to the page drawn last, if this run counts for another one."""
    drawn = session.get("here")
    if drawn and drawn[0] != _running():
        st.switch_page(drawn[1])


def _running() -> str:
    """Streamlit's name for the page that the browser believes to be on."""
    context = get_script_run_ctx(suppress_warning=True)
    return context.page_script_hash if context else ""
