"""Arrow types, NumPy dtypes and ranges that people's files really have."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from source_pictures import png

from coreset_engine.core.errors import BadInput
from coreset_engine.sources.open import open_source

BYTES = [png(i) for i in range(4)]
LENGTH = max(map(len, BYTES))


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path_factory.mktemp("home")))


COLUMNS = {
    "binary": pa.array(BYTES, pa.binary()),
    "large": pa.array(BYTES, pa.large_binary()),
    "view": pa.array(BYTES, pa.binary_view()),
    "dictionary": pa.array(BYTES, pa.binary()).dictionary_encode(),
    "fixed": pa.array([one.ljust(LENGTH, b"\0") for one in BYTES], pa.binary(LENGTH)),
    "struct": pa.StructArray.from_arrays([pa.array(BYTES, pa.binary())], ["bytes"]),
    "struct of views": pa.StructArray.from_arrays([pa.array(BYTES, pa.binary_view())], ["bytes"]),
    "struct of large": pa.StructArray.from_arrays([pa.array(BYTES, pa.large_binary())], ["bytes"]),
}
TEXTS = {
    "string": pa.string(),
    "large": pa.large_string(),
    "view": pa.string_view(),
    "dictionary": pa.dictionary(pa.int8(), pa.string()),
}


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("text", TEXTS)
def test_pictures_ids_and_labels_of_every_arrow_type(tmp_path: Path, kind: str, text: str):
    table = pa.table(
        {
            "image": COLUMNS[kind],
            "id": pa.array(list("abcd")).cast(TEXTS[text]),
            "label": pa.array(["x", "y", "x", None]).cast(TEXTS[text]),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    ds = open_source(f"{tmp_path}/t.parquet#id=id")
    assert ds.ids.tolist() == list("abcd") and ds.labels.tolist() == [0, 1, 0, -1]
    assert ds.image(3).size == (12, 10)


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "i4", "u4", "i8"])
def test_whole_number_labels(tmp_path: Path, kind: str):
    labels = pa.array(np.array([10, 2, 2, 10], kind))
    pq.write_table(pa.table({"image": COLUMNS["binary"], "label": labels}), tmp_path / "t.parquet")
    ds = open_source(tmp_path / "t.parquet")
    assert ds.classes == ("2", "10") and ds.labels.tolist() == [1, 0, 0, 1]


def test_several_pictures_a_row_are_named(tmp_path: Path):
    lists = pa.array([[one, one] for one in BYTES], pa.list_(pa.binary()))
    pq.write_table(pa.table({"images": lists}), tmp_path / "only.parquet")
    with pytest.raises(BadInput, match="column 'images' holds list<.*several images per row"):
        open_source(tmp_path / "only.parquet")
    both = pa.table({"images": lists, "image": COLUMNS["binary"]})
    pq.write_table(both, tmp_path / "both.parquet")
    ds = open_source(tmp_path / "both.parquet")
    assert len(ds) == 4 and "column 'images'" in ds.rejected[0].reason


@pytest.mark.parametrize("kind", "f2 f4 f8 >f4 >f8 i1 u1 i2 u2 i4 u4 i8 >i4 ?".split())
def test_vectors_of_every_number_type(tmp_path: Path, kind: str):
    values = np.array([[0, 1], [1, 0], [1, 1]]).astype(kind)
    np.save(tmp_path / "v.npy", values)
    ds = open_source(tmp_path / "v.npy")
    assert ds.vectors.dtype.kind == "f"
    assert np.array_equal(np.asarray(ds.vectors, np.float64), values.astype(np.float64))


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_npy_format(tmp_path: Path, version):
    with open(tmp_path / "v.npy", "wb") as out:
        np.lib.format.write_array(out, np.ones((2, 3), np.float32), version=version)
    assert open_source(tmp_path / "v.npy").vectors.shape == (2, 3)


@pytest.mark.parametrize("largest", [1e30, 1e-30, 1e300, 3e38])
def test_huge_and_tiny_values_are_scaled_and_keep_their_directions(tmp_path: Path, largest: float):
    values = np.array([[1.0, 0.5], [-0.25, 1.0], [0.0, -0.125]]) * largest
    np.save(tmp_path / "v.npy", values if largest != 3e38 else values.astype(np.float32))
    ds = open_source(tmp_path / "v.npy")
    assert np.isfinite(ds.vectors).all() and 0.1 < np.abs(ds.vectors).max() < 10
    assert np.isfinite((ds.vectors.astype(np.float32) ** 2).sum(1)).all()
    found = ds.vectors / ds.vectors[0, 0]
    assert np.allclose(found, values / values[0, 0], rtol=1e-6)
    assert "multiplied by 2^" in ds.notes[0].text


def test_ordinary_values_are_mapped_and_not_touched(tmp_path: Path):
    np.save(tmp_path / "v.npy", np.eye(3, dtype=np.float32) * 1e6)
    ds = open_source(tmp_path / "v.npy")
    assert isinstance(ds.vectors, np.memmap) and ds.notes == ()


def test_pooled_features_with_trailing_ones(tmp_path: Path):
    np.save(tmp_path / "v.npy", np.ones((4, 5, 1, 1), np.float32))
    assert open_source(tmp_path / "v.npy").vectors.shape == (4, 5)


@pytest.mark.parametrize(
    "arrays, words",
    [
        (dict(a=np.eye(2), b=np.eye(2)), "exactly one must be a matrix"),
        (dict(names=np.array(["a"])), "exactly one must be a matrix"),
        (dict(vectors=np.eye(2), ids=np.array(["a"])), "1 ids for 2 rows"),
        (dict(vectors=np.eye(2), ids=np.array(["a", "a"])), "1 of them different"),
    ],
)
def test_archives_of_arrays_that_do_not_fit(tmp_path: Path, arrays, words):
    np.savez(tmp_path / "v.npz", **arrays)
    with pytest.raises(BadInput, match=words):
        open_source(tmp_path / "v.npz")


def test_objects_in_an_archive_are_never_unpickled_and_not_needed(tmp_path: Path):
    extra = np.array([{"a": 1}], dtype=object)
    np.savez(tmp_path / "v.npz", features=np.eye(2), about=extra)
    assert open_source(tmp_path / "v.npz").vectors.shape == (2, 2)


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float32()), pa.list_(pa.float64(), 2), pa.large_list(pa.float16())]
)
def test_vectors_in_parquet(tmp_path: Path, kind):
    rows = [np.array([1, 2]), None, np.array([3, 4])]
    if not pa.types.is_fixed_size_list(kind):
        rows.append(np.array([1]))  # of another length
    values = [
        None if row is None else row.astype(kind.value_type.to_pandas_dtype()) for row in rows
    ]
    table = pa.table({"id": list("abcd")[: len(rows)], "embedding": pa.array(values, kind)})
    pq.write_table(table, tmp_path / "v.parquet")
    ds = open_source(tmp_path / "v.parquet")
    assert ds.ids.tolist() == ["a", "c"] and ds.vectors.tolist() == [[1, 2], [3, 4]]
    assert ds.n_rejected == len(rows) - 2


@pytest.mark.parametrize(
    "labels, expected",
    [
        (np.array([0.0, 10.0, 9.0, np.nan]), ["0", "10", "9", ""]),
        (np.array([True, False, False, True]), ["true", "false", "false", "true"]),
        (np.array([[0], [1], [1], [0]]), ["0", "1", "1", "0"]),
        (np.eye(3)[[2, 0, 2, 1]], ["2", "0", "2", "1"]),
        (np.array([b"cat", b"dog", b"", b"cat"]), ["cat", "dog", "", "cat"]),
    ],
)
def test_classes_of_every_kind_in_an_archive(tmp_path: Path, labels: np.ndarray, expected):
    np.savez(tmp_path / "v.npz", vectors=np.eye(4, dtype=np.float32), y=labels)
    ds = open_source(tmp_path / "v.npz")
    assert [ds.classes[code] if code >= 0 else "" for code in ds.labels] == expected


@pytest.mark.parametrize("labels", [np.array([0.5, 0.1, 0.2, 0.9]), np.ones((4, 3))])
def test_numbers_that_are_no_classes_are_told(tmp_path: Path, labels: np.ndarray):
    np.savez(tmp_path / "v.npz", vectors=np.eye(4, dtype=np.float32), labels=labels)
    ds = open_source(tmp_path / "v.npz")
    assert ds.labels is None
    assert any("'labels' is not one class per row" in note.text for note in ds.notes)


def test_a_second_matrix_is_told(tmp_path: Path):
    np.savez(tmp_path / "v.npz", features=np.eye(4), logits=np.eye(4))
    assert any("not used: 'logits'" in note.text for note in open_source(tmp_path / "v.npz").notes)
    lists = pa.array(np.eye(4).tolist())
    pq.write_table(pa.table({"clip": lists, "dino": lists}), tmp_path / "v.parquet")
    notes = open_source(tmp_path / "v.parquet").notes
    assert any("'clip'; not used: 'dino'" in note.text for note in notes)


VALUES = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[Decimal("1"), Decimal("2")], [3, 4], [5, 6]], pa.list_(pa.decimal128(5, 1))),
        pa.FixedShapeTensorArray.from_numpy_ndarray(np.array(VALUES)),
        pa.array(VALUES, pa.list_(pa.float16(), 2)),
        pa.array([[1, 2], [3, 4], [5, 6]], pa.large_list(pa.int16())),
    ],
    ids=["decimal", "tensor", "fixed float16", "large int16"],
)
def test_vectors_of_every_arrow_list(tmp_path: Path, column):
    pq.write_table(pa.table({"vectors": column}), tmp_path / "v.parquet")
    assert open_source(tmp_path / "v.parquet").vectors.tolist() == VALUES


def test_long_doubles_are_read(tmp_path: Path):
    np.save(tmp_path / "v.npy", np.array(VALUES, np.longdouble))
    assert open_source(tmp_path / "v.npy").vectors.tolist() == VALUES
