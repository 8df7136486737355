"""The Select page: undo, snapshots, a method's options, the map's ranks, and what is selected."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from coreset_engine.core.errors import CoresetError
from coreset_engine.core.registry import METHODS, load
from coreset_engine.core.types import Selection, describe_selected_samples
from coreset_engine.selection.budget import kept_count
from ui.components.escape import markdown as escaped
from ui.components.forms import config_form, row_summary, row_title
from ui.components.frame import outdated_run, show_error, stage_names
from ui.components.jobs import submit_button
from ui.components.thumbnails import Tiles, gallery, short_ids
from ui.map.colour_columns import TITLES, column, known_column
from ui.map.scatter import Order, Scrub
from ui.selection import constraints, controls, session_selection
from ui.state import session
from ui.state.run_view import RunView
from ui.views.forecast import in_words

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

# Parameters that the map's sliders hold.
ON_THE_MAP = {"beta", "n_neighbours"}
COUNT = "images_to_keep"
PERCENT = "percent_to_keep"
SELECTION_ORDER = "Selection order"
ALPHAS = (10, 50, 100, 250, 500, 1000, 2000)  # coverage.scores.GRID
# Up to this many images, scores of another alpha are computed at once; above, by a job.
_QUICK = 5000


def budget_and_method(view: RunView) -> None:
    """Draw how many images to keep, the same as a percentage, and the method."""
    n = len(view.full or view)
    kept = session.get("count") or kept_count(n, session.get("prune_rate"))
    left, middle, right = st.columns([2, 2, 5])
    count = session.field(COUNT, kept)
    left.number_input("Images to keep", 1, n, key=count, on_change=_typed_count, args=(view, count))
    percent = session.field(PERCENT, round(100 * kept / n, 2))
    middle.number_input(
        f"Percent of {n:,}",
        0.0,
        100.0,
        step=1.0,
        format="%.4g",
        key=percent,
        on_change=_typed_percent,
        args=(percent,),
    )
    method = session.bind("method")
    right.selectbox(
        "Method",
        list(METHODS),
        key=method,
        format_func=lambda name: row_title(METHODS, name),
        help="The recommended method says which one it takes, and why.",
        on_change=_picked_method,
        args=(method,),
    )


def _picked_method(key: str) -> None:
    """Keep the method of before for undo: the session takes the new one after this callback."""
    if session.typed("method", key) is not None:
        controls.remember()


def _typed_count(view: RunView, key: str) -> None:
    count = session.typed(COUNT, key)
    if count is not None:
        controls.remember()
        controls.set_count(view, count)


def _typed_percent(key: str) -> None:
    percent = session.typed(PERCENT, key)
    if percent is not None:
        controls.remember()
        controls.set_rate(1 - percent / 100)


def undo_buttons(back: DeltaGenerator, forward: DeltaGenerator) -> None:
    """Draw undo and redo into two columns."""
    for area, label, source, target in (
        (back, "Undo", "past", "future"),
        (forward, "Redo", "future", "past"),
    ):
        area.button(
            label,
            disabled=not session.get(source),
            width="stretch",
            on_click=controls.step,
            args=(source, target),
        )


NOT_FINISHED = "The forecast of this dataset is not finished and may recommend another."
MEASURED_AMONG_SOME = (
    "For a filtered subset, this page uses a rule by number of images; `coreset select` and "
    "notebooks compute a forecast for it, which may recommend another method."
)


def say_what_holds(view: RunView, selection: Selection) -> None:
    """Say which method `auto` took and why, which constraints hold, and who loses everything."""
    summary = escaped(row_summary(METHODS[selection.method]))
    lines = [recommendation(selection) or summary, constraints.in_force(view)]
    if session_selection.goes_by_measured_rule(view, selection.method):
        lines.insert(1, MEASURED_AMONG_SOME if session_selection.filtered() else NOT_FINISHED)
    if "short_by" in selection.info:
        lines.append(f"The constraints leave {selection.info['short_by']:,} places unfilled.")
    samples = describe_selected_samples(selection.info, 1 - len(selection) / len(view))
    lines.append(f"{samples}." if samples else "")
    text = " ".join(line for line in lines if line)
    if text:
        st.caption(text)
    lost = lost_groups(view, selection)
    if lost:
        _warn_of_lost(lost)


def recommendation(selection: Selection) -> str:
    """The method that `auto` took, in words, with its reason; "" for every other method."""
    name = selection.info.get("recommended")
    if not name:
        return ""
    reason = in_words(str(selection.info.get("reason") or ""))
    title = escaped(row_title(METHODS, str(name)))
    because = re.match(r"[^,.]{1,60}, (?=since |because )", reason)
    if because:  # it begins with the method's name, which stands before it already
        return f"Recommended here: **{title}**, {escaped(reason[because.end() :], 500)}."
    return f"Recommended here: **{title}**. {escaped(reason, 500)}."


def lost_groups(view: RunView, selection: Selection) -> list[tuple[str, int]]:
    """(name, images) of the clusters of which nothing is selected, largest first."""
    if not view.ready("pseudo_labels"):
        return []
    clusters = known_column(view, "pseudo-label")
    sizes = np.bincount(clusters.codes, minlength=len(clusters.labels))
    kept = np.bincount(clusters.codes[selection.indices], minlength=len(clusters.labels))
    lost = np.flatnonzero((sizes > 0) & (kept == 0))
    lost = lost[np.argsort(-sizes[lost], kind="stable")]
    return [(clusters.labels[i], int(sizes[i])) for i in lost]


def _warn_of_lost(lost: list[tuple[str, int]]) -> None:
    named = ", ".join(f"{escaped(name, 40)} ({size:,})" for name, size in lost[:6])
    more = f" and {len(lost) - 6} more" if len(lost) > 6 else ""
    noun = "cluster has" if len(lost) == 1 else "clusters have"
    words, button = st.columns([5, 2], vertical_alignment="center")
    words.warning(f"{len(lost)} {noun} no selected image: {named}{more}.")
    button.button(
        "Keep at least 1 of each",
        width="stretch",
        on_click=constraints.require_each_cluster,
        help="Adds a quota; change it under Constraints.",
    )


def method_options(view: RunView, method: str) -> None:
    """Draw the options only this method has; they are kept per method in the session's `params`."""
    config = load(METHODS[method].config)
    names = [
        field.name
        for field in dataclasses.fields(config)
        if field.metadata and field.name not in ON_THE_MAP
    ]
    has_options = bool(names) or "n_neighbours" in session_selection.knob_names(method)
    with st.popover(
        "Options",
        width="stretch",
        disabled=not has_options,
        help=None if has_options else "This method has no options besides the sliders.",
    ):
        held = session.get("params") or {}
        values = config_form(config, key=f"knobs:{method}", only=names, start=held.get(method))
        grid_button(view)
    if not names:
        return
    default = config()
    changed = {name: value for name, value in values.items() if value != getattr(default, name)}
    if held.get(method, {}) != changed:
        controls.remember()
        others = {other: values for other, values in held.items() if other != method}
        session.put("params", {**others, method: changed} if changed else others)


def score_of(view: RunView, method: str) -> str:
    """The score whose histogram is drawn beside the map: the method's own where it has one."""
    fallback = "aum" if view.ready("dynamics") else "score"
    return TITLES.get(METHODS[method].score, TITLES[fallback])


def need_stages(view: RunView, method: str) -> RunView:
    """The run to select from: this one, or what was computed before while it is out of date.

    Stops the page with the next step where there is neither.
    """
    stages = session_selection.current_stages()
    missing = view.missing(stages)
    if not missing:
        need_alpha(view, method)
        return view
    earlier = outdated_run(view, stages, missing)
    if earlier is not None:
        return earlier
    title = escaped(row_title(METHODS, method))
    st.info(f"{title} needs {stage_names(missing)}, not computed yet for these settings.")
    submit_button("Compute", "prepare", view, primary=True)
    st.stop()
    return view


def need_alpha(view: RunView, method: str) -> None:
    """Stop the page where scoring this number of redundancy neighbours would take minutes."""
    alpha = int(session.get("alpha"))
    if (
        "n_neighbours" not in session_selection.knob_names(method)
        or len(view) <= _QUICK
        or has_alpha(view, alpha)
    ):
        return
    st.info(f"Coverage scores with {alpha:,} redundancy neighbours are not computed.")
    ready = [other for other in ALPHAS if has_alpha(view, other)]
    if ready and st.button(f"Use {ready[-1]:,} instead"):
        session.rebind("alpha", ready[-1])
        st.rerun()
    st.stop()


def alphas(view: RunView, method: str) -> list[int]:
    """Numbers of redundancy neighbours with computed scores, for the map's slider.

    [0] for a method without this parameter.
    """
    if "n_neighbours" not in session_selection.knob_names(method):
        return [0]
    return sorted(
        {int(session.get("alpha")), *(alpha for alpha in ALPHAS if has_alpha(view, alpha))}
    )


def has_alpha(view: RunView, alpha: int) -> bool:
    """Whether the coverage scores with `alpha` redundancy neighbours are computed.

    A run of plain arrays has no store, and one alpha only.
    """
    run = view.run
    store = getattr(view.run, "store", None)
    key = run.key_of("coverage", n_samples=run.n_samples, seed=run.seed, n_neighbours=alpha)
    return store is not None and store.has("coverage", key)


def grid_button(view: RunView) -> None:
    """Offer to score other numbers of redundancy neighbours in one pass, for the map's slider."""
    if "n_neighbours" not in session_selection.knob_names(session.get("method")) or not view.ready(
        "coverage"
    ):
        return
    lacking = [alpha for alpha in ALPHAS if alpha < len(view) and not has_alpha(view, alpha)]
    if lacking:
        submit_button("Score other α", "coverage_grid", view, n_neighbours=lacking)
        st.caption(
            "Computes coverage scores for other numbers of redundancy neighbours (α) in one pass. "
            "A slider above the map then switches between them."
        )
    else:
        st.caption("All numbers of redundancy neighbours (α) are available on the map's slider.")


def chosen(
    view: RunView, steps: list[int], turn: int
) -> tuple[Selection | None, dict[str, Any] | None]:
    """The session's Selection, and what to draw on the map; (None, None) after an error.

    Ranks for the sliders, and the engine's own answer where it differs from the ranks' window.
    """
    try:
        selection = session_selection.current_selection(view)
        ranks = controls.ranking(view) or controls.ranking_of(view, selection)
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
            "note": "Recomputed on every change: the map updates when you release the slider.",
        }
    orders = controls.variants(view, steps) if len(steps) > 1 else [ranks.order]
    at = steps.index(session.get("alpha")) if len(steps) > 1 else 0
    guess = None if ranks.kind == "prefix" or session.chosen("beta") else session.beta_guesses()
    scrub = Scrub(ranks.kind, ranks.p, ranks.beta, at, turn, guess=guess)
    same = np.array_equal(ranks.kept(), np.sort(selection.indices))
    drawn = {"orders": orders, "scrub": scrub, "variant_name": "Redundancy neighbours α"}
    return selection, drawn if same else {**drawn, "kept": selection.indices, "exact": True}


def next_steps() -> None:
    """Links to what people do next with a coreset."""
    links = {"pages/compare.py": "Compare with random →", "pages/export.py": "Export →"}
    with st.container(horizontal=True):
        for page, label in links.items():
            st.page_link(page, label=label)


def recover(turn: int) -> None:
    """After settings that contradict each other: offer undo, since the sliders are not drawn."""
    st.button(
        "Undo the last change",
        disabled=not session.get("past"),
        on_click=controls.step,
        args=("past", "future"),
    )


def selected_gallery(view: RunView, selection: Selection) -> None:
    """Draw the selected images in selection order or sorted by any computed score."""
    from ui.map.colour_columns import available_columns

    scores = [
        name
        for name in available_columns(view)
        if (numbers := column(view, name)) is not None and numbers.kind == "number"
    ]
    left, right = st.columns([1, 1])
    by = left.selectbox("Sort by", [SELECTION_ORDER, *scores], key="kept-sort")
    high = right.toggle("Highest first", key="kept-high", disabled=by == SELECTION_ORDER)
    order = selection.indices
    captions = short_ids(view.dataset, order)
    if by != SELECTION_ORDER:
        values = known_column(view, by).values[order]
        order = order[np.argsort(-values if high else values, kind="stable")]
        captions = [known_column(view, by).describe(i) for i in order[:500]]
    gallery(view.dataset, order, Tiles(captions), key="kept", height=360)
    if len(order) > 500:
        st.caption(f"The first 500 of {len(order):,} are shown.")


def pins(view: RunView, selection: Selection) -> None:
    """Draw what is always included or excluded, and a box to paste ids into."""
    keep, never = (controls.pinned_positions(view, name) for name in ("must_keep", "never"))
    controls.pin_counts(view)
    controls.paste_panel(view, key="pins")
    for name, positions in (("Always included", keep), ("Excluded", never)):
        if len(positions):
            st.markdown(f"**{name}**")
            gallery(
                view.dataset,
                positions,
                Tiles(short_ids(view.dataset, positions)),
                key=f"pins:{name}",
                height=170,
            )
    if (len(keep) or len(never)) and st.button("Clear all"):
        controls.pin([str(i) for i in view.dataset.ids[np.concatenate([keep, never])]], None)
        st.rerun()


def bring_back(setup: dict[str, Any]) -> None:
    """Restore a snapshot's settings; undo takes it back."""
    controls.remember()
    controls.restore(setup)


def snapshots(view: RunView, selection: Selection) -> None:
    """Draw the snapshots: save, restore, delete. Every session of the workspace sees them."""
    from ui.state import snapshots as stored

    name = st.text_input(
        "Name", placeholder="for example: first 200 for labelling", key="snapshot-name"
    )
    if st.button("Save snapshot", disabled=not name.strip()):
        stored.save(view, name.strip(), controls.setup())
        st.rerun()
    n = len(view.full or view)
    for snapshot in stored.list_snapshots(view):
        words, back, drop = st.columns([6, 1, 1], vertical_alignment="center")
        words.markdown(
            f"**{escaped(snapshot.name, 80)}** · {escaped(stored.describe(snapshot, n), 160)}"
        )
        back.button(
            "Restore",
            key=f"restore:{snapshot.id}",
            width="stretch",
            on_click=bring_back,
            args=(snapshot.setup,),
        )
        if drop.button("Delete", key=f"delete:{snapshot.id}", width="stretch"):
            stored.delete(view, snapshot.id)
            st.rerun()
