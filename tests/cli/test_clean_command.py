"""`clean` and `leakage` in the shell: what is printed, written and excluded, and the exit codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent.parent / "findings"))
from drawn import plain, textured  # noqa: E402 - beside the other folder

from coreset_engine.cli.main import app
from coreset_engine.core.errors import BadInput


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """shell("clean", ...) -> result of the command, without embeddings where the verb takes it."""
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))

    def called(*words):
        result = CliRunner().invoke(app, [str(word) for word in words])
        if isinstance(result.exception, BadInput):
            raise result.exception
        return result

    return called


@pytest.fixture
def train(tmp_path):
    """Ten pictures in two classes; a/0.png is also b/copy.png, and b/blank.png is blank."""
    folder = tmp_path / "train"
    for i in range(10):
        target = folder / ("a" if i % 2 == 0 else "b")
        target.mkdir(parents=True, exist_ok=True)
        textured(i).save(target / f"{i}.png")
    (folder / "b" / "copy.png").write_bytes((folder / "a" / "0.png").read_bytes())
    plain(128).save(folder / "b" / "blank.png")
    return folder


@pytest.fixture
def held_out(tmp_path, train):
    """Three pictures: one of the training set by bytes, one by pixels, one new."""
    folder = tmp_path / "held-out"
    folder.mkdir()
    (folder / "same.png").write_bytes((train / "a" / "2.png").read_bytes())
    textured(4).save(folder / "same.bmp")
    textured(99).save(folder / "new.png")
    return folder


def test_json_holds_every_finding_with_ids(shell, train):
    found = json.loads(shell("clean", train, "--no-embed", "--json").stdout)
    by_name = {row["name"]: row for row in found["findings"]}
    assert by_name["byte_identical"]["ids"] == ["a/0.png", "b/copy.png"]
    assert by_name["label_conflicts"]["count"] == 2 and by_name["blank"]["ids"] == ["b/blank.png"]
    assert "skipped" in found["skipped"]["outliers"] and found["failed"] == []


@pytest.mark.parametrize(
    "words, code",
    [("duplicates", 4), ("dark,odd_aspect", 0), ("all", 4), ("blank", 4), ("near_duplicates", 0)],
)
def test_exit_code_4_only_for_what_was_found(shell, train, words, code):
    assert shell("clean", train, "--no-embed", "--fail-on", words).exit_code == code


def test_leakage_against_a_second_source(shell, train, held_out):
    result = shell(
        "clean", train, "--no-embed", "--against", held_out, "--fail-on", "leakage", "--json"
    )
    leak = json.loads(result.stdout)["against"]["leakage"]
    assert result.exit_code == 4 and (leak["bytes"], leak["pixels"], leak["near"]) == (1, 1, 0)
    assert shell("leakage", train, held_out, "--no-embed").exit_code == 0
    assert shell("leakage", train, held_out, "--no-embed", "--fail").exit_code == 4


def test_excluded_copies_enter_no_selection(shell, train, tmp_path):
    listed = tmp_path / "excluded.txt"
    first = shell("clean", train, "--no-embed", "--apply", "duplicates", "--out", listed)
    assert "excluded now: 1 (byte_identical)" in first.stdout
    assert listed.read_text() == "b/copy.png\n"
    kept = shell("select", train, "--method", "random", "--count", "11").stdout.split()
    assert len(kept) == 11 and "b/copy.png" not in kept
    undone = json.loads(shell("clean", train, "--no-embed", "--undo", "--json").stdout)
    assert undone["excluded_now"] == {"undone": 1} and undone["excluded"] == {}


def test_ids_are_excluded_and_restored_by_hand(shell, train):
    shell("clean", train, "--no-embed", "--exclude", "a/0.png", "--exclude", "a/2.png")
    after = json.loads(shell("clean", train, "--no-embed", "--restore", "a/0.png", "--json").stdout)
    assert after["excluded"] == {"chosen by hand": 1}
    with pytest.raises(BadInput, match="--exclude names 'zebra.png', which is not an id of this"):
        shell("clean", train, "--no-embed", "--exclude", "zebra.png")


def test_a_selection_tells_what_the_copies_cost(shell, train, tmp_path):
    out = tmp_path / "chosen"
    shell("run", train, "--method", "random", "--count", "12", "--out", out)
    result = shell("clean", train, "--no-embed", "--selection", out)
    assert "cost: 1 of 12 chosen images were copies of another selected file" in result.stdout


def test_the_html_report_stands_alone(shell, train, tmp_path):
    page = tmp_path / "report.html"
    shell("clean", train, "--no-embed", "--html", page)
    text = page.read_text()
    assert "Identical files: 2" in text and "data:image/jpeg;base64," in text
    assert "http" not in text and "<script" not in text


@pytest.mark.parametrize(
    "words, message",
    [
        (["--fail-on", "leakage"], "needs a second source; add --against OTHER"),
        (["--fail-on", "ugly"], "'ugly' is not a finding; known: byte_identical"),
        (["--apply", "ugly"], "'ugly' is not a finding"),
        (["--which", "some"], "--which 'some' is not supported; choose surplus or all"),
        (["--keep", "newest"], "--keep 'newest' is not supported; choose one of first"),
        (["--threshold", "dark"], "must read NAME=VALUE"),
        (["--threshold", "dark=9"], "dark=9"),
        (["--out", "/nonexistent/x.txt"], "cannot be written"),
    ],
)
def test_bad_input_is_one_sentence(shell, train, words, message):
    with pytest.raises(BadInput, match=message):
        shell("clean", train, "--no-embed", *words)
