"""A picture is decoded so that different pictures differ, or its owner is told what was lost."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageDraw
from source_pictures import picture, png

from coreset_engine.sources.bit_depth import to_8_bits
from coreset_engine.sources.decoding import DecodeOptions, Unreadable, decode_with_losses
from coreset_engine.sources.open import open_source


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path_factory.mktemp("home")))


def notes_of(ds) -> str:
    return " | ".join(note.text for note in ds.notes if note.topic == "decoding")


def test_twelve_bits_in_sixteen_use_the_whole_range(tmp_path: Path):
    ramp = np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / "grey.png")
    tifffile.imwrite(tmp_path / "grey.tif", ramp)
    tifffile.imwrite(tmp_path / "rgb.tif", np.dstack([ramp, ramp[::-1], ramp]), photometric="rgb")
    ds = open_source(tmp_path)
    for i in range(3):
        values = np.asarray(ds.image(i))
        assert values.min() == 0 and values.max() == 255 and len(np.unique(values)) > 50
    assert "3 images have more than 8 bits" in notes_of(ds)


def test_sixteen_bit_colour_png_keeps_its_small_values(tmp_path: Path):
    import cv2

    values = np.zeros((4, 4, 3), np.uint16)
    values[..., 2] = np.arange(16).reshape(4, 4) * 64  # red in OpenCV's order; 10 bits
    cv2.imwrite(str(tmp_path / "deep.png"), values)
    found = np.asarray(open_source(tmp_path).image(0))
    assert len(np.unique(found[..., 0])) == 16 and (found[..., 1:] == 0).all()


@pytest.mark.parametrize(
    "values, expected",
    [
        (np.array([[0, 255]], np.uint16), [[0, 255]]),  # 8 bits in a 16-bit file
        (np.array([[0, 1023]], np.uint16), [[0, 255]]),
        (np.array([[0, 65535]], np.uint16), [[0, 255]]),
        (np.array([[51400, 51400]], np.uint16), [[200, 200]]),  # a flat picture keeps its level
        (np.array([[30000, 30100]], np.uint16), [[0, 255]]),  # narrow: stretched
        (np.array([[-5, 5]], np.int32), [[0, 255]]),
        (np.array([[0.0, 0.5, 1.0]], np.float32), [[0, 128, 255]]),
        (np.array([[0.0, 128.0, 255.0]], np.float64), [[0, 128, 255]]),
        (np.array([[-1e30, 1e30]], np.float32), [[0, 255]]),
        (np.array([[np.nan, 0.0, 1.0, np.inf]], np.float32), [[0, 0, 255, 0]]),
        (np.array([[np.nan]], np.float32), [[0]]),
        (np.array([[0.25]], np.float32), [[64]]),
    ],
)
def test_ranges(values, expected):
    assert to_8_bits(values).tolist() == expected


@pytest.mark.parametrize("kind", "u1 u2 i2 u4 i4 f2 f4 f8".split())
def test_every_dtype_keeps_the_order_of_its_values(kind: str):
    values = np.linspace(0, 100, 40).astype(kind).reshape(5, 8)
    found = to_8_bits(values).astype(int).ravel()
    assert (np.diff(found) >= 0).all() and (kind == "u1" or found[-1] > 90)


def icon(shade: int, seed: int) -> Image.Image:
    image = Image.new("RGBA", (48, 48), (shade, shade, shade, 0))
    draw = ImageDraw.Draw(image)
    draw.rectangle((4 + seed, 6, 30, 20 + seed), fill=(shade, shade, shade, 255))
    return image


@pytest.mark.parametrize("shade", [0, 60, 128, 140, 200, 255])
def test_drawings_on_nothing_stay_different(tmp_path: Path, shade: int):
    for seed in range(10):
        icon(shade, seed).save(tmp_path / f"{seed}.png")
    icon(shade, 3).quantize().save(tmp_path / "palette.png")
    ds = open_source(tmp_path)
    distinct = {np.asarray(ds.image(i)).tobytes() for i in range(10)}
    assert len(distinct) == 10
    assert all(np.ptp(np.asarray(ds.image(i))) >= 30 for i in range(len(ds)))
    assert "have transparency" in notes_of(ds)


def test_what_is_wholly_transparent_or_not_at_all_is_told_apart(tmp_path: Path):
    Image.new("RGBA", (9, 9), (255, 0, 0, 0)).save(tmp_path / "nothing.png")
    picture(1).convert("RGBA").save(tmp_path / "opaque.png")
    ds = open_source(tmp_path)
    assert "1 image is fully transparent" in notes_of(ds)
    assert "have transparency" not in notes_of(ds)
    assert np.array_equal(np.asarray(ds.image(1)), np.asarray(picture(1)))


def test_frames_and_pages_are_counted(tmp_path: Path):
    frames = [picture(seed) for seed in range(3)]
    frames[0].save(tmp_path / "pages.tif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "moving.webp", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "one.tif")
    assert "3 images have several frames or pages" in notes_of(open_source(tmp_path))


def test_wide_pictures_are_counted_with_their_remedy(tmp_path: Path):
    picture(0, (60, 20)).save(tmp_path / "flag.png")
    picture(1, (30, 20)).save(tmp_path / "photo.png")
    assert "1 image is over 1.5 times as long as wide" in notes_of(open_source(tmp_path))
    cropped = open_source(tmp_path, fit="crop")
    assert "cropped to their central square" in notes_of(cropped) and cropped.fit == "crop"
    assert cropped.fingerprint != open_source(tmp_path).fingerprint


def test_bands_are_named_and_chosen(tmp_path: Path):
    values = np.random.default_rng(0).integers(0, 4000, (6, 7, 13)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "s2.tif", values, photometric="minisblack", planarconfig="contig")
    sep = np.moveaxis(values, 2, 0)
    tifffile.imwrite(tmp_path / "sep.tif", sep, photometric="minisblack", planarconfig="separate")
    (tmp_path / "ok.png").write_bytes(png(1))
    ds = open_source(tmp_path)
    assert ds.ids.tolist() == ["ok.png"]
    assert all("13 bands" in one.reason and "--bands" in one.reason for one in ds.rejected)
    chosen = open_source(tmp_path, bands="4,3,2")
    first = np.asarray(chosen.image(1))
    assert np.array_equal(first[..., 0], to_8_bits(values[..., 3]))
    assert np.array_equal(first, np.asarray(chosen.image(2)))
    other = open_source(tmp_path, bands="1,2,3")
    assert other.fingerprint != chosen.fingerprint
    wrong = open_source(tmp_path, bands="1,2,14")
    assert "not one numbered 14" in wrong.rejected[0].reason


MODES = ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16", "PA"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("suffix", ["png", "tif", "jpg", "webp", "bmp", "gif", "jp2"])
def test_every_mode_of_every_format_is_rgb_or_refused_in_words(mode: str, suffix: str, tmp_path):
    path = tmp_path / f"x.{suffix}"
    source = picture(0) if mode != "PA" else picture(0).convert("P")
    try:
        if mode in ("I;16",):
            Image.fromarray(np.asarray(picture(0).convert("L"), np.uint16) * 16).save(path)
        elif mode == "LAB":
            Image.frombytes("LAB", (12, 10), picture(0).tobytes()).save(path)
        else:
            source.convert(mode).save(path)
    except (OSError, ValueError, KeyError):
        return  # no file of this kind can be written, so there is none to read
    try:
        found = decode_with_losses(path.read_bytes()).image
    except Unreadable as error:
        assert len(str(error)) > 10
        return
    assert found.mode == "RGB" and found.size == (12, 10)
    least = 20 if mode in ("I;16", "I", "F") else 100  # Pillow clips them when it writes 8 bits
    assert np.ptp(np.asarray(found)) > least


def test_a_larger_limit_is_the_owners_to_give(tmp_path: Path):
    Image.new("L", (400, 300), 9).save(tmp_path / "big.png")
    with pytest.raises(Unreadable, match="max_pixels=120000 .--max-pixels 120000."):
        decode_with_losses((tmp_path / "big.png").read_bytes(), DecodeOptions(1000))
    data = (tmp_path / "big.png").read_bytes()
    assert decode_with_losses(data, DecodeOptions(120_000)).image.size == (400, 300)


@pytest.mark.parametrize("turn", range(1, 9))
def test_deep_tiffs_are_turned_as_their_tag_says(tmp_path: Path, turn: int):
    """A 16-bit picture whose one bright corner is followed through all eight orientations."""
    values = np.zeros((4, 6, 3), np.uint16)
    values[0, 0] = 65535  # the first row and first column as stored
    tags = [(274, 3, 1, turn, True)]
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", extratags=tags)
    found = np.asarray(open_source(tmp_path).image(0))[..., 0]
    # TIFF 6.0, Orientation: where row 0 and column 0 lie when the picture is shown
    corners = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0)}
    corners |= {5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}
    assert found.shape == ((4, 6) if turn < 5 else (6, 4))
    assert found[corners[turn]] == 255 and (found > 0).sum() == 1


@pytest.mark.parametrize(
    "void, tag",
    [(-9999.0, None), (-32768.0, None), (-3.4028235e38, None), (-1.0, "-1"), (7.5, "7.5")],
)
def test_pixels_where_nothing_was_measured_do_not_flatten_the_others(tmp_path: Path, void, tag):
    values = np.linspace(0, 1, 36, dtype=np.float32).reshape(6, 6)
    values[0, 0] = void
    tags = [] if tag is None else [(42113, 2, len(tag) + 1, tag, True)]
    tifffile.imwrite(tmp_path / "a.tif", values, extratags=tags)
    found = np.asarray(open_source(tmp_path).image(0))[..., 0]
    assert len(np.unique(found)) == 35 and found.max() == 255


def test_complex_numbers_are_shown_by_their_size():
    assert to_8_bits(np.array([[0, 3 + 4j, 5j]])).tolist() == [[0, 255, 255]]


RAMP = np.linspace(0, 255, 64).reshape(8, 8).astype(np.uint8)


def tiff(values, **how):
    out = io.BytesIO()
    tifffile.imwrite(out, values, **how)
    return out.getvalue()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_pictures_of_two_bands_differ_where_one_of_them_does(dtype, planes):
    """Radar images (VV, VH): neither band is a transparency."""
    axis = 2 if planes == "contig" else 0
    how = dict(photometric="minisblack", planarconfig=planes)
    one, other = (
        decode_with_losses(tiff(np.stack([RAMP, second], axis).astype(dtype), **how))
        for second in (RAMP.T, 255 - RAMP)
    )
    assert one.losses[0] == other.losses[0] == "two"
    first, second = np.asarray(one.image), np.asarray(other.image)
    assert np.array_equal(first[:, :, 0], RAMP) and np.array_equal(first[:, :, 1], RAMP.T)
    assert np.array_equal(second[:, :, 1], 255 - RAMP)


def test_a_fourth_band_that_is_no_transparency_is_told():
    bands = np.dstack([RAMP, RAMP.T, 255 - RAMP, RAMP // 2])
    spare = decode_with_losses(tiff(bands, photometric="rgb", extrasamples=["unspecified"]))
    assert spare.losses == ("extra",) and np.array_equal(np.asarray(spare.image), bands[:, :, :3])
    alpha = decode_with_losses(tiff(bands, photometric="rgb", extrasamples=["unassalpha"]))
    assert alpha.losses == ("alpha",)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_zero_is_white_where_the_file_says_so(dtype):
    scale = np.iinfo(dtype).max // 255
    values = RAMP.astype(dtype) * scale
    right = np.asarray(decode_with_losses(tiff(values, photometric="minisblack")).image)
    turned = np.asarray(decode_with_losses(tiff(values, photometric="miniswhite")).image)
    assert np.array_equal(turned, 255 - right)
