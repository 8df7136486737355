"""Safe decoding of bytes to an RGB image, with losses reported and unsafe files refused.

Files are not trusted: the size in the header is checked against the pixel limit before a pixel
is decoded, only plain raster formats are tried (no EPS, no PDF: they run programs), and a path is
opened only if it is a regular file.

Every picture becomes upright 8-bit RGB. What cannot be kept is named by a code of LOSSES:

- animations and files of several pages: the first frame;
- transparency: laid over mid-grey, or over white where the visible part is itself mid-grey, so that
  white and black drawings stay visible on the same ground;
- more than 8 bits or floats: scaled per file (`bit_depth`);
- two bands: red and green; a fourth band beside red, green and blue: not used;
- more than four bands: refused unless `bands` names three of them.
"""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import threading
import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from coreset_engine.core.errors import BadInput
from coreset_engine.sources import bit_depth

Image.init()
FORMATS = tuple(
    {"JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF"} & set(Image.OPEN)
)
HEIF = frozenset((".heic", ".heif", ".hif"))
EXTENSIONS = (
    frozenset(
        ".jpg .jpeg .jpe .jfif .png .gif .bmp .webp .tif .tiff .ppm .pgm .pbm .pnm .jp2 .avif".split()
    )
    | HEIF
)
MAX_PIXELS = 89_000_000  # 267 MB decoded; just under the level from which Pillow itself warns
MAX_BYTES = 512 * 2**20
LOSSES = {
    "alpha": "have transparency, laid over grey (over white where grey would hide them)",
    "blank": "are fully transparent, so nothing is visible",
    "frames": "have several frames or pages; only the first is used",
    "depth": "have more than 8 bits per channel, scaled to the range of each file",
    "float": "hold floating-point values, scaled to the range of each file",
    "bands": "have more than four bands; the three chosen ones are used",
    "two": "have two bands, shown as red and green with their mean as blue",
    "extra": "have a fourth band that is not transparency and is not used",
}
_LARGE = 16_000_000
_FEW = threading.Semaphore(2)  # at most two images above _LARGE pixels at once: bounded memory
_ORIENTATION = 0x0112
_ORIENTED = frozenset(("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp"))
_GREY = 128
_PROBE = 256  # at most so many pixels a side are looked at to choose the ground
_VISIBLE = 32  # mean distance in luminance from mid-grey below which a drawing would vanish on it
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_HEIF_REMEDY = (
    "install pillow-heif (pip install pillow-heif, or the extra [heif]), or convert HEIC files to "
    "JPEG"
)

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # MAX_PIXELS is stricter


class Unreadable(BadInput):
    """Why one file is not a usable image; the message is the reason, without the file's name."""


@dataclass(frozen=True)
class DecodeOptions:
    """Options of decoding that a source carries.

    max_pixels: width x height above which a picture is not decoded. bands: three band numbers,
    counted from 1, for files of more than four bands.
    """

    max_pixels: int = MAX_PIXELS
    bands: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Decoded:
    """An RGB image and the codes of LOSSES that apply to it."""

    image: Image.Image
    losses: tuple[str, ...] = ()


PLAIN = DecodeOptions()


def read_regular(path: str | Path, limit: int = MAX_BYTES) -> bytes:
    """The bytes of a regular file of at most `limit`; never waits on a FIFO or reads a device."""
    flags = (
        os.O_RDONLY
        | getattr(os, "O_NONBLOCK", 0)
        | getattr(os, "O_CLOEXEC", 0)
        | getattr(os, "O_BINARY", 0)
    )
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise Unreadable(f"cannot be opened ({error.strerror or error})") from error
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise Unreadable("is not a regular file")
        if about.st_size == 0:
            raise Unreadable("is empty (0 bytes)")
        if about.st_size > limit:
            raise Unreadable(f"is {about.st_size:,} bytes long, over the limit of {limit:,}")
        return _read_all(descriptor, about.st_size, limit)
    except OSError as error:
        raise Unreadable(f"cannot be read ({error.strerror or error})") from error
    finally:
        os.close(descriptor)


def _read_all(descriptor: int, size: int, limit: int) -> bytes:
    """At most `limit` bytes.

    The buffer has the file's size: one of the limit's size would be allocated again for every file.
    """
    parts = [os.read(descriptor, min(size + 1, limit))]
    left = limit - len(parts[0])
    while parts[-1] and left > 0 and len(parts[0]) != size:
        parts.append(os.read(descriptor, min(left, 1 << 20)))
        left -= len(parts[-1])
    return parts[0] if len(parts) == 1 else b"".join(parts)


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The RGB image in `data`. Raises Unreadable with the reason, whatever the decoder raised."""
    return decode_with_losses(data, DecodeOptions(max_pixels)).image


def decode_with_losses(data: bytes, options: DecodeOptions = PLAIN) -> Decoded:
    """The RGB image in `data`, and what could not be kept of it.

    Parameters
    ----------
    data
        The bytes of one file.
    options
        Limits and bands.

    Raises
    ------
    Unreadable
        With the reason, whatever the decoder raised.
    """
    try:
        image = _decode(data, options)
        if image is None or _has_two_bands(image):
            return _many_bands(data, options)
        with _FEW if image.width * image.height > _LARGE else nullcontext():
            several = bool(getattr(image, "is_animated", False))
            image.load()
            decoded = _converted(image, data)
    except Unreadable:
        raise
    except Exception as error:  # decoders raise anything from SyntaxError to struct.error
        raise Unreadable(_damage(data, error)) from error
    losses = decoded.losses
    if _spare_band(image):
        losses = (*losses, "extra")
    if several and image.format != "MPO":  # a photograph with its preview is one picture
        losses = ("frames", *losses)
    return Decoded(decoded.image, losses)


def _has_two_bands(image: Image.Image) -> bool:
    """Whether a TIFF has two bands, the second not transparency, as radar images have."""
    return isinstance(image, TiffImageFile) and _tag(image, 277) == 2 and not _has_alpha(image)


def _spare_band(image: Image.Image) -> bool:
    """Whether a TIFF has a fourth band that is not transparency, such as near infrared."""
    if not isinstance(image, TiffImageFile) or image.mode != "RGB":
        return False
    return _tag(image, 277) == 4 and not _has_alpha(image)


def _has_alpha(image: TiffImageFile) -> bool:
    return bool(set(image.tag_v2.get(338, ())) & {1, 2})


def _tag(image: TiffImageFile, number: int) -> Any:
    value = image.tag_v2.get(number)
    return value[0] if isinstance(value, tuple) else value


def check_header(data: bytes, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """(width, height) from the header alone; raises Unreadable as `decode` does."""
    return check_header_with(data, DecodeOptions(max_pixels))


def check_header_with(data: bytes, options: DecodeOptions) -> tuple[int, int]:
    """(width, height) from the header alone; raises Unreadable as `decode_with_losses` does."""
    try:
        image = _decode(data, options)
        return image.size if image is not None else _many_bands(data, options).image.size
    except Unreadable:
        raise
    except Exception as error:  # as in decode_with_losses
        raise Unreadable(_damage(data, error)) from error


# -- opening ---------------------------------------------------------------------------------------


def _decode(data: bytes, options: DecodeOptions) -> Image.Image | None:
    """The picture with its header read; None for a TIFF with bands that only `bands` can name."""
    try:
        image = _identified(data)
    except Image.UnidentifiedImageError:
        if data[:4] in _TIFF and bit_depth.tiff_pixels(data, options.max_pixels) is not None:
            return None
        raise Unreadable(_what_it_is(data)) from None
    width, height = image.size
    if width < 1 or height < 1:
        raise Unreadable(f"declares a size of {width} x {height} pixels")
    if width * height > options.max_pixels:
        raise Unreadable(
            f"declares {width:,} x {height:,} pixels, over the limit of {options.max_pixels:,}; "
            f"not decoded; open the source with max_pixels={width * height} (--max-pixels "
            f"{width * height}) to allow it, or shrink it"
        )
    return image


def _identified(data: bytes) -> Image.Image:
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS and data[8:12] != b"avif":
        return _open_heif(data)
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:  # whose limit cannot be raised for one file alone
        return _decode_with_plugin(data)
    except ValueError:  # PNG text or an ICC profile beyond Pillow's limits: the pixels are fine
        if not data.startswith(b"\x89PNG\r\n\x1a\n"):
            raise
        return Image.open(io.BytesIO(_without_text(data)), formats=FORMATS)


def _decode_with_plugin(data: bytes) -> Image.Image:
    """The picture as `Image.open` gives it, without Pillow's own limit of pixels."""
    for name in FORMATS:
        factory, accept = Image.OPEN[name]
        if accept is None or accept(data[:16]):
            return factory(io.BytesIO(data), "")
    raise Unreadable("is not an image of a known format")


def _open_heif(data: bytes) -> Image.Image:
    if not _heif_is_registered():
        raise Unreadable(f"is a HEIC photograph; {_HEIF_REMEDY}")
    try:
        return Image.open(io.BytesIO(data), formats=("HEIF",))
    except Exception as error:  # noqa: BLE001 - libheif's own types
        words = _BUFFER.sub("", " ".join(str(error).split()))[:80]
        raise Unreadable(
            f"is a HEIC file that cannot be decoded ({words}); convert it to JPEG"
        ) from error


@lru_cache(maxsize=1)
def _heif_is_registered() -> bool:
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def _without_text(data: bytes) -> bytes:
    """A PNG without its text, profile and other chunks that no pixel needs."""
    kept = [data[:8]]
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        if kind not in (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf"):
            kept.append(data[at : at + 12 + length])
        at += 12 + length
    return b"".join(kept)


_KNOWN = (
    (b"8BPS", "is a Photoshop document (PSD); export it as PNG or JPEG"),
    (b"%PDF", "is a PDF document; export its pages as PNG"),
    (b"%!PS", "is a PostScript file, which is a program; export it as PNG"),
    (b"\xff\x0a", "is a JPEG XL file; convert it to PNG or JPEG"),
    (b"\0\0\0\x0cJXL ", "is a JPEG XL file; convert it to PNG or JPEG"),
    (b"SIMPLE  =", "is a FITS file; export it as TIFF or PNG"),
    (b"\x93NUMPY", "is a NumPy array; open it as vectors, or write it as PNG"),
    (b"PK\x03\x04", "is a zip archive; unpack it, or upload it on Home"),
    (b"\0\0\1\0", "is an icon file (ICO); convert it to PNG"),
    (b"qoif", "is a QOI image; convert it to PNG"),
    (b"DDS ", "is a texture (DDS); convert it to PNG"),
    (b"\x76\x2f\x31\x01", "is an OpenEXR file; convert it to TIFF or PNG"),
    (b"#?RADIANCE", "is a Radiance HDR file; convert it to TIFF or PNG"),
    (b"\x89HDF", "is an HDF5 file; write its images as PNG or TIFF"),
    (b"\x1f\x8b", "is packed with gzip; unpack it"),
    (b"Rar!", "is a RAR archive; unpack it"),
    (b"7z\xbc\xaf", "is a 7z archive; unpack it"),
    (b"version https://git-lfs", "is a Git LFS pointer, not the image; run git lfs pull"),
    (b"<svg", "is a vector drawing (SVG); export it as PNG"),
)
_BUFFER = re.compile(r" <_io\.BytesIO object at 0x[0-9a-f]+>")
_PAGE = re.compile(rb"\s*(?:<!doctype html|<html|<\?xml[^>]*\?>\s*<error)", re.IGNORECASE)


def _what_it_is(data: bytes) -> str:
    """The reason for a file that is not an image of a known format, by its first bytes."""
    for start, words in _KNOWN:
        if data.startswith(start):
            return words
    if _PAGE.match(data):
        return (
            "is a web page or an error message, not an image: the download failed; fetch it again"
        )
    if b"<svg" in data[:1024]:
        return _KNOWN[-1][1]
    if not data.strip(b"\0"):
        return "contains only zero bytes: the copy or download failed; fetch it again"
    if data[128:132] == b"DICM":
        return "is a DICOM file; export it as PNG or 16-bit TIFF"
    if data[4:8] == b"ftyp":
        return "is a video; open it under its own name with fps=1 (--fps 1), or extract its frames"
    if data[:4] in _TIFF:
        return (
            "is a TIFF or camera raw file of an unsupported kind; convert it to an "
            "ordinary TIFF, PNG or JPEG"
        )
    return "is not an image of a known format"


def _damage(data: bytes, error: Exception) -> str:
    words = _BUFFER.sub("", " ".join(str(error).split()))[:120] or type(error).__name__
    if isinstance(error, ValueError) and words.startswith(("declares", "has ")):
        return words
    return f"is damaged or not an image ({words})"


# -- converting ------------------------------------------------------------------------------------


def _many_bands(data: bytes, options: DecodeOptions) -> Decoded:
    """A TIFF that only tifffile reads: several bands, or values that Pillow does not know."""
    values = bit_depth.tiff_pixels(data, options.max_pixels)
    if values is None:
        raise Unreadable("is a damaged TIFF")
    count = values.shape[2]
    if count > 4 and options.bands is None:
        raise Unreadable(
            f"has {count} bands, and it is unknown which are red, green and blue; open the "
            "source with bands=3,2,1 (--bands 3,2,1) or another three of them"
        )
    chosen = bit_depth.chosen_bands(values, options.bands if count > 4 else None)
    losses = {2: ["two"], 4: ["extra"]}.get(count, ["bands"] if count > 4 else [])
    if values.dtype != np.uint8:
        losses.append("float" if values.dtype.kind == "f" else "depth")
    return Decoded(Image.fromarray(chosen), tuple(losses))


def _converted(image: Image.Image, data: bytes) -> Decoded:
    """`image` as upright 8-bit RGB (rules in the module's docstring)."""
    deep = _deep_colour(image, data)
    image = _upright(image) if deep is None else _upright(deep, image)
    lossy = () if deep is None else ("depth",)
    if image.mode == "RGB" and "transparency" not in image.info:
        return Decoded(image, lossy)
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        code = "float" if image.mode == "F" else "depth"
        scaled = bit_depth.to_8_bits(_values(image), _no_data(image))
        return Decoded(Image.fromarray(scaled).convert("RGB"), (code,))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        flat, losses = _over_ground(_to_rgba(image))
        return Decoded(flat, lossy + losses)
    if image.mode == "LAB":
        return Decoded(_from_lab(image))
    return Decoded(image.convert("RGB"))


def _values(image: Image.Image) -> np.ndarray:
    """The values of a picture in one band of over 8 bits, as its TIFF tags say they are meant."""
    values = np.asarray(image)
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return values
    if values.dtype == np.int32 and tags.get(339, (1,))[0] == 1:  # Pillow has no unsigned mode
        values = values.view(np.uint32)
    return bit_depth.mirrored(values) if tags.get(262) == 0 else values


def _no_data(image: Image.Image) -> float | None:
    """The value that a GeoTIFF declares to mean "nothing measured here", None without one."""
    tags = getattr(image, "tag_v2", None)
    return None if tags is None else bit_depth.declared_no_data(tags.get(bit_depth.NO_DATA_TAG))


def to_rgb(image: Image.Image) -> Image.Image:
    """`image`, already decoded, as upright 8-bit RGB."""
    return _converted(image, b"").image


def _deep_colour(image: Image.Image, data: bytes) -> Image.Image | None:
    """The picture from its 16 bits a channel where Pillow would only keep the upper eight."""
    if image.mode not in ("RGB", "RGBA"):
        return None
    values = None
    if image.format == "PNG":
        values = bit_depth.deep_png(data)
    elif isinstance(image, TiffImageFile) and max(image.tag_v2.get(258, (8,))) > 8:
        values = bit_depth.tiff_pixels(data, image.width * image.height)
    if values is None or values.dtype == np.uint8 or values.shape[2] < 3:
        return None
    channels = [bit_depth.to_8_bits(values[:, :, :3])]
    if values.shape[2] == 4 and image.mode == "RGBA":
        channels.append((values[:, :, 3:4] >> 8).astype(np.uint8))
    return Image.fromarray(np.concatenate(channels, axis=2))


def _to_rgba(image: Image.Image) -> Image.Image:
    if image.mode == "La":
        image = image.convert("LA")
    return image.convert("RGBA")


def _over_ground(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """An RGBA picture laid over the ground that shows it, and the codes of what is lost."""
    lowest, highest = image.getchannel("A").getextrema()
    if lowest == 255:
        return image.convert("RGB"), ()
    ground = _GREY if highest == 0 else _ground(image)
    flat = Image.alpha_composite(Image.new("RGBA", image.size, (ground,) * 3 + (255,)), image)
    return flat.convert("RGB"), ("blank",) if highest == 0 else ("alpha",)


def _ground(image: Image.Image) -> int:
    """Mid-grey, or white where the visible part of the picture is itself nearly mid-grey."""
    if max(image.size) > _PROBE:
        sides = [min(side, _PROBE) for side in image.size]
        image = image.resize(sides, Image.Resampling.NEAREST)
    shade = np.asarray(image.convert("RGB").convert("L"), np.float32)
    alpha = np.asarray(image.getchannel("A"), np.float32)
    visible = max(float(alpha.sum()), 1.0)
    distance = float((np.abs(shade - _GREY) * alpha).sum()) / visible
    return _GREY if distance >= _VISIBLE else 255


def _from_lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    steps = ImageCms.buildTransform(
        ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB"
    )
    converted = ImageCms.applyTransform(image, steps)
    assert converted is not None  # None only for a transform in place
    return converted


def _may_be_turned(image: Image.Image) -> bool:
    """Whether the file can hold an orientation; reading it costs as much as a small decode."""
    return hasattr(image, "tag_v2") or not _ORIENTED.isdisjoint(image.info)


def _upright(image: Image.Image, tagged: Image.Image | None = None) -> Image.Image:
    """`image` turned as the EXIF block of `tagged` (default: its own) says."""
    if tagged is None and not _may_be_turned(image):
        return image
    try:
        orientation = (tagged or image).getexif().get(_ORIENTATION, 1)
        if orientation in (None, 1):
            return image
        if tagged is not None:
            image.getexif()[_ORIENTATION] = orientation
        return ImageOps.exif_transpose(image)
    except (OSError, ValueError, SyntaxError, KeyError, IndexError, TypeError, struct.error):
        # a broken EXIF block says nothing about the pixels: keep them unchanged
        return image
