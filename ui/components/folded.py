"""Parts of a page that are drawn, and whose scripts the browser loads, once they are opened.

The browser builds what lies in closed expanders and tabs before it shows the page's title.
A part that was opened stays drawn in this session, so that nothing typed into it is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from ui.components.frame import error_boundary
from ui.state import session


def folded(title: str, draw: Callable[..., Any], *args: Any, key: str) -> None:
    """Draw an expander that calls `draw(*args)` from the first time that it is opened.

    Parameters
    ----------
    title : str
        Label of the expander, Markdown.
    draw : callable
        Draws the content.
    *args
        Arguments of `draw`.
    key : str
        Streamlit key: the expander stays open across reruns.
    """
    part = st.expander(title, key=key, on_change="rerun")
    if _opened(key, bool(part.open)):
        with part, error_boundary():
            draw(*args)


def tabs(parts: Mapping[str, Callable[[], Any]], key: str) -> None:
    """Draw tabs, each from the first time that it is opened.

    Parameters
    ----------
    parts : mapping of str to callable
        Title -> what draws the tab.
    key : str
        Streamlit key of the tabs.
    """
    drawn = st.tabs(list(parts), key=key, on_change="rerun")
    for (title, draw), tab in zip(parts.items(), drawn, strict=True):
        if _opened(f"{key}:{title}", bool(tab.open)):
            with tab, error_boundary():
                draw()


def _opened(key: str, is_open: bool) -> bool:
    """Whether the part is open, or was in this session."""
    if is_open:
        session.put(f"opened:{key}", True)
    return is_open or bool(session.get(f"opened:{key}"))
