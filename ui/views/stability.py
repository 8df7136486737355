"""How much the coreset depends on chance: inclusion probability over seeds (and encoders)."""

from __future__ import annotations

import numpy as np
import streamlit as st

from coreset_engine.core.counted import counted
from coreset_engine.core.registry import METHODS
from coreset_engine.core.types import Selection
from ui.components import charts
from ui.components.escape import markdown as escaped
from ui.components.forms import row_title
from ui.components.jobs import submit
from ui.selection import session_selection
from ui.state.run_view import RunView


def show_stability(view: RunView, selection: Selection) -> None:
    """Draw what was measured for this selection, and the form that asks for more draws."""
    measured = _measured(view, selection)
    if measured is None:
        st.caption(
            "How often would another seed select the same images? Each draw repeats every random "
            "step with another seed."
        )
    else:
        _show_numbers(measured)
        _show_histogram(measured)
    _show_form(view, selection)


def _show_numbers(measured) -> None:
    sometimes = int(((measured.share > 0) & (measured.share < 1)).sum())
    row = st.container(horizontal=True)
    row.metric(
        "Almost always selected",
        f"{measured.core:,}",
        help="Images selected in at least 95% of the draws.",
        width="content",
    )
    row.metric(
        "Sometimes selected",
        f"{sometimes:,}",
        help="Images selected in some draws but not in all.",
        width="content",
    )
    row.metric(
        "Never selected",
        f"{measured.never:,}",
        help="Images selected in no draw.",
        width="content",
    )
    row.metric(
        "Overlap of two draws",
        f"{measured.agreement:.0%}",
        help="Mean Jaccard index of two draws: images in both over images in either. 100% = "
        "every draw selects the same images.",
        width="content",
    )


def _show_histogram(measured) -> None:
    times = np.rint(measured.share * measured.draws).astype(int)
    counts = np.bincount(times, minlength=measured.draws + 1)[1:]
    figure, data = charts.bars(
        [str(i + 1) for i in range(measured.draws)],
        {"images": counts},
        title="In how many draws an image is selected",
    )
    charts.show(figure, "inclusion", data, height=240)
    st.caption("Also available as a colour on the map and a column of the exported table.")


def _show_form(view: RunView, selection: Selection) -> None:
    removed = float(selection.params["prune_rate"])
    with st.form("inclusion:form", border=False):
        seeds = st.number_input("Draws", 2, 100, 10, key="inclusion:seeds")
        all_encoders = st.checkbox(
            "Also with every other encoder whose embeddings are computed", key="inclusion:encoders"
        )
        if st.form_submit_button("Measure stability"):
            params = dict(
                method=selection.method,
                prune_rate=removed,
                seeds=int(seeds),
                encoders=["computed"] if all_encoders else [],
                method_params=session_selection.method_params(selection.method),
            )
            submit("inclusion", view.spec, {**view.job_params, **params})
    title = escaped(row_title(METHODS, selection.method))
    st.caption(f"Measured for {title}, {counted(len(selection), 'image')}, without pinned images.")


def _measured(view: RunView, selection: Selection):
    from coreset_engine.evaluation.inclusion import of_selection

    return of_selection(view.run, selection) if hasattr(view.run, "store") else None
