"""Dynamics of vectors on disk: the bits of vectors in memory, without holding them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from coreset_engine.core import row_streaming
from coreset_engine.pipeline.run import DYNAMICS
from coreset_engine.training.dynamics import training_dynamics


@pytest.fixture
def on_disk(tmp_path):
    def make(kind: type) -> np.memmap:
        np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(1500, 12)).astype(kind))
        return np.load(tmp_path / "v.npy", mmap_mode="r")

    return make


@pytest.mark.parametrize("proxy", ["linear", "mlp"])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_streamed_dynamics_are_the_same_bits(on_disk, proxy, kind):
    vectors = on_disk(kind)
    labels = np.arange(1500) % 5
    read, held = (
        training_dynamics(rows, labels, proxy, epochs=3, seed=1, device="cpu")
        for rows in (vectors, np.array(vectors))
    )
    assert all(np.array_equal(getattr(read, name), getattr(held, name)) for name in DYNAMICS)
    assert read.info == held.info


def test_only_batches_are_ever_read(on_disk, monkeypatch):
    sizes = []
    take = row_streaming.OnDisk.__getitem__

    def watched(self, at):
        part = take(self, at)
        sizes.append(len(part))
        return part

    monkeypatch.setattr(row_streaming.OnDisk, "__getitem__", watched)
    training_dynamics(
        on_disk(np.float32), np.arange(1500) % 5, "linear", epochs=2, batch=100, device="cpu"
    )
    assert len(sizes) == 1 + 2 * 15 and max(sizes[1:]) == 100  # once for the mean, then batches


def test_a_large_accumulator_lies_in_a_file_and_counts_the_same(on_disk, set_limits):
    vectors = on_disk(np.float32)
    labels = np.arange(1500) % 5
    wanted = training_dynamics(vectors, labels, "linear", epochs=4, device="cpu")
    set_limits(array_bytes=1000)
    for kind in (torch.float32, torch.float16):
        assert torch.equal(
            row_streaming.accumulator(300, 2, device="cpu", kind=kind),
            torch.zeros(300, 2, dtype=kind),
        )
    found = training_dynamics(vectors, labels, "linear", epochs=4, device="cpu")
    assert all(np.array_equal(getattr(wanted, name), getattr(found, name)) for name in DYNAMICS)
    assert found.tdds.max() > 0 and found.margins.dtype == np.float16


def test_a_large_array_lies_on_disk_where_tmpdir_says(tmp_path, monkeypatch, set_limits):
    seen = []
    real = row_streaming.tempfile.TemporaryFile
    set_limits(array_bytes=1000)
    monkeypatch.setattr(
        row_streaming.tempfile, "TemporaryFile", lambda dir: seen.append(dir) or real(dir=tmp_path)
    )
    assert not isinstance(row_streaming.scratch((125,), np.int64), np.memmap) and not seen
    for given, wanted in ((str(tmp_path), None), ("", "/var/tmp")):
        monkeypatch.setenv("TMPDIR", given)
        monkeypatch.setattr(row_streaming.os, "access", lambda folder, how: True)
        found = row_streaming.scratch((126,), np.int64)
        assert isinstance(found, np.memmap) and not found.any() and seen[-1] == wanted


def test_a_full_disk_is_no_end(monkeypatch, set_limits):
    """Without room on disk the array lies in memory: a file that cannot be filled would kill the
    process."""

    def full(number, start, size):
        raise OSError(28, "No space left on device")

    set_limits(array_bytes=1000)
    monkeypatch.setattr(row_streaming.os, "posix_fallocate", full)
    found = row_streaming.scratch((126,), np.int64)
    found[:] = 1
    assert not isinstance(found, np.memmap) and found.sum() == 126
