"""The drawer beside map and gallery: one image, why it is selected, similar ones, and its marks.

Everything that can be done to the image is done here: always include, exclude, basket, tags, label.
"""

from __future__ import annotations

import streamlit as st

from coreset_engine.core.errors import CoresetError
from coreset_engine.core.types import Selection
from ui.components.escape import markdown as escaped
from ui.components.escape import plain
from ui.components.frame import error_boundary, show_error
from ui.components.thumbnails import Tiles, gallery, large
from ui.selection import controls
from ui.state import marks, reviews, session
from ui.state.run_view import RunView
from ui.views import image_explanation as explanation
from ui.views.similar import search_similar

SIMILAR = 12


def show_drawer(view: RunView, i: int, selection: Selection | None, *, key: str) -> None:
    """Draw the drawer of image i.

    Parameters
    ----------
    view : RunView
        The opened run.
    i : int
        Position of the image.
    selection : Selection or None
        The selection to explain; None when there is none yet.
    key : str
        Prefix of the widgets' keys.
    """
    name = str(view.dataset.ids[i])
    title, close = st.columns([5, 3], vertical_alignment="top")
    title.subheader(explanation.heading(view, i, selection), anchor=False)
    if close.button("Close", key=f"{key}:close", width="stretch"):
        session.put("image", "")
        st.rerun()
    if view.dataset.reader is not None:
        st.image(large(view.dataset, i, 320), width="stretch")
    _mark_buttons(name, key)
    for line in explanation.reasons_of(view, i, selection):
        st.markdown(line)
    for line in explanation.label_lines(view, i):
        st.markdown(line)
    with error_boundary():
        _label_control(view, i, key)
        _tag_control(view, name, key)
    with error_boundary():
        _similar(view, i, key)
    with st.expander("Scores and coverage"):
        for line in explanation.score_lines(view, i):
            st.markdown(line)
        if view.ready("dynamics"):
            explanation.margin_chart(view, i, key)
        if selection is not None:
            explanation.show_related(view, i, selection, key, narrow=True)


def _mark_buttons(name: str, key: str) -> None:
    """Always include, exclude and basket, each a toggle."""
    pinned = controls.pin_of(name)
    picked = name in marks.basket()
    with st.container(horizontal=True, gap="small"):
        for kind, label in (("keep", "Always include"), ("never", "Exclude")):
            shown = f"{label} ✓" if kind == pinned else label
            if st.button(shown, key=f"{key}:pin:{kind}", help="Click again to clear."):
                controls.pin([name], None if kind == pinned else kind)
                st.rerun()
        shown = "In the basket ✓" if picked else "Add to basket"
        if st.button(shown, key=f"{key}:basket"):
            marks.put_in_basket([name], not picked)
            st.rerun()


def _label_control(view: RunView, i: int, key: str) -> None:
    """A select box that corrects the image's label; nothing is recomputed."""
    names = reviews.label_names(view)
    if not names:
        return
    name = str(view.dataset.ids[i])
    now = reviews.decided_label(view, name) or ""
    label = st.selectbox(
        "It is",
        ["", *names],
        index=([""] + names).index(now) if now in names else 0,
        format_func=lambda one: plain(one, 60) or "no correction",
        key=f"{key}:label:{name}",
        help="Corrects the label of this image. Results stay as they are until recomputed.",
    )
    if label != now and label:
        reviews.decide(view, name, reviews.CORRECT, label)
        st.rerun()


def _tag_control(view: RunView, name: str, key: str) -> None:
    """The image's tags, and a field for another one."""
    held = marks.tags_of_image(view, name)
    known = list(dict.fromkeys([*marks.tag_keys(view), *held]))
    chosen = st.multiselect(
        "Tags",
        known,
        default=held,
        key=f"{key}:tags:{name}:{len(held)}",
        accept_new_options=True,
        placeholder="Choose or type a tag",
    )
    if set(chosen) == set(held):
        return
    try:
        for tag in chosen:
            if tag not in held:
                marks.set_tag(view, tag, [name])
        for tag in held:
            if tag not in chosen:
                marks.set_tag(view, tag, [name], on=False)
    except CoresetError as error:
        show_error(error)
        return
    st.rerun()


def _similar(view: RunView, i: int, key: str) -> None:
    """The nearest neighbours, and a search for more like this."""
    if not view.ready("neighbours"):
        return
    similar = explanation.neighbours_of(view, i, SIMILAR)
    words, more = st.columns([1, 1], vertical_alignment="center")
    words.markdown("**Similar images**")
    if more.button("More like this", key=f"{key}:more", width="stretch"):
        search_similar(view, [str(view.dataset.ids[i])], escaped(str(view.dataset.ids[i]), 40))
    distances = view.run.neighbours.distances[i][: len(similar)]
    captions = [f"{1 - float(distance):.2f}" for distance in distances]
    gallery(view.dataset, similar, Tiles(captions), key=f"{key}:similar", height=200, direct=True)
