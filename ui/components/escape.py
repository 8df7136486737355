"""Escaping of text that came from data, for Markdown, HTML and chart labels.

Names of classes, files and columns are not ours: `<img src=x onerror=...>` must stay text. Use one
of these functions wherever such a name is shown.
"""

from __future__ import annotations

import html
import re
import unicodedata

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>$:&])")


def plain(text: object, limit: int = 120) -> str:
    """One line of at most `limit` characters, without control and bidirectional characters."""
    kept = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in str(text))
    kept = " ".join(kept.split())
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"


def markdown(text: object, limit: int = 600) -> str:
    """Literal text inside Streamlit's Markdown, without :icons:, $math$ and links."""
    return _MARKDOWN.sub(r"\\\1", plain(text, limit))


def hypertext(text: object, limit: int = 600) -> str:
    """Literal text inside HTML, attributes included."""
    return html.escape(plain(text, limit), quote=True)


def chart(text: object, limit: int = 40) -> str:
    """Literal text inside a plotly label or hover, which knows a little HTML."""
    return html.escape(plain(text, limit), quote=False)


def escape_option(text: object) -> str:
    """Text of a select box: the browser draws it as text, so it is only made one line."""
    return plain(text, 60)
