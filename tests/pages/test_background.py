"""Measurements in a thread: computed once for a key, and again after one that failed."""

from __future__ import annotations

import pytest

from ui.state import background


def test_a_value_is_computed_once_for_its_key():
    made = []
    first = background.start(("once", 1), lambda: made.append(1) or "value")
    second = background.start(("once", 1), lambda: made.append(2) or "other")
    assert (first.result(10), second.result(10), made) == ("value", "value", [1])


def test_what_failed_is_tried_again():
    with pytest.raises(ZeroDivisionError):
        background.start(("fails", 1), lambda: 1 / 0).result(10)
    assert background.start(("fails", 1), lambda: 1).result(10) == 1


def test_the_oldest_values_are_forgotten():
    first = background.start(("many", 0), object).result(10)
    for i in range(background.MOST + 1):
        background.start(("many", i + 1), object).result(10)
    assert background.start(("many", 0), object).result(10) is not first
