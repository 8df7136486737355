"""Targets other than FiftyOne: what each writes is read back by its own kind of reader and equals
the selection."""

from __future__ import annotations

import csv
import dataclasses
import importlib.util
import io
import json
import os
import tarfile
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image
from synthetic_bundles import NAMES, make_bundle, pictures

from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.registry import load
from coreset_engine.export.bundle import ExportBundle
from coreset_engine.export.formats import images as shared
from coreset_engine.export.staging import MARK
from coreset_engine.export.targets import TARGETS

PICTURED = ("imagefolder", "coco", "label-studio", "huggingface", "webdataset")


def write(target, given: ExportBundle, location, **options):
    return load(TARGETS[target].writer)(given, location, **options)


@pytest.fixture
def folder(tmp_path):
    return make_bundle(tmp_path, str(pictures(tmp_path / "images")), keep=6)


def ids_of(given: ExportBundle) -> list[str]:
    table = given.table[given.table["selected"]].sort_values("rank")
    return [str(key) for key in table["id"]]


def colour(data: bytes) -> tuple:
    return Image.open(io.BytesIO(data)).convert("RGB").getpixel((2, 2))


def near(one, other):
    return max(abs(a - b) for a, b in zip(one, other)) < 12  # JPEG


def pixel(given: ExportBundle, key: str):
    return given.image(int(np.flatnonzero(given.ids == key)[0])).getpixel((2, 2))


# -- each target, read back ------------------------------------------------------------------------


def test_imagefolder_is_read_by_torchvision_and_holds_every_image_once(folder, tmp_path):
    from torchvision.datasets import ImageFolder

    target = tmp_path / "out"
    answer = write("imagefolder", folder, target, val=0.4)
    with open(target / "samples.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ids_of(folder)
    parts = {part: ImageFolder(str(target / part)) for part in ("train", "val")}
    assert (len(parts["train"]), len(parts["val"])) == (answer["train"], answer["val"]) and answer[
        "val"
    ] > 0
    assert answer["train"] + answer["val"] == 6
    truth = dict(zip(folder.ids, folder.truth))
    for row in rows:
        path = target / row["file"]
        assert near(colour(path.read_bytes()), pixel(folder, row["id"]))
        assert (
            row["class"] == truth[row["id"]] == path.parent.name
            and path.parent.parent.name == row["part"]
        )
    weights = dict(zip(folder.ids, folder.table["weight"]))
    assert all(float(row["weight"]) == weights[row["id"]] for row in rows)


def test_imagefolder_links_when_it_can_and_copies_when_it_cannot(folder, tmp_path, monkeypatch):
    def files(target):
        return [
            path
            for part in ("train", "val")
            for path in (target / part).rglob("*")
            if path.is_file() and path.name != MARK
        ]

    write("imagefolder", folder, tmp_path / "hard")
    assert {path.stat().st_nlink for path in files(tmp_path / "hard")} == {2}
    write("imagefolder", folder, tmp_path / "copy", link="copy")
    assert {path.stat().st_nlink for path in files(tmp_path / "copy")} == {1}

    def elsewhere(*args):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", elsewhere)
    write("imagefolder", folder, tmp_path / "other")
    assert len(files(tmp_path / "other")) == 6


def test_the_validation_part_is_stratified_and_does_not_move():
    ids = [f"i{n}" for n in range(100)]
    classes = ["a"] * 60 + ["b"] * 39 + ["c"]
    out = shared.held_out(ids, classes, 0.2, 0)
    assert [sum(out[:60]), sum(out[60:99]), out[99]] == [12, 8, 0]
    back = shared.held_out(ids[::-1], classes[::-1], 0.2, 0)
    assert (back[::-1] == out).all() and (shared.held_out(ids, classes, 0.2, 1) != out).any()
    for wrong in (1, -0.1, float("nan"), "x"):
        with pytest.raises(BadInput, match="val="):
            shared.held_out(ids, classes, wrong, 0)


@pytest.mark.parametrize("prelabel", [False, True])
def test_coco(folder, tmp_path, prelabel):
    write("coco", folder, tmp_path / "out", prelabel=prelabel)
    found = json.loads((tmp_path / "out" / "coco.json").read_text())
    assert [image["coreset"]["id"] for image in found["images"]] == ids_of(folder)
    names = {row["id"]: row["name"] for row in found["categories"]}
    for image in found["images"]:
        assert (image["width"], image["height"]) == (6, 4)
        data = (tmp_path / "out" / "images" / image["file_name"]).read_bytes()
        assert near(colour(data), pixel(folder, image["coreset"]["id"]))
    assert len(found["annotations"]) == (6 if prelabel else 0)
    truth = dict(zip(folder.ids, folder.truth))
    by_id = {image["id"]: image["coreset"]["id"] for image in found["images"]}
    assert all(
        names[box["category_id"]] == truth[by_id[box["image_id"]]] and box["bbox"] == [0, 0, 6, 4]
        for box in found["annotations"]
    )


def test_label_studio(folder, tmp_path):
    write("label-studio", folder, tmp_path / "out", labels="pseudo")
    tasks = json.loads((tmp_path / "out" / "tasks.json").read_text())
    assert [task["data"]["coreset_id"] for task in tasks] == ids_of(folder)
    config = ElementTree.parse(tmp_path / "out" / "config.xml")
    offered = {choice.get("value") for choice in config.iter("Choice")}
    cluster = {
        key: folder.cluster_name(code)
        for key, code in zip(folder.ids, folder.table["pseudo_label"])
    }
    for task in tasks:
        prediction = task["predictions"][0]
        assert prediction["result"][0]["value"]["choices"] == [cluster[task["data"]["coreset_id"]]]
        assert (
            set(prediction["result"][0]["value"]["choices"]) <= offered
            and 0 <= prediction["score"] <= 1
        )
        name = task["data"]["image"].removeprefix("/data/local-files/?d=")
        assert near(
            colour((tmp_path / "out" / name).read_bytes()),
            pixel(folder, task["data"]["coreset_id"]),
        )


def test_huggingface_parquet_declares_its_features(folder, tmp_path):
    import pyarrow.parquet as pq

    write("huggingface", folder, tmp_path / "out")
    table = pq.read_table(next((tmp_path / "out" / "data").glob("train-00000-of-00001.parquet")))
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"} and list(features) == table.column_names
    rows = table.to_pylist()
    truth = dict(zip(folder.ids, folder.truth))
    assert [row["id"] for row in rows] == ids_of(folder)
    for row in rows:
        assert features["label"]["names"][row["label"]] == truth[row["id"]]
        assert near(colour(row["image"]["bytes"]), pixel(folder, row["id"]))
    aum = dict(zip(folder.ids, folder.table["aum"]))
    assert all(row["aum"] == pytest.approx(aum[row["id"]]) for row in rows)
    assert "path: data/train-*.parquet" in (tmp_path / "out" / "README.md").read_text()


def test_webdataset_shards_are_the_same_bytes_twice(folder, tmp_path):
    for name in ("one", "two"):
        answer = write("webdataset", folder, tmp_path / name, shard=4)
    assert answer["shards"] == 2 and answer["images"] == 6
    shards = sorted((tmp_path / "one" / "shards").glob("*.tar"))
    assert [p.read_bytes() for p in shards] == [
        (tmp_path / "two" / "shards" / p.name).read_bytes() for p in shards
    ]
    classes = json.loads((tmp_path / "one/shards/classes.json").read_text())
    found = []
    truth = dict(zip(folder.ids, folder.truth))
    for shard in shards:
        with tarfile.open(shard) as tar:
            files = {member.name: tar.extractfile(member).read() for member in tar}
        for key in sorted({name.split(".")[0] for name in files}):
            about = json.loads(files[f"{key}.json"])
            picture = files.get(f"{key}.png") or files[f"{key}.jpg"]
            assert near(colour(picture), pixel(folder, about["id"]))
            assert classes[int(files[f"{key}.cls"])] == truth[about["id"]] == about["label"]
            found.append(about["id"])
    assert found == ids_of(folder)


def imported(target):
    spec = importlib.util.spec_from_file_location("coreset_subset", target / "coreset_subset.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pytorch_finds_the_images_in_an_imagefolder_whatever_its_order(folder, tmp_path):
    from torchvision.datasets import ImageFolder

    write("pytorch", folder, tmp_path / "out")
    module = imported(tmp_path / "out")
    dataset = ImageFolder(str(tmp_path / "images"))
    dataset.samples = dataset.samples[::-1]
    chosen = module.coreset(dataset)
    root = str(tmp_path / "images") + "/"
    assert [dataset.samples[i][0].removeprefix(root) for i in chosen.indices] == ids_of(folder)
    weights = module.loss_weights(dataset).numpy()
    by_id = dict(zip(folder.ids, folder.table["weight"]))
    assert [by_id[path.removeprefix(root)] for path, _ in dataset.samples] == weights.tolist()
    drawn = list(module.sampler())
    assert len(drawn) == 6 and set(drawn) <= set(range(6))
    del dataset.samples[chosen.indices[0]]
    with pytest.raises(ValueError, match="0 times"):
        module.coreset(dataset)


def test_pytorch_goes_by_place_where_images_are_no_files(tmp_path):
    given = make_bundle(tmp_path, "demo", keep=5)
    write("pytorch", given, tmp_path / "out")
    module = imported(tmp_path / "out")
    assert (
        module.coreset(range(1797)).indices
        == np.flatnonzero(given.selected)[np.argsort(given.table["rank"][given.selected])].tolist()
    )
    with pytest.raises(ValueError, match="1797"):
        module.coreset(range(10))


# -- what all with pictures share ------------------------------------------------------------------


@pytest.mark.parametrize("target", PICTURED)
def test_sources_without_files_are_encoded_and_empty_or_whole_choices_work(tmp_path, target):
    for keep in (0, 3):
        given = make_bundle(tmp_path, "demo", keep=keep)
        answer = write(target, given, tmp_path / f"{target}-{keep}")
        assert keep in (
            answer.get("images"),
            answer.get("tasks"),
            answer.get("train", 0) + answer.get("val", -9),
        )
    source = str(pictures(tmp_path / "images"))
    assert write(target, make_bundle(tmp_path, source, keep=len(NAMES)), tmp_path / "all")


@pytest.mark.parametrize("target", PICTURED)
def test_a_second_export_replaces_the_first_and_never_anything_else(folder, tmp_path, target):
    location = tmp_path / "out"
    write(target, folder, location)
    before = sorted(str(path.relative_to(location)) for path in location.rglob("*"))
    write(target, folder, location)
    assert sorted(str(path.relative_to(location)) for path in location.rglob("*")) == before
    (ours := next(path for path in location.iterdir() if path.is_dir()))
    (ours / MARK).unlink()
    with pytest.raises(BadInput, match="not made by an export"):
        write(target, folder, location)


@pytest.mark.parametrize("target", PICTURED)
def test_no_pictures_or_images_gone_is_a_sentence(folder, tmp_path, target):
    for lacking in (
        dataclasses.replace(folder, dataset=None),
        dataclasses.replace(folder, dataset=dataclasses.replace(folder.dataset, reader=None)),
    ):
        with pytest.raises(Missing, match="needs image files"):
            write(target, lacking, tmp_path / "out")
    keep = [i for i in range(len(folder)) if folder.ids[i] != ids_of(folder)[2]]
    data = folder.dataset
    smaller = dataclasses.replace(
        data, ids=data.ids[keep], paths=data.paths[keep], labels=data.labels[keep]
    )
    with pytest.raises(Missing, match="1 of 6 kept images are no longer in the source"):
        write(target, dataclasses.replace(folder, dataset=smaller), tmp_path / "out")


@pytest.mark.parametrize("target", [*PICTURED, "pytorch"])
def test_a_place_that_cannot_be_written_is_a_sentence(folder, tmp_path, target):
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput):
        write(target, folder, tmp_path / "file" / "out")


@pytest.mark.parametrize("target", PICTURED)
def test_class_names_of_strangers_stay_names(tmp_path, target):
    hostile = (
        "../../up",
        "/etc",
        "CON",
        ".hidden",
        "a/b",
        "<img src=x>",
        "\u202eevil",
        "x" * 300,
        "tab\tnew\nline",
        "\udcff",
    )
    given = make_bundle(tmp_path, "demo", keep=20)
    classes = tuple(
        hostile[i % len(hostile)] + (str(i) if i >= len(hostile) else "") for i in range(10)
    )
    data = dataclasses.replace(given.dataset, classes=classes)
    before = {path for path in tmp_path.iterdir()}
    write(target, dataclasses.replace(given, dataset=data), tmp_path / "deep" / "deeper" / "out")
    assert {path for path in tmp_path.iterdir()} - before == {tmp_path / "deep"}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["deeper"]
    assert [path.name for path in (tmp_path / "deep" / "deeper").iterdir()] == ["out"]


def test_a_path_that_only_the_table_claims_is_never_read(folder, tmp_path):
    secret = tmp_path / "secret.png"
    Image.new("RGB", (6, 4), (1, 2, 3)).save(secret)
    lying = dataclasses.replace(folder, table=folder.table.assign(path=str(secret)))
    write("webdataset", lying, tmp_path / "out")
    with tarfile.open(next((tmp_path / "out" / "shards").glob("*.tar"))) as tar:
        for member in tar:
            assert tar.extractfile(member).read() != secret.read_bytes()


@pytest.mark.parametrize(
    "options", [{"labels": "guess"}, {"link": "soft"}, {"shard": 0}, {"shard": "x"}]
)
def test_unknown_choices_are_refused(folder, tmp_path, options):
    target = "webdataset" if "shard" in options else "imagefolder"
    with pytest.raises(BadInput, match=next(iter(options))):
        write(target, folder, tmp_path / "out", **options)
