"""An untrusted folder: every bad file is rejected with a reason, none is fatal, nothing
hangs."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coreset_engine.core.errors import BadInput
from coreset_engine.sources.folder import folder_labels, open_folder
from coreset_engine.sources.open import open_source


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path_factory.mktemp("home")))


def picture(seed: int = 0, size: tuple[int, int] = (12, 10)) -> Image.Image:
    return Image.fromarray(
        np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    )


def bomb_png(width: int = 50_000, height: int = 50_000) -> bytes:
    """A valid header that declares width x height pixels, in a few hundred bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def reasons(ds) -> dict[str, str]:
    return {one.name: one.reason for one in ds.rejected}


def test_bad_files_are_set_aside_with_reasons(tmp_path: Path):
    picture().save(tmp_path / "good.png")
    picture(1, (300, 300)).save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:2000])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "bomb.png").write_bytes(bomb_png())
    (tmp_path / "big.png").write_bytes(bomb_png(10_000, 10_000))
    (tmp_path / "notes.txt").write_text("hello")
    ds = open_folder(tmp_path)
    assert ds.ids.tolist() == ["good.png"]
    why = reasons(ds)
    assert set(why) == {"cut.jpg", "empty.png", "text.jpg", "bomb.png", "big.png", "*.txt (1)"}
    assert (
        "damaged" in why["cut.jpg"]
        and "0 bytes" in why["empty.png"]
        and "not an image" in why["text.jpg"]
    )
    assert "pixels" in why["bomb.png"] and "10,000 x 10,000" in why["big.png"]


def test_every_mode_becomes_rgb(tmp_path: Path):
    base = picture(2)
    base.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    Image.fromarray(np.full((4, 5), 257 * 200, np.uint16)).save(tmp_path / "deep.png")
    Image.new("RGBA", (6, 6), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    base.convert("L").save(tmp_path / "grey.bmp")
    base.convert("P").save(tmp_path / "palette.png")
    base.convert("1").save(tmp_path / "bits.tif")
    Image.fromarray(np.linspace(0, 5, 20, dtype=np.float32).reshape(4, 5)).save(
        tmp_path / "float.tif"
    )
    frames = [Image.new("RGB", (7, 7), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    ds = open_folder(tmp_path)
    assert not ds.rejected and len(ds) == 8
    images = {str(name): np.asarray(ds.image(i)) for i, name in enumerate(ds.ids)}
    assert all(ds.image(i).mode == "RGB" for i in range(len(ds)))
    assert (images["deep.png"] == 200).all()
    assert (images["clear.png"] == 128).all()  # transparent red shows the grey below
    assert (images["moving.gif"] == (255, 0, 0)).all()  # the first frame
    assert images["float.tif"].min() == 0 and images["float.tif"].max() == 255


def test_exif_orientation_is_applied(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(0, (30, 20)).save(tmp_path / "turned.jpg", exif=exif)
    assert open_folder(tmp_path).image(0).size == (20, 30)


def test_wrong_extensions_are_read_by_content(tmp_path: Path):
    picture().save(tmp_path / "a.png")
    os.rename(tmp_path / "a.png", tmp_path / "a.jpg")
    picture(1).save(tmp_path / "b.png")
    os.rename(tmp_path / "b.png", tmp_path / "b.dat")
    assert open_folder(tmp_path).ids.tolist() == ["a.jpg", "b.dat"]


def test_links_fifos_and_loops(tmp_path: Path):
    inner = tmp_path / "in"
    inner.mkdir()
    picture().save(inner / "a.png")
    (inner / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "same.png").symlink_to(inner / "a.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.png")
    ds = open_folder(tmp_path)
    assert ds.ids.tolist() == ["in/a.png", "same.png"]
    why = reasons(ds)
    assert "not followed" in why["in/loop/"] and "broken link" in why["gone.png"]
    assert "regular" in why["pipe.png"] and "regular" in why["zero.png"]
    followed = open_folder(tmp_path, follow_links=True)
    assert (
        followed.ids.tolist() == ["in/a.png", "same.png"]
        and "loop" in reasons(followed)["in/loop/"]
    )
    assert open_source(followed.spec).fingerprint == followed.fingerprint


def test_strange_names_give_safe_unique_ids(tmp_path: Path):
    names = [
        "new\nline.png",
        "quo\"te'.png",
        "\u202egnp.png",
        "back\\x0a.png",
        "new\\x0aline.png",
        "<img src=x>.png",
        "日本.png",
    ]
    for seed, name in enumerate(names):
        picture(seed).save(tmp_path / name, format="PNG")
    with open(os.fsencode(tmp_path) + b"/bad\xff.png", "wb") as out:
        out.write(b"\x89PNG")
    ds = open_folder(tmp_path)
    assert len(ds) == len(names) == len(set(ds.ids.tolist()))
    assert all("\n" not in name and "\u202e" not in name for name in ds.ids)
    assert {"日本.png", "<img src=x>.png", "new\\x0aline.png", "new\\\\x0aline.png"} <= set(
        ds.ids.tolist()
    )
    assert [os.path.basename(path) in names for path in ds.paths] == [True] * len(names)
    assert reasons(ds) == {"bad\\xff.png": "has a name that is not valid UTF-8; rename it"}


def test_labels_from_folders():
    labels, classes, splits = folder_labels(
        ["x/cat/1.png", "x/dog/2.png", "x/cat/deep/3.png", "x/4.png"]
    )
    assert classes == ("cat", "dog") and labels.tolist() == [0, 1, 0, -1] and splits is None
    labels, classes, splits = folder_labels(["train/a/1.png", "test/b/2.png"])
    assert (
        classes == ("a", "b") and labels.tolist() == [0, 1] and splits.tolist() == ["train", "test"]
    )
    assert folder_labels(["1.png", "2.png"])[:2] == (None, ())
    assert folder_labels(["all/1.png", "all/2.png"])[:2] == (None, ())


def test_fingerprint_follows_content_not_time_or_place(tmp_path: Path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        picture(3).save(tmp_path / folder / "a.png")
    os.utime(tmp_path / "two" / "a.png", (1, 1))
    first = open_folder(tmp_path / "one")
    second = open_folder(tmp_path / "two")
    assert first.fingerprint == second.fingerprint
    picture(4).save(tmp_path / "two" / "a.png")
    assert open_folder(tmp_path / "two").fingerprint != first.fingerprint


def test_memory_spares_the_second_look_and_notices_changes(tmp_path: Path):
    folder = tmp_path / "in"
    memory = tmp_path / "memory"
    folder.mkdir()
    for seed in range(3):
        picture(seed).save(folder / f"{seed}.png")
    looked = []
    first = open_folder(
        folder, memory=memory, progress=lambda done, total, unit: looked.append(total)
    )
    assert looked == [3]
    assert (
        open_folder(folder, memory=memory, progress=lambda *a: looked.append(a)).fingerprint
        == first.fingerprint
    )
    assert looked == [3]
    (folder / "1.png").write_bytes(b"broken")
    again = open_folder(
        folder, memory=memory, progress=lambda done, total, unit: looked.append(total)
    )
    assert looked == [3, 1] and len(again) == 2
    for file in memory.iterdir():
        file.write_text('{"version": 1, "files": [1, {"a": ')
    assert open_folder(folder, memory=memory).fingerprint == again.fingerprint


def test_header_check_is_quicker_and_a_late_failure_names_the_file(tmp_path: Path):
    picture(1, (300, 300)).save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:2000])
    ds = open_folder(tmp_path, verify="header")
    with pytest.raises(BadInput, match="cut.jpg.*damaged.*open the source again"):
        ds.image(0)
    assert open_source(ds.spec).spec == ds.spec
    with pytest.raises(
        BadInput, match="no usable image: 1 skipped, for example 'cut.jpg' is damaged"
    ):
        open_folder(tmp_path)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda path: None, "neither a source's name nor an existing path"),
        (lambda path: path.mkdir(), "empty folder"),
        (lambda path: (path.mkdir(), (path / "a.txt").write_text("x")), "no usable image"),
        (lambda path: path.write_text("x"), "is a file, not a folder"),
    ],
)
def test_unusable_places_give_one_sentence(tmp_path: Path, make, words):
    make(tmp_path / "in")
    with pytest.raises(BadInput, match=words) as caught:
        open_source(tmp_path / "in")
    assert "\n" not in str(caught.value)


def test_test_images_beside_train(tmp_path: Path):
    for part in ("train", "test"):
        (tmp_path / part / "a").mkdir(parents=True)
        picture().save(tmp_path / part / "a" / "1.png")
    assert open_folder(tmp_path / "train").test_spec == str(tmp_path / "test")


def test_five_thousand_files_are_all_found(tmp_path: Path):
    data = tmp_path / "seed.png"
    picture().save(data)
    raw = data.read_bytes()
    for i in range(5000):
        (tmp_path / f"{i}.png").write_bytes(raw)
    assert len(open_folder(tmp_path)) == 5001
