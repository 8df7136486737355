"""The network that is watched and the clusterer are chosen on every door; pixel networks see
pixels."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.stage_inputs import inputs_of
from coreset_engine.sources.open import open_source

ROOT = Path(__file__).parents[2]


@pytest.fixture
def pictures(tmp_path):
    digits = load_digits()
    for i in range(60):
        folder = tmp_path / "images" / str(digits.target[i])
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((digits.images[i] * 15.9).astype("uint8")).save(folder / f"{i:02d}.png")
    return tmp_path / "images"


def test_a_pixel_network_sees_pixels_and_has_its_own_artefact(pictures, tmp_path):
    source = open_source(str(pictures))
    store = Store(tmp_path / "home")
    on_pixels = Run(source, proxy="convnet", store=store, device="cpu")
    on_vectors = Run(source, proxy="linear", store=store, device="cpu")
    seen = inputs_of(on_pixels, "convnet")
    assert seen.shape == (60, 1, 8, 8) and seen.dtype == np.uint8
    first = source.image(0).convert("L")
    assert np.array_equal(seen[0, 0], np.asarray(first))
    made = on_pixels.dynamics_at(epochs=2)
    assert (
        made.info["proxy"] == "convnet" and made.aum.shape == (60,) and np.isfinite(made.aum).all()
    )
    assert on_pixels.key_of("dynamics") != on_vectors.key_of("dynamics")
    assert inputs_of(on_vectors, "linear") is on_vectors.vectors


def test_pixels_are_asked_for_where_there_are_none(tmp_path):
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32))
    run = Run(
        open_source(str(tmp_path / "v.npy")), proxy="resnet18", store=Store(tmp_path / "home")
    )
    with pytest.raises(Missing, match="vectors only; use proxy='mlp'"):
        inputs_of(run, run.proxy)
    for wrong in (dict(proxy="resnet19"), dict(clusterer="kmedians")):
        with pytest.raises(BadInput, match="unknown"):
            Run(run.dataset, **wrong)


@pytest.mark.slow
def test_the_shell_takes_both_and_the_manifest_keeps_them(tmp_path):
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(80, 6)).astype(np.float32))
    shell = [sys.executable, "-m", "coreset_engine"]
    environment = dict(
        CORESET_HOME=str(tmp_path / "home"), OMP_NUM_THREADS="1", PATH="/usr/bin:/bin"
    )
    done = subprocess.run(
        [
            *shell,
            "run",
            str(tmp_path / "v.npy"),
            "--n-clusters",
            "3",
            "--clusterer",
            "kmeans",
            "--proxy",
            "linear",
            "--out",
            str(tmp_path / "out"),
        ],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads((tmp_path / "out" / "manifest.json").read_text())["run"]
    assert (answer["clusterer"], answer["proxy"]) == ("kmeans", "linear")
    again = subprocess.run(
        [*shell, "verify", str(tmp_path / "out")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert again.returncode == 0 and "True" in again.stdout, again.stdout + again.stderr
