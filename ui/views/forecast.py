"""The forecast beside random on the Select page: a sentence, the curves, and the labels needed.

It is drawn from finished cells; a job makes them, and the curve grows while it runs.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import streamlit as st

from coreset_engine.core.counted import counted
from coreset_engine.core.errors import CoresetError
from coreset_engine.core.forecast import Advice, Forecast, Gain
from coreset_engine.core.registry import BASELINE, METHODS
from coreset_engine.core.types import Selection
from coreset_engine.pipeline.forecast_labels import FEWEST_LABELS
from ui.components import charts
from ui.components.escape import markdown as escaped
from ui.components.forms import row_title
from ui.components.jobs import submit_button
from ui.selection import forecasts, session_selection
from ui.state import session
from ui.state.run_view import RunView

SHARE = 0.95  # of the accuracy with all labels, for "labels needed"


def show_forecast(view: RunView, selection: Selection) -> None:
    """Draw what the selection is expected to be worth, or the button that computes it."""
    forecast = forecasts.known_forecast(view)
    computing = forecasts.being_computed(view.full or view)
    if not computing and session_selection.goes_by_measured_rule(view, session.get("method")):
        forecasts.start_once(view)
    pending = forecasts.labels_pending(view)
    if pending and not computing:
        forecasts.start_once(view)
    if computing:
        st.caption("Being computed; the sentences and the curve follow.")
    if forecast is None:
        if not computing:
            st.caption(
                "How accurate a model trained on this selection would be beside a random one, "
                "estimated without labels. Takes seconds to a minute, in the background."
            )
            submit_button("Compute the forecast", "forecast", view.full or view)
        return
    method, params = forecasts.method_of(selection)
    prune_rate = session.get("prune_rate")
    try:
        curve = forecast.curve(method, **params)
        gain = forecast.at(method, prune_rate, **params)
    except CoresetError:
        _not_judged(view, method)
        _say_best(forecast, "", prune_rate)
        return
    st.markdown(gain_sentence(method, gain))
    st.caption(correction_sentence(forecast, pending))
    _say_best(forecast, method, prune_rate)
    _show_curves(forecast, method, curve, kept_in_all(view, prune_rate))
    st.caption(labels_sentence(forecast))


def kept_in_all(view: RunView, prune_rate: float) -> int:
    """Images kept of the whole dataset."""
    from coreset_engine.selection.budget import kept_count

    return kept_count(len(view.full or view), prune_rate)


def gain_sentence(method: str, gain: Gain) -> str:
    """Expected gain over random in points, with its interval, and a badge."""
    if method == BASELINE:
        return "This is a random selection: the baseline that every method must beat."
    way = "above" if gain.gain >= 0 else "below"
    badge = ":gray-badge[no difference shown]"
    if gain.low > 0:
        badge = ":green-badge[better than random]"
    elif gain.high < 0:
        badge = ":orange-badge[worse than random]"
    return (
        f"{badge} {escaped(row_title(METHODS, method))} is expected "
        f"**{abs(gain.gain):.1f} points {way} random** (90% interval {gain.low:+.1f} to "
        f"{gain.high:+.1f})."
    )


def correction_sentence(forecast: Forecast, pending: int) -> str:
    """Whether labels corrected the forecast; pending: labels that do not yet."""
    if forecast.n_labels:
        return f"Forecast {forecast.correction}."
    if pending:
        return f"Forecast without labels; it is being corrected by {counted(pending, 'label')}."
    return f"Forecast without labels; {FEWEST_LABELS} labels or more correct it."


def _say_best(forecast: Forecast, method: str, prune_rate: float) -> None:
    advice = forecast.best(prune_rate)
    if advice.method == method:
        st.caption("No other method is shown to be better at this number of images.")
        return
    words, button = st.columns([4, 2], vertical_alignment="center")
    title = escaped(row_title(METHODS, advice.method))
    words.caption(f"Best at this number of images: **{title}**. {_reason(advice)}.")
    button.button(
        "Use the best method",
        key="forecast:use",
        width="stretch",
        on_click=_use,
        args=(advice.method, dict(advice.params)),
    )


def _reason(advice: Advice) -> str:
    return escaped(in_words(str(advice.reason)), 400)


def in_words(reason: str) -> str:
    """The engine's reason as people read it: titles of methods, and no repeated pruning rate."""
    text = re.sub(r"^at [0-9.]+ ?%? pruned ", "", reason)
    for name in sorted(set(METHODS) - {BASELINE}, key=len, reverse=True):
        text = re.sub(rf"(?<![\w(]){name}(?![\w)])", METHODS[name].title, text)
    return text[:1].upper() + text[1:]


def _use(method: str, params: dict[str, Any]) -> None:
    from ui.selection import controls

    controls.remember()
    session.rebind("method", method)
    if params:
        held = {name: value for name, value in (session.get("params") or {}).items()}
        session.put("params", {**held, method: params})


def _not_judged(view: RunView, method: str) -> None:
    title = escaped(row_title(METHODS, method))
    st.caption(f"{title} is not part of the forecast yet.")
    submit_button("Add it to the forecast", "forecast", view.full or view, methods=[method])


def labels_sentence(forecast: Forecast) -> str:
    """How many labels reach most of the accuracy that labels for all images would give."""
    needed = forecast.labels_needed(SHARE)
    random = forecast.labels_needed(SHARE, BASELINE)
    return (
        f"About {needed.count:,} labelled images ({needed.low:,} to {needed.high:,}) reach "
        f"{SHARE:.0%} of the accuracy that labels for all {forecast.n_images:,} would give; random "
        f"selections need about {random.count:,}."
    )


def _show_curves(forecast: Forecast, method: str, curve: list[Any], kept: int) -> None:
    series = {}
    if method != BASELINE:
        series[row_title(METHODS, method)] = _points(curve)
    series[row_title(METHODS, BASELINE)] = _points(forecast.curve(BASELINE))
    figure, data = charts.interval_curves(
        series,
        title="Expected accuracy, with 90% intervals",
        x_axis="images kept",
        y_axis="share of full accuracy",
        at=kept,
    )
    charts.show(figure, "forecast", data, height=280)


def _points(rows: list[Any]) -> np.ndarray:
    """(R, 4): images kept, share, low, high, by ascending number of images."""
    points = [(row.n_kept, row.share, row.share_low, row.share_high) for row in rows]
    return np.array(sorted(points), float).reshape(-1, 4)
