"""Beta on the Labels page, found in two ways: by the paper's search and by the forecast.

The search tests a proxy on held-out pseudo-labels (ELFS 3.4, figure 6), the forecast on surrogate
tasks that are finer than the classes. Both curves are drawn over beta, with that of true labels
where it was requested; either can be applied.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from coreset_engine.core.forecast import Gain
from coreset_engine.core.forecast_rule import Option
from coreset_engine.selection.budget import kept_count
from ui.components import charts
from ui.components.jobs import list_jobs, submit_button
from ui.selection import forecasts
from ui.selection.session_selection import images
from ui.state import session

FORECAST_CURVE = "forecast"


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
    _show_forecast_button(view, prune_rate, score)


def _show_forecast_button(view: session.RunView, prune_rate: float, score: str) -> None:
    """Draw the button that forecasts the values of beta, or the one that applies the best."""
    from coreset_engine.pipeline.forecast_stage import rates_around

    points = forecast_points(view, prune_rate, score)
    if not points:
        full = view.full or view
        trials = [list(one) for one in forecasts.beta_trials(score)]
        submit_button(
            "Forecast β",
            "forecast",
            full,
            key="beta:forecast",
            methods=trials,
            rates=list(rates_around(prune_rate, len(full))),
        )
        return
    best, _ = best_of(points)
    st.button(
        f"Use β = {best:.1%}, by the forecast",
        key="beta:use-forecast",
        on_click=session.rebind,
        args=("beta", best),
    )


def forecast_points(
    view: session.RunView, prune_rate: float, score: str
) -> list[tuple[float, Gain]]:
    """(beta, expected gain over random) by ascending beta; [] where nothing is forecast yet."""
    made = forecasts.known_betas(view, prune_rate, score)
    if made is None or not made.complete:
        return []
    options: list[Option] = [one for one in made.ranking(prune_rate) if "beta" in one.params]
    points = [(float(one.params["beta"]), one.gain) for one in options]
    return sorted(points, key=lambda point: point[0])


def correction(view: session.RunView, prune_rate: float, score: str) -> str:
    """ "corrected by 262 labels", or "without labels"; "" where nothing is forecast yet."""
    made = forecasts.known_betas(view, prune_rate, score)
    return made.correction if made else ""


def best_of(points: list[tuple[float, Gain]]) -> tuple[float, Gain]:
    """The point of highest expected gain; of equal ones the smallest beta."""
    return max(points, key=lambda point: (point[1].gain, -point[0]))


def show_curve(view: session.RunView, prune_rate: float, score: str) -> None:
    """Draw the curves over beta that are finished: of the search, the forecast, and true labels."""
    result = newest_result(view, prune_rate, score)
    points = forecast_points(view, prune_rate, score)
    if result is None and not points:
        return
    kept = kept_count(len(view.full or view), prune_rate)
    figure, data = curves(result, points, f"Choice of β for {images(kept)}")
    charts.show(figure, "beta-curve", data)
    if result is not None:
        st.caption(result_sentence(result))
    if points:
        st.caption(forecast_sentence(points, correction(view, prune_rate, score)))


def curves(
    result: dict[str, Any] | None, points: list[tuple[float, Gain]], title: str
) -> tuple[Any, charts.Columns]:
    """Accuracies of the search, and gains by the forecast on a second axis where both are known."""
    betas = np.array([point["beta"] for point in result["curve"]]) if result else np.empty(0)
    series = _accuracies(result) if result else {}
    figure, _ = charts.lines(
        betas,
        series,
        title=title,
        x_axis="share skipped as hardest (β)",
        y_axis="accuracy",
        dots=True,
    )
    rows: list[tuple[Any, ...]] = [
        (name, beta, value, None, None)
        for name, values in series.items()
        for beta, value in zip(betas.tolist(), values.tolist(), strict=True)
    ]
    figure.update_xaxes(tickformat=".0%")
    figure.update_yaxes(tickformat=".0%")
    if result:
        figure.add_vline(x=result["beta"], line_dash="dash", line_color=charts.current().text)
    if points:
        _add_forecast(figure, points, beside=bool(result))
        rows += [(FORECAST_CURVE, at, one.gain, one.low, one.high) for at, one in points]
    figure.update_layout(showlegend=True)
    names = ("curve", "beta", "value", "low", "high")
    columns = zip(*rows, strict=True)
    return figure, {name: list(column) for name, column in zip(names, columns, strict=True)}


def _accuracies(result: dict[str, Any]) -> dict[str, np.ndarray]:
    series = {"held-out pseudo-labels": np.array([point["accuracy"] for point in result["curve"]])}
    oracle = result.get("oracle")
    if oracle:
        series["true labels"] = np.array([point["accuracy"] for point in oracle["curve"]])
    return series


def _add_forecast(figure: Any, points: list[tuple[float, Gain]], *, beside: bool) -> None:
    """Add the forecast's curve with its 90 % intervals; beside: on an axis at the right."""
    beta = np.array([at for at, _ in points])
    gain, low, high = np.array([(one.gain, one.low, one.high) for _, one in points]).T
    color = charts.category(2)
    figure.add_scatter(
        x=beta,
        y=gain,
        name=FORECAST_CURVE,
        yaxis="y2" if beside else "y",
        mode="lines+markers",
        line=dict(color=color, dash="dot"),
        error_y=dict(type="data", array=high - gain, arrayminus=gain - low, thickness=1, width=3),
    )
    title = "expected points over random"
    if beside:
        text = charts.current().text
        second = dict(overlaying="y", side="right", showgrid=False, tickfont_color=text)
        figure.update_layout(yaxis2=dict(title=f"{title} (forecast)", **second))
    else:
        figure.update_yaxes(title=title, tickformat="+.1f")
    figure.add_vline(x=best_of(points)[0], line_dash="dot", line_color=color)


def forecast_sentence(points: list[tuple[float, Gain]], correction: str) -> str:
    """The forecast's choice, and whether its interval separates it from the others.

    correction: whether labels corrected it, in words.
    """
    beta, gain = best_of(points)
    others = [one for at, one in points if at != beta]
    way = "above" if gain.gain >= 0 else "below"
    sentence = (
        f"Forecast {correction}: β = {beta:.1%}, expected {abs(gain.gain):.1f} points {way} random "
        f"(90% interval {gain.low:+.1f} to {gain.high:+.1f})."
    )
    if others and max(one.high for one in others) > gain.low:
        sentence += " Intervals overlap, so another β may be as good."
    return sentence


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
