"""Coverage over groups of columns on three nodes: one machine's bits, a node killed on the way,
sums added in pairs."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import BadInput
from coreset_engine.distributed import coverage_partitions as beyond
from coreset_engine.pipeline.run import Run
from coreset_engine.sources.open import open_source


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("vectors") / "v.npy"
    np.save(path, np.random.default_rng(4).gamma(2.0, size=(900, 10)).astype(np.float32))
    return open_source(str(path))


@pytest.mark.slow
def test_a_run_whose_nodes_hold_two_groups_equals_one_machine(
    three_nodes, dataset, tmp_path, monkeypatch
):
    alone = Run(
        dataset, n_clusters=3, n_samples=20_000, store=Store(tmp_path / "one")
    ).coverage_grid((40, 10))
    monkeypatch.setattr(beyond, "fits_in_memory", lambda *reported: False)
    monkeypatch.setattr(beyond.over, "groups_for", lambda *reported, **rest: 3)
    victim = three_nodes.add_node(num_cpus=1, object_store_memory=200 << 20)
    killed = []
    forks = []

    def progress(stage, done, total, unit=""):
        if done > 5000 and not killed and stage == "coverage":
            killed.append(done)
            three_nodes.remove_node(victim, allow_graceful=False)

    class Watched(beyond.Tree):
        def __init__(self, *reported):
            super().__init__(*reported)
            send, self.fork = (
                self.fork.remote,
                SimpleNamespace(remote=lambda *sums: forks.append(1) or send(*sums)),
            )

    monkeypatch.setattr(beyond, "Tree", Watched)
    run = Run(
        dataset,
        n_clusters=3,
        n_samples=20_000,
        store=Store(tmp_path / "many"),
        cluster=three_nodes.address,
        progress=progress,
    )
    found = run.coverage_grid((40, 10))
    assert killed and killed[0] < 20_000
    assert len(forks) >= 5 * 8  # six sets of groups in each of eight half-rounds or more
    for alpha, wanted in alone.items():
        for name in ("score", "coverage", "redundancy"):
            assert np.array_equal(getattr(wanted, name), getattr(found[alpha], name))
        assert wanted.info == found[alpha].info
    assert not list(
        (tmp_path / "many" / "work").rglob("*.npy")
    )  # the columns went with the unfinished sums


def test_a_node_that_does_not_see_the_columns_is_one_sentence(three_nodes, dataset, tmp_path):
    from coreset_engine.coverage.partitions import transpose_to_folder
    from coreset_engine.coverage.scores import coverage_scores

    vectors = np.load(dataset.spec)
    make_scorer = beyond.column_scorer(
        three_nodes.address, tmp_path / "elsewhere", 2, dict(num_cpus=1, memory=1 << 20)
    )
    with pytest.raises(BadInput, match="does not see"):
        coverage_scores(
            vectors,
            n_samples=3000,
            columns=transpose_to_folder(tmp_path / "here", vectors, 2),
            make_scorer=make_scorer,
        )


def test_a_task_is_cut_for_the_smallest_node():
    n = 50_000_000
    assert beyond.smallest([(16, 64e9), (8, 128e9)], n, 1) == (8, 64e9)
    assert beyond.smallest([(64, 64e9)], n, 1) == (30, 64e9)  # 32 sums of 0.8 GB are 0.4 of it
    assert beyond.smallest([(4, 1e9)], n, 1) == (1, 1e9)
    assert beyond.fits_in_memory(60_000, 1280, 4, 16, 16e9) and not beyond.fits_in_memory(
        n, 256, 4, 16, 128e9
    )
    dims = np.random.default_rng(0).integers(0, 10, (4000, 2))
    for slots in (1, 5, 40):
        found = beyond.parts(dims, 10, 3, slots)
        assert sorted(np.concatenate([rows for _, rows in found])) == list(range(4000))
    assert (
        len(found) > len(beyond.parts(dims, 10, 3, 1)) == 6
        and min(len(rows) for _, rows in found) >= 200
    )
