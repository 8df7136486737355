"""What can be done with the images of a result, or with those in the basket, all at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from coreset_engine.core.counted import counted
from coreset_engine.core.filters import Filter
from ui.components.escape import markdown as escaped
from ui.selection import controls
from ui.state import marks, result_filters, session
from ui.state.run_view import RunView
from ui.views.similar import MOST_QUERY, search_similar

RESULT = "result"
BASKET = "basket"
LIKE_THESE = 200
POOL = 5  # similar images that are chosen from, per image to keep


@dataclass(frozen=True, eq=False)
class Target:
    """The images that an action is for.

    Attributes
    ----------
    positions : (m,) int64
        In the dataset.
    name : str
        What they are, e.g. "312 images".
    wanted : Filter or None
        A filter that leaves exactly these, where there is a short one.
    """

    positions: np.ndarray
    name: str
    wanted: Filter | None = None


def show_actions(view: RunView, result: Target) -> None:
    """Draw the line of actions; they are for the result, or for the basket where it is chosen."""
    target = _target(view, result)
    ids = result_filters.ids_at(view, target.positions)
    disabled = not ids
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        with st.popover("Tag", disabled=disabled):
            _tag_form(view, ids)
        if st.button("Always include", key="act:keep", disabled=disabled):
            controls.pin(ids, "keep")
            _say(f"{counted(len(ids), 'image is', 'images are')} always included.")
        if st.button("Exclude", key="act:never", disabled=disabled):
            controls.pin(ids, "never")
            _say(f"{counted(len(ids), 'image is', 'images are')} excluded.")
        if st.button("Clear pins", key="act:clear", disabled=disabled):
            controls.pin(ids, None)
            _say(
                f"{counted(len(ids), 'image is', 'images are')} neither included nor "
                "excluded by hand."
            )
        if st.button("Add to basket", key="act:basket", disabled=disabled):
            marks.put_in_basket(ids)
            st.rerun()
        if st.button("More like these", key="act:more", disabled=disabled):
            search_similar(view, ids[:MOST_QUERY], target.name)
        with st.popover("Start a selection", disabled=disabled):
            _selection_form(view, target, ids)


def _say(sentence: str) -> None:
    st.toast(sentence)
    session.put("news", [sentence])
    st.rerun()


def _target(view: RunView, result: Target) -> Target:
    picked = marks.basket_positions(view)
    if not len(picked):
        return result
    names = {RESULT: f"{result.name}", BASKET: f"Basket: {counted(len(picked), 'image')}"}
    columns = st.columns([4, 1], vertical_alignment="center")
    chosen = columns[0].segmented_control(
        "Actions are for",
        list(names),
        format_func=lambda kind: escaped(names[kind], 60),
        default=RESULT,
        key="act:target",
        required=True,
    )
    if columns[1].button("Empty basket", key="act:empty", width="stretch"):
        marks.empty_basket()
        st.rerun()
    if chosen != BASKET:
        return result
    return Target(picked, names[BASKET])


def _tag_form(view: RunView, ids: list[str]) -> None:
    """Give the images a tag, or take it from them."""
    with st.form("act:tag", border=False):
        tag = st.text_input(
            "Tag", placeholder="One word, for example blurry", key="act:tag:name", max_chars=60
        )
        give, take = st.columns(2)
        submitted = give.form_submit_button(f"Tag {counted(len(ids), 'image')}", width="stretch")
        taken = take.form_submit_button("Remove tag", width="stretch")
    known = marks.tag_keys(view)
    if known:
        st.caption("Used here: " + ", ".join(escaped(name, 40) for name in known))
    if submitted:
        changed = marks.set_tag(view, tag, ids)
        _say(f"{counted(changed, 'image')} got the tag {escaped(tag, 60)}.")
    if taken:
        changed = marks.set_tag(view, tag, ids, on=False)
        _say(f"{counted(changed, 'image')} lost the tag {escaped(tag, 60)}.")


def _selection_form(view: RunView, target: Target, ids: list[str]) -> None:
    """Start a selection among these images, or of images like them; both lead to Select."""
    count = st.number_input(
        "Images to keep", 1, len(view.full or view), min(LIKE_THESE, len(view)), key="act:count"
    )
    among = st.button(
        f"Select {count:,} among these {len(ids):,}",
        key="act:among",
        width="stretch",
        disabled=count > len(ids),
    )
    like = st.button(
        f"Select {count:,} like these",
        key="act:like",
        width="stretch",
    )
    st.caption(
        "Among these: no other image is selected. Like these: the method chooses from the "
        f"{POOL} times as many images that are most similar."
    )
    if among:
        _select_among(view, target, ids, count)
    if like:
        _select_like(view, ids, count)


def _select_among(view: RunView, target: Target, ids: list[str], count: int) -> None:
    controls.remember()
    _limit_to(view, target.wanted or Filter.one_of("id", ids), count)


def _limit_to(view: RunView, wanted: Filter, count: int) -> None:
    """Go to Select with so many images of those that pass."""
    held = dict(session.get("constraints") or {})
    session.put("constraints", {**held, "where": wanted.text})
    controls.set_count(view, count)
    st.switch_page("pages/select.py")


def _select_like(view: RunView, ids: list[str], count: int) -> None:
    from coreset_engine.curation.search import find

    controls.remember()
    full_run = view.full_run
    with st.spinner("Searching ..."):
        result = find(
            full_run, like=ids[:MOST_QUERY], count=min(POOL * count, len(full_run.dataset))
        )
    similar_ids = [str(name) for name in result.ids]
    _limit_to(
        view, Filter.one_of("id", list(dict.fromkeys([*similar_ids, *ids[:MOST_QUERY]]))), count
    )


def show_saved_views(view: RunView) -> None:
    """Draw the saved views: take one over, save the active filters, delete one."""
    from coreset_engine.curation.saved_filters import remove_filter, save_filter, saved_filters

    fingerprint = (view.full or view).dataset.fingerprint
    saved = saved_filters(fingerprint, session.home())
    wanted = result_filters.combined_filter(view)
    with st.popover(f"Saved views ({len(saved):,})" if saved else "Saved views", width="stretch"):
        for name, one in saved.items():
            open_it, drop = st.columns([5, 1])
            label = escaped(name, 40)
            if open_it.button(
                label, key=f"view:{name}", width="stretch", help=escaped(one.text, 200)
            ):
                result_filters.restore(one)
                st.rerun()
            if drop.button("Delete", key=f"view:drop:{name}", icon=":material/delete:"):
                remove_filter(fingerprint, name, session.home())
                st.rerun()
        with st.form("view:save", border=False):
            name = st.text_input("Name", key="view:name", max_chars=80)
            if st.form_submit_button("Save this view", width="stretch", disabled=wanted is None):
                save_filter(fingerprint, name, wanted, session.home())
                st.rerun()
        if wanted is None:
            st.caption("Choose a filter first; a view saves it under a name.")
