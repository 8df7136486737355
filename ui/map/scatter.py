"""The big map: one call that every page shares. The drawing is scatter.js; here lies what Python
says and hears.

Python publishes arrays (ui/server/routes.py) and sends addresses; it hears of finished gestures
only: a lasso's polygon, a click, a released slider. The lasso's members are computed here again
from the polygon, by the same even-odd rule, so that a selection never rests on what a browser
claims.

    events = draw_map(view, key="labels", colour="pseudo-label")
    events.chosen      # (n,) int64 positions inside the lasso, or None
    events.clicked     # position of the image clicked in this run, or None
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import streamlit as st

from ui.components.palette import CATEGORICAL, DARK, LIGHT
from ui.map.colour_columns import BINS, MEMBERSHIP, Column, column, format_number
from ui.server import routes
from ui.state.session import RunView

# Numbers run from blue to yellow as in cividis, but each theme leaves out the end that its
# background would swallow.
RAMPS = {
    "light": ("#00224E", "#1F4E8C", "#56677F", "#878378", "#B39B45", "#D4AC00"),
    "dark": ("#3B82D6", "#6E93BF", "#98A0A8", "#BDB588", "#E1CC55", "#FEE838"),
}
# The stub stays small because Streamlit sends it with every rerun; the modules come once, from our
# own routes.
_STUB = """
const modules = import(new URL("/coreset/js/%s/scatter.js", window.location.origin).href);
export default function (component) {
  let close = null, gone = false;
  modules.then((map) => { if (!gone) close = map.mount(component); })
    .catch((fault) => { component.parentElement.textContent = "The map could not be loaded: " + fault.message; });
  return () => { gone = true; close?.(); };
}
"""


@dataclass(frozen=True, eq=False)
class Order:
    """All N positions as uint32: the free ones by rank, then `pinned` must-keeps, then `banned`
    nevers.

    pin_ranks: sorted ranks that the pinned and banned would have; a hard cut counts them too.
    """

    positions: np.ndarray
    pinned: int = 0
    banned: int = 0
    label: str = ""
    pin_ranks: np.ndarray | tuple = ()


@dataclass(frozen=True)
class Scrub:
    """The sliders inside the map. kind "prefix": ranks [0, k) are kept; "window": beta N are
    skipped first.

    guess: (rates, betas) along which an untouched beta follows p, else None.
    """

    kind: str
    p: float
    beta: float = 0.0
    variant: int = 0
    turn: int = 0
    max_p: float = 0.999
    guess: tuple[tuple[float, ...], tuple[float, ...]] | None = None


@dataclass(frozen=True, eq=False)
class MapEvents:
    """What the user did. hidden: codes of the colour column that the legend hides. sides: "kept" or
    "dropped", hidden while the lasso was drawn."""

    polygon: np.ndarray | None
    chosen: np.ndarray | None
    clicked: int | None
    scrub: dict[str, Any] | None
    hidden: tuple[int, ...] = ()
    sides: tuple[str, ...] = ()


def draw_map(
    view: RunView,
    *,
    key: str,
    colour: str = MEMBERSHIP,
    kept: np.ndarray | None = None,
    orders: Sequence[Order] = (),
    scrub: Scrub | None = None,
    exact: bool = False,
    variant_name: str = "",
    groups: str | None = None,
    bins: str | None = None,
    height: int = 560,
    compact: bool = False,
    link: str | None = None,
    note: str = "",
    label: str = "",
    drop_lasso: str = "",
    picked: int | None = None,
) -> MapEvents:
    """Draw the map of `view` (its `map` must be ready) and return what the user did with it.

    colour: "membership" or a name from `columns.offered`. kept: (k,) positions of a fixed coreset;
    with `scrub` and exact=True it overrules the ranks until a slider moves. groups, bins: columns
    for the bars and the histogram.
    compact: no side panel and no lasso. link: maps with one link look at the same place.
    drop_lasso: change it to clear the lasso. picked: position that gets a ring.
    """
    shelf = routes.shelf_for(view.dataset)
    points = map_points(view)
    painted = None if colour == MEMBERSHIP else column(view, colour)
    data = {
        "n": len(points),
        "height": height,
        "label": label or f"Map of {len(points):,} images",
        "note": note,
        "compact": compact,
        "link": link,
        "drop_lasso": drop_lasso,
        "picked": picked,
        "themes": {
            theme.name: {"kept": theme.kept, "rest": theme.easy, "picked": theme.picked}
            for theme in (LIGHT, DARK)
        },
        "points": routes.publish(shelf, points, "points"),
        "thumb": routes.thumb_address(shelf),
        "fact": _facts(view, shelf, painted),
        "table": _table(view, shelf, painted),
        "colour": _colour(shelf, painted),
        "orders": [_order(shelf, order) for order in orders],
        "variant_name": variant_name,
        "scrub": None if scrub is None else vars(scrub),
        "groups": _groups(view, shelf, groups),
        "bins": _bins(view, shelf, bins),
    }
    if kept is not None and (scrub is None or exact):
        data["mask"] = _mask(kept, len(points))
    result = _component()(
        key=key,
        data=data,
        height="content",
        on_lasso_change=_heard,
        on_click_change=_heard,
        on_scrub_change=_heard,
        on_hidden_change=_heard,
    )
    return _events(result, points, painted)


@lru_cache(maxsize=1)
def _component() -> Any:
    return st.components.v2.component("coreset_map", js=_STUB % routes.scripts()[0])


def _heard() -> None:
    """Streamlit reports a value only where a callback is registered."""


def map_points(view: RunView) -> np.ndarray:
    """(N, 2) float32: the run's projection."""
    return np.ascontiguousarray(view.run.map, dtype=np.float32)


def _events(result: Any, points: np.ndarray, painted: Column | None) -> MapEvents:
    lasso = result.get("lasso")
    clicked = result.get("click")
    polygon = _polygon(lasso)
    chosen = None
    if polygon is not None:
        chosen = inside_polygon(points, polygon)
        hidden = [c for c in lasso.get("hidden", ()) if isinstance(c, int)]
        if painted is not None and hidden:
            chosen = chosen[~np.isin(painted.codes[chosen], hidden)]
    if not isinstance(clicked, int) or not 0 <= clicked < len(points):
        clicked = None
    scrub = result.get("scrub") if isinstance(result.get("scrub"), dict) else None
    sides = tuple(lasso.get("sides") or ()) if polygon is not None else ()
    return MapEvents(polygon, chosen, clicked, scrub, tuple(result.get("hidden") or ()), sides)


def _polygon(lasso: Any) -> np.ndarray | None:
    if not isinstance(lasso, dict):
        return None
    try:
        polygon = np.asarray(lasso.get("polygon"), dtype=np.float64)
    except (TypeError, ValueError):
        return None
    fits = polygon.ndim == 2 and polygon.shape[1:] == (2,) and 3 <= len(polygon) <= 20_000
    return polygon if fits and np.isfinite(polygon).all() else None


def inside_polygon(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Sorted positions of the points inside, by the even-odd rule of scatter-geometry.js, operation
    for operation.

    points: (N, 2) float32. polygon: (E, 2) float64. Points are sorted by y once, so that each edge
    meets only those level with it: 0.1 s at 1.28 M points, where edge by edge over all takes
    seconds.
    """
    low = polygon.min(0)
    high = polygon.max(0)
    near = np.flatnonzero(((points >= low) & (points <= high)).all(1))
    near = near[np.argsort(points[near, 1], kind="stable")]
    x, y = points[near].astype(np.float64).T
    inside = np.zeros(len(near), dtype=bool)
    for (xa, ya), (xb, yb) in zip(polygon, np.roll(polygon, 1, axis=0), strict=True):
        first, last = np.searchsorted(y, [min(ya, yb), max(ya, yb)])
        if first < last:
            level = slice(first, last)
            inside[level] ^= x[level] < ((xb - xa) * (y[level] - ya)) / (yb - ya) + xa
    return np.sort(near[inside])


def _order(shelf: routes.Shelf, order: Order) -> dict[str, Any]:
    url = routes.publish(shelf, order.positions.astype(np.uint32, copy=False))
    return {
        "url": url,
        "pinned": order.pinned,
        "banned": order.banned,
        "label": order.label,
        "pin_ranks": [int(rank) for rank in order.pin_ranks],
    }


def _mask(kept: np.ndarray, n: int) -> dict[str, Any]:
    """A coreset as N / 8 bytes. kept: (k,) positions."""
    member = np.zeros(n, dtype=bool)
    member[kept] = True
    bits = np.packbits(member, bitorder="little").tobytes()
    return {
        "bits": base64.b64encode(bits).decode(),
        "kept": int(member.sum()),
        "token": routes.digest(bits),
    }


def _colour(shelf: routes.Shelf, painted: Column | None) -> dict[str, Any] | None:
    if painted is None:
        return None
    ramps = dict.fromkeys(RAMPS, CATEGORICAL) if painted.kind == "category" else RAMPS
    return {
        "name": painted.name,
        "kind": painted.kind,
        "url": routes.publish(shelf, painted.codes),
        "labels": list(painted.labels),
        "colours": ramps,
        **_ends(painted),
    }


def _ends(painted: Column) -> dict[str, Any]:
    return {
        "low": format_number(painted.low),
        "high": format_number(painted.high),
        "from": float(painted.low),
        "to": float(painted.high),
    }


def _groups(view: RunView, shelf: routes.Shelf, name: str | None) -> dict[str, Any] | None:
    found = column(view, name) if name else None
    if found is None or found.kind != "category":
        return None
    return {
        "name": found.name,
        "url": routes.publish(shelf, found.codes),
        "labels": list(found.labels),
    }


def _bins(view: RunView, shelf: routes.Shelf, name: str | None) -> dict[str, Any] | None:
    found = column(view, name) if name else None
    if found is None or found.kind != "number":
        return None
    bins = found.bins()
    return {
        "name": found.name,
        "url": routes.publish(shelf, bins),
        "count": BINS + int((bins == BINS).any()),
        **_ends(found),
    }


def _facts(view: RunView, shelf: routes.Shelf, painted: Column | None) -> str:
    """The hover card's lines: the id, then what the colour says, else the class or cluster."""
    shown = painted or column(view, "true label") or column(view, "pseudo-label")
    ids = view.dataset.ids

    def lines(i: int) -> list[str]:
        return [str(ids[i]), shown.say(i)] if shown is not None else [str(ids[i])]

    return routes.publish_facts(shelf, shown.name if shown is not None else "id", lines)


def _table(view: RunView, shelf: routes.Shelf, painted: Column | None) -> str:
    """What the map's CSV holds besides places and membership, which the browser has: ids and the
    colour's values."""

    def table() -> dict[str, Any]:
        ids = list(map(str, view.dataset.ids))
        if painted is None:
            return {"ids": ids, "name": "", "values": None}
        return {"ids": ids, "name": painted.name, "values": painted.cells()}

    return routes.publish_table(shelf, painted.name if painted is not None else "", table)
