"""The forecast on the Select page: sentences from rows worked out by hand, and never computed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from finished import texts
from sklearn.datasets import load_digits

import coreset_engine as ce
from coreset_engine.artifacts import label_log
from coreset_engine.core.forecast import Forecast, ForecastRow, Gain
from ui.selection import forecasts, session_selection
from ui.state import session
from ui.views import beta_search, forecast, forecast_truth


def row(method, rate, kept, gain, share, params=None):
    return ForecastRow(
        method=method,
        params=params or {},
        prune_rate=rate,
        n_kept=kept,
        gain=gain,
        low=gain - 1,
        high=gain + 1,
        balanced_gain=gain,
        balanced_low=gain - 1,
        balanced_high=gain + 1,
        share=share,
        share_low=share - 0.05,
        share_high=min(1.0, share + 0.05),
    )


MADE = Forecast(
    (
        row("random", 0.5, 200, 0.0, 0.96),
        row("random", 0.9, 40, 0.0, 0.80),
        row("elfs", 0.5, 200, 1.5, 0.98),
        row("elfs", 0.9, 40, -3.0, 0.75),
        row("kmedoids", 0.5, 200, 0.5, 0.97),
        row("kmedoids", 0.9, 40, 4.0, 0.88),
    ),
    400,
    safest={"0.9": "kmedoids"},
)


@pytest.fixture
def known(monkeypatch):
    monkeypatch.setattr(forecasts, "known_forecast", lambda view: MADE)


def test_a_losing_default_is_told_so_with_its_interval(open_page, known):
    message = texts(open_page("select", method="elfs", prune_rate=0.9))
    assert "**3.0 points below random** (90% interval -4.0 to -2.0)" in message
    assert "worse than random" in message and "k-means medoids" in message.replace("\\", "")


def test_the_best_method_is_one_click_away(open_page, known):
    test = open_page("select", method="elfs", prune_rate=0.9)
    next(b for b in test.button if b.label == "Use the best method").click().run()
    assert test.session_state["state:method"] == "kmedoids"
    assert "**4.0 points above random**" in texts(test)


def test_labels_needed_are_compared_with_random(open_page, known):
    message = forecast.labels_sentence(MADE)
    needed, random = MADE.labels_needed(0.95), MADE.labels_needed(0.95, "random")
    assert f"About {needed.count:,} labelled images" in message
    assert f"random selections need about {random.count:,}" in message
    assert needed.count < random.count


def test_a_gain_whose_interval_holds_zero_is_no_difference(digits):
    message = forecast.gain_sentence("elfs", Gain(0.4, -0.6, 1.4))
    assert "no difference shown" in message and "0.4 points above" in message
    assert "baseline" in forecast.gain_sentence("random", Gain(0.0, 0.0, 0.0))


def test_the_page_says_how_many_labels_corrected_the_forecast(open_page, monkeypatch):
    corrected = dataclasses.replace(MADE, n_labels=262)
    monkeypatch.setattr(forecasts, "known_forecast", lambda view: corrected)
    assert "corrected by 262 labels" in texts(open_page("select", method="elfs", prune_rate=0.9))
    assert forecast.correction_sentence(MADE, 262) == (
        "Forecast without labels; it is being corrected by 262 labels."
    )
    assert "50 labels or more correct it" in forecast.correction_sentence(MADE, 0)


def test_pages_find_the_corrected_forecast_once_it_is_computed(tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path))
    data = load_digits()
    np.save(tmp_path / "digits.npy", data.data[:200].astype(np.float32))
    run = ce.Run(ce.open_source(str(tmp_path / "digits.npy")), clusterer="kmeans", n_clusters=10)
    view = session.RunView(str(tmp_path / "digits.npy"), run.dataset, run, run.config)
    ce.forecast(run)
    assert forecasts.known_forecast(view).n_labels == 0 and forecasts.decides(view)
    given = {str(run.dataset.ids[i]): str(data.target[i]) for i in range(60)}
    label_log.add_labels(run.dataset.fingerprint, tmp_path, given)
    assert forecasts.known_forecast(view).n_labels == 0
    assert forecasts.labels_pending(view) == 60 and forecasts.decides(view)
    ce.forecast(run)
    forecasts._known.clear()  # as the job that computes it does, by ending
    assert forecasts.known_forecast(view).n_labels == 60
    assert forecasts.labels_pending(view) == 0


def test_without_a_forecast_the_page_starts_the_job_and_auto_goes_by_the_rule(open_page):
    test = open_page("select", method="auto", prune_rate=0.9)
    assert not test.exception and not test.error
    assert "Being computed" in texts(test), "the page asks for the forecast itself"
    assert "forecast of this dataset is not finished" in texts(test)


def test_a_rule_that_was_chosen_is_left_alone(open_page, monkeypatch):
    open_page("select", method="auto")
    from ui.state import session

    view = session.current_run()
    request = session_selection.SelectionRequest.of("auto", count=40, rule="forecast")
    assert session_selection.settled(view, request) == request
    other = session_selection.SelectionRequest.of("auto", count=40)
    assert dict(session_selection.settled(view, other).params) == {"rule": "measured"}


def test_compare_begins_with_what_is_expected_of_each_side(open_page, known):
    message = texts(open_page("compare", method="elfs", prune_rate=0.5))
    assert "A is expected **1.5 points above random** (90% interval +0.5 to +2.5)." in message
    assert "Forecast without labels." in message
    assert "B is expected" not in message  # B is random itself


def test_a_reason_names_methods_as_people_read_them():
    message = forecast.in_words(
        "at 0.9062 pruned elfs is expected +8.7 points; kmedoids may be as good"
    )
    assert message == (
        "Mid-difficulty (ELFS) is expected +8.7 points; k-means medoids may be as good"
    )


BETAS = Forecast(
    tuple(
        row("elfs", 0.9, 40, gain, 0.8, dict(beta=beta))
        for beta, gain in ((0.0, 1.0), (0.2, 2.5), (0.4, -1.0))
    ),
    400,
)
SEARCHED = dict(
    beta=0.4,
    accuracy=0.7,
    curve=[dict(beta=0.0, accuracy=0.5), dict(beta=0.4, accuracy=0.7)],
    oracle=dict(
        best_beta=0.0,
        lost=0.02,
        curve=[dict(beta=0.0, accuracy=0.66), dict(beta=0.4, accuracy=0.64)],
    ),
)


def test_both_curves_over_beta_and_the_truth_are_drawn():
    points = [(0.0, Gain(1.0, 0.0, 2.0)), (0.2, Gain(2.5, 1.5, 3.5)), (0.4, Gain(-1.0, -2.0, 0.0))]
    figure, data = beta_search.curves(SEARCHED, points, "Choice of β")
    drawn = {trace.name: (list(trace.x), list(trace.y)) for trace in figure.data}
    assert drawn["held-out pseudo-labels"] == ([0.0, 0.4], [0.5, 0.7])
    assert drawn["true labels"] == ([0.0, 0.4], [0.66, 0.64])
    assert drawn[beta_search.FORECAST_CURVE] == ([0.0, 0.2, 0.4], [1.0, 2.5, -1.0])
    assert sorted(shape.x0 for shape in figure.layout.shapes) == [0.2, 0.4]  # forecast, search
    assert len(data["curve"]) == len(data["low"]) == 7
    alone, _ = beta_search.curves(None, points, "Choice of β")
    assert [trace.name for trace in alone.data] == [beta_search.FORECAST_CURVE]
    message = beta_search.forecast_sentence(points, "corrected by 262 labels")
    assert message.startswith("Forecast corrected by 262 labels: ")
    assert (
        "β = 20.0%" in message
        and "2.5 points above random" in message
        and "may be as good" in message
    )


def test_the_beta_of_the_forecast_is_one_click_away(open_page, monkeypatch):
    monkeypatch.setattr(forecasts, "known_betas", lambda view, rate, score: BETAS)
    test = open_page("labels", labels_view="Difficulty", prune_rate=0.9)
    next(b for b in test.button if b.label == "Use β = 20.0%, by the forecast").click().run()
    assert test.session_state["state:beta"] == 0.2


def test_beta_is_forecast_on_demand(open_page):
    test = open_page("labels", labels_view="Difficulty", prune_rate=0.9)
    assert not test.exception
    assert any(b.label == "Forecast β" for b in test.button)


def test_the_score_belongs_to_the_values_tried():
    plain = forecasts.beta_trials("aum")
    assert plain[0] == ("elfs", {"beta": 0.0}) and len(plain) == 6
    assert forecasts.beta_trials("forgetting")[1] == ("elfs", {"beta": 0.1, "score": "forgetting"})


def test_among_some_images_the_page_goes_by_their_number(open_page, known):
    test = open_page("select", method="auto", prune_rate=0.9, constraints={"where": "id>=0"})
    assert not test.exception
    assert "For a filtered subset" in texts(test)


TRAINED = [
    {"method": method, "prune_rate": 0.9, "seed": seed, "accuracy": accuracy}
    for method, both in (
        ("random", (0.70, 0.72)),
        ("elfs", (0.66, 0.70)),  # 4 and 2 points below: -3 on average, as forecast
        ("kmedoids", (0.80, 0.82)),  # 10 above, where 3 to 5 were expected
        ("blindcs", (0.71, 0.73)),  # not forecast
    )
    for seed, accuracy in enumerate(both)
]


def test_the_truth_is_laid_over_the_forecast():
    pairs = forecast_truth.compared(MADE, TRAINED)
    assert [(pair.method, round(pair.measured, 6), pair.inside) for pair in pairs] == [
        ("elfs", -3.0, True),
        ("kmedoids", 10.0, False),
    ]
    assert pairs[0].standard_error == pytest.approx(1.0)  # deviation sqrt(2) over two seeds
    assert "1 of 2 measured differences" in forecast_truth.sentence(pairs)
    figure, data = forecast_truth.chart(pairs)
    assert list(figure.data[1].x) == [-3.0, 4.0]
    assert list(figure.data[1].y) == pytest.approx([-3.0, 10.0])
    assert list(figure.data[1].error_x.array) == [1.0, 1.0] and data["low"] == [-4.0, 3.0]
    auto = [{**row, "method": "auto"} if row["method"] == "kmedoids" else row for row in TRAINED]
    assert {pair.method for pair in forecast_truth.compared(MADE, auto)} == {"auto", "elfs"}


def test_the_compare_page_shows_it_below_an_evaluation(open_page, known, put_job):
    put_job("evaluate", params={"encoder": "efficientnet_lite0"}, result={"rows": TRAINED})
    test = open_page("compare")
    assert not test.exception
    assert "1 of 2 measured differences" in texts(test)
