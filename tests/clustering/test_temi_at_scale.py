"""TEMI over rows and neighbours on disk: what it finds in memory, reading only batches and
blocks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from coreset_engine.clustering.pseudo_labels import pseudo_labels
from coreset_engine.clustering.vectors import as_tensor, nearest, unit
from coreset_engine.core import row_streaming
from coreset_engine.core.errors import BadInput, Cancelled
from coreset_engine.core.types import Neighbours

QUICK = dict(n_heads=5, epochs=3, min_steps=60, batch=64, lr=1e-2, momentum=0.9)


@pytest.fixture(params=[np.float32, np.float16])
def stored(request, tmp_path):
    """(vectors (900, 24), Neighbours (900, 20)), both memmaps; six directions that touch each
    other."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(6, 24))[rng.integers(6, size=900)] + rng.normal(size=(900, 24))
    np.save(tmp_path / "v.npy", rows.astype(request.param))
    vectors = np.load(tmp_path / "v.npy", mmap_mode="r")
    np.save(
        tmp_path / "n.npy",
        nearest(unit(as_tensor(vectors, "cpu")).float(), 20).numpy().astype(np.int32),
    )
    return vectors, Neighbours(
        np.load(tmp_path / "n.npy", mmap_mode="r"), np.zeros((900, 20), np.float32)
    )


def found_both(stored, **settings):
    return [
        pseudo_labels(
            stored[0],
            6,
            "temi",
            seed=3,
            neighbours=stored[1],
            device="cpu",
            streamed=streamed,
            **(QUICK | settings),
        )
        for streamed in (False, True)
    ]


@pytest.mark.parametrize(
    "settings",
    [
        dict(n_dims=0),
        dict(n_dims=0, hidden=8, unit_inputs=False, lr=3e-3, bottleneck=8, min_steps=100),
        dict(n_dims=0, start="kmeans"),
        dict(n_dims=0, average="log", keep=0.5),
    ],
)
def test_the_vectors_as_they_are_give_the_same_bits(stored, settings):
    held, read = found_both(stored, **settings)
    for name in ("labels", "confidence", "agreement", "probabilities"):
        assert np.array_equal(getattr(held, name), getattr(read, name))
    assert held.info == read.info and len(set(held.labels.tolist())) > 2


def test_along_principal_axes_only_last_bits_differ(stored):
    held, read = found_both(stored, n_dims=12)
    assert np.array_equal(held.labels, read.labels)
    np.testing.assert_allclose(read.probabilities, held.probabilities, atol=1e-3)
    assert held.info["sizes"] == read.info["sizes"]


def test_only_batches_and_blocks_are_ever_read(stored, monkeypatch, set_limits):
    set_limits(block_numbers=1)  # blocks of 256 rows
    batches = []
    blocks = []
    take = row_streaming.UnitRows.__getitem__

    def watched(self, at):
        part = take(self, at)
        (blocks if isinstance(at, slice) else batches).append(len(part))
        return part

    monkeypatch.setattr(row_streaming.UnitRows, "__getitem__", watched)
    pseudo_labels(
        stored[0], 6, "temi", neighbours=stored[1], streamed=True, device="cpu", n_dims=0, **QUICK
    )
    assert max(batches) == 2 * 64 and blocks == 2 * [256, 256, 256, 132]


def test_rows_by_number_come_in_the_order_asked_for(stored):
    vectors, neighbours = stored
    asked = torch.tensor([5, 899, 0, 5, 17])
    full = unit(as_tensor(vectors, "cpu")).float()
    assert torch.equal(row_streaming.UnitRows(vectors, "cpu")[asked], full[asked])
    positions = torch.tensor([0, 3, 19, 1, 0])
    assert (
        row_streaming.ListsOnDisk(neighbours.indices, "cpu")[asked, positions].tolist()
        == neighbours.indices[asked.numpy(), positions.numpy()].tolist()
    )


def test_many_probabilities_are_not_kept_and_nothing_else_changes(stored, set_limits):
    wanted = found_both(stored)
    set_limits(table_bytes=100)
    for kept, dropped in zip(wanted, found_both(stored)):
        assert dropped.probabilities is None and np.array_equal(kept.labels, dropped.labels)
        assert np.array_equal(kept.confidence, dropped.confidence) and kept.info == dropped.info


def test_missing_neighbours_and_broken_rows_are_told(stored):
    vectors, neighbours = stored
    with pytest.raises(BadInput, match="neighbours=None"):
        pseudo_labels(vectors, 6, "temi", streamed=True, device="cpu")
    broken = np.array(vectors)
    broken[700, 2] = np.inf
    for n_dims in (0, 12):
        with pytest.raises(BadInput, match="row 700"):
            pseudo_labels(
                broken,
                6,
                "temi",
                streamed=True,
                neighbours=neighbours,
                device="cpu",
                **QUICK,
                n_dims=n_dims,
            )


@pytest.mark.parametrize("when", [0, 16, 60])
def test_can_be_stopped_while_it_reads_learns_and_names(stored, when):
    def stop(done, total, unit):
        if done >= when:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        pseudo_labels(
            stored[0],
            6,
            "temi",
            neighbours=stored[1],
            streamed=True,
            device="cpu",
            progress=stop,
            **QUICK,
        )
