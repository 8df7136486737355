"""Searches for similar images: like one image, several, an uploaded picture, or a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st
from PIL import Image, UnidentifiedImageError

from coreset_engine.core.errors import BadInput
from coreset_engine.core.ids import positions_of
from ui.components.escape import plain
from ui.state import session
from ui.state.result_filters import Search
from ui.state.run_view import RunView

COUNT = 200
MOST_QUERY = 500  # images whose centre is searched from


def search_similar(view: RunView, ids: Sequence[str], title: str, *, count: int = COUNT) -> None:
    """Limit the result to the images most similar to these, themselves included, and rerun.

    Parameters
    ----------
    view : RunView
    ids : sequence of str
        Example images; the first ones count where there are many.
    title : str
        What they are, for the line above the result.
    count : int
        At most so many images.

    Raises
    ------
    BadInput
        When a search is not possible; the sentence says why.
    """
    names = list(ids)[:MOST_QUERY]
    _take(view, {"like": names}, f"like {title}", count, first=names)


def _take(
    view: RunView, query: dict[str, Any], title: str, count: int, first: Sequence[str] = ()
) -> None:
    from coreset_engine.curation.search import find

    if not view.ready("embeddings"):
        raise BadInput("a search needs the embeddings; compute them on Home first.")
    with st.spinner("Searching ..."):
        result = find(view.full_run, count=count, **query)
    ids = (*first, *(str(name) for name in result.ids))
    similarity = (*(1.0 for _ in first), *(float(value) for value in result.similarity))
    session.put("found", Search(plain(title, 80), ids, similarity))
    st.rerun()


def search_text(view: RunView, text: str, *, count: int = COUNT) -> None:
    """Search by what was typed: the id of an image, a part of an id, else a description."""
    words = text.strip()
    if not words:
        raise BadInput("the search is empty; type an id, part of a file name, or a description.")
    if positions_of(view.dataset.ids, [words])[0] >= 0:
        search_similar(view, [words], words, count=count)
        return
    named = [str(name) for name in view.dataset.ids if words.lower() in str(name).lower()]
    if named:
        title = f'"{plain(words, 60)}" in the id'
        session.put("found", Search(title, tuple(named), (1.0,) * len(named)))
        st.rerun()
    _take(view, {"text": words}, f'"{words}"', count)


def search_upload(view: RunView, upload: Any, *, count: int = COUNT) -> None:
    """Search by a picture from outside the dataset."""
    try:
        picture = Image.open(upload).convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError):
        raise BadInput(
            f"{plain(upload.name, 80)!r} is not a readable image; give a JPEG or PNG."
        ) from None
    _take(view, {"like": picture}, f"like {upload.name}", count)


def show_search(view: RunView) -> None:
    """Draw the search box and the upload."""
    box, upload = st.columns([5, 1.3], vertical_alignment="bottom")
    with box.form("search", border=False, clear_on_submit=False):
        field, button = st.columns([4.2, 1], vertical_alignment="bottom")
        words = field.text_input(
            "Search",
            key="search:words",
            placeholder="Description, file name or id",
            label_visibility="collapsed",
        )
        asked = button.form_submit_button("Search", width="stretch")
    with upload.popover("By image", width="stretch"):
        st.caption("Find images similar to one you upload. The file stays on this machine.")
        picture = st.file_uploader(
            "Picture", type=["jpg", "jpeg", "png", "webp"], key="search:file"
        )
        by_picture = st.button("Find similar", disabled=picture is None, key="search:by-picture")
    if asked:
        search_text(view, words)
    if by_picture and picture is not None:
        search_upload(view, picture)
