"""Selections of objects leave as pictures with their boxes: COCO and FiftyOne."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scenes_objects as scenes
from PIL import Image

import coreset_engine as ce
from coreset_engine.artifacts.store import Store
from coreset_engine.export.targets import export, export_folder
from coreset_engine.pipeline.manifest import write_run

BOXES = {1: [0, [4, 2, 10, 8]], 2: [0, [20, 10, 15, 20]], 3: [1, [50, 5, 20, 30]]}


@pytest.fixture
def chosen(tmp_path, monkeypatch):
    """(run, selection folder): boxes 3 and 2 of three pictures, in this order of rank."""
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    folder = tmp_path / "set"
    folder.mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 80, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    document = dict(
        images=[dict(id=n, file_name=f"{n}.png", width=80, height=40) for n in range(3)],
        annotations=[
            dict(id=key, image_id=image, bbox=box, category_id=7 + image)
            for key, (image, box) in BOXES.items()
        ],
        categories=[dict(id=7, name="car"), dict(id=8, name="bus")],
    )
    (folder / "boxes.json").write_text(json.dumps(document))
    run = ce.Run(ce.open_source(folder, patches="boxes.json"), store=Store(tmp_path / "home"))
    picks = ce.select("random", run, count=2, must_keep=["1.png#3", "0.png#2"])
    return run, write_run(tmp_path / "picks", run, picks)


def test_coco_holds_the_pictures_and_the_boxes_that_were_chosen(chosen, tmp_path):
    _, picks = chosen
    done = export_folder(picks, target="coco", out=str(tmp_path / "out"))
    assert (done["images"], done["annotations"]) == (2, 2)
    document = json.loads((tmp_path / "out" / "coco.json").read_text())
    images = {image["id"]: image for image in document["images"]}
    names = {one["id"]: one["name"] for one in document["categories"]}
    found = {one["coreset"]["id"]: one for one in document["annotations"]}
    assert set(found) == {"1.png#3", "0.png#2"}
    for key, one in found.items():
        image, box = BOXES[int(key[-1])]
        assert one["bbox"] == box and one["area"] == box[2] * box[3]
        assert images[one["image_id"]]["coreset"]["id"] == f"{image}.png"
        assert (images[one["image_id"]]["width"], images[one["image_id"]]["height"]) == (80, 40)
        assert names[one["category_id"]] == ("car", "bus")[image]


def test_other_targets_write_the_objects_themselves(chosen, tmp_path):
    run, picks = chosen
    export_folder(picks, target="imagefolder", out=str(tmp_path / "out"), options={"val": 0})
    sizes = sorted(Image.open(path).size for path in (tmp_path / "out").rglob("*.png"))
    expected = sorted(run.dataset.image(i).size for i in (1, 2))
    assert sizes == expected


def test_a_folder_for_fiftyone_has_a_field_of_boxes(chosen, tmp_path):
    run, _ = chosen
    export(run, target="fiftyone-disk", out=str(tmp_path / "fo"), method="random", count=3)
    samples = json.loads((tmp_path / "fo" / "samples.json").read_text())["samples"]
    boxes = {
        sample["coreset_id"]: sorted(
            one["bounding_box"] for one in sample["coreset_objects"]["detections"]
        )
        for sample in samples
        if "coreset_objects" in sample
    }
    assert boxes == {
        "0.png": [[4 / 80, 2 / 40, 10 / 80, 8 / 40], [20 / 80, 10 / 40, 15 / 80, 20 / 40]],
        "1.png": [[50 / 80, 5 / 40, 20 / 80, 30 / 40]],
    }


def test_detections_of_fiftyone_are_opened_and_exported_back(fiftyone, tmp_path):
    found = fiftyone(scenes.round_trip, str(tmp_path), "objects")
    assert found["same"] and len(found["ids"]) == 6
    assert found["aside"] == [["has a box outside its image", 1]]
    # 0.25 x 80 = 20 and 0.5 x 40 = 20 pixels, and a tenth on each side
    assert found["sizes"][0] == [24, 24] and found["classes"] == ["kind 0", "kind 1"] * 3
    owner = {f"{sample}#{key}": sample for sample, keys in found["samples"].items() for key in keys}
    assert found["tagged"] == sorted({owner[key] for key in found["chosen"]})
    assert sum(map(len, found["exported"].values())) == 3
    expected = {"kind 0": [0.1, 0.25, 0.25, 0.5], "kind 1": [0.5, 0.5, 0.25, 0.25]}
    for boxes in found["exported"].values():
        assert all(box == expected[label] for label, *box in boxes)


def test_fields_without_boxes_are_refused_with_those_there_are(fiftyone, tmp_path):
    message = fiftyone(scenes.refusals, str(tmp_path), "refused")
    assert "has no detections field 'truth' (--patches); it has none" in message[0]
    assert "belong to whole samples; leave one of them out" in message[1]
