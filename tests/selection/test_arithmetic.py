"""Counts, the double-end window and eq. 10: the papers' own numbers, borders, and properties over
all inputs."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreset_engine.core.errors import BadInput
from coreset_engine.selection.budget import (
    Budget,
    cut_count,
    double_end,
    kept_count,
    largest_rate,
    loss_weights,
    window,
)
from coreset_engine.selection.ranks import hardness_rank

TABLE_2 = {
    1_281_167: (896_817, 640_584, 384_350, 256_233, 128_117),
    50_000: (35_000, 25_000, 15_000, 10_000, 5_000),
    21_600: (15_120, 10_800, 6_480, 4_320, 2_160),
    10_800: (7_560, 5_400, 3_240, 2_160, 1_080),
    5_400: (3_780, 2_700, 1_620, 1_080, 540),
    2_700: (1_890, 1_350, 810, 540, 270),
}


@pytest.mark.parametrize("n", TABLE_2)
def test_sizes_of_blindcs_table_2(n):
    assert tuple(kept_count(n, p) for p in (0.3, 0.5, 0.7, 0.8, 0.9)) == TABLE_2[n]


def test_borders_of_the_count():
    assert kept_count(7, 0) == kept_count(7, 0.0) == 7
    assert kept_count(5, 0.5) == 3 and kept_count(15, 0.9) == 2, "halves round up"
    assert kept_count(10, 0.999) == 1 and kept_count(1, 0.99) == 1, "never fewer than one"
    assert kept_count(60_000, np.float64(0.9)) == kept_count(60_000, "0.9") == 6000


@pytest.mark.parametrize("p", [1, 1.0, 1.5, -0.1, float("nan"), float("inf"), None, "much"])
def test_bad_rates_are_refused(p):
    with pytest.raises(BadInput, match="prune_rate"):
        kept_count(100, p)


@given(st.integers(1, 2_000_000), st.integers(0, 9_999))
def test_count_is_exact_for_any_written_rate(n, steps):
    rate = steps / 10_000
    exact = (1 - Fraction(steps, 10_000)) * n
    kept = kept_count(n, rate)
    assert kept >= 1 and (kept == 1 or abs(kept - exact) <= Fraction(1, 2))
    assert kept != exact - Fraction(1, 2) or kept == 1


def test_double_end_at_its_borders():
    aum = np.array([0.5, -1.0, 2.0, 0.0, 1.0, 3.0, -2.0, 0.25, 4.0, 5.0])
    assert double_end(aum, 0.6, 0.0).tolist() == [6, 1, 3, 7]
    assert double_end(aum, 0.6, 0.6).tolist() == [2, 5, 8, 9], "beta N + k = N keeps the easiest k"
    assert double_end(aum, 0.9, 0.9).tolist() == [9]
    assert double_end(aum, 0.0, 0.0).tolist() == np.argsort(aum).tolist()
    with pytest.raises(BadInput, match="beta=0.7 drops 7 of 10.*beta <= 0.6"):
        double_end(aum, 0.6, 0.7)
    with pytest.raises(BadInput, match="NaN"):
        double_end(np.array([1.0, np.nan]), 0.5, 0.0)


def test_ties_go_by_position():
    assert double_end(np.zeros(6), 0.5, 1 / 6).tolist() == [1, 2, 3]


@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=60), st.integers(0, 99), st.integers(0, 99)
)
def test_double_end_is_the_window_of_ranks(values, p, b):
    aum = np.array(values, float)
    rate = p / 100
    beta = b / 100
    n = len(aum)
    if cut_count(n, beta) + kept_count(n, rate) > n:
        with pytest.raises(BadInput):
            double_end(aum, rate, beta)
        return
    kept = double_end(aum, rate, beta)
    low, high = window(n, rate, beta)
    rank = hardness_rank(aum)
    assert sorted(kept.tolist()) == np.flatnonzero((rank >= low) & (rank < high)).tolist()
    assert len(kept) == kept_count(n, rate)
    assert np.array_equal(kept, double_end(aum + 7, rate, beta)), "a constant changes nothing"


def test_loss_weights_are_min_max():
    assert loss_weights(np.array([-2.0, 0.0, 2.0])).tolist() == [0.0, 0.5, 1.0]
    assert loss_weights(np.full(3, 4.0)).tolist() == [1.0, 1.0, 1.0]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_loss_weights_lie_in_zero_one_and_keep_order(values):
    score = np.array(values)
    weights = loss_weights(score)
    assert weights.min() >= 0 and weights.max() == 1
    assert (np.diff(weights[np.argsort(score)]) >= 0).all()


@given(st.integers(1, 5000), st.data())
def test_largest_rate_keeps_as_many_as_asked_and_the_next_thousandth_does_not(n, data):
    kept = data.draw(st.integers(1, n))
    rate = largest_rate(n, kept)
    assert kept_count(n, rate) >= kept
    assert rate == 0.999 or kept_count(n, round(rate + 0.001, 3)) < kept


def test_a_budget_is_a_rate_or_a_count():
    assert Budget("0.9").kept(60_000) == Budget(count="6000").kept(60_000) == 6000
    assert Budget(0.9).rate(7) == 0.9 and Budget(count=3).rate(12) == 0.75
    assert hash(Budget(np.float64(0.5))) == hash(Budget(0.5)) and Budget(count=3.0).count == 3
    for wrong in ({}, dict(prune_rate=0.5, count=3)):
        with pytest.raises(BadInput, match="give one of them"):
            Budget(**wrong)
    for count in (0, -1, 2.5, "many", True - 1):
        with pytest.raises(BadInput, match="whole number of at least 1"):
            Budget(count=count)
    with pytest.raises(BadInput, match="count=13 is more than the 12 images"):
        Budget(count=13).kept(12)
