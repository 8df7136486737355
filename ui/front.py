"""The HTML that a browser loads first, told at once where its server is.

Streamlit's own page guesses: on a link straight to /select it first asks for a server below that path, gets two 404s,
then tries one level up. Naming the base address saves that round trip and two errors in the browser's console. "/"
goes to the first page by its own name, so that its links can be shared like those of every other page.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from ui.routes import trusted

# "./" and not "/": a proxy may serve the app below a path of its own.
_BASE = '<script>window.__streamlit = { BACKEND_BASE_URL: new URL("./", window.location.href).href }</script>'


def front_routes(pages: list[str], first: str) -> list[Route]:
    """GET routes for "/" and each page name. For `st.App(routes=...)`."""
    names = {f"/{name}" for name in pages}
    return [Route("/", _to(first), methods=["GET"]), *(Route(name, _front, methods=["GET"]) for name in sorted(names))]


def _to(first: str):
    def redirect(request: Request) -> Response:
        return RedirectResponse(f"./{first}" + (f"?{request.url.query}" if request.url.query else ""), 307)

    return redirect


def _front(request: Request) -> Response:
    if not trusted(request.headers.get("host", "")):
        return PlainTextResponse("This host name is not allowed; add it to CORESET_ALLOWED_HOSTS.", 400)
    return HTMLResponse(_html(), headers={"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"})


@lru_cache(maxsize=1)
def _html() -> str:
    import streamlit

    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text("utf-8")
    return page.replace("<head>", f"<head>\n    {_BASE}", 1)
