"""Exported images can be displayed by the receiver, at the size they declare."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from synthetic_bundles import make_bundle

from coreset_engine.core.registry import load
from coreset_engine.core.types import Neighbours
from coreset_engine.export.fiftyone.layers import Names, own_layers, views
from coreset_engine.export.targets import TARGETS


def write(target, bundle, folder, **options):
    return load(TARGETS[target].writer)(bundle, folder, **options)


def noise(seed, mode="RGB", size=(24, 16)):
    pixels = np.random.default_rng(seed).integers(0, 255, (*size[::-1], 3), np.uint8)
    return Image.fromarray(pixels).convert(mode)


@pytest.fixture
def odd(tmp_path):
    """One file of every kind that browsers show badly or not at all, and two they do show."""
    folder = tmp_path / "src"
    folder.mkdir()
    noise(0).save(folder / "a.tif")
    noise(1, "CMYK").save(folder / "b.jpg")
    Image.fromarray(np.arange(384, dtype=np.uint16).reshape(16, 24) * 100).save(folder / "c.png")
    noise(2).save(folder / "d.tif.png", "TIFF")  # its name says PNG
    noise(3).save(folder / "e.jpg")
    noise(4, "RGBA").save(folder / "f.png")
    return make_bundle(tmp_path, str(folder), keep=6, method="random")


def shown(path):
    with Image.open(path) as image:
        return image.format in ("JPEG", "PNG") and image.mode in ("L", "RGB", "RGBA")


@pytest.mark.parametrize("target", ["fiftyone-disk", "label-studio"])
def test_a_browser_shows_every_picture_of_targets_that_are_looked_at(odd, tmp_path, target):
    write(target, odd, tmp_path / "out")
    if target == "label-studio":
        files = [p for p in (tmp_path / "out/images").iterdir() if not p.name.startswith(".")]
    else:
        samples = json.loads((tmp_path / "out/samples.json").read_text())["samples"]
        files = [tmp_path / "out" / one["filepath"] for one in samples]
        names = [Path(one["filepath"]).name for one in samples]
        assert names[4:] == ["e.jpg", "f.png"], "what a browser shows stays the source's own file"
        assert {one["metadata"]["mime_type"] for one in samples} == {"image/png", "image/jpeg"}
    assert len(files) == 6 and all(map(shown, files))


def test_training_targets_keep_tiff_and_turn_what_loses_values_into_png(odd, tmp_path):
    write("imagefolder", odd, tmp_path / "out", val=0)
    kinds = sorted(
        (path.name[0], Image.open(path).format) for path in (tmp_path / "out/train").rglob("*-*.*")
    )
    assert kinds == [
        ("a", "TIFF"),
        ("b", "JPEG"),
        ("c", "PNG"),
        ("d", "TIFF"),
        ("e", "JPEG"),
        ("f", "PNG"),
    ]
    (grey,) = (tmp_path / "out/train").rglob("c-*.png")
    assert Image.open(grey).mode == "RGB"  # 16 bits, cut to 8 by every loader, would be white


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_sizes_are_those_of_the_picture_as_shown(tmp_path, orientation, ending):
    (tmp_path / "src").mkdir()
    exif = Image.Exif()
    exif[0x0112] = orientation
    for i in range(3):
        noise(i, size=(60, 40)).save(tmp_path / "src" / f"{i}.{ending}", exif=exif)
    bundle = make_bundle(tmp_path, str(tmp_path / "src"), keep=3, method="random")
    write("coco", bundle, tmp_path / "coco")
    write("fiftyone-disk", bundle, tmp_path / "fo")
    wanted = (40, 60) if orientation in (6, 8) else (60, 40)
    for entry in json.loads((tmp_path / "coco/coco.json").read_text())["images"]:
        with Image.open(tmp_path / "coco/images" / entry["file_name"]) as image:
            assert ImageOps.exif_transpose(image).size == wanted
        assert (entry["width"], entry["height"]) == wanted
    for sample in json.loads((tmp_path / "fo/samples.json").read_text())["samples"]:
        assert (sample["metadata"]["width"], sample["metadata"]["height"]) == wanted


def test_label_studio_says_how_it_is_served(odd, tmp_path):
    steps = write("label-studio", odd, tmp_path / "a b")["steps"]
    message = " ".join(steps)
    root = str((tmp_path / "a b").resolve())
    assert "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true" in message
    assert f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT='{root}'" in message
    assert f"'{root}/images'" in message and "import-labels" in message
    assert "steps" not in write("label-studio", odd, tmp_path / "b", prefix="https://x/")


# -- saved views that depend on the data -----------------------------------------------------------


def with_neighbours(bundle, distances, indices=None):
    import dataclasses

    n, k = distances.shape
    neighbours = np.array([np.delete(np.arange(n), i)[:k] for i in range(n)])
    found = Neighbours(neighbours if indices is None else indices, distances.astype(np.float32))
    return dataclasses.replace(bundle, neighbours=found)


@pytest.mark.parametrize(
    ("typical", "neighbours"), [(0.5, 0.02), (0.1, 0.01), (0.004, 0.0004), (0.0, 1e-6)]
)
def test_the_distance_of_near_duplicates_follows_the_data(odd, typical, neighbours):
    bundle = with_neighbours(odd, np.full((6, 5), typical))
    assert bundle.near_distance == pytest.approx(neighbours)
    names = Names()
    (view,) = [
        one
        for one in views(names, own_layers(bundle, names), bundle.near_distance)
        if "near-dup" in one.name
    ]
    assert view.stages[1][1]["filter"]["coreset_nearest_kept"]["$lte"] == pytest.approx(neighbours)


def test_suspected_errors_are_of_the_given_labels_where_there_are_any(odd):
    import dataclasses

    labels = np.array([0, 0, 0, 1, 1, 0])  # the last lies among class 1 and says 0
    dataset = dataclasses.replace(odd.dataset, labels=labels, classes=("a", "b"))
    neighbours = np.array([[1, 2], [0, 2], [0, 1], [4, 5], [3, 5], [3, 4]])
    bundle = dataclasses.replace(odd, dataset=dataset)
    bundle = with_neighbours(bundle, np.full((6, 2), 0.1), neighbours)
    assert bundle.label_margin.tolist() == [1, 1, 1, 0, 0, -1]
    names = Names()

    def suspected(one):
        (view,) = [v for v in views(names, own_layers(one, names)) if "suspected" in v.name]
        return view.stages[0][1]["filter"]

    assert suspected(bundle) == {"coreset_label_margin": {"$lt": 0}}
    unlabelled = dataclasses.replace(bundle, dataset=dataclasses.replace(dataset, labels=None))
    assert suspected(unlabelled) == {"coreset_aum": {"$lt": 0}}
