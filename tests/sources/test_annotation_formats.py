"""Label files of further tools, and the ways in which theirs differ from the specification."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from source_pictures import folder

from coreset_engine.core.errors import BadInput
from coreset_engine.sources.label_import import import_labels
from coreset_engine.sources.open import open_source


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path_factory.mktemp("home")))


IDS = ["0.png", "1.png", "2.png"]
WANTED = {"0.png": "cat", "1.png": "dog"}


def labels_of(path: Path) -> dict[str, str]:
    return import_labels(path).match(IDS).labels


def written(path: Path, document) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def coco(image_ids, annotation_ids, categories) -> dict:
    images = [{"id": one, "file_name": name} for one, name in zip(image_ids, IDS, strict=True)]
    pairs = zip(annotation_ids, categories, strict=True)
    annotations = [{"image_id": one, "category_id": number["id"]} for one, number in pairs]
    return {"images": images, "annotations": annotations, "categories": categories}


NAMED = [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}]


def test_ids_of_coco_may_be_texts_in_one_place_and_numbers_in_another(tmp_path: Path):
    for number, (ids, others) in enumerate([((1, 2, 3), ("1", "2")), (("1", "2", "3"), (1, 2))]):
        path = written(tmp_path / f"{number}.json", coco(ids, others, NAMED))
        assert labels_of(path) == WANTED


def test_names_of_coco_may_be_numbers(tmp_path: Path):
    named = [{"id": 0, "name": 7}, {"id": 1, "name": 10}]
    path = written(tmp_path / "coco.json", coco((1, 2, 3), (1, 2), named))
    assert labels_of(path) == {"0.png": "7", "1.png": "10"}


def test_createml(tmp_path: Path):
    box = {"coordinates": {"x": 1, "y": 1, "width": 2, "height": 2}}
    items = [
        {"image": "0.png", "annotations": [{"label": "cat"} | box, {"label": "cat"} | box]},
        {"image": "1.png", "annotations": [{"label": "dog"} | box]},
        {"image": "2.png", "annotations": []},
    ]
    assert labels_of(written(tmp_path / "_annotations.createml.json", items)) == WANTED


def voc(name: str, *objects: str) -> str:
    inner = "".join(f"<object><name>{one}</name></object>" for one in objects)
    return f"<annotation><filename>{name}</filename>{inner}</annotation>"


def test_a_folder_of_pascal_voc(tmp_path: Path):
    written(tmp_path / "0.xml", voc("0.png", "cat", "cat"))
    written(tmp_path / "1.xml", voc("", "dog"))  # without a name: that of its own file
    written(tmp_path / "2.xml", "<annotation><filename>2.png</filename>")  # torn
    match = import_labels(tmp_path).match(IDS)
    assert match.labels == WANTED
    assert sum(match.set_aside.values()) == 1


def test_a_folder_of_labelme(tmp_path: Path):
    shapes = [{"label": "cat", "points": []}]
    written(tmp_path / "0.json", {"imagePath": "..\\pictures\\0.png", "shapes": shapes})
    flags = {"dog": True, "cat": False}
    written(tmp_path / "1.json", {"imagePath": "1.png", "shapes": [], "flags": flags})
    assert labels_of(tmp_path) == WANTED


@pytest.mark.parametrize(
    "document",
    [
        {"0.png": "cat", "1.png": "dog", "2.png": None},
        {"0.png": ["cat"], "1.png": ["dog"], "2.png": ["cat", "dog"]},
        {"cat": ["0.png"], "dog": ["1.png"], "none": []},
    ],
)
def test_pairs_of_images_and_classes_either_way_round(tmp_path: Path, document):
    assert labels_of(written(tmp_path / "labels.json", document)) == WANTED


def yolo(root: Path, lines: list[str]) -> Path:
    (root / "labels").mkdir(parents=True)
    for number, line in enumerate(lines):
        (root / "labels" / f"{number}.txt").write_text(line)
    return root


@pytest.mark.parametrize(
    "name, text, expected",
    [
        ("data.yaml", "names: [yes, no, 010]", ["yes", "no", "010"]),  # YAML 1.1: true, false, 8
        ("data.yaml", "names:\n  0: off\n  1: 1.0\n  2: null\n", ["off", "1.0", "null"]),
        ("mine.yaml", "nc: 3\nnames: [a, b, c]", ["a", "b", "c"]),
        ("classes.txt", "\ufeffa\r\nb\r\nc\r\n", ["a", "b", "c"]),
    ],
)
def test_names_of_yolo_are_what_is_written(tmp_path: Path, name, text, expected):
    root = yolo(tmp_path, ["0 .5 .5 1 1", "1.0 .5 .5 1 1", "2 .5 .5 1 1"])
    (root / name).write_text(text)
    assert list(labels_of(root).values()) == expected


def test_names_of_yolo_that_are_one_text_are_refused(tmp_path: Path):
    root = yolo(tmp_path, ["0 .5 .5 1 1"])
    (root / "data.yaml").write_text("names: cat, dog")
    with pytest.raises(BadInput, match="names is one text, not a list"):
        labels_of(root)


def test_label_files_of_one_name_belong_to_the_pictures_of_their_own_part(tmp_path: Path):
    """train/2 has no label file, since nothing is on it; that of val/2 is not taken for it."""
    root = tmp_path / "set"
    folder(root / "images" / "train", IDS)
    folder(root / "images" / "val", IDS)
    for part, numbers in (("train", "01"), ("val", "012")):
        (root / "labels" / part).mkdir(parents=True)
        for number in numbers:
            line = f"{int(number) if part == 'train' else 1} .5 .5 1 1"
            (root / "labels" / part / f"{number}.txt").write_text(line)
    (root / "data.yaml").write_text("names: [cat, dog]")
    ds = open_source(root / "images" / "train", labels=str(root))
    named = [ds.classes[code] if code >= 0 else "" for code in ds.labels]
    assert named == ["cat", "dog", ""]
