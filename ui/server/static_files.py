"""Streamlit's scripts, styles and fonts, answered from memory, compressed where the browser can.

A new browser asks for about a hundred files before it draws anything. Streamlit's own handler reads
each in a thread, in pieces of 64 kB, and never compresses: 2.5 MB over a slow connection. Here each
is read once; what the first page names is compressed once, when the server has nothing else to do.
"""

from __future__ import annotations

import gzip
import mimetypes
from functools import lru_cache
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

_PREFIX = "/static/"
_HEADERS = {
    "Cache-Control": "public, immutable, max-age=31536000",  # names hold a hash of the content
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}
_TEXT = {".js", ".css", ".svg", ".json"}
_compressed: dict[str, bytes] = {}


class StaticFiles:
    """ASGI middleware that answers GET of Streamlit's static files.

    Whatever else is requested, and every name that is not a file of Streamlit's, goes on to `app`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = _answer(scope) or self.app
        await answer(scope, receive, send)


def _answer(scope: Scope) -> Response | None:
    path = scope.get("path", "")
    if scope["type"] != "http" or scope["method"] != "GET" or not path.startswith(_PREFIX):
        return None
    name = path[len(_PREFIX) :]
    headers = Headers(scope=scope)
    if name not in _files() or "range" in headers:
        return None
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    kind = "text/javascript" if name.endswith(".js") else kind
    if name in _compressed and "gzip" in headers.get("accept-encoding", ""):
        zipped = {**_HEADERS, "Content-Encoding": "gzip"}
        return Response(_compressed[name], media_type=kind, headers=zipped)
    return Response(_content(name), media_type=kind, headers=_HEADERS)


@lru_cache(maxsize=1)
def _files() -> dict[str, Path]:
    """Name below /static/ -> file, of everything that Streamlit serves there."""
    import streamlit

    folder = Path(streamlit.__file__).parent / "static" / "static"
    return {
        path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()
    }


@lru_cache(maxsize=400)
def _content(name: str) -> bytes:
    return _files()[name].read_bytes()


def compress(names: list[str]) -> None:
    """Compress these files, so that they are answered so from now on.

    Parameters
    ----------
    names : list of str
        Names below /static/; those that are not text or not a file are left as they are.
    """
    for name in names:
        if name in _files() and _files()[name].suffix in _TEXT and name not in _compressed:
            _compressed[name] = gzip.compress(_content(name), 6, mtime=0)
