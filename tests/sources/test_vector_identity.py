"""Vectors are joined to images by proof, files that changed are noticed, bad rows skipped."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from source_pictures import folder, png

from coreset_engine.core.errors import BadInput
from coreset_engine.sources.open import open_source
from coreset_engine.sources.rebind import rebind
from coreset_engine.sources.specs import refuse_inside, spec_with
from coreset_engine.sources.vectors import natural_key


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path_factory.mktemp("home")))


NAMES = [f"img_{i}.png" for i in range(1, 13)]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return folder(tmp_path / "images", NAMES)


def matrix() -> np.ndarray:
    return np.arange(24, dtype=np.float32).reshape(12, 2)


def assert_paired(ds, names: list[str] = NAMES) -> None:
    """Row i of `matrix` belongs to names[i]."""
    expected = {name: row for name, row in zip(names, matrix(), strict=True)}
    for name, vector in zip(ds.ids.tolist(), ds.vectors, strict=True):
        assert np.array_equal(vector, expected[name])


def test_order_alone_asks_for_confirmation_where_orders_differ(images: Path, tmp_path: Path):
    np.save(tmp_path / "v.npy", matrix())
    ds = open_source(tmp_path / "v.npy", images=images)
    assert_paired(ds)
    note = next(note for note in ds.notes if note.topic == "order")
    assert note.confirm and "img_2.png (natural) or img_10.png (lexical)" in note.examples[0]
    lexical = open_source(tmp_path / "v.npy", images=images, order="lexical")
    assert_paired(lexical, sorted(NAMES))
    assert not any(note.confirm for note in lexical.notes)
    assert lexical.fingerprint != ds.fingerprint
    assert_paired(open_source(lexical.spec), sorted(NAMES))


def test_natural_order():
    names = ["b2", "a10", "a2", "a1b3", "a1b12", "A", "10", "9"]
    expected = ["9", "10", "A", "a1b3", "a1b12", "a2", "a10", "b2"]
    assert sorted(names, key=natural_key) == expected


@pytest.mark.parametrize("way", ["npz", "parquet", "ids.txt", "csv", "npy ids", "absolute"])
def test_ids_join_whatever_the_order(images: Path, tmp_path: Path, way: str):
    order = np.random.default_rng(0).permutation(12)
    names = [NAMES[i] for i in order]
    values = matrix()[order]
    options = {}
    path = tmp_path / "v.npy"
    np.save(path, values)
    if way == "npz":
        path = tmp_path / "v.npz"
        np.savez(path, embeddings=values, filenames=np.array(names))
    elif way == "parquet":
        path = tmp_path / "v.parquet"
        table = {"id": names, "embedding": pa.array(list(values), pa.list_(pa.float32(), 2))}
        pq.write_table(pa.table(table), path)
    elif way == "ids.txt":
        (tmp_path / "ids.txt").write_text("\n".join(names) + "\n")  # beside the vectors
    elif way == "csv":
        (tmp_path / "t.csv").write_text("nr;file\n" + "".join(f"7;{name}\n" for name in names))
        options["ids"] = f"{tmp_path / 't.csv'}#file"
    elif way == "npy ids":
        np.save(tmp_path / "names.npy", np.array(names))
        options["ids"] = str(tmp_path / "names.npy")
    else:
        (tmp_path / "n.txt").write_text("\r\n".join(f"/old/images/{name}" for name in names))
        options["ids"] = str(tmp_path / "n.txt")
    ds = open_source(spec_with(str(path), {"images": str(images), **options}))
    assert len(ds) == 12
    assert_paired(ds)
    assert_paired(open_source(ds.spec))


def test_one_bad_row_or_missing_partner_refuses_nothing(images: Path, tmp_path: Path):
    values = matrix()
    values[3] = np.nan
    np.savez(tmp_path / "v.npz", vectors=values, ids=np.array([*NAMES[:11], "gone.png"]))
    ds = open_source(tmp_path / "v.npz", images=images)
    assert len(ds) == 10 and "img_4.png" not in ds.ids.tolist()
    why = {one.name: one.reason for one in ds.rejected}
    assert "NaN" in why["img_4.png"] and "no usable image" in why["gone.png"]
    assert why["img_12.png"] == "has no vector"
    alone = open_source(spec_with(str(tmp_path / "v.npz"), {}))
    assert len(alone) == 11 and np.isfinite(alone.vectors).all()


def test_a_row_with_nan_in_order_keeps_the_others_with_their_images(images: Path, tmp_path: Path):
    values = matrix()
    values[0, 1] = np.inf
    np.save(tmp_path / "v.npy", values)
    ds = open_source(tmp_path / "v.npy", images=images, order="natural")
    assert len(ds) == 11 and ds.ids[0] == "img_2.png"
    assert_paired(ds)


def test_a_file_that_changed_under_the_same_size_and_time_is_noticed(images: Path):
    before = open_source(images)
    path = images / "img_5.png"
    about = path.stat()
    data = bytearray(path.read_bytes())
    other = bytearray(png(99))
    assert len(other) == len(data) or data != other
    path.write_bytes(bytes(other[: len(data)]) + bytes(max(0, len(data) - len(other))))
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert path.stat().st_size == about.st_size
    with pytest.raises(BadInput, match="img_5.png.*holds other bytes.*open the source again"):
        before.image(before.ids.tolist().index("img_5.png"))
    after = open_source(images)
    assert after.fingerprint != before.fingerprint


def test_a_moved_source_is_bound_again_after_checking(images: Path, tmp_path: Path):
    ds = open_source(images, labels="none")
    moved = tmp_path / "new disk [2]"
    images.rename(moved)
    found = rebind(ds.spec, moved, ds.fingerprint, ids=ds.ids)
    assert found.fingerprint == ds.fingerprint and found.labels is None
    (moved / "img_3.png").unlink()
    with pytest.raises(BadInput, match="1 of 12 ids are missing there .for example 'img_3.png'"):
        rebind(ds.spec, moved, ds.fingerprint, ids=ds.ids)
    with pytest.raises(BadInput, match="is not a folder that could have moved"):
        rebind("demo", moved, "x")


@pytest.mark.parametrize("name", ["a b", "a[1]", "what?", "x#id=y", "star*", "~tilde", "日本"])
def test_paths_are_what_was_written(tmp_path: Path, name: str, monkeypatch):
    root = folder(tmp_path / name, ["c/1.png", "d/2.png"])
    ds = open_source(str(root))
    assert len(ds) == 2 and open_source(ds.spec).fingerprint == ds.fingerprint
    pq.write_table(pa.table({"image": [png(1)]}), root / "p.parquet")
    assert len(open_source(str(root / "p.parquet"))) == 1
    np.save(root / "v.npy", matrix()[:2])
    assert len(open_source(str(root / "v.npy"), images=root)) == 2
    assert len(open_source(spec_with(str(root), {"fit": "pad"}))) == 2


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder(tmp_path / "set", ["1.png"])
    np.save(tmp_path / "v.npy", matrix()[:1])
    assert len(open_source("~/set")) == 1
    assert len(open_source("~/v.npy", images="~/set")) == 1
    assert len(open_source(spec_with("~/set", {"labels": "none"}))) == 1


@pytest.mark.parametrize("where", ["", "out", "a/b"])
def test_writing_into_the_source_is_refused(images: Path, where: str):
    with pytest.raises(BadInput, match="lies inside the source"):
        refuse_inside(str(images), images / where)
    refuse_inside(str(images), images.parent / "images-out")
    refuse_inside("demo", images)


def test_samples_without_a_vector_are_set_aside_one_by_one():
    """What FiftyOne hands over: a vector a sample, None, NaN, another length, or no numbers."""
    from coreset_engine.sources.fiftyone import _stacked

    rows = [np.ones(3), None, [1, 2, np.nan], [1, 2], "text", [4, 5, 6]]
    vectors, reasons = _stacked("emb", rows)
    assert vectors[[0, 5]].tolist() == [[1, 1, 1], [4, 5, 6]]
    assert [bool(reason) for reason in reasons] == [False, True, True, True, True, False]
    assert "has a vector of 2 numbers in 'emb', the others have 3" == reasons[3]
    with pytest.raises(BadInput, match="holds no vector for any of 2 samples"):
        _stacked("emb", [None, None])


def test_classes_in_files_of_vectors_are_labels(tmp_path: Path):
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.savez(tmp_path / "own.npz", embeddings=rows, y=np.array([10, 9, 10, 2]))
    ds = open_source(tmp_path / "own.npz")
    assert [ds.classes[code] for code in ds.labels] == ["10", "9", "10", "2"]
    assert ds.classes == ("2", "9", "10") and "own.npz" in ds.notes[0].text
    vectors = pa.array(rows.tolist(), pa.list_(pa.float32()))
    table = pa.table({"vector": vectors, "label": ["b", None, "a", "b"]})
    pq.write_table(table, tmp_path / "own.parquet")
    ds = open_source(tmp_path / "own.parquet")
    assert ds.classes == ("a", "b") and ds.labels.tolist() == [1, -1, 0, 1]
    assert open_source(tmp_path / "own.parquet", labels="none").labels is None


SHUFFLED = [3, 1, 12, 2, 5, 4, 6, 11, 10, 9, 8, 7]


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.float64])
def test_numbers_in_an_archive_are_ids(images: Path, tmp_path: Path, kind):
    """Image img_3 is row 0 because the file says 3, not img_1 because it comes first."""
    numbered = folder(tmp_path / "numbered", [f"{number}.png" for number in SHUFFLED])
    ids = np.array(SHUFFLED, kind)
    np.savez(tmp_path / "v.npz", vectors=matrix(), ids=ids)
    ds = open_source(tmp_path / "v.npz", images=numbered)
    assert_paired(ds, [f"{number}.png" for number in SHUFFLED])


def test_ids_that_would_have_to_be_unpickled_are_not_replaced_by_the_order(images, tmp_path: Path):
    names = np.array(NAMES, object)
    np.savez(tmp_path / "v.npz", vectors=matrix(), filenames=names)
    with pytest.raises(BadInput, match="'filenames' as Python objects.*astype.str.*--order"):
        open_source(tmp_path / "v.npz", images=images)
    assert_paired(open_source(tmp_path / "v.npz", images=images, order="natural"))
    assert len(open_source(tmp_path / "v.npz")) == 12  # without images no order is needed


@pytest.mark.parametrize(
    "name, text",
    [
        ("ids.json", '["' + '", "'.join(reversed(NAMES)) + '"]'),
        ("ids.txt", "\r".join(reversed(NAMES)) + "\r\r"),
        ("ids.lst", "\r\n".join(reversed(NAMES)) + "\r\n\r\n\r\n"),
        ("ids.csv", "\ufefffile;n\r\n" + "".join(f"{one};1\r\n" for one in reversed(NAMES))),
    ],
)
def test_lists_of_ids_of_every_kind(images: Path, tmp_path: Path, name: str, text: str):
    np.save(tmp_path / "v.npy", matrix())
    (tmp_path / name).write_bytes(text.encode())
    ds = open_source(tmp_path / "v.npy", images=images, ids=str(tmp_path / name))
    assert_paired(ds, NAMES[::-1])


def test_a_repeated_or_absent_id_costs_its_own_row(images: Path, tmp_path: Path):
    ids = [*NAMES[:10], NAMES[0], None]
    vectors = pa.array(matrix().tolist(), pa.list_(pa.float32()))
    pq.write_table(pa.table({"id": ids, "vectors": vectors}), tmp_path / "v.parquet")
    alone = open_source(tmp_path / "v.parquet")
    assert alone.ids.tolist() == NAMES[:10]
    assert [one.reason for one in alone.rejected] == ["has the id of an earlier row", "has no id"]
    joined = open_source(tmp_path / "v.parquet", images=images)
    assert_paired(joined)
    assert len(joined) == 10


FILES = ["b.png", "a.png", "d.png", "c.png"]


@pytest.fixture
def source(tmp_path):
    """Four images, and vectors whose first value is the row."""
    folder(tmp_path / "images", FILES)
    rng = np.random.default_rng(0)
    return tmp_path / "images", np.column_stack([np.arange(4), rng.normal(size=(4, 3))])


def rows_of(path, images):
    dataset = open_source(str(path), images=str(images))
    return {str(key): int(row) for key, row in zip(dataset.ids, dataset.vectors[:, 0])}


RIGHT = {name: row for row, name in enumerate(FILES)}


def test_an_index_of_names_that_pandas_wrote_joins(source, tmp_path):
    images, matrix = source
    pd.DataFrame({"embedding": list(matrix)}, index=FILES).to_parquet(tmp_path / "v.parquet")
    assert rows_of(tmp_path / "v.parquet", images) == RIGHT


def test_a_column_for_every_number_is_a_vector(source, tmp_path):
    images, matrix = source
    wide = pd.DataFrame(matrix, columns=[f"f{i}" for i in range(4)]).assign(file=FILES)
    wide.to_parquet(tmp_path / "v.parquet")
    assert rows_of(tmp_path / "v.parquet", images) == RIGHT


def test_an_archive_of_one_vector_an_image_joins(source, tmp_path):
    images, matrix = source
    np.savez(tmp_path / "v.npz", **dict(zip(FILES, matrix)))
    assert rows_of(tmp_path / "v.npz", images) == RIGHT


@pytest.mark.parametrize("name", ["ids.txt", "filenames.txt", "filenames.json", "v_ids.csv"])
def test_names_beside_the_vectors_join(source, tmp_path, name):
    images, matrix = source
    np.save(tmp_path / "v.npy", matrix)
    beside = tmp_path / name
    beside.write_text(json.dumps(FILES) if name.endswith("json") else "\n".join(FILES))
    if name.endswith("csv"):
        beside.write_text("\n".join(["id", *FILES]))
    assert rows_of(tmp_path / "v.npy", images) == RIGHT


def test_an_ids_txt_of_another_length_is_refused(source, tmp_path):
    images, matrix = source
    np.save(tmp_path / "v.npy", matrix)
    (tmp_path / "ids.txt").write_text("\n".join(FILES[:2]))
    with pytest.raises(BadInput, match="it needs 4"):
        rows_of(tmp_path / "v.npy", images)


def test_ids_that_are_numbers_find_files_with_zeros(tmp_path):
    folder(tmp_path / "images", [f"000{i}.png" for i in range(4)])
    np.savez(tmp_path / "v.npz", x=np.arange(8.0).reshape(4, 2), ids=np.array([3, 1, 2, 0]))
    dataset = open_source(str(tmp_path / "v.npz"), images=str(tmp_path / "images"))
    assert list(dataset.ids) == ["0003.png", "0001.png", "0002.png", "0000.png"]


def test_the_order_of_torchvision_is_told_apart(tmp_path):
    """ImageFolder lists folder by folder: cat/1 before cat fish/1, which texts sort after."""
    folder(tmp_path / "images", ["cat/1.png", "cat fish/1.png"])
    np.save(tmp_path / "v.npy", np.array([[0.0, 1.0], [1.0, 0.0]]))
    images = str(tmp_path / "images")
    dataset = open_source(str(tmp_path / "v.npy"), images=images)
    note = next(note for note in dataset.notes if note.topic == "order")
    assert note.confirm and "order=natural|folders" in note.text
    chosen = open_source(str(tmp_path / "v.npy"), images=images, order="folders")
    assert list(chosen.ids) == ["cat/1.png", "cat fish/1.png"]
    assert chosen.fingerprint != dataset.fingerprint


def test_vectors_of_zeros_are_told(tmp_path):
    np.save(tmp_path / "v.npy", np.array([[0.0, 1.0], [0.0, 0.0]]))
    notes = open_source(str(tmp_path / "v.npy")).notes
    assert any("all zeros" in note.text and note.examples == ("row 1",) for note in notes)
