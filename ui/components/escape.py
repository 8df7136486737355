"""Text that came from data, made harmless for Markdown, HTML and chart labels. Use it at every
border.

Names of classes, files and columns are chosen by strangers: `<img src=x onerror=...>` must stay
text.
"""

from __future__ import annotations

import html
import re
import unicodedata

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>$:&])")


def plain(text: object, limit: int = 120) -> str:
    """One visible line: control and bidirectional override characters out, at most `limit`
    characters."""
    kept = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in str(text))
    kept = " ".join(kept.split())
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"


def markdown(text: object, limit: int = 600) -> str:
    """Literal text inside Streamlit's Markdown (also kills :icons:, $math$ and links)."""
    return _MARKDOWN.sub(r"\\\1", plain(text, limit))


def hypertext(text: object, limit: int = 600) -> str:
    """Literal text inside HTML, attributes included."""
    return html.escape(plain(text, limit), quote=True)


def chart(text: object, limit: int = 40) -> str:
    """Literal text inside a plotly label or hover, which knows a little HTML."""
    return html.escape(plain(text, limit), quote=False)


def escape_option(text: object) -> str:
    """Text of a select box: drawn as text by the browser, so only made one visible line."""
    return plain(text, 60)
