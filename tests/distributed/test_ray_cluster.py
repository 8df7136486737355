"""The stages on a real Ray cluster of three nodes on this machine: same artefacts, same selection,
nodes may die."""

from __future__ import annotations

import os
import signal

import numpy as np
import psutil
import pytest
import ray
from PIL import Image

from coreset_engine.artifacts.store import Store
from coreset_engine.distributed import ray_cluster as beyond
from coreset_engine.distributed.embedding import embed_on
from coreset_engine.pipeline.executor import EmbeddingTask
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.select import select
from coreset_engine.sources.open import open_source


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for i in range(60):
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(
            root / f"{i:03d}.png"
        )
    return root


def test_whole_run_equals_one_machine(three_nodes, folder, tmp_path):
    chosen = []
    for address, home in ((None, "one"), (three_nodes.address, "many")):
        ticks = []
        run = Run(
            open_source(folder),
            n_clusters=3,
            n_samples=20_000,
            store=Store(tmp_path / home),
            cluster=address,
            progress=lambda stage, done, total, unit="", ticks=ticks: ticks.append((stage, unit)),
        )
        chosen.append(select("blindcs", run, prune_rate=0.5))
        vectors = np.asarray(run.vectors)
        if address is None:
            alone = vectors
    assert np.array_equal(alone, vectors)
    assert list(chosen[0].ids) == list(chosen[1].ids) and np.array_equal(
        chosen[0].scores, chosen[1].scores
    )
    assert any(
        "/s" in unit for stage, unit in ticks if stage == "embeddings"
    )  # throughput of each node


@pytest.mark.slow
def test_a_node_killed_while_embedding_costs_its_shards_only(three_nodes, folder, tmp_path):
    from coreset_engine.embedding import embedder
    from coreset_engine.embedding.encoders.builders import make_encoder

    dataset = open_source(folder)
    victim = three_nodes.add_node(num_cpus=1, object_store_memory=200 << 20)
    encoder = make_encoder("efficientnet_lite0")
    killed = []

    def progress(done, total, unit=""):
        if not killed:  # the first shard is back, most are not
            killed.append(done)
            three_nodes.remove_node(victim, allow_graceful=False)

    task = EmbeddingTask(dataset, "efficientnet_lite0", None, tmp_path, shard_size=4)
    embed_on(three_nodes.address, task, progress)
    assert killed and killed[0] < len(dataset)
    assert not embedder.missing_shards(dataset, encoder, tmp_path, shard_size=4)
    assert np.array_equal(
        embedder.embed_images(dataset, encoder, shards=tmp_path, shard_size=4),
        embedder.embed_images(dataset, encoder, shard_size=4),
    )


@pytest.mark.slow
def test_a_node_killed_while_scoring_changes_no_bit(three_nodes):
    from coreset_engine.coverage.scores import coverage_scores

    vectors = np.random.default_rng(1).normal(size=(2000, 16)).astype(np.float32)
    wanted = coverage_scores(vectors, n_samples=400_000, n_neighbours=100, device="cpu")
    victim = three_nodes.add_node(num_cpus=1, object_store_memory=200 << 20)
    killed = []

    def progress(done, total, unit=""):
        if done > 50_000 and not killed:
            killed.append(done)
            three_nodes.remove_node(victim, allow_graceful=False)

    found = coverage_scores(
        vectors,
        n_samples=400_000,
        n_neighbours=100,
        progress=progress,
        make_scorer=beyond.coverage_scorer(three_nodes.address, vectors),
    )
    assert killed and np.array_equal(wanted.coverage, found.coverage)
    assert np.array_equal(wanted.redundancy, found.redundancy)


@pytest.mark.slow
def test_a_worker_that_falls_silent_is_not_waited_for(three_nodes, set_limits):
    """Neither dead nor alive: what a node behind a broken switch looks like. It comes back
    afterwards."""
    from coreset_engine.coverage.scores import coverage_scores

    set_limits(late_s=1.0)
    vectors = np.random.default_rng(2).normal(size=(2000, 16)).astype(np.float32)
    wanted = coverage_scores(vectors, n_samples=400_000, n_neighbours=100, device="cpu")
    stopped = []

    def progress(done, total, unit=""):
        workers = [
            one.pid
            for one in psutil.process_iter(["cmdline"])
            if "ray::CoverageWorker" in " ".join(one.info["cmdline"] or [])
        ]
        if done > 50_000 and not stopped and len(workers) > 1:
            stopped.append(workers[0])
            os.kill(stopped[0], signal.SIGSTOP)

    try:
        found = coverage_scores(
            vectors,
            n_samples=400_000,
            n_neighbours=100,
            progress=progress,
            make_scorer=beyond.coverage_scorer(three_nodes.address, vectors),
        )
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    assert stopped and np.array_equal(wanted.score, found.score)


def test_an_address_that_does_not_answer_is_one_sentence(monkeypatch):
    from coreset_engine.core.errors import BadInput

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(BadInput, match="does not answer"):
        beyond.connect("nonsense:address:1")
