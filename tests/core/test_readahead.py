"""Prefetched rows: the right pages of the file, no other bits, and nothing where memory
holds them anyway."""

from __future__ import annotations

import mmap

import numpy as np
import pytest

from coreset_engine.clustering.config import TemiConfig
from coreset_engine.clustering.context import ClusterContext
from coreset_engine.clustering.temi import temi
from coreset_engine.core import prefetch
from coreset_engine.core.prefetch import nothing
from coreset_engine.core.types import Neighbours
from coreset_engine.training.dynamics import training_dynamics

# rows of 96 bytes
N = 6000
D = 24


class Told:
    """A mapped file that records madvise calls and accepts no others."""

    def __init__(self) -> None:
        self.pages: set[int] = set()

    def madvise(self, option: int, start: int, length: int) -> None:
        assert option == mmap.MADV_WILLNEED and start % mmap.PAGESIZE == length % mmap.PAGESIZE == 0
        self.pages |= set(range(start // mmap.PAGESIZE, (start + length) // mmap.PAGESIZE))


@pytest.fixture
def vectors(tmp_path, set_limits):
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(N, D)).astype(np.float32))
    set_limits(free_bytes=1000)
    return np.load(tmp_path / "v.npy", mmap_mode="r")


@pytest.fixture
def told(monkeypatch):
    """What is told of any map."""
    found = Told()
    real = prefetch.mapped

    def mapped(array):
        file, begins = real(array)
        return (file and found), begins

    monkeypatch.setattr(prefetch, "mapped", mapped)
    return found


def pages_of(vectors, rows, columns=D):
    """By hand: a .npy file has 128 bytes before its rows."""
    found = set()
    for row in rows:
        first = 128 + row * D * 4
        found |= set(range(first // mmap.PAGESIZE, (first + columns * 4 - 1) // mmap.PAGESIZE + 1))
    return found


@pytest.mark.parametrize("columns", [D, 3])
def test_the_pages_of_these_rows_are_told(vectors, told, columns):
    rows = np.array(
        [0, 41, 42, 43, 4000, N - 1]
    )  # 42 rows of 96 bytes and the header fill a page, so one crosses
    prefetch.readahead(vectors[:, :columns])(rows)
    assert told.pages == pages_of(vectors, rows, columns)


def test_a_part_of_a_file_has_its_own_row_numbers(vectors, told):
    prefetch.readahead(vectors[1000:2000])(np.array([0, 999]))
    assert told.pages == pages_of(vectors, [1000, 1999])


def test_real_maps_take_it_to_their_very_end(vectors):
    soon = prefetch.readahead(vectors)
    assert soon is not nothing
    soon(np.arange(N))
    soon(np.empty(0, np.int64))


def test_nothing_is_told_of_what_memory_holds(vectors, set_limits):
    assert prefetch.readahead(np.array(vectors)) is nothing
    set_limits(free_bytes=2 * vectors.nbytes)
    assert prefetch.readahead(vectors) is nothing


def test_dynamics_tell_of_every_row_but_the_first_batches_and_find_the_same(vectors, told):
    labels = np.arange(N) % 5
    wanted = training_dynamics(
        np.array(vectors), labels, "linear", epochs=1, batch=100, device="cpu"
    )
    found = training_dynamics(vectors, labels, "linear", epochs=1, batch=100, device="cpu")
    assert np.array_equal(wanted.aum, found.aum) and np.array_equal(wanted.margins, found.margins)
    assert told.pages == pages_of(
        vectors, range(N)
    )  # 42 rows a page: each has one beyond the first batches


def test_temi_tells_of_pairs_and_lists_and_finds_the_same(vectors, told, tmp_path):
    nearest = np.random.default_rng(1).integers(N, size=(N, 20))
    np.save(tmp_path / "near.npy", nearest)  # rows of 20 numbers of 8 bytes, of which 10 are taken
    config = TemiConfig(n_heads=2, epochs=1, min_steps=1, batch=100, n_neighbours=10, n_dims=0)

    def labels(rows, lists):
        neighbours = Neighbours(lists, np.zeros_like(lists))
        context = ClusterContext(neighbours, device="cpu", streamed=True)
        return temi(rows, 4, config, context=context).labels

    wanted = labels(np.array(vectors), nearest)
    assert not told.pages
    assert np.array_equal(wanted, labels(vectors, np.load(tmp_path / "near.npy", mmap_mode="r")))
    lists = {
        (128 + row * 20 * 8 + at) // mmap.PAGESIZE for row in range(N) for at in (0, 10 * 8 - 1)
    }
    assert told.pages == pages_of(vectors, range(N)) | lists
