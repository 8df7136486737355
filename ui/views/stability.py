"""How much of the session's coreset is owed to chance: inclusion over seeds (and encoders), asked
for and shown."""

from __future__ import annotations

import numpy as np
import streamlit as st

from coreset_engine.core.types import Selection
from ui.components import charts
from ui.components.escape import markdown as escaped
from ui.components.jobs import submit
from ui.selection import session_selection
from ui.state.session import RunView


def draw(view: RunView, selection: Selection) -> None:
    """What was measured for this very choice, and the form that asks for (more) draws."""
    found = _measured(view, selection)
    if found is None:
        st.caption(
            "How often would another seed keep the same images? Each draw computes every random step again."
        )
    else:
        sometimes = int(((found.share > 0) & (found.share < 1)).sum())
        row = st.container(horizontal=True)
        for name, value, said in (
            ("Stable core", f"{found.core:,}", "Kept in at least 95 % of the draws."),
            ("Sometimes", f"{sometimes:,}", "Kept in some draws only: coin-flips."),
            ("Never", f"{found.never:,}", "Kept in no draw."),
            (
                "Agreement",
                f"{found.agreement:.2f}",
                "Mean Jaccard index of two draws: 1 = the same images.",
            ),
        ):
            row.metric(name, value, help=said, width="content")
        counts = np.bincount(
            np.rint(found.share * found.draws).astype(int), minlength=found.draws + 1
        )[1:]
        figure, data = charts.bars(
            [str(i + 1) for i in range(found.draws)], {"images": counts}, title="Images by draws"
        )
        charts.show(figure, "inclusion", data, height=240)
        st.caption("A colour on the map, and a column of the exported table.")
    _ask(view, selection)


def _ask(view: RunView, selection: Selection) -> None:
    with st.form("inclusion:form", border=False):
        seeds = st.number_input("Draws", 2, 100, 10, key="inclusion:seeds")
        others = st.checkbox(
            "Also over every encoder whose vectors are computed", key="inclusion:encoders"
        )
        if st.form_submit_button("Measure stability"):
            params = dict(
                method=selection.method,
                prune_rate=float(selection.params["prune_rate"]),
                seeds=int(seeds),
                encoders=["computed"] if others else [],
                method_params=session_selection.method_params(selection.method),
            )
            submit("inclusion", view.spec, {**view.job_params, **params})
    st.caption(
        f"Of {escaped(selection.method)} at {selection.params['prune_rate']:.1%} removed, without pins."
    )


def _measured(view: RunView, selection: Selection):
    from coreset_engine.evaluation.inclusion import of_selection

    return of_selection(view.run, selection) if hasattr(view.run, "store") else None
