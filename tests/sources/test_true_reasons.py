"""A refusal has the true reason in its first line, counts files, and names a way on that exists."""

from __future__ import annotations

import io
import re
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, PngImagePlugin
from source_pictures import folder, picture, png

from coreset_engine.cli.source_options import OPTIONS
from coreset_engine.core.errors import BadInput
from coreset_engine.sources import decoding
from coreset_engine.sources.archives import extract_images
from coreset_engine.sources.open import open_source
from coreset_engine.sources.options import TAKEN

HEIC = b"\0\0\0\x24ftypheic\0\0\0\0mif1MiHEmiafMiHBheic" + b"\0" * 400


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path_factory.mktemp("home")))


def reasons(ds) -> dict[str, str]:
    return {one.name: one.reason for one in ds.rejected}


def test_heic_names_what_reads_it_where_that_is_absent(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(decoding, "_heif_is_registered", lambda: False)
    for name in ("IMG_1.heic", "IMG_2.HEIC"):
        (tmp_path / name).write_bytes(HEIC)
    (tmp_path / "notes.txt").write_text("a")
    with pytest.raises(BadInput, match="3 skipped, for example 'IMG_1.heic' is a HEIC.*pillow-h"):
        open_source(tmp_path)


def test_heic_is_read_where_pillow_heif_is_installed(tmp_path: Path):
    import pillow_heif as heif

    heif.from_pillow(picture(3, (64, 48))).save(tmp_path / "photo.heic", quality=100)
    assert open_source(tmp_path).image(0).size == (64, 48)


@pytest.mark.parametrize(
    "name, words",
    [
        ("photo.NEF", "camera raw"),
        ("film.mp4", "video"),
        ("logo.svg", "drawing"),
        ("scan.dcm", "DICOM"),
        ("x.jxl", "JPEG XL"),
        ("set.zip", "zip archive"),
        ("labels.csv", "labels=FILE"),
    ],
)
def test_files_of_other_kinds_are_counted_and_named(tmp_path: Path, name: str, words: str):
    (tmp_path / "sub").mkdir()
    for path in (tmp_path / name, tmp_path / "sub" / name):
        path.write_bytes(b"MM\0*" + b"\0" * 100)
    with pytest.raises(BadInput, match=f"2 skipped.*{words}"):
        open_source(tmp_path)
    (tmp_path / "ok.png").write_bytes(png(1))
    ds = open_source(tmp_path)
    assert ds.n_rejected == 2 and any(words in reason for reason in reasons(ds).values())


@pytest.mark.parametrize("kind", ["text", "ztxt", "itxt", "icc"])
def test_text_and_profiles_of_any_length_do_not_cost_the_picture(tmp_path: Path, kind: str):
    info = PngImagePlugin.PngInfo()
    text = "workflow " * 300_000
    if kind == "itxt":
        info.add_itxt("prompt", text, zip=True)
    elif kind != "icc":
        info.add_text("prompt", text, zip=kind == "ztxt")
    extra = dict(icc_profile=b"\0" * 2_000_000) if kind == "icc" else dict(pnginfo=info)
    picture(1).save(tmp_path / "a.png", **extra)
    ds = open_source(tmp_path)
    assert ds.image(0).tobytes() == picture(1).tobytes()


def tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            about = tarfile.TarInfo(name)
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))
    return path


def test_dotted_names_in_tars_are_samples_or_told(tmp_path: Path):
    members = {
        "photo.v2.png": png(1),
        "photo.v2.cls": b"cat",
        "0001.png": png(2),
        "0001.mask.png": png(3),
        "0002.left.png": png(4),
        "0002.right.png": png(5),
        "0001.npy": b"x",
    }
    ds = open_source(tar(tmp_path / "a.tar", members))
    assert sorted(ds.ids.tolist()) == ["0001", "0002.left", "0002.right", "photo.v2"]
    why = reasons(ds)
    assert "further image of the sample '0001'" in why["0001.mask.png"]
    assert "*.npy 1" in why["a.tar"]


@pytest.mark.parametrize(
    ("member", "data", "words"),
    [
        ("b.cls", b"\xff\xfe\x00cat", "is not UTF-8 text"),
        ("b.json", b'{"label": "cat"', "is not JSON"),
        ("b.json", b'{"label": ["cat", "dog"]}', "names 2 classes: cat, dog"),
        ("b.cls", b"c" * 70_000, "is over the limit of 65,536 bytes"),
    ],
)
def test_label_members_that_give_no_class_are_counted(
    tmp_path: Path, member: str, data: bytes, words: str
):
    members = {"a.png": png(1), "a.cls": b"cat", "b.png": png(2), member: data}
    ds = open_source(tar(tmp_path / "a.tar", members))
    assert ds.classes == ("cat",) and ds.labels.tolist() == [0, -1]
    assert f"1 label members without a class: {member!r} {words}" in reasons(ds)["a.tar"]


@pytest.mark.parametrize("data", [b'{"caption": "a cat"}', b'{"label": null}', b"[1, 2]", b""])
def test_json_about_something_else_is_no_label_and_no_complaint(tmp_path: Path, data: bytes):
    members = {"a.png": png(1), "a.json": data}
    ds = open_source(tar(tmp_path / "a.tar", members))
    assert ds.n_rejected == 0 and (ds.labels is None or ds.labels.tolist() == [-1])


def test_a_column_of_label_lists_is_told(tmp_path: Path):
    lists = pa.array([["cat"], ["cat", "dog"]])
    pq.write_table(pa.table({"image": [png(1), png(2)], "labels": lists}), tmp_path / "t.parquet")
    ds = open_source(tmp_path / "t.parquet")
    assert len(ds) == 2
    assert "column 'labels' holds list<" in reasons(ds)["t.parquet"]


@pytest.mark.parametrize("empty", ["no bytes", "no members", "only text"])
def test_an_empty_first_tar_does_not_refuse_the_rest(tmp_path: Path, empty: str):
    members = {"readme.md": b"hello"} if empty == "only text" else {}
    tar(tmp_path / "00.tar", members)
    if empty == "no bytes":
        (tmp_path / "00.tar").write_bytes(b"")
    tar(tmp_path / "01.tar", {"a.png": png(1)})
    assert open_source(str(tmp_path)).ids.tolist() == ["a"]


def test_an_empty_first_parquet_file_does_not_refuse_the_rest(tmp_path: Path):
    schema = pa.schema([("image", pa.binary()), ("label", pa.string())])
    pq.write_table(schema.empty_table(), tmp_path / "0.parquet")
    pq.write_table(pa.table({"image": [png(1)], "label": ["a"]}), tmp_path / "1.parquet")
    assert len(open_source(str(tmp_path))) == 1


def backslash_zip(path: Path, names: list[str], system: int = 0) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for seed, name in enumerate(names):
            info = zipfile.ZipInfo("x")
            info.filename = name
            info.create_system = system
            archive.writestr(info, png(seed))
    return path


def test_zips_with_backslashes_unpack_into_folders_and_nowhere_else(tmp_path: Path):
    names = ["cat\\1.png", "dog\\2.png", "..\\..\\evil.png", "C:\\x.png", "\\\\host\\y.png"]
    found, rejected = extract_images(backslash_zip(tmp_path / "a.zip", names), tmp_path / "out")
    assert open_source(found).ids.tolist() == ["cat/1.png", "dog/2.png"]
    assert len(rejected) == 3 and not (tmp_path.parent / "evil.png").exists()


def test_a_zip_without_images_says_what_is_in_it(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("a.svg", "<svg/>")
        archive.writestr("b.svg", "<svg/>")
    with pytest.raises(BadInput, match="2 entries skipped, 2 of them like 'a.svg', which is a dr"):
        extract_images(tmp_path / "b.zip", tmp_path / "out")


def test_one_image_is_a_source(tmp_path: Path):
    assert len(open_source(folder(tmp_path, ["only.png"]))) == 1


def test_every_option_that_a_reason_names_exists_in_the_shell_and_in_specs(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.png").write_bytes(png(1))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "b.png").write_bytes(png(2))
    (tmp_path / "set" / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    ds = open_source(tmp_path / "set")
    assert "follow_links=True (--follow-links" in reasons(ds)["link/"]
    assert len(open_source(tmp_path / "set", follow_links=True)) == 2
    for name in ("follow_links", "labels", "depth", "split", "fit", "max_pixels", "bands"):
        assert name in OPTIONS and name in TAKEN["folder"]
    for name in ("images", "ids", "order"):
        assert name in OPTIONS and name in TAKEN["vectors"]


@pytest.mark.integration
def test_a_large_bomb_is_refused_before_it_is_decoded():
    out = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(out, "PNG")
    with pytest.raises(decoding.Unreadable, match="declares 20,000 x 20,000 pixels.*--max-pixels"):
        decoding.decode(out.getvalue())


@pytest.mark.parametrize(
    "name, words",
    [
        ("a.zip", "is a zip archive; unpack it"),
        ("a.csv", "is a table or text, not images; give the folder of its images, with labels="),
        ("a.pdf", "export it as PNG"),
        ("a.png", "is a file, not a folder of images"),
    ],
)
def test_a_file_given_as_a_folder_is_told_what_it_is(tmp_path, name, words):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(BadInput, match=re.escape(words)):
        open_source(tmp_path / name)


def test_a_pattern_of_images_names_the_folder(tmp_path):
    with pytest.raises(BadInput, match="is a pattern.*give the folder"):
        open_source(tmp_path / "*.png")


def test_hidden_pictures_are_told_and_an_empty_folder_is_called_so_only_when_it_is(tmp_path: Path):
    folder(tmp_path / "files", [".a.png", ".b.png"])
    with pytest.raises(BadInput, match=r"2 skipped, for example '\.\*\.png \(2\)' is hidden"):
        open_source(tmp_path / "files")
    folder(tmp_path / "folders", [".images/a.png"])
    with pytest.raises(BadInput, match="'.images/ .1.' is hidden"):
        open_source(tmp_path / "folders")
    folder(tmp_path / "mixed", ["a.png", ".b.png", "._a.png"])  # the last is written by macOS
    assert list(reasons(open_source(tmp_path / "mixed"))) == [".*.png (1)"]


@pytest.mark.parametrize(
    "data, words",
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "Git LFS pointer.*lfs pull",
        ),
        (b"\n<!DOCTYPE html><html>404</html>", "web page.*fetch it again"),
        (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', "error message"),
        (b"\0" * 512, "only zero bytes"),
        (b"\0\0\1\0\1\0" + b"\0" * 30, "icon"),
        (b"\x1f\x8b\x08" + b"\0" * 30, "gzip"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
    ],
)
def test_what_a_file_called_jpg_really_is(tmp_path: Path, data: bytes, words: str):
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(BadInput, match=words):
        open_source(tmp_path)


@pytest.mark.parametrize(
    "name", "a.ico b.tga c.nii.gz d.h5 e.tfrecord f.7z g.pt h.feather i.svs".split()
)
def test_files_of_further_kinds_have_their_reason(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(BadInput) as refused:
        open_source(tmp_path)
    assert "not an image by name" not in str(refused.value)


def test_a_home_that_nobody_has_is_a_path_that_does_not_exist(tmp_path: Path):
    root = folder(tmp_path / "images", ["a.png"])
    for call in (
        lambda: open_source("~nobody-of-this-name/images"),
        lambda: open_source(root, labels="~nobody-of-this-name/labels.csv"),
    ):
        with pytest.raises(BadInput, match="~nobody-of-this-name"):
            call()


def test_a_file_url_may_be_written_with_percent_signs(tmp_path: Path):
    root = folder(tmp_path / "my images", ["a.png", "b.png"])
    assert len(open_source(root.as_uri())) == 2
