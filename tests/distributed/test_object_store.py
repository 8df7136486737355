"""Tars on a real S3 server: the source of the same files on disk, through 503s, on one machine and
on three nodes."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import fsspec
import numpy as np
import pytest
import ray
from PIL import Image

from coreset_engine.core.errors import BadInput
from coreset_engine.distributed import embedding
from coreset_engine.embedding.embedder import (
    embed_images,
    embed_shard,
    missing_shards,
    shard_path,
)
from coreset_engine.embedding.encoders.builders import make_encoder
from coreset_engine.pipeline.executor import EmbeddingTask
from coreset_engine.sources.open import open_source
from coreset_engine.sources.remote.readers import load_part


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    yield
    fsspec.get_filesystem_class("s3").clear_instance_cache()  # one test knows another address


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> Path:
    """48 pictures in 4 tars, one of them no picture."""
    root = tmp_path_factory.mktemp("tars")
    rng = np.random.default_rng(0)
    for number in range(4):
        with tarfile.open(root / f"{number}.tar", "w") as tar:
            for i in range(12):
                out = io.BytesIO()
                Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(out, "PNG")
                data = b"not a picture" if (number, i) == (2, 3) else out.getvalue()
                about = tarfile.TarInfo(f"{number}-{i:02d}.png")
                about.size = len(data)
                tar.addfile(about, io.BytesIO(data))
    return root


@pytest.fixture(scope="module")
def bucket(s3, shards) -> str:
    fs = fsspec.filesystem("s3", client_kwargs=dict(endpoint_url=s3.url))
    fs.mkdir("pictures")
    fs.put(str(shards), "pictures/train", recursive=True)
    return "s3://pictures/train"


def test_tars_of_a_bucket_are_the_tars_on_disk_through_503s(s3, bucket, shards, set_limits):
    set_limits(retry_waits_s=(0.01, 0.02, 0.05))
    on_disk = open_source(shards / "*.tar")
    s3.failing = 3
    before = s3.refused
    there = open_source(bucket)
    images = list(there.images(0, len(there)))
    s3.failing = 0
    assert s3.refused > before
    assert (
        there.fingerprint == on_disk.fingerprint
        and len(there) == 47
        and there.rejected[0].name == "2-03"
    )
    assert all(
        (np.asarray(image) == np.asarray(on_disk.image(i))).all() for i, image in enumerate(images)
    )
    asked = s3.asked
    assert open_source(f"{bucket}/*.tar").fingerprint == there.fingerprint
    assert s3.asked <= asked + 1  # no tar is read again, only the list of classes beside them
    asked = s3.asked
    list(there.images(0, 12))
    assert s3.asked == asked + 1  # neighbours in a tar come with one request


def test_single_files_of_a_bucket_are_asked_for_together_through_503s(
    s3, bucket, tmp_path, set_limits
):
    set_limits(retry_waits_s=(0.01, 0.02, 0.05))
    for i in range(20):
        (tmp_path / "set" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((9, 8, 3), i, np.uint8)).save(
            tmp_path / "set" / "ab"[i % 2] / f"{i:02d}.png"
        )
    fsspec.filesystem("s3", client_kwargs=dict(endpoint_url=s3.url)).put(
        str(tmp_path / "set"), "pictures/set", recursive=True
    )
    s3.failing = 3
    before = s3.refused
    there = open_source("s3://pictures/set")
    here = open_source(tmp_path / "set")
    images = [np.asarray(image) for image in there.images(0, 20)]
    s3.failing = 0
    assert (
        s3.refused > before
        and there.fingerprint == here.fingerprint
        and there.classes == ("a", "b")
    )
    assert all((image == np.asarray(here.image(i))).all() for i, image in enumerate(images))


def test_a_store_that_stays_away_is_one_sentence(s3, bucket, monkeypatch, set_limits):
    set_limits(retry_waits_s=(0.01, 0.02))
    s3.failing = 1
    try:
        with pytest.raises(
            BadInput, match="'s3://pictures/train/0.tar' did not answer 3 times .*same"
        ) as error:
            open_source(f"{bucket}/0.tar")
    finally:
        s3.failing = 0
    assert "\n" not in str(error.value)
    with pytest.raises(BadInput, match="'s3://pictures/nothing' does not exist"):
        open_source("s3://pictures/nothing")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(BadInput, match="'s3://other/x' did not answer 3 times .*wait"):
        open_source("s3://other/x")


@pytest.mark.slow
def test_nodes_look_through_and_embed_a_bucket_themselves(three_nodes, s3, bucket, tmp_path):
    folder = tmp_path / "shards"
    encoder = make_encoder("efficientnet_lite0")
    ticks = []

    def progress(done, total, unit=""):
        ticks.append((done, total, unit))

    s3.failing = 4
    before = s3.refused
    try:
        there = embedding.open_on(three_nodes.address, bucket, progress)
        third = missing_shards(there, encoder, folder, shard_size=8)[2]
        embed_shard(there, encoder, (third * 8, third * 8 + 8), shard_path(folder, third))
        flip(folder / "shard-000002.f32", 1000)
        task = EmbeddingTask(there, "efficientnet_lite0", None, folder, shard_size=8)
        found = embedding.embed_on(three_nodes.address, task, progress)
    finally:
        s3.failing = 0
    assert s3.refused > before and (4, 4, "files scanned") in ticks
    assert (
        found
        and all(speed > 0 for speed in found.values())
        and any("/s" in unit for *_, unit in ticks)
    )
    assert not missing_shards(
        there, encoder, folder, shard_size=8
    )  # the damaged one was made again
    assert np.array_equal(
        embed_images(there, encoder, shards=folder, shard_size=8),
        embed_images(there, encoder, shard_size=8),
    )
    assert load_part(folder / "slices.parquet", 5).ids.tolist() == there.ids[40:].tolist()


def test_a_picture_that_changed_meanwhile_is_one_sentence_from_a_worker(
    three_nodes, shards, tmp_path, monkeypatch
):
    shutil.copytree(shards, tmp_path / "copy")
    there = open_source(tmp_path / "copy")
    unasked = min(
        set(range(len(there))) - set(np.linspace(0, len(there) - 1, 32).astype(int).tolist())
    )
    flip(
        tmp_path / "copy" / "0.tar", int(there.reader.offset[unasked]) + 60
    )  # not read here to settle the image size

    def rows(
        ray, missing, about, *rest
    ):  # the worker here, without a pool: Ray Data keeps no cause of what it raises
        for number in missing:
            answer = embedding.ShardEmbedder(about)({"shard": np.array([number])})
            yield {name: column[0] for name, column in answer.items()}

    monkeypatch.setattr(embedding, "_rows", rows)
    with pytest.raises(
        BadInput, match=f"'0-{unasked:02d}' in .*0.tar' holds other bytes; it changed"
    ):
        embedding.embed_on(
            three_nodes.address,
            EmbeddingTask(there, "efficientnet_lite0", None, tmp_path / "shards", shard_size=16),
        )


@pytest.mark.slow
def test_gpu_nodes_embed_where_there_are_any(three_nodes, shards, tmp_path):
    there = open_source(shards)
    known = {node["NodeID"][:8] for node in ray.nodes()}
    with_gpu = three_nodes.add_node(num_cpus=1, num_gpus=1, object_store_memory=200 << 20)
    three_nodes.wait_for_nodes()
    try:
        task = EmbeddingTask(there, "efficientnet_lite0", None, tmp_path, shard_size=16)
        found = embedding.embed_on(three_nodes.address, task)
    finally:
        three_nodes.remove_node(with_gpu)
    assert len(found) == 1 and not set(found) & known  # the new node alone, as Ray counts GPUs
    assert not missing_shards(there, make_encoder("efficientnet_lite0"), tmp_path, shard_size=16)


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 255
    path.write_bytes(bytes(data))


def test_slow_and_vanished_nodes(set_limits):
    """Rows that stop coming: the last shards of a slow node are left to this machine, no node at
    all is a sentence."""
    import threading

    set_limits(slow_shard_s=0.1)
    set_limits(gone_s=0.1)
    never = threading.Event()

    def rows():
        for _ in range(2):
            yield dict(images=4, began=0.0, ended=0.001, node="a", fault="")
        never.wait()

    class Ray:
        def __init__(self, cores: float) -> None:
            self.cores = cores

        def nodes(self):
            return [dict(Alive=True, Resources={"CPU": self.cores})]

    def gathered(shards: int, cores: float) -> dict[str, float]:
        return embedding._gathered(
            rows(),
            4 * shards,
            shards,
            3,
            embedding.Watch(Ray(cores), "CPU"),
            lambda *reported: None,
        )

    assert gathered(4, 1.0) == {
        "a": 8000.0
    }  # two shards left, three workers: the slow node is not waited for
    with pytest.raises(BadInput, match="no node with a CPU .*finished shards are kept"):
        gathered(400, 0.0)
    never.set()
