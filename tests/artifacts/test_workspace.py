"""gc, status and report: what may go, what never goes, and what a bug report holds."""

from __future__ import annotations

import json
import os
import shutil
import time
import zipfile

import numpy as np
import pytest
from typer.testing import CliRunner

from coreset_engine.artifacts import filesystem, history, internal_errors, log
from coreset_engine.artifacts.store import Store
from coreset_engine.cli.main import app
from coreset_engine.core.errors import BadInput
from coreset_engine.jobs import diagnostics, gc
from coreset_engine.pipeline.manifest import verify, write_run
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.select import select
from coreset_engine.sources.open import open_source


def prepared(tmp_path, name="a", seed=0):
    """A run over 60 random vectors with vectors and coverage in the store."""
    path = tmp_path / f"{name}.npy"
    np.save(path, np.random.default_rng(seed).normal(size=(60, 6)).astype(np.float32))
    run = Run(open_source(str(path)), store=Store(tmp_path / "home"), n_samples=500)
    return run, select("blindcs", run, prune_rate=0.8)


def left(store):
    return {path.name for path in (store.home / "artefacts").glob("*/*")}


def test_gc_keeps_what_a_selection_needs_and_removes_the_rest(tmp_path):
    run, chosen = prepared(tmp_path)
    out = write_run(tmp_path / "kept" / "sel", run, chosen)
    other, _ = prepared(tmp_path, "b", 1)
    store = run.store
    before = left(store)
    items = gc.plan(store, days=0)
    doomed = {item.path.name for item in items}
    assert doomed == {
        other.key_of("embeddings"),
        other.key_of("coverage", n_samples=500, seed=0, n_neighbours=1000),
    }
    assert left(store) == before, "a plan changes nothing"
    assert gc.sweep(store, items) == sum(item.bytes for item in items) > 0
    assert left(store) == before - doomed
    assert verify(out / "manifest.json", store)["same"] and left(store) == before - doomed


def test_gc_lets_go_when_the_selection_folder_is_gone(tmp_path):
    run, chosen = prepared(tmp_path)
    out = write_run(tmp_path / "sel", run, chosen)
    assert gc.plan(run.store, days=0) == []
    shutil.rmtree(out)
    assert {item.path.name for item in gc.plan(run.store, days=0)} == left(run.store)


@pytest.mark.parametrize("kind", ["snapshots", "corrections"])
def test_gc_keeps_a_dataset_with_decisions(tmp_path, kind):
    run, _ = prepared(tmp_path)
    other, _ = prepared(tmp_path, "b", 1)
    history.add(kind, run.dataset.fingerprint, {"name": "x"}, run.store.home)
    gc.sweep(run.store, gc.plan(run.store, days=0))
    assert run.ready("embeddings") and not other.ready("embeddings")


def test_gc_leaves_recent_use_alone_and_a_clock_that_went_back(tmp_path):
    run, _ = prepared(tmp_path)
    folder = run.store.folder("embeddings", run.key_of("embeddings"))
    assert gc.plan(run.store, days=1) == []
    for path in [*folder.iterdir(), folder]:
        os.utime(path, (time.time() + 9e6,) * 2)  # made "in the future"
    assert gc.plan(run.store, days=1) == []
    for path in [*folder.iterdir(), folder]:
        os.utime(path, (time.time() - 9e6,) * 2)
    assert [item.path for item in gc.plan(run.store, days=1)] == [folder]
    Run(run.dataset, store=run.store).vectors  # noqa: B018 - used again
    assert gc.plan(run.store, days=1) == []


def test_gc_passes_by_what_is_locked_and_what_a_later_version_wrote(tmp_path):
    run, _ = prepared(tmp_path)
    store = run.store
    key = run.key_of("embeddings")
    path = store.folder("embeddings", key) / "manifest.json"
    with filesystem.lock(store.lock_of("embeddings", key)):
        gc.sweep(store, gc.plan(store, days=0))
    assert store.has("embeddings", key)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    assert all(item.path != path.parent for item in gc.plan(store, days=0))


def test_gc_removes_temporaries_of_dead_processes_only(tmp_path):
    run, _ = prepared(tmp_path)
    stage = run.store.home / "artefacts" / "embeddings"
    dead = stage / ".k.999999999.tmp"
    own = stage / f".k.{os.getpid()}.tmp"
    for folder in (dead, own):
        folder.mkdir()
    gc.sweep(run.store, gc.plan(run.store))
    assert own.exists() and not dead.exists()


@pytest.mark.parametrize(
    "target", ["verified", "uploads", "thumbs/f", "links", "media/f", "work/embeddings/k", "."]
)
@pytest.mark.parametrize("name", [".x.json.{}.abc.tmp", "0.png.{}.tmp"])
def test_gc_finds_what_was_left_in_every_corner(tmp_path, target, name):
    store = Store(tmp_path / "home")
    folder = store.home / target
    folder.mkdir(parents=True)
    dead = folder / name.format(999999999)
    own = folder / name.format(os.getpid())
    dead.touch()
    own.touch()
    (folder / "mine.tmp").touch()
    assert [item.path for item in gc.plan(store) if item.path.is_file()] == [dead]


def test_gc_on_the_command_line_is_a_dry_run_unless_told(tmp_path, monkeypatch):
    run, _ = prepared(tmp_path)
    monkeypatch.setenv("CORESET_HOME", str(run.store.home))
    shell = CliRunner()
    before = left(run.store)
    report = json.loads(shell.invoke(app, ["gc", "--days", "0", "--json"]).output)
    assert report["dry_run"] and len(report["items"]) == len(before) and left(run.store) == before
    assert "can be removed" in shell.invoke(app, ["gc", "--days", "0"]).output
    assert isinstance(shell.invoke(app, ["gc", "--days", "-1"]).exception, BadInput)
    done = json.loads(shell.invoke(app, ["gc", "--days", "0", "--yes", "--json"]).output)
    assert done["bytes"] == report["bytes"] and left(run.store) == set()


def test_status_tells_sizes(tmp_path, monkeypatch):
    run, _ = prepared(tmp_path)
    monkeypatch.setenv("CORESET_HOME", str(run.store.home))
    answer = json.loads(CliRunner().invoke(app, ["status", "--json"]).output)
    assert answer["stages"]["embeddings"] == run.size_of("embeddings") > 60 * 6 * 4
    assert answer["parts"]["artefacts"] == sum(answer["stages"].values()) and answer["jobs"] == []


def test_a_report_holds_the_fault_but_no_name_of_the_users(tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CORESET_TOKEN_OF_MINE", "hunter2")
    try:
        raise RuntimeError(
            "cannot open '/data/secret project/cat of anna.png' or /data/other/dog.jpg at 7"
        )
    except RuntimeError as error:
        message = internal_errors.record(error)
    names = diagnostics.write(tmp_path / "r.zip", Store())
    with zipfile.ZipFile(tmp_path / "r.zip") as packed:
        text = {name: packed.read(name).decode() for name in packed.namelist()}
    assert sorted(text) == sorted(names)
    everything = "".join(text.values())
    for secret in ("secret project", "anna", "dog.jpg", "hunter2", str(tmp_path)):
        assert secret not in everything
    entry = json.loads(text["log.json"])[-1]
    assert (
        entry["fault"] == "RuntimeError"
        and entry["id"] in message
        and "at 7" in "".join(entry["trace"])
    )
    assert json.loads(text["versions.json"])["numpy"] == np.__version__
    diagnostics.write(tmp_path / "r.zip", Store(), paths=True)
    with zipfile.ZipFile(tmp_path / "r.zip") as packed:
        assert "cat of anna.png" in packed.read("log.json").decode()


def test_the_log_is_rotated_and_its_lines_are_json(tmp_path, set_limits):
    set_limits(log_bytes=2000)
    for number in range(200):
        assert log.write(tmp_path, "tick", number=number, pad="x" * 60)
    files = sorted((tmp_path / "log").glob("coreset.jsonl*"))
    assert len(files) == log.KEPT + 1 and all(file.stat().st_size <= 2000 for file in files)
    numbers = [entry["number"] for entry in log.tail(tmp_path, 20)]
    assert numbers == list(range(180, 200))


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path):
    (tmp_path / "log").write_text("a file where the folder should be")
    assert log.write(tmp_path, "x") is False
    assert "could not be logged" in internal_errors.record(ValueError("v"), tmp_path)
