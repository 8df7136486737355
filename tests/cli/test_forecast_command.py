"""What the verb `forecast` prints: the table with the best marked, advice in words, labels needed."""

from __future__ import annotations

import pytest

from coreset_engine.cli.commands.forecast import _rates, lines
from coreset_engine.core.errors import BadInput
from coreset_engine.core.forecast import Forecast, ForecastRow


def row(method, rate, gain, share):
    ends = (gain, gain - 1, gain + 1)
    if method == "random":
        ends = (0.0, 0.0, 0.0)
    return ForecastRow(
        method, {}, rate, round(1000 * (1 - rate)), *ends, *ends, share, share - 0.05, share + 0.05
    )


FOUND = Forecast(
    (
        row("random", 0.5, 0, 0.96),
        row("kmedoids", 0.5, 0.5, 0.97),
        row("random", 0.9, 0, 0.8),
        row("kmedoids", 0.9, 3, 0.9),
    ),
    1000,
    safest={"0.5": "kmedoids"},
)


def test_the_best_of_each_rate_is_marked_and_explained():
    text = lines(FOUND)
    table = next(line for line in text if line.startswith("kmedoids"))
    assert "+0.5 (-0.5 to +1.5)*" in table and "+3.0 (+2.0 to +4.0)*" in table
    assert "50 % pruned" in text[1] and "90 % pruned" in text[1]
    assert any("at 90 % pruned kmedoids is expected +3.0" in line for line in text)
    assert any("at 50 % pruned the forecast cannot decide" in line for line in text)


def test_labels_needed_are_given_for_the_advice_and_for_random():
    message = [line for line in lines(FOUND, share=0.9) if "labels" in line and "90 %" in line]
    assert "about 100 labels following this advice" in message[-2]
    assert "labelling at random" in message[-1]


def test_too_few_images_are_said():
    assert "too few" in lines(Forecast((), 7))[0]


def test_rates_are_numbers():
    assert _rates("0.5, 0.9") == [0.5, 0.9] and _rates("") is None
    with pytest.raises(BadInput, match="comma-separated numbers"):
        _rates("half")
