"""A class has the same name and number in every part of every export, and in a reopened one."""

from __future__ import annotations

import csv
import dataclasses
import json
import tarfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from synthetic_bundles import make_bundle, pictures
from torchvision.datasets import ImageFolder

from coreset_engine.core.registry import load
from coreset_engine.export.formats import images
from coreset_engine.export.targets import TARGETS
from coreset_engine.sources.open import open_source

AWKWARD = ("unlabelled", "class", "Cat", "cat", "cat ", "10", "2", "日本", "中国", "CON", "a.b.")


def write(target, bundle, folder, **options):
    return load(TARGETS[target].writer)(bundle, folder, **options)


def classed(tmp_path, classes, per_class=4, loose=0, keep=None):
    """A selection of a source with these classes in this order, best first in source order."""
    count = per_class * len(classes) + loose
    source = str(pictures(tmp_path / "src", [f"{i:03d}.png" for i in range(count)]))
    bundle = make_bundle(
        tmp_path, source, keep=keep or count, order=np.arange(count), method="random"
    )
    labels = np.repeat(np.arange(len(classes)), per_class)
    labels = np.append(labels, np.full(loose, -1)).astype(np.int64)
    dataset = dataclasses.replace(bundle.dataset, labels=labels, classes=tuple(classes))
    return dataclasses.replace(bundle, dataset=dataset)


def listed(target, position):
    """The class list of an export, by number."""
    if target == "coco":
        rows = json.loads((position / "coco.json").read_text())["categories"]
        return {row["id"] - 1: row["name"] for row in rows}
    if target == "webdataset":
        return dict(enumerate(json.loads((position / "shards/classes.json").read_text())))
    if target == "huggingface":
        schema = pq.read_schema(next((position / "data").glob("*.parquet")))
        info = json.loads(schema.metadata[b"huggingface"])["info"]["features"]["label"]
        return dict(enumerate(info["names"]))
    if target == "label-studio":
        config = ElementTree.parse(position / "config.xml")
        return dict(enumerate(choice.get("value") for choice in config.iter("Choice")))
    rows = json.loads((position / "classes.json").read_text())["classes"]
    return {row["index"]: row["name"] for row in rows}


EVERY = ("coco", "webdataset", "huggingface", "label-studio", "imagefolder")


@pytest.mark.parametrize("target", EVERY)
def test_every_export_lists_all_classes_in_the_sources_order(tmp_path, target):
    full = classed(tmp_path, AWKWARD)
    few = dataclasses.replace(full, table=full.table.assign(selected=False, rank=-1))
    few.table.loc[[0, 9, 20], "selected"] = True
    few.table.loc[[0, 9, 20], "rank"] = [0, 1, 2]
    for name, bundle in (("whole", full), ("few", few)):
        write(target, bundle, tmp_path / name)
        assert listed(target, tmp_path / name) == dict(enumerate(AWKWARD))


def test_shards_and_parquet_number_by_that_list(tmp_path):
    bundle = classed(tmp_path, AWKWARD, per_class=2)
    truth = dict(zip(bundle.ids, bundle.truth))
    write("webdataset", bundle, tmp_path / "web")
    with tarfile.open(next((tmp_path / "web/shards").glob("*.tar"))) as tar:
        read = {one.name: tar.extractfile(one).read() for one in tar}
    for name, data in read.items():
        if name.endswith(".json"):
            key = json.loads(data)["id"]
            assert AWKWARD[int(read[name.replace(".json", ".cls")])] == truth[key]
    write("huggingface", bundle, tmp_path / "hf")
    rows = pq.read_table(next((tmp_path / "hf/data").glob("*.parquet"))).to_pylist()
    assert [AWKWARD[row["label"]] for row in rows] == [truth[row["id"]] for row in rows]


@pytest.mark.parametrize("counts", [(10, 10, 10, 1), (1, 1), (2, 2), (5, 1)])
def test_train_and_val_of_an_image_folder_number_alike(tmp_path, counts):
    names = [f"{name}/p{i}.png" for name, n in zip("abcd", counts) for i in range(n)]
    source = str(pictures(tmp_path / "src", names))
    bundle = make_bundle(tmp_path, source, keep=len(names), method="random")
    summary = write("imagefolder", bundle, tmp_path / "out")
    train, val = (ImageFolder(tmp_path / "out" / part) for part in ("train", "val"))
    assert (
        train.class_to_idx
        == val.class_to_idx
        == {n: i for i, n in enumerate("abcd"[: len(counts)])}
    )
    assert summary["train"] + summary["val"] == len(names)
    assert ("one image" in summary.get("note", "")) == (1 in counts)


def test_no_val_folder_where_nothing_is_held_out(tmp_path):
    bundle = classed(tmp_path, ("a", "b"))
    write("imagefolder", bundle, tmp_path / "out")
    assert (tmp_path / "out" / "val").is_dir()
    write("imagefolder", bundle, tmp_path / "out", val=0)  # and none left from before
    assert not (tmp_path / "out" / "val").exists()


def test_images_without_a_class_are_no_class_and_no_class_is_taken_for_them(tmp_path):
    bundle = classed(tmp_path, AWKWARD, loose=3)
    write("imagefolder", bundle, tmp_path / "out", val=0)
    with open(tmp_path / "out/samples.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    folder_of = {}
    for row in rows:
        folder = row["file"].rpartition("/")[0]
        assert folder_of.setdefault(folder, row["class"]) == row["class"]
    assert sorted(folder_of.values()) == sorted([*AWKWARD, ""])
    assert [row["part"] for row in rows].count("unlabelled") == 3
    assert len(list((tmp_path / "out/train").iterdir())) == len(AWKWARD) + 1  # and our mark


def test_a_class_has_the_same_folder_whatever_else_is_exported(tmp_path):
    full = classed(tmp_path, AWKWARD)
    write("imagefolder", full, tmp_path / "whole", val=0)
    only = dataclasses.replace(full, table=full.table.assign(selected=False, rank=-1))
    only.table.loc[8, ["selected", "rank"]] = [True, 0]  # one image of "Cat"
    write("imagefolder", only, tmp_path / "only", val=0)
    folders = [
        {path.name for path in (tmp_path / name / "train").iterdir() if path.is_dir()}
        for name in ("whole", "only")
    ]
    assert folders[1] == {"%43at"} < folders[0]


@pytest.mark.parametrize("part", ["", "train"])
def test_a_reopened_image_folder_has_the_names_and_numbers_of_the_source(tmp_path, part):
    bundle = classed(tmp_path, AWKWARD)
    write("imagefolder", bundle, tmp_path / "out", val=0)
    found = open_source(str(tmp_path / "out" / part))
    assert found.classes == AWKWARD
    for key, code in zip(found.ids, found.labels, strict=True):
        number = int(Path(key).name[:3])  # files keep the stem of their source's file
        assert found.classes[code] == AWKWARD[number // 4]


def test_clusters_of_one_name_are_one_class(tmp_path):
    bundle = make_bundle(tmp_path, str(pictures(tmp_path / "src")), keep=6)
    table = bundle.table.assign(pseudo_label=np.arange(len(bundle)) % 4)
    bundle = dataclasses.replace(bundle, table=table, cluster_names={0: "cat", 2: "cat"})
    found = images.class_labels(bundle, "pseudo")
    assert found.names == ("cat", "cluster 1", "cluster 3")
    assert [found.name(row) for row in range(4)] == ["cat", "cluster 1", "cat", "cluster 3"]


MANY = [f"class {number}" for number in range(24)]  # more than half of the pictures written
REOPENED = {
    "imagefolder": ["train", "val"],
    "huggingface": ["data/*.parquet"],
    "webdataset": ["shards/*.tar"],
}


@pytest.mark.parametrize("target", REOPENED)
def test_a_reopened_export_has_the_classes_of_the_source_however_few_its_pictures(tmp_path, target):
    """Also those of which no picture was kept: their numbers stay free."""
    bundle = classed(tmp_path, MANY, per_class=2, keep=40)
    write(target, bundle, tmp_path / "out")
    for folder in REOPENED[target]:
        found = open_source(str(tmp_path / "out" / folder))
        assert found.classes == tuple(MANY)
        assert sorted(set(found.labels.tolist())) == list(range(20))


@pytest.mark.parametrize("target", ["imagefolder", "huggingface", "webdataset"])
def test_names_that_are_escaped_once_stay_so(tmp_path, target, monkeypatch):
    """A backslash or a control character in a class name: exporting what was exported changes none."""
    from coreset_engine.export.targets import export
    from coreset_engine.pipeline.run import Run

    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    (tmp_path / "src").mkdir()
    names = ["a\\b", "line\nbreak", "plain"]
    rows = ["file,label"]
    for number in range(6):
        Image.new("RGB", (8, 8), (number * 40, 9, 9)).save(tmp_path / "src" / f"{number}.png")
        rows.append(f'{number}.png,"{names[number % 3]}"')
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    first = open_source(str(tmp_path / "src"), labels=str(tmp_path / "labels.csv"))
    folder = tmp_path / "out"
    export(Run(first), target=target, method="random", count=6, out=str(folder))
    inside = {"huggingface": "data", "webdataset": "shards"}.get(target, "")
    assert open_source(str(folder / inside)).classes == first.classes
