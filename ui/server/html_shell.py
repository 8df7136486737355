"""The HTML that a browser loads first, told at once where its server is.

Streamlit's own page guesses: on a link straight to /select it first asks for a server below that
path, gets two 404s, then tries one level up. Naming the base address saves that round trip and two
errors in the browser's console. "/" goes to the first page by its own name, so that its links can
be shared like those of every other page.
"""

from __future__ import annotations

import ipaddress
import logging
from functools import lru_cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from ui.server.routes import trusted

# "./" and not "/": a proxy may serve the app below a path of its own.
_BASE = '<script>window.__streamlit = { BACKEND_BASE_URL: new URL("./", window.location.href).href }</script>'


def front_routes(pages: list[str], first: str) -> list[Route]:
    """GET routes for "/" and each page name. For `st.App(routes=...)`."""
    names = {f"/{name}" for name in pages}
    return [
        Route("/", _to(first), methods=["GET"]),
        *(Route(name, _front, methods=["GET"]) for name in sorted(names)),
    ]


def _to(first: str):
    def redirect(request: Request) -> Response:
        return RedirectResponse(
            f"./{first}" + (f"?{request.url.query}" if request.url.query else ""), 307
        )

    return redirect


def _front(request: Request) -> Response:
    if not trusted(request.headers.get("host", "")):
        return PlainTextResponse(
            "This host name is not allowed; add it to CORESET_ALLOWED_HOSTS.", 400
        )
    return HTMLResponse(
        _html(), headers={"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    )


def exposure(address: str | None, guarded: bool) -> str | None:
    """One sentence of warning when `address` can be reached from other machines, else None.

    address: what the server listens on; empty means everywhere. guarded: Streamlit's own
        authentication is set up.
    """
    try:
        local = (
            address == "localhost"
            or ipaddress.ip_address((address or "::").strip("[]")).is_loopback
        )
    except ValueError:
        local = False  # a host name: whoever resolves it can come
    if local or guarded:
        return None
    return (
        f"Listening on {address or 'every address'}: anyone who reaches it can use the app and see the open "
        "images. Set up Streamlit's authentication ([auth] in secrets.toml) or a proxy with a password."
    )


def warn_if_exposed() -> None:
    """Say so in the server's log when it listens beyond this machine without any lock."""
    import streamlit

    try:
        guarded = "auth" in streamlit.secrets
    except FileNotFoundError:  # no secrets.toml at all
        guarded = False
    said = exposure(streamlit.config.get_option("server.address"), guarded)
    if said:
        logging.getLogger("coreset_explorer").warning(said)


@lru_cache(maxsize=1)
def _html() -> str:
    import streamlit

    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text("utf-8")
    return page.replace("<head>", f"<head>\n    {_BASE}", 1)
