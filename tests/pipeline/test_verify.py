"""verify: every registered way of choosing can be asked again from its manifest, and what differs
is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import BadInput, CoresetError
from coreset_engine.pipeline.manifest import verify, write_run
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.select import select
from coreset_engine.sources.open import open_source

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verify")
    np.save(folder / "digits.npy", load_digits().data[:200].astype(np.float32))
    return Run(
        open_source(str(folder / "digits.npy")),
        n_samples=2000,
        n_clusters=10,
        store=Store(folder / "home"),
    )


def again(path, **changes):
    manifest = json.loads((path / "manifest.json").read_text()) | changes
    (path / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "method, params",
    [
        ("elfs", {}),
        ("elfs", {"beta": 0.1}),
        ("blindcs", {"n_neighbours": 20}),
        ("random", {}),
        ("class_balanced", {}),
        ("ccs", {}),
        ("k_center", {}),
    ],
)
def test_a_selection_is_chosen_again(run, tmp_path, method, params):
    out = write_run(tmp_path / "out", run, select(method, run, 0.8, **params))
    found = verify(out, run.store)
    assert found["same"] and found["differs"] == [] and found["k"] == 40
    assert verify(out / "manifest.json", run.store) == found


def test_must_keep_and_never_are_in_the_manifest_and_count(run, tmp_path):
    ids = [str(key) for key in run.dataset.ids]
    plain = select("blindcs", run, 0.8)
    kept = [key for key in ids if key not in set(plain.ids)][:3]
    gone = [str(key) for key in plain.ids[:4]]
    chosen = select("blindcs", run, 0.8, must_keep=kept, never=gone, near_duplicates=1e-6)
    assert set(kept) <= set(chosen.ids) and not set(gone) & set(chosen.ids)
    out = write_run(tmp_path / "out", run, chosen)
    params = json.loads((out / "manifest.json").read_text())["params"]
    assert (
        params["must_keep"] == kept
        and set(params["never"]) == set(gone)
        and params["near_duplicates"] == 1e-6
    )
    assert verify(out, run.store)["same"]
    again(out, params=params | {"never": []})
    assert not verify(out, run.store)["same"]


def test_a_count_that_its_ids_do_not_give_is_named(run, tmp_path):
    out = write_run(tmp_path / "out", run, select("random", run, 0.8))
    again(out, k=7)
    found = verify(out, run.store)
    assert not found["same"] and found["differs"] == ["k (7 in the manifest, 40 recomputed)"]


def test_an_unknown_encoder_is_refused_for_own_vectors_too(run):
    with pytest.raises(BadInput, match="encoder 'nope' is unknown"):
        Run(run.dataset, encoder="nope", store=run.store)


def test_what_differs_is_named(run, tmp_path):
    out = write_run(tmp_path / "out", run, select("elfs", run, 0.8))
    good = json.loads((out / "manifest.json").read_text())
    again(out, source_fingerprint="other")
    assert verify(out, run.store)["differs"] == ["source (same number of images, other content)"]
    again(out, **good)
    again(out, run=good["run"] | {"seed": 1})
    assert verify(out, run.store)["differs"][0].startswith("pseudo_labels (made from other")
    again(out, **good)
    again(out, contents=good["contents"] | {"dynamics": "0" * 32})
    assert verify(out, run.store)["differs"] == [
        "dynamics (same inputs, different numbers: another machine or library version)"
    ]
    again(out, **good)
    again(out, versions=good["versions"] | {"numpy": "0.1"})
    found = verify(out, run.store)
    assert found["same"] and found["differs"] == [
        f"version of numpy (0.1 then, {np.__version__} now)"
    ]
    again(out, **good)
    np.save(tmp_path / "fewer.npy", np.asarray(run.vectors)[:150])
    again(out, source=str(tmp_path / "fewer.npy"), params=good["params"] | {"must_keep": ["190"]})
    found = verify(out, run.store)
    assert not found["same"] and found["differs"][0] == "source (150 images now, 200 then)"
    assert "must_keep" in found["differs"][1]


@pytest.mark.parametrize(
    "lie",
    [
        {"source": 7},
        {"source": "/no/such"},
        {"params": []},
        {"params": {}},
        {"params": {"prune_rate": "much"}},
        {"params": {"prune_rate": 0.5, "bogus": 1}},
        {"run": {"seed": "x"}},
        {"run": {"store": "/tmp"}},
        {"run": []},
        {"method": "magic"},
        {"encoder": None},
        {"weights": 3},
        {"artefacts": "x"},
        {"ids_sha256": None},
        {"params": {"prune_rate": 0.5, "inputs": 1}},
        {"params": {"prune_rate": 0.5, "must_keep": [["a"]]}},
        {"params": {"prune_rate": 0.5, "quotas": [3]}},
        {"params": {"prune_rate": float("inf")}},
    ],
)
def test_a_lying_manifest_is_a_sentence(run, tmp_path, lie):
    out = write_run(tmp_path / "out", run, select("random", run, 0.8))
    again(out, **lie)
    with pytest.raises(CoresetError) as caught:
        verify(out, run.store)
    assert isinstance(caught.value, BadInput) and len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{}", "[" * 50_000, '{"source": "demo"}', "\udcff\udcfe"]
)
def test_a_file_that_is_no_manifest_is_a_sentence(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text, errors="surrogateescape")
    with pytest.raises(BadInput, match="not a manifest of a selection"):
        verify(tmp_path / "manifest.json")


CHOOSE = """
import os, sys
os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:int(sys.argv[3])]))
import torch
torch.set_num_threads(int(sys.argv[3]))
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.select import select
from coreset_engine.artifacts.store import Store
from coreset_engine.sources.open import open_source
from coreset_engine.core.device import cpu_count
run = Run(open_source(sys.argv[1]), n_samples=20000, n_clusters=10, store=Store(sys.argv[2]), device="cpu")
for method in ("elfs", "blindcs", "ccs"):
    print(method, *select(method, run, 0.7).ids)
print("cores", cpu_count(), file=sys.stderr)
"""


@pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="needs two cores to compare one with two"
)
def test_the_number_of_cores_does_not_show(run, tmp_path):
    message = []
    for cores in (1, 2):
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                CHOOSE,
                run.dataset.spec,
                str(tmp_path / str(cores)),
                str(cores),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            env=os.environ
            | {name: str(cores) for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")},
        )
        assert f"cores {cores}" in done.stderr, done.stderr
        message.append(done.stdout)
    assert message[0] == message[1] and message[0].count("\n") == 3
