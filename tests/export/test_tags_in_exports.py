"""Tags of images travel with every export, beside those that are there already."""

from __future__ import annotations

import json

import pandas as pd
import pytest
import scenes_tags as scenes
from synthetic_bundles import pictures

from coreset_engine.curation.tagging import tag
from coreset_engine.export.targets import export
from coreset_engine.pipeline.run import Run
from coreset_engine.sources.open import open_source


@pytest.fixture
def source(tmp_path):
    return str(pictures(tmp_path / "images"))


@pytest.fixture
def run(source, tmp_path, monkeypatch):
    """Eight pictures; two of them blurry, one of these new as well."""
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    run = Run(open_source(source))
    tag(run, "blurry", ids=["c/1.png", "b/0.png"])
    tag(run, "new", ids=["c/1.png"])
    return run


WANTED = {"c/1.png": {"blurry", "new"}, "b/0.png": {"blurry"}}


def sent(run, target, tmp_path):
    folder = tmp_path / target
    export(run, target=target, method="random", count=8, out=str(folder))
    return folder


def test_csv_and_parquet(run, tmp_path):
    folder = sent(run, "csv", tmp_path)
    for table in (
        pd.read_csv(folder / "selection.csv", keep_default_na=False),
        pd.read_parquet(folder / "selection.parquet"),
    ):
        found = {key: set(cell.split()) for key, cell in zip(table["id"], table["tags"]) if cell}
        assert found == WANTED


def test_coco(run, tmp_path):
    folder = sent(run, "coco", tmp_path)
    images = json.loads((folder / "coco.json").read_text())["images"]
    about = {one["coreset"]["id"]: set(one["coreset"]["tags"]) for one in images}
    assert {key: tags for key, tags in about.items() if tags} == WANTED


def test_label_studio(run, tmp_path):
    folder = sent(run, "label-studio", tmp_path)
    tasks = json.loads((folder / "tasks.json").read_text())
    found = {one["data"]["coreset_id"]: set(one["data"]["coreset_tags"]) for one in tasks}
    assert {key: tags for key, tags in found.items() if tags} == WANTED


def test_fiftyone_folder(run, tmp_path):
    folder = sent(run, "fiftyone-disk", tmp_path)
    samples = json.loads((folder / "samples.json").read_text())["samples"]
    found = {one["coreset_id"]: set(one["tags"]) for one in samples}
    for key, tags in found.items():
        assert tags == {"coreset", "coreset:main"} | WANTED.get(key, set())


@pytest.mark.parametrize("target", ["huggingface", "webdataset", "pytorch", "imagefolder"])
def test_other_targets_still_work(run, tmp_path, target):
    folder = sent(run, target, tmp_path)
    table = pd.read_parquet(folder / "selection.parquet")
    assert set(table.loc[table["tags"] != "", "id"]) == set(WANTED)


def test_tags_join_those_of_a_fiftyone_dataset_and_come_back(fiftyone, source, tmp_path):
    found = fiftyone(scenes.into_theirs, str(tmp_path), source, "tags of both")
    first, second, *others = found["ids"]
    assert {"theirs", "blurry", "new"} <= set(found["after"][first])
    assert found["after"][first].count("blurry") == 1
    assert {"theirs", "blurry", "new"} <= set(found["after"][second])
    assert all("theirs" in found["again"][key] for key in found["ids"])
    assert all("blurry" not in found["after"][key] for key in others)
    assert "blurry" in found["again"][first], "it was theirs before"
    assert set(found["read"]["new"]) == {first, second}
    assert set(found["read"]["theirs"]) == set(found["ids"]) and "coreset" not in found["read"]


def test_tags_that_exports_give_are_not_the_images_own():
    from coreset_engine.core.export_tags import is_export_tag

    assert is_export_tag("coreset") and is_export_tag("coreset:main")
    assert not is_export_tag("coresets") and not is_export_tag("night")
