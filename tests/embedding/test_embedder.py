"""Shards: interrupted, damaged or changed, the vectors come out as if nothing had happened."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image

from coreset_engine.core.errors import BadInput, Cancelled
from coreset_engine.core.types import Dataset
from coreset_engine.embedding.embedder import embed_images
from coreset_engine.embedding.encoders.builders import make_encoder

PIXELS = np.random.default_rng(0).integers(0, 256, (37, 9, 9, 3), dtype=np.uint8)


def dataset(fingerprint: str = "print") -> Dataset:
    ids = np.array([f"i{i}" for i in range(37)])
    return Dataset("x", ids, fingerprint, reader=lambda i: Image.fromarray(PIXELS[i]))


@dataclass
class Fake:
    """An encoder of six numbers per image that counts its work and can run out of memory."""

    name: str = "fake"
    dim: int = 6
    device: str = "cpu"
    image_size: int = 9
    weights_hash: str = "w"
    largest: int = 10**9
    poison: int = -1
    seen: list[int] = field(default_factory=list)

    def sized_for(self, ds):
        return self

    def prepare(self, images):
        return np.stack([np.asarray(image) for image in images])

    def forward(self, pixels):
        if len(pixels) > self.largest:
            raise MemoryError
        self.seen.append(len(pixels))
        out = pixels.reshape(len(pixels), -1)[:, :6].astype(np.float32) / 7
        if self.poison >= 0:
            out[(pixels == PIXELS[self.poison]).all(axis=(1, 2, 3))] = np.nan
        return out


EXPECTED = PIXELS.reshape(37, -1)[:, :6].astype(np.float32) / 7


@pytest.mark.parametrize("shard_size, batch_size", [(8, 3), (37, 64), (1, 1), (100, 7)])
def test_shards_and_memory_agree(tmp_path, shard_size, batch_size):
    calls = []
    kept = embed_images(
        dataset(),
        Fake(),
        shards=tmp_path,
        shard_size=shard_size,
        batch_size=batch_size,
        progress=lambda done, total, unit: calls.append((done, total, unit)),
    )
    assert (
        isinstance(kept, np.memmap) and not kept.flags.writeable and np.array_equal(kept, EXPECTED)
    )
    assert np.array_equal(
        embed_images(dataset(), Fake(), shard_size=shard_size, batch_size=batch_size), EXPECTED
    )
    done = [call[0] for call in calls]
    assert done == sorted(done) and calls[-1] == (37, 37, "images")


def test_stopped_and_resumed_is_bit_identical_and_repeats_no_shard(tmp_path):
    def stop(done, total, unit):
        if done >= 20:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        embed_images(dataset(), Fake(), shards=tmp_path, shard_size=8, batch_size=3, progress=stop)
    again = Fake()
    assert np.array_equal(
        embed_images(dataset(), again, shards=tmp_path, shard_size=8, batch_size=3), EXPECTED
    )
    assert sum(again.seen) == 37 - 16
    once_more = Fake()
    embed_images(dataset(), once_more, shards=tmp_path, shard_size=8, batch_size=3)
    assert once_more.seen == []


@pytest.mark.parametrize("damage", ["flip", "cut", "hash", "gone", "unrenamed"])
def test_a_damaged_shard_is_made_again_alone(tmp_path, damage):
    embed_images(dataset(), Fake(), shards=tmp_path, shard_size=8)
    shard = tmp_path / "shard-000002.f32"
    data = bytearray(shard.read_bytes())
    data[5] ^= 1
    {
        "flip": lambda: shard.write_bytes(bytes(data)),
        "cut": lambda: shard.write_bytes(bytes(data[:-4])),
        "hash": lambda: shard.with_suffix(".sha256").write_text("0" * 64),
        "gone": shard.unlink,
        "unrenamed": lambda: shard.rename(tmp_path / "shard-000002.f32.99.tmp"),
    }[damage]()
    again = Fake()
    assert np.array_equal(embed_images(dataset(), again, shards=tmp_path, shard_size=8), EXPECTED)
    assert sum(again.seen) == 8


@pytest.mark.parametrize("change", [{"weights_hash": "v"}, {"image_size": 10}, {"name": "other"}])
def test_another_plan_starts_afresh(tmp_path, change):
    embed_images(dataset(), Fake(), shards=tmp_path, shard_size=8)
    again = Fake(**change)
    embed_images(dataset(), again, shards=tmp_path, shard_size=8)
    assert sum(again.seen) == 37
    other = Fake(**change)
    embed_images(dataset("elsewhere"), other, shards=tmp_path, shard_size=8)
    assert sum(other.seen) == 37


def test_batches_halve_when_memory_is_short():
    fake = Fake(largest=3)
    assert np.array_equal(embed_images(dataset(), fake, batch_size=16), EXPECTED)
    assert max(fake.seen) <= 3
    with pytest.raises(BadInput, match="one image at 9 px does not fit"):
        embed_images(dataset(), Fake(largest=0))


def test_bad_images_and_vectors_are_named():
    with pytest.raises(BadInput, match="image 'i20' gave a vector with NaN"):
        embed_images(dataset(), Fake(poison=20), batch_size=4, shard_size=16)
    broken = Dataset("x", np.array(["a", "b"]), "f", reader=lambda i: [Image.new("RGB", (9, 9))][i])
    with pytest.raises(BadInput, match="image 'b' can no longer be read"):
        embed_images(broken, Fake())
    with pytest.raises(BadInput, match="at least 1"):
        embed_images(dataset(), Fake(), batch_size=0)


def test_real_network_resumes_bit_identically(tmp_path):
    encoder = make_encoder("efficientnet_lite0", device="cpu", image_size=32)
    straight = embed_images(dataset(), encoder, shard_size=10, batch_size=4)
    embed_images(dataset(), encoder, shards=tmp_path, shard_size=10, batch_size=4)
    for number in (1, 3):
        (tmp_path / f"shard-{number:06d}.f32").unlink()
    assert np.array_equal(
        embed_images(dataset(), encoder, shards=tmp_path, shard_size=10, batch_size=4), straight
    )


def test_a_disk_that_refuses_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadInput, match="cannot be used for embeddings"):
        embed_images(dataset(), Fake(), shards=tmp_path / "file" / "shards")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("coreset_engine.embedding.embedder.os.fsync", full)
        with pytest.raises(BadInput, match="No space left on device.*finished shards are kept"):
            embed_images(dataset(), Fake(), shards=tmp_path / "shards")
    assert not list((tmp_path / "shards").glob("*.tmp"))
    assert np.array_equal(embed_images(dataset(), Fake(), shards=tmp_path / "shards"), EXPECTED)
