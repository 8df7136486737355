"""Objects as images: boxes of COCO and YOLO, clipped, counted, cut out with their margin."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import coreset_engine as ce
from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import BadInput
from coreset_engine.sources.open import open_source


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path_factory.mktemp("home")))


def scene(path: Path, size=(100, 60), seed=0) -> Path:
    """A picture whose pixel (x, y) is (x, y, seed)."""
    y, x = np.mgrid[: size[1], : size[0]]
    pixels = np.stack([x, y, np.full_like(x, seed)], axis=2).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def coco(root: Path, boxes, sizes=None) -> Path:
    """boxes: (image number, [x, y, w, h], category, further keys)."""
    numbers = sorted({image for image, *_ in boxes})
    images = [dict(id=n, file_name=f"{n}.png", width=100, height=60) for n in numbers]
    for image, size in (sizes or {}).items():
        images[numbers.index(image)] |= dict(width=size[0], height=size[1])
    annotations = [
        dict(
            id=40 + at, image_id=image, bbox=box, category_id=category, **(more[0] if more else {})
        )
        for at, (image, box, category, *more) in enumerate(boxes)
    ]
    document = dict(
        images=images,
        annotations=annotations,
        categories=[dict(id=3, name="car"), dict(id=5, name="bus")],
    )
    path = root / "boxes.json"
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def root(tmp_path):
    for number in range(3):
        scene(tmp_path / "set" / f"{number}.png", seed=number)
    return tmp_path / "set"


def corner(ds, i):
    """(left, top) of the crop in its picture, the picture's number, and the crop's size."""
    image = ds.image(i)
    return (*np.asarray(image)[0, 0].tolist(), image.size)


def reasons(ds):
    return {one.reason: one.count for one in ds.rejected if "*" not in one.name}


def test_every_box_is_an_image_with_its_margin(root):
    boxes = [(1, [20, 10, 40, 20], 3), (0, [50, 30, 10, 10], 5), (1, [0, 0, 10, 10], 5)]
    coco(root, boxes)
    ds = open_source(root, patches="boxes.json")
    assert ds.ids.tolist() == ["0.png#41", "1.png#40", "1.png#42"]
    assert [ds.classes[code] for code in ds.labels] == ["bus", "car", "bus"]
    # a tenth of the box on each side, inside the picture
    assert corner(ds, 1) == (16, 8, 1, (48, 24))
    assert corner(ds, 0) == (49, 29, 0, (12, 12))
    assert corner(ds, 2) == (0, 0, 1, (11, 11))
    assert [ds.columns[name][1] for name in ("x", "y", "width", "height")] == [20, 10, 40, 20]
    assert ds.columns["image"].tolist() == ["0.png", "1.png", "1.png"]
    assert open_source(ds.spec).fingerprint == ds.fingerprint
    shown = [np.asarray(image).tolist() for image in ds.images(0, 3)]
    assert shown == [np.asarray(ds.image(i)).tolist() for i in range(3)]


def test_boxes_outside_are_clipped_or_set_aside_with_a_count(root):
    boxes = [
        (0, [90, 50, 40, 40], 3),  # reaches outside
        (0, [200, 10, 5, 5], 3),
        (0, [-30, -30, 20, 20], 3),
        (0, [10, 10, 0, 5], 3),
        (0, [10, 10, 5, 1], 3),
        (0, [10, 10, "5", 1], 3),
        (0, [10, 10, 20, 20], 3, dict(iscrowd=1)),
        (2, [10, 10, 20, 20], 9),  # a category that is not listed
    ]
    path = coco(root, boxes)
    document = json.loads(path.read_text())
    document["annotations"].append(dict(id=99, image_id=77, bbox=[1, 1, 5, 5], category_id=3))
    path.write_text(json.dumps(document))
    ds = open_source(root, patches="boxes.json")
    assert ds.ids.tolist() == ["0.png#40", "2.png#47"] and ds.labels.tolist() == [0, -1]
    assert [ds.columns[name][0] for name in ("x", "y", "width", "height")] == [90, 50, 10, 10]
    assert reasons(ds) == {
        "has a box outside its image": 2,
        "has a box without an area": 1,
        "has a box under 2 pixels in its image": 1,
        "has no box of four numbers": 1,
        "marks a crowd, not a single object": 1,
        "names no usable image of this source": 1,
    }
    assert any("1 box reaches outside its image and was clipped" in n.text for n in ds.notes)


def test_sizes_that_differ_from_the_files_are_scaled_or_refused(root):
    boxes = [(number, [40, 20, 80, 40], 3) for number in range(3)]
    coco(root, boxes, sizes={0: (200, 120), 1: (60, 100), 2: (300, 50)})
    ds = open_source(root, patches="boxes.json")
    assert ds.ids.tolist() == ["0.png#40"]
    assert [ds.columns[name][0] for name in ("x", "y", "width", "height")] == [20, 10, 40, 20]
    found = reasons(ds)
    assert any("EXIF rotates" in reason for reason in found)
    assert any("whose shape differs from the file's" in reason for reason in found)


def test_yolo_boxes_and_polygons_are_read(tmp_path):
    root = tmp_path / "set"
    for part in ("train", "val"):
        scene(root / "images" / part / "0.png")
        (root / "labels" / part).mkdir(parents=True)
    lines = "1 .5 .5 .2 .5\n0 .1 .1 .3 .1 .3 .5\nx 1 2 3 4\n0 .5 .5 .2 .2 .9\n"
    (root / "labels" / "train" / "0.txt").write_text(lines)
    (root / "labels" / "val" / "0.txt").write_text("0 .5 .5 1 1\n")
    (root / "data.yaml").write_text("names: {0: car, 1: bus}\n")
    ds = open_source(root, patches="labels")
    assert ds.ids.tolist() == [f"images/train/0.png#{n}" for n in (1, 2, 4)] + [
        "images/val/0.png#1"
    ]
    assert [ds.classes[code] for code in ds.labels] == ["bus", "car", "car", "car"]
    sizes = np.stack([ds.columns[name] for name in ("x", "y", "width", "height")], 1)
    assert np.allclose(sizes[0], [40, 15, 20, 30]) and np.allclose(sizes[1], [10, 6, 20, 24])
    assert reasons(ds) == {"is no YOLO line (class x y width height)": 1}


@pytest.mark.parametrize(
    "text, words",
    [
        ("nowhere.json", "is neither a file nor a folder; give a COCO .json"),
        ("list.json", "is no COCO file: it needs the lists images and annotations"),
        ("broken.json", "cannot be read as JSON"),
        ("empty", "holds no label files"),
        ("none.json", "has no object for .*names no usable image"),
    ],
)
def test_boxes_that_cannot_be_read_are_refused_in_words(root, text, words):
    (root / "list.json").write_text("[1]")
    (root / "broken.json").write_text("{")
    (root / "empty").mkdir()
    other = dict(id=1, image_id=1, bbox=[1, 1, 5, 5], category_id=1)
    strange = dict(images=[dict(id=1, file_name="zzz.png")], annotations=[other], categories=[])
    (root / "none.json").write_text(json.dumps(strange))
    with pytest.raises(BadInput, match=words):
        open_source(root, patches=text)


def test_whole_images_are_chosen_by_their_objects(root, tmp_path):
    """With the constraint `groups="image"` objects of one image are kept together."""
    boxes = [(n, [10 + 20 * k, 10, 15, 30], 3) for n in range(3) for k in range(4)]
    coco(root, boxes)
    run = ce.Run(open_source(root, patches="boxes.json"), store=Store(tmp_path / "home"))
    assert run.vectors.shape[0] == 12
    chosen = ce.select("k_center", run, count=4, groups="image")
    assert len(chosen) == 4 and len({name.split("#")[0] for name in chosen.ids.tolist()}) == 1
