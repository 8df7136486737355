"""Tars, Parquet files and URLs as sources: the ids, labels, refusals and pixels of a folder, read a
slice at a time."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from coreset_engine.core.errors import BadInput
from coreset_engine.sources.open import open_source
from coreset_engine.sources.remote import parquet, storage


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    fs = fsspec.filesystem("memory")
    yield
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]


def picture(seed: int, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (10, 12, 3), dtype=np.uint8)).save(
        out, kind
    )
    return out.getvalue()


def tar(path: Path, members: list[tuple[str, bytes]]) -> None:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as out:
        for name, data in members:
            about = tarfile.TarInfo(name)
            about.size = len(data)
            out.addfile(about, io.BytesIO(data))


def hf_table(count: int, start: int = 0) -> pa.Table:
    answer = {"info": {"features": {"label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}}}
    schema = pa.schema(
        [
            ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            ("label", pa.int64()),
            ("name", pa.string()),
        ],
        metadata={"huggingface": json.dumps(answer)},
    )
    return pa.table(
        {
            "image": [dict(bytes=picture(start + i), path="/etc/passwd") for i in range(count)],
            "label": [(start + i) % 2 for i in range(count)],
            "name": [f"n{start + i}" for i in range(count)],
        },
        schema=schema,
    )


def reasons(dataset) -> dict[str, str]:
    return {one.name: one.reason for one in dataset.rejected}


def pixels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (10, 12, 3), dtype=np.uint8)


def test_tars_give_keys_labels_and_pixels(tmp_path: Path):
    for part in range(2):
        tar(
            tmp_path / "t" / f"{part}.tar",
            [
                entry
                for i in range(3)
                for entry in (
                    (f"k{part}{i}.png", picture(3 * part + i)),
                    (f"k{part}{i}.cls", str(i % 2).encode()),
                    (f"k{part}{i}.json", b'{"label": "other"}'),
                )
            ],
        )
    dataset = open_source(tmp_path / "t" / "*.tar")
    assert dataset.ids.tolist() == ["k00", "k01", "k02", "k10", "k11", "k12"]
    assert dataset.classes == ("0", "1") and dataset.labels.tolist() == [0, 1, 0, 0, 1, 0]
    assert all((np.asarray(dataset.image(i)) == pixels(i)).all() for i in range(6))
    assert all(
        (np.asarray(image) == pixels(1 + i)).all() for i, image in enumerate(dataset.images(1, 5))
    )
    again = open_source(dataset.spec)
    assert again.fingerprint == dataset.fingerprint and again.spec == dataset.spec
    assert (
        open_source(tmp_path / "t").fingerprint == dataset.fingerprint
    )  # the folder that holds nothing but tars


def test_tars_that_share_keys_write_their_name_into_ids(tmp_path: Path):
    for part in "ab":
        tar(tmp_path / f"{part}.tar", [("0.jpg", picture(0, "JPEG")), ("0.png", picture(1))])
    dataset = open_source(tmp_path / "*.tar")
    assert dataset.ids.tolist() == ["a.tar:0", "b.tar:0"] and dataset.labels is None
    assert set(reasons(dataset).values()) == {"repeats a key"}


def test_a_hostile_tar_is_set_aside_member_by_member(tmp_path: Path):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as out:
        for name, data in (
            ("good.png", picture(0)),
            ("../../up.png", picture(1)),
            ("bad.png", b"no picture"),
            ("none.png", b""),
        ):
            about = tarfile.TarInfo(name)
            about.size = len(data)
            out.addfile(about, io.BytesIO(data))
        link = tarfile.TarInfo("link.png")
        link.type = tarfile.SYMTYPE
        link.linkname = "/etc/passwd"
        out.addfile(link)
    dataset = open_source(path)
    assert dataset.ids.tolist() == ["good", "../../up"]  # a name, nothing is written under it
    why = reasons(dataset)
    assert "not an image" in why["bad"] and "0 bytes" in why["none"] and "link" in why["link.png"]
    assert not (tmp_path.parent.parent / "up.png").exists() and sorted(
        p.name for p in tmp_path.iterdir()
    ) == ["home", "x.tar"]


@pytest.mark.parametrize("damage", ["cut", "header", "packed", "long"])
def test_a_damaged_tar_keeps_what_came_before(tmp_path: Path, damage: str):
    path = tmp_path / "x.tar"
    tar(path, [(f"{i}.png", picture(i)) for i in range(4)])
    data = bytearray(path.read_bytes())
    with tarfile.open(path) as found:
        third = found.getmembers()[2]
    if damage == "cut":
        data = data[: third.offset_data + 10]
    elif damage == "header":
        data[third.offset : third.offset + 300] = b"\xff" * 300
    elif damage == "long":  # an extended header that claims most of 8 GB
        long = tarfile.TarInfo("x")
        long.type = tarfile.GNUTYPE_LONGNAME
        long.size = 2**32
        data[third.offset : third.offset + 512] = long.tobuf(tarfile.GNU_FORMAT)
    path.write_bytes(b"\x1f\x8b" + bytes(data) if damage == "packed" else bytes(data))
    if damage == "packed":
        with pytest.raises(BadInput, match="compressed tar"):
            open_source(path)
        return
    dataset = open_source(path)
    assert dataset.ids.tolist() == ["0", "1"] and "not read" in reasons(dataset)["x.tar"]


def test_parquet_of_hugging_face_and_of_plain_bytes(tmp_path: Path):
    pq.write_table(hf_table(5), tmp_path / "a.parquet", row_group_size=2)
    pq.write_table(hf_table(3, 5), tmp_path / "b.parquet")
    dataset = open_source(tmp_path / "*.parquet")
    assert dataset.ids.tolist() == [f"a.parquet:{i}" for i in range(5)] + [
        f"b.parquet:{i}" for i in range(3)
    ]
    assert dataset.classes == ("cat", "dog") and dataset.labels.tolist() == [0, 1] * 4
    assert all(
        (np.asarray(image) == pixels(i)).all() for i, image in enumerate(dataset.images(0, 8))
    )
    named = open_source(f"{tmp_path}/*.parquet#id=name&label=name")
    assert named.ids.tolist() == [f"n{i}" for i in range(8)] and named.labels is None
    assert (
        named.columns["text"].tolist() == named.ids.tolist()
        and open_source(named.spec).fingerprint == named.fingerprint
    )
    with pytest.raises(
        BadInput, match="no plain column 'nope'; its columns are image, label, name"
    ):
        open_source(f"{tmp_path}/a.parquet#id=nope")


def test_parquet_sets_rows_and_groups_aside(tmp_path: Path, set_limits):
    table = pa.table(
        {"jpg": [picture(0), None, b"", b"text", picture(4), picture(5)], "id": list("abcdea")}
    )
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=5)
    (tmp_path / "y.parquet").write_bytes(b"PAR1 nothing of the kind PAR1")
    pq.write_table(pa.table({"n": [1]}), tmp_path / "z.parquet")
    dataset = open_source(f"{tmp_path}/*.parquet#id=id")
    why = reasons(dataset)
    assert (
        dataset.ids.tolist() == ["a", "e"]
        and why["a"] == "repeats an id"
        and "path alone" in why["b"]
    )
    assert "0 bytes" in why["c"] and "not an image" in why["d"]
    assert "no Parquet" in why["y.parquet"] and "no column of image bytes" in why["z.parquet"]
    set_limits(row_group_bytes=300)
    with pytest.raises(BadInput, match="row_group_size"):
        open_source(f"{tmp_path}/x.parquet#id=id&verify=header")


def test_a_small_parquet_that_repeats_a_big_value_stays_small(tmp_path: Path):
    big = picture(0) + b"\0" * 2**22
    repeated = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(2000, np.int32)), pa.array([big], pa.binary())
    )
    pq.write_table(
        pa.table({"image": repeated}),
        tmp_path / "x.parquet",
        dictionary_pagesize_limit=2**30,
        store_schema=False,
    )
    found, _ = parquet.read_group(
        str(tmp_path / "x.parquet"), (tmp_path / "x.parquet").stat().st_size, 0, None
    )
    assert len(found) == 2000 and found.nbytes < 2**24


def test_a_url_is_the_same_source_as_the_folder_it_was_copied_from(tmp_path: Path):
    fs = fsspec.filesystem("memory")
    for i in range(6):
        name = f"{'ab'[i % 2]}/{i}.png"
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).write_bytes(picture(i))
        fs.pipe(f"/bucket/set/{name}", picture(i))
    fs.pipe("/bucket/set/notes.txt", b"hello")
    here = open_source(tmp_path / "images")
    there = open_source("memory://bucket/set")
    assert there.fingerprint == here.fingerprint and there.ids.tolist() == here.ids.tolist()
    assert there.labels.tolist() == here.labels.tolist() and there.classes == here.classes == (
        "a",
        "b",
    )
    assert (np.asarray(there.image(3)) == np.asarray(here.image(3))).all()
    assert "*.txt (1)" in reasons(there)
    assert open_source(f"file://{tmp_path}/images").fingerprint == here.fingerprint


@pytest.mark.parametrize(
    "spec",
    [
        "memory://nowhere/at/all",
        "github://org:repo@/x",
        "zip://x::memory://y.zip",
        "http://127.0.0.1:1/x",
        "memory://",
        "/nowhere/*.tar",
        "s3://",
    ],
)
def test_places_that_hold_nothing_are_one_sentence(spec):
    with pytest.raises(BadInput) as error:
        open_source(spec)
    assert spec.split("://")[0] in str(error.value) and "\n" not in str(error.value)


def test_a_store_that_fails_now_and_then_is_asked_again(monkeypatch, set_limits):
    fs = fsspec.filesystem("memory")
    for i in range(4):
        fs.pipe(f"/b/{i}.png", picture(i))
    set_limits(retry_waits_s=(0.0, 0.0, 0.0))
    full = type(fs).cat_file
    calls = []
    door = threading.Lock()

    def flaky(self, *args, **kwargs):
        with door:
            calls.append(1)
            if len(calls) % 3:
                raise OSError(16, "SlowDown: please reduce your request rate")
        return full(self, *args, **kwargs)

    monkeypatch.setattr(type(fs), "cat_file", flaky)
    dataset = open_source("memory://b")
    assert len(dataset) == 4 and len(calls) == 12
    monkeypatch.setattr(type(fs), "cat_file", lambda *args, **kwargs: flaky.__globals__["_down"]())
    monkeypatch.setitem(
        flaky.__globals__, "_down", lambda: (_ for _ in ()).throw(OSError(16, "SlowDown"))
    )
    with pytest.raises(
        BadInput, match=r"memory://.*did not answer 4 times .*SlowDown.*run the same"
    ):
        dataset.image(0)


def test_bytes_that_changed_after_opening_are_named(tmp_path: Path):
    fs = fsspec.filesystem("memory")
    fs.pipe("/b/0.png", picture(0))
    dataset = open_source("memory://b")
    fs.pipe("/b/0.png", bytes(reversed(picture(0))))
    with pytest.raises(BadInput, match="'0.png' in 'memory://.*' holds other bytes; it changed"):
        dataset.image(0)


def test_opening_again_looks_at_changed_files_only(tmp_path: Path, monkeypatch):
    for part in range(3):
        tar(tmp_path / f"{part}.tar", [(f"{part}.png", picture(part))])
    first = open_source(tmp_path / "*.tar")
    read = []
    fetch = storage.fetch
    monkeypatch.setattr(
        storage,
        "fetch",
        lambda folder, start, stop: (read.append(folder), fetch(folder, start, stop))[1],
    )
    assert open_source(tmp_path / "*.tar").fingerprint == first.fingerprint and not read
    tar(tmp_path / "1.tar", [("1.png", picture(7)), ("2b.png", picture(8))])
    changed = open_source(tmp_path / "*.tar")
    assert len(changed) == 4 and {Path(folder).name for folder in read} == {"1.tar"}


def test_a_part_on_disk_reads_its_own_lines(tmp_path: Path):
    from coreset_engine.sources.remote.readers import load_part

    tar(tmp_path / "0.tar", [(f"{i}.png", picture(i)) for i in range(5)])
    pq.write_table(hf_table(4, 5), tmp_path / "1.parquet", row_group_size=3)
    for folder, start, count in ((tmp_path / "0.tar", 0, 5), (tmp_path / "1.parquet", 5, 4)):
        dataset = open_source(folder)
        dataset.reader.save(tmp_path / "index.parquet", rows=2)
        for number in range(-(-count // 2)):
            part = load_part(tmp_path / "index.parquet", number)
            assert part.ids.tolist() == dataset.ids[2 * number : 2 * number + 2].tolist()
            assert all(
                (np.asarray(part(i)) == pixels(start + 2 * number + i)).all()
                for i in range(len(part.ids))
            )


def test_sentences_are_captions_and_said_to_be_none(tmp_path):
    texts = [f"a picture of the number {number} by the sea" for number in range(6)]
    table = pa.table({"image": [picture(number) for number in range(6)], "label": texts})
    pq.write_table(table, tmp_path / "t.parquet")
    ds = open_source(str(tmp_path / "t.parquet"))
    assert ds.labels is None and ds.columns["text"].tolist() == texts
    assert any("6 images are captions, not classes" in note.text for note in ds.notes)


@pytest.mark.parametrize(
    "values, expected",
    [([9.0, None, 10.0], ["9", "", "10"]), ([True, False, None], ["true", "false", ""])],
)
def test_numbers_with_gaps_are_whole_classes(tmp_path, values, expected):
    """Arrow and pandas make floats of whole numbers where one is missing."""
    table = pa.table({"image": [picture(number) for number in range(6)], "label": values * 2})
    pq.write_table(table, tmp_path / "t.parquet")
    ds = open_source(str(tmp_path / "t.parquet"))
    assert [ds.classes[code] if code >= 0 else "" for code in ds.labels] == expected * 2


def test_files_without_a_row_are_called_so(tmp_path):
    table = pa.table({"image": pa.array([], pa.binary())})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(BadInput, match="holds no rows"):
        open_source(str(tmp_path / "t.parquet"))


@pytest.mark.parametrize("label", ["cat", ["cat"], {"name": "cat"}, {"choices": ["cat"]}])
def test_a_class_in_json_may_be_wrapped(tmp_path, label):
    members = []
    for number in range(4):
        reported = json.dumps({"label": label if number % 2 else "dog"}).encode()
        members += [(f"{number}.png", picture(number)), (f"{number}.json", reported)]
    tar(tmp_path / "t" / "0.tar", members)
    ds = open_source(str(tmp_path / "t" / "0.tar"))
    assert [ds.classes[code] for code in ds.labels] == ["dog", "cat"] * 2


def tar_of(path, members):
    with tarfile.open(path, "w") as out:
        for name, data in members:
            data = data.encode() if isinstance(data, str) else data
            about = tarfile.TarInfo(name)
            about.size = len(data)
            out.addfile(about, io.BytesIO(data))
    return path


def picture_bytes(seed):
    out = io.BytesIO()
    values = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    Image.fromarray(values).save(out, "PNG")
    return out.getvalue()


TARS = {
    "two pictures with one label": (
        [("0.left.png", 0), ("0.right.png", 1), ("0.cls", "cat"), ("1.png", 2), ("1.cls", "dog")],
        {"0.left": "cat", "0.right": "cat", "1": "dog"},
    ),
    "folders of classes": (
        [("./cat/0.png", 0), ("./cat/1.png", 1), ("./dog/2.png", 2)],
        {"./cat/0": "cat", "./cat/1": "cat", "./dog/2": "dog"},
    ),
    "other endings": (
        [("0.png", 0), ("0.label", "cat"), ("1.png", 1), ("1.target", "dog")],
        {"0": "cat", "1": "dog"},
    ),
    "a class name in JSON": (
        [("0.png", 0), ("0.json", '{"class_name": "cat"}'), ("1.png", 1), ("1.json", '{"class": "dog"}')],
        {"0": "cat", "1": "dog"},
    ),
    "members apart": (
        [("0.png", 0), ("1.png", 1), ("0.cls", "cat"), ("1.cls", "dog")],
        {"0": "cat", "1": "dog"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", TARS)
def test_labels_in_tars(tmp_path, kind):
    members, right = TARS[kind]
    data = [(name, picture_bytes(one) if isinstance(one, int) else one) for name, one in members]
    dataset = open_source(str(tar_of(tmp_path / "x.tar", data)))
    assert {
        str(key): dataset.classes[code] for key, code in zip(dataset.ids, dataset.labels)
    } == right


COLUMNS = {
    "few names of which one is rare": (dict(label=["cat", "dog", "fox", "dog"]), "cat dog fox dog"),
    "empty texts": (dict(label=["cat", None, "", "dog"]), "cat - - dog"),
    "a category": (dict(category=["cat", "dog", "cat", "dog"]), "cat dog cat dog"),
    "names beside numbers": (
        dict(label=[0, 1, 0, 1], label_name=["cat", "dog", "cat", "dog"]), "cat dog cat dog"
    ),
    "measurements": (dict(label=[1.5, 2.25, 3.125, 0.5]), ""),
}  # fmt: skip


@pytest.mark.parametrize("kind", COLUMNS)
def test_labels_in_parquet(tmp_path, kind):
    columns, right = COLUMNS[kind]
    table = pa.table({"image": [picture_bytes(i) for i in range(4)], **columns})
    pq.write_table(table, tmp_path / "x.parquet")
    dataset = open_source(str(tmp_path / "x.parquet"))
    if not right:
        assert dataset.labels is None
        return
    names = [dataset.classes[code] if code >= 0 else "-" for code in dataset.labels]
    assert names == right.split()


def test_of_two_columns_of_pictures_the_unread_one_is_told(tmp_path):
    images = {"mask": [picture_bytes(0)], "photo": [picture_bytes(1)]}
    pq.write_table(pa.table(images), tmp_path / "x.parquet")
    dataset = open_source(str(tmp_path / "x.parquet"))
    reported = " ".join(one.reason for one in dataset.rejected)
    assert "'mask' also holds images; 'photo' is read" in reported
    other = open_source(f"{tmp_path}/x.parquet#image=mask")
    assert not other.rejected and other.fingerprint != dataset.fingerprint


def test_opening_parquet_reads_each_footer_once(tmp_path, monkeypatch):
    from coreset_engine.sources.remote import parquet

    for name in ("a", "b"):
        table = pa.table({"image": [picture_bytes(i) for i in range(2)], "label": [0, 1]})
        pq.write_table(table, tmp_path / f"{name}.parquet")
    read = []
    plain = parquet.metadata_of
    monkeypatch.setattr(parquet, "metadata_of", lambda item: read.append(item.name) or plain(item))
    open_source(str(tmp_path))
    assert sorted(read) == ["a.parquet", "b.parquet"]
