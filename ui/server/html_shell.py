"""The HTML that a browser loads first, with the server's base address written into it.

Streamlit's own page guesses: on a link straight to /select it first asks for a server below that
path, gets two 404s, then tries one level up. Naming the base address saves that round trip and two
errors in the browser's console. "/" redirects to the first page by its own name, so that its links
can be shared like those of every other page.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from ui.server import hosts

# "./" and not "/": a proxy may serve the app below a path of its own.
_BASE = (
    "<script>window.__streamlit = "
    '{ BACKEND_BASE_URL: new URL("./", window.location.href).href }</script>'
)


def front_routes(pages: list[str], first: str, moved: Mapping[str, str]) -> list[Route]:
    """GET routes for "/", each page name and each old name, for `st.App(routes=...)`.

    Parameters
    ----------
    pages : list of str
        Names of the pages.
    first : str
        The page that "/" redirects to.
    moved : mapping of str to str
        Old name -> page that it redirects to.
    """
    return [
        Route("/", _redirect_to(first), methods=["GET"]),
        *(Route(f"/{old}", _redirect_to(new), methods=["GET"]) for old, new in moved.items()),
        *(Route(f"/{name}", _front, methods=["GET"]) for name in sorted(pages)),
    ]


def _redirect_to(page: str):
    """An endpoint that redirects to the page and keeps the query."""

    def redirect(request: Request) -> Response:
        return RedirectResponse(
            f"./{page}" + (f"?{request.url.query}" if request.url.query else ""), 307
        )

    return redirect


def _front(request: Request) -> Response:
    if not hosts.is_trusted(request.headers.get("host", "")):
        return PlainTextResponse(hosts.REFUSAL, 400)
    return HTMLResponse(
        _html(), headers={"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    )


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
        local = False  # a host name: whoever resolves it can connect
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

    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text("utf-8")
    return page.replace("<head>", f"<head>\n    {_BASE}", 1)
