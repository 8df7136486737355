"""HTTP routes beside Streamlit's: the map's arrays, thumbnails, hover facts and JavaScript.

Why routes: a Streamlit message is sent again on every rerun; these arrays are sent once and stay in
the browser's cache. Custom routes have no protection of their own, so each answers GET only, takes
nothing but integers and opaque keys, refuses foreign host names (DNS rebinding) and cross-site
embedding, and serves only what a page published (`ui.server.published`).
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from coreset_engine.core.errors import CoresetError
from ui.components import tiles
from ui.server import hosts, published
from ui.server.published import PublishedData

THUMB_PIXELS = 128
LARGE_PIXELS = 480
ATLAS_SIDE = 8  # an atlas page holds 8 x 8 tiles
_IMMUTABLE = {"Cache-Control": "private, max-age=31536000, immutable"}
_GUARDS = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
_MAP_SCRIPTS = Path(__file__).parents[1] / "map"
_KEY = re.compile(r"[0-9a-f]{24}")
NOT_PUBLISHED = "Nothing is published here; reload the page."
NO_IMAGE = "There is no such image."


def _guarded(answer: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """An endpoint that refuses foreign hosts and cross-site requests before `answer` is asked."""

    def endpoint(request: Request) -> Response:
        if not hosts.is_trusted(request.headers.get("host", "")):
            return _refuse(400, hosts.REFUSAL)
        if request.headers.get("sec-fetch-site") == "cross-site":
            return _refuse(403, "Other sites may not read this.")
        response = answer(request)
        response.headers.update(_GUARDS)
        return response

    return endpoint


def _refuse(status: int, sentence: str) -> Response:
    return PlainTextResponse(sentence, status, headers={"Cache-Control": "no-store", **_GUARDS})


def _published(request: Request) -> PublishedData | None:
    key = request.path_params["key"]
    return published.by_key(key) if _KEY.fullmatch(key) else None


def _array(request: Request) -> Response:
    data = _published(request)
    content = data.arrays.get(request.path_params["name"]) if data else None
    if content is None:
        return _refuse(404, NOT_PUBLISHED)
    return Response(content, media_type="application/octet-stream", headers=_IMMUTABLE)


def _thumb(request: Request) -> Response:
    return _image(request, _thumbnail)


def _image(request: Request, encoded: Callable[[PublishedData, int], bytes]) -> Response:
    """The image requested, as `encoded` gives its WebP bytes."""
    data = _published(request)
    i = request.path_params["i"]
    if data is None or i >= len(data.dataset) or data.dataset.reader is None:
        return _refuse(404, NO_IMAGE)
    try:
        content = encoded(data, i)
    except (CoresetError, OSError, ValueError):
        return _refuse(404, "This image can no longer be read.")
    return Response(content, media_type="image/webp", headers=_IMMUTABLE)


@lru_cache(maxsize=4096)
def _thumbnail(data: PublishedData, i: int) -> bytes:
    image = data.dataset.image(i).convert("RGB")
    image.thumbnail((THUMB_PIXELS, THUMB_PIXELS))
    largest = max(image.size)
    if largest <= THUMB_PIXELS // 2:  # enlarged by whole pixels, so that tiny images stay sharp
        factor = THUMB_PIXELS // largest
        image = image.resize((image.width * factor, image.height * factor), resample=0)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=85)
    return buffer.getvalue()


def _large(request: Request) -> Response:
    """A larger view, for the review queue."""
    return _image(request, _larger)


@lru_cache(maxsize=128)
def _larger(data: PublishedData, i: int) -> bytes:
    image = data.dataset.image(i).convert("RGB")
    if max(image.size) < LARGE_PIXELS // 2:
        image = tiles.fitted(image, LARGE_PIXELS)
    image.thumbnail((LARGE_PIXELS, LARGE_PIXELS))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=85, method=2)
    return buffer.getvalue()


def _atlas(request: Request) -> Response:
    """One page of thumbnails, in the order that a page published."""
    data = _published(request)
    name = request.path_params["name"]
    order = data.arrays.get(name) if data else None
    if data is None or order is None or data.dataset.reader is None:
        return _refuse(404, NOT_PUBLISHED)
    number = request.path_params["page"]
    if number * ATLAS_SIDE**2 * 4 >= len(order) or len(order) != 4 * len(data.dataset):
        return _refuse(404, NO_IMAGE)
    return Response(_atlas_page(data, name, number), media_type="image/webp", headers=_IMMUTABLE)


@lru_cache(maxsize=400)
def _atlas_page(data: PublishedData, name: str, number: int) -> bytes:
    count = ATLAS_SIDE**2
    order = np.frombuffer(data.arrays[name], dtype=np.uint32)
    page = Image.fromarray(tiles.sheet(data.dataset, order[number * count :][:count], ATLAS_SIDE))
    buffer = io.BytesIO()
    page.save(buffer, "WEBP", quality=80, method=2)
    return buffer.getvalue()


def _fact(request: Request) -> Response:
    data = _published(request)
    i = request.path_params["i"]
    facts = data.facts.get(request.path_params["name"]) if data else None
    if data is None or facts is None or i >= len(data.dataset):
        return _refuse(404, NO_IMAGE)
    return JSONResponse(facts(i), headers={"Cache-Control": "private, max-age=300"})


def _table(request: Request) -> Response:
    data = _published(request)
    table = data.tables.get(request.path_params["name"]) if data else None
    if table is None:
        return _refuse(404, NOT_PUBLISHED)
    return JSONResponse(table(), headers={"Cache-Control": "no-store"})


@lru_cache(maxsize=1)
def scripts() -> tuple[str, dict[str, bytes]]:
    """The version (content hash) and the JavaScript modules of ui/map by name."""
    files = {path.stem: path.read_bytes() for path in sorted(_MAP_SCRIPTS.glob("*.js"))}
    return published.digest(*files.values()), files


def _script(request: Request) -> Response:
    version, files = scripts()
    content = None
    if request.path_params["key"] == version:
        content = files.get(request.path_params["name"])
    if content is None:
        return _refuse(404, "The map was updated; reload the page.")
    return Response(content, media_type="text/javascript", headers=_IMMUTABLE)


_ENDPOINTS = {
    "/coreset/points/{key}-{name}.bin": _array,
    "/coreset/ranks/{key}/{name}.bin": _array,
    "/coreset/thumb/{key}/{i:int}.webp": _thumb,
    "/coreset/large/{key}/{i:int}.webp": _large,
    "/coreset/atlas/{key}/{name}/{page:int}.webp": _atlas,
    "/coreset/fact/{key}/{name}/{i:int}.json": _fact,
    "/coreset/table/{key}/{name}.json": _table,
    "/coreset/js/{key}/{name}.js": _script,
}
# For `st.App("app.py", routes=routes)`.
routes = [Route(path, _guarded(answer), methods=["GET"]) for path, answer in _ENDPOINTS.items()]
