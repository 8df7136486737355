"""The gallery of a result: any order, 500 thumbnails a page, and groups of similar images.

Orders by a score use the same columns that colour the map. Two orders are of groups:
near-duplicates (pairs chained by nearest-neighbour distance) and redundant groups (an image with
its nearest neighbours).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from coreset_engine.core.counted import counted
from ui.components.escape import escape_option as option
from ui.components.escape import plain
from ui.components.palette import category, current
from ui.components.thumbnails import MAX_TILES, Tiles, gallery
from ui.map.colour_columns import TITLES, available_columns, column, format_number, known_column
from ui.selection import controls
from ui.state import marks, result_filters, session

RANDOM = "Random sample"
SIMILAR = "Most similar first"
DUPLICATES = "Near-duplicates"
REDUNDANT = "Most redundant groups"
RANDOM_SIZE = 200
# Order -> (column, +1 for ascending and -1 for descending).
NAMED = {
    "Hardest first": ("aum", 1),
    "Easiest first": ("aum", -1),
    "Most often forgotten": ("forgetting", -1),
    "Least certain cluster": ("label confidence", 1),
    "Highest coverage": ("coverage", -1),
}
DESCENDING = ": high to low"
ASCENDING = ": low to high"


@dataclass(frozen=True, eq=False)
class Ordered:
    """Images in the order of the page.

    Attributes
    ----------
    positions : (n,) int64
        In order.
    groups : (n,) int64 or None
        The group of each, where the order is of groups.
    note : str
        How they were ordered, in words.
    """

    positions: np.ndarray
    groups: np.ndarray | None
    note: str


def show_result(view: session.RunView, among: np.ndarray, *, key: str, height: int) -> None:
    """Draw images in an order that can be chosen, a page at a time.

    Parameters
    ----------
    view : RunView
    among : (N,) bool
        The images shown.
    key : str
        Prefix of the widgets' keys.
    height : int
        Pixels; a longer grid scrolls.
    """
    names = orders(view)
    hits = result_filters.search()
    if hits is not None:
        names.insert(0, SIMILAR)
    elif session.get("gallery_order") not in names:
        session.rebind("gallery_order", names[0])
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    order = left.selectbox(
        "Order",
        names,
        key=f"{key}:by-similarity" if hits else session.bind("gallery_order", names[0]),
        format_func=option,
    )
    ordered = in_order(view, order, among)
    shown = _page(right, len(ordered.positions), key)
    positions = ordered.positions[shown]
    st.caption(_note(view, ordered, positions))
    gallery(
        view.dataset,
        positions,
        Tiles(
            _captions(view, order, positions),
            facts=[facts_line(view, i) for i in positions],
            marks=_marks(view, ordered, shown),
        ),
        key=key,
        height=height,
        direct=True,
    )
    if order == RANDOM and st.button("Show others", key=f"{key}:again"):
        session.put("sample_turn", session.get("sample_turn", 0) + 1)
        st.rerun()


def _captions(view: session.RunView, order: str, positions: np.ndarray) -> list[str]:
    if order != SIMILAR:
        return [caption(view, order, i) for i in positions]
    hits = result_filters.search()
    similarity = result_filters.similarity_of(view, hits) if hits is not None else {}
    return [f"{similarity.get(int(i), 0.0):.2f}" for i in positions]


def _note(view: session.RunView, ordered: Ordered, positions: np.ndarray) -> str:
    note = f"{counted(len(ordered.positions), 'image')} · {ordered.note}"
    if ordered.groups is None and selected_marks(view, positions) is not None:
        note += " · blue bar: selected"
    keys = " ".join(f"{at} {name}" for at, name in enumerate(marks.tag_keys(view), 1))
    return f"{note} · B: basket" + (f" · tags: {plain(keys, 120)}" if keys else "")


def _marks(view: session.RunView, ordered: Ordered, shown: slice) -> list[str] | None:
    if ordered.groups is None:
        return selected_marks(view, ordered.positions[shown])
    return [category(group) for group in ordered.groups[shown]]


def _page(column, count: int, key: str) -> slice:
    """Which of `count` images are shown, from a number input where there is more than one page."""
    pages = max(1, -(-count // MAX_TILES))
    page = 1
    if pages > 1:
        page = column.number_input(f"Page of {pages:,}", 1, pages, key=f"{key}:page")
    return slice((page - 1) * MAX_TILES, page * MAX_TILES)


def orders(view: session.RunView) -> list[str]:
    """The orders that the computed artefacts allow, the useful ones first."""
    available = available_columns(view)
    named = [order for order, (name, _) in NAMED.items() if TITLES.get(name, name) in available]
    groups = []
    if view.ready("neighbours"):
        groups.append(DUPLICATES)
    if view.ready("neighbours", "coverage"):
        groups.append(REDUNDANT)
    scores = [name for name in available if _is_number(view, name)]
    return [
        RANDOM,
        *named,
        *groups,
        *(name + direction for name in scores for direction in (DESCENDING, ASCENDING)),
    ]


def _is_number(view: session.RunView, name: str) -> bool:
    values = column(view, name)
    return values is not None and values.kind == "number"


def in_order(view: session.RunView, order: str, among: np.ndarray) -> Ordered:
    """The images of `among` (N,) bool, in the order called `order`."""
    if order == RANDOM:
        chosen = np.flatnonzero(among)
        rng = np.random.default_rng([view.seed, session.get("sample_turn", 0)])
        drawn = rng.choice(chosen, min(len(chosen), RANDOM_SIZE), replace=False)
        return Ordered(np.sort(drawn), None, "drawn at random")
    if order == SIMILAR:
        hits = result_filters.search()
        similarity = result_filters.similarity_of(view, hits) if hits is not None else {}
        positions = [i for i in similarity if among[i]]
        return Ordered(np.array(positions, np.int64), None, "most similar first")
    if order == DUPLICATES:
        return _in_groups(near_groups(view, among))
    if order == REDUNDANT:
        return _in_groups(redundant_groups(view, among))
    name, sign = _sort_key(order)
    values = np.asarray(known_column(view, name).values, float)
    chosen = np.flatnonzero(among & ~np.isnan(values))
    chosen = chosen[np.argsort(sign * values[chosen], kind="stable")]
    return Ordered(chosen, None, f"sorted by {name}")


def _in_groups(groups: list[list[int]]) -> Ordered:
    positions = np.array([i for group in groups for i in group], np.int64)
    sizes = [len(group) for group in groups]
    codes = np.repeat(np.arange(len(groups)), sizes) if groups else None
    return Ordered(
        positions, codes, f"{counted(len(groups), 'group')}, closest first, one colour each"
    )


def _sort_key(order: str) -> tuple[str, int]:
    """The column an order sorts by, and +1 for ascending or -1 for descending."""
    if order in NAMED:
        name, sign = NAMED[order]
        return TITLES.get(name, name), sign
    if order.endswith(DESCENDING):
        return order.removesuffix(DESCENDING), -1
    return order.removesuffix(ASCENDING), 1


def near_groups(view: session.RunView, among: np.ndarray, most: int = 200) -> list[list[int]]:
    """Chains of images that are nearest neighbours: the `most` closest pairs, closest first."""
    neighbours = view.run.neighbours
    nearest = np.asarray(neighbours.indices[:, 0])
    distance = np.asarray(neighbours.distances[:, 0])
    links = np.flatnonzero(among & among[nearest])
    links = links[np.argsort(distance[links], kind="stable")][:most]
    parent: dict[int, int] = {}

    def root(i: int) -> int:
        while parent.setdefault(i, i) != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i in links.tolist():
        parent[root(int(nearest[i]))] = root(i)
    groups: dict[int, list[int]] = {}
    for i in links.tolist():
        for j in (i, int(nearest[i])):
            group = groups.setdefault(root(i), [])
            if j not in group:
                group.append(j)
    return list(groups.values())


def redundant_groups(
    view: session.RunView, among: np.ndarray, most: int = 50, size: int = 8
) -> list[list[int]]:
    """The most redundant images, each with its nearest neighbours; an image appears once.

    Parameters
    ----------
    view : RunView
        With coverage and neighbours computed.
    among : (N,) bool
        Images that may appear.
    most : int
        Groups, at most.
    size : int
        Neighbours of a group, at most.
    """
    redundancy = view.run.coverage.redundancy
    neighbours = view.run.neighbours.indices
    seen = set()
    groups = []
    chosen = np.flatnonzero(among)
    for i in chosen[np.argsort(-redundancy[chosen], kind="stable")].tolist():
        if i in seen:
            continue
        members = [int(j) for j in neighbours[i][:size]]
        group = [i, *(j for j in members if among[j] and j not in seen)]
        seen.update(group)
        groups.append(group)
        if len(groups) == most:
            break
    return groups


def caption(view: session.RunView, order: str, i: int) -> str:
    """The value that was sorted by, else the class or cluster."""
    if order not in (RANDOM, DUPLICATES, REDUNDANT):
        name, _ = _sort_key(order)
        return format_number(float(known_column(view, name).values[i]))
    for name in ("true label", "pseudo-label"):
        made = column(view, name)
        if made is not None:
            return made.labels[made.codes[i]]
    return ""


def facts_line(view: session.RunView, i: int) -> str:
    """What is known about image i, in one line."""
    facts = (
        column(view, name)
        for name in ("true label", "pseudo-label", "AUM", "forgetting", "BlindCS score")
    )
    return plain(" · ".join(one.describe(int(i)) for one in facts if one is not None), 300)


def selected_marks(view: session.RunView, positions: np.ndarray) -> list[str] | None:
    """A coloured bar for the images in the session's coreset; None where there is none."""
    selection = controls.current_or_none(view)
    if selection is None:
        return None
    return np.where(np.isin(positions, selection.indices), current().kept, "").tolist()
