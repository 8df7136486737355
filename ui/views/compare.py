"""The Compare page: two coresets side by side, where they differ, and what each is worth.

A side is a method with its parameters, or a snapshot. In the address it is "method:p:beta:alpha".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import streamlit as st

from coreset_engine.core.errors import CoresetError
from coreset_engine.core.registry import BASELINE, METHODS
from coreset_engine.core.types import Selection, describe_selected_samples
from coreset_engine.selection.budget import kept_count
from coreset_engine.selection.request import SelectionRequest
from ui.components import charts
from ui.components.escape import markdown as escaped
from ui.components.forms import row_title
from ui.components.frame import say_outdated, show_error, stage_names
from ui.components.jobs import submit_button
from ui.components.thumbnails import Tiles, gallery, short_ids
from ui.map.colour_columns import column, group_word, known_column
from ui.map.scatter import draw_map
from ui.selection import controls, session_selection
from ui.state import session
from ui.state.run_view import RunView

# Part of a side's address -> (type, upper bound); all are >= 0.
LINK_PARTS = {"p": (float, 1.0), "beta": (float, 1.01), "alpha": (int, 10**7)}
OF_METHOD = "A method"
OF_SELECT_PAGE = "My coreset (Select page)"


@dataclass(frozen=True)
class Side:
    """One of the two coresets.

    Attributes
    ----------
    method : str
        Name in METHODS.
    prune_rate : float
        In [0, 1).
    params : dict
        Parameters of the method.
    pins : (must_keep, never)
        Ids; only for the session's own coreset and snapshots.
    count : int
        Number of images requested; 0 = the pruning rate says it.
    constraints : dict
        As `SelectionRequest.of` takes them; only for the session's own coreset and snapshots.
    """

    method: str
    prune_rate: float
    params: dict[str, Any] = field(default_factory=dict)
    pins: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    count: int = 0
    constraints: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The method's title."""
        return row_title(METHODS, self.method)

    def describe(self) -> str:
        """Method and parameters in one line."""
        return session_selection.describe(
            self.method, self.prune_rate, self.params, self.count or None
        )

    def request(self) -> SelectionRequest:
        """What the side asks for. Raises BadInput where a value cannot be read."""
        must_keep, never = self.pins
        return SelectionRequest.of(
            self.method,
            prune_rate=None if self.count else self.prune_rate,
            count=self.count or None,
            must_keep=must_keep,
            never=never,
            **self.constraints,
            **self.params,
        )


def side_of_setup(setup: dict[str, Any]) -> Side:
    """A side from the session's or a snapshot's values (see `controls.SETUP`)."""
    method = setup["method"]
    names = session_selection.knob_names(method)
    shared = {"beta": setup.get("beta"), "n_neighbours": setup.get("alpha")}
    own = (setup.get("params") or {}).get(method, {})
    params = {name: value for name, value in {**shared, **own}.items() if name in names}
    pins = (tuple(setup.get("must_keep") or ()), tuple(setup.get("never") or ()))
    return Side(
        method,
        setup["prune_rate"],
        {name: value for name, value in params.items() if value is not None},
        pins,
        int(setup.get("count") or 0),
        dict(setup.get("constraints") or {}),
    )


def parse_side(text: str) -> dict[str, Any]:
    """ "method:p:beta:alpha" as starting values; malformed parts are ignored."""
    method, *parts = text.split(":")
    values: dict[str, Any] = {"method": method} if method in METHODS else {}
    for (name, (kind, end)), part in zip(LINK_PARTS.items(), parts, strict=False):
        try:
            value = kind(part)
        except ValueError:
            continue
        if 0 <= value < end:
            values[name] = value
    return values


def side_controls(view: RunView, name: str, other: Selection | None) -> Side:
    """The widgets of side "A" or "B".

    Without a link A is the session's coreset, and B a random selection of as many images as the
    `other` side.
    """
    param = name.lower()
    linked = parse_side(st.query_params.get(param, ""))
    snapshots = list_snapshots(view)
    sources = [OF_SELECT_PAGE, OF_METHOD, *(f"Snapshot: {s.name}" for s in snapshots)]
    start = 0 if name == "A" and not linked else 1
    source = st.selectbox(f"Side {name}", sources, index=start, key=f"compare:{param}:source")
    if source == OF_METHOD:
        count = kept_count(len(view), linked.get("p", session.get("prune_rate")))
        if other is not None and "p" not in linked:
            count = len(other)
        return _method_controls(view, param, linked, count)
    if param in st.query_params:
        _write_link(param, "")
    if source == OF_SELECT_PAGE:
        side = side_of_setup(controls.setup())
        st.caption(f"{escaped(side.describe())}. Change it on the Select page.")
        return side
    side = side_of_setup(snapshots[sources.index(source) - 2].setup)
    st.caption(f"{escaped(side.describe())}.")
    return side


def _method_controls(view: RunView, param: str, start: dict[str, Any], count: int) -> Side:
    methods = list(METHODS)
    left, right = st.columns([2, 1])
    method = left.selectbox(
        "Method",
        methods,
        index=methods.index(start.get("method", BASELINE)),
        key=f"compare:{param}:method",
        format_func=lambda name: row_title(METHODS, name),
    )
    n = len(view.full or view)
    wanted = right.number_input(
        "Images",
        1,
        n,
        round(count * n / len(view)),
        key=f"compare:{param}:count:{count}",
        help="Any number; begins with as many as the other side has.",
    )
    prune_rate = 1 - wanted / n
    params: dict[str, Any] = {}
    names = session_selection.knob_names(method)
    if "beta" in names:
        params["beta"] = left.slider(
            "Skip the hardest (β)",
            0.0,
            1.0,
            start.get("beta", session.guessed_beta(prune_rate)),
            0.001,
            key=f"compare:{param}:beta",
            format="percent",
        )
    if "n_neighbours" in names:
        params["n_neighbours"] = session.get("alpha")
    beta = params.get("beta", 0)
    neighbours = params.get("n_neighbours", 0)
    _write_link(param, f"{method}:{prune_rate:.10g}:{beta:g}:{neighbours}")
    return Side(method, prune_rate, params, count=int(wanted))


def _write_link(param: str, text: str) -> None:
    """Write a side into the address, and have ui.state.session treat it as its own."""
    if st.query_params.get(param, "") == text:
        return
    if text:
        st.query_params[param] = text
    else:
        del st.query_params[param]
    session.put("dataset", session.get("dataset"))


def list_snapshots(view: RunView) -> list[Any]:
    """The dataset's snapshots, newest first."""
    from ui.state import snapshots

    return snapshots.list_snapshots(view)


def selection_of(view: RunView, side: Side) -> Selection | None:
    """The side's coreset; None after the reason was shown."""
    stages = session_selection.needed_stages(side.method)
    missing = view.missing(stages)
    earlier = session.earlier_run(view, stages) if missing else None
    if earlier is not None:
        say_outdated(view, stages, escaped(side.title))
        view = earlier
    elif missing:
        st.info(f"{escaped(side.title)} needs {stage_names(missing)}, not computed yet.")
        submit_button("Compute", "prepare", view, key=f"compare:prepare:{side.method}")
        return None
    try:
        selection = session_selection.select(view, side.request())
    except CoresetError as error:
        show_error(error)
        return None
    samples = describe_selected_samples(selection.info, 1 - len(selection) / len(view))
    if samples:
        st.caption(f"{escaped(side.title)}: {samples}.")
    return selection


@dataclass(frozen=True, eq=False)
class Difference:
    """Sorted positions (n,) int64 that only A, only B, and both select."""

    only_a: np.ndarray
    only_b: np.ndarray
    both: np.ndarray

    @property
    def jaccard(self) -> float:
        """Images in both over images in either, in [0, 1]."""
        union = len(self.only_a) + len(self.only_b) + len(self.both)
        return len(self.both) / union if union else 1.0


def difference(a: np.ndarray, b: np.ndarray) -> Difference:
    """Compare the positions selected by each side."""
    return Difference(np.setdiff1d(a, b), np.setdiff1d(b, a), np.intersect1d(a, b))


def show_maps(view: RunView, a: Selection, b: Selection) -> None:
    """Draw both coresets on maps that pan and zoom together."""
    for area, name, selection in zip(st.columns(2), "AB", (a, b), strict=True):
        with area:
            events = draw_map(
                view,
                key=f"map-compare-{name}",
                kept=selection.indices,
                compact=True,
                height=380,
                link="compare",
                note=f"{name}: {len(selection):,} of {len(view):,} images selected",
                label=f"Map of side {name}",
                picked=controls.remembered(view),
            )
            if events.clicked is not None:
                session.put("image", str(view.dataset.ids[events.clicked]))


def show_overlap(a: Selection, b: Selection, differing: Difference) -> None:
    """Draw how many images each side selects, and how many they share."""
    counts = {
        "Selected by A": len(a),
        "Selected by B": len(b),
        "Both": len(differing.both),
        "Only A": len(differing.only_a),
        "Only B": len(differing.only_b),
    }
    cells = st.columns(6)
    for cell, (name, count) in zip(cells, counts.items(), strict=False):
        cell.metric(name, f"{count:,}")
    cells[5].metric(
        "Overlap",
        f"{differing.jaccard:.0%}",
        help="Jaccard index: images in both over images in either. 100% = the same images.",
    )


def show_galleries(view: RunView, differing: Difference) -> None:
    """Draw the images that one side or both select."""
    parts = {"Only A": differing.only_a, "Only B": differing.only_b, "Both": differing.both}
    tabs = st.tabs([f"{name} ({len(positions):,})" for name, positions in parts.items()])
    for tab, (name, positions) in zip(tabs, parts.items(), strict=True):
        with tab:
            gallery(
                view.dataset,
                positions,
                Tiles(short_ids(view.dataset, positions)),
                key=f"compare:gallery:{name}",
                height=320,
            )


def show_groups(view: RunView, a: Selection, b: Selection) -> None:
    """Draw the images selected per cluster and per class, A beside B."""
    names = [name for name in ("pseudo-label", "true label") if column(view, name) is not None]
    for area, name in zip(st.columns(max(1, len(names))), names, strict=False):
        groups = known_column(view, name)
        counts = {
            side: np.bincount(groups.codes[s.indices], minlength=len(groups.labels))
            for side, s in (("A", a), ("B", b))
        }
        with area:
            figure, data = charts.bars(
                list(groups.labels), counts, title=f"Selected per {group_word(name)}"
            )
            charts.show(figure, f"compare-{name.replace(' ', '-')}", data)
