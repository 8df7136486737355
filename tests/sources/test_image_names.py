"""Images that people name by id, path or file name, one by one and in lists."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from source_pictures import folder

import coreset_engine as ce
from coreset_engine.core.errors import BadInput
from coreset_engine.sources.image_names import ids_named, listed_names
from coreset_engine.sources.open import open_source


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture
def source(tmp_path):
    folder(tmp_path / "src", ["a/1.png", "a/2.png", "b/1.png", "b/3 x.png"])
    return open_source(str(tmp_path / "src"))


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("a/1.png", "a/1.png"),
        ("{src}/b/1.png", "b/1.png"),
        ("/elsewhere/src/b/1.png", "b/1.png"),
        ("./a/2.png", "a/2.png"),
        ("a\\1.png", "a/1.png"),
        ("2.png", "a/2.png"),
        ("a/1", "a/1.png"),
        ("B/3 X.PNG", "b/3 x.png"),
        ("file:///data/b/3%20x.png", "b/3 x.png"),
    ],
)
def test_one_name(source, tmp_path, name, right):
    named = name.replace("{src}", str(tmp_path / "src"))
    assert ids_named(source, [named], "must_keep") == (right,)


def test_names_in_doubt_are_refused_with_their_number_and_examples(source, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "2.png").write_bytes(b"another file of that name")
    wrong = ["1.png", "9.png", str(tmp_path / "other" / "2.png")]
    with pytest.raises(BadInput, match="never names '1.png', '9.png'.*3 of 4 names"):
        ids_named(source, ["a/1.png", *wrong], "never")


def frame(file, **columns):
    pd.DataFrame(columns).to_parquet(file)


LISTS = {
    "keep.txt": b"# the best ones\n/data/src/a/1.png\r\n\na/2.png\n",
    "utf16.txt": "a/1.png\na/2.png\n".encode("utf-16"),
    "keep.csv": b"file_name,label\na/1.png,x\na/2.png,y\n",
    "bare.csv": b"a/1.png,x\na/2.png,y\n",
    "excel.csv": '\ufeffnote;Image Name\n"one; two";a/1.png\nx;a/2.png\n'.encode(),
    "keep.json": json.dumps(["a/1.png", "a/2.png"]).encode(),
    "keep.jsonl": b'{"id": "a/1.png"}\n{"id": "a/2.png"}\n',
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_every_kind(source, tmp_path, name):
    (tmp_path / name).write_bytes(LISTS[name])
    names = listed_names(str(tmp_path / name), "--must-keep")
    assert ids_named(source, names, "must_keep") == ("a/1.png", "a/2.png")


def test_parquet_selections_and_folders_are_lists(source, tmp_path):
    frame(tmp_path / "keep.parquet", path=["/x/src/a/1.png"], score=[0.5])
    assert listed_names(str(tmp_path / "keep.parquet"), "--never") == ["/x/src/a/1.png"]
    (tmp_path / "sel").mkdir()
    (tmp_path / "sel" / "ids.txt").write_text("b/1.png\n")
    assert listed_names(str(tmp_path / "sel"), "--never") == ["b/1.png"]
    inside = listed_names(str(tmp_path / "src" / "b"), "--never")
    assert ids_named(source, inside, "never") == ("b/1.png", "b/3 x.png")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.txt", b"", "lists no image"),
        ("absent.txt", None, "does not exist"),
        ("other.jsonl", b'{"colour": "red", "size": 3}\n', "none of ids or files"),
        ("packed.txt", b"\x1f\x8b123", "gzip"),
    ],
)
def test_lists_that_name_nothing_are_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=message):
        listed_names(str(tmp_path / name), "--must-keep")


def test_a_picture_of_that_name_is_a_name(tmp_path):
    assert listed_names("a/1.png", "--must-keep") == ["a/1.png"]
    assert listed_names("row-0000001", "--must-keep") == ["row-0000001"]


def test_select_keeps_what_a_path_names_and_its_manifest_the_id(source, tmp_path):
    run = ce.Run(source)
    path = tmp_path / "src" / "b" / "1.png"
    chosen = ce.select("random", run, count=2, must_keep=path, never="2.png")
    assert "b/1.png" in chosen.ids and "a/2.png" not in chosen.ids
    assert chosen.params["must_keep"] == ["b/1.png"]
    with pytest.raises(BadInput, match="at most 2"):
        ce.select("random", run, count=2, near_duplicates=5)
