"""What the map reads over HTTP: coordinates, ranks, colour codes, thumbnails, facts and its own
JavaScript.

Why routes: a Streamlit message is sent again on every rerun; these arrays go once and stay in the
browser's cache. Custom routes have no protection of their own, so each answers GET only, takes
nothing but integers and opaque keys (content hashes that a page of ours published; never a path),
refuses foreign host names (DNS rebinding) and cross-site embedding, and hands out nothing that no
page has opened. `routes` goes into `st.App(routes=...)`.
"""

from __future__ import annotations

import hashlib
import io
import ipaddress
import os
import re
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from coreset_engine.core.errors import CoresetError
from coreset_engine.core.types import Dataset

THUMB_PIXELS = 128
_DATASETS = 8
_ARRAY_BYTES = 192 * 2**20  # per dataset; the least recently published arrays go first
_IMMUTABLE = {"Cache-Control": "private, max-age=31536000, immutable"}
_GUARDS = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
_MAP_SCRIPTS = Path(__file__).parents[1] / "map"
_KEY = re.compile(r"[0-9a-f]{24}")


@dataclass(eq=False)
class Shelf:
    """What one dataset has published: arrays by content hash, and how to say a fact about image
    i."""

    key: str
    dataset: Dataset
    arrays: OrderedDict[str, bytes] = field(default_factory=OrderedDict)
    facts: dict[str, Callable[[int], list[str]]] = field(default_factory=dict)
    tables: dict[str, Callable[[], dict]] = field(default_factory=dict)


_shelves: OrderedDict[str, Shelf] = OrderedDict()
_lock = threading.Lock()


def digest(*parts: bytes) -> str:
    """24 hex digits that name this content."""
    hashed = hashlib.blake2b(digest_size=12)
    for part in parts:
        hashed.update(part)
    return hashed.hexdigest()


def shelf_for(dataset: Dataset) -> Shelf:
    """The shelf of `dataset`, made on first use; the least recently used of more than 8 is
    dropped."""
    key = digest(dataset.fingerprint.encode(), dataset.spec.encode())
    with _lock:
        shelf = _shelves.get(key)
        if shelf is None or shelf.dataset is not dataset:
            shelf = _shelves[key] = Shelf(key, dataset)
        _shelves.move_to_end(key)
        while len(_shelves) > _DATASETS:
            _shelves.popitem(last=False)
    return shelf


def publish(shelf: Shelf, array: np.ndarray, folder: str = "ranks") -> str:
    """The address of `array`'s bytes (C order, this machine's little-endian numbers)."""
    content = np.ascontiguousarray(array).tobytes()
    name = digest(content)
    with _lock:
        shelf.arrays[name] = content
        shelf.arrays.move_to_end(name)
        while len(shelf.arrays) > 1 and sum(map(len, shelf.arrays.values())) > _ARRAY_BYTES:
            shelf.arrays.popitem(last=False)
    return (
        f"/coreset/points/{shelf.key}-{name}.bin"
        if folder == "points"
        else f"/coreset/ranks/{shelf.key}/{name}.bin"
    )


def publish_facts(shelf: Shelf, name: str, facts: Callable[[int], list[str]]) -> str:
    """The address template ("{i}") of the hover card's lines about an image."""
    with _lock:
        shelf.facts[digest(name.encode())] = facts
    return f"/coreset/fact/{shelf.key}/{digest(name.encode())}/{{i}}.json"


def publish_table(shelf: Shelf, name: str, table: Callable[[], dict]) -> str:
    """The address of every image's id and value, made when somebody asks for it."""
    with _lock:
        shelf.tables[digest(name.encode())] = table
    return f"/coreset/table/{shelf.key}/{digest(name.encode())}.json"


def thumb_address(shelf: Shelf) -> str | None:
    """The address template of thumbnails, or None for a source without images."""
    return f"/coreset/thumb/{shelf.key}/{{i}}.webp" if shelf.dataset.reader is not None else None


def _guarded(answer: Callable[[Request], Response]) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        if not trusted(request.headers.get("host", "")):
            return _refuse(400, "This host name is not allowed; add it to CORESET_ALLOWED_HOSTS.")
        if request.headers.get("sec-fetch-site") == "cross-site":
            return _refuse(403, "Other sites may not read this.")
        response = answer(request)
        response.headers.update(_GUARDS)
        return response

    return endpoint


def trusted(host: str) -> bool:
    """True for addresses written as numbers, localhost, the server's own address and
    CORESET_ALLOWED_HOSTS: a page of another site that points its own name at this machine sends
        that name here, and is refused."""
    name = re.sub(r":\d+$", "", host.strip().lower()).strip("[]")
    named = os.environ.get("CORESET_ALLOWED_HOSTS", "").lower().replace(",", " ").split()
    if name in {"localhost", *_own_names(), *named}:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1)
def _own_names() -> frozenset[str]:
    """What this machine calls itself, and the name it was told to listen on. Others' pages cannot
    take these names."""
    from streamlit import config

    told = (
        config.get_option("server.address"),
        config.get_option("browser.serverAddress"),
        socket.gethostname(),
    )
    return frozenset(str(name).lower() for name in told if name)


def _refuse(status: int, sentence: str) -> Response:
    return PlainTextResponse(sentence, status, headers={"Cache-Control": "no-store", **_GUARDS})


def _found(request: Request) -> Shelf | None:
    key = request.path_params["key"]
    with _lock:
        return _shelves.get(key) if _KEY.fullmatch(key) else None


def _array(request: Request) -> Response:
    shelf = _found(request)
    content = shelf.arrays.get(request.path_params["name"]) if shelf else None
    if content is None:
        return _refuse(404, "Nothing is published here; reload the page.")
    return Response(content, media_type="application/octet-stream", headers=_IMMUTABLE)


def _thumb(request: Request) -> Response:
    shelf = _found(request)
    i = request.path_params["i"]
    if shelf is None or i >= len(shelf.dataset) or shelf.dataset.reader is None:
        return _refuse(404, "There is no such image.")
    try:
        content = _thumbnail(shelf, i)
    except (CoresetError, OSError, ValueError):
        return _refuse(404, "This image can no longer be read.")
    return Response(content, media_type="image/webp", headers=_IMMUTABLE)


@lru_cache(maxsize=4096)
def _thumbnail(shelf: Shelf, i: int) -> bytes:
    image = shelf.dataset.image(i).convert("RGB")
    image.thumbnail((THUMB_PIXELS, THUMB_PIXELS))
    if (
        max(image.size) <= THUMB_PIXELS // 2
    ):  # enlarge tiny images by whole pixels, so that they stay sharp
        factor = THUMB_PIXELS // max(image.size)
        image = image.resize((image.width * factor, image.height * factor), resample=0)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=85)
    return buffer.getvalue()


def _fact(request: Request) -> Response:
    shelf = _found(request)
    i = request.path_params["i"]
    facts = shelf.facts.get(request.path_params["name"]) if shelf else None
    if facts is None or i >= len(shelf.dataset):
        return _refuse(404, "There is no such image.")
    return JSONResponse(facts(i), headers={"Cache-Control": "private, max-age=300"})


def _table(request: Request) -> Response:
    shelf = _found(request)
    table = shelf.tables.get(request.path_params["name"]) if shelf else None
    if table is None:
        return _refuse(404, "Nothing is published here; reload the page.")
    return JSONResponse(table(), headers={"Cache-Control": "no-store"})


@lru_cache(maxsize=1)
def scripts() -> tuple[str, dict[str, bytes]]:
    """The version (content hash) and the JavaScript modules of this folder by name."""
    files = {path.stem: path.read_bytes() for path in sorted(_MAP_SCRIPTS.glob("*.js"))}
    return digest(*files.values()), files


def _script(request: Request) -> Response:
    version, files = scripts()
    content = (
        files.get(request.path_params["name"]) if request.path_params["key"] == version else None
    )
    if content is None:
        return _refuse(404, "This version of the map is gone; reload the page.")
    return Response(content, media_type="text/javascript", headers=_IMMUTABLE)


# For `st.App("app.py", routes=routes)`.
routes = [
    Route(path, _guarded(answer), methods=["GET"])
    for path, answer in {
        "/coreset/points/{key}-{name}.bin": _array,
        "/coreset/ranks/{key}/{name}.bin": _array,
        "/coreset/thumb/{key}/{i:int}.webp": _thumb,
        "/coreset/fact/{key}/{name}/{i:int}.json": _fact,
        "/coreset/table/{key}/{name}.json": _table,
        "/coreset/js/{key}/{name}.js": _script,
    }.items()
]
