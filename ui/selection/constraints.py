"""Controls for every constraint of a selection: quotas, whole groups, costs, near-duplicates.

The session keeps them as plain values under the names that `SelectionRequest.of` takes, so that
they travel with links, snapshots, jobs and exports.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st

from ui.components.escape import markdown as escaped
from ui.components.escape import plain
from ui.map.colour_columns import column
from ui.selection import controls
from ui.state import session
from ui.state.clusters import cluster_names
from ui.state.run_view import RunView

NEAR = 0.02  # cosine distance that is offered first
MAX_VALUES = 200  # rows of the table of limits per value
SPREADS = {"": "as the method chooses", "equal": "equal numbers", "proportional": "in proportion"}
NOTHING = "none"


def constraint_controls(view: RunView) -> None:
    """Draw the popover with every constraint; a change takes effect in the same run."""
    held = dict(session.get("constraints") or {})
    count = len(_phrases(view, held))
    with st.popover(f"Constraints ({count})" if count else "Constraints", width="stretch"):
        turn = session.get("forms_turn", 0)
        chosen = {
            **_filter_controls(held, turn),
            **_quota_controls(view, held, turn),
            **_group_controls(view, held, turn),
            **_cost_controls(view, held, turn),
            **_duplicate_controls(held, turn),
            **_beyond_controls(held, turn),
        }
        st.divider()
        st.markdown("**Always include, exclude**")
        controls.pin_counts(view)
        controls.paste_panel(view, key="constraints")
    if chosen != held:
        controls.remember()
        session.put("constraints", chosen)


def quota_columns(view: RunView) -> list[str]:
    """What images can be counted or grouped by."""
    names = ["cluster"] if view.ready("pseudo_labels") else []
    if view.dataset.labels is not None:
        names.append("class")
    if view.dataset.paths is not None:
        names.append("folder")
    return names + [str(name) for name in view.dataset.columns]


def _filter_controls(held: Mapping[str, Any], turn: int) -> dict[str, Any]:
    text = st.text_input(
        "Only images where",
        value=str(held.get("where") or ""),
        key=f"constraint:{turn}:where",
        placeholder="for example: class=cat and width>=512",
        help="Any column, tag or score. Only images that pass are selected; a percentage is one of "
        "these images.",
    )
    return {"where": text.strip()} if text.strip() else {}


def _quota_controls(view: RunView, held: Mapping[str, Any], turn: int) -> dict[str, Any]:
    names = quota_columns(view)
    quota = dict(next(iter(held.get("quotas") or []), {}))
    if not names:
        st.caption("Quotas need clusters, classes or folders; none is known yet.")
        return {"quotas": held["quotas"]} if held.get("quotas") else {}
    st.markdown("**Quotas**")
    left, middle, right = st.columns([2, 2, 2])
    by = middle.selectbox(
        "of every",
        names,
        index=names.index(quota["by"]) if quota.get("by") in names else 0,
        key=f"constraint:{turn}:by",
    )
    at_least = left.number_input(
        "At least",
        0,
        value=quota["at_least"] if isinstance(quota.get("at_least"), int) else 0,
        key=f"constraint:{turn}:at_least",
        help="Values with fewer images contribute all of theirs.",
    )
    at_most = right.number_input(
        "At most (0 = no limit)",
        0,
        value=quota["at_most"] if isinstance(quota.get("at_most"), int) else 0,
        key=f"constraint:{turn}:at_most",
    )
    share = st.selectbox(
        f"Share over {plain(by, 40)}",
        list(SPREADS),
        index=list(SPREADS).index(quota.get("spread") or ""),
        format_func=SPREADS.__getitem__,
        key=f"constraint:{turn}:spread",
    )
    exact = _limits_per_value(view, by, quota, turn)
    bounds = {"at_least": at_least, "at_most": at_most, "spread": share, "counts": exact}
    bounds = {name: value for name, value in bounds.items() if value}
    return {"quotas": [{"by": by, **bounds}]} if bounds else {}


def _limits_per_value(
    view: RunView, by: str, quota: Mapping[str, Any], turn: int
) -> dict[str, int] | None:
    """Exact numbers of single values, typed into a table."""
    held = quota.get("counts") if isinstance(quota.get("counts"), Mapping) else None
    label = f"Exact numbers for single values of {plain(by, 40)}"
    folded = st.expander(label, key=f"constraint:{turn}:{by}:values", on_change="rerun")
    if not folded.open:  # the table is the one heavy part
        return dict(held) if held else None
    with folded:
        values, titles, sizes = _values(view, by)
        if len(values) > MAX_VALUES:
            st.caption(f"{len(values):,} different values: too many for a table.")
            return dict(held) if held else None
        edited = st.data_editor(
            {
                "value": [plain(title, 60) for title in titles],
                "images": sizes,
                "exactly": [(held or {}).get(value) for value in values],
            },
            disabled=["value", "images"],
            hide_index=True,
            height=220,
            column_config={"exactly": st.column_config.NumberColumn(min_value=0, step=1)},
            key=f"constraint:{turn}:{by}:table",
        )
    numbers: Any = edited["exactly"]
    chosen = {
        value: int(number)
        for value, number in zip(values, numbers, strict=True)
        if number is not None and number == number
    }
    return chosen or None


def _values(view: RunView, by: str) -> tuple[list[str], list[str], list[int]]:
    """The values of a column as the engine writes them, as people read them, and their numbers."""
    from coreset_engine.selection.constraints import column as values_of

    distinct, sizes = np.unique(values_of(view.run, by, "quotas"), return_counts=True)
    values = [str(value) for value in distinct]
    titles = list(values)
    if by == "cluster":
        names = cluster_names(view)
        titles = [names[int(value)] for value in values]
    return values, titles, sizes.tolist()


def _group_controls(view: RunView, held: Mapping[str, Any], turn: int) -> dict[str, Any]:
    names = [NOTHING, *(name for name in quota_columns(view) if name not in ("cluster", "class"))]
    if len(names) == 1:
        return {}
    start = held.get("groups")
    by = st.selectbox(
        "Keep groups whole, by",
        names,
        index=names.index(start) if start in names else 0,
        key=f"constraint:{turn}:groups",
        help="Images with the same value are selected together or not at all.",
    )
    return {} if by == NOTHING else {"groups": by}


def _cost_controls(view: RunView, held: Mapping[str, Any], turn: int) -> dict[str, Any]:
    numeric = [
        str(name)
        for name in view.dataset.columns
        if (cost := column(view, name)) is not None and cost.kind == "number"
    ]
    if not numeric:
        return {}
    left, right = st.columns(2)
    names = [NOTHING, *numeric]
    start = held.get("costs")
    by = left.selectbox(
        "Cost per image, from",
        names,
        index=names.index(start) if start in names else 0,
        key=f"constraint:{turn}:costs",
    )
    budget = right.number_input(
        "Maximum total cost",
        0.0,
        value=float(held.get("budget") or 0.0),
        key=f"constraint:{turn}:budget",
        disabled=by == NOTHING,
    )
    return {} if by == NOTHING or not budget else {"costs": by, "budget": budget}


def _duplicate_controls(held: Mapping[str, Any], turn: int) -> dict[str, Any]:
    start = held.get("near_duplicates")
    left, right = st.columns(2, vertical_alignment="bottom")
    once = left.toggle(
        "Near-duplicates once",
        value=start is not None,
        key=f"constraint:{turn}:once",
        help="At most one of each group of near-duplicates is selected.",
    )
    distance = right.number_input(
        "Cosine distance of near-duplicates",
        0.0,
        2.0,
        value=NEAR if start is None else float(start),
        step=0.005,
        format="%.3f",
        key=f"constraint:{turn}:distance",
        disabled=not once,
    )
    return {"near_duplicates": distance} if once else {}


def _beyond_controls(held: Mapping[str, Any], turn: int) -> dict[str, Any]:
    spec = st.text_input(
        "Select what another dataset lacks",
        value=str(held.get("beyond") or ""),
        key=f"constraint:{turn}:beyond",
        placeholder="for example: /data/last-month",
        help="Images of that dataset count as already selected. Needs a method that places images "
        "relative to each other, such as k-center.",
    )
    return {"beyond": spec.strip()} if spec.strip() else {}


def in_force(view: RunView) -> str:
    """One sentence that names the active constraints; "" where there are none."""
    parts = _phrases(view, session.get("constraints") or {})
    return f"Active: {'; '.join(parts)}." if parts else ""


def _phrases(view: RunView, held: Mapping[str, Any]) -> list[str]:
    parts = [f"only images where {escaped(held['where'], 80)}"] if held.get("where") else []
    for quota in held.get("quotas") or []:
        parts += _quota_phrases(quota)
    if held.get("groups"):
        parts.append(f"groups by {escaped(held['groups'], 40)} whole")
    if held.get("costs"):
        parts.append(f"{escaped(held['costs'], 40)} at most {held['budget']:g} in all")
    if held.get("near_duplicates") is not None:
        parts.append(f"near-duplicates (distance {held['near_duplicates']:g}) once")
    if held.get("beyond"):
        parts.append(f"only what {escaped(session.short_name(held['beyond']), 60)} lacks")
    for name, word in (("must_keep", "always included"), ("never", "excluded")):
        ids = session.get(name) or ()
        if ids:
            parts.append(f"{len(ids):,} {word}")
    return parts


def _quota_phrases(quota: Mapping[str, Any]) -> list[str]:
    by = escaped(quota["by"], 40)
    parts = []
    if quota.get("at_least"):
        parts.append(f"at least {quota['at_least']} of every {by}")
    if quota.get("at_most"):
        parts.append(f"at most {quota['at_most']} of every {by}")
    if quota.get("spread"):
        parts.append(f"{SPREADS[quota['spread']]} of every {by}")
    if quota.get("counts"):
        parts.append(f"exact numbers for {len(quota['counts'])} of {by}")
    return parts


def require_each_cluster() -> None:
    """Ask for at least one image of every cluster, keeping the other constraints."""
    controls.remember()
    held = dict(session.get("constraints") or {})
    quota = dict(next(iter(held.get("quotas") or []), {}))
    if quota.get("by") != "cluster":
        quota = {"by": "cluster"}
    held["quotas"] = [{**quota, "at_least": 1}]
    session.put("constraints", held)
    session.put("forms_turn", session.get("forms_turn", 0) + 1)
