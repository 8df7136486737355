"""The store under attack: rot, other versions, rivals, full disks, closed folders, dead writers, a
clock gone back."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from coreset_engine.artifacts import filesystem, history
from coreset_engine.artifacts import store as store_module
from coreset_engine.artifacts.store import FORMAT, Store
from coreset_engine.core.errors import BadInput, Cancelled, Corrupt

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "home")


def maker(calls, n=1000):
    def make():
        calls.append(1)
        return dict(a=np.arange(n), b=np.array(["x", "yz"])), dict(note="n")

    return make


def path_of(store, name="a.npy"):
    return store.folder("stage", "key") / name


@contextmanager
def largest_file(size):
    """As on a full disk: no file of this process can grow beyond `size`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# -- rot -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.npy", "b.npy"])
@pytest.mark.parametrize(
    "hurt",
    [
        lambda data: data[:-3] + bytes([data[-3] ^ 4]) + data[-2:],
        lambda data: data[:-8],
        lambda data: data + b"\0",
        lambda data: b"",
        lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:],
    ],
)
def test_a_damaged_array_is_computed_again_in_the_same_process(store, name, hurt):
    calls = []
    store.get("stage", "key", maker(calls))
    path = path_of(store, name)
    stat = path.stat()
    data = path.read_bytes()
    path.write_bytes(hurt(data))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as if nothing had been written
    with pytest.raises(Corrupt):
        store.read("stage", "key")
    arrays, _ = store.get("stage", "key", maker(calls))
    assert arrays["a"].sum() == 499500 and arrays["b"].tolist() == ["x", "yz"] and len(calls) == 2
    assert path.read_bytes() == data


def test_a_file_known_to_be_good_is_read_again_after_a_while(store, monkeypatch, set_limits):
    store.get("stage", "key", maker([]))
    hashed = []
    real = store_module.hashlib.file_digest
    monkeypatch.setattr(
        store_module.hashlib, "file_digest", lambda *a: hashed.append(1) or real(*a)
    )
    store.read("stage", "key")
    assert hashed == []
    set_limits(verified_s=-1)
    store.read("stage", "key")
    assert len(hashed) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"format": 2}',
        '{"format": "2"}',
        '{"format": 0}',
        '{"format": 2, "files": {"a": {}}, "info": {}}',
        '{"format": 2, "files": {"../a": {"sha256": "0", "size": 1}}, "info": {}}',
        "[" * 100_000,
        '{"format": 2, "files": 7, "info": {}}',
        "\udcff",
    ],
)
def test_a_lying_manifest_is_corrupt_and_computed_again(store, text):
    calls = []
    store.get("stage", "key", maker(calls))
    path_of(store, "manifest.json").write_text(text, errors="surrogateescape")
    with pytest.raises(Corrupt):
        store.read("stage", "key")
    assert store.get("stage", "key", maker(calls))[0]["a"].shape == (1000,) and len(calls) == 2


def test_a_pickle_in_an_artefact_is_never_loaded(store, tmp_path):
    store.get("stage", "key", maker([]))
    trap = tmp_path / "sprung"

    class Trap:
        def __reduce__(self):
            return (Path.touch, (trap,))

    np.save(path_of(store), np.array([Trap()], dtype=object), allow_pickle=True)
    manifest = json.loads(path_of(store, "manifest.json").read_text())
    manifest["files"]["a"]["sha256"] = store_module.hashlib.sha256(
        path_of(store).read_bytes()
    ).hexdigest()
    path_of(store, "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(Corrupt):
        store.read("stage", "key")
    assert not trap.exists()
    with pytest.raises(TypeError, match="plain numbers"):
        store.get("stage", "other", lambda: (dict(a=np.array([Trap()], dtype=object)), {}))


# -- versions --------------------------------------------------------------------------------------


def test_an_older_format_is_read_and_a_later_one_refused_untouched(store):
    calls = []
    store.get("stage", "key", maker(calls))
    path = path_of(store, "manifest.json")
    manifest = json.loads(path.read_text())
    old = {name: value for name, value in manifest.items() if name != "about"} | {"format": 1}
    path.write_text(json.dumps(old))
    assert store.get("stage", "key", maker(calls))[0]["a"].shape == (1000,) and len(calls) == 1
    assert store.manifest("stage", "key")["about"] == {}
    path.write_text(json.dumps(manifest | {"format": FORMAT + 1}))
    before = {p: p.read_bytes() for p in path.parent.iterdir()}
    with pytest.raises(BadInput, match=f"format {FORMAT + 1}, this version reads up to {FORMAT}"):
        store.get("stage", "key", maker(calls))
    assert before == {p: p.read_bytes() for p in path.parent.iterdir()} and len(calls) == 1


# -- rivals ----------------------------------------------------------------------------------------

RIVAL = """
import sys, time, numpy as np
from pathlib import Path
from coreset_engine.artifacts.store import Store
home, start = Path(sys.argv[1]), Path(sys.argv[2])
def make():
    with open(home / "calls", "a") as out:
        out.write("x")
    time.sleep(0.3)
    return dict(a=np.arange(1000)), {}
print("ready", flush=True)
while not start.exists():
    time.sleep(0.01)
print(Store(home).get("stage", "key", make)[0]["a"].sum())
"""


def test_processes_that_want_the_same_compute_it_once(tmp_path):
    home = tmp_path / "home"
    start = tmp_path / "go"
    home.mkdir()
    rivals = [
        subprocess.Popen(
            [sys.executable, "-c", RIVAL, str(home), str(start)],
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    for rival in rivals:
        assert rival.stdout.readline() == "ready\n"
    start.touch()
    assert [rival.communicate()[0].strip() for rival in rivals] == ["499500"] * 4
    assert (home / "calls").read_text() == "x"


def test_threads_that_want_the_same_compute_it_once(store):
    calls = []

    def make():
        calls.append(1)
        time.sleep(0.2)
        return dict(a=np.arange(3)), {}

    threads = [threading.Thread(target=store.get, args=("stage", "key", make)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_who_waits_for_a_rival_can_cancel(store):
    def stop():
        raise Cancelled("cancelled.")

    with filesystem.lock(store.lock_of("stage", "key")), pytest.raises(Cancelled):
        store.get("stage", "key", maker([]), waiting=stop)


def test_a_reader_keeps_its_arrays_while_a_damaged_artefact_is_replaced(store):
    first = store.get("stage", "key", maker([]))[0]["a"]
    path_of(store, "manifest.json").write_text("{")
    store.get("stage", "key", maker([]))
    assert first.sum() == 499500


# -- disks that refuse -----------------------------------------------------------------------------


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(store):
    calls = []
    store.get("stage", "small", maker(calls, 4))
    with largest_file(20_000), pytest.raises(BadInput, match=r"make room .* run again"):
        store.get("stage", "key", maker(calls, 100_000))
    assert [p.name for p in (store.home / "artefacts" / "stage").iterdir()] == ["small"]
    assert store.read("stage", "small")[0]["a"].tolist() == [0, 1, 2, 3]
    assert (
        store.get("stage", "key", maker(calls, 100_000))[0]["a"].shape == (100_000,)
        and len(calls) == 3
    )


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
def test_every_refusal_of_the_disk_names_place_and_remedy(store, monkeypatch, code):
    def refuse(handle):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(BadInput) as caught:
        store.get("stage", "key", maker([]))
    assert os.strerror(code) in str(caught.value) and str(store.home) in str(caught.value)
    assert not store.has("stage", "key")


def test_a_folder_where_nothing_can_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    store = Store(tmp_path / "file" / "home")
    with pytest.raises(BadInput, match="set CORESET_HOME to a folder you can write"):
        store.get("stage", "key", maker([]))
    with pytest.raises(BadInput, match="CORESET_HOME"):
        store.work("stage", "key")


def test_a_full_disk_takes_no_decision_back(tmp_path):
    history.add("snapshots", "f", {"name": "one"}, tmp_path)
    path = next((tmp_path / "history").iterdir())
    with largest_file(path.stat().st_size + 30), pytest.raises(BadInput, match="make room"):
        history.add("snapshots", "f", {"name": "two" * 30}, tmp_path)
    history.add("snapshots", "f", {"name": "three"}, tmp_path)
    assert [entry["name"] for entry in history.snapshots("f", tmp_path)] == ["one", "three"]


def test_a_line_torn_by_a_death_costs_neither_the_one_before_nor_the_one_after(tmp_path):
    history.add("snapshots", "f", {"name": "one"}, tmp_path)
    with open(next((tmp_path / "history").iterdir()), "ab") as log:
        log.write(b'{"name": "tor\xff')
    history.add("snapshots", "f", {"name": "two"}, tmp_path)
    assert [entry["name"] for entry in history.snapshots("f", tmp_path)] == ["one", "two"]
    history.add("snapshots", "f", {"undo": True}, tmp_path)
    assert [entry["name"] for entry in history.snapshots("f", tmp_path)] == ["one"]


# -- dead writers, clocks --------------------------------------------------------------------------


def test_what_a_dead_writer_left_is_swept_and_never_believed(store):
    stage = store.home / "artefacts" / "stage"
    for name in (".key.123456.tmp", ".key.old.7.tmp"):
        (stage / name).mkdir(parents=True)
        (stage / name / "a.npy").write_bytes(b"half")
    (stage / "key").mkdir()
    (stage / "key" / "a.npy").write_bytes(b"half")  # arrays without a manifest
    assert not store.has("stage", "key")
    calls = []
    store.get("stage", "key", maker(calls))
    assert len(calls) == 1 and [path.name for path in stage.iterdir()] == ["key"]


def test_a_clock_that_goes_back_changes_nothing(store, monkeypatch):
    calls = []
    store.get("stage", "key", maker(calls))
    monkeypatch.setattr(time, "time", lambda: 0.0)
    os.utime(path_of(store, "manifest.json"), (0, 0))
    store.get("stage", "key", maker(calls))
    history.add("snapshots", "f", {"name": "later"}, store.home)
    history.add("snapshots", "f", {"name": "last"}, store.home)
    assert len(calls) == 1 and [e["name"] for e in history.snapshots("f", store.home)] == [
        "later",
        "last",
    ]


def test_everything_is_synced_before_it_is_named(store, monkeypatch):
    seen = []
    real_sync = os.fsync
    real_replace = os.replace

    def sync(handle):
        seen.append(("sync", os.path.realpath(f"/proc/self/fd/{handle}")))
        real_sync(handle)

    def replace(old, new):
        seen.append(("name", str(new)))
        real_replace(old, new)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", replace)
    store.get("stage", "key", maker([]))
    named = seen.index(("name", str(store.folder("stage", "key"))))
    synced = [os.path.basename(what) for verb, what in seen[:named] if verb == "sync"]
    assert {"a.npy", "b.npy"} <= set(synced) and any("manifest.json" in what for what in synced)
    assert ("sync", os.path.realpath(store.folder("stage", "key").parent)) in seen[named:]


def test_a_whole_write_clears_what_a_dead_one_left(tmp_path):
    (tmp_path / ".a.json.999999999.abcdef.tmp").write_text("half")
    (tmp_path / f".a.json.{os.getpid()}.abcdef.tmp").write_text("another thread's")
    filesystem.write_json(tmp_path / "a.json", {"x": 1})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f".a.json.{os.getpid()}.abcdef.tmp",
        "a.json",
    ]
