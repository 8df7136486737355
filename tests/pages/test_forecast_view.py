"""The forecast on the Select page: sentences from rows worked out by hand, and never computed."""

from __future__ import annotations

import pytest
from finished import texts

from coreset_engine.core.forecast import Forecast, ForecastRow, Gain
from ui.selection import forecasts, session_selection
from ui.views import forecast


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
    said = texts(open_page("select", method="elfs", prune_rate=0.9))
    assert "**3.0 points below random** (90% interval -4.0 to -2.0)" in said
    assert "worse than random" in said and "k-means medoids" in said.replace("\\", "")


def test_the_best_method_is_one_click_away(open_page, known):
    test = open_page("select", method="elfs", prune_rate=0.9)
    next(b for b in test.button if b.label == "Use the best method").click().run()
    assert test.session_state["state:method"] == "kmedoids"
    assert "**4.0 points above random**" in texts(test)


def test_labels_needed_are_compared_with_random(open_page, known):
    said = forecast.labels_sentence(MADE)
    needed, random = MADE.labels_needed(0.95), MADE.labels_needed(0.95, "random")
    assert f"About {needed.count:,} labelled images" in said
    assert f"random selections need about {random.count:,}" in said
    assert needed.count < random.count


def test_a_gain_whose_interval_holds_zero_is_no_difference(digits):
    said = forecast.gain_sentence("elfs", Gain(0.4, -0.6, 1.4))
    assert "no difference shown" in said and "0.4 points above" in said
    assert "baseline" in forecast.gain_sentence("random", Gain(0.0, 0.0, 0.0))


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
    said = texts(open_page("compare", method="elfs", prune_rate=0.5))
    assert "A is expected **1.5 points above random** (90% interval +0.5 to +2.5)." in said
    assert "B is expected" not in said  # B is random itself


def test_a_reason_names_methods_as_people_read_them():
    said = forecast.in_words(
        "at 0.9062 pruned elfs is expected +8.7 points; kmedoids may be as good"
    )
    assert said == ("Mid-difficulty (ELFS) is expected +8.7 points; k-means medoids may be as good")
