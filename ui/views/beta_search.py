"""The search for beta on the Labels page: ask for it, see its curve (ELFS figure 6), take what it
found."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from ui.components import charts
from ui.components.jobs import list_jobs, submit_button
from ui.state import session


def show_search(view: session.RunView, prune_rate: float, score: str) -> None:
    """The button, and the button that moves the slider to what the last search at this rate
    found."""
    st.caption(
        "Beta can be found without labels: the proxy is trained on coresets and judged on held-out "
        "pseudo-labels (ELFS 3.4)."
    )
    truth = view.dataset.labels is not None and st.toggle(
        "Judge by true labels too",
        key="beta:oracle",
        help="Figure 6b: a second curve, measured after the choice is made. It changes nothing in the choice.",
    )
    asked = {"prune_rate": prune_rate, "score": score} | ({"oracle": True} if truth else {})
    submit_button("Search beta", "beta", view, **asked)
    found = last(view, prune_rate, score)
    if found is not None:
        st.button(
            f"Use beta {found['beta']:g}",
            key="beta:use",
            on_click=session.rebind,
            args=("beta", found["beta"]),
        )


def show_curve(view: session.RunView, prune_rate: float, score: str) -> None:
    """Held-out accuracy over beta, and what people's labels would have said where they were
    asked."""
    found = last(view, prune_rate, score)
    if found is None:
        return
    betas = np.array([point["beta"] for point in found["curve"]])
    series = {"held-out pseudo-labels": np.array([point["accuracy"] for point in found["curve"]])}
    oracle = found.get("oracle")
    if oracle:
        series["true labels"] = np.array([point["accuracy"] for point in oracle["curve"]])
    figure, data = charts.lines(
        betas,
        series,
        title=f"Beta at p = {prune_rate:g}, found without labels",
        x_axis="beta",
        y_axis="accuracy",
        dots=True,
    )
    figure.update_yaxes(tickformat=".0%")
    figure.add_vline(x=found["beta"], line_dash="dash", line_color=charts.current().text)
    charts.show(figure, "beta-curve", data)
    st.caption(sentence(found))


def sentence(found: dict[str, Any]) -> str:
    """What was chosen, and what the choice cost where that is known."""
    said = f"Best: beta = {found['beta']:g}, {found['accuracy']:.1%} of held-out pseudo-labels named right."
    oracle = found.get("oracle")
    if oracle:
        said += (
            f" True labels would have chosen {oracle['best_beta']:g}; the choice without them lost "
            f"{100 * oracle['lost']:.1f} points."
        )
    return said


def last(view: session.RunView, prune_rate: float, score: str) -> dict[str, Any] | None:
    """The newest finished search at this rate on this score of this very run, its corrections
    counted."""
    for job in list_jobs():
        found = job.result or {}
        if (
            job.kind == "beta"
            and found.get("curve")
            and found.get("score") == score
            and found.get("dynamics") == view.key_of("dynamics")
            and abs(found["prune_rate"] - prune_rate) < 1e-9
        ):
            return found
    return None
