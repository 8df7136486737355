"""A folder of images that was moved after the selection was made: named, checked, and used."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from coreset_engine.cli.main import app
from coreset_engine.core.errors import BadInput


def call(*words):
    done = CliRunner().invoke(app, [*map(str, words), "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.fixture
def moved(tmp_path, monkeypatch):
    """A selection of a folder, and the place that folder was moved to."""
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    for name in ("a", "b"):
        (tmp_path / "src" / name).mkdir(parents=True)
        for i in range(4):
            pixels = np.random.default_rng([ord(name), i]).integers(0, 255, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "src" / name / f"{i}.png")
    selection = tmp_path / "sel"
    words = ("--method", "random", "--prune-rate", "0.5", "--out", selection)
    call("run", tmp_path / "src", *words)
    (tmp_path / "src").rename(tmp_path / "new place")
    return selection, tmp_path / "new place"


def test_an_export_says_how_to_name_the_new_place_and_takes_it(moved, tmp_path):
    selection, folder = moved
    with pytest.raises(BadInput, match="--images FOLDER"):
        call("export", selection, "--to", "imagefolder", "--out", tmp_path / "out")
    words = ("--to", "imagefolder", "--out", tmp_path / "out", "--images", folder)
    assert call("export", selection, *words)["train"] == 2


def test_verify_recomputes_from_the_new_place(moved):
    selection, folder = moved
    assert call("verify", selection / "manifest.json", "--images", folder)["same"] is True
    with pytest.raises(BadInput, match="--images FOLDER"):
        call("verify", selection / "manifest.json")


def test_labels_go_to_the_images_at_the_new_place(moved, tmp_path):
    selection, folder = moved
    ids = (selection / "ids.txt").read_text().split()
    (tmp_path / "l.csv").write_text("id,label\n" + "".join(f"{key},x\n" for key in ids))
    words = ("--selection", selection, "--out", tmp_path / "next", "--images", folder)
    assert call("import-labels", tmp_path / "l.csv", *words)["labelled"] == 4


@pytest.mark.parametrize("change", ["one gone", "other content"])
def test_a_folder_with_other_images_is_refused(moved, change):
    selection, folder = moved
    if change == "one gone":
        (folder / "a" / "0.png").unlink()
    else:
        Image.new("RGB", (8, 8)).save(folder / "a" / "0.png")
    with pytest.raises(BadInput, match="does not hold the images of this selection"):
        call("verify", selection / "manifest.json", "--images", folder)
