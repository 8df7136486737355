"""The names that scripts and notebooks rely on: imported and called as the design document says.

Shapes, dtypes and ranges are those of section 4 of the design; a name that vanishes or answers
otherwise breaks other people's code, whatever our own callers need.
"""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import coreset_engine as ce

N = 60


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CORESET_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def ds(home, tmp_path_factory):
    """Sixty pictures in three class folders, one colour each, with noise."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for i in range(N):
        name = "rgb"[i % 3]
        (root / name).mkdir(exist_ok=True)
        pixels = rng.integers(0, 60, (24, 24, 3), dtype=np.uint8)
        pixels[:, :, i % 3] += 150
        Image.fromarray(pixels).save(root / name / f"{i:02d}.png")
    return ce.open_source(str(root))


@pytest.fixture(scope="module")
def vectors(ds):
    return np.asarray(ce.embed(ds, encoder="efficientnet_lite0").vectors)


@pytest.fixture(scope="module")
def run(ds):
    return ce.Run(ds, encoder="efficientnet_lite0", seed=0)


def test_open_source(ds):
    assert ds.ids.shape == (N,) and ds.ids.dtype.kind == "U"
    assert ds.labels.shape == (N,) and ds.labels.dtype == np.int64
    assert ds.classes == ("b", "g", "r") and isinstance(ds.fingerprint, str)
    assert isinstance(ds.image(0), Image.Image)


def test_the_demo_and_own_vectors_are_sources(home, tmp_path):
    np.save(tmp_path / "vectors.npy", np.eye(8, dtype=np.float32))
    assert len(ce.open_source("demo").ids) == 1797
    assert len(ce.open_source(str(tmp_path / "vectors.npy")).ids) == 8


def test_embed(ds, vectors):
    emb = ce.embed(ds, encoder="efficientnet_lite0")
    assert emb.vectors.shape[0] == N and emb.vectors.ndim == 2
    assert emb.vectors.dtype in (np.float32, np.float16)
    assert list(emb.ids) == list(ds.ids) and isinstance(emb.key, str)


def test_neighbours():
    points = np.array([[1, 0], [1, 0.1], [0, 1], [0.3, 1]], np.float32)
    nn = ce.neighbours(points, k=2, metric="cosine")
    assert nn.indices.shape == nn.distances.shape == (4, 2)
    assert nn.indices.dtype == np.int64 and nn.distances.dtype == np.float32
    assert nn.indices[:, 0].tolist() == [1, 0, 3, 2]
    assert (nn.indices != np.arange(4)[:, None]).all()
    assert (np.diff(nn.distances, axis=1) >= 0).all()


def test_coverage_scores_of_given_draws_are_a_function_of_the_input():
    points = np.array([[0, 0], [1, 0], [4, 0], [9, 0]], np.float32)
    dims = np.array([[0, 1], [0, 1]])
    at = np.array([[0.1, 0.0], [8.0, 0.0]])
    scores = [
        ce.coverage_scores(
            points,
            n_samples=2,
            n_dims=2,
            n_neighbours=1,
            exponent=4,
            distribution="triangular",
            seed=seed,
            device="cpu",
            draws=(dims, at),
        )
        for seed in (0, 1)
    ]
    assert scores[0].coverage.tolist() == [1, 0, 0, 1]  # eq. 6: each sample covers its nearest
    assert scores[0].score.dtype == np.float64 and scores[0].n_samples == 2
    assert (scores[0].score == scores[0].coverage - scores[0].redundancy).all()  # eq. 9
    assert (scores[0].score == scores[1].score).all()


@pytest.mark.parametrize("method", ["temi", "kmeans"])
def test_pseudo_labels(vectors, method):
    pl = ce.pseudo_labels(vectors, n_clusters=3, method=method, seed=0)
    assert pl.labels.shape == (N,) and pl.labels.dtype == np.int64
    assert pl.labels.min() >= 0 and pl.labels.max() < 3
    assert pl.confidence.shape == (N,) and pl.confidence.dtype == np.float32


def test_training_dynamics(vectors, ds):
    dyn = ce.training_dynamics(vectors, ds.labels, proxy="mlp", epochs=3, seed=0)
    for name in ("aum", "forgetting", "el2n", "entropy"):
        assert getattr(dyn, name).shape == (N,)


def test_double_end_drops_the_hardest_first_and_then_the_easiest():
    aum = np.arange(10.0)  # high = easy
    kept = ce.double_end(aum, prune_rate=0.7, beta=0.2)
    assert sorted(kept.tolist()) == [2, 3, 4]  # 0 and 1 are too hard, 5 to 9 too easy


def test_loss_weights():
    weights = ce.loss_weights(np.array([1.0, 3.0, 2.0]))
    assert weights.tolist() == [0.0, 1.0, 0.5]  # eq. 10 read as min-max


def test_run_computes_what_is_asked_for(run):
    assert len(run.vectors) == len(run.pseudo_labels.labels) == N
    assert run.neighbours.indices.shape[0] == N
    assert run.dynamics.aum.shape == run.coverage.score.shape == (N,)
    assert run.map.shape == (N, 2)


def test_select(run):
    first, second = str(run.dataset.ids[0]), str(run.dataset.ids[1])
    sel = ce.select("blindcs", run, prune_rate=0.9, must_keep=(first,), never=(second,))
    assert len(sel.ids) == len(sel.weights) == 6 and len(sel.scores) == N
    assert first in sel.ids and second not in sel.ids
    assert sel.method == "blindcs" and isinstance(sel.params, dict)
    assert sel.source_key == run.dataset.fingerprint


def test_registries():
    assert {"blindcs", "elfs", "random"} <= set(ce.METHODS)
    assert "efficientnet_lite0" in ce.ENCODERS


VERBS = "run embed score select evaluate export methods status verify gc"


@pytest.fixture(scope="module")
def commands():
    from typer.main import get_command

    from coreset_engine.cli.main import app

    return get_command(app).commands


@pytest.mark.parametrize("verb", VERBS.split())
def test_every_verb_is_a_command_with_json(commands, verb):
    options = {name for option in commands[verb].params for name in option.opts}
    assert "--json" in options


def test_a_selection_on_disk_and_verify(ds, home, tmp_path):
    def shell(*words):
        command = [sys.executable, "-m", "coreset_engine", *map(str, words), "--json"]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    out = tmp_path / "out"
    words = ("run", ds.spec, "--method", "random", "--prune-rate", 0.9, "--seed", 0, "--out", out)
    done = shell(*words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    assert len((out / "ids.txt").read_text().splitlines()) == 6
    import pandas

    table = pandas.read_parquet(out / "selection.parquet")
    assert {"id", "path", "selected", "rank", "score", "weight"} <= set(table.columns)
    assert table["id"].tolist() == ds.ids.tolist() and table["selected"].sum() == 6
    assert json.loads((out / "manifest.json").read_text())
    assert shell("verify", out / "manifest.json").returncode == 0
    assert shell("run", ds.spec, "--method", "nonsense").returncode == 2


FUNCTIONS = [name for name in ce.__all__ if inspect.isfunction(getattr(ce, name))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_documents_every_parameter_and_what_it_returns(name):
    function = getattr(ce, name)
    text = inspect.getdoc(function)
    first, _, rest = text.partition("\n")
    assert first.endswith(".") and len(first) <= 100, "a summary of one sentence on one line"
    assert "Parameters\n----------" in rest and "Returns\n-------" in rest
    for parameter in inspect.signature(function).parameters:
        assert re.search(rf"^(\*\*|[\w, ]*\b){parameter}\b", rest, re.M), f"{parameter} is missing"
