"""The map that every page shares: what Python sends to scatter.js and what it receives.

Python publishes arrays (ui/server/published.py) and sends their addresses. It receives finished
gestures only: a lasso's polygon, a click, a released slider. The images in the lasso are computed
again here from the polygon, by the same even-odd rule, so that a selection never depends on what a
browser claims.

    events = draw_map(view, MapSpec(colour="pseudo-label"), key="labels")
    events.chosen      # (n,) int64 positions inside the lasso, or None
    events.clicked     # position of the image clicked in this run, or None
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from coreset_engine.core.counted import counted
from ui.components.palette import CATEGORICAL, DARK, LIGHT
from ui.components.tiles import TILE
from ui.map import layout
from ui.map.colour_columns import BINS, MEMBERSHIP, Column, column, format_number, group_word
from ui.map.layout import map_points
from ui.server import published, routes
from ui.server.published import PublishedData
from ui.state.clusters import exemplars_of_unnamed
from ui.state.run_view import RunView

# Numbers run from blue to yellow as in cividis; each theme leaves out the end that has no contrast
# with its background.
RAMPS = {
    "light": ("#00224E", "#1F4E8C", "#56677F", "#878378", "#B39B45", "#D4AC00"),
    "dark": ("#3B82D6", "#6E93BF", "#98A0A8", "#BDB588", "#E1CC55", "#FEE838"),
}
# Scores whose name does not say which end is which, for the histogram's heading.
MEANING = {
    "AUM": "AUM (low = hard)",
    "Forgetting": "Forgetting (high = hard)",
    "EL2N": "EL2N (high = hard)",
}
_LOADER = Path(__file__).with_name("loader.js")


@dataclass(frozen=True, eq=False)
class Order:
    """All N positions by rank: the unpinned ones, then the always included, then the excluded.

    Attributes
    ----------
    positions : (N,) uint32
        Positions in the dataset.
    pinned, banned : int
        How many at the end are always included, and excluded.
    label : str
        What the variant slider shows.
    pin_ranks : sequence of int
        Sorted ranks that the pinned images would have; a cut of the hardest counts them too.
    """

    positions: np.ndarray
    pinned: int = 0
    banned: int = 0
    label: str = ""
    pin_ranks: np.ndarray | tuple = ()


@dataclass(frozen=True)
class Scrub:
    """The state of the map's sliders.

    Attributes
    ----------
    kind : {"prefix", "window"}
        Ranks [0, k) are selected; or the first beta N are skipped.
    p, beta : float
        Pruning rate, and share skipped as hardest, both in [0, 1].
    variant : int
        Which of the orders is shown.
    turn : int
        Grows with each released slider, so that an older state never overwrites a newer one.
    max_p : float
        End of the pruning rate's slider.
    guess : (rates, betas) or None
        Points along which an untouched beta follows p.
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
    """What the user did on the map.

    Attributes
    ----------
    polygon : (E, 2) float64 or None
        The lasso in map coordinates.
    chosen : (n,) int64 or None
        Positions inside the lasso.
    clicked : int or None
        Position of the image clicked in this run.
    scrub : dict or None
        The sliders as released last.
    hidden : tuple of int
        Codes of the colour column that the legend hides.
    sides : tuple of str
        "kept" or "dropped", hidden while the lasso was drawn.
    """

    polygon: np.ndarray | None
    chosen: np.ndarray | None
    clicked: int | None
    scrub: dict[str, Any] | None
    hidden: tuple[int, ...] = ()
    sides: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class MapSpec:
    """What a map shows.

    Attributes
    ----------
    colour : str
        `MEMBERSHIP` or a name from `colour_columns.available_columns`.
    kept : (k,) int or None
        Positions of a selection. With `scrub` and exact=True it overrules the ranks until a slider
        moves.
    orders : sequence of Order
        The ranking, or one per step of the variant slider.
    scrub : Scrub or None
        Sliders to draw above the map.
    exact : bool
        See `kept`.
    variant_name : str
        Label of the variant slider.
    groups, bins : str or None
        Columns for the bars and for the histogram.
    height : int
        Pixels.
    compact : bool
        Without side panel and lasso.
    link : str or None
        Maps with the same link pan and zoom together.
    note : str
        A line in the lower left corner.
    label : str
        Accessible name of the canvas.
    drop_lasso : str
        Change it to clear the lasso.
    picked : int or None
        Position that gets a ring.
    neighbours : (m,) int or None
        Positions that are joined with the picked one.
    shown : (m,) int or None
        Positions that the page's filters leave; the others are not drawn. None = all.
    """

    colour: str = MEMBERSHIP
    kept: np.ndarray | None = None
    orders: Sequence[Order] = ()
    scrub: Scrub | None = None
    exact: bool = False
    variant_name: str = ""
    groups: str | None = None
    bins: str | None = None
    height: int = 560
    compact: bool = False
    link: str | None = None
    note: str = ""
    label: str = ""
    drop_lasso: str = ""
    picked: int | None = None
    neighbours: np.ndarray | None = None
    shown: np.ndarray | None = None


def draw_map(view: RunView, spec: MapSpec | None = None, *, key: str, **changed: Any) -> MapEvents:
    """Draw the map of a run and return what the user did with it.

    Parameters
    ----------
    view : RunView
        A run whose `map` is computed.
    spec : MapSpec, optional
        What to show.
    key : str
        Streamlit key.
    **changed
        Fields of `spec` to replace.

    Returns
    -------
    MapEvents
        Finished gestures since the page was opened.
    """
    spec = replace(spec or MapSpec(), **changed)
    points = map_points(view)
    painted = None if spec.colour == MEMBERSHIP else column(view, spec.colour)
    result = _component()(
        key=key,
        data=_data(view, spec, points, painted),
        height="content",
        on_lasso_change=_on_change,
        on_click_change=_on_change,
        on_scrub_change=_on_change,
        on_hidden_change=_on_change,
    )
    return _events(result, points, painted, spec.shown)


def _data(
    view: RunView, spec: MapSpec, points: np.ndarray, painted: Column | None
) -> dict[str, Any]:
    """What scatter.js receives."""
    published_data = published.of_dataset(view.dataset)
    data = {
        "n": len(points),
        "height": spec.height,
        "label": spec.label or f"Map of {counted(len(points), 'image')}",
        "note": spec.note,
        "compact": spec.compact,
        "link": spec.link,
        "drop_lasso": spec.drop_lasso,
        "picked": spec.picked,
        "themes": {
            theme.name: {"kept": theme.kept, "rest": theme.easy, "picked": theme.picked}
            for theme in (LIGHT, DARK)
        },
        "points": published.publish_array(published_data, points, "points"),
        "thumb": published.thumbnail_address(published_data),
        "atlas": _atlas(view, published_data),
        "fact": _facts(view, published_data, painted),
        "table": _table(view, published_data, painted),
        "colour": _colour(view, published_data, painted),
        "orders": [_order(published_data, order) for order in spec.orders],
        "variant_name": spec.variant_name,
        "scrub": None if spec.scrub is None else vars(spec.scrub),
        "groups": _groups(view, published_data, spec.groups),
        "bins": _bins(view, published_data, spec.bins),
    }
    if spec.kept is not None and (spec.scrub is None or spec.exact):
        data["mask"] = _mask(spec.kept, len(points))
    if spec.shown is not None and len(spec.shown) < len(points):
        data["shown"] = _mask(spec.shown, len(points))
    if spec.picked is not None and spec.neighbours is not None:
        positions = [int(i) for i in spec.neighbours]
        data["neighbours"] = {"of": spec.picked, "positions": positions}
    return data


def _atlas(view: RunView, published_data: PublishedData) -> dict[str, Any] | None:
    """Pages of thumbnails in map order, for pictures on the map."""
    if view.dataset.reader is None:
        return None
    order = published.publish_array(published_data, layout.atlas_order(view))
    name = order.rpartition("/")[2].removesuffix(".bin")
    return {
        "order": order,
        "url": f"/coreset/atlas/{published_data.key}/{name}/{{page}}.webp",
        "side": routes.ATLAS_SIDE,
        "tile": TILE,
    }


@lru_cache(maxsize=1)
def _component() -> Any:
    loader = _LOADER.read_text("utf-8").replace("__VERSION__", routes.scripts()[0])
    return st.components.v2.component("coreset_map", js=loader)


def _on_change() -> None:
    """Registered because Streamlit reports a value only where a callback exists."""


def _events(
    result: Any, points: np.ndarray, painted: Column | None, shown: np.ndarray | None
) -> MapEvents:
    lasso = result.get("lasso")
    clicked = result.get("click")
    polygon = _polygon(lasso)
    chosen = None
    if polygon is not None:
        chosen = inside_polygon(points, polygon)
        hidden = [c for c in lasso.get("hidden", ()) if isinstance(c, int)]
        if painted is not None and hidden:
            chosen = chosen[~np.isin(painted.codes[chosen], hidden)]
        if shown is not None:
            chosen = chosen[np.isin(chosen, shown)]
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
    """Positions of the points inside, by the even-odd rule of scatter-geometry.js.

    Points are sorted by y once, so that each edge is tested only against points level with it:
    0.1 s at 1.28 M points, where testing every edge against every point takes seconds.

    Parameters
    ----------
    points : (N, 2) float32
        Map coordinates.
    polygon : (E, 2) float64
        Corners; the last is joined to the first.

    Returns
    -------
    (n,) int64
        Sorted positions.
    """
    low = polygon.min(0)
    high = polygon.max(0)
    inside_box = np.flatnonzero(((points >= low) & (points <= high)).all(1))
    inside_box = inside_box[np.argsort(points[inside_box, 1], kind="stable")]
    x, y = points[inside_box].astype(np.float64).T
    inside = np.zeros(len(inside_box), dtype=bool)
    for (xa, ya), (xb, yb) in zip(polygon, np.roll(polygon, 1, axis=0), strict=True):
        first, last = np.searchsorted(y, [min(ya, yb), max(ya, yb)])
        if first < last:
            level = slice(first, last)
            inside[level] ^= x[level] < ((xb - xa) * (y[level] - ya)) / (yb - ya) + xa
    return np.sort(inside_box[inside])


def _order(published_data: PublishedData, order: Order) -> dict[str, Any]:
    url = published.publish_array(published_data, order.positions.astype(np.uint32, copy=False))
    return {
        "url": url,
        "pinned": order.pinned,
        "banned": order.banned,
        "label": order.label,
        "pin_ranks": [int(rank) for rank in order.pin_ranks],
    }


def _mask(kept: np.ndarray, n: int) -> dict[str, Any]:
    """A selection as a bit mask of N / 8 bytes. kept: (k,) positions."""
    member = np.zeros(n, dtype=bool)
    member[kept] = True
    bits = np.packbits(member, bitorder="little").tobytes()
    return {
        "bits": base64.b64encode(bits).decode(),
        "kept": int(member.sum()),
        "token": published.digest(bits),
    }


def _colour(
    view: RunView, published_data: PublishedData, painted: Column | None
) -> dict[str, Any] | None:
    if painted is None:
        return None
    ramps = dict.fromkeys(RAMPS, CATEGORICAL) if painted.kind == "category" else RAMPS
    return {
        "name": group_word(painted.name),
        "kind": painted.kind,
        "url": published.publish_array(published_data, painted.codes),
        "labels": list(painted.labels),
        "pictures": _pictures(view, painted),
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


def _groups(
    view: RunView, published_data: PublishedData, name: str | None
) -> dict[str, Any] | None:
    shown = column(view, name) if name else None
    if shown is None or shown.kind != "category":
        return None
    return {
        "name": group_word(shown.name),
        "url": published.publish_array(published_data, shown.codes),
        "labels": list(shown.labels),
        "pictures": _pictures(view, shown),
    }


def _pictures(view: RunView, coloured: Column) -> dict[str, list[int]]:
    """Code -> images that stand for a group, where its name is not meaningful."""
    if coloured.name != "pseudo-label":
        return {}
    return {str(code): shown for code, shown in exemplars_of_unnamed(view, 1).items()}


def _bins(view: RunView, published_data: PublishedData, name: str | None) -> dict[str, Any] | None:
    shown = column(view, name) if name else None
    if shown is None or shown.kind != "number":
        return None
    bins = shown.bins()
    return {
        "name": MEANING.get(shown.name, shown.name),
        "url": published.publish_array(published_data, bins),
        "count": BINS + int((bins == BINS).any()),
        **_ends(shown),
    }


def _facts(view: RunView, published_data: PublishedData, painted: Column | None) -> str:
    """The hover card's lines: the id, then the colour column's value, else the class or cluster."""
    shown = painted or column(view, "true label") or column(view, "pseudo-label")
    ids = view.dataset.ids

    def lines(i: int) -> list[str]:
        return [str(ids[i]), shown.describe(i)] if shown is not None else [str(ids[i])]

    return published.publish_facts(published_data, shown.name if shown is not None else "id", lines)


def _table(view: RunView, published_data: PublishedData, painted: Column | None) -> str:
    """What the map's CSV needs besides what the browser has: ids and the colour column's values."""

    def table() -> dict[str, Any]:
        ids = list(map(str, view.dataset.ids))
        if painted is None:
            return {"ids": ids, "name": "", "values": None}
        return {"ids": ids, "name": painted.name, "values": painted.cells()}

    return published.publish_table(
        published_data, painted.name if painted is not None else "", table
    )
