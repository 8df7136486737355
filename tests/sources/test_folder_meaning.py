"""A folder's name is a proposal: splits, parts, dates and storage folders are not classes."""

from __future__ import annotations

from pathlib import Path

import pytest
from source_pictures import folder, png

from coreset_engine.core.errors import BadInput
from coreset_engine.sources.folder_labels import understand
from coreset_engine.sources.folder_names import level_kind, split_of
from coreset_engine.sources.open import open_source


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.mark.parametrize(
    "names",
    [
        ("images",),
        ("train2017", "val2017"),
        ("train", "dev"),
        ("train_images", "unlabeled"),
        ("fold1", "fold2", "fold3"),
        ("cam1", "cam_02", "camera-3"),
        ("cam_left", "cam_right"),
        ("2021-01-03", "2021-02-11"),
        ("20210103", "20211103"),
        ("2019", "2020"),
        ("03-11-2021", "04-11-2021"),
        ("batch_001", "batch_002"),
        tuple(f"{i:02x}" for i in range(32)),
        ("photos", "images"),
        ("train", "test", "ground_truth"),
    ],
)
def test_levels_that_name_no_class(names):
    assert level_kind(names) is not None


@pytest.mark.parametrize(
    "names",
    [
        ("cat", "dog"),
        tuple("0123456789"),
        ("n01440764", "n01443537"),
        ("train", "car", "bus"),  # vehicles
        ("00000", "00001", "00042"),
        ("class1", "class2"),
        ("Trainer", "Tester"),
        ("日本", "中国"),
        ("test tube", "beaker"),
        ("setter", "pointer"),
    ],
)
def test_levels_that_name_classes(names):
    assert level_kind(names) is None


def test_words_of_splits():
    found = {
        name: split_of(name) for name in ("train2017", "TEST", "val_set", "dev", "cat", "best")
    }
    assert found == {
        "train2017": "train",
        "TEST": "test",
        "val_set": "val",
        "dev": "val",
        "cat": None,
        "best": None,
    }


def labels_of(ds) -> list[str]:
    if ds.labels is None:
        return []
    return [ds.classes[code] if code >= 0 else "" for code in ds.labels]


def test_classes_below_splits_and_storage(tmp_path: Path):
    root = folder(tmp_path, ["images/train/cat/1.png", "images/val/dog/2.png"])
    ds = open_source(root)
    assert labels_of(ds) == ["cat", "dog"] and ds.columns["split"].tolist() == ["train", "val"]
    assert "images" not in ds.classes and "--labels" in ds.notes[0].text


def test_one_folder_is_no_class_and_says_so(tmp_path: Path):
    ds = open_source(folder(tmp_path, ["pictures/1.png", "pictures/2.png"]))
    assert ds.labels is None and ds.classes == () and "no classes assumed" in ds.notes[0].text


def test_a_folder_for_every_picture_is_no_class(tmp_path: Path):
    ds = open_source(folder(tmp_path, [f"patient{i:03d}x/1.png" for i in range(30)]))
    assert ds.labels is None and "30 folders for 30 images" in ds.notes[0].text


@pytest.mark.parametrize(
    "options, expected",
    [
        (dict(labels="none"), []),
        (dict(labels="folder"), ["cam1", "cam2"]),
        (dict(labels="parent"), ["a", "b"]),
        (dict(depth=2), ["day", "night"]),
        (dict(labels="folder", depth=3), ["a", "b"]),
        (dict(depth="1"), ["cam1", "cam2"]),
    ],
)
def test_options_settle_it_and_travel_in_the_spec(tmp_path: Path, options, expected):
    root = folder(tmp_path, ["cam1/day/a/1.png", "cam2/night/b/2.png"])
    ds = open_source(root, **options)
    assert labels_of(ds) == expected
    again = open_source(ds.spec)
    assert labels_of(again) == expected and again.fingerprint == ds.fingerprint


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(depth=9), "depth=9 names no level"),
        (dict(depth=0), "integer of at least 1"),
        (dict(labels="species"), "neither 'folder'"),
        (dict(split="train"), "no folders here look like splits"),
        (dict(fit="stretch"), "'auto', 'crop', 'pad', 'squash'"),
        (dict(colour=1), "has no such option; it accepts labels"),
    ],
)
def test_options_that_do_not_fit_are_refused_in_words(tmp_path: Path, options, words):
    with pytest.raises(BadInput, match=words):
        open_source(folder(tmp_path, ["a/1.png", "b/2.png"]), **options)


def test_the_test_part_stays_out_of_the_pool_and_leaks_are_told(tmp_path: Path):
    root = folder(tmp_path, ["train/cat/1.png", "train/dog/2.png", "test/cat/3.png"])
    (root / "test" / "dog").mkdir()
    (root / "test" / "dog" / "4.png").write_bytes(png(0))  # the picture of train/cat/1.png
    from PIL import Image

    Image.open(root / "train/dog/2.png").save(root / "test/dog/5.bmp")  # its pixels, other bytes
    ds = open_source(root)
    assert ds.ids.tolist() == ["train/cat/1.png", "train/dog/2.png"]
    test = open_source(ds.test_spec)
    assert len(test) == 3 and test.classes == ("cat", "dog")
    leak = next(note for note in ds.notes if "in the pool too" in note.text)
    assert leak.text.startswith("2 images") and "1 byte for byte" in leak.text
    assert len(open_source(root, split="all")) == 5
    assert open_source(root, split="test").fingerprint == test.fingerprint


def test_tars_and_parquet_of_a_test_part_stay_out_too(tmp_path: Path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    for part, seed in (("train", 1), ("test", 2)):
        table = pa.table({"image": [png(seed)], "label": ["a"]})
        pq.write_table(table, tmp_path / f"{part}-00000-of-00001.parquet")
    ds = open_source(str(tmp_path))
    assert len(ds) == 1 and "split=test" in ds.test_spec
    assert len(open_source(ds.test_spec)) == 1 and len(open_source(f"{tmp_path}#split=all")) == 2


@pytest.mark.parametrize("names", [("Cat", "cat"), ("caf\u00e9", "cafe\u0301"), ("a b", "a  b")])
def test_classes_that_look_alike_are_kept_apart_and_named(names):
    found = understand([f"{name}/{i}.png" for name in (*names, "dog") for i in range(2)])
    assert len(found.classes) == 3
    assert "are kept apart: rename one folder if they are one class" in found.notes[0].text
    assert all(ascii(name) in found.notes[0].text for name in names)


def in_folders(*names, classes=("bike", "mug"), count=2):
    return [
        f"{name}/{one}/{number}.jpg" for name in names for one in classes for number in range(count)
    ]


MASKS = [f"ground_truth/bent/{number}_mask.png" for number in range(2)]
LAYOUTS = {
    "Office-31": (
        in_folders("amazon/images", "dslr/images", "webcam/images"), {"bike": 6, "mug": 6}, None
    ),
    "DomainNet": (
        in_folders("real/train", "real/test", "sketch/train", "sketch/test"),
        {"bike": 8, "mug": 8}, {"train", "test"},
    ),
    "more names below than above": (
        in_folders("x", "y", classes=("a", "b", "c")), {"a": 4, "b": 4, "c": 4}, None
    ),
    "as many names below as above": (
        in_folders("cat", "dog", classes=("small", "large")), {"cat": 4, "dog": 4}, None
    ),
    "splits below the classes": (
        in_folders("cat", "dog", classes=("train", "test")), {"cat": 4, "dog": 4}, {"train", "test"}
    ),
    "splits in the names of classes": (
        ["dog_train/1.jpg", "dog_test/1.jpg", "cat_train/1.jpg", "cat_test/1.jpg"],
        {"cat": 2, "dog": 2}, {"train", "test"},
    ),
    "Tiny ImageNet": (
        [*in_folders("train", classes=("n01/images", "n02/images")), "val/images/1.jpg"],
        {"n01": 2, "n02": 2}, {"train", "val"},
    ),
    "MVTec": (
        ["train/good/1.png", "test/good/1.png", "test/bent/1.png", *MASKS],
        {"good": 2, "bent": 1}, {"train", "test", "ground_truth"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_published_sets(layout):
    names, right, splits = LAYOUTS[layout]
    found = understand(names)
    counts = {name: int((found.labels == code).sum()) for code, name in enumerate(found.classes)}
    assert counts == right
    assert splits == (None if found.splits is None else set(found.splits))


def test_another_reading_is_put_into_words():
    note = understand(LAYOUTS["as many names below as above"][0]).notes[0].text
    assert "'large', 'small', which depth=2 takes as classes" in note
    assert "depth=1 takes 'amazon'" in understand(LAYOUTS["Office-31"][0]).notes[0].text


@pytest.mark.parametrize(
    ("above", "masks"),
    [("images", "masks"), ("train", "ground_truth"), ("JPEGImages", "SegmentationClass")],
)
def test_masks_stay_out_of_the_pool(tmp_path, above, masks):
    folder(tmp_path, [f"{above}/a.png", f"{above}/b.png", f"{masks}/a.png", f"{masks}/b.png"])
    dataset = open_source(str(tmp_path))
    assert list(dataset.ids) == [f"{above}/a.png", f"{above}/b.png"]
    assert any("of masks and not in the pool" in note.text for note in dataset.notes)
    assert len(open_source(str(tmp_path), split="all")) == 4


def test_classes_called_like_masks_are_classes(tmp_path):
    """People with and without a mask: no folder of pictures lies beside them."""
    folder(tmp_path, ["mask/a.png", "mask/b.png", "no_mask/c.png", "no_mask/d.png"])
    dataset = open_source(str(tmp_path))
    assert dataset.classes == ("mask", "no_mask") and len(dataset) == 4


def test_folders_of_the_system_are_no_classes(tmp_path):
    folder(tmp_path, ["cat/a.png", "dog/b.png", "cat/@eaDir/a.png", "@eaDir/b.png"])
    dataset = open_source(str(tmp_path))
    assert dataset.classes == ("cat", "dog") and len(dataset) == 2
    assert any("system folder" in one.reason for one in dataset.rejected)
