"""Shared by pages that select: ranks for the map's sliders, pins, undo, lasso and click.

The map moves a window over ranks while the finger is down; on release the engine chooses
(ui/selection/session_selection.py) and its answer is compared with the window's. Where they differ
(a method without ranks, constraints) the engine's answer is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from coreset_engine.core.counted import counted
from coreset_engine.core.errors import CoresetError
from coreset_engine.core.ids import positions_of
from coreset_engine.core.registry import METHODS, load
from coreset_engine.core.types import Selection
from coreset_engine.selection.budget import (
    cut_count,
    kept_count,
    pinned_window,
    rank_of_free,
    settled_beta,
)
from coreset_engine.selection.request import SelectionRequest
from ui.components.escape import markdown as escaped
from ui.components.thumbnails import Tiles, gallery, short_ids
from ui.map.scatter import MapEvents, Order
from ui.selection import session_selection
from ui.state import session
from ui.state.run_view import RunView

SETUP = (
    "method",
    "prune_rate",
    "count",
    "beta",
    "alpha",
    "params",
    "must_keep",
    "never",
    "constraints",
)
_STEPS = 100  # undo goes back so far


# -- the coreset of this session -------------------------------------------------------------------


def current_or_none(view: RunView) -> Selection | None:
    """The session's coreset; None where scores are not computed or settings contradict.

    While scores are out of date, the coreset of before.
    """
    try:
        stages = session_selection.current_stages()
        if not view.ready(*stages):
            earlier = session.earlier_run(view, stages)
            return None if earlier is None else session_selection.current_selection(earlier)
        return session_selection.current_selection(view)
    except CoresetError:
        return None


@dataclass(frozen=True, eq=False)
class Ranks:
    """The session's method as ranks. rank: (N,) index in `order`; free images lie in [0, free)."""

    method: str
    kind: str
    order: Order
    rank: np.ndarray
    p: float
    beta: float

    @property
    def n(self) -> int:
        return len(self.rank)

    @property
    def free(self) -> int:
        return self.n - self.order.pinned - self.order.banned

    def window(self) -> tuple[int, int]:
        """Ranks [lo, hi) of the free images are kept."""
        cut = cut_count(self.n, self.beta) if self.kind == "window" else 0
        pinned = self.order.pinned
        return pinned_window(self.n, kept_count(self.n, self.p), cut, pinned, self.order.pin_ranks)

    def kept(self) -> np.ndarray:
        """Sorted positions of the kept, pins included."""
        lo, hi = self.window()
        pinned = self.order.positions[self.free : self.free + self.order.pinned]
        return np.sort(np.concatenate([self.order.positions[lo:hi], pinned]).astype(np.int64))

    def reason(self, i: int) -> str:
        """Half a sentence: how image i compares with the threshold."""
        rank = int(self.rank[i])
        lo, hi = self.window()
        order = "hardest first" if self.kind == "window" else "best first"
        where = f"rank {rank + 1:,} of {self.n:,} ({order})"
        if rank < lo:
            return f"{where} is among the {lo:,} hardest, which are skipped"
        if rank < hi:
            return f"{where} is within the selected ranks {lo + 1:,} to {hi:,}"
        return f"{where} is after the last selected rank, {hi:,}"

    def enters(self, i: int) -> str:
        """One sentence: from how many images on image i is selected."""
        rank = int(self.rank[i])
        lo, _ = self.window()
        if rank < lo:
            harder = rank_of_free(self.order.pin_ranks, rank)
            return f"Selected when no more than the {harder:,} hardest images are skipped."
        needed = rank - lo + self.order.pinned + 1
        if needed == 1:
            return "Selected at every number of images."
        return f"Selected from {needed:,} images on."


def ranking(view: RunView) -> Ranks | None:
    """The session's method as ranks; None for a method that reselects for each pruning rate."""
    method = session.get("method")
    return _ranks(view, method, session_selection.method_params(method))


def ranking_of(view: RunView, selection: Selection) -> Ranks | None:
    """The ranks of the method that `auto` took for this selection, where it ranks all images."""
    method = selection.info.get("recommended")
    if method not in METHODS or not view.ready(*session_selection.needed_stages(method)):
        return None
    return _ranks(view, method, {})


def _ranks(view: RunView, method: str, params: dict[str, Any]) -> Ranks | None:
    kind = kind_of(method)
    ranks = _ranked(view, method, params)
    if ranks is None:
        return None
    order = with_pins(view, ranks)
    rank = np.empty(len(ranks), dtype=np.int64)
    rank[order.positions] = np.arange(len(ranks))
    prune_rate = session.get("prune_rate")
    return Ranks(method, kind, order, rank, prune_rate, _beta(len(ranks), prune_rate, kind))


def _beta(n: int, prune_rate: float, kind: str) -> float:
    """The beta in effect: the session's own, else the engine's guess for this many images."""
    if kind != "window":
        return 0.0
    if session.chosen("beta"):
        return session.get("beta")
    return settled_beta(None, kept_count(n, prune_rate), n)[0]


def kind_of(method: str) -> str:
    """ "window" for double-end pruning, else "prefix"."""
    return "window" if METHODS[method].double_end else "prefix"


def with_pins(view: RunView, order: np.ndarray, label: str = "") -> Order:
    """`order` (N,) with the pinned images moved to its end."""
    positions = order.astype(np.uint32)
    keep, never = (
        np.isin(positions, pinned_positions(view, name)) for name in ("must_keep", "never")
    )
    parts = [positions[~keep & ~never], positions[keep & ~never], positions[never]]
    return Order(
        np.concatenate(parts), len(parts[1]), len(parts[2]), label, np.flatnonzero(keep | never)
    )


def variants(view: RunView, alphas: list[int]) -> list[Order]:
    """The method's ranks at each of these redundancy neighbours, labelled for the map's slider."""
    method = session.get("method")
    params = session_selection.method_params(method)
    orders = []
    for alpha in alphas:
        ranks = _ranked(view, method, {**params, "n_neighbours": alpha})
        if ranks is not None:
            orders.append(with_pins(view, ranks, f"{alpha:,}"))
    return orders


def _ranked(view: RunView, method: str, params: dict[str, Any]) -> np.ndarray | None:
    row = METHODS[method]
    if not (row.live and row.nested):
        return None
    fixed = tuple((name, value) for name, value in params.items() if name != "beta")
    request = SelectionRequest(method=method, params=fixed)
    return _order(view.dataset.fingerprint, view.job_params, request, view)


@st.cache_resource(max_entries=24, show_spinner="Ranking ...", hash_funcs={SelectionRequest: repr})
def _order(
    fingerprint: str, job_params: dict[str, Any], request: SelectionRequest, _view: RunView
) -> np.ndarray:
    """(N,) positions, first kept first (double-end: hardest first)."""
    method = load(METHODS[request.method].function)
    ranking = method(_view.run, len(_view), request.config, _view.seed)
    rest = np.setdiff1d(np.arange(len(_view)), ranking.order)
    return np.concatenate([ranking.order, rest]).astype(np.uint32)


# -- pins ------------------------------------------------------------------------------------------


def pinned_positions(view: RunView, name: str) -> np.ndarray:
    """Positions of the pinned ids ("must_keep" or "never") in this source.

    What was excluded on the Clean page is among "never".
    """
    ids = list(session.get(name) or ())
    if name == "never":
        ids += getattr(view.run, "excluded_ids", ())
    positions = positions_of(view.dataset.ids, ids)
    return np.sort(positions[positions >= 0])


def pin_of(name: str) -> str | None:
    """ "keep", "never" or None for the id `name`."""
    if name in (session.get("must_keep") or ()):
        return "keep"
    return "never" if name in (session.get("never") or ()) else None


def pin(ids: list[str], kind: str | None) -> None:
    """Pin these ids as "keep" or "never", or unpin them (None). One id is never both."""
    remember()
    for name, own in (("must_keep", "keep"), ("never", "never")):
        others = [other for other in session.get(name) or () if other not in set(ids)]
        session.put(name, tuple(others + list(ids)) if own == kind else tuple(others))


# -- how many --------------------------------------------------------------------------------------


def set_count(view: RunView, count: int) -> None:
    """Keep exactly this many images of the dataset."""
    n = len(view.full or view)
    count = min(max(int(count), 1), n)
    session.rebind_all({"count": count, "prune_rate": 1 - count / n})


def set_rate(prune_rate: float) -> None:
    """Remove this share of the images, whatever their number."""
    rate = round(min(max(float(prune_rate), 0.0), 0.999999), 6)
    session.rebind_all({"count": 0, "prune_rate": rate})


# -- undo ------------------------------------------------------------------------------------------


def setup() -> dict[str, Any]:
    """All that describes the session's coreset, as plain values."""
    values = {name: session.get(name) for name in SETUP}
    if not session.chosen("beta"):
        values["beta"] = None  # it follows the number of images, also after an undo
    return values


def restore(values: dict[str, Any]) -> None:
    """Make `values` (from `setup`) the session's coreset."""
    session.rebind_all({name: values[name] for name in SETUP if name in values})
    session.put("forms_turn", session.get("forms_turn", 0) + 1)
    for key in [key for key in st.session_state if str(key).startswith("knobs:")]:
        del st.session_state[key]  # the forms begin again with what was restored


def remember() -> None:
    """Call before a change: undo comes back here; what had been undone is forgotten."""
    past = session.get("past") or []
    if not past or past[-1] != setup():
        session.put("past", [*past, setup()][-_STEPS:])
    session.put("future", [])


def step(source: str, target: str) -> None:
    """step("past", "future") undoes, step("future", "past") redoes."""
    stack = list(session.get(source) or [])
    if stack:
        earlier = stack.pop()
        session.put_all({target: [*(session.get(target) or []), setup()], source: stack})
        restore(earlier)


def apply_slider_events(key: str, alphas: list[int]) -> int:
    """Apply what the map's sliders reported since the last run; returns their turn.

    Call before the map is drawn.

    alphas: what the map's variant slider stands for, step by step.
    """
    component = st.session_state.get(key)
    moved = component.get("scrub") if isinstance(component, Mapping) else None
    if not isinstance(moved, dict):
        return 0
    turn = int(moved.get("turn") or 0)
    if turn != session.get("turn:" + key):
        session.put("turn:" + key, turn)
        remember()
        session.rebind_all(_slider_values(moved, alphas))
    return turn


def _slider_values(moved: Mapping[str, Any], alphas: list[int]) -> dict[str, Any]:
    """What the map's sliders say, as values of the session."""
    rate = round(min(max(float(moved.get("p", 0)), 0.0), 0.9999), 4)
    values: dict[str, Any] = {"count": 0, "prune_rate": rate}
    if moved.get("beta") is not None:  # else it still follows the pruning rate
        values["beta"] = round(min(max(float(moved["beta"]), 0.0), 1.0), 4)
    if len(alphas) > 1:
        step = min(max(int(moved.get("variant", 0)), 0), len(alphas) - 1)
        values["alpha"] = alphas[step]
    return values


# -- lasso and click -------------------------------------------------------------------------------


def picked(view: RunView, events: MapEvents) -> int | None:
    """The image under the eye: clicked just now, else the one the session remembers."""
    if events.clicked is not None:
        session.put("image", str(view.dataset.ids[events.clicked]))
    return remembered(view)


def remembered(view: RunView) -> int | None:
    """Position of the image the session remembers, if it is one of this source."""
    name = session.get("image")
    position = int(positions_of(view.dataset.ids, [name])[0]) if name else -1
    return position if position >= 0 else None


def lasso_panel(view: RunView, events: MapEvents, selection: Selection | None, *, key: str) -> None:
    """The images inside the lasso that the legend shows, kept first, with pins for all of them.

    Parameters
    ----------
    view : RunView
    events : MapEvents
        What the map reports: the lasso's positions, and the sides that the legend shows.
    selection : Selection or None
        None where nothing is selected yet.
    key : str
        Prefix of the widgets' keys.
    """
    chosen = shown_of(events, selection)
    kept = (
        np.isin(chosen, selection.indices)
        if selection is not None
        else np.zeros(len(chosen), dtype=bool)
    )
    st.subheader(f"{counted(len(chosen), 'image')} in the lasso", anchor=False)
    words, keep, never, free = st.columns([3, 1, 1, 1], vertical_alignment="center")
    words.caption(
        f"{int(kept.sum()):,} of them selected (marked)." if selection is not None else ""
    )
    ids = [str(name) for name in view.dataset.ids[chosen]]
    buttons = (
        (keep, "keep", "Always include all"),
        (never, "never", "Exclude all"),
        (free, None, "Clear all"),
    )
    for column, kind, label in buttons:
        if column.button(label, key=f"{key}:lasso:{kind}", width="stretch", disabled=not ids):
            pin(ids, kind)
            st.rerun()
    shown = np.concatenate([chosen[kept], chosen[~kept]])
    marks = ["#0072B2"] * int(kept.sum()) + [""] * int((~kept).sum())
    gallery(
        view.dataset,
        shown,
        Tiles(short_ids(view.dataset, shown), marks=marks[:500]),
        key=f"{key}:lasso",
    )
    if len(shown) > 500:
        st.caption(f"The first 500 of {len(shown):,} are shown.")


def shown_of(events: MapEvents, selection: Selection | None) -> np.ndarray:
    """The lasso's positions without the side (kept or dropped) that the legend hides."""
    if events.chosen is None:
        return np.zeros(0, np.int64)
    if selection is None or not events.sides:
        return events.chosen
    kept = np.isin(events.chosen, selection.indices)
    return events.chosen[kept if "dropped" in events.sides else ~kept]


def pin_counts(view: RunView) -> None:
    """Say how many images are always included and how many excluded."""
    keep, never = (session.get(name) or () for name in ("must_keep", "never"))
    st.caption(
        f"{len(keep):,} always included, {len(never):,} excluded. Add images from a lasso, from a "
        "clicked image, or by id below."
    )
    inside = sum(len(pinned_positions(view, name)) for name in ("must_keep", "never"))
    outside = len(keep) + len(never) - inside
    if view.full is not None and outside:
        st.caption(
            f"{outside:,} of them outside the sample; counts of all images, jobs and exports use "
            "them."
        )


def paste_panel(view: RunView, *, key: str) -> None:
    """Pin a pasted list of ids; what is not in this source is named."""
    text = st.text_area("Ids, one per line", key=f"{key}:paste", height=110)
    ids = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    everything = (
        view.full or view
    ).dataset.ids  # of a sampled set every id can be pinned, drawn or not
    known = {name for name, column in zip(ids, positions_of(everything, ids)) if column >= 0}
    keep, never, free = st.columns(3)
    for column, kind, label in (
        (keep, "keep", "Always include"),
        (never, "never", "Exclude"),
        (free, None, "Clear"),
    ):
        if column.button(label, key=f"{key}:paste:{kind}", width="stretch", disabled=not known):
            pin([name for name in ids if name in known], kind)
            st.rerun()
    unknown = [name for name in ids if name not in known]
    if unknown:
        st.warning(
            f"{len(unknown)} of {len(ids)} ids are not in this source, for example "
            f"{escaped(unknown[0], 60)}."
        )
