"""Every constraint is an option of the shell; what cannot be met is said before the work begins."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from coreset_engine.cli.selection_options import request_of
from coreset_engine.core.errors import BadInput
from coreset_engine.selection.budget import Budget
from coreset_engine.selection.request import QuotaSpec


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """24 pictures in 3 folders, 0..7 each."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for i in range(24):
        path = folder / "abc"[i % 3] / f"{i // 3}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(path)
    return folder


@pytest.fixture
def select(source, tmp_path_factory, monkeypatch, capsys):
    """select(*options): ids, or the error's line."""
    import sys

    from coreset_engine.cli import main

    home = tmp_path_factory.getbasetemp() / "selection-options-home"
    monkeypatch.setenv("CORESET_HOME", str(home))

    def call(*words):
        argv = ["coreset", "select", source, "--method", "random", "--json", *words]
        monkeypatch.setattr(sys, "argv", list(map(str, argv)))
        with pytest.raises(SystemExit) as ended:
            main.main()
        out, err = capsys.readouterr()
        return json.loads(out) if ended.value.code == 0 else err.strip().splitlines()[-1]

    return call


def test_count_pins_and_quotas(select, tmp_path):
    ids = select("--count", 24)
    assert len(ids) == 24
    (tmp_path / "keep.txt").write_text(f"\ufeff{ids[20]}\n\n{ids[21]}\n", encoding="utf-8")
    (tmp_path / "never.csv").write_text(f"coreset_id;label\n{ids[0]};x\n")
    words = ("--must-keep", tmp_path / "keep.txt", "--must-keep", ids[22])
    chosen = select("--count", 6, *words, "--never", tmp_path / "never.csv")
    assert chosen[:3] == ids[20:23] and ids[0] not in chosen and len(chosen) == 6
    chosen = select("--count", 6, "--quota", "class=equal")
    assert sorted(name[0] for name in chosen) == ["a", "a", "b", "b", "c", "c"]
    chosen = select("--count", 9, "--quota", "folder:missing=1")
    assert "'missing' does not occur" in chosen
    assert len(select("--prune-rate", 0.5, "--at-least", "class=3")) == 12
    assert {name[0] for name in select("--count", 8, "--group", "folder")} <= {"a", "b", "c"}
    assert len({name[0] for name in select("--count", 8, "--group", "folder")}) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--count", 25), "count=25 is more than the 24 images"),
        (("--count", 0), "count=0 must be a whole number of at least 1"),
        (("--count", 3, "--prune-rate", 0.5), "give one of them"),
        (("--must-keep", "nothere.png"), "which is not an id of this source"),
        (("--quota", "class"), "must read COLUMN=equal"),
        (("--cost", "size"), "costs and budget need each other"),
        (("--cost", "size", "--budget", 3), "'size', which is not a column here"),
        (("--group", "site"), "'site' is unknown; choose one of class, cluster"),
        (("--near-duplicates", -1), "must be a distance of at least 0"),
        (("--param", "prune_rate=0.5"), "give it once, as --prune-rate"),
        (("--param", "method=elfs"), "give it once, as --method"),
        (("--param", "near_duplicates=far"), "must be a distance"),
        (("--param", "must_keep={}"), "must_keep is a JSON object"),
        (("--param", "gamma=1"), "unknown parameter 'gamma'"),
    ],
)
def test_refused_in_one_line(select, words, message):
    answer = select(*words)
    assert isinstance(answer, str) and answer.startswith("error: ") and message in answer, answer


def test_options_and_params_make_the_same_request():
    by_option = request_of(
        method="random", prune_rate=0.5, must_keep=["a.png"], quota=["class=equal"]
    )
    by_param = request_of(
        method="random", prune_rate=0.5, param=["must_keep=a.png", "quotas=class=equal"]
    )
    assert by_option == by_param
    assert by_option.quotas == (QuotaSpec("class", spread="equal"),)
    assert request_of(method="random").budget == Budget(0.9)
    with pytest.raises(BadInput, match="repeats an option"):
        request_of(method="random", must_keep=["a"], param=["must_keep=b"])


def test_a_picture_of_that_name_is_an_id_and_a_selection_folder_a_list(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    (tmp_path / "chosen").mkdir()
    (tmp_path / "chosen" / "ids.txt").write_text("one\ntwo\n")
    found = request_of(method="random", must_keep=["a.png"], never=["chosen"])
    assert found.must_keep == ("a.png",) and found.never == ("one", "two")
    (tmp_path / "list.csv").write_text("colour,size\nred,3\n")
    with pytest.raises(BadInput, match="none of ids or files"):
        request_of(method="random", never=["list.csv"])
