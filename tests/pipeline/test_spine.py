"""The spine on real digits as vectors: store, pipeline, selection folder, verify, and the shell's
manners."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import Corrupt
from coreset_engine.pipeline.manifest import verify, write_run
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.select import select
from coreset_engine.sources.open import open_source

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def vectors_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("vectors") / "digits.npy"
    np.save(path, load_digits().data[:300].astype(np.float32))
    return path


def shell(*words: str, home: Path) -> subprocess.CompletedProcess:
    import os

    return subprocess.run(
        [sys.executable, "-m", "coreset_engine", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "CORESET_HOME": str(home)},
    )


def test_store_computes_once_and_notices_a_flipped_bit(tmp_path):
    store = Store(tmp_path)
    calls = []

    def make():
        calls.append(1)
        return dict(a=np.arange(1000)), dict(note="x")

    for _ in range(2):
        arrays, info = store.get("stage", "key", make)
        assert arrays["a"].sum() == 499500 and info == {"note": "x"}
    assert len(calls) == 1
    path = store.folder("stage", "key") / "a.npy"
    data = bytearray(path.read_bytes())
    data[-3] ^= 4
    path.write_bytes(data)
    with pytest.raises(Corrupt):
        store.read("stage", "key")
    assert store.get("stage", "key", make)[0]["a"].sum() == 499500 and len(calls) == 2


def test_a_selection_folder_verifies_and_says_what_differs(tmp_path, vectors_file):
    store = Store(tmp_path / "home")
    run = Run(open_source(str(vectors_file)), store=store, n_samples=2000)
    chosen = select("blindcs", run, prune_rate=0.9)
    assert len(chosen) == 30
    out = write_run(tmp_path / "out", run, chosen)
    assert (out / "ids.txt").read_text().split() == [str(key) for key in chosen.ids]
    assert verify(out / "manifest.json", store)["same"]
    changed = json.loads((out / "manifest.json").read_text()) | {"source_fingerprint": "other"}
    (out / "manifest.json").write_text(json.dumps(changed))
    assert verify(out / "manifest.json", store)["differs"][0].startswith("source")


@pytest.mark.parametrize(
    "words, message",
    [
        (["run", "/no/such/place"], "/no/such/place"),
        (["run", "demo", "--prune-rate", "1"], "prune_rate=1.0"),
        (["run", "demo", "--prune-rate", "-0.1"], "prune_rate=-0.1"),
        (["run", "demo", "--prune-rate", "nan"], "prune_rate=nan"),
        (["run", "demo", "--method", "magic"], "magic"),
        (["run", "demo", "--encoder", "magic"], "magic"),
        (["run", "demo", "--method", "elfs", "--beta", "0.95", "--prune-rate", "0.5"], "beta"),
        (["run", "demo", "--bogus"], "--bogus"),
        (["verify", "/no/such/manifest.json"], "manifest"),
    ],
)
def test_bad_input_gets_one_line_and_exit_2(words, message, tmp_path):
    done = shell(*words, home=tmp_path)
    assert done.returncode == 2, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ") and message in last and "Traceback" not in done.stderr


def test_run_writes_the_folder_and_refuses_a_bad_place(tmp_path, vectors_file):
    args = [
        "run",
        str(vectors_file),
        "--method",
        "blindcs",
        "--n-samples",
        "2000",
        "--prune-rate",
        "0.9",
    ]
    done = shell(*args, "--out", str(tmp_path / "out"), "--json", home=tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kept"] == 30
    (tmp_path / "file").write_text("x")
    refused = shell(*args, "--out", str(tmp_path / "file" / "x"), home=tmp_path / "home")
    assert refused.returncode == 2 and "cannot be written" in refused.stderr
