"""Names that follow from the row: the same as a list of them, without the list; places of a few ids
among many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreset_engine.core.ids import RowIds, positions_of
from coreset_engine.selection.keyed_random import image_keys
from coreset_engine.sources.open import open_source


def plain(n: int) -> np.ndarray:
    return np.array([f"row-{i:07d}" for i in range(n)])


@given(st.lists(st.integers(0, 123_456_788), max_size=30))
def test_any_rows_have_the_names_that_a_format_gives(rows):
    assert RowIds(123_456_789)[np.array(rows, int)].tolist() == [f"row-{i:07d}" for i in rows]


def test_it_answers_like_the_array_it_stands_for(monkeypatch):
    own = RowIds(500)
    listed = plain(500)
    mask = np.arange(500) % 7 == 0
    for at in (
        3,
        -1,
        slice(5, 90),
        slice(None, None, 3),
        slice(400, 2, -5),
        [1, 5, -2],
        mask,
        np.empty(0, int),
    ):
        assert np.array_equal(own[at], listed[at])
    assert (
        np.array_equal(own, listed)
        and own.tolist() == listed.tolist()
        and list(own) == list(listed)
    )
    assert np.array_equal(own == "row-0000041", listed == "row-0000041") and not (own == "41").any()
    assert own.astype(object).dtype == object and own.shape == (500,) and own.dtype == listed.dtype
    with pytest.raises(IndexError):
        own[500]
    with pytest.raises(IndexError):
        own[[0, 500]]


def test_lines_are_the_joined_names(set_limits):
    set_limits(ids_per_chunk=64)
    set_limits(row_name_digits=2)  # so that names grow longer within a chunk
    own = RowIds(1234)
    assert (
        b"".join(own.lines()).decode().split("\n")
        == [f"row-{i:02d}" for i in range(1234)]
        == own.tolist()
    )


@pytest.mark.parametrize("kind", [np.str_, object, RowIds])
def test_places_of_ids(set_limits, kind):
    set_limits(ids_per_chunk=64)
    known = RowIds(300) if kind is RowIds else plain(300).astype(kind)
    wanted = [
        "row-0000299",
        "row-300",
        "row-0000300",
        "row-0000000",
        "",
        "row-0000064",
        "row-00000064",
    ]
    assert positions_of(known, wanted).tolist() == [299, -1, -1, 0, -1, 64, -1]
    assert positions_of(known, []).shape == (0,)


def test_a_large_matrix_opens_with_the_same_ids_and_fingerprint(tmp_path, set_limits):
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(700, 3)).astype(np.float16))
    small = open_source(str(tmp_path / "v.npy"))
    set_limits(lazy_names_above=600)
    large = open_source(str(tmp_path / "v.npy"))
    assert isinstance(large.ids, RowIds) and large.fingerprint == small.fingerprint
    assert np.array_equal(large.ids, small.ids)
    assert np.array_equal(image_keys(large.ids, 3), image_keys(small.ids, 3))


def test_keys_of_ids_do_not_depend_on_chunks(set_limits):
    names = np.array([f"{'x' * (i % 17)}{i}" for i in range(500)])
    full = image_keys(names, 5)
    set_limits(ids_per_chunk=37)
    assert np.array_equal(image_keys(names, 5), full)
