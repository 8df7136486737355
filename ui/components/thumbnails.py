"""Thumbnail galleries: one sprite sheet and a CSS grid, so that 500 images cost one request.

Images are addressed by position in the open dataset; no path ever reaches the browser. Captions are
set as text by the component's script (`gallery.js`), so names from data stay text.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import streamlit as st
from PIL import Image

from coreset_engine.core.errors import CoresetError
from coreset_engine.core.types import Dataset
from ui.components import browser_script
from ui.components.action_log import new_acts
from ui.components.escape import plain
from ui.components.tiles import TILE, broken_tile, fitted, sheet
from ui.state import marks as marks_of
from ui.state import reviews, session

LARGE = 640
MAX_TILES = 500  # per gallery page
_component = browser_script.register("gallery")


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
        return data_url(broken_tile())
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
    if len(name) <= most:
        return name
    cut = name[1 - most :]
    tail = re.search(r"(?<=[-_/ .])\w{4,}$", cut)  # the last part of the name rather than a stump
    return "…" + (tail.group() if tail else cut)


class Tiles(NamedTuple):
    """Texts of each image of a gallery, one entry per image or None.

    captions: one short line below it. facts: a longer line in the larger view. marks: "#rrggbb" or
    "", drawn as a coloured bar.
    """

    captions: Sequence[str] | None = None
    facts: Sequence[str] | None = None
    marks: Sequence[str] | None = None


def gallery(
    dataset: Dataset,
    indices: Sequence[int] | np.ndarray,
    tiles: Tiles = Tiles(),
    *,
    key: str,
    height: int = 420,
    direct: bool = False,
) -> int | None:
    """Draw a grid of thumbnails; a click opens a larger view.

    Parameters
    ----------
    dataset : Dataset
        Where the images are read from.
    indices : sequence of int
        Positions; the first 500 are drawn.
    tiles : Tiles
        Captions, facts and marks of the images.
    key : str
        Streamlit key.
    height : int
        Pixels; a longer grid scrolls.
    direct : bool
        A click asks about the image (see `_explain`) instead of opening the larger view.

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
    st.fragment(_gallery)(dataset, indices, tiles, key, height, direct)
    opened = st.session_state.get(f"{key}:opened")
    return int(indices[opened]) if opened is not None and 0 <= opened < len(indices) else None


def _gallery(
    dataset: Dataset, indices: np.ndarray, tiles: Tiles, key: str, height: int, direct: bool
) -> None:
    captions, facts, badges = tiles
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
        "keys": [str(dataset.ids[i]) for i in indices],
        "marks": list(badges or [])[:MAX_TILES],
        "direct": direct,
        **_own_marks(dataset, indices),
    }
    if opened is not None:
        data |= {
            "opened": opened,
            "large": large(dataset, indices[opened]),
            "fact": plain(facts[opened], 400) if facts is not None else "",
        }
    result = _component(
        key=key,
        data=data,
        height="content",
        on_opened_change=lambda: None,
        on_why_change=lambda: None,
        on_acts_change=lambda: None,
    )
    view = session.current_run()
    acts = new_acts(result.get("acts"), f"{key}:acts")
    if acts and view is not None and marks_of.apply_acts(view, acts):
        st.rerun()
    asked = result.get("why")
    if isinstance(asked, int | float) and 0 <= asked < len(indices):
        _explain(str(dataset.ids[indices[int(asked)]]))


def _own_marks(dataset: Dataset, indices: np.ndarray) -> dict[str, Any]:
    """Basket, tags and corrected label of each image; nothing for another dataset."""
    view = session.current_run()
    if view is None or view.dataset is not dataset:
        return {"picks": None, "tags": [], "tag_keys": [], "names": [], "labels": []}
    picked = set(marks_of.basket())
    names = [str(dataset.ids[i]) for i in indices]
    values: dict[str, list[str]] = {name: [] for name in names}
    for tag, ids in marks_of.tags_of(view).items():
        for name in values.keys() & set(ids):
            values[name].append(plain(tag, 40))
    return {
        "picks": [name in picked for name in names],
        "tags": [values[name] for name in names],
        "tag_keys": marks_of.tag_keys(view),
        "names": [plain(label, 60) for label in reviews.label_names(view)],
        "labels": [plain(label, 60) for label in reviews.decided_labels(view, names)],
    }


def _explain(name: str) -> None:
    """Make this id the session's picked image, on a page that explains its selection."""
    session.put("image", name)
    if urlsplit(st.context.url or "").path.rpartition("/")[2] in ("explore", "gallery", "select"):
        st.rerun()
    st.switch_page("pages/explore.py")


def _opened(key: str, count: int) -> int | None:
    """Which tile the component says is open; -1 or nonsense means none."""
    value = st.session_state.get(key)
    opened = value.get("opened") if value is not None and hasattr(value, "get") else None
    if not isinstance(opened, int | float) or not 0 <= opened < count:
        opened = None
    st.session_state[f"{key}:opened"] = None if opened is None else int(opened)
    return st.session_state[f"{key}:opened"]
