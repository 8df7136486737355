"""Dynamics of vectors on disk: the bits of vectors in memory, without holding them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from coreset_engine.difficulty import streaming
from coreset_engine.difficulty.dynamics import training_dynamics
from coreset_engine.run.pipeline import DYNAMICS


@pytest.fixture
def on_disk(tmp_path):
    def make(kind: type) -> np.memmap:
        np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(1500, 12)).astype(kind))
        return np.load(tmp_path / "v.npy", mmap_mode="r")
    return make


@pytest.mark.parametrize("proxy", ["linear", "mlp"])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_streamed_dynamics_are_the_same_bits(on_disk, proxy, kind):
    vectors, labels = on_disk(kind), np.arange(1500) % 5
    read, held = (training_dynamics(rows, labels, proxy, epochs=3, seed=1, device="cpu")
                  for rows in (vectors, np.array(vectors)))
    assert all(np.array_equal(getattr(read, name), getattr(held, name)) for name in DYNAMICS)
    assert read.info == held.info


def test_only_batches_are_ever_read(on_disk, monkeypatch):
    sizes = []
    take = streaming.OnDisk.__getitem__

    def watched(self, at):
        part = take(self, at)
        sizes.append(len(part))
        return part

    monkeypatch.setattr(streaming.OnDisk, "__getitem__", watched)
    training_dynamics(on_disk(np.float32), np.arange(1500) % 5, "linear", epochs=2, batch=100, device="cpu")
    assert len(sizes) == 1 + 2 * 15 and max(sizes[1:]) == 100  # once for the mean, then batches


def test_a_large_accumulator_lies_in_a_file_and_counts_the_same(on_disk, monkeypatch):
    vectors, labels = on_disk(np.float32), np.arange(1500) % 5
    wanted = training_dynamics(vectors, labels, "linear", epochs=4, device="cpu")
    monkeypatch.setattr(streaming, "LARGE", 1000)
    before = torch.zeros(3, 2)
    assert torch.equal(streaming.accumulator(3, 2, device="cpu"), before)
    found = training_dynamics(vectors, labels, "linear", epochs=4, device="cpu")
    assert np.array_equal(wanted.tdds, found.tdds) and found.tdds.max() > 0
