"""Zip uploads: images come out below the folder, attacks do not."""

from __future__ import annotations

import io
import os
import resource
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coreset_engine.core.errors import BadInput
from coreset_engine.sources.archives import (
    ASIDE,
    MOST_ASIDE,
    ArchiveLimits,
    extract_images,
    set_aside,
)
from coreset_engine.sources.folder import open_folder


def png(seed: int = 0) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(
        out, "PNG"
    )
    return out.getvalue()


def zipped(path: Path, *entries) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in entries:
            out.writestr(name, data)
    return path


def link(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


def test_images_come_out_and_attacks_do_not(tmp_path: Path):
    archive = zipped(
        tmp_path / "up.zip",
        ("a/1.png", png()),
        ("../out.png", png()),
        ("/abs.png", png()),
        ("a/../../b.png", png()),
        ("C:\\x.png", png()),
        (link("link.png"), "/etc/passwd"),
        ("run.sh", "x"),
        ("new\nline.png", png()),
        ("A/1.PNG", png(1)),
    )
    folder, rejected = extract_images(archive, tmp_path / "into")
    assert [p.relative_to(folder).as_posix() for p in folder.rglob("*.*") if p.is_file()] == [
        ASIDE,
        "a/1.png",
    ]
    assert len(rejected) == 8 and [
        row for row in open_folder(folder).rejected if row in rejected
    ] == list(rejected)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["into", "up.zip"]
    reasons = {one.name: one.reason for one in rejected}
    assert (
        "points outside" in reasons["../out.png"]
        and "link" in reasons["link.png"]
        and "repeats" in reasons["A/1.PNG"]
    )


def test_a_bomb_is_refused_before_anything_is_written(tmp_path: Path):
    archive = zipped(tmp_path / "bomb.zip", ("a.png", b"\0" * 50_000_000))
    with pytest.raises(BadInput, match="times its size"):
        extract_images(archive, tmp_path / "into")
    assert not (tmp_path / "into").exists()


def test_one_bomb_among_good_ones_is_set_aside(tmp_path: Path):
    noise = np.random.default_rng(0).bytes(400_000)
    archive = zipped(tmp_path / "mixed.zip", ("a.png", b"\0" * 5_000_000), ("b.png", noise))
    folder, rejected = extract_images(archive, tmp_path / "into")
    assert [p.name for p in folder.glob("*.png")] == [
        "b.png"
    ] and "unpacks to 5,000,000" in rejected[0].reason


def test_limits_on_entries_and_bytes(tmp_path: Path):
    archive = zipped(tmp_path / "many.zip", *[(f"{i}.png", png()) for i in range(20)])
    with pytest.raises(BadInput, match="20 entries"):
        extract_images(archive, tmp_path / "into", limits=ArchiveLimits(entries=10))
    with pytest.raises(BadInput, match="over the limit of 100"):
        extract_images(archive, tmp_path / "into", limits=ArchiveLimits(total=100))


def test_an_entry_that_understates_its_size_is_set_aside(tmp_path: Path):
    data = png() * 30
    archive = zipped(tmp_path / "liar.zip", ("a.png", data), ("b.png", png()))
    raw = archive.read_bytes()
    archive.write_bytes(raw.replace(len(data).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    folder, rejected = extract_images(archive, tmp_path / "into")
    assert [p.name for p in folder.glob("*.png")] == ["b.png"] and "damaged" in rejected[0].reason


@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip at all" * 10])
def test_damaged_archives(tmp_path: Path, data: bytes):
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(BadInput, match="cannot be unpacked"):
        extract_images(tmp_path / "x.zip", tmp_path / "into")


def test_an_entry_without_a_name_is_set_aside(tmp_path: Path):
    """Found by fuzzing: zipfile itself stumbles over an empty name."""
    archive = zipped(tmp_path / "x.zip", ("a.png", png()), ("b.png", png()))
    raw = bytearray(archive.read_bytes())
    target = raw.rindex(
        b"b.png"
    )  # in the central directory; a name of length 0, its bytes become the comment
    raw[target - 18 : target - 16], raw[target - 14 : target - 12] = b"\0\0", b"\5\0"
    archive.write_bytes(raw)
    folder, rejected = extract_images(archive, tmp_path / "into")
    assert [p.name for p in folder.glob("*.png")] == ["a.png"] and [
        one.name for one in rejected
    ] == [""]


def test_no_image_inside_and_target_in_use(tmp_path: Path):
    archive = zipped(tmp_path / "x.zip", ("a.txt", "hello"))
    with pytest.raises(BadInput, match="holds no image"):
        extract_images(archive, tmp_path / "into")
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine").write_text("keep")
    with pytest.raises(BadInput, match="not an empty folder"):
        extract_images(archive, tmp_path / "used")
    assert (tmp_path / "used" / "mine").read_text() == "keep"


@pytest.mark.parametrize(
    "text", ["", "[", "{}", "3", '[["a"]]', '[["a", 3]]', "[[" * 100_000, "\udcff"]
)
def test_a_list_of_what_was_set_aside_that_lies_is_passed_over(tmp_path: Path, text: str):
    (tmp_path / ASIDE).write_text(text, errors="surrogateescape")
    assert set_aside(tmp_path) == []


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_a_list_that_is_no_file_is_passed_over(tmp_path: Path, make):
    make(tmp_path / ASIDE)
    assert set_aside(tmp_path) == []


def test_a_long_list_is_cut_and_says_so(tmp_path: Path):
    archive = zipped(
        tmp_path / "x.zip", ("a.png", png()), *[(f"{i}.txt", "") for i in range(MOST_ASIDE + 7)]
    )
    folder, rejected = extract_images(archive, tmp_path / "into")
    assert len(rejected) == MOST_ASIDE + 7
    assert len(kept := set_aside(folder)) == MOST_ASIDE + 1 and kept[-1].name == "7 more"
    (folder / ASIDE).write_text('[["new\\nline", "\\u202ex"]]')
    assert [(one.name, one.reason) for one in set_aside(folder)] == [("new\\x0aline", "\\u202ex")]


def test_a_full_disk_is_called_so(tmp_path: Path):
    archive = zipped(tmp_path / "x.zip", ("a.png", np.random.default_rng(0).bytes(100_000)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        with pytest.raises(BadInput, match="make room"):
            extract_images(archive, tmp_path / "into")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]
