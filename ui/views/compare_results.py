"""What two selections are worth: the answer in one sentence, and the table of measurements.

Accuracies come from trainings in which everything random was drawn again for each seed; the
difference of two methods is paired by seed and has Student's t interval. Differences are in points,
hundredths of accuracy.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from coreset_engine.core.errors import CoresetError
from coreset_engine.core.registry import BASELINE
from coreset_engine.core.types import Selection
from coreset_engine.evaluation.paired import PairedTest, paired_test
from ui.components.escape import markdown as escaped
from ui.components.jobs import ACTIVE, list_jobs, submit
from ui.map.colour_columns import format_number
from ui.selection import forecasts
from ui.state.run_view import RunView
from ui.views import certificate, evaluate
from ui.views.compare import Side

SEEDS = 5
# Field of the certificate -> whether a larger value is better; balance and energy by nearness.
HIGHER_IS_BETTER = {"balance": True, "vendi_score": True}


@dataclass(frozen=True)
class Pair:
    """The two sides and their selections."""

    side_a: Side
    side_b: Side
    a: Selection
    b: Selection


@dataclass(frozen=True)
class Measured:
    """The paired difference of two sides in test accuracy, and how it was measured.

    test: A less B, in accuracy. tested_on: test images, 0 where it is not known. truth: whether
    accuracy is on true labels.
    """

    test: PairedTest
    tested_on: int
    truth: bool


def show_answer(view: RunView, pair: Pair) -> None:
    """Draw the answer in a sentence, and the button that measures it."""
    sentence = expected_sentence(view, pair)
    if sentence:
        st.markdown(sentence)
    result = measured(view, pair)
    if result is not None:
        badge = {
            "better": ":green-badge[A is better]",
            "worse": ":orange-badge[B is better]",
        }.get(result.test.verdict, ":gray-badge[no difference shown]")
        st.markdown(f"{badge} {measured_sentence(result)}")
        return
    if same_training(pair):
        st.markdown("Both sides train the same models: nothing to measure between them.")
        return
    left, right = st.columns([3, 1], vertical_alignment="center")
    if training(view):
        left.markdown("**Measuring.** The answer appears here when the trainings are done.")
        return
    left.markdown(
        f"**Not measured yet.** {SEEDS} trainings of a linear model on each side, and on random "
        f"selections, tell which is better. {evaluate.held_out(view)}"
    )
    if right.button("Train on both", type="primary", width="stretch"):
        submit("evaluate", view.spec, {**view.job_params, **job_params(pair)})


def expected_sentence(view: RunView, pair: Pair) -> str:
    """What the forecast expects of both sides beside random; "" where it does not know them."""
    forecast = forecasts.known_forecast(view)
    if forecast is None:
        return ""
    gains = {}
    for name, side, chosen in (("A", pair.side_a, pair.a), ("B", pair.side_b, pair.b)):
        method, params = forecasts.method_of(chosen)
        try:
            gains[name] = (method, forecast.at(method, side.prune_rate, **params))
        except CoresetError:
            return ""
    parts = [
        f"{name} is expected **{abs(gain.gain):.1f} points {'above' if gain.gain >= 0 else 'below'}"
        f" random** (90% interval {gain.low:+.1f} to {gain.high:+.1f}"
        f"{', so no difference is shown' if gain.low <= 0 <= gain.high else ''})"
        for name, (method, gain) in gains.items()
        if method != BASELINE
    ]
    return f"{'; '.join(parts)}. Forecast {forecast.correction}." if parts else ""


def job_params(pair: Pair) -> dict[str, Any]:
    """Parameters of the job that trains on both sides and on random."""
    sides = (pair.side_a, pair.side_b)
    methods = dict.fromkeys([BASELINE, *(side.method for side in sides)])
    return {
        "methods": list(methods),
        "prune_rates": sorted({round(side.prune_rate, 9) for side in sides}),
        "seeds": SEEDS,
        "model": "linear",
        "method_params": {side.method: side.params for side in reversed(sides) if side.params},
    }


def same_training(pair: Pair) -> bool:
    """Whether both sides stand for the same method and number of images."""
    a = pair.side_a
    b = pair.side_b
    return a.method == b.method and abs(a.prune_rate - b.prune_rate) < 1e-6


def training(view: RunView) -> bool:
    """Whether a training of this run is queued or running."""
    return any(
        job.kind == "evaluate" and job.status in ACTIVE and evaluate.same_run(job, view)
        for job in list_jobs()
    )


def measured(view: RunView, pair: Pair) -> Measured | None:
    """The newest measurement with both sides; None where there is none.

    Pinned images and constraints were not part of it.
    """
    for job in list_jobs():
        if job.kind != "evaluate" or not evaluate.same_run(job, view):
            continue
        result = job.result or {}
        rows = result.get("rows") or []
        a, b = (accuracies(rows, side) for side in (pair.side_a, pair.side_b))
        shared = sorted(set(a) & set(b))
        if shared:
            test = paired_test([a[seed] - b[seed] for seed in shared])
            truth = rows[0].get("labels") != "pseudo"
            return Measured(test, int(result.get("tested_on") or 0), truth)
    return None


def accuracies(rows: Sequence[Mapping[str, Any]], side: Side) -> dict[int, float]:
    """Seed -> accuracy of the side's method at its number of images."""
    return {
        row["seed"]: row["accuracy"]
        for row in rows
        if row["method"] == side.method
        and abs(row["prune_rate"] - side.prune_rate) < 1e-6
        and row.get("accuracy") is not None
    }


def measured_sentence(result: Measured) -> str:
    """For example "Measured: A is 1.8 points above B (95% interval +1.2 to +2.4, n = 5 seeds)"."""
    test = result.test
    way = "above" if test.mean >= 0 else "below"
    difference = f"A is **{abs(100 * test.mean):.1f} points {way} B**"
    where = f", {result.tested_on:,} test images" if result.tested_on else ""
    what = "" if result.truth else " (agreement with clusters: there are no true labels)"
    if test.n < 2:
        return (
            f"Measured: {difference}{what} in one training{where}; one says nothing about chance."
        )
    interval = f"95% interval {100 * test.low:+.1f} to {100 * test.high:+.1f}"
    outcome = "not significant" if test.verdict == "undecided" else "significant"
    return f"Measured: {difference}{what} ({interval}, n = {test.n} seeds{where}): {outcome}."


def show_table(view: RunView, pair: Pair) -> None:
    """Draw accuracy and coverage of both sides with the difference and which is better."""
    rows = accuracy_rows(view, pair)
    quick = certificate.is_quick(view, pair.a) and certificate.is_quick(view, pair.b)
    if quick or st.button("Measure coverage of both"):
        rows += coverage_rows(view, pair)
    if rows:
        st.subheader("Measurements", anchor=False)
        st.table(rows, hide_index=True, border="horizontal")
        st.caption(f"A: {escaped(pair.side_a.describe())}. B: {escaped(pair.side_b.describe())}.")


def accuracy_rows(view: RunView, pair: Pair) -> list[dict[str, str]]:
    """The row of test accuracies, in points of a hundred; none where nothing was measured."""
    for job in list_jobs():
        if job.kind != "evaluate" or not evaluate.same_run(job, view):
            continue
        rows = (job.result or {}).get("rows") or []
        a, b = (accuracies(rows, side) for side in (pair.side_a, pair.side_b))
        if a or b:
            return [_accuracy_row(list(a.values()), list(b.values()))]
    return []


def _accuracy_row(a: Sequence[float], b: Sequence[float]) -> dict[str, str]:
    mean_a, mean_b = (sum(v) / len(v) if v else math.nan for v in (a, b))
    return _row(
        "Test accuracy (higher is better)",
        (mean_a, mean_b),
        ("not measured" if math.isnan(mean) else f"{100 * mean:.1f}" for mean in (mean_a, mean_b)),
        f"{100 * (mean_a - mean_b):+.1f} points",
        higher=True,
    )


def coverage_rows(view: RunView, pair: Pair) -> list[dict[str, str]]:
    """One row per measurement of the certificate."""
    of_a = dataclasses.asdict(certificate.certificate_of(view, pair.a))
    of_b = dataclasses.asdict(certificate.certificate_of(view, pair.b))
    return [
        _row(
            title,
            (of_a[name], of_b[name]),
            (format_number(float(value)) for value in (of_a[name], of_b[name])),
            format_signed(float(of_a[name]) - float(of_b[name])),
            higher=HIGHER_IS_BETTER.get(name, False),
        )
        for name, title in certificate.MEASURES.items()
        if not math.isnan(of_a[name]) and not math.isnan(of_b[name])
    ]


def format_signed(value: float) -> str:
    """Three significant digits with a sign; "0" for no difference."""
    return "0" if value == 0 else f"{value:+.3g}"


def _row(title: str, values, texts, difference: str, *, higher: bool) -> dict[str, str]:
    a, b = values
    shown_a, shown_b = texts
    if math.isnan(a) or math.isnan(b):
        return {"": title, "A": shown_a, "B": shown_b, "A − B": "", "Better": ""}
    better = "A" if (a > b) == higher else "B"
    if a == b:
        better = "equal"
    return {"": title, "A": shown_a, "B": shown_b, "A − B": difference, "Better": better}
