"""What is too long for a link: kept under the hash of its content, recalled by it, never
trusted."""

from __future__ import annotations

import json

import pytest

from ui.state import link_storage


def test_what_is_kept_comes_back(tmp_path):
    values = {"must_keep": ("a", "<b>"), "never": (), "params": {"elfs": {"score": "forgetting"}}}
    key = link_storage.save_values(values, tmp_path)
    assert link_storage.load_values(key, tmp_path) == {
        "must_keep": ("a", "<b>"),
        "params": {"elfs": {"score": "forgetting"}},
    }
    assert link_storage.save_values(dict(reversed(values.items())), tmp_path) == key
    assert link_storage.save_values({"must_keep": ("a",)}, tmp_path) != key


def test_a_recipe_comes_back_by_its_name_where_there_is_such_a_recipe(tmp_path):
    for recipe, loaded in (("elfs-paper", {"recipe": "elfs-paper"}), ("no such recipe", {})):
        key = link_storage.save_values({"recipe": recipe}, tmp_path)
        assert link_storage.load_values(key, tmp_path) == loaded


def test_nothing_to_keep_writes_nothing(tmp_path):
    assert link_storage.save_values({"must_keep": (), "params": {}}, tmp_path) == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "key", ["", "x", "../../etc/passwd", "0" * 15, "0" * 17, "A" * 16, "0" * 16 + "\n", "0" * 16]
)
def test_an_unknown_or_malformed_key_is_nothing(tmp_path, key):
    assert link_storage.load_values(key, tmp_path) == {}


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{",
        '{"must_keep": "abc", "never": 3, "params": []}',
        '{"params": {"elfs": 3}, "other": 1}',
    ],
)
def test_a_file_that_lies_is_harmless(tmp_path, content):
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / f"{'0' * 16}.json").write_text(content)
    assert link_storage.load_values("0" * 16, tmp_path) in ({}, {"params": {}})


def test_a_workspace_that_takes_no_file_only_makes_the_link_poorer(tmp_path):
    (tmp_path / "links").write_text("in the way")
    assert link_storage.save_values({"must_keep": ("a",)}, tmp_path) == ""


def test_pins_come_back_with_the_link(open_page, digits, tmp_path):
    key = link_storage.save_values({"must_keep": tuple(digits.ids[:3].tolist())}, tmp_path)
    test = open_page("home")
    test.query_params["memo"] = key
    test.query_params["dataset"] = "demo"
    test.run()
    assert test.session_state["state:must_keep"] == tuple(digits.ids[:3].tolist())
    assert (
        json.loads((tmp_path / "links" / f"{key}.json").read_text())["must_keep"]
        == digits.ids[:3].tolist()
    )
