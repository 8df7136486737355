"""The learning curve: power laws are found again, and their gain is worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from coreset_engine.evaluation.learning_curve import expected_gain, fit_power_law, wilson


def test_an_exact_power_law_is_found_again():
    n = np.array([50, 100, 200, 400, 800])
    exponent = 0.55  # on the grid of 0.05 steps
    a, b, c = fit_power_law(n, 0.9 - 2 * n**-exponent)
    assert c[0] == pytest.approx(0.55) and a[0] == pytest.approx(0.9) and b[0] == pytest.approx(2)


def test_a_flat_or_falling_curve_promises_nothing():
    n = np.array([50, 100, 200])
    for curve in ([0.8, 0.8, 0.8], [0.9, 0.8, 0.7]):
        _, b, _ = fit_power_law(n, np.array(curve))
        assert b[0] == pytest.approx(0, abs=1e-9)


def test_no_curve_rises_above_one():
    n = np.array([10, 20, 40, 80])
    a, _, _ = fit_power_law(n, np.array([0.2, 0.5, 0.8, 0.99]))
    assert a[0] <= 1


def test_the_gain_of_judges_that_follow_a_law():
    n = np.array([100, 200, 400])
    judged = 1000
    share = 1 - n**-0.5  # 0.9, 0.9293, 0.95
    right = np.zeros((3, 2, judged), bool)
    for at, part in enumerate(share):
        right[at, :, : round(part * judged)] = True
    found = expected_gain(n, right, 400, 500)
    assert found.mean == pytest.approx(400**-0.5 - 900**-0.5, abs=0.003)
    assert found.low <= found.mean <= found.high
    assert found.high - found.low < 0.03


def test_wilson_by_hand():
    # r = 8 of 10 at 95 %, z = 1.96: (8 + 1.92) / 13.84 -+ 1.96 / 13.84 sqrt(1.6 + 0.96)
    low, high = wilson(8, 10, 0.95)
    assert low == pytest.approx(0.4902, abs=1e-3) and high == pytest.approx(0.9433, abs=1e-3)
    assert wilson(0, 10)[0] == 0 and wilson(10, 10)[1] == 1
