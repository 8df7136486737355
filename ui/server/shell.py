"""What a browser paints before Streamlit's scripts have run: the navigation and the page's title.

A Streamlit page is empty until a new browser has loaded and run two megabytes of scripts, opened a
WebSocket and received the page. These few lines of HTML come with the page itself, in the theme's
colours and at the places where Streamlit draws the same, and go away as soon as the page's own
title is there. They are hidden from screen readers, which read the page itself.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from string import Template

_TEMPLATE = Template(Path(__file__).with_name("shell.html").read_text("utf-8"))
# Streamlit's own colours, where the theme names none.
_COLOURS = {
    "light": {"back": "#ffffff", "side": "#f0f2f6", "text": "#31333f", "line": "#d6d6d9"},
    "dark": {"back": "#0e1117", "side": "#262730", "text": "#fafafa", "line": "#41444c"},
}
_OPTIONS = {
    "back": "backgroundColor",
    "side": "secondaryBackgroundColor",
    "text": "textColor",
    "line": "borderColor",
}


def first_paint(name: str, links: Mapping[str, str], title: str) -> str:
    """HTML to put before Streamlit's root element.

    Parameters
    ----------
    name : str
        The page, one of the names in `links`.
    links : mapping of str to str
        Name -> title of each page in the navigation.
    title : str
        The page's own title.
    """
    from streamlit import config

    colours = {
        f"{scheme}_{part}": config.get_option(f"theme.{scheme}.{_OPTIONS[part]}") or usual
        for scheme, parts in _COLOURS.items()
        for part, usual in parts.items()
    }
    drawn = "".join(_link(title, key == name) for key, title in links.items())
    font = config.get_option("theme.font") or "sans-serif"
    return _TEMPLATE.substitute(colours, font=font, links=drawn, title=html.escape(title))


def _link(title: str, current: bool) -> str:
    return f'<p data-text="{html.escape(title)}"{" data-now" if current else ""}></p>'
