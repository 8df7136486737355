"""Values of more than 8 bits a channel, and TIFF files that Pillow does not read.

A camera or microscope that stores 12 bits in a 16-bit file would be almost black if its values were
divided by 257. So the range is taken from the file: the smallest of 8, 10, 12, 14, 16, 24 or 32
bits that holds its largest value. Where the values fill less than a sixteenth of that range, they
are stretched from their minimum to their maximum. Pixels where nothing was measured (GDAL's tag,
or the usual -9999, -32768 and the like) count as the smallest value that was. Floats are taken as
[0, 1] or [0, 255] where they lie in it, and are stretched otherwise.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

BITS = (8, 10, 12, 14, 16, 24, 32)
NARROW = 16  # values that fill less than one part in NARROW of their range are stretched
MOST_BYTES = 2**30  # of one TIFF page, all bands


NO_DATA_TAG = 42113  # GDAL_NODATA
_ORIENTATION_TAG = 274
_USUAL_NO_DATA = (-9999.0, -99999.0, -32768.0, -2147483648.0)
_BEYOND = 1e37  # floats that no sensor measures: the smallest float32 and its like


def declared_no_data(text: object) -> float | None:
    """The number in GDAL's tag, None where there is none."""
    try:
        return float(str(text).strip("\0 "))
    except ValueError:
        return None


def _unmeasured(numbers: np.ndarray, no_data: float | None) -> np.ndarray:
    """Mask of missing values: NaN, infinity and the no-data value."""
    unmeasured = ~np.isfinite(numbers) | (np.abs(numbers) > _BEYOND)
    if no_data is not None:
        return unmeasured | (numbers == no_data)
    lowest = float(numbers[~unmeasured].min()) if not unmeasured.all() else 0.0
    return unmeasured | (numbers == lowest) if lowest in _USUAL_NO_DATA else unmeasured


def to_8_bits(values: np.ndarray, no_data: float | None = None) -> np.ndarray:
    """Scale one picture's values to 8 bits.

    Parameters
    ----------
    values
        (H, W) or (H, W, C), any integer or float type. NaN, infinity and pixels where nothing was
        measured count as the smallest other value.
    no_data
        The value that stands for "nothing measured"; None: the usual ones, where they are the
        smallest.

    Returns
    -------
    ndarray
        uint8, same shape.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind == "c":
        values = np.abs(values)
    numbers = values.astype(np.float64)
    void = _unmeasured(numbers, no_data)
    if void.any():
        lowest = numbers[~void].min() if not void.all() else 0.0
        numbers = np.where(void, lowest, numbers)
    low = float(numbers.min())
    high = float(numbers.max())
    base, top = _range(low, high, values.dtype.kind)
    if low < high and high - low < (top - base) / NARROW:
        base = low
        top = high
    scaled = (numbers - base) * (255.0 / (top - base))
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def mirrored(values: np.ndarray) -> np.ndarray:
    """Values of a file in which 0 is white, with their largest and smallest exchanged."""
    if values.dtype.kind == "f":
        return np.nanmax(values) + np.nanmin(values) - values
    turned: np.ndarray = values.max() - (values - values.min())
    return turned


def _range(low: float, high: float, kind: str) -> tuple[float, float]:
    """The range that values between low and high were probably recorded in."""
    if kind == "f" and low >= 0 and high <= 1:
        return 0.0, 1.0
    if kind == "f" and low >= 0 and high <= 255:
        return 0.0, 255.0
    if kind != "f" and low >= 0:
        return 0.0, float(next((2**bits - 1 for bits in BITS if high <= 2**bits - 1), high))
    return low, high if high > low else low + 1.0


def deep_png(data: bytes) -> np.ndarray | None:
    """(H, W, C) uint16 of a PNG with 16 bits a channel in colour, of which Pillow keeps 8.

    None for any other file, and where OpenCV is not installed or cannot read the file.
    """
    if data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < 26 or data[24] != 16 or data[25] == 0:
        return None
    try:
        import cv2
    except ImportError:
        return None
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if decoded is None or decoded.dtype != np.uint16 or decoded.ndim != 3:
        return None
    order = [2, 1, 0, 3][: decoded.shape[2]]
    return decoded[:, :, order]


def tiff_pixels(data: bytes, max_pixels: int) -> np.ndarray | None:
    """(H, W, C) values of the first page of a TIFF, bands last, or None where it cannot be read.

    Raises ValueError when the page declares more than `max_pixels` pixels or MOST_BYTES bytes.
    """
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages.first
            height = int(page.imagelength)
            width = int(page.imagewidth)
            bands = int(page.samplesperpixel)
            if height * width > max_pixels or page.nbytes > MOST_BYTES:
                raise ValueError(f"declares {width:,} x {height:,} pixels in {bands} bands")
            values = page.asarray()
            if int(page.photometric) == 0 and values.dtype.kind in "uif":
                values = mirrored(values)
            orientation = page.tags.valueof(_ORIENTATION_TAG, 1)
    except ValueError as error:
        if str(error).startswith("declares"):
            raise
        return None
    except Exception:  # noqa: BLE001 - tifffile raises many types on damage; Pillow's reason is shown
        return None
    if values.ndim == 2:
        return upright(values[:, :, None], orientation)
    if values.ndim == 3 and values.shape == (bands, height, width) != (height, width, bands):
        values = np.moveaxis(values, 0, 2)
    fits = values.ndim == 3 and values.shape[:2] == (height, width)
    return upright(values, orientation) if fits else None


def upright(values: np.ndarray, orientation: object) -> np.ndarray:
    """(H, W, C) turned by orientation `turn` of EXIF and TIFF, 1 to 8; others change nothing."""
    orientation = getattr(orientation, "value", orientation)
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return np.ascontiguousarray(values)


def chosen_bands(values: np.ndarray, bands: Sequence[int] | None) -> np.ndarray:
    """(H, W, 3) of the bands named (counted from 1), each scaled to 8 bits by itself.

    Two bands are red and green, with their mean as blue.
    """
    count = values.shape[2]
    numbers = list(bands) if bands else list(range(1, min(count, 3) + 1))
    wrong = [number for number in numbers if not 1 <= number <= count]
    if wrong:
        raise ValueError(f"has {count} bands, not one numbered {wrong[0]}")
    scaled = [to_8_bits(values[:, :, number - 1]) for number in numbers]
    if len(scaled) == 2:
        scaled.append((scaled[0] // 2 + scaled[1] // 2).astype(np.uint8))
    return np.stack(scaled if len(scaled) == 3 else scaled * 3, axis=2)
