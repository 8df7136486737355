"""The search for beta on the Labels page: start it, see its curve (ELFS figure 6), apply it."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from ui.components import charts
from ui.components.jobs import list_jobs, submit_button
from ui.state import session


def show_search(view: session.RunView, prune_rate: float, score: str) -> None:
    """Draw the button that starts a search, and the one that applies the newest result."""
    st.caption(
        "β can be found without labels: a proxy model is trained on coresets with different β and "
        "tested on held-out pseudo-labels (ELFS 3.4)."
    )
    truth = view.dataset.labels is not None and st.toggle(
        "Also test on true labels",
        key="beta:oracle",
        help="Adds a second curve (ELFS figure 6b). It does not influence which β is found.",
    )
    params: dict[str, Any] = {"prune_rate": prune_rate, "score": score}
    if truth:
        params["oracle"] = True
    submit_button("Search β", "beta", view, **params)
    result = newest_result(view, prune_rate, score)
    if result is not None:
        st.button(
            f"Use β = {result['beta']:.1%}",
            key="beta:use",
            on_click=session.rebind,
            args=("beta", result["beta"]),
        )


def show_curve(view: session.RunView, prune_rate: float, score: str) -> None:
    """Draw accuracy over beta on held-out pseudo-labels, and on true labels where asked for."""
    result = newest_result(view, prune_rate, score)
    if result is None:
        return
    betas = np.array([point["beta"] for point in result["curve"]])
    series = {"held-out pseudo-labels": np.array([point["accuracy"] for point in result["curve"]])}
    oracle = result.get("oracle")
    if oracle:
        series["true labels"] = np.array([point["accuracy"] for point in oracle["curve"]])
    figure, data = charts.lines(
        betas,
        series,
        title=f"Search for β with {prune_rate:.1%} removed",
        x_axis="share skipped as hardest (β)",
        y_axis="accuracy",
        dots=True,
    )
    figure.update_xaxes(tickformat=".0%")
    figure.update_yaxes(tickformat=".0%")
    figure.add_vline(x=result["beta"], line_dash="dash", line_color=charts.current().text)
    charts.show(figure, "beta-curve", data)
    st.caption(result_sentence(result))


def result_sentence(result: dict[str, Any]) -> str:
    """What was found, and what it costs compared with true labels where that is known."""
    sentence = (
        f"Best: β = {result['beta']:.1%}; {result['accuracy']:.1%} of the held-out pseudo-labels "
        "were predicted correctly."
    )
    oracle = result.get("oracle")
    if oracle:
        sentence += (
            f" With true labels it would be β = {oracle['best_beta']:.1%}, "
            f"{100 * oracle['lost']:.1f} points better."
        )
    return sentence


def newest_result(view: session.RunView, prune_rate: float, score: str) -> dict[str, Any] | None:
    """The newest finished search of this run at this rate on this score, corrections included."""
    for job in list_jobs():
        result = job.result or {}
        if (
            job.kind == "beta"
            and result.get("curve")
            and result.get("score") == score
            and result.get("dynamics") == view.key_of("dynamics")
            and abs(result["prune_rate"] - prune_rate) < 1e-9
        ):
            return result
    return None
