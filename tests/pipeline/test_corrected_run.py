"""A person's corrections reach what is made afterwards: dynamics, selections, exports, the check of
a manifest."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from coreset_engine.artifacts import history
from coreset_engine.artifacts.store import Store
from coreset_engine.export.targets import export_folder
from coreset_engine.pipeline import manifest
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.select import select
from coreset_engine.sources.open import open_source

N = 60


@pytest.fixture
def folder(tmp_path):
    """Three kinds of grey pictures, 20 each, with vectors that tell them apart."""
    rng = np.random.default_rng(0)
    target = tmp_path / "pictures"
    target.mkdir()
    for i in range(N):
        Image.fromarray(np.full((8, 8), 4 * i, np.uint8)).save(target / f"{i:02d}.png")
    vectors = np.eye(3, 16).repeat(20, axis=0) * 4 + rng.normal(size=(N, 16))
    np.save(tmp_path / "vectors.npy", vectors.astype(np.float32))
    return tmp_path


def open_run(folder, **settings):
    source = open_source(str(folder / "vectors.npy"), images=str(folder / "pictures"))
    return Run(
        source,
        store=Store(folder / "home"),
        n_clusters=3,
        clusterer="kmeans",
        n_samples=500,
        **settings,
    )


def correct(run, **entry):
    history.add_correction(
        run.dataset.fingerprint,
        entry | dict(clustering=run.stored_as("pseudo_labels")),
        run.store.home,
    )


def test_merge_and_relabel_are_what_the_next_training_learns(folder):
    before = open_run(folder)
    labels = before.pseudo_labels.labels
    aum = before.dynamics.aum
    keys = (before.key_of("dynamics"), before.key_of("embeddings"))
    source = int(labels[0])
    into = int(labels[20])
    correct(before, kind="merge", clusters=[source], into=into)
    correct(before, kind="relabel", ids=[str(before.dataset.ids[50])], cluster=into)
    after = open_run(folder)
    expected = labels.copy()
    expected[labels == source], expected[50] = into, into
    assert np.array_equal(after.pseudo_labels.labels, expected) and np.array_equal(
        after.clusters.labels, labels
    )
    assert after.ready("pseudo_labels") and not after.ready("dynamics")
    assert after.key_of("dynamics") != keys[0] and after.key_of("embeddings") == keys[1]
    assert after.dynamics.aum[50] < np.median(after.dynamics.aum[40:]) and not np.array_equal(
        after.dynamics.aum, aum
    )
    for _ in range(2):
        history.undo_correction(before.dataset.fingerprint, before.store.home)
    undone = open_run(folder)
    assert undone.ready("dynamics") and np.array_equal(undone.dynamics.aum, aum)


def test_a_rename_changes_no_label_and_recomputes_nothing(folder):
    run = open_run(folder)
    run.dynamics  # noqa: B018
    correct(run, kind="rename", cluster=1, name="shirt")
    assert open_run(folder).ready("dynamics") and open_run(folder).key_of("dynamics") == run.key_of(
        "dynamics"
    )


def test_corrections_of_one_clustering_leave_another_alone(folder):
    run = open_run(folder)
    labels = run.pseudo_labels.labels
    correct(run, kind="merge", clusters=[int(labels[0])], into=int(labels[20]))
    assert open_run(folder).corrected and open_run(folder, seed=1).corrected is None
    assert len(set(open_run(folder, seed=1).pseudo_labels.labels.tolist())) == 3


def test_exports_carry_corrected_labels_under_the_names_given(folder):
    run = open_run(folder)
    labels = run.pseudo_labels.labels
    correct(run, kind="merge", clusters=[int(labels[0])], into=int(labels[20]))
    correct(run, kind="rename", cluster=int(labels[20]), name="both of them")
    run = open_run(folder)
    target = manifest.write_run(folder / "kept", run, select("random", run, 0.5))
    table = pq.read_table(target / "selection.parquet").to_pandas()
    written = dict(zip(table["id"], table["pseudo_label"]))
    assert (
        written[str(run.dataset.ids[0])] == labels[20]
        and int(labels[0]) not in table["pseudo_label"].tolist()
    )
    assert [
        entry["kind"] for entry in json.loads((target / "manifest.json").read_text())["corrections"]
    ] == ["merge", "rename"]
    export_folder(
        target,
        target="imagefolder",
        out=str(folder / "sorted"),
        store=run.store,
        options=dict(labels="pseudo"),
    )
    names = {path.parent.name for path in (folder / "sorted").rglob("*.png")}
    kept = set(table.loc[table["selected"], "pseudo_label"])
    assert any("both" in name for name in names) and len(names) == len(kept) == 2


def test_a_manifest_is_checked_with_its_own_corrections(folder):
    run = open_run(folder)
    labels = run.pseudo_labels.labels
    correct(run, kind="merge", clusters=[int(labels[0])], into=int(labels[20]))
    run = open_run(folder)
    target = manifest.write_run(folder / "kept", run, select("elfs", run, 0.5))
    history.undo_correction(run.dataset.fingerprint, run.store.home)
    found = manifest.verify(target, run.store)
    assert found["same"] and not found["differs"]
