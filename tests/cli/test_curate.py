"""The commands find, tag and columns, and --where, in one process."""

from __future__ import annotations

import json
import sys

import pytest

from coreset_engine.cli import main


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def shell(home, monkeypatch, capsys):
    """shell("tag", "demo") -> (exit code, stdout, stderr)."""
    monkeypatch.setenv("CORESET_HOME", str(home))

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["coreset", *words])
        with pytest.raises(SystemExit) as ended:
            main.main()
        out = capsys.readouterr()
        return ended.value.code, out.out, out.err

    return run


def test_tag_list_find_and_select_among_them(shell, tmp_path):
    code, out, _ = shell("tag", "demo", "three", "--where", "class=3", "--json")
    assert code == 0 and json.loads(out) == {"tag": "three", "changed": 183, "images": 183}
    code, out, _ = shell(
        "find", "demo", "--like", "digit-0003", "--count", "40", "--tag", "near", "--json"
    )
    found = json.loads(out)
    assert code == 0 and found["found"] == 40 and found["recall"] == 1.0 and found["tagged"] == 40
    assert "digit-0003" not in {image["id"] for image in found["images"]}
    values = [image["similarity"] for image in found["images"]]
    assert values == sorted(values, reverse=True)
    code, out, _ = shell("tag", "demo", "--json")
    assert json.loads(out) == {"near": 40, "three": 183}
    code, out, err = shell(
        *("run", "demo", "--method", "k_center", "--count", "10"),
        *("--where", "tag=near and not class=5", "--out", str(tmp_path / "out"), "--json"),
    )
    summary = json.loads(out)
    assert code == 0 and summary["kept"] == 10 and "images pass" in summary["where"]
    code, out, _ = shell(
        "export", str(tmp_path / "out"), "--to", "csv", "--out", str(tmp_path / "csv")
    )
    lines = (tmp_path / "csv" / "selection.csv").read_text().splitlines()
    assert code == 0 and "tags" in lines[0].split(",")
    assert (
        sum(
            "near" in line.split(",")[lines[0].split(",").index("tags")].split()
            for line in lines[1:]
        )
        == 40
    )
    assert shell("tag", "demo", "near", "--remove")[0] == 0
    code, out, _ = shell("tag", "demo", "--from", str(tmp_path / "csv" / "selection.csv"), "--json")
    assert code == 0 and json.loads(out)["near"] == 40


def test_columns(shell):
    code, out, _ = shell(
        "columns", "demo", "--where", "class in (3, 5)", "--column", "class", "--json"
    )
    answer = json.loads(out)
    assert code == 0 and answer["matched"] == 365
    assert answer["class"]["3"] == 183 and answer["class"]["5"] == 182 and answer["class"]["1"] == 0
    code, out, _ = shell("columns", "demo", "--json")
    assert {"class", "tag", "width", "aum"} <= {one["name"] for one in json.loads(out)}


@pytest.mark.parametrize(
    "words, message",
    [
        (("find", "demo"), "a search needs one query"),
        (("find", "demo", "--text", "a cat"), "has no text tower"),
        (("find", "demo", "--text", " "), "the text query is empty"),
        (("find", "demo", "--like", "nobody"), "neither an id of this source nor a file"),
        (("find", "demo", "--like", "digit-0003", "--tag", "two words"), "cannot be a tag"),
        (("tag", "demo", "x"), "needs images; select them"),
        (("tag", "demo", "--where", "class=3"), "no tag was given"),
        (("tag", "demo", "x", "--where", "clas=3"), "did you mean 'class'"),
        (("tag", "demo", "nobody", "--remove"), "no image of this dataset has the tag"),
        (
            ("select", "demo", "--method", "random", "--where", "class=99"),
            "leaves none of the 1,797",
        ),
        (("select", "demo", "--method", "random", "--where", "class="), "a value was expected"),
    ],
)
def test_bad_input_is_one_sentence(shell, words, message):
    code, _, err = shell(*words)
    lines = [line for line in err.splitlines() if line.startswith("error:")]
    assert code == 2 and len(lines) == 1 and message in lines[0]
