"""k-means over blocks of rows on disk: the clusters of rows in memory, the same bits whichever worker ran
on which piece."""

from __future__ import annotations

import numpy as np
import pytest

from coreset_engine.clustering import contingency
from coreset_engine.clustering import kmeans_out_of_core as at_scale
from coreset_engine.clustering.context import ClusterContext
from coreset_engine.clustering.kmeans import KMeansConfig, spherical_kmeans
from coreset_engine.clustering.pseudo_labels import pseudo_labels
from coreset_engine.core import row_blocks
from coreset_engine.core.errors import BadInput, Cancelled


@pytest.fixture
def vectors(tmp_path):
    """(3000, 20) rows on disk around five directions, of any length."""
    rng = np.random.default_rng(0)
    truth = rng.integers(5, size=3000)
    rows = (rng.normal(size=(5, 20)) * 3)[truth] + rng.normal(size=(3000, 20))
    np.save(tmp_path / "v.npy", (rows * rng.uniform(0.1, 9, (3000, 1))).astype(np.float32))
    np.save(tmp_path / "truth.npy", truth)
    return np.load(tmp_path / "v.npy", mmap_mode="r")


@pytest.fixture
def small(set_limits):
    """Blocks, pieces and the sample cut small, so that there are some."""
    set_limits(block_numbers=1)
    set_limits(kmeans_rows=300)
    set_limits(kmeans_sample_bytes=4 * 20 * 800)


class Backwards(row_blocks.LocalWorkers):
    """One worker that takes the last piece first, and thinks that it is `slots`."""

    def __init__(self, vectors, slots):
        super().__init__(vectors)
        self.slots = slots

    def map(self, task, shared, items, idle):
        for position in range(len(items))[::-1]:
            yield position, task(self.vectors, shared, *items[position])


def test_size_decides_by_the_data_alone():
    assert (
        not row_blocks.large(2**21, 256)
        and row_blocks.large(2**21 + 1, 256)
        and row_blocks.large(10**9, 64)
    )
    assert row_blocks.kept(60_000, 1000) and not row_blocks.kept(1_000_000, 100)


def test_finds_what_rows_in_memory_find(vectors, small, tmp_path):
    held, read = (
        pseudo_labels(vectors, 5, "kmeans", seed=1, streamed=streamed) for streamed in (False, True)
    )
    assert contingency.accuracy(read.labels, held.labels) > 0.995
    assert contingency.accuracy(read.labels, np.load(tmp_path / "truth.npy")) > 0.97
    assert (
        read.info["objective"] == pytest.approx(held.info["objective"], abs=1e-3)
        and read.info["sample"] == 800
    )
    assert read.labels.dtype == np.int64 and read.confidence.dtype == np.float32
    assert np.array_equal(read.labels, read.probabilities.argmax(axis=1))
    assert np.array_equal(read.confidence, read.probabilities.max(axis=1))


@pytest.mark.parametrize("slots", [1, 2, 50])
def test_the_bits_do_not_depend_on_who_did_what(vectors, small, slots):
    alone = ClusterContext(streamed=True)
    shared = ClusterContext(streamed=True, workers=Backwards(vectors, slots))
    first = spherical_kmeans(vectors, 5, seed=2, context=alone)
    other = spherical_kmeans(vectors, 5, seed=2, context=shared)
    assert np.array_equal(first.probabilities, other.probabilities) and first.info == other.info


@pytest.mark.parametrize("n", range(1, 12))
def test_spans_of_pieces_are_branches_of_one_tree(n):
    rng = np.random.default_rng(n)
    numbers = rng.normal(size=n).astype(np.float32) * 10.0 ** rng.integers(-4, 4, n)
    alone = row_blocks.in_pairs(list(numbers), np.add)
    for span in (2, 4, 8):
        assert alone == row_blocks.in_pairs(
            [
                row_blocks.in_pairs(list(numbers[at : at + span]), np.add)
                for at in range(0, n, span)
            ],
            np.add,
        )
    assert row_blocks.spans(1000, 100, 1)[0] == (0, 100) and row_blocks.spans(10_000, 100, 1)[
        0
    ] == (0, 800)
    assert (
        row_blocks.spans(10_000, 100, 4)[-1] == (9800, 10_000)
        and len(row_blocks.spans(10_001, 100)) == 101
    )


def test_a_round_by_hand():
    """Three rows, two centres: sums, counts, cosines and the farthest row, written out."""
    rows = np.array([[2.0, 0.0], [3.0, 4.0], [0.0, 5.0]], np.float32)
    centres = np.eye(2, dtype=np.float32)
    found = at_scale.assign(rows, (centres, 2), 0, 3)
    np.testing.assert_allclose(found.sums, [[1, 0], [0.6, 1.8]], rtol=1e-6)
    assert found.counts.tolist() == [1, 2] and found.total == pytest.approx(2.8)
    assert found.rows.tolist() == [1, 0] and found.far == pytest.approx([0.8, 1])


def test_an_emptied_cluster_restarts_at_the_farthest_row(vectors, small):
    """Of three equal centres two get nothing in the first round, and every one has rows after the
    second."""
    centres = np.repeat(row_blocks.unit_rows(vectors[:1]).numpy(), 3, axis=0)
    assert at_scale.assign(vectors, (centres, 300), 0, len(vectors)).counts.tolist() == [3000, 0, 0]
    moved, _, _ = at_scale.lloyd(
        row_blocks.LocalWorkers(vectors), vectors, centres, 2, 300, lambda share: None
    )
    counts = at_scale.assign(vectors, (moved, 300), 0, len(vectors)).counts
    assert (counts > 0).all()


def test_more_clusters_than_directions_are_refused(vectors, small):
    with pytest.raises(BadInput, match="distinct"):
        pseudo_labels(np.repeat(vectors[:4], 100, axis=0), 6, "kmeans", streamed=True)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_broken_row_is_named(vectors, small, value):
    broken = np.array(vectors)
    broken[2024, 3] = value
    with pytest.raises(BadInput, match="row 2024"):
        pseudo_labels(broken, 5, "kmeans", streamed=True)


def test_many_probabilities_are_not_kept_and_nothing_else_changes(vectors, small, set_limits):
    wanted = [pseudo_labels(vectors, 5, "kmeans", streamed=streamed) for streamed in (False, True)]
    set_limits(table_bytes=1000)
    for streamed in (False, True):
        found = pseudo_labels(vectors, 5, "kmeans", streamed=streamed)
        assert found.probabilities is None and np.array_equal(found.labels, wanted[streamed].labels)
        assert np.array_equal(found.confidence, wanted[streamed].confidence)


def test_it_tells_how_far_it_is_and_can_be_stopped(vectors, small):
    answer = []
    context = ClusterContext(streamed=True, progress=lambda *seen: answer.append(seen))
    spherical_kmeans(vectors, 5, KMeansConfig(n_rounds=3), context=context)
    done = [seen[0] for seen in answer]
    assert (
        done == sorted(done)
        and done[-1] == 3000
        and {seen[1:] for seen in answer} == {(3000, "images")}
    )
    before = len(answer)

    def stop(done, total, unit=""):
        answer.append(done)
        if done > 1500:
            raise Cancelled("stopped")

    context = ClusterContext(streamed=True, progress=stop)
    with pytest.raises(Cancelled):
        spherical_kmeans(vectors, 5, KMeansConfig(n_rounds=3), context=context)
    assert len(answer) - before < before


def test_half_precision_and_zero_rows_pass(vectors, small, tmp_path):
    rows = np.array(vectors, np.float16)
    rows[7] = 0
    found = pseudo_labels(rows, 5, "kmeans", streamed=True)
    assert contingency.accuracy(found.labels, np.load(tmp_path / "truth.npy")) > 0.97
