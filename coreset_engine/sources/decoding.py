"""One safe way from bytes to an RGB image, and the list of what it refuses.

Files come from strangers: the size in the header is checked against MAX_PIXELS before a pixel is
decoded, only plain raster formats are tried (no EPS, no PDF: they run programs), and a path is
opened only if it is a regular file. Every picture becomes 8-bit RGB: the first frame of an
animation; transparency laid over white; CMYK, palette and grey converted; 16-bit divided by 257;
32-bit integer and float stretched from their minimum to their maximum; turned upright where EXIF
says so.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import threading
import warnings
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from coreset_engine.core.errors import BadInput

Image.init()
FORMATS = tuple(
    {"JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF"} & set(Image.OPEN)
)
EXTENSIONS = frozenset(
    ".jpg .jpeg .jpe .jfif .png .gif .bmp .webp .tif .tiff .ppm .pgm .pbm .pnm .jp2 .avif".split()
)
MAX_PIXELS = 89_000_000  # 267 MB decoded; just under the level from which Pillow itself warns
MAX_BYTES = 512 * 2**20
_BIG = 16_000_000
_FEW = threading.Semaphore(
    2
)  # at most two images above _BIG pixels are decoded at once: bounded memory
_ORIENTATION = 0x0112

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # MAX_PIXELS is stricter


class Unreadable(BadInput):
    """Why one file is no usable image; the message is the reason, without the file's name."""


def read_regular(path: str | Path, limit: int = MAX_BYTES) -> bytes:
    """The bytes of a regular file of at most `limit`; never waits on a FIFO, never reads a
    device."""
    flags = (
        os.O_RDONLY
        | getattr(os, "O_NONBLOCK", 0)
        | getattr(os, "O_CLOEXEC", 0)
        | getattr(os, "O_BINARY", 0)
    )
    try:
        descriptor = os.open(path, flags)
    except OSError as fault:
        raise Unreadable(f"cannot be opened ({fault.strerror or fault})") from fault
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise Unreadable("is not a regular file")
        if about.st_size == 0:
            raise Unreadable("is empty (0 bytes)")
        if about.st_size > limit:
            raise Unreadable(f"is {about.st_size:,} bytes long, over the limit of {limit:,}")
        try:
            return file.read(limit)
        except OSError as fault:
            raise Unreadable(f"cannot be read ({fault.strerror or fault})") from fault


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The RGB image in `data`. Raises Unreadable with the reason, whatever the decoder raised."""
    try:
        image = _opened(data, max_pixels)
        with _FEW if image.width * image.height > _BIG else nullcontext():
            image.load()
            return to_rgb(image)
    except Unreadable:
        raise
    except (
        Exception
    ) as fault:  # decoders raise anything from SyntaxError to struct.error on malformed data
        text = " ".join(str(fault).split())[:120]
        raise Unreadable(f"is damaged or not an image ({text or type(fault).__name__})") from fault


def check_header(data: bytes, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """(width, height) from the header alone; raises Unreadable as `decode` does."""
    try:
        return _opened(data, max_pixels).size
    except Unreadable:
        raise
    except Exception as fault:  # as in decode
        raise Unreadable(f"is damaged or not an image ({type(fault).__name__})") from fault


def _opened(data: bytes, max_pixels: int) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise Unreadable(
            f"declares more than the limit of {max_pixels:,} pixels; not decoded"
        ) from None
    except Image.UnidentifiedImageError:
        raise Unreadable("is not an image of a known format") from None
    width, height = image.size
    if width < 1 or height < 1:
        raise Unreadable(f"declares a size of {width} x {height} pixels")
    if width * height > max_pixels:
        raise Unreadable(
            f"declares {width:,} x {height:,} pixels, over the limit of {max_pixels:,}; not decoded"
        )
    return image


def to_rgb(image: Image.Image) -> Image.Image:
    """`image` as upright 8-bit RGB (rules in the module's docstring)."""
    image = _upright(image)
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16"):
        return Image.fromarray(
            (np.asarray(image).astype(np.uint32) // 257).astype(np.uint8)
        ).convert("RGB")
    if image.mode in ("I", "F"):
        return Image.fromarray(_stretched(np.asarray(image))).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(
            Image.new("RGBA", image.size, (255, 255, 255, 255)), image
        ).convert("RGB")
    return image.convert("RGB")


def _stretched(values: np.ndarray) -> np.ndarray:
    values = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low = values.min()
    high = values.max()
    return np.rint((values - low) * (255.0 / (high - low)) if high > low else values * 0).astype(
        np.uint8
    )


def _upright(image: Image.Image) -> Image.Image:
    try:
        turned = image.getexif().get(_ORIENTATION, 1) not in (None, 1)
        return ImageOps.exif_transpose(image) if turned else image
    except (OSError, ValueError, SyntaxError, KeyError, IndexError, TypeError, struct.error):
        # a broken EXIF block says nothing about the pixels: keep them as they lie
        return image
