"""Answers read from a forecast: interpolation, the rule that says when it cannot decide, labels
needed."""

from __future__ import annotations

import math

import pytest

from coreset_engine.core.errors import BadInput
from coreset_engine.core.forecast import Forecast, ForecastRow
from coreset_engine.core.forecast_rule import Gain, Option, decide, first_reaching, interpolate


def row(method, rate, gain, reach=1.0, share=0.5, **params):
    shares = (share, share - 0.1, share + 0.1)
    mine = (gain, gain - reach, gain + reach)
    other = (-gain, -gain - reach, -gain + reach)
    return ForecastRow(method, params, rate, round(1000 * (1 - rate)), *mine, *other, *shares)


def made(*rows, **about):
    return Forecast(tuple(rows), 1000, **about)


def test_between_rates_gains_are_linear_in_the_logarithm_of_the_share_kept():
    points = [(0.5, Gain(1.0, 0.0, 2.0)), (0.875, Gain(3.0, -2.0, 8.0))]
    middle = interpolate(points, 0.75)  # a quarter kept is half-way from a half to an eighth
    assert (middle.gain, middle.low, middle.high) == pytest.approx((2.0, -1.0, 5.0))
    assert interpolate(points, 0.5).gain == 1.0
    assert interpolate(points, 0.99).gain == 3.0
    assert interpolate(points, 0.0) == Gain(0.0, 0.0, 0.0)
    half = 1 - math.sqrt(0.5)  # half-way, in logarithms, from keeping all to keeping a half
    assert interpolate(points, half).gain == pytest.approx(0.5)


def options(*named):
    return [Option(name, name, {}, Gain(*gain)) for name, gain in named]


def test_the_best_is_taken_where_its_interval_lies_above_zero():
    found = decide(
        options(("kmedoids", (2, 0.5, 3.5)), ("d2", (3, 1, 5)), ("random", (0, 0, 0))), 0.9, "x"
    )
    assert (found.option.name, found.decided) == ("d2", True)
    assert "d2 is expected +3.0 (+1.0 to +5.0) points over random" in found.reason
    assert "kmedoids may be as good" in found.reason


def test_an_interval_that_includes_zero_leaves_the_choice_to_the_safest():
    some = options(("d2", (3, -1, 7)), ("kmedoids", (1, -3, 5)))
    found = decide(some, 0.9, "kmedoids")
    assert (found.option.name, found.decided) == ("kmedoids", False)
    assert "cannot decide" in found.reason and "safest" in found.reason


def test_a_safest_method_expected_below_random_is_not_taken():
    some = options(("d2", (3, -1, 7)), ("kmedoids", (-0.1, -3, 3)))
    assert decide(some, 0.9, "kmedoids").option.name == "d2"
    bad = options(("d2", (-1, -5, 3)), ("kmedoids", (-0.1, -3, 3)))
    found = decide(bad, 0.9, "kmedoids")
    assert (found.option.name, found.decided) == ("random", False)
    assert decide([], 0.9, "kmedoids").option.name == "random"


def test_of_several_safest_methods_the_first_that_was_judged_counts():
    some = options(("d2", (3, -1, 7)), ("kmedoids", (1, -3, 5)))
    assert decide(some, 0.9, "maxherding,kmedoids").option.name == "kmedoids"
    assert decide(some, 0.9, "d2,kmedoids").option.name == "d2"


def test_without_a_usual_safest_it_is_the_highest_low_end():
    some = options(("d2", (3, -2, 8)), ("kmedoids", (2, -1, 5)), ("typiclust", (1, -3, 5)))
    found = decide(some, 0.9, "")
    assert (found.option.name, found.decided) == ("kmedoids", False)
    assert "so the safest is used, kmedoids" in found.reason
    alike = options(("d2", (3, -2, 8)), ("kmedoids", (2, -3, 7)))
    found = decide(alike, 0.9, "")
    assert found.option.name == "d2" and "used anyway, as the safest" in found.reason


def test_equal_gains_are_ordered_by_name():
    some = options(("typiclust", (3, 1, 5)), ("d2", (3, 1, 5)))
    assert decide(some, 0.9, "x").option.name == "d2"
    assert decide(some[::-1], 0.9, "x").option.name == "d2"


def test_a_forecast_answers_at_any_rate_and_for_balanced_classes():
    found = made(
        row("random", 0.5, 0.0, 0.0), row("d2", 0.5, 2.0), row("d2", 0.875, 4.0),
        row("random", 0.875, 0.0, 0.0), row("kmedoids", 0.5, -2.0), row("kmedoids", 0.875, -4.0),
    )  # fmt: skip
    assert found.at("d2", 0.75).gain == pytest.approx(3.0)
    assert found.best(0.75).method == "d2"
    assert found.best(0.75, balanced=True).method == "kmedoids"
    assert found.best(0.75, methods=["kmedoids"]).method == "random"
    assert [one.name for one in found.ranking(0.5)] == ["d2", "random", "kmedoids"]
    assert found.rates == (0.5, 0.875)


def test_a_curve_takes_the_parameters_asked_for_or_the_best():
    found = made(row("elfs", 0.5, 1.0, beta=0.1), row("elfs", 0.5, 2.0, beta=0.3))
    assert found.curve("elfs")[0].params == {"beta": 0.3}
    assert found.curve("elfs", beta=0.1)[0].gain == 1.0
    with pytest.raises(BadInput, match="not in this forecast"):
        found.curve("elfs", beta=0.2)
    with pytest.raises(BadInput, match="not in this forecast"):
        found.curve("d2")


def test_the_count_that_reaches_a_goal_is_linear_in_its_logarithm():
    points = [(10, 0.5), (1000, 0.9), (4000, 1.0)]
    assert first_reaching(points, 0.7) == 100  # half-way in value, half-way in logarithms
    assert first_reaching(points, 0.95) == 2000
    assert first_reaching(points, 0.4) == 10
    assert first_reaching([(10, 0.5), (20, 0.8), (40, 0.6), (80, 1.0)], 0.8) == 57  # it must stay


def test_labels_needed_with_interval():
    found = made(
        row("random", 0.99, 0.0, 0.0, share=0.6), row("random", 0.9, 0.0, 0.0, share=0.8),
    )  # fmt: skip
    need = found.labels_needed(0.8, "random")
    assert (need.count, need.method) == (100, "random")
    assert need.low < need.count < need.high <= 1000
    with pytest.raises(BadInput, match="between 0 and 1"):
        found.labels_needed(1.0)


def test_json_there_and_back():
    found = made(row("elfs", 0.5, 1.0, beta=0.1), safest={"0.5": "kmedoids"})
    again = Forecast.from_json(found.as_json())
    assert again == found
    assert again.as_frame().candidate.tolist() == ["elfs beta=0.1"]
    assert "elfs beta=0.1" in again._repr_html_()


def test_the_safest_is_that_of_the_nearest_rate():
    found = made(row("d2", 0.5, 1.0), safest={"0.5": "d2", "0.95": "kmedoids"})
    assert found.safest_at(0.55) == "d2"
    assert found.safest_at(0.9) == "kmedoids"
