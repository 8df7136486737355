"""Names, idx files and vectors: what opens, what is refused, and with which words."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.sources import builtin
from coreset_engine.sources.open import open_source
from coreset_engine.sources.specs import spec_with


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path_factory.mktemp("home")))


def write_idx(folder: Path, split: str = "train", count: int = 6, *, packed: bool = True) -> None:
    stem = {"train": "train", "test": "t10k"}[split]
    pixels = np.random.default_rng(count).integers(0, 256, (count, 28, 28), dtype=np.uint8)
    labels = (np.arange(count) % 10).astype(np.uint8)
    files = {
        f"{stem}-images-idx3-ubyte": struct.pack(">4I", 0x803, count, 28, 28) + pixels.tobytes(),
        f"{stem}-labels-idx1-ubyte": struct.pack(">2I", 0x801, count) + labels.tobytes(),
    }
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(data) if packed else data)


def test_demo_is_the_digits():
    ds = open_source("demo")
    assert (
        len(ds) == 1797
        and ds.classes == tuple("0123456789")
        and np.bincount(ds.labels).tolist()[0] == 178
    )
    assert ds.image(0).mode == "RGB" and ds.image(0).size == (8, 8)
    assert ds.fingerprint == open_source(ds.spec).fingerprint


@pytest.mark.parametrize("packed", [True, False])
def test_idx_folder(tmp_path: Path, packed: bool):
    write_idx(tmp_path, "train", packed=packed)
    write_idx(tmp_path, "test", 4, packed=packed)
    ds = open_source(f"fashion-mnist:{tmp_path}")
    assert (
        len(ds) == 6 and ds.classes[9] == "Ankle boot" and ds.labels.tolist() == [0, 1, 2, 3, 4, 5]
    )
    test = open_source(ds.test_spec)
    assert (
        len(test) == 4
        and test.spec == f"fashion-mnist:test:{tmp_path}"
        and test.fingerprint != ds.fingerprint
    )
    expected = np.random.default_rng(6).integers(0, 256, (6, 28, 28), dtype=np.uint8)
    assert (np.asarray(ds.image(5))[..., 1] == expected[5]).all()


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda data: data[:-5], "declares 4704 bytes but holds only 4699"),
        (lambda data: data + b"more", "holds more"),
        (lambda data: b"\1" + data[1:], "not an idx file"),
        (lambda data: data[:9], "not an idx file"),
        (lambda data: data[:4] + struct.pack(">3I", 2**31, 2**31, 3) + data[16:], "over the limit"),
        (
            lambda data: data[:4] + struct.pack(">3I", 5, 28, 28) + data[16:-784],
            "5 images but 6 labels",
        ),
    ],
)
def test_idx_headers_that_lie(tmp_path: Path, spoil, words):
    write_idx(tmp_path, packed=False)
    file = tmp_path / "train-images-idx3-ubyte"
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(BadInput, match=words):
        open_source(f"fashion-mnist:{tmp_path}")


def test_idx_gzip_that_is_damaged(tmp_path: Path):
    write_idx(tmp_path)
    file = tmp_path / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(BadInput, match="cannot be read as an idx file"):
        open_source(f"fashion-mnist:{tmp_path}")


def test_fashion_absent_is_one_sentence(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(builtin, "DEBIAN", tmp_path / "nowhere")
    with pytest.raises(Missing, match="dataset-fashion-mnist.*fashion-mnist:FOLDER"):
        open_source("fashion-mnist", download=False)
    with pytest.raises(BadInput, match="four idx files"):
        open_source(f"fashion-mnist:{tmp_path}")


@pytest.mark.parametrize(
    "spec, words",
    [
        ("dem0", "did you mean 'demo'"),
        ("", "not a name or path"),
        ("a\0b", "not a name or path"),
        (None, "not a name or path"),
        ("folder:{", "malformed"),
        ('folder:{"path": 3}', "malformed"),
        ('folder:["path"]', "malformed"),
        ('vectors:{"path": "x", "evil": 1}', "malformed"),
        ("x" * 5000, "cannot be opened|neither"),
        ("missing.npy", "is not a file"),
    ],
)
def test_unknown_specs(spec, words):
    with pytest.raises(BadInput, match=words):
        open_source(spec)


def test_unknown_options_and_stray_images(tmp_path: Path):
    with pytest.raises(BadInput, match="has no option 'colour'"):
        open_source("demo", colour=1)
    with pytest.raises(BadInput, match="goes with vectors only"):
        open_source("demo", images=tmp_path)


def save(path: Path, array: np.ndarray) -> Path:
    np.save(path, array)
    return path


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_vectors_alone(tmp_path: Path, dtype):
    path = save(tmp_path / "v.npy", np.arange(12, dtype=dtype).reshape(4, 3))
    ds = open_source(path)
    assert ds.vectors.shape == (4, 3) and ds.ids.tolist()[3] == "row-0000003"
    assert open_source(ds.spec).fingerprint == ds.fingerprint
    with pytest.raises(Missing, match="images=FOLDER"):
        ds.image(0)


@pytest.mark.parametrize(
    "array, words",
    [
        (np.array([[np.inf, 2.0]]), "NaN or infinity in every row"),
        (np.arange(5.0), "must be a matrix"),
        (np.zeros((0, 4)), "it is empty"),
        (np.zeros((2, 2, 2)), "must be a matrix"),
        (np.ones((2, 2), complex), "float16, float32"),
        (np.array([[{}, {}]], dtype=object), "Python objects, which are never unpickled"),
    ],
)
def test_bad_vectors(tmp_path: Path, array, words):
    np.save(tmp_path / "v.npy", array, allow_pickle=True)
    with pytest.raises(BadInput, match=words):
        open_source(tmp_path / "v.npy")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-8],
        lambda data: data.replace(b"(4, 3)", b"(9, 9)"),
        lambda data: b"",
        lambda data: data[:20],
        lambda data: data.replace(b"(4, 3)", b"(-4,3)"),
        lambda data: b"\x80\x04K\x01.",
        lambda data: b"PK\3\4" + data,
        lambda data: data.replace(b"'<f4'", b"'|O8'"),
        lambda data: data.replace(b"(4, 3)", b"(4.,3)"),
    ],
)
def test_npy_files_that_lie(tmp_path: Path, spoil):
    path = save(tmp_path / "v.npy", np.ones((4, 3), np.float32))
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(BadInput, match="cannot be read as a .npy matrix"):
        open_source(path)


def test_fortran_order_and_big_endian_are_understood(tmp_path: Path):
    expected = np.arange(6, dtype=np.float64).reshape(2, 3)
    for array in (np.asfortranarray(expected), expected.astype(">f8")):
        assert np.array_equal(open_source(save(tmp_path / "v.npy", array)).vectors, expected)


def test_vectors_with_images_and_ids(tmp_path: Path):
    folder = tmp_path / "in"
    for name in ("a/1.png", "a/2.png", "b/3.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (int(name[2]) + 3, 4)).save(folder / name)
    path = save(tmp_path / "v.npy", np.eye(3, dtype=np.float32))
    ds = open_source(path, images=folder)
    assert ds.ids.tolist() == ["a/1.png", "a/2.png", "b/3.png"] and ds.labels.tolist() == [0, 0, 1]
    assert ds.image(2).size == (6, 4) and open_source(ds.spec).fingerprint == ds.fingerprint
    (tmp_path / "names.txt").write_text("b/3.png\na/1.png\n")
    pair = save(tmp_path / "w.npy", np.ones((2, 4), np.float32))
    ds = open_source(pair, images=folder, ids=tmp_path / "names.txt")
    assert (
        ds.ids.tolist() == ["b/3.png", "a/1.png"]
        and ds.image(0).size == (6, 4)
        and ds.labels.tolist() == [1, 0]
    )
    with pytest.raises(BadInput, match="2 rows but the folder has 3 usable images"):
        open_source(pair, images=folder)
    (tmp_path / "names.txt").write_text("b/3.png\nx.png\n")
    ds = open_source(pair, images=folder, ids=tmp_path / "names.txt")
    assert ds.ids.tolist() == ["b/3.png"] and ds.vectors.shape == (1, 4)
    assert ("x.png", "names no usable image, or several") in [
        (one.name, one.reason) for one in ds.rejected
    ]
    (tmp_path / "names.txt").write_text("x.png\ny.png\n")
    with pytest.raises(BadInput, match="no id of .* names a usable image"):
        open_source(pair, images=folder, ids=tmp_path / "names.txt")
    (tmp_path / "names.txt").write_text("same\nsame\n")
    with pytest.raises(BadInput, match="2 lines, 1 of them different"):
        open_source(pair, ids=tmp_path / "names.txt")


@pytest.mark.parametrize("folder", ["s3://bucket/videos", "gs://bucket/a", "data.tar", "x.parquet"])
@pytest.mark.parametrize("option, value", [("fps", 2), ("patches", "boxes.json")])
def test_frames_and_objects_of_other_places_are_refused_with_the_way_on(folder, option, value):
    message = f"{option}={value!r} does not apply to .*local folder.*--{option} {value}"
    with pytest.raises(BadInput, match=message):
        spec_with(folder, {option: value})
    with pytest.raises(BadInput, match=message):
        open_source(folder, **{option: value})
    if "://" in folder:
        with pytest.raises(BadInput, match=f"{option}=.* does not apply to .*local folder"):
            open_source(f"{folder}#{option}={value}")
