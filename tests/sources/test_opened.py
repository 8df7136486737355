"""The kept list of an opened source: what joining gives, from files, without looking at any picture
or index again."""

from __future__ import annotations

import io
import pickle
import tarfile
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from coreset_engine.artifacts.store import Store
from coreset_engine.core.types import Rejected
from coreset_engine.jobs import gc
from coreset_engine.sources.open import open_source
from coreset_engine.sources.remote import containers, index_cache


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch, set_limits):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    set_limits(cached_index_above=1)
    return tmp_path / "home"


def picture(seed: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (10, 12, 3), dtype=np.uint8)).save(
        out, "PNG"
    )
    return out.getvalue()


def parquet(folder: Path, label: list) -> str:
    """Two files with half of the labels each; the second row of each is not a picture."""
    folder.mkdir(exist_ok=True)
    for number in range(2):
        images = [b"no picture" if i == 1 else picture(10 * number + i) for i in range(6)]
        pq.write_table(
            pa.table({"image": images, "label": label[6 * number :][:6]}),
            folder / f"{number}.parquet",
        )
    return str(folder)


def tars(folder: Path) -> str:
    """Two that share a key, with labels."""
    folder.mkdir(exist_ok=True)
    for number in range(2):
        with tarfile.open(folder / f"{number}.tar", "w") as out:
            for key in "ab":
                for suffix, data in (
                    ("png", picture(number * 2 + ord(key))),
                    ("cls", b"%d" % number),
                ):
                    about = tarfile.TarInfo(f"{key}.{suffix}")
                    about.size = len(data)
                    out.addfile(about, io.BytesIO(data))
    return str(folder)


def images(folder: Path) -> str:
    """Files below a URL, in a split and folders of classes."""
    memory = fsspec.filesystem("memory")
    for i in range(4):
        memory.pipe(
            f"/{folder.parent.name}/{('train', 'test')[i // 2]}/class{i % 2}/{i}.png", picture(i)
        )
    return f"memory://{folder.parent.name}"


SOURCES = {
    "numbers": lambda folder: parquet(folder, [0, 1, 2] * 4),
    "tars": tars,
    "images": images,
    "captions": lambda folder: parquet(
        folder, [f"a picture of {'very ' * i}few pixels" for i in range(12)]
    ),
    "no labels": lambda folder: parquet(folder, [None] * 12),
}


def answer(dataset) -> tuple:
    """All that a dataset says, pictures included."""
    arrays = [
        dataset.ids,
        *([] if dataset.labels is None else [dataset.labels]),
        *dataset.columns.values(),
    ]
    return (
        dataset.spec,
        dataset.fingerprint,
        dataset.classes,
        dataset.rejected,
        list(dataset.columns),
        [(array.dtype, array.tolist()) for array in arrays],
        [np.asarray(image).tobytes() for image in dataset.images(0, len(dataset))],
    )


def folders(home: Path) -> list[Path]:
    return sorted((home / "verified" / "opened").glob("*"))


@pytest.mark.parametrize("kind", SOURCES)
def test_a_kept_opening_is_the_joined_one(kind, tmp_path, home, monkeypatch, set_limits):
    source = SOURCES[kind](tmp_path / "source")
    set_limits(cached_index_above=10**9)
    joined = open_source(source)
    assert not folders(home)
    set_limits(cached_index_above=1)
    first = open_source(source)
    assert len(folders(home)) == 1
    monkeypatch.setattr(containers, "look_through_all", None)
    again = open_source(source)
    assert answer(joined) == answer(first) == answer(again)
    assert isinstance(again.ids.base, np.memmap) and not again.ids.flags.writeable
    part = pickle.loads(pickle.dumps(again.reader.part(1, 3)))
    assert [np.asarray(image).tobytes() for image in part.slice(0, 2)] == answer(joined)[-1][1:3]


def test_another_version_of_a_file_is_another_opening(tmp_path, home):
    source = parquet(tmp_path / "source", [0, 1, 2] * 4)
    before = open_source(source)
    pq.write_table(
        pa.table({"image": [picture(99)], "label": [2]}), tmp_path / "source" / "1.parquet"
    )
    after = open_source(source)
    assert len(before) == 10 and len(after) == 6 and after.labels.tolist() == [0, 2, 0, 1, 2, 2]
    assert len(folders(home)) == 2
    assert len(open_source(f"{source}#verify=header")) == 6 and len(folders(home)) == 3


@pytest.mark.parametrize(
    "damage", ["no list", "torn list", "torn array", "short array", "foreign list"]
)
def test_a_damaged_opening_is_made_again(damage, tmp_path, home):
    source = tars(tmp_path / "source")
    full = answer(open_source(source))
    kept = folders(home)[0]
    array = kept / "0.npy"
    about = kept / index_cache.ABOUT
    {
        "no list": about.unlink,
        "torn list": lambda: about.write_text(about.read_text()[:20]),
        "torn array": lambda: array.write_bytes(array.read_bytes()[:-3]),
        "short array": lambda: np.save(array, np.load(array)[:-1]),
        "foreign list": lambda: about.write_text('{"n": 4, "names": [["x"]], "rejected": 3}'),
    }[damage]()
    assert answer(open_source(source)) == full
    assert index_cache.recall(kept) is not None


def test_texts_that_no_plain_array_holds_are_not_kept(tmp_path, home, set_limits):
    source = parquet(tmp_path / "source", ["a" * 500, *"bcdefghijkl"])
    set_limits(wide_text_bytes=100)
    found = open_source(source)
    assert found.columns["text"].dtype == object and found.columns["text"].tolist()[0] == "a" * 500
    assert not folders(home)


def test_a_workspace_that_cannot_be_written_opens_all_the_same(tmp_path, home):
    source = tars(tmp_path / "source")
    (home / "verified").mkdir(parents=True)
    (home / "verified" / "opened").write_text("a file in the way")
    assert len(open_source(source)) == 4


def test_a_workspace_that_can_only_be_read_is_mapped_all_the_same(tmp_path, monkeypatch):
    source = tars(tmp_path / "source")
    first = answer(open_source(source))
    monkeypatch.setattr(containers, "look_through_all", None)

    def refused(*args, **rest):
        raise PermissionError("read-only")

    monkeypatch.setattr(index_cache.os, "utime", refused)
    assert answer(open_source(source)) == first


def test_gc_names_openings_of_no_use_for_long(tmp_path, home):
    open_source(tars(tmp_path / "source"))
    assert not gc.plan(Store(home), days=1)
    found = gc.plan(Store(home), days=0)
    assert [item.path for item in found] == folders(home) and found[0].bytes > 0
    gc.sweep(Store(home), found)
    assert not folders(home)


def test_what_was_set_aside_is_kept_too(tmp_path):
    source = parquet(tmp_path / "source", [0] * 12)
    first = open_source(source)
    again = open_source(source)
    assert (
        first.rejected == again.rejected
        and len(again.rejected) == 2
        and isinstance(again.rejected[0], Rejected)
    )
