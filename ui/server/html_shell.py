"""The HTML that a browser loads first, with the server's base address written into it.

Streamlit's own page guesses: on a link straight to /select it first asks for a server below that
path, gets two 404s, then tries one level up. Naming the base address saves that round trip and two
errors in the browser's console. It also loads the script of each kind of element only when the
first one arrives, a second after the others on a slow machine; those that every page draws are
named here, so that they come with the rest. "/" redirects to the first page by its own name, so
that its links can be shared like those of every other page.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from ui.server import hosts
from ui.server.shell import first_paint

# "./" and not "/": a proxy may serve the app below a path of its own.
_BASE = (
    "<script>window.__streamlit = "
    '{ BACKEND_BASE_URL: new URL("./", window.location.href).href }</script>'
)
# Kinds of elements, as Streamlit names their scripts.
ELEMENTS = (
    "BidiComponent",
    "Button",
    "ButtonGroup",
    "Html",
    "NumberInput",
    "PageLink",
    "Selectbox",
    "TextInput",
    "purify",
)
_ROOT = '<div id="root"></div>'
_IMPORT = re.compile(r"""(?:\bfrom|\bimport) ?["']\./([A-Za-z0-9_.-]+\.js)["']""")
_NAMED = re.compile(r'"\./static/((?:js|css|media)/[^"]+)"')
# Streamlit's own text font, which our theme does not use.
_TEXT_FONT = re.compile(r'<link\s+rel="preload"\s+href="[^"]*SourceSans[^"]*"[^>]*/>\s*')


@dataclass(frozen=True)
class Page:
    """What a page's first paint shows.

    Attributes
    ----------
    title : str
        The page's own title.
    link : str
        What the navigation calls it; empty for a page without a link.
    """

    title: str
    link: str = ""


def front_routes(pages: Mapping[str, Page], first: str, moved: Mapping[str, str]) -> list[Route]:
    """GET routes for "/", each page name and each old name, for `st.App(routes=...)`.

    Parameters
    ----------
    pages : mapping of str to Page
        Name -> what its first paint shows.
    first : str
        The page that "/" redirects to.
    moved : mapping of str to str
        Old name -> page that it redirects to.
    """
    links = {name: page.link for name, page in pages.items() if page.link}
    return [
        Route("/", _redirect_to(first), methods=["GET"]),
        *(Route(f"/{old}", _redirect_to(new), methods=["GET"]) for old, new in moved.items()),
        *(
            Route(f"/{name}", _front(first_paint(name, links, page.title)), methods=["GET"])
            for name, page in sorted(pages.items())
        ),
    ]


def _redirect_to(page: str):
    """An endpoint that redirects to the page and keeps the query."""

    def redirect(request: Request) -> Response:
        return RedirectResponse(
            f"./{page}" + (f"?{request.url.query}" if request.url.query else ""), 307
        )

    return redirect


def _front(shell: str):
    """An endpoint that answers Streamlit's page with `shell` before its root element."""

    def front(request: Request) -> Response:
        if not hosts.is_trusted(request.headers.get("host", "")):
            return PlainTextResponse(hosts.REFUSAL, 400)
        content = _html().replace(_ROOT, shell + _ROOT, 1)
        headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        return HTMLResponse(content, headers=headers)

    return front


def exposure(address: str | None, guarded: bool) -> str | None:
    """A warning when other machines can reach the server, else None.

    Parameters
    ----------
    address : str or None
        What the server listens on; empty means every address.
    guarded : bool
        Whether Streamlit's own authentication is set up.
    """
    try:
        local = (
            address == "localhost"
            or ipaddress.ip_address((address or "::").strip("[]")).is_loopback
        )
    except ValueError:
        local = False  # a host name: everyone who resolves it can connect
    if local or guarded:
        return None
    return (
        f"Listening on {address or 'every address'}: anyone who reaches it can use the app and see "
        "the open images. Set up Streamlit's authentication ([auth] in secrets.toml) or a proxy "
        "with a password."
    )


def warn_if_exposed() -> None:
    """Log a warning when the server listens beyond this machine without authentication."""
    import streamlit

    try:
        guarded = "auth" in streamlit.secrets
    except FileNotFoundError:  # no secrets.toml at all
        guarded = False
    warning = exposure(streamlit.config.get_option("server.address"), guarded)
    if warning:
        logging.getLogger("coreset_explorer").warning(warning)


@lru_cache(maxsize=1)
def _html() -> str:
    import streamlit

    static = Path(streamlit.__file__).parent / "static"
    page = (static / "index.html").read_text("utf-8")
    page = _TEXT_FONT.sub("", page, count=1)
    page = page.replace("<head>", f"<head>\n    {_BASE}", 1)
    links = "".join(
        f'    <link rel="modulepreload" crossorigin href="./static/js/{name}">\n'
        for name in early_scripts(static / "static" / "js")
        if name not in page
    )
    return page.replace("</head>", f"{links}  </head>", 1)


def named_files() -> list[str]:
    """The files below /static/ that the page names: what a new browser asks for at once."""
    return sorted(set(_NAMED.findall(_html())))


def early_scripts(folder: Path) -> list[str]:
    """Files of Streamlit's scripts for the elements that every page draws, with what they import.

    Empty where another version of Streamlit names them otherwise.
    """
    first = {path.name: path for path in folder.glob("*.js")}
    waiting = [
        name for name in sorted(first) if name.partition(".")[0] in ELEMENTS and ".map" not in name
    ]
    scripts: list[str] = []
    while waiting:
        name = waiting.pop()
        if name in scripts or name not in first:
            continue
        scripts.append(name)
        waiting += _IMPORT.findall(first[name].read_text("utf-8", "replace"))
    return sorted(scripts)
