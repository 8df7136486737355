"""The FiftyOne section of the Export page without a FiftyOne: what it says, and which address a
browser is given."""

from __future__ import annotations

import pytest
from finished import texts

from coreset_engine.export import targets
from ui.views import fiftyone_app


def test_without_a_database_one_line_says_how_to_get_it(open_page, monkeypatch):
    monkeypatch.setattr(
        targets, "database_state", lambda: (False, "No MongoDB; the on-disk format still works.")
    )
    test = open_page("export")
    assert "format still works" in texts(test)
    assert not [button for button in test.button if button.label == "Open FiftyOne here"]


def test_with_one_the_way_to_it_is_named_before_anything_was_sent(open_page, monkeypatch):
    monkeypatch.setattr(targets, "database_state", lambda: (True, "ready"))
    assert "then its App opens here" in texts(open_page("export"))


@pytest.mark.parametrize(
    ("page", "wanted"),
    [
        ("http://localhost:8501/export", "http://127.0.0.1:5555/"),
        ("http://127.0.0.1:8501", "http://127.0.0.1:5555/"),
        ("", "http://127.0.0.1:5555/"),
        ("http://[::1]:8501/x", "http://127.0.0.1:5555/"),
        ("https://lab.example:443/export", "http://lab.example:5555/"),
        ("http://10.0.0.3:1", "http://10.0.0.3:5555/"),
        ("http://[fd00::1]:80/", "http://[fd00::1]:5555/"),
    ],
)
def test_the_embedded_address_is_one_the_browser_can_reach(page, wanted):
    assert fiftyone_app.embedded_url("http://127.0.0.1:5555/", page) == wanted
