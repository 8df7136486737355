"""selection.parquet is written a row group at a time, so that the texts of millions of ids are
never all in memory."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pyarrow.parquet as pq

from coreset_engine.artifacts import selection_folder
from coreset_engine.core.ids import RowIds
from coreset_engine.core.types import Dataset, Selection

N = 1000


def written(folder, paths=None, **columns):
    data = Dataset("x", RowIds(N), "f", paths=paths)
    at = np.arange(990, 0, -7)
    chosen = Selection(
        data.ids[at], at, np.linspace(0, 1, len(at)), np.arange(N) / 3, "random", {}, "f"
    )
    return chosen, selection_folder.write_selection(folder, data, chosen, columns, {})


def test_row_groups_hold_what_one_table_holds(tmp_path, set_limits):
    columns = dict(
        aum=np.arange(N, dtype=np.float32),
        name=np.array([f"é{i}" for i in range(N)]),
        forgetting=np.where(np.arange(N) % 9, 1.5, np.inf),
    )
    paths = np.array([f"/a/{i}.png" for i in range(N)])
    _, full = written(tmp_path / "whole", paths, **columns)
    set_limits(selection_rows=64)
    chosen, parts = written(tmp_path / "parts", paths, **columns)
    assert pq.ParquetFile(parts / "selection.parquet").metadata.num_row_groups == 16
    assert pq.ParquetFile(full / "selection.parquet").metadata.num_row_groups == 1
    (one, answer), (other, same) = map(selection_folder.read_selection, (full, parts))
    assert one.equals(other) and answer == same
    assert list(one.columns) == ["id", "path", "selected", "rank", "score", *columns, "weight"]
    assert one["id"].tolist() == RowIds(N).tolist() and one["path"].tolist() == paths.tolist()
    assert one["aum"].dtype == np.float32 and one["name"][5] == "é5"
    assert (parts / "ids.txt").read_text().split() == chosen.ids.tolist()


def test_a_source_without_paths_has_an_empty_column_in_every_group(tmp_path, set_limits):
    set_limits(selection_rows=300)
    _, folder = written(tmp_path / "s")
    table, _ = selection_folder.read_selection(folder)
    assert table["path"].isna().all() and table["selected"].sum() == 142


def test_the_digest_of_ids_does_not_depend_on_parts(set_limits):
    ids = ["a", "b\n", "é", '"'] * 5
    plain = hashlib.sha256("\n".join(json.dumps(key) for key in ids).encode()).hexdigest()
    for rows in (1, 3, 20, 100):
        set_limits(selection_rows=rows)
        assert selection_folder.ids_digest(ids) == selection_folder.ids_digest(iter(ids)) == plain
    assert selection_folder.ids_digest([]) == hashlib.sha256(b"").hexdigest()


def test_ids_that_share_a_number_are_compared(monkeypatch, set_limits):
    import pandas.util as pandas_util
    import pyarrow as pa
    import pytest

    set_limits(selection_rows=3)
    monkeypatch.setattr(
        pandas_util,
        "hash_array",
        lambda part, categorize: np.array([len(name) for name in part], np.uint64),
    )
    selection_folder._check_ids(pa.chunked_array([["a", "b", "cc"], ["dd", "eee"]]))
    with pytest.raises(ValueError, match="twice"):
        selection_folder._check_ids(pa.chunked_array([["a", "b", "cc", "dd"], ["eee", "cc"]]))
    for wrong in (pa.array([1, 2]), pa.array(["a", None]), pa.array([b"a"])):
        with pytest.raises(ValueError, match="does not hold text"):
            selection_folder._check_ids(wrong)
