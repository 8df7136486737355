"""The truth laid over the forecast: measured differences to random beside the expected ones.

Each point is one method at one pruning rate that was both forecast and trained on; the sentence
says how many lie inside their 90 % interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from coreset_engine.core.errors import CoresetError
from coreset_engine.core.forecast import Forecast, Gain
from coreset_engine.core.registry import BASELINE, DEFAULT_METHOD, METHODS
from ui.components import charts
from ui.components.forms import row_title
from ui.selection import forecasts
from ui.state.run_view import RunView


@dataclass(frozen=True)
class Comparison:
    """One method at one rate: the forecast, and the mean paired difference to random in points.

    standard_error: standard error over seeds; 0 for one seed.
    """

    method: str
    prune_rate: float
    expected: Gain
    measured: float
    standard_error: float

    @property
    def inside(self) -> bool:
        """Whether the measured difference lies in the forecast's interval."""
        return self.expected.low <= self.measured <= self.expected.high


def show_truth(view: RunView, rows: Sequence[dict[str, Any]]) -> None:
    """Draw what was measured over what was forecast; nothing where no cell has both."""
    forecast = forecasts.known_forecast(view)
    if forecast is None:
        return
    pairs = compared(forecast, rows)
    if not pairs:
        return
    figure, data = chart(pairs)
    st.markdown(f"{sentence(pairs)} Forecast {forecast.correction}.")
    charts.show(figure, "forecast-truth", data)


def compared(forecast: Forecast, rows: Sequence[dict[str, Any]]) -> list[Comparison]:
    """Every method and rate with a forecast and at least one seed that has random's accuracy.

    rows: one training each, with method, prune_rate, seed and accuracy.
    """
    accuracy = {
        (row["method"], row["prune_rate"], row["seed"]): row["accuracy"]
        for row in rows
        if row.get("accuracy") is not None
    }
    gaps: dict[tuple[str, float], list[float]] = {}
    for (method, rate, seed), value in accuracy.items():
        base = accuracy.get((BASELINE, rate, seed))
        if method != BASELINE and base is not None:
            gaps.setdefault((method, rate), []).append(100 * (value - base))
    made = []
    for (method, rate), differences in sorted(gaps.items()):
        expected = _expected(forecast, method, rate)
        if expected is not None:
            n = len(differences)
            error = float(np.std(differences, ddof=1) / np.sqrt(n)) if n > 1 else 0.0
            made.append(Comparison(method, rate, expected, float(np.mean(differences)), error))
    return made


def _expected(forecast: Forecast, method: str, rate: float) -> Gain | None:
    """The forecast of a method, or of what `auto` takes; None where it does not know it."""
    if METHODS[method].name == DEFAULT_METHOD:
        advice = forecast.best(rate)
        return Gain(advice.gain, advice.low, advice.high)
    try:
        return forecast.at(method, rate)
    except CoresetError:
        return None


def sentence(pairs: Sequence[Comparison]) -> str:
    """How many measured differences lie inside their intervals."""
    inside = sum(pair.inside for pair in pairs)
    return (
        f"Forecast and measurement: {inside} of {len(pairs)} measured differences to random lie "
        "inside "
        "the forecast's 90% interval."
    )


def chart(pairs: Sequence[Comparison]) -> tuple[Any, charts.Columns]:
    """Measured over expected differences with their intervals, and the line where both agree."""
    expected = np.array([pair.expected.gain for pair in pairs])
    low = np.array([pair.expected.low for pair in pairs])
    high = np.array([pair.expected.high for pair in pairs])
    measured = np.array([pair.measured for pair in pairs])
    names = [f"{row_title(METHODS, pair.method)}, {pair.prune_rate:.1%}" for pair in pairs]
    ends = [float(min(low.min(), measured.min())), float(max(high.max(), measured.max()))]
    figure, _ = charts.lines(
        np.array(ends),
        {"both agree": np.array(ends)},
        title="Forecast and measurement",
        x_axis="expected points over random",
        y_axis="measured points over random",
    )
    figure.add_scatter(
        x=expected,
        y=measured,
        text=[charts.safe(name) for name in names],
        name="measured",
        mode="markers",
        marker_color=charts.category(1),
        error_x=dict(type="data", array=high - expected, arrayminus=expected - low, thickness=1),
        error_y=dict(type="data", array=[pair.standard_error for pair in pairs], thickness=1),
    )
    columns = {
        "method": [pair.method for pair in pairs],
        "pruned": [pair.prune_rate for pair in pairs],
        "expected": expected.tolist(),
        "low": low.tolist(),
        "high": high.tolist(),
        "measured": measured.tolist(),
    }
    return figure, columns
