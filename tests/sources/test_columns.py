"""Columns of an index by pieces: what plain Python says, however the column is cut, and no text a
picture in memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from coreset_engine.sources import arrow_columns
from coreset_engine.sources.open import open_source
from coreset_engine.sources.remote import scan
from coreset_engine.sources.safe_names import safe_name, string_array
from coreset_engine.sources.verdicts import Verdict

TEXTS = ["a", "b", "a", "", "x\\y", "\u202ee", "c\nd", "日本", "b", "a", "é", "é", "", "z"]


@pytest.fixture(params=[1, 3, 100])
def column(request, set_limits):
    """TEXTS in pieces and chunks of 1, 3 and all, an empty chunk among them."""
    set_limits(column_values=request.param)
    parts = [TEXTS[at : at + request.param] for at in range(0, len(TEXTS), request.param)]
    return pa.chunked_array([*parts, []], pa.string())


def test_texts_safe_names_and_arrays_are_those_of_lists(column):
    assert list(arrow_columns.texts(column)) == TEXTS
    assert arrow_columns.safe(column).to_pylist() == [safe_name(text) for text in TEXTS]
    found = arrow_columns.strings(column)
    wanted = string_array(TEXTS)
    assert found.dtype == wanted.dtype and found.tolist() == wanted.tolist()
    assert arrow_columns.codes(pa.chunked_array([["0a", "ff"]]), 32).tolist() == [b"0a", b"ff"]


def test_files_are_written_before_texts(column):
    file = np.arange(len(TEXTS)) % 2
    found = arrow_columns.with_files(["one.tar", "t\nwo.tar"], file, column).to_pylist()
    assert found == [
        f"{('one.tar', safe_name('t' + chr(10) + 'wo.tar'))[i % 2]}:{text}"
        for i, text in enumerate(TEXTS)
    ]


@pytest.mark.parametrize("left_out", [(), (0,), (0, 2), tuple(range(len(TEXTS)))])
def test_repeats_are_the_later_ones_of_those_that_count(column, left_out):
    among = np.ones(len(TEXTS), bool)
    taken = set()
    wanted = []
    among[list(left_out)] = False
    for i, text in enumerate(TEXTS):
        if among[i]:
            wanted += [i] if text in taken else []
            taken.add(text)
    assert arrow_columns.repeats(column, among).tolist() == wanted


def test_equal_marks_of_different_texts_are_no_repeat(monkeypatch):
    monkeypatch.setattr(
        arrow_columns, "hash", lambda text: 7, raising=False
    )  # as if every hash were the same
    column = pa.chunked_array([["a", "b", "a", "c"]])
    assert arrow_columns.repeats(column, np.ones(4, bool)).tolist() == [2]


@pytest.mark.integration
def test_opening_holds_no_python_text_a_picture(tmp_path, monkeypatch, set_limits):
    """Objects that Python itself holds at most (Arrow's are not among them), a picture, while
    20,000 are opened."""
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    set_limits(column_values=500)
    without_pictures = lambda data, options: Verdict(f"{int(data):032d}", "")  # noqa: E731
    monkeypatch.setitem(scan.LOOKS, "full", without_pictures)
    n = 20_000
    pq.write_table(
        pa.table(
            {"image": [str(i).encode() for i in range(n)], "label": [i % 3 for i in range(n)]}
        ),
        tmp_path / "x.parquet",
        row_group_size=500,
    )
    open_source(tmp_path / "x.parquet")  # what is imported and remembered once is not counted
    (tmp_path / "home" / "verified" / "units").rename(tmp_path / "home" / "gone")
    tracemalloc.start()
    try:
        source = open_source(tmp_path / "x.parquet")
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    arrays = sum(
        column.nbytes
        for column in (source.ids, source.labels, source.reader.digest, source.reader.file)
    )
    assert len(source) == n and source.labels.tolist() == [i % 3 for i in range(n)]
    assert (
        held < arrays + 40 * n and peak < arrays + 80 * n
    )  # a text and its place in a list are about 90 bytes each
