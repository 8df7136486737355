"""The Explore page: filters, map and gallery of one result, and an image drawer.

Filters, the search and a lasso together give the result. The map draws the images that filters and
search leave; the gallery shows the same, or those in the lasso; actions are for what is shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from coreset_engine.core.counted import counted
from coreset_engine.core.types import Selection
from ui.components import frame
from ui.components.escape import markdown as escaped
from ui.components.facets import facet_panel, newly_chosen
from ui.map.colour_columns import MEMBERSHIP, available_columns, colour_title
from ui.map.scatter import MapEvents, MapSpec, draw_map
from ui.selection import controls, session_selection
from ui.state import result_filters, session
from ui.state.clusters import cluster_names
from ui.state.result_filters import ResultSet
from ui.state.run_view import RunView
from ui.views import gallery, image_drawer, image_explanation, result_actions, similar

MAP = "Map"
GALLERY = "Gallery"
BOTH = "Map and gallery"
LAYOUTS = (MAP, GALLERY, BOTH)
FACETS = "facets"
NEIGHBOURS = 12
# On narrow screens the drawer takes the place of the filters, which come back when it is closed.
_CSS = """
[class*="st-key-explore-drawer"] { border-left: 1px solid rgba(128, 128, 128, .3);
  padding-left: 1rem; }
@media (min-width: 700px) and (max-width: 1200px) {
  .st-key-explore-columns [data-testid="stHorizontalBlock"]:has(.st-key-explore-filters) {
    flex-wrap: nowrap; }
  .st-key-explore-columns [data-testid="stColumn"]:has(.st-key-explore-filters) {
    min-width: 178px; }
  .st-key-explore-columns [data-testid="stColumn"]:not(:has(.st-key-explore-filters)) {
    min-width: 0; }
}
@media (max-width: 1200px) {
  .st-key-explore-columns [data-testid="stHorizontalBlock"]:has([class*="st-key-explore-drawer"])
    > [data-testid="stColumn"]:first-child { display: none; }
  .st-key-explore-columns [data-testid="stColumn"]:has([class*="st-key-explore-drawer"]) {
    min-width: 235px; }
}
"""


@dataclass(frozen=True, eq=False)
class Shown:
    """What the middle of the page shows.

    Attributes
    ----------
    result : ResultSet
        What filters and search leave.
    positions : (m,) int64
        The same, or those of them inside the lasso.
    lassoed : bool
        Whether a lasso is drawn.
    """

    result: ResultSet
    positions: np.ndarray
    lassoed: bool


def show_explore(view: RunView, layout: str | None = None) -> None:
    """Draw the page; `layout` is the one of an address that names one."""
    st.html(f"<style>{_CSS}</style>")
    selection = controls.current_or_none(view)
    chosen = newly_chosen(FACETS)
    if chosen is not None:
        result_filters.take_choice(view, chosen)
    picked = controls.remembered(view)
    layout = _toolbar(view, layout)
    frame.say_outdated(view, session_selection.current_stages(), "The selection")
    result = result_filters.result_set(view, selection)
    with st.container(key="explore-columns"):
        widths = [1.15, 3.4, 1.5] if picked is not None else [1.15, 4.6]
        left, middle, *right = st.columns(widths, gap="medium")
    with left, st.container(key="explore-filters"), frame.error_boundary():
        _filter_column(view, result)
    with middle:
        shown = _middle(view, result, selection, layout)
    now = controls.remembered(view)
    if now != picked:
        st.rerun()
    if right and now is not None:
        with right[0], st.container(key="explore-drawer"), frame.error_boundary():
            image_drawer.show_drawer(view, now, selection, key="explore")
    _remember_lasso(view, shown)


# -- above


def _toolbar(view: RunView, layout: str | None) -> str:
    """Search, layout and the active filters; returns the layout."""
    with frame.error_boundary():
        similar.show_search(view)
    allowed = list(LAYOUTS) if view.ready("map") else [GALLERY]
    if layout is not None and session.get("explore_from") != layout:
        session.put("explore_from", layout)
        session.rebind("explore_layout", layout)
    if session.get("explore_layout", MAP) not in allowed:
        session.rebind("explore_layout", allowed[0])
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        chosen = st.segmented_control(
            "View",
            allowed,
            key=session.bind("explore_layout", MAP),
            label_visibility="collapsed",
            required=True,
        )
        _chips(view)
    return chosen or allowed[0]


def _chips(view: RunView) -> None:
    """One button per active filter, which removes it."""
    held = result_filters.filters()
    hits = result_filters.search()
    if hits is not None and st.button(
        f"Similar: {escaped(hits.title, 50)} ✕", key="chip:search", help="Remove the search"
    ):
        result_filters.drop_filter("search")
        st.rerun()
    for name in held:
        title = escaped(result_filters.title_of(name), 40)
        label = f"{title}: {escaped(_values(view, name), 60)} ✕"
        if st.button(label, key=f"chip:{name}", help="Remove this filter"):
            result_filters.drop_filter(name)
            st.rerun()
    if (held or hits is not None) and st.button(
        "Clear all filters", key="chip:all", type="tertiary"
    ):
        result_filters.clear_filters()
        st.rerun()


def _values(view: RunView, name: str) -> str:
    """A filter's text without the column's name, and clusters by their names."""
    wanted = result_filters.filters()[name]
    if name == "cluster" and wanted.op in ("is", "in"):
        names = cluster_names(view)
        numbers = [int(value) for value in wanted.values if value.isdigit()]
        return ", ".join(names[at] for at in numbers if at < len(names))
    if wanted.op in ("is", "in", "tag"):
        return ", ".join(wanted.values)
    return wanted.text.removeprefix(f"{name} ")


# -- left


def _filter_column(view: RunView, result: ResultSet) -> None:
    result_actions.show_saved_views(view)
    facet_panel(result.sections, key=FACETS)


# -- middle


def _middle(view: RunView, result: ResultSet, selection: Selection | None, layout: str) -> Shown:
    positions = np.flatnonzero(result.mask)
    lassoed = False
    if layout != GALLERY:
        events = _map(view, positions, selection, height=600 if layout == MAP else 430)
        controls.picked(view, events)
        if events.chosen is not None:
            lassoed = True
            positions = controls.shown_of(events, selection)
    shown = Shown(result, positions, lassoed)
    _heading(view, shown)
    with frame.error_boundary():
        result_actions.show_actions(view, _target(view, shown))
    if layout != MAP or lassoed:
        with frame.error_boundary():
            _gallery(view, shown)
    elif selection is not None:
        st.caption(selection_line(selection))
    return shown


def _map(
    view: RunView, positions: np.ndarray, selection: Selection | None, height: int
) -> MapEvents:
    names = [MEMBERSHIP, *available_columns(view)]
    if session.get("color") not in names:
        session.rebind("color", MEMBERSHIP)
    left, right = st.columns([1, 2], vertical_alignment="bottom")
    colour = left.selectbox("Colour by", names, key=session.bind("color"), format_func=colour_title)
    right.caption(
        "Drag: lasso. Click: image. Wheel: zoom, pictures appear. Shift-drag: pan. "
        "Keys: W walk, Space lasso corner, N names, I pictures, 0 whole map."
    )
    picked = controls.remembered(view)
    neighbours = None
    if picked is not None and view.ready("neighbours"):
        neighbours = image_explanation.neighbours_of(view, picked, NEIGHBOURS)
    spec = MapSpec(
        colour=colour,
        kept=None if selection is None else selection.indices,
        groups="pseudo-label" if view.ready("pseudo_labels") else "true label",
        height=height,
        picked=picked,
        neighbours=neighbours,
        shown=positions,
    )
    return draw_map(view, spec, key="map-explore")


def _heading(view: RunView, shown: Shown) -> None:
    count = len(shown.positions)
    if shown.lassoed:
        st.subheader(f"{counted(count, 'image')} in the lasso", anchor=False)
    elif count == len(view):
        st.subheader(f"All {counted(count, 'image')}", anchor=False)
    else:
        st.subheader(f"{count:,} of {counted(len(view), 'image')}", anchor=False)
    if not count:
        st.info("No image passes all filters. Remove one above, or loosen it on the left.")


def _target(view: RunView, shown: Shown) -> result_actions.Target:
    count = len(shown.positions)
    wanted = None if shown.lassoed else result_filters.combined_filter(view)
    if result_filters.SELECTION in result_filters.filters():
        wanted = None
    return result_actions.Target(shown.positions, f"{counted(count, 'image')} shown", wanted)


def _gallery(view: RunView, shown: Shown) -> None:
    among = np.zeros(len(view), bool)
    among[shown.positions] = True
    gallery.show_result(view, among, key="explore:gallery", height=620)


def selection_line(selection: Selection) -> str:
    """What the map shows as selected."""
    method = session.get("method")
    settings = session_selection.describe(
        method,
        session.get("prune_rate"),
        session_selection.method_params(method),
        len(selection),
    )
    return f"Selection: {escaped(settings)}. Change it on the Select page."


def _remember_lasso(view: RunView, shown: Shown) -> None:
    """Keep the lasso's ids for pages that act on them."""
    ids = result_filters.ids_at(view, shown.positions) if shown.lassoed else []
    if list(session.get("lasso") or ()) != ids:
        session.put("lasso", ids)
