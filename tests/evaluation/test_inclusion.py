"""Inclusion over seeds and encoders: a share of draws, found again, a column of the selection
folder and of the map."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_digits

from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import BadInput
from coreset_engine.evaluation import inclusion as room
from coreset_engine.evaluation.inclusion import agreement, finished, inclusion, of_selection
from coreset_engine.pipeline.manifest import write_run
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.select import select
from coreset_engine.sources.open import open_source

N = 200


@pytest.fixture
def run(tmp_path):
    full = open_source("demo")
    dataset = dataclasses.replace(
        full,
        ids=full.ids[:N],
        labels=full.labels[:N],
        fingerprint="200 digits",
        vectors=load_digits().data[:N].astype(np.float32),
    )
    return Run(dataset, store=Store(tmp_path), n_samples=1000)


def test_share_is_that_of_the_draws_themselves(run):
    found = inclusion(run, "random", 0.8, seeds=5)
    kept = [
        np.isin(np.arange(N), select("random", run, 0.8, seed=seed).indices) for seed in range(5)
    ]
    assert (found.share == np.mean(kept, axis=0, dtype=np.float32)).all() and found.draws == 5
    assert found.share.sum() == pytest.approx(0.2 * N) and found.agreement == pytest.approx(
        agreement(kept)
    )
    assert found.core + found.never < N


def test_every_random_step_is_drawn_again(run):
    found = inclusion(run, "blindcs", 0.8, seeds=3)
    assert 0 < ((found.share > 0) & (found.share < 1)).sum() < 0.5 * N
    assert found.agreement > inclusion(run, "random", 0.8, seeds=3).agreement


def test_it_is_found_again_and_written_with_the_selection_it_belongs_to(run, tmp_path, monkeypatch):
    found = inclusion(run, "random", 0.8, seeds=4)
    more = inclusion(run, "random", 0.8, seeds=6)
    monkeypatch.setattr(room, "_drawn", None)
    again = inclusion(run, "random", 0.8, seeds=4)
    assert (again.share == found.share).all() and [f.draws for f in finished(run)] == [6, 4]
    chosen = select("random", run, 0.8)
    assert (
        of_selection(run, chosen).draws == 6
        and of_selection(run, select("random", run, 0.7)) is None
    )
    table = pq.read_table(write_run(tmp_path / "out", run, chosen) / "selection.parquet")
    assert np.allclose(table["inclusion"].to_numpy(), more.share)
    bare = pq.read_table(
        write_run(tmp_path / "bare", run, select("random", run, 0.7)) / "selection.parquet"
    )
    assert "inclusion" not in bare.column_names


def test_as_a_job(tmp_path):
    from coreset_engine.artifacts import filesystem
    from coreset_engine.jobs import manager, worker

    source = tmp_path / "digits.npy"
    np.save(source, load_digits().data[:120].astype(np.float32))
    assert set(manager.KINDS) == set(worker.KINDS)
    request = dict(
        kind="inclusion",
        spec=str(source),
        created=0.0,
        params=dict(method="random", prune_rate=0.5, seeds=3, encoders=[], method_params={}),
    )
    (tmp_path / "jobs" / "j1").mkdir(parents=True)
    filesystem.write_json(tmp_path / "jobs" / "j1" / "request.json", request)
    assert worker.work("j1", tmp_path) == 0
    ended = manager.read("j1", tmp_path)
    assert ended.status == "done" and ended.result["draws"] == 3
    request |= dict(
        kind="evaluate",
        params=dict(methods=["class_balanced"], prune_rates=[0.5], seeds=1, n_clusters=4),
    )
    filesystem.write_json(tmp_path / "jobs" / "j1" / "request.json", request)
    assert worker.work("j1", tmp_path) == 0
    result = manager.read("j1", tmp_path).result
    assert [row["method"] for row in result["rows"]] == ["random", "class_balanced"] and result[
        "labels"
    ] == "pseudo"


def test_agreement_by_hand():
    a = np.array([1, 1, 0, 0], bool)
    b = np.array([1, 0, 1, 0], bool)
    assert agreement([a, b]) == pytest.approx(1 / 3) and agreement([a, a, a]) == 1


def test_one_draw_is_refused(run):
    with pytest.raises(BadInput, match="single draw"):
        inclusion(run, "random", 0.8, seeds=1)


def test_the_map_can_be_coloured_by_it(run):
    from ui.map.colour_columns import available_columns, column
    from ui.state.run_view import RunView

    inclusion(run, "random", 0.8, seeds=4)
    view = RunView("demo", run.dataset, run, run.config)
    name = next(name for name in available_columns(view) if "draws" in name)
    assert name == "selected in 4 draws: Random, 40 images" and column(view, name).values.max() <= 1
