"""k-means by tasks over pieces on three nodes: one machine's bits, a node killed in a round, a run
stopped in one."""

from __future__ import annotations

import numpy as np
import pytest

from coreset_engine.artifacts.store import Store
from coreset_engine.clustering import kmeans_out_of_core as at_scale
from coreset_engine.core.errors import BadInput, Cancelled
from coreset_engine.distributed import clustering as beyond
from coreset_engine.pipeline.run import Run
from coreset_engine.sources.open import open_source


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("vectors") / "v.npy"
    rng = np.random.default_rng(6)
    np.save(
        path,
        (rng.normal(size=(6, 16))[rng.integers(6, size=4000)] + rng.normal(size=(4000, 16))).astype(
            np.float32
        ),
    )
    return open_source(str(path))


@pytest.fixture(autouse=True)
def small_pieces(set_limits):
    """Everything is large, pieces are 100 rows, starts are compared on 1,000."""
    set_limits(in_memory_bytes=1000)
    set_limits(kmeans_sample_bytes=4 * 16 * 1000)
    set_limits(kmeans_rows=100)


def run_of(dataset, home, cluster=None, progress=None):
    return Run(
        dataset,
        n_clusters=6,
        clusterer="kmeans",
        store=Store(home),
        cluster=cluster,
        progress=progress,
    )


@pytest.mark.slow
def test_a_node_killed_in_a_round_changes_no_bit(three_nodes, dataset, tmp_path):
    alone = run_of(dataset, tmp_path / "one").clusters
    victim = three_nodes.add_node(num_cpus=1, object_store_memory=200 << 20)
    killed = []
    units = []

    def progress(stage, done, total, unit=""):
        units.append(unit)
        if "/s" in unit and not killed:  # the first task of the first round is back, most are not
            killed.append(done)
            three_nodes.remove_node(victim, allow_graceful=False)

    found = run_of(dataset, tmp_path / "many", three_nodes.address, progress).clusters
    assert killed and killed[0] < len(dataset) // 10
    for name in ("labels", "confidence", "probabilities"):
        assert np.array_equal(getattr(alone, name), getattr(found, name))
    assert alone.info == found.info and alone.info["sample"] == 1000
    assert any(unit.count("/s") > 1 for unit in units)  # throughput of each node


def test_a_run_stopped_in_a_round_stops_its_tasks(three_nodes, dataset, tmp_path):
    def stop(stage, done, total, unit=""):
        if "/s" in unit:
            raise Cancelled("stopped")

    run = run_of(dataset, tmp_path, three_nodes.address, stop)
    with pytest.raises(Cancelled):
        run.clusters  # noqa: B018 - asked for what it computes
    assert not run.ready("pseudo_labels")


def test_a_node_that_does_not_see_the_vectors_is_one_sentence(three_nodes, tmp_path):
    path = tmp_path / "v.npy"
    np.save(path, np.eye(8, dtype=np.float32))
    there = beyond.Nodes(three_nodes.address, np.load(path, mmap_mode="r"))
    path.unlink()
    for _ in range(
        20
    ):  # Ray ends this process now and then when a task that just failed is cancelled
        with pytest.raises(BadInput, match="does not see"):
            list(
                there.map(at_scale.assign, (np.eye(8, dtype=np.float32), 4), [(0, 8)], lambda: None)
            )


def test_only_a_large_kmeans_leaves_the_machine(dataset, tmp_path, monkeypatch, set_limits):
    def workers(address=None):
        run = run_of(dataset, tmp_path, address)
        return run.executor.clustering_workers(run)

    monkeypatch.setattr(beyond, "Nodes", lambda address, vectors: address)
    assert workers() is None
    assert workers("somewhere") == "somewhere"
    set_limits(in_memory_bytes=2 << 30)
    assert workers("somewhere") is None
