"""`auto` is the method a session starts with, and the Select page says what it takes and why."""

from __future__ import annotations

from finished import texts

from coreset_engine.core.registry import DEFAULT_METHOD
from ui.state import session as state


def test_a_session_starts_with_the_recommended_method():
    assert DEFAULT_METHOD == "auto"
    assert state.LINKED["method"][2] == "auto"


def test_the_select_page_says_what_is_taken_and_why(open_page):
    test = open_page("select", method="auto", prune_rate=0.9)
    assert not test.exception
    message = texts(test)
    assert "Recommended here" in message
    assert "not finished and may recommend another" in message  # until a job has forecast
