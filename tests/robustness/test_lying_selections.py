"""Untrusted selection folders: tables and manifests with wrong shapes, types or lengths."""

from __future__ import annotations

import json
import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from robustness.seeds import small_selection

from coreset_engine.artifacts import selection_folder
from coreset_engine.artifacts.selection_folder import read_selection, write_selection
from coreset_engine.core.errors import BadInput, CoresetError
from coreset_engine.pipeline.manifest import verify


@pytest.fixture
def place(tmp_path):
    return write_selection(tmp_path / "sel", *small_selection(), {"aum": np.arange(4.0)}, {})


def table_of(folder):
    return pd.read_parquet(folder / "selection.parquet")


def test_a_good_one_is_read(place):
    table, manifest = read_selection(place)
    assert list(table["id"]) == ["a", "b/ü.png", "c\nd", "e"] and manifest["k"] == 2


LIES = {
    "no id": lambda t: t.drop(columns="id"),
    "no rank": lambda t: t.drop(columns="rank"),
    "no weight": lambda t: t.drop(columns="weight"),
    "id numbers": lambda t: t.assign(id=range(4)),
    "id lists": lambda t: t.assign(id=[["a"], ["b"], ["c"], ["d"]]),
    "id null": lambda t: t.assign(id=["a", None, "c", "d"]),
    "id bytes": lambda t: t.assign(id=[b"a", b"b", b"c", b"d"]),
    "id twice": lambda t: t.assign(id=["a", "a", "c", "e"]),
    "selected text": lambda t: t.assign(selected=["yes"] * 4),
    "selected null": lambda t: t.assign(selected=[True, None, True, False]),
    "selected numbers": lambda t: t.assign(selected=[1, 0, 1, 0]),
    "rank twice": lambda t: t.assign(rank=[0, -1, 0, -1]),
    "rank beyond": lambda t: t.assign(rank=[1, -1, 7, -1]),
    "rank of dropped": lambda t: t.assign(rank=[1, 2, 0, -1]),
    "rank text": lambda t: t.assign(rank=["1"] * 4),
    "rank float": lambda t: t.assign(rank=[1.0, np.nan, 0.0, np.nan]),
    "weight nan": lambda t: t.assign(weight=[np.nan] * 4),
    "weight negative": lambda t: t.assign(weight=-1.0),
    "weight infinite": lambda t: t.assign(weight=np.inf),
    "score text": lambda t: t.assign(score="x"),
    "more chosen": lambda t: t.assign(selected=True, rank=range(4)),
    "fewer rows": lambda t: t.iloc[:2],
    "other order": lambda t: t.assign(rank=[0, -1, 1, -1]),
    "no rows": lambda t: t.iloc[:0],
}


@pytest.mark.parametrize("lie", LIES)
def test_a_table_that_lies_is_a_sentence(place, lie):
    LIES[lie](table_of(place)).to_parquet(place / "selection.parquet", index=False)
    with pytest.raises(BadInput, match="not a selection folder|was changed"):
        read_selection(place)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "3", '"x"', "{}", '{"ids_sha256": 3}', "[" * 100_000]
)
def test_a_manifest_that_lies_is_a_sentence(place, text):
    (place / "manifest.json").write_text(text)
    with pytest.raises(BadInput):
        read_selection(place)


def test_a_table_that_would_fill_the_memory_is_not_read(place, set_limits):
    column = pa.array(np.zeros(2_000_000))
    columns = {name: column for name in selection_folder.COLUMNS}
    pq.write_table(pa.table(columns), place / "selection.parquet", compression="zstd")
    assert os.path.getsize(place / "selection.parquet") < 100_000
    set_limits(selection_bytes=1000)
    with pytest.raises(BadInput, match="GB of memory"):
        read_selection(place)


@pytest.mark.parametrize("what", ["fifo", "folder", "loop", "gone"])
@pytest.mark.parametrize("name", ["selection.parquet", "manifest.json"])
def test_what_is_no_file_is_a_sentence(place, what, name):
    path = place / name
    path.unlink()
    {
        "fifo": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "loop": lambda: path.symlink_to(path),
        "gone": lambda: None,
    }[what]()
    with pytest.raises(BadInput):
        read_selection(place)
    if name == "manifest.json":
        with pytest.raises(BadInput):
            verify(path)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_a_spoilt_parquet_never_breaks_out(place, data):
    """Bytes changed, cut or put in anywhere: the folder is read, or refused with a sentence."""
    path = place / "selection.parquet"
    full = (
        path.with_name("whole").read_bytes()
        if path.with_name("whole").exists()
        else path.read_bytes()
    )
    path.with_name("whole").write_bytes(full)
    spoilt = bytearray(full)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(spoilt) - 1)) if spoilt else 0
        kind = data.draw(st.sampled_from(("set", "cut", "add")))
        if kind == "set" and spoilt:
            spoilt[at] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            del spoilt[at : at + data.draw(st.integers(1, 200))]
        else:
            spoilt[at:at] = data.draw(st.binary(max_size=20))
    path.write_bytes(spoilt)
    try:
        table, _ = read_selection(place)
        assert table["selected"].sum() == 2, "what is read still hashes to its manifest"
    except CoresetError as error:
        assert isinstance(error, BadInput)


def test_verify_of_a_folder_of_lies_is_a_sentence(place):
    (place / "manifest.json").write_text(
        json.dumps({"source": "demo", "params": {"prune_rate": 0.5}})
    )
    with pytest.raises(BadInput, match="not a manifest"):
        verify(place)
