"""A short load: six sessions on one server, none sees another's data; `load.py` is the long one."""

from __future__ import annotations

import pytest
from load import check, measure


@pytest.mark.slow
def test_six_sessions_never_meet(tmp_path):
    found = measure(tmp_path, 6, 0.4, 800, pause=(0.3, 1.0))
    assert found["crossed"] == [] and found["broken"] == []
    assert found["moves"] > 30
    rss = found["rss_mb"]
    assert rss["after"] <= 1.1 * rss["level"] + 5


def test_the_check_sees_what_is_crossed(tmp_path):
    own, other = tmp_path / "set-a.npy", tmp_path / "set-b.npy"
    own.touch(), other.touch()
    good = "**set-a.npy** 1,000 images · 250 images kept"
    assert check(good, "export", own, 1000, 0.75) == []
    assert check(good + " set-b.npy", "select", own, 1000, 0.75) == ["set-b.npy is shown"]
    assert check(good, "export", own, 1000, 0.5) == ["500 of 1,000 kept is not shown"]
    assert check(good.replace("1,000", "999"), "select", own, 1000, 0.75)
    assert "a fault is shown" in check(good + " something went wrong on our side", "select", own, 1000, 0.75)
