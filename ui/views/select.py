"""The Select page's parts: undo and snapshots, a method's own knobs, the map's ranks, and what was
chosen."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import streamlit as st

from coreset_engine.core.errors import CoresetError
from coreset_engine.core.registry import METHODS, load
from coreset_engine.core.types import Selection
from ui.components.escape import markdown as escaped
from ui.components.forms import knobs_form
from ui.components.frame import STAGE_NAMES, show_error
from ui.components.jobs import submit_button
from ui.components.thumbnails import gallery, short_ids
from ui.map.colour_columns import TITLES
from ui.map.scatter import Order, Scrub
from ui.selection import controls, session_selection
from ui.state import session
from ui.state.session import RunView

# Knobs that the map's own sliders hold.
ON_THE_MAP = {"beta", "n_neighbours"}
ALPHAS = (10, 50, 100, 250, 500, 1000, 2000)  # coverage.scores.GRID
# Up to so many images the scores of another alpha are computed at once; above, a job does it.
_QUICK = 5000


def tools(view: RunView) -> None:
    """Undo, redo and the method's own knobs, in one line above the map."""
    undo, redo, knobs, link = st.columns([1, 1, 2, 5], vertical_alignment="center")
    undo.button(
        "Undo",
        disabled=not session.get("past"),
        width="stretch",
        help="Back to the knobs before",
        on_click=controls.step,
        args=("past", "future"),
    )
    redo.button(
        "Redo",
        disabled=not session.get("future"),
        width="stretch",
        on_click=controls.step,
        args=("future", "past"),
    )
    with knobs:
        own_knobs(view, session.get("method"))
    link.caption(
        "Drag the sliders above the map: counts, bars and points follow. To share them, copy the address."
    )


def note_method(before: str) -> None:
    """Write down a change of method, so that undo comes back to the one before."""
    after = session.get("method")
    if after != before:
        past = {**controls.setup(), "method": before}
        session.put("past", [*(session.get("past") or []), past])
        session.put("future", [])


def own_knobs(view: RunView, method: str) -> None:
    """The knobs only this method has, kept per method in the session's `params`."""
    config = load(METHODS[method].config)
    names = [
        field.name
        for field in dataclasses.fields(config)
        if field.metadata and field.name not in ON_THE_MAP
    ]
    more = bool(names) or "n_neighbours" in session_selection.knob_names(method)
    with st.popover(
        "More knobs",
        width="stretch",
        disabled=not more,
        help="What only this method knows" if more else "This method has no knobs but the sliders",
    ):
        held = session.get("params") or {}
        values = knobs_form(config, key=f"knobs:{method}", only=names, start=held.get(method))
        grid_button(view)
    if not names:
        return
    default = config()
    changed = {name: value for name, value in values.items() if value != getattr(default, name)}
    if held.get(method, {}) != changed:
        controls.remember()
        others = {other: knobs for other, knobs in held.items() if other != method}
        session.put("params", {**others, method: changed} if changed else others)


def score_of(view: RunView, method: str) -> str:
    """The score whose histogram stands beside the map: the method's own where it lies finished."""
    fallback = "aum" if view.ready("dynamics") else "score"
    return TITLES.get(METHODS[method].score, TITLES[fallback])


def need_stages(view: RunView, method: str) -> None:
    """Stop with the one next step where the method's scores are not finished."""
    missing = view.missing(session_selection.needed_stages(method))
    if not missing:
        need_alpha(view, method)
        return
    names = ", ".join(STAGE_NAMES.get(stage, stage) for stage in missing)
    st.info(f"{escaped(method)} needs {names}, which are not finished for these settings.")
    submit_button("Prepare now", "prepare", view, primary=True)
    st.stop()


def need_alpha(view: RunView, method: str) -> None:
    """Stop where the wanted number of redundancy neighbours would take minutes to score here."""
    alpha = int(session.get("alpha"))
    if (
        "n_neighbours" not in session_selection.knob_names(method)
        or len(view) <= _QUICK
        or has_alpha(view, alpha)
    ):
        return
    st.info(f"No coverage scores with {alpha:,} redundancy neighbours yet.")
    ready = [other for other in ALPHAS if has_alpha(view, other)]
    if ready and st.button(f"Use {ready[-1]:,}, which is finished"):
        session.rebind("alpha", ready[-1])
        st.rerun()
    st.stop()


def alphas(view: RunView, method: str) -> list[int]:
    """Redundancy neighbours whose coverage scores lie ready, for the map's slider; one where the
    method has none."""
    if "n_neighbours" not in session_selection.knob_names(method):
        return [0]
    return sorted(
        {int(session.get("alpha")), *(alpha for alpha in ALPHAS if has_alpha(view, alpha))}
    )


def has_alpha(view: RunView, alpha: int) -> bool:
    """Whether the coverage scores with `alpha` redundancy neighbours lie finished in the store."""
    # a run of plain arrays has no store, and one alpha
    run = view.run
    store = getattr(view.run, "store", None)
    key = run.key_of("coverage", n_samples=run.n_samples, seed=run.seed, n_neighbours=alpha)
    return store is not None and store.has("coverage", key)


def grid_button(view: RunView) -> None:
    """Offer to score the other alphas in one pass, so that the slider can move over them."""
    if "n_neighbours" not in session_selection.knob_names(session.get("method")) or not view.ready(
        "coverage"
    ):
        return
    lacking = [alpha for alpha in ALPHAS if alpha < len(view) and not has_alpha(view, alpha)]
    if lacking:
        submit_button("Score other α", "coverage_grid", view, n_neighbours=lacking)
        st.caption(
            "Scores every number of redundancy neighbours in one sweep; then a slider above the map moves "
            "over them."
        )
    else:
        st.caption(
            "Every number of redundancy neighbours is scored; the slider above the map moves over them."
        )


def chosen(
    view: RunView, steps: list[int], turn: int
) -> tuple[Selection | None, dict[str, Any] | None]:
    """The session's Selection, and what to draw on the map: ranks for the sliders, and the engine's
    own answer where it differs from the ranks' window. (None, None) after an error was shown."""
    try:
        selection = session_selection.current_selection(view)
        ranks = controls.ranking(view)
    except CoresetError as error:
        show_error(error)
        recover(turn)
        return None, None
    if ranks is None:
        scrub = Scrub("prefix", session.get("prune_rate"), turn=turn)
        order = Order(
            np.concatenate(
                [selection.indices, np.setdiff1d(np.arange(len(view)), selection.indices)]
            )
        )
        return selection, {
            "orders": [order],
            "scrub": scrub,
            "kept": selection.indices,
            "exact": True,
            "note": "This method chooses anew for each rate: the map settles when you let go.",
        }
    orders = controls.variants(view, steps) if len(steps) > 1 else [ranks.order]
    at = steps.index(session.get("alpha")) if len(steps) > 1 else 0
    guess = None if ranks.kind == "prefix" or session.chosen("beta") else session.beta_guesses()
    scrub = Scrub(ranks.kind, ranks.p, ranks.beta, at, turn, guess=guess)
    same = np.array_equal(ranks.kept(), np.sort(selection.indices))
    drawn = {"orders": orders, "scrub": scrub, "variant_name": "Redundancy neighbours α"}
    return selection, drawn if same else {**drawn, "kept": selection.indices, "exact": True}


def next_steps() -> None:
    """Where people go with a coreset: against random, to a measurement, out of the house."""
    links = {
        "pages/duel.py": "Compare with random →",
        "pages/evaluate.py": "Train on it →",
        "pages/export.py": "Export →",
    }
    with st.container(horizontal=True):
        for page, label in links.items():
            st.page_link(page, label=label)


def recover(turn: int) -> None:
    """After knobs that contradict: offer the way back, since the map with its sliders is not
    drawn."""
    st.button(
        "Back to the last knobs that worked",
        disabled=not session.get("past"),
        on_click=controls.step,
        args=("past", "future"),
    )


def kept_gallery(view: RunView, selection: Selection) -> None:
    """The kept images, sorted by what the method thinks of them or by any finished score."""
    from ui.map.colour_columns import available_columns, column

    scores = [
        name
        for name in available_columns(view)
        if (found := column(view, name)) is not None and found.kind == "number"
    ]
    left, right = st.columns([1, 1])
    by = left.selectbox("Sort by", ["choice", *scores], key="kept-sort")
    high = right.toggle("Highest first", key="kept-high", disabled=by == "choice")
    order = selection.indices
    captions = short_ids(view.dataset, order)
    if by != "choice":
        values = column(view, by).values[order]
        order = order[np.argsort(-values if high else values, kind="stable")]
        captions = [column(view, by).describe(i) for i in order[:500]]
    gallery(view.dataset, order, captions, key="kept", height=360)
    if len(order) > 500:
        st.caption(f"The first 500 of {len(order):,} are shown.")


def pins(view: RunView, selection: Selection) -> None:
    """What is pinned, and a box to paste ids into."""
    keep, never = (controls.positions_of(view, name) for name in ("must_keep", "never"))
    st.caption(
        f"{len(keep):,} must keep, {len(never):,} never. Pin from a lasso, from a clicked image, or here."
    )
    outside = (
        sum(len(session.get(name) or ()) for name in ("must_keep", "never"))
        - len(keep)
        - len(never)
    )
    if view.full is not None and outside:
        st.caption(
            f"{outside:,} more pinned outside the sample: counts of all images, jobs and exports heed them."
        )
    controls.paste_panel(view, key="pins")
    for name, positions in (("Must keep", keep), ("Never", never)):
        if len(positions):
            st.markdown(f"**{name}**")
            gallery(
                view.dataset,
                positions,
                short_ids(view.dataset, positions),
                key=f"pins:{name}",
                height=170,
            )
    if (len(keep) or len(never)) and st.button("Unpin all"):
        controls.pin([str(i) for i in view.dataset.ids[np.concatenate([keep, never])]], None)
        st.rerun()


def bring_back(setup: dict[str, Any]) -> None:
    """A snapshot's knobs, with the way back by undo."""
    controls.remember()
    controls.restore(setup)


def snapshots(view: RunView, selection: Selection) -> None:
    """Named states of the knobs: save, bring back, delete. They live in the workspace, so other
    sessions see them."""
    from ui.state import snapshots as kept

    name = st.text_input(
        "Name", placeholder="for example: 10 % for the labelling team", key="snapshot-name"
    )
    if st.button("Save snapshot", disabled=not name.strip()):
        kept.save(view, name.strip(), controls.setup())
        st.rerun()
    for snapshot in kept.list_snapshots(view):
        words, back, drop = st.columns([6, 1, 1], vertical_alignment="center")
        words.markdown(
            f"**{escaped(snapshot.name, 80)}** · {escaped(kept.describe(snapshot), 160)}"
        )
        back.button(
            "Restore",
            key=f"restore:{snapshot.id}",
            width="stretch",
            on_click=bring_back,
            args=(snapshot.setup,),
        )
        if drop.button("Delete", key=f"delete:{snapshot.id}", width="stretch"):
            kept.delete(view, snapshot.id)
            st.rerun()
