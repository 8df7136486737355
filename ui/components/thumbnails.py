"""Thumbnails: one sprite sheet and a CSS grid per gallery, so that 500 pictures cost one image, not
500.

Pictures travel as bytes of the open dataset by position; no path ever reaches the browser. Captions
are set as text by the component's script (`gallery.js`), so names from data stay text. Small
pictures (28 px) are enlarged without blur, large ones (4,000 px) and those slow to read are shrunk
once and kept under the workspace's `thumbs/`.
"""

from __future__ import annotations

import base64
import io
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import streamlit as st
from PIL import Image

from coreset_engine.core.errors import CoresetError
from coreset_engine.core.types import Dataset
from ui.components.escape import plain
from ui.state import session

TILE = 72  # pixels a side
LARGE = 640
SLOW_S = (
    0.1  # a picture that took longer to read (from a far store, a large row group) is kept small
)
MOST = 500  # tiles per gallery page
_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "coreset_explorer.gallery",
    js=(_HERE / "gallery.js").read_text("utf-8"),
    css=(_HERE / "gallery.css").read_text("utf-8"),
)


class ThumbCache:
    """(fingerprint, position) -> (TILE, TILE, 3) uint8, the most recent `most` kept in memory;
    thread-safe."""

    def __init__(self, most: int = 4000) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept = OrderedDict()

    def get(self, dataset: Dataset, i: int) -> np.ndarray:
        key = (dataset.fingerprint, int(i))
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        tile = _tile(dataset, int(i))
        with self._lock:
            self._kept[key] = tile
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return tile


@st.cache_resource(show_spinner=False)
def _cache() -> ThumbCache:
    return ThumbCache()


def _tile(dataset: Dataset, i: int) -> np.ndarray:
    """One square tile, the picture centred on grey; a missing or broken file gives a crossed grey
    tile."""
    kept = session.home() / "thumbs" / dataset.fingerprint[:24] / f"{i}.jpg"
    try:
        if kept.is_file():
            with Image.open(kept) as image:
                return np.asarray(image.convert("RGB").resize((TILE, TILE)))
        began = time.perf_counter()
        image = dataset.image(i)
        slow = time.perf_counter() - began > SLOW_S
    except (CoresetError, OSError, ValueError):
        return _broken()
    tile = fitted(image, TILE)
    if slow or max(image.size) > 512:
        _keep(kept, tile)
    return np.asarray(tile)


def fitted(image: Image.Image, side: int) -> Image.Image:
    """The whole picture inside a side x side square; enlarged by repetition, shrunk with area
    averaging."""
    factor = side / max(image.size)
    how = (
        Image.Resampling.NEAREST
        if factor > 1
        else Image.Resampling.BOX
        if factor < 0.5
        else Image.Resampling.BICUBIC
    )
    size = tuple(max(1, round(length * factor)) for length in image.size)
    square = Image.new("RGB", (side, side), (128, 128, 128))
    square.paste(
        image.convert("RGB").resize(size, how), ((side - size[0]) // 2, (side - size[1]) // 2)
    )
    return square


def _keep(path: Path, tile: Image.Image) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{threading.get_ident()}")
        tile.save(part, "JPEG", quality=90)
        part.replace(path)
    except OSError:
        pass  # only a convenience: without it the picture is decoded again


def _broken() -> np.ndarray:
    tile = np.full((TILE, TILE, 3), 150, np.uint8)
    line = np.arange(TILE)
    tile[line, line] = tile[line, TILE - 1 - line] = 90
    return tile


def sheet(dataset: Dataset, indices: Sequence[int], columns: int = 25) -> np.ndarray:
    """(rows * TILE, columns * TILE, 3) uint8: the tiles of `indices`, row by row."""
    cache = _cache()
    with ThreadPoolExecutor(4) as pool:
        tiles = list(pool.map(lambda i: cache.get(dataset, i), indices))
    rows = -(-len(tiles) // columns)
    out = np.zeros((rows * columns, TILE, TILE, 3), np.uint8)
    out[: len(tiles)] = tiles
    return (
        out.reshape(rows, columns, TILE, TILE, 3)
        .swapaxes(1, 2)
        .reshape(rows * TILE, columns * TILE, 3)
    )


def data_url(image: Image.Image | np.ndarray, quality: int = 82) -> str:
    out = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(
        out, "JPEG", quality=quality, subsampling=0
    )
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")


@st.cache_data(max_entries=24, show_spinner=False)
def _sprite(fingerprint: str, positions: bytes, _dataset: Dataset) -> str:
    return data_url(sheet(_dataset, np.frombuffer(positions, np.int64)))


def large(dataset: Dataset, i: int, side: int = LARGE) -> str:
    """The larger view of image i as a data URL."""
    try:
        image = dataset.image(int(i))
    except (CoresetError, OSError, ValueError):
        return data_url(_broken())
    if max(image.size) < side // 2:
        return data_url(fitted(image, side), 90)
    image = image.convert("RGB")
    image.thumbnail((side * 2, side * 2))
    return data_url(image, 88)


def short_ids(dataset: Dataset, positions: Sequence[int] | np.ndarray, most: int = 10) -> list[str]:
    """Ids as captions: of a long one the end, which is where ids differ. At most 500."""
    names = [str(dataset.ids[i]) for i in positions[:MOST]]
    return [name if len(name) <= most else "…" + name[1 - most :] for name in names]


def gallery(
    dataset: Dataset,
    indices: Sequence[int] | np.ndarray,
    captions: Sequence[str] | None = None,
    *,
    key: str,
    facts: Sequence[str] | None = None,
    marks: Sequence[str] | None = None,
    height: int = 420,
) -> int | None:
    """A grid of thumbnails; returns the position opened in this run, else None.

    indices: (n,) positions, the first 500 are drawn. captions: one short line each, shown below.
    facts: a longer line for the larger view, from which "Why this one?" leads to the reasons.
    marks: "#rrggbb" or "" per tile, a coloured bar. Arrows walk, Escape closes.
    """
    indices = np.asarray(indices, np.int64)[:MOST]
    if dataset.reader is None:
        st.info(
            "This source has vectors but no images; open it with an image folder to see pictures."
        )
        return None
    if not len(indices):
        st.caption("No image to show here.")
        return None
    st.fragment(_gallery)(dataset, indices, captions, facts, marks, key, height)
    opened = st.session_state.get(f"{key}:opened")
    return int(indices[opened]) if opened is not None and 0 <= opened < len(indices) else None


def _gallery(
    dataset: Dataset, indices: np.ndarray, captions, facts, marks, key: str, height: int
) -> None:
    opened = _opened(key, len(indices))
    data: dict[str, Any] = {
        "sprite": _sprite(dataset.fingerprint, indices.tobytes(), dataset),
        "columns": 25,
        "tile": TILE,
        "height": height,
        "count": len(indices),
        "set": f"{dataset.fingerprint[:8]}:{hash(indices.tobytes())}",
        "captions": [plain(text, 60) for text in captions or []][:MOST],
        "ids": [plain(dataset.ids[i], 80) for i in indices],
        "marks": list(marks or [])[:MOST],
    }
    if opened is not None:
        data |= {
            "opened": opened,
            "large": large(dataset, indices[opened]),
            "fact": plain(facts[opened], 400) if facts is not None else "",
        }
    asked = _component(
        key=key,
        data=data,
        height="content",
        on_opened_change=lambda: None,
        on_why_change=lambda: None,
    ).get("why")
    if isinstance(asked, int | float) and 0 <= asked < len(indices):
        _explain(str(dataset.ids[indices[int(asked)]]))


def _explain(name: str) -> None:
    """Make this id the session's picked image, where a page shows why it is kept or dropped."""
    session.put("image", name)
    if urlsplit(st.context.url or "").path.rpartition("/")[2] in ("explore", "select"):
        st.rerun()
    st.switch_page("pages/explore.py")


def _opened(key: str, count: int) -> int | None:
    """Which tile the component says is open; -1 or nonsense means none."""
    value = st.session_state.get(key)
    opened = value.get("opened") if hasattr(value, "get") else None
    if not isinstance(opened, int | float) or not 0 <= opened < count:
        opened = None
    st.session_state[f"{key}:opened"] = None if opened is None else int(opened)
    return st.session_state[f"{key}:opened"]
