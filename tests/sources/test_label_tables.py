"""Labels and metadata from tables beside or apart from the images, joined by name."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
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
    assert "2 of 3 images have a row" in note and "1 row names no image" in note
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


FOUR = [f"{number}.png" for number in range(4)]


def opened(tmp_path: Path, name: str, data: bytes | str, **options):
    """The images of FOUR with labels from a file of this name and content."""
    root = folder(tmp_path / "images", FOUR)
    given = tmp_path / name
    given.write_bytes(data if isinstance(data, bytes) else data.encode())
    return open_source(root, labels=str(given), **options)


def records(values, key: str = "label") -> list[dict]:
    return [{"file_name": name, key: value} for name, value in zip(FOUR, values, strict=True)]


def lines_of(rows: list[dict]) -> str:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)


def test_one_torn_line_of_json_costs_itself_only(tmp_path: Path):
    rows = [row | {"text": "two\u2028parts\x85"} for row in records("abab")]
    ds = opened(tmp_path, "labels.jsonl", lines_of(rows[:3]) + '\n{"file_name": "3.p')
    assert names_of(ds) == ["a", "b", "a", ""]
    assert any("1 line could not be read and was skipped" in note.text for note in ds.notes)


@pytest.mark.parametrize(
    "values, expected, classes",
    [
        ([9.0, 10.0, float("nan"), 9.0], ["9", "10", "", "9"], ("9", "10")),
        ([True, False, None, True], ["true", "false", "", "true"], ("false", "true")),
        ([["a"], ["b"], [], ["a", "b"]], ["a", "b", "", ""], ("a", "b")),
        ([{"choices": ["a"]}, {"choices": ["b"]}, None, "a"], ["a", "b", "", "a"], ("a", "b")),
    ],
)
def test_values_that_json_gives_are_classes_or_none(tmp_path: Path, values, expected, classes):
    ds = opened(tmp_path, "labels.jsonl", lines_of(records(values)))
    assert names_of(ds) == expected and ds.classes == classes


def test_several_classes_of_one_image_are_counted(tmp_path: Path):
    ds = opened(tmp_path, "labels.jsonl", lines_of(records([["a"], ["b"], ["a", "b"], ["b"]])))
    assert names_of(ds) == ["a", "b", "", "b"]
    assert any("1 image has several classes and counts as" in note.text for note in ds.notes)


def test_a_column_of_files_is_never_taken_for_labels(tmp_path: Path):
    """JSON-MIN of an upload: `id` counts the tasks, `image` is the uploaded file."""
    tasks = [
        {"id": 3 - at, "image": f"/data/upload/1/1a2b3c4d-{at}.png", "cls": {"choices": [name]}}
        for at, name in enumerate("abba")
    ]
    ds = opened(tmp_path, "labels.json", json.dumps(tasks))
    assert names_of(ds) == ["a", "b", "b", "a"]


def test_numbers_of_classes_never_name_images_where_a_path_does(tmp_path: Path):
    """A dataset of the `datasets` library: the path lies in a struct, the names in the schema."""
    features = {"label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}
    table = pa.table(
        {
            "image": [{"bytes": b"x", "path": name} for name in FOUR],
            "label": pa.array([1, 0, None, 1]),
            "boxes": [[1.0, 2.0]] * 4,
        }
    ).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    root = folder(tmp_path / "images", FOUR)
    pq.write_table(table, tmp_path / "labels.parquet")
    ds = open_source(root, labels=str(tmp_path / "labels.parquet"))
    assert names_of(ds) == ["dog", "cat", "", "dog"] and ds.classes == ("cat", "dog")


def test_numbers_of_a_column_with_a_gap_stay_whole(tmp_path: Path):
    """Arrow and pandas make floats of whole numbers where one is missing."""
    root = folder(tmp_path / "images", FOUR)
    table = pa.table({"file_name": FOUR, "label": pa.array([10.0, 9.0, None, 10.0])})
    pq.write_table(table, tmp_path / "labels.parquet")
    ds = open_source(root, labels=str(tmp_path / "labels.parquet"))
    assert names_of(ds) == ["10", "9", "", "10"] and ds.classes == ("9", "10")


@pytest.mark.parametrize(
    "cell", ["https://host/a%20b/{}%2Epng?sig=1#x", "gs://bucket/{}.png", "s3://b/c/{}.png"]
)
def test_addresses_name_their_file(tmp_path: Path, cell: str):
    text = "url,label\n" + "".join(f"{cell.format(at)},{'ab'[at % 2]}\n" for at in range(4))
    assert names_of(opened(tmp_path, "labels.csv", text)) == ["a", "b", "a", "b"]


def test_a_zero_byte_in_a_table_is_damage_and_no_encoding(tmp_path: Path):
    text = "file,label\n0.png,a\n1.png,b\n2.png,a\n3.png,b\0\n"
    assert names_of(opened(tmp_path, "labels.csv", text))[:3] == ["a", "b", "a"]


@pytest.mark.parametrize(
    "start, words",
    [
        (b"\x1f\x8b\x08\0", "packed with gzip; unpack it"),
        (b"PK\x03\x04\x14", "workbook or an archive.*save the sheet as CSV"),
        (b"SQLite format 3\0", "SQLite database"),
        (b"\x80\x04\x95", "pickle, which is never read"),
        (b"ARROW1\0\0", "Arrow"),
    ],
)
def test_files_that_are_no_text_are_named(tmp_path: Path, start: bytes, words: str):
    with pytest.raises(BadInput, match=words):
        opened(tmp_path, "labels.csv", start + b"\0" * 40)


BESIDE = {
    "a column for every class": ("file,cat,dog\n0.png,1,0\n1.png,0,1\n2.png,1,0\n", "cat dog cat"),
    "names beside numbers": (
        "file,class,class_name\n0.png,0,cat\n1.png,1,dog\n2.png,0,cat\n",
        "cat dog cat",
    ),
    "whole numbers that pandas made floats": ("file,label\n0.png,1.0\n1.png,2.0\n2.png,\n", "1 2 -"),
    "a row for every object": (
        "file,class,xmin,ymin\n0.png,cat,1,1\n0.png,dog,1,1\n1.png,dog,1,1\n2.png,cat,1,1\n",
        "- dog cat",
    ),
    "several classes in a cell": ("file,label\n0.png,cat;dog\n1.png,dog\n2.png,cat\n", "- dog cat"),
    "a comment above": ("# made by a tool\nfile,label\n0.png,cat\n1.png,dog\n2.png,cat\n", "cat dog cat"),
    "a row counter that names other images": (
        ",image,label\n0,2,cat\n1,0,dog\n2,1,bird\n",
        "dog bird cat",
    ),
    "a comma that nobody quoted": ("file,label\n0.png,cat, small\n1.png,dog\n2.png,cat\n", "- dog cat"),
    "measurements": ("file,label\n0.png,1.53\n1.png,2.07\n2.png,1.11\n", ""),
    "captions": ("file,text\n0.png,one cat\n1.png,two dogs\n2.png,a bird\n", ""),
    "a part and a class": ("part,file,kind\nTRAIN,0.png,cat\nTEST,1.png,dog\nTRAIN,2.png,cat\n", "cat dog cat"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BESIDE)
def test_tables_beside_the_images(tmp_path, kind):
    text, right = BESIDE[kind]
    for number in range(3):
        Image.new("RGB", (8, 8), (number * 80, 0, 0)).save(tmp_path / f"{number}.png")
    (tmp_path / "labels.csv").write_text(text)
    dataset = open_source(str(tmp_path))
    if not right:
        assert dataset.labels is None
        return
    names = [dataset.classes[code] if code >= 0 else "-" for code in dataset.labels]
    assert names == right.split()


def test_annotations_beside_the_images_and_two_tables(tmp_path):
    for number in range(3):
        Image.new("RGB", (8, 8), (number * 80, 0, 0)).save(tmp_path / f"{number}.png")
    (tmp_path / "metadata.csv").write_text("file,width\n0.png,8\n1.png,9\n2.png,7\n")
    (tmp_path / "labels.csv").write_text("file,label\n0.png,cat\n1.png,dog\n2.png,cat\n")
    both = open_source(str(tmp_path))
    assert both.classes == ("cat", "dog") and list(both.columns["width"]) == ["8", "9", "7"]
    for name in ("metadata.csv", "labels.csv"):
        (tmp_path / name).unlink()
    (tmp_path / "_annotations.coco.json").write_text(
        json.dumps(
            dict(
                images=[dict(id=i, file_name=f"{i}.png") for i in range(3)],
                annotations=[dict(image_id=i, category_id=i % 2) for i in range(3)],
                categories=[dict(id=0, name="cat"), dict(id=1, name="dog")],
            )
        )
    )
    dataset = open_source(str(tmp_path))
    assert [dataset.classes[code] for code in dataset.labels] == ["cat", "dog", "cat"]


def test_a_table_that_cannot_be_read_is_told_with_its_reason(tmp_path):
    for number in range(3):
        Image.new("RGB", (8, 8), (number * 80, 0, 0)).save(tmp_path / f"{number}.png")
    (tmp_path / "labels.csv").write_bytes("file,label\n0.png,猫\n1.png,狗\n".encode("gb18030"))
    dataset = open_source(str(tmp_path))
    assert dataset.labels is None
    assert any("is not used" in note.text and "UTF-8" in note.text for note in dataset.notes)


def test_the_csv_of_via_is_read_as_labels(tmp_path):
    for number in range(2):
        Image.new("RGB", (8, 8), (number * 80, 0, 0)).save(tmp_path / f"{number}.png")
    (tmp_path / "via.csv").write_text(
        "filename,file_attributes,region_attributes\n"
        '0.png,"{}","{""kind"":""cat""}"\n1.png,"{}","{""kind"":""dog""}"\n'
    )
    dataset = open_source(str(tmp_path), labels="via.csv")
    assert [dataset.classes[code] for code in dataset.labels] == ["cat", "dog"]
