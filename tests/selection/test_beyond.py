"""Choosing what another source lacks: the farthest from it first, never its own images."""

from __future__ import annotations

import numpy as np
import pytest

from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Dataset
from coreset_engine.pipeline.manifest import verify, write_run
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.select import select
from coreset_engine.selection.beyond import Beyond
from coreset_engine.selection.request import SelectionRequest
from coreset_engine.selection.select import select as select_with


def run_of(points, tmp_path):
    points = np.asarray(points, np.float32)
    ids = np.array([f"p{i}" for i in range(len(points))])
    made = Dataset("points", ids, "f", vectors=points, labels=np.zeros(len(ids), np.int64))
    return Run(made, store=Store(tmp_path))


def test_k_center_starts_from_the_other_source(tmp_path):
    # On a line: this set has 0 ... 10; the other one has 0, 1, 2 and 9.
    run = run_of([[x, 0] for x in range(11)], tmp_path)
    other = np.array([[0, 0], [1, 0], [2, 0], [9, 0]], np.float32)
    request = SelectionRequest.of("k_center", count=3, beyond="elsewhere")
    chosen = select_with(request, run, other).ids.tolist()
    # 5 and 6 are farthest (3 from 2 and 9); then whatever halves the larger gap that is left.
    assert chosen[0] in ("p5", "p6")
    assert not {"p0", "p1", "p2", "p9"} & set(chosen)


@pytest.mark.parametrize("method", ["k_center", "herding", "kmedoids", "typiclust"])
def test_exactly_the_budget_is_kept_of_this_source(tmp_path, method):
    rng = np.random.default_rng(0)
    run = run_of(rng.normal(size=(60, 5)), tmp_path)
    other = rng.normal(size=(25, 5)).astype(np.float32)
    request = SelectionRequest.of(method, count=12, beyond="elsewhere", must_keep=["p7"])
    chosen = select_with(request, run, other)
    assert len(chosen) == 12 and chosen.ids[0] == "p7" and len(set(chosen.ids)) == 12


def test_the_manifest_reproduces_it(tmp_path):
    rng = np.random.default_rng(1)
    for name, rows in (("a", 30), ("b", 40)):
        np.save(tmp_path / f"{name}.npy", rng.normal(size=(rows, 6)).astype(np.float32))
    from coreset_engine.sources.open import open_source

    run = Run(open_source(tmp_path / "b.npy"), store=Store(tmp_path / "home"))
    beyond = str(tmp_path / "a.npy")
    chosen = select("k_center", run, count=8, beyond=beyond)
    assert chosen.params["beyond"] == beyond and chosen.info["beyond"]["images"] == 30
    plain = select("k_center", run, count=8)
    assert set(chosen.ids) != set(plain.ids)
    folder = write_run(tmp_path / "out", run, chosen)
    assert verify(folder, run.store)["same"]


def test_a_method_that_cannot_is_refused_with_those_that_can():
    with pytest.raises(BadInput, match="'random' cannot count another source.*k_center"):
        SelectionRequest.of("random", count=3, beyond="elsewhere")


def test_vectors_of_another_width_are_refused(tmp_path):
    run = run_of(np.eye(4), tmp_path)
    with pytest.raises(BadInput, match="have 3 dimensions and this one's 4"):
        Beyond(run, np.ones((2, 3)))


def test_images_against_vectors_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.eye(4, dtype=np.float32))
    from coreset_engine.sources.open import open_source

    run = Run(open_source("demo"), store=Store(tmp_path / "home"))
    with pytest.raises(
        BadInput, match="the other source has its own vectors and this source does not"
    ):
        select("k_center", run, count=3, beyond=str(tmp_path / "a.npy"))
