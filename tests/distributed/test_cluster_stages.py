"""Neighbours and evaluation as tasks on three nodes: what one machine finds."""

from __future__ import annotations

import platform
import time

import numpy as np
import pytest

from coreset_engine.artifacts.store import Store
from coreset_engine.core.device import torch_threads
from coreset_engine.evaluation.experiment import evaluate
from coreset_engine.pipeline.executor import EmbeddingTask
from coreset_engine.pipeline.run import Run
from coreset_engine.sources.open import open_source


@pytest.fixture(scope="module")
def runs(three_nodes, tmp_path_factory):
    """The same vectors on one machine and on three nodes; small pieces, so that there are some to
    share."""
    folder = tmp_path_factory.mktemp("vectors")
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=1200)
    np.save(
        folder / "v.npy",
        (rng.normal(size=(4, 32))[labels] * 2 + rng.normal(size=(1200, 32))).astype(np.float32),
    )
    dataset = open_source(str(folder / "v.npy"))
    return [
        Run(
            dataset,
            n_clusters=4,
            clusterer="kmeans",
            n_samples=20_000,
            store=Store(folder / home),
            cluster=address,
            search="approximate",
        )
        for address, home in ((None, "one"), (three_nodes.address, "many"))
    ]


def test_neighbours_by_tasks_are_those_of_one_machine(runs, set_limits):

    set_limits(code_rows=500, search_rows=256)
    answer = []
    runs[1].progress = lambda stage, done, total, unit="": answer.append(unit)
    alone, shared = (run.neighbours for run in runs)
    assert np.array_equal(alone.indices, shared.indices) and np.array_equal(
        alone.distances, shared.distances
    )
    assert alone.info == shared.info and alone.info["recall"] >= 0.9
    assert any("/s" in unit for unit in answer)  # throughput of each node


def test_a_job_opens_its_run_on_the_cluster_it_names(runs, three_nodes):
    from coreset_engine.jobs import worker

    params = dict(cluster=three_nodes.address, n_clusters=4, other=1)
    run, rest = worker._open(runs[1].dataset.spec, params, runs[1].store, lambda *reported: None)
    assert run.cluster == three_nodes.address and rest == dict(other=1)
    assert run.config.n_clusters == 4


def test_evaluation_by_tasks_gives_the_same_table(runs):
    settings = dict(methods=("elfs",), prune_rates=(0.5, 0.9), seeds=2, labels="pseudo")
    alone, shared = (evaluate(run, **settings) for run in runs)
    rows = [
        [
            {name: value for name, value in row.items() if "seconds" not in name}
            for row in found["rows"]
        ]
        for found in (alone, shared)
    ]
    assert (
        len(rows[0]) == 8
        and rows[0] == rows[1]
        and alone["full_accuracy"] == shared["full_accuracy"]
    )


def test_a_network_on_pixels_is_watched_in_one_task(three_nodes, tmp_path, monkeypatch):
    from PIL import Image

    from coreset_engine.distributed import full_stages
    from coreset_engine.pipeline.run import DYNAMICS

    rng = np.random.default_rng(2)
    for i in range(12):
        (tmp_path / "images" / f"class{i % 2}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(
            tmp_path / "images" / f"class{i % 2}" / f"{i}.png"
        )
    sent = []
    task = full_stages.scatter
    monkeypatch.setattr(
        full_stages, "scatter", lambda *args, **rest: sent.append(args[2]) or task(*args, **rest)
    )
    alone, shared = (
        Run(
            open_source(tmp_path / "images"),
            store=Store(tmp_path / home),
            cluster=address,
            device="cpu",
        ).dynamics_at(labels="true", proxy="convnet", epochs=2)
        for address, home in ((None, "one"), (three_nodes.address, "many"))
    )
    assert len(sent) == 1 and len(sent[0]) == 1
    assert all(np.array_equal(getattr(alone, name), getattr(shared, name)) for name in DYNAMICS)


@pytest.fixture
def with_a_gpu(three_nodes):
    """The cluster says it has a GPU, which it has not: what is sent there for its sake gets the
    same bits."""
    import ray

    node = three_nodes.add_node(num_cpus=1, num_gpus=1, object_store_memory=200 << 20)
    three_nodes.wait_for_nodes()
    yield three_nodes
    three_nodes.remove_node(node)
    for _ in range(600):
        if not ray.cluster_resources().get("GPU"):
            return
        time.sleep(0.1)
    raise AssertionError("the node with the GPU did not leave")


@pytest.mark.slow
def test_what_learns_goes_where_a_gpu_is(with_a_gpu, tmp_path, monkeypatch):
    from coreset_engine.clustering import pseudo_labels
    from coreset_engine.pipeline.run import DYNAMICS
    from coreset_engine.training import dynamics

    rng = np.random.default_rng(1)
    labels = rng.integers(3, size=600)
    np.save(
        tmp_path / "v.npy",
        (rng.normal(size=(3, 16))[labels] * 2 + rng.normal(size=(600, 16))).astype(np.float32),
    )
    dataset = open_source(str(tmp_path / "v.npy"))
    alone, shared, named = (
        Run(dataset, n_clusters=3, store=Store(tmp_path / home), cluster=address, device=device)
        for home, address, device in (
            ("one", None, "auto"),
            ("many", with_a_gpu.address, "auto"),
            ("cpu", with_a_gpu.address, "cpu"),
        )
    )
    with torch_threads(1):  # two that wait for each other on a busy machine take minutes
        expected = alone.pseudo_labels, alone.dynamics
    heard = []
    shared.progress = lambda stage, done, total, unit="": heard.append((stage, done, unit))

    def refused(*args, **rest):
        raise AssertionError("computed on the machine that asked")

    monkeypatch.setattr(pseudo_labels, "pseudo_labels", refused)
    monkeypatch.setattr(dynamics, "training_dynamics", refused)
    assert np.array_equal(expected[0].labels, shared.pseudo_labels.labels)
    assert all(
        np.array_equal(getattr(expected[1], name), getattr(shared.dynamics, name))
        for name in DYNAMICS
    )
    for stage, unit in (("pseudo_labels", "steps"), ("dynamics", "epochs")):
        answer = [(done, word) for name, done, word in heard if name == stage]
        assert answer[-1][1] == f"{unit} (on {platform.node()})" and answer[-1][0] > 1, answer
    with pytest.raises(AssertionError, match="computed on the machine"):
        named.pseudo_labels  # noqa: B018 - an explicit device is computed here


@pytest.mark.parametrize("every, seen", [(0.0, [1, 2, 3]), (1e9, [1, 1, 1])])
def test_how_far_a_node_is_lies_in_a_file_now_and_then(tmp_path, set_limits, every, seen):
    from coreset_engine.artifacts import filesystem
    from coreset_engine.distributed import full_stages

    set_limits(progress_s=every)
    folder = tmp_path / "told.json"
    teller = full_stages.Teller(folder, "dynamics")
    teller("neighbours", 9, 9, "images")
    assert not folder.exists()
    for done, written in zip((1, 2, 3), seen, strict=True):
        teller("dynamics", done, 5, "epochs")
        assert filesystem.read_json(folder)["done"] == written and teller.note["done"] == done
    gone = full_stages.Teller(tmp_path / "gone" / "told.json", "dynamics")
    gone("dynamics", 1, 5, "epochs")  # the folder is gone: nothing is raised
    assert gone.note["unit"] == f"epochs (on {platform.node()})"


@pytest.mark.slow
def test_who_asks_for_processors_embeds_on_them(with_a_gpu, tmp_path, monkeypatch):
    import dataclasses

    from coreset_engine.distributed import embedding

    asked = []
    monkeypatch.setattr(
        embedding,
        "_rows",
        lambda ray, missing, about, gpus, workers: (
            asked.append((gpus, about["device"])) or iter(())
        ),
    )
    demo = open_source("demo")
    few = dataclasses.replace(demo, ids=demo.ids[:8], labels=demo.labels[:8])
    for device in ("auto", "cpu"):
        (tmp_path / device).mkdir()
        task = EmbeddingTask(
            few, "efficientnet_lite0", None, tmp_path / device, device=device, shard_size=4
        )
        embedding.embed_on(with_a_gpu.address, task)
    assert asked == [(1, "auto"), (0, "cpu")]
