"""IVF-PQ neighbours on clustered vectors: recall against all distances, and the same result however
it is cut."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from coreset_engine.core.errors import BadInput
from coreset_engine.embedding.neighbours import ivfpq
from coreset_engine.embedding.neighbours.search import neighbours


@pytest.fixture(scope="module")
def clustered() -> np.ndarray:
    """(6000, 48) float32: 60 clusters, each spread over 12 directions of its own."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(60, 48))
    spread = rng.normal(size=(60, 12, 48)) / 4
    own = rng.integers(60, size=6_000)
    vectors = centres[own] + np.einsum("nk,nkd->nd", rng.normal(size=(6_000, 12)), spread[own])
    return (vectors + 0.05 * rng.normal(size=vectors.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def whole(clustered, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, ivfpq.neighbours_at_scale(
        clustered, 10, folder=folder, sizes=ivfpq.BlockSizes(block=512)
    )


def learnt(folder, other, **plan):
    """What was learnt in `folder` (all that depends on chance), for a search of its own in
    `other`."""
    for name in ("trained.faiss", "basis.npy"):
        shutil.copy(folder / name, other / name)
    (other / "plan.json").write_text(
        json.dumps(json.loads((folder / "plan.json").read_text()) | plan)
    )
    return other


def test_recall_is_high_and_told_truly(clustered, whole):
    whole = whole[1]
    exact = neighbours(clustered, 10, device="cpu")
    found = np.mean(
        [
            np.isin(one, other).mean()
            for one, other in zip(exact.indices, whole.indices, strict=True)
        ]
    )
    assert found >= 0.9 and whole.info["recall"] >= 0.9
    assert (
        abs(found - whole.info["recall"]) < 0.03
        and not whole.info["exact"]
        and whole.info["recall_rows"] == 256
    )
    assert (whole.indices != np.arange(len(clustered))[:, None]).all()
    assert (np.diff(whole.distances, axis=1) >= 0).all()
    same = exact.indices == whole.indices
    assert np.array_equal(exact.distances[same], whole.distances[same])  # the same exact finish


def test_how_the_index_is_cut_and_who_searches_first_changes_nothing(clustered, whole, tmp_path):
    asked, (folder, wanted) = [], whole
    learnt(folder, tmp_path, piece=2500)

    def each(step, numbers, progress):
        for number in numbers[::-1]:
            asked.append((step, number))
            ivfpq.STEPS[step](clustered, tmp_path, number)

    found = ivfpq.neighbours_at_scale(
        clustered, 10, folder=tmp_path, each=each, sizes=ivfpq.BlockSizes(piece=2500, block=512)
    )
    assert [number for step, number in asked if step == "encode"] == [2, 1, 0]
    assert np.array_equal(found.indices, wanted.indices) and np.array_equal(
        found.distances, wanted.distances
    )


def test_a_stopped_search_goes_on_where_it_was(clustered, whole, tmp_path):
    class Stop(Exception):
        pass

    def stop(done, total, unit=""):
        if done > total // 2:
            raise Stop

    folder, wanted = whole
    learnt(folder, tmp_path)
    with pytest.raises(Stop):
        ivfpq.neighbours_at_scale(
            clustered, 10, folder=tmp_path, progress=stop, sizes=ivfpq.BlockSizes(block=512)
        )
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("block-*")}
    found = ivfpq.neighbours_at_scale(
        clustered, 10, folder=tmp_path, sizes=ivfpq.BlockSizes(block=512)
    )
    assert before and all(
        (tmp_path / name).stat().st_mtime_ns == when for name, when in before.items()
    )
    assert np.array_equal(found.indices, wanted.indices)


def test_rows_that_are_no_numbers_are_named(clustered, tmp_path):
    spoilt = clustered[:3000].copy()
    spoilt[1234, 5] = np.nan
    with pytest.raises(BadInput, match="row 1234"):
        ivfpq.neighbours_at_scale(spoilt, 10, folder=tmp_path)


@pytest.mark.parametrize("shape", [(5, 3), (12, 7), (40, 4)])
def test_a_set_smaller_than_a_code_book_is_searched_whole(shape, tmp_path):
    vectors = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    found = ivfpq.neighbours_at_scale(vectors, 10, folder=tmp_path)
    assert np.array_equal(found.indices, neighbours(vectors, 10, device="cpu").indices)
