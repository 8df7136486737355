"""Browsing by picture: any order, any filter, 500 thumbnails a page, and groups that lie close
together.

Orders by any score come from the same columns that colour the map. Two orders are of groups:
near-duplicates (pairs chained by nearest-neighbour distance) and redundant groups (an image with
the neighbours that repeat it).
"""

from __future__ import annotations

import numpy as np
import streamlit as st

from ui.components.escape import escape_option as option
from ui.components.escape import plain
from ui.components.palette import category, current
from ui.components.thumbnails import MAX_TILES, gallery
from ui.map.colour_columns import TITLES, available_columns, column, format_number
from ui.selection import controls
from ui.state import session

RANDOM = "random handful"
NEAR = "near-duplicates"
REDUNDANT = "most redundant groups"
NAMED = {
    "hardest first": ("aum", 1),
    "easiest first": ("aum", -1),
    "most often forgotten": ("forgetting", -1),
    "least certain pseudo-label": ("label confidence", 1),
    "most covering": ("coverage", -1),
}


def show_gallery(view: session.RunView) -> None:
    """The controls and the page of thumbnails they ask for."""
    order_column, filter_column, value_column, page_column = st.columns(
        [2, 2, 2, 1], vertical_alignment="bottom"
    )
    order = order_column.selectbox(
        "Order", orders(view), key=session.bind("browse_order", RANDOM), format_func=option
    )
    among = _filtered(view, filter_column, value_column)
    positions, groups, note = ordered(view, order, among)
    pages = max(1, -(-len(positions) // MAX_TILES))
    page = (
        page_column.number_input(f"Page of {pages:,}", 1, pages, key="browse:page")
        if pages > 1
        else 1
    )
    shown = slice((page - 1) * MAX_TILES, page * MAX_TILES)
    st.caption(f"{len(positions):,} images · {note}")
    tint = None if groups is None else [category(g) for g in groups[shown]]
    gallery(
        view.dataset,
        positions[shown],
        [caption(view, order, i) for i in positions[shown]],
        key="browse",
        facts=[fact(view, i) for i in positions[shown]],
        marks=tint or kept_marks(view, positions[shown]),
        height=640,
    )
    if order == RANDOM and st.button("Another handful", key="browse:again"):
        session.put("sample_turn", session.get("sample_turn", 0) + 1)
        st.rerun()


def orders(view: session.RunView) -> list[str]:
    """What the finished artefacts allow, the useful ones first."""
    known = available_columns(view)
    named = [name for name, (what, _) in NAMED.items() if TITLES.get(what, what) in known]
    groups = [NEAR] * view.ready("neighbours") + [REDUNDANT] * view.ready("neighbours", "coverage")
    scores = [
        f"{name}, {way} first"
        for name in known
        if (made := column(view, name)) is not None and made.kind == "number"
        for way in ("high", "low")
    ]
    return [RANDOM, *named, *groups, *scores]


def _filtered(view: session.RunView, left, right) -> np.ndarray:
    """(N,) bool from two select boxes: a category and one of its values."""
    kinds = [
        "no filter",
        "coreset",
        *(name for name in available_columns(view) if column(view, name).kind == "category"),
    ]
    kind = left.selectbox("Only", kinds, key="browse:filter", format_func=option)
    if kind == "coreset":
        selection = controls.current_or_none(view)
        side = right.selectbox("Value", ["kept", "dropped"], key="browse:side")
        kept = np.zeros(len(view), bool)
        if selection is not None:
            kept[selection.indices] = True
        return kept if side == "kept" else ~kept
    if kind == "no filter":
        return np.ones(len(view), bool)
    made = column(view, kind)
    value = right.selectbox(
        "Value",
        range(len(made.labels)),
        key=f"browse:value:{kind}",
        format_func=lambda c: option(made.labels[c]),
    )
    return made.codes == value


def ordered(
    view: session.RunView, order: str, among: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None, str]:
    """Positions in order, the group of each (or None), and in words what was done."""
    if order == RANDOM:
        chosen = np.flatnonzero(among)
        rng = np.random.default_rng([view.seed, session.get("sample_turn", 0)])
        return (
            np.sort(rng.choice(chosen, min(len(chosen), 200), replace=False)),
            None,
            "drawn at random",
        )
    if order in (NEAR, REDUNDANT):
        start = near_groups(view, among) if order == NEAR else redundant_groups(view, among)
        positions = np.array([i for group in start for i in group], np.int64)
        groups = (
            np.repeat(np.arange(len(start)), [len(group) for group in start]) if start else None
        )
        return positions, groups, f"{len(start):,} groups, closest first; one colour bar per group"
    name, way = (
        (TITLES.get(NAMED[order][0], NAMED[order][0]), NAMED[order][1])
        if order in NAMED
        else _way(order)
    )
    values = np.asarray(column(view, name).values, float)
    chosen = np.flatnonzero(among & ~np.isnan(values))
    return chosen[np.argsort(way * values[chosen], kind="stable")], None, f"sorted by {name}"


def _way(order: str) -> tuple[str, int]:
    name, _, way = order.rpartition(", ")
    return name, -1 if way.startswith("high") else 1


def near_groups(view: session.RunView, among: np.ndarray, most: int = 200) -> list[list[int]]:
    """Chains of images whose nearest neighbours are the closest of the set: at most `most` links,
    closest first."""
    found = view.run.neighbours
    nearest = np.asarray(found.indices[:, 0])
    distance = np.asarray(found.distances[:, 0])
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
    """The most redundant images, each with its nearest neighbours; an image appears once."""
    redundancy = view.run.coverage.redundancy
    near = view.run.neighbours.indices
    seen = set()
    groups = []
    chosen = np.flatnonzero(among)
    for i in chosen[np.argsort(-redundancy[chosen], kind="stable")].tolist():
        if i in seen:
            continue
        group = [i, *(int(j) for j in near[i][:size] if among[j] and int(j) not in seen)]
        seen.update(group)
        groups.append(group)
        if len(groups) == most:
            break
    return groups


def caption(view: session.RunView, order: str, i: int) -> str:
    """The value that was sorted by, else the class or cluster."""
    if order in NAMED or order.endswith(" first"):
        name = TITLES.get(NAMED[order][0], NAMED[order][0]) if order in NAMED else _way(order)[0]
        return format_number(float(column(view, name).values[i]))
    for name in ("true label", "pseudo-label"):
        made = column(view, name)
        if made is not None:
            return made.labels[made.codes[i]]
    return ""


def fact(view: session.RunView, i: int) -> str:
    """A line with what is known about image i."""
    names = [
        name
        for name in ("true label", "pseudo-label", "AUM", "forgetting", "BlindCS score")
        if name in available_columns(view)
    ]
    return plain(" · ".join(column(view, name).describe(int(i)) for name in names), 300)


def kept_marks(view: session.RunView, positions: np.ndarray) -> list[str] | None:
    """A bar under the images that are in the session's coreset."""
    selection = controls.current_or_none(view)
    if selection is None:
        return None
    return np.where(np.isin(positions, selection.indices), current().kept, "").tolist()
