"""Thumbnail tiles: one small square per image, kept in memory and, where slow to make, on disk.

Small images (28 px) are enlarged without blur; large ones (4,000 px) and those slow to read are
shrunk once and kept under the workspace's `thumbs/`. Galleries and the map's atlas use the same
tiles.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import streamlit as st
from PIL import Image

from coreset_engine.core.errors import CoresetError
from coreset_engine.core.types import Dataset
from ui.state import session

TILE = 72  # pixels a side
SLOW_S = 0.1  # an image that took longer to read (object store, large row group) is kept small


class ThumbCache:
    """The most recent tiles by (fingerprint, position), each (TILE, TILE, 3) uint8; thread-safe."""

    def __init__(self, most: int = 4000) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, int], np.ndarray] = OrderedDict()

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
            with Image.open(kept) as image_file:
                return np.asarray(image_file.convert("RGB").resize((TILE, TILE)))
        began = time.perf_counter()
        image = dataset.image(i)
        slow = time.perf_counter() - began > SLOW_S
    except (CoresetError, OSError, ValueError):
        return broken_tile()
    tile = fitted(image, TILE)
    if slow or max(image.size) > 512:
        _save_tile(kept, tile)
    return np.asarray(tile)


def fitted(image: Image.Image, side: int) -> Image.Image:
    """The full image inside a side x side square on grey."""
    factor = side / max(image.size)
    width, height = (max(1, round(length * factor)) for length in image.size)
    square = Image.new("RGB", (side, side), (128, 128, 128))
    corner = ((side - width) // 2, (side - height) // 2)
    square.paste(image.convert("RGB").resize((width, height), _resampling(factor)), corner)
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


def broken_tile() -> np.ndarray:
    tile = np.full((TILE, TILE, 3), 150, np.uint8)
    line = np.arange(TILE)
    tile[line, line] = tile[line, TILE - 1 - line] = 90
    return tile


def sheet(dataset: Dataset, indices: Sequence[int] | np.ndarray, columns: int = 25) -> np.ndarray:
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
