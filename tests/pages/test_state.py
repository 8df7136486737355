"""The workspace's memory of opened sources, and what a link may do."""

from __future__ import annotations

import json

import pytest

from ui.state import links, recent_sources, session


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path))
    return tmp_path


def test_recent_is_newest_first_without_repeats():
    for spec in ("a", "b", "a", *map(str, range(11))):
        recent_sources.remember(spec)
    assert (
        recent_sources.recent()[:2] == ["10", "9"]
        and len(recent_sources.recent()) == 12
        and len(set(recent_sources.recent())) == 12
    )


@pytest.mark.parametrize("content", ["", "{", '{"a": 1}', "[1, null]", "\x00"])
def test_a_damaged_list_is_an_empty_list(workspace, content):
    (workspace / "recent.json").write_text(content)
    assert recent_sources.recent() == []


def test_links_open_only_what_was_opened_here():
    assert recent_sources.is_known("demo") and not recent_sources.is_known("/etc")
    recent_sources.remember("/data/birds")
    assert recent_sources.is_known("/data/birds")


def test_short_names():
    assert session.short_name("/data/birds/") == "birds"
    assert session.short_name("fiftyone:a/b") == "fiftyone:a/b"
    assert (
        session.short_name("folder:" + json.dumps({"path": "/x/birds", "verify": "full"}))
        == "birds"
    )
    assert session.short_name("demo") == "demo"


def test_the_runs_settings_are_those_of_the_session(monkeypatch):
    held = {
        "seed": 3,
        "n_clusters": 0,
        "clusterer": "kmeans",
        "search": "exact",
        "advanced": {"temi": {"preset": "paper"}, "mlp": {"epochs": 40}, "dynamics": {"early": 0}},
    }
    monkeypatch.setattr(session, "get", lambda name, default=None: held.get(name, default))
    monkeypatch.setattr(session, "put", held.__setitem__)
    config = session.run_config()
    assert (config.seed, config.n_clusters, config.search) == (3, None, "exact")
    assert config.proxy_settings == {"epochs": 40}
    assert not config.clusterer_settings  # TEMI's stay for when TEMI is chosen again
    assert not config.dynamics and "early=0" in held["news"][0]  # out of bounds: reset, and said
    assert set(held["advanced"]) == {"temi", "mlp"}
    assert session.LINKED["search"] == ("search", str, "auto")


def test_a_link_cannot_name_settings_that_do_not_exist():
    assert not links.in_bounds("clusterer", "nobody") and links.in_bounds("clusterer", "kmeans")
    assert not links.in_bounds("search", "quick") and links.in_bounds("encoder", "timm:any")
