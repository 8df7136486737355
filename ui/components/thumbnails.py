"""Thumbnail galleries: one sprite sheet and a CSS grid, so that 500 images cost one request.

Images are addressed by position in the open dataset; no path ever reaches the browser. Captions are
set as text by the component's script (`gallery.js`), so names from data stay text. Small images
(28 px) are enlarged without blur; large ones (4,000 px) and those slow to read are shrunk once and
kept under the workspace's `thumbs/`.
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
SLOW_S = 0.1  # an image that took longer to read (object store, large row group) is kept small
MAX_TILES = 500  # per gallery page
_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "coreset_explorer.gallery",
    js=(_HERE / "gallery.js").read_text("utf-8"),
    css=(_HERE / "gallery.css").read_text("utf-8"),
)


class ThumbCache:
    """The most recent tiles by (fingerprint, position), each (TILE, TILE, 3) uint8; thread-safe."""

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
    """One square tile with the image centred on grey; a crossed tile where it cannot be read."""
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
        _save_tile(kept, tile)
    return np.asarray(tile)


def fitted(image: Image.Image, side: int) -> Image.Image:
    """The full image inside a side x side square on grey."""
    factor = side / max(image.size)
    size = tuple(max(1, round(length * factor)) for length in image.size)
    square = Image.new("RGB", (side, side), (128, 128, 128))
    corner = ((side - size[0]) // 2, (side - size[1]) // 2)
    square.paste(image.convert("RGB").resize(size, _resampling(factor)), corner)
    return square


def _resampling(factor: float) -> Image.Resampling:
    """Whole pixels when enlarging, area averaging when shrinking by more than half."""
    if factor > 1:
        return Image.Resampling.NEAREST
    return Image.Resampling.BOX if factor < 0.5 else Image.Resampling.BICUBIC


def _save_tile(path: Path, tile: Image.Image) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{threading.get_ident()}")
        tile.save(part, "JPEG", quality=90)
        part.replace(path)
    except OSError:
        pass  # without the file the image is decoded again


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
    """The image as a JPEG data URL. An array is (H, W, 3) uint8."""
    out = io.BytesIO()
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(out, "JPEG", quality=quality, subsampling=0)
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
    """Ids as captions, at most 500 of at most `most` characters; long ones lose their start.

    Ids differ at their end: folders are in front, and a file's number comes last.
    """
    names = [str(dataset.ids[i]) for i in positions[:MAX_TILES]]
    return [_short_id(name, most) for name in names]


def _short_id(name: str, most: int) -> str:
    stem, dot, suffix = name.rpartition(".")
    if dot and len(name) > most and suffix.isalnum() and len(suffix) <= 4:
        name = stem  # every file of a folder has the same suffix
    return name if len(name) <= most else "…" + name[1 - most :]


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
    """Draw a grid of thumbnails; a click opens a larger view.

    Parameters
    ----------
    dataset : Dataset
        Where the images are read from.
    indices : sequence of int
        Positions; the first 500 are drawn.
    captions : sequence of str, optional
        One short line per image, shown below it.
    key : str
        Streamlit key.
    facts : sequence of str, optional
        A longer line per image for the larger view.
    marks : sequence of str, optional
        "#rrggbb" or "" per image, drawn as a coloured bar.
    height : int
        Pixels; a longer grid scrolls.

    Returns
    -------
    int or None
        The position opened in this run.
    """
    indices = np.asarray(indices, np.int64)[:MAX_TILES]
    if dataset.reader is None:
        st.info("This source has vectors only. Open it with an image folder to see the images.")
        return None
    if not len(indices):
        st.caption("No images to show.")
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
        "captions": [plain(text, 60) for text in captions or []][:MAX_TILES],
        "ids": [plain(dataset.ids[i], 80) for i in indices],
        "marks": list(marks or [])[:MAX_TILES],
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
    """Make this id the session's picked image, on a page that explains its selection."""
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
