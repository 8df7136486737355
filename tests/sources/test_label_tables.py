"""Labels and metadata from tables beside or apart from the images, joined by name."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from source_pictures import folder

from coreset_engine.core.errors import BadInput
from coreset_engine.sources.open import open_source


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path_factory.mktemp("home")))


def names_of(ds) -> list[str]:
    return [ds.classes[code] if code >= 0 else "" for code in ds.labels]


NAMES = ["x/0001.png", "x/0002.png", "y/10.png"]


@pytest.mark.parametrize(
    "text, encoding",
    [
        ("file_name,label\nx/0001.png,cat\nx/0002.png,dog\ny/10.png,cat\n", "utf-8"),
        ("file;label\r\n0001.png;cat\r\n0002.png;dog\r\n10.png;cat\r\n", "utf-8-sig"),
        ("label\timage\ncat\t/old/disk/x/0001.png\ndog\tx\\0002.png\ncat\ty/10.png\n", "utf-16"),
        ('"label","name"\n"cat","0001"\n"dog","0002"\n"cat","10"\n', "utf-8"),
        ("x/0001.png   cat\nx/0002.png   dog\ny/10.png     cat\n", "utf-8"),
        ("x/0001.png,cat\nx/0002.png,dog\ny/10.png,cat\n", "cp1252"),
        ("https://host/b/x/0001.png?sig=1,cat\nx/0002.png,dog\ny/10.png,cat", "utf-8"),
    ],
)
def test_every_dialect_joins(tmp_path: Path, text: str, encoding: str):
    root = folder(tmp_path / "images", NAMES)
    (tmp_path / "given.csv").write_bytes(text.encode(encoding))
    ds = open_source(root, labels=str(tmp_path / "given.csv"))
    assert names_of(ds) == ["cat", "dog", "cat"]
    assert names_of(open_source(ds.spec)) == ["cat", "dog", "cat"]


def test_json_lines_and_parquet_beside_the_images_are_found(tmp_path: Path):
    root = folder(tmp_path / "one", NAMES)
    lines = [json.dumps({"file_name": name, "label": name[0], "n": 1.5}) for name in NAMES]
    (root / "metadata.jsonl").write_text("\n".join(lines))
    ds = open_source(root)
    assert names_of(ds) == ["x", "x", "y"] and ds.columns["n"].tolist() == ["1.5"] * 3
    other = folder(tmp_path / "two", NAMES)
    values = pa.array(["b", "a", None]).dictionary_encode()
    pq.write_table(pa.table({"file_name": NAMES, "label": values}), other / "labels.parquet")
    assert names_of(open_source(other)) == ["b", "a", ""]


def test_what_does_not_match_is_counted_with_examples(tmp_path: Path):
    root = folder(tmp_path / "in", NAMES)
    (root / "labels.csv").write_text("file,label\n0001.png,a\n0002.png,b\ngone.png,b\n")
    note = open_source(root).notes[0].text
    assert "2 of 3 images have a row" in note and "1 rows name no image" in note
    assert "'gone.png'" in note


def test_columns_are_chosen_by_name_or_number(tmp_path: Path):
    root = folder(tmp_path / "in", NAMES)
    (root / "labels.csv").write_text("0001.png 0.5 mono\n0002.png 1.0 poly\n10.png 0.5 mono\n")
    proposed = open_source(root)
    assert proposed.columns["3"].tolist() == ["mono", "poly", "mono"]
    assert "choose one with labels=labels.csv#COLUMN" in proposed.notes[0].text
    assert names_of(open_source(root, labels="labels.csv#3")) == ["mono", "poly", "mono"]
    assert names_of(open_source(root, labels="2")) == ["0.5", "1.0", "0.5"]
    with pytest.raises(BadInput, match="has no column 'kind'; its columns are 1, 2, 3"):
        open_source(root, labels="labels.csv#kind")


def test_numbers_are_ordered_as_numbers_and_kept_as_written(tmp_path: Path):
    root = folder(tmp_path / "in", NAMES)
    (root / "labels.csv").write_text("file,label\n0001.png,10\n0002.png,2\n10.png,0007\n")
    assert open_source(root).classes == ("2", "0007", "10")


def test_names_that_fit_several_images_or_another_folder_fit_none(tmp_path: Path):
    root = folder(tmp_path / "in", ["a/1.png", "b/1.png", "b/2.png"])
    (root / "labels.csv").write_text("file,label\n1.png,x\nb/2.png,y\nc/2.png,z\n")
    ds = open_source(root, labels="labels.csv#label")
    assert [int(code) for code in ds.labels] == [-1, -1, 0] and ds.classes == ("y",)


def test_a_table_of_something_else_is_refused(tmp_path: Path):
    root = folder(tmp_path / "in", NAMES)
    (tmp_path / "prices.csv").write_text("item,price\nbread,2\n")
    with pytest.raises(BadInput, match="no row of .* names an image; its first row is"):
        open_source(root, labels=str(tmp_path / "prices.csv"))


def test_names_match_across_unicode_forms_and_letter_case(tmp_path: Path):
    decomposed = unicodedata.normalize("NFD", "café.png")
    root = folder(tmp_path / "in", [decomposed, "IMG_1.PNG", "b.png"])
    (root / "labels.csv").write_text("file,label\ncafé.png,x\nimg_1.png,y\nb.PNG,x\n")
    found = dict(zip(open_source(root).ids.tolist(), names_of(open_source(root)), strict=True))
    assert found == {decomposed: "x", "IMG_1.PNG": "y", "b.png": "x"}


def test_a_name_that_fits_two_images_fits_none(tmp_path: Path):
    root = folder(tmp_path / "in", ["a/1.png", "a/1.jpg", "A.png", "a.png"])
    (root / "labels.csv").write_text("file,label\na/1,x\na/1.png,y\na.PNG,z\nA.png,x\na/1.jpg,z\n")
    found = dict(zip(open_source(root).ids.tolist(), names_of(open_source(root)), strict=True))
    assert found == {"a/1.png": "y", "a/1.jpg": "z", "A.png": "x", "a.png": ""}


def test_utf_16_without_a_mark_is_read(tmp_path: Path):
    root = folder(tmp_path / "in", NAMES)
    text = "file,label\nx/0001.png,a\nx/0002.png,b\ny/10.png,a\n"
    for name in ("utf-16-le", "utf-16-be"):
        (tmp_path / "given.csv").write_bytes(text.encode(name))
        assert names_of(open_source(root, labels=str(tmp_path / "given.csv"))) == ["a", "b", "a"]


def test_tables_in_the_folders_of_the_splits_are_joined(tmp_path: Path):
    """The layout of an image folder of Hugging Face: train/metadata.jsonl, test/metadata.jsonl."""
    names = ["train/1.png", "train/2.png", "test/1.png"]
    root = folder(tmp_path / "in", names)
    for part, labels in (("train", ["cat", "dog"]), ("test", ["dog"])):
        lines = [
            json.dumps({"file_name": f"{number}.png", "label": label, "night": True})
            for number, label in enumerate(labels, 1)
        ]
        (root / part / "metadata.jsonl").write_text("\n".join(lines))
    pool = open_source(root)
    assert pool.ids.tolist() == ["train/1.png", "train/2.png"]
    assert names_of(pool) == ["cat", "dog"] and pool.columns["night"].tolist() == ["true"] * 2
    test = open_source(pool.test_spec)
    assert names_of(test) == ["dog"] and test.classes == pool.classes


def test_files_of_annotation_tools_are_read_as_labels(tmp_path: Path):
    root = folder(tmp_path / "in", ["images/1.png", "images/2.png", "images/3.png"])
    coco = dict(
        images=[dict(id=number, file_name=f"{number}.png") for number in (1, 2, 3)],
        annotations=[
            dict(id=1, image_id=1, category_id=7, bbox=[0, 0, 2, 2]),
            dict(id=2, image_id=2, category_id=9, bbox=[0, 0, 2, 2]),
            dict(id=3, image_id=3, category_id=7, bbox=[0, 0, 2, 2]),
            dict(id=4, image_id=3, category_id=9, bbox=[0, 0, 2, 2]),
        ],
        categories=[dict(id=7, name="ant"), dict(id=9, name="bee")],
    )
    (root / "annotations.json").write_text(json.dumps(coco))
    ds = open_source(root, labels="annotations.json")
    assert names_of(ds) == ["ant", "bee", ""]
    assert "several classes for one image" in ds.notes[0].text
    (root / "labels").mkdir()
    (root / "labels" / "1.txt").write_text("1 .5 .5 .1 .1\n")
    (root / "labels" / "2.txt").write_text("0 .5 .5 .1 .1\n")
    (root / "labels" / "3.txt").write_text("4 .5 .5 .1 .1\n")
    (root / "labels" / "classes.txt").write_text("owl\nfox\n")
    ds = open_source(root, labels=f"{root}/labels")
    assert names_of(ds) == ["fox", "owl", ""]
    assert "a class number that the list of names does not have" in ds.notes[0].text
