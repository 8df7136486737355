"""`--out` replaces nothing unless asked to, and never other people's files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from coreset_engine.artifacts import filesystem, log
from coreset_engine.artifacts.selection_folder import check_destination
from coreset_engine.artifacts.store import Store
from coreset_engine.cli.main import app
from coreset_engine.core.errors import BadInput
from coreset_engine.jobs import gc


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32))
    return str(tmp_path / "v.npy")


def run(source, out, *more):
    words = ["run", source, "--method", "random", "--prune-rate", "0.5", "--out", str(out)]
    return CliRunner().invoke(app, [*words, *more])


def test_a_selection_is_replaced_only_when_told(source, tmp_path):
    assert run(source, tmp_path / "sel").exit_code == 0
    before = (tmp_path / "sel" / "ids.txt").read_bytes()
    again = run(source, tmp_path / "sel", "--seed", "1")
    assert isinstance(again.exception, BadInput)
    assert "(random, 10 of 20 images)" in str(again.exception)
    assert "--overwrite" in str(again.exception)
    assert (tmp_path / "sel" / "ids.txt").read_bytes() == before
    assert run(source, tmp_path / "sel", "--seed", "1", "--overwrite").exit_code == 0
    assert (tmp_path / "sel" / "ids.txt").read_bytes() != before


@pytest.mark.parametrize(
    "files",
    [
        {"manifest.json": '{"name": "my web app"}'},  # many tools call a file so
        {"manifest.json": "no JSON"},
        {"ids.txt": "mine\n"},
        {"selection.parquet": "mine"},
        {"notes.txt": "mine"},
    ],
)
def test_what_a_stranger_put_there_stays_even_with_overwrite(tmp_path, files):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match="not a selection folder"):
        check_destination(tmp_path, overwrite=True)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == files


def test_what_a_writer_left_that_was_killed_is_replaced(source, tmp_path):
    run(source, tmp_path / "sel")
    (tmp_path / "sel" / "manifest.json").unlink()  # it is written last
    check_destination(tmp_path / "sel", overwrite=False)
    assert run(source, tmp_path / "sel").exit_code == 0


def test_an_export_of_another_selection_is_replaced_only_when_told(source, tmp_path):
    for name, seed in (("one", "0"), ("two", "1")):
        run(source, tmp_path / name, "--seed", seed)

    def export(name, *more):
        words = ["export", str(tmp_path / name), "--to", "csv", "--out", str(tmp_path / "out")]
        return CliRunner().invoke(app, [*words, *more])

    assert export("one").exit_code == 0 and export("one").exit_code == 0
    assert "--overwrite" in str(export("two").exception)
    assert export("two", "--overwrite").exit_code == 0


@pytest.mark.integration
def test_a_run_says_its_clusters_and_labels_and_is_in_the_log(source, tmp_path):
    words = ["run", source, "--method", "elfs", "--n-clusters", "2", "--json"]
    done = CliRunner().invoke(app, [*words, "--clusterer", "kmeans"])
    summary = json.loads(done.stdout.strip().splitlines()[-1])
    assert summary["clusters"] == 2 and summary["labels"] == "none in the source"
    lines = log.tail(tmp_path / "home")
    assert {line["stage"] for line in lines if line["event"] == "stage computed"} >= {
        "pseudo_labels",
        "dynamics",
    }
    (answer,) = [line for line in lines if line["event"] == "run"]
    assert answer["source"] == source and answer["clusters"] == 2
    status = CliRunner().invoke(app, ["status"]).stdout
    assert f"source  {source}" in status
    offered = CliRunner().invoke(app, ["gc", "--days", "0"]).stdout
    assert f"of {source})" in offered


def test_gc_never_names_shards_of_a_command_that_runs(tmp_path):
    store = Store(tmp_path)
    (store.work("embeddings", "abc") / "00000.npy").write_bytes(b"x")
    with filesystem.lock(store.lock_of("embeddings", "abc")):
        assert gc.plan(store, 0) == []
    assert [item.path.name for item in gc.plan(store, 0)] == ["abc"]
