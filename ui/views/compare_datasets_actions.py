"""What the Compare datasets page does: exclude what leaks, choose from one what the other lacks."""

from __future__ import annotations

import streamlit as st

from coreset_engine.core.counted import counted
from coreset_engine.core.errors import BadInput
from coreset_engine.core.registry import METHODS
from coreset_engine.pipeline import exclusions
from ui.components.forms import row_title
from ui.selection import controls
from ui.state import session
from ui.views.compare_datasets import ALL, KIND_TITLES, Both, Pair
from ui.views.corrections import clear_caches

USUAL = "k_center"
COUNT = 200


def exclude_buttons(pair: Pair, both: Both) -> None:
    """Exclude from A, or from B, the images that occur in the other, and take it back."""
    comparison = both.stored.comparison
    if not len(comparison.leakage):
        return
    kind = st.session_state.get("leaks:kind") or ALL
    kinds = list(KIND_TITLES) if kind == ALL else [kind]
    of_a = comparison.leaked_ids_of_a(kinds)
    of_b = [
        one
        for one, how in zip(comparison.leaked_ids(), comparison.leakage.kinds.tolist(), strict=True)
        if how in kinds
    ]
    columns = st.columns([2, 2, 1, 3], vertical_alignment="center")
    for column, name, view, ids in (
        (columns[0], "A", pair.a, of_a),
        (columns[1], "B", pair.b, of_b),
    ):
        done = set(view.run.excluded_ids)
        left = [one for one in ids if one not in done]
        label = f"Exclude from {name} ({len(left):,})" if left else f"Excluded from {name}"
        if column.button(
            label,
            key=f"leaks:exclude:{name}",
            type="primary" if name == "A" and left else "secondary",
            disabled=not left,
            width="stretch",
            help=f"No selection from {name} will hold these images. Nothing is deleted.",
        ):
            _exclude(view, left, name)
    _undo(columns[2])


def _exclude(view: session.RunView, ids: list[str], name: str) -> None:
    if len(set(view.run.excluded_ids) | set(ids)) >= len(view):
        raise BadInput(
            f"excluding these would leave no image of {name}; exclude one kind of repetition, or "
            "compare with another dataset."
        )
    count = exclusions.exclude(view.dataset.fingerprint, ids, session.home(), reason="leakage")
    session.put("leaks:undo", (view.dataset.fingerprint, name))
    clear_caches()
    session.put(
        "news", [f"{counted(count, 'image')} of {name} excluded: also in the other dataset."]
    )
    st.rerun()


def _undo(column: st.delta_generator.DeltaGenerator) -> None:
    fingerprint, name = session.get("leaks:undo") or ("", "")
    made = exclusions.entries(fingerprint, session.home()) if fingerprint else []
    if not made or made[-1].get("reason") != "leakage":
        return
    if column.button("Undo", key="leaks:undo", help=f"Undo the last exclusion from {name}"):
        exclusions.undo(fingerprint, session.home())
        session.put("leaks:undo", None)
        clear_caches()
        session.put("news", ["The last exclusion was undone."])
        st.rerun()


def choose_what_is_lacking(pair: Pair, both: Both) -> None:
    """Open one of the two on Select, choosing what the other lacks."""
    st.subheader("Select what is missing", anchor=False)
    st.caption(
        "The images of the other dataset count as already selected, so the selection fills the "
        "regions it covers poorly."
    )
    name_a, name_b = pair.names
    left, middle, right = st.columns([3, 1, 2], vertical_alignment="bottom")
    directions = {"B": f"from {name_b} what A lacks", "A": f"from {name_a} what B lacks"}
    direction = left.selectbox(
        "Choose",
        list(directions),
        format_func=directions.__getitem__,
        key="lacking:direction",
    )
    source, other = (pair.b, pair.a) if direction == "B" else (pair.a, pair.b)
    count = middle.number_input(
        "Images",
        1,
        len(source),
        min(COUNT, max(1, len(source) // 2)),
        key=f"lacking:count:{direction}",
    )
    if right.button("Choose on Select", key="lacking:go", width="stretch"):
        _go(source, other, int(count))


def _go(source: session.RunView, other: session.RunView, count: int) -> None:
    if session.get("dataset") != source.spec:
        session.open_dataset(source.spec)
    session.put("other", other.spec)
    controls.remember()
    if not METHODS[session.get("method")].counts_other_sources:
        session.rebind("method", USUAL)
    held = {**(session.get("constraints") or {}), "beyond": other.spec}
    session.put("constraints", held)
    session.put("forms_turn", session.get("forms_turn", 0) + 1)
    controls.set_count(source, count)
    title = row_title(METHODS, session.get("method"))
    name = session.short_name(other.spec)
    session.put("news", [f"{title} chooses what {name} lacks. Change it under Constraints."])
    st.switch_page("pages/select.py")
