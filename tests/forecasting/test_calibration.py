"""From judged to expected gains: the arithmetic, worked by hand."""

from __future__ import annotations

import math

import pytest

from coreset_engine.core.forecast_rule import log_keep_ratio
from coreset_engine.forecasting import calibration
from coreset_engine.forecasting.calibration import (
    Constants,
    constants_at,
    expected_gain,
    expected_share,
)

TABLE = (
    Constants(0.5, 0.4, 1.0, 0.2, 2.0, 0.5, 0.01, 0.6, 0.8, 0.5, 1.5),
    Constants(0.875, 0.8, 3.0, 0.6, 4.0, 0.7, 0.03, 0.6, 0.8, 0.5, 1.5),
)


def test_constants_are_linear_in_the_logarithm_of_the_share_kept():
    middle = constants_at(0.75, TABLE)  # a quarter kept lies half-way between a half and an eighth
    assert middle.slope == pytest.approx(0.6)
    assert middle.spread == pytest.approx(2.0)
    assert middle.balanced_slope == pytest.approx(0.4)
    assert middle.power == pytest.approx(0.6)
    assert constants_at(0.1, TABLE).slope == 0.4
    assert constants_at(0.99, TABLE).spread == 3.0


def test_a_gain_is_slope_times_judged_within_1645_spreads():
    for rate in (0.5, 0.9):
        own = constants_at(rate)
        found = calibration.expected_gain(2.0, rate)
        assert found.gain == pytest.approx(2 * own.slope)
        assert found.high - found.gain == pytest.approx(1.645 * own.spread)
        assert found.gain - found.low == pytest.approx(1.645 * own.spread)
        even = calibration.expected_gain(2.0, rate, balanced=True)
        assert even.gain == pytest.approx(2 * own.balanced_slope)


def test_a_share_is_a_power_of_the_judged_share_and_never_above_one():
    own = constants_at(0.9)
    found = expected_share(0.64, 0.9)
    assert found.gain == pytest.approx(0.64**own.power)
    assert found.low == pytest.approx(found.gain * math.exp(-1.645 * own.power_spread))
    assert expected_share(1.2, 0.9).high == 1.0


def test_the_table_covers_its_rates_in_order():
    positions = [log_keep_ratio(one.prune_rate) for one in calibration.CONSTANTS]
    assert positions == sorted(positions)
    for one in calibration.CONSTANTS:
        assert one.slope > 0 and one.spread > 0 and one.power > 0


def test_given_labels_are_averaged_with_the_surrogate_tasks():
    # (0.4 x 5 + 0.6 x 3) / 2 = 1.9, +- 1.645 x 0.8; balanced: (0.2 x 5 + 0.5 x 3) / 2 = 1.25.
    gain = expected_gain(5.0, 0.5, table=TABLE, by_labels=3.0)
    assert gain.gain == pytest.approx(1.9) and gain.high == pytest.approx(1.9 + 1.645 * 0.8)
    even = expected_gain(5.0, 0.5, True, TABLE, by_labels=3.0)
    assert even.gain == pytest.approx(1.25) and even.low == pytest.approx(1.25 - 1.645 * 1.5)
