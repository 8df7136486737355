"""Two coresets side by side: what each keeps alone, what both keep, where they differ, and what
each is worth.

A side is a method with its knobs, or a snapshot; it stands in the URL as "method:p:beta:alpha" or
"snapshot:id".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import streamlit as st

from coreset_engine.core.errors import CoresetError
from coreset_engine.core.registry import BASELINE, METHODS
from coreset_engine.core.types import Selection
from ui.components import charts, jobs
from ui.components.escape import markdown as escaped
from ui.components.frame import STAGE_NAMES, show_error
from ui.components.jobs import submit_button
from ui.components.thumbnails import gallery, short_ids
from ui.map.colour_columns import column, format_number
from ui.map.scatter import draw_map
from ui.selection import controls, session_selection
from ui.state import session
from ui.state.session import RunView
from ui.views import certificate


@dataclass(frozen=True)
class Side:
    """One contender. pins: (must_keep, never), only for the session's own coreset and snapshots."""

    method: str
    prune_rate: float
    params: dict[str, Any] = field(default_factory=dict)
    pins: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    def describe(self) -> str:
        return session_selection.describe(self.method, self.prune_rate, self.params)


def of_setup(setup: dict[str, Any]) -> Side:
    """A side from the session's or a snapshot's values (see selecting.SETUP)."""
    method = setup["method"]
    names = session_selection.knob_names(method)
    shared = {"beta": setup.get("beta"), "n_neighbours": setup.get("alpha")}
    own = (setup.get("params") or {}).get(method, {})
    params = {name: value for name, value in {**shared, **own}.items() if name in names}
    return Side(
        method,
        setup["prune_rate"],
        params,
        (tuple(setup.get("must_keep") or ()), tuple(setup.get("never") or ())),
    )


def read(text: str) -> dict[str, Any]:
    """ "method:p:beta:alpha" from a link as starting values; what is malformed is left out."""
    parts = text.split(":")
    found: dict[str, Any] = {"method": parts[0]} if parts[0] in METHODS else {}
    for name, kind, part in zip(("p", "beta", "alpha"), (float, float, int), parts[1:]):
        try:
            value = kind(part)
        except ValueError:
            continue
        if 0 <= value < (1 if name == "p" else 1.01 if name == "beta" else 10**7):
            found[name] = value
    return found


def choose_side(view: RunView, name: str, default: str) -> Side | None:
    """The widgets of side `name` ("A" or "B"); its starting values come from the URL, else from
    `default`."""
    param = name.lower()
    linked = read(st.query_params.get(param, ""))
    given = linked or read(default)
    sources = [
        "A method",
        "The coreset of the Select page",
        *(f"Snapshot: {s.name}" for s in snapshots(view)),
    ]
    start = 1 if name == "A" and not linked else 0  # without a link: my coreset against random
    source = st.selectbox(f"Side {name}", sources, index=start, key=f"duel:{param}:source")
    if source == sources[1]:
        side = of_setup(controls.setup())
        st.caption(f"{escaped(side.describe())}. Change it on the Select page.")
        return side
    if source not in sources[:2]:
        return of_setup(snapshots(view)[sources.index(source) - 2].setup)
    methods = list(METHODS)
    left, right = st.columns(2)
    method = left.selectbox(
        "Method",
        methods,
        index=methods.index(given.get("method", BASELINE)),
        key=f"duel:{param}:method",
    )
    p = right.slider(
        "Pruning rate",
        0.0,
        0.999,
        min(given.get("p", 0.9), 0.999),
        0.001,
        key=f"duel:{param}:p",
        format="%.3f",
    )
    params = {}
    names = session_selection.knob_names(method)
    if "beta" in names:
        params["beta"] = left.slider(
            "Hard cut-off β",
            0.0,
            1.0,
            given.get("beta", session.guessed_beta(p)),
            0.001,
            key=f"duel:{param}:beta",
            format="%.3f",
        )
    if "n_neighbours" in names:
        params["n_neighbours"] = session.get("alpha")
    _link(param, f"{method}:{p:g}:{params.get('beta', 0):g}:{params.get('n_neighbours', 0)}")
    return Side(method, p, params)


def _link(param: str, text: str) -> None:
    """Write a side into the URL, and show_error ui.state that this is no news to adopt."""
    if st.query_params.get(param) != text:
        st.query_params[param] = text
        session.put("dataset", session.get("dataset"))


def snapshots(view: RunView) -> list[Any]:
    from ui.state import snapshots as kept

    return kept.list_snapshots(view)


def select(view: RunView, side: Side) -> Selection | None:
    """The side's coreset, or None after its reason was shown."""
    missing = view.missing(session_selection.needed_stages(side.method))
    if missing:
        st.info(
            f"{escaped(side.method)} needs {', '.join(STAGE_NAMES.get(s, s) for s in missing)}."
        )
        submit_button("Prepare now", "prepare", view, key=f"duel:prepare:{side.method}")
        return None
    try:
        return session_selection.select(view, side.method, side.prune_rate, side.params, *side.pins)
    except CoresetError as error:
        show_error(error)
        return None


@dataclass(frozen=True, eq=False)
class Difference:
    """Sorted positions that only A, only B, both keep."""

    only_a: np.ndarray
    only_b: np.ndarray
    both: np.ndarray

    @property
    def jaccard(self) -> float:
        union = len(self.only_a) + len(self.only_b) + len(self.both)
        return len(self.both) / union if union else 1.0


def compare(a: np.ndarray, b: np.ndarray) -> Difference:
    """a, b: positions kept by each side."""
    return Difference(np.setdiff1d(a, b), np.setdiff1d(b, a), np.intersect1d(a, b))


def maps(view: RunView, a: Selection, b: Selection) -> None:
    """Both coresets on maps that pan and zoom together."""
    left, right = st.columns(2)
    for place, name, selection in ((left, "A", a), (right, "B", b)):
        with place:
            events = draw_map(
                view,
                key=f"map-duel-{name}",
                kept=selection.indices,
                compact=True,
                height=380,
                link="duel",
                note=f"{name}: {len(selection):,} of {len(view):,} kept",
                label=f"Map of side {name}",
                picked=controls.remembered(view),
            )
            if events.clicked is not None:
                session.put("image", str(view.dataset.ids[events.clicked]))


def numbers(a: Selection, b: Selection, difference: Difference) -> None:
    cells = st.columns(6)
    shown = {
        "Kept by A": len(a),
        "Kept by B": len(b),
        "Both": len(difference.both),
        "Only A": len(difference.only_a),
        "Only B": len(difference.only_b),
    }
    for cell, (name, value) in zip(cells, shown.items()):
        cell.metric(name, f"{value:,}")
    cells[5].metric(
        "Jaccard",
        f"{difference.jaccard:.3f}",
        help="Shared images over images in either: 1 = the same.",
    )


def galleries(view: RunView, difference: Difference) -> None:
    parts = {"Only A": difference.only_a, "Only B": difference.only_b, "Both": difference.both}
    for tab, (name, positions) in zip(
        st.tabs([f"{name} ({len(p):,})" for name, p in parts.items()]), parts.items()
    ):
        with tab:
            gallery(
                view.dataset,
                positions,
                short_ids(view.dataset, positions),
                key=f"duel:gallery:{name}",
                height=320,
            )


def by_group(view: RunView, a: Selection, b: Selection) -> None:
    """Images kept per cluster and per class, A beside B."""
    names = [name for name in ("pseudo-label", "true label") if column(view, name) is not None]
    for place, name in zip(st.columns(max(1, len(names))), names):
        found = column(view, name)
        counts = {
            side: np.bincount(found.codes[s.indices], minlength=len(found.labels))
            for side, s in (("A", a), ("B", b))
        }
        with place:
            figure, data = charts.bars(list(found.labels), counts, title=f"Kept per {name}")
            charts.show(figure, f"duel-{name.replace(' ', '-')}", data)


def measured(view: RunView, side: Side) -> tuple[float, float, int] | None:
    """Mean, std and number of test accuracies that Evaluate has measured for this method and
    pruning rate, newest first; None when it has not. Pinned images and other knobs were not part of
    that measurement."""
    for job in jobs.list_jobs():
        if (
            job.kind != "evaluate"
            or job.spec != view.spec
            or (job.params or {}).get("encoder") != view.encoder
        ):
            continue
        found = [
            row["accuracy"]
            for row in (job.result or {}).get("rows", [])
            if row["method"] == side.method
            and abs(row["prune_rate"] - side.prune_rate) < 1e-9
            and row["accuracy"] is not None
        ]
        if found:
            return (
                float(np.mean(found)),
                float(np.std(found, ddof=1)) if len(found) > 1 else 0.0,
                len(found),
            )
    return None


def accuracies(view: RunView, side_a: Side, side_b: Side) -> None:
    """What models trained on either reached, where Evaluate has measured it; else the way there."""
    found = {name: measured(view, side) for name, side in (("A", side_a), ("B", side_b))}
    if not any(found.values()):
        st.caption(
            "No accuracy was measured for these two methods and rates; Evaluate trains on both."
        )
        st.page_link("pages/evaluate.py", label="Measure on Evaluate →")
        return
    for place, (name, side) in zip(st.columns(2), (("A", side_a), ("B", side_b))):
        told = found[name]
        place.metric(
            f"Test accuracy of {name}: {escaped(side.method)}",
            f"{told[0]:.2%} ± {told[1]:.2%}" if told else "not measured",
            help=f"{told[2]} trainings on Evaluate at this pruning rate" if told else None,
        )


def worth(view: RunView, a: Selection, b: Selection) -> None:
    """The certificates next to each other: what can be said without labels."""
    quick = certificate.is_quick(view, a) and certificate.is_quick(view, b)
    if not quick and not st.button("Measure both certificates"):
        return
    ours, theirs = (
        certificate.numbers_of(certificate.certificate_of(view, side)) for side in (a, b)
    )
    rows = [
        {
            "measure": name[:1].upper() + name[1:],
            "A": format_number(ours[name]),
            "B": format_number(theirs[name]),
        }
        for name in ours
        if name in theirs
    ]
    st.table(rows, hide_index=True, border="horizontal")
