"""Statistics of every image's pixels: size, brightness, entropy, blur, tiny copy, digest.

An image is decoded once. Brightness and entropy are read from histograms of all its pixels, with
cleanvision's definitions, so that its thresholds apply; blur from a copy of at most 1,023 pixels a
side.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from coreset_engine.core.device import cpu_count
from coreset_engine.core.errors import BadInput, CoresetError, Missing
from coreset_engine.core.hashing import pixel_digest
from coreset_engine.core.types import Dataset, Progress, silent

if TYPE_CHECKING:
    from numpy.typing import DTypeLike
    from PIL import Image

VERSION = 3  # raised when a number here is computed in another way
PERCENTILES = (1, 5, 50, 95, 99)
_WANTED = np.array(PERCENTILES, np.float64)
TINY = 16  # side of the copy that is kept
_SMALL = 64  # side of the copy that it is made from
_LARGE = 512  # from twice this side on, blur is measured on a copy reduced by a whole number
_REACH = 5  # pixels on either side of an edge, fewer in images below 40 a side,
_FAR_REACH = 8  # and more in those
_FAR_FROM = 200  # from this side on
_LEAST = 12  # grey levels that an edge spans at least, and
_LEAST_SHARE = 0.15  # share of the image's contrast
_CHUNK = 32


@dataclass(frozen=True, eq=False)
class ImageStatistics:
    """One row per image, in source order.

    width, height: (N,) int32, pixels of the upright image. brightness: (N, 5) float32 in [0, 1],
    percentiles PERCENTILES of perceived brightness. entropy: (N,) float32, bits of the histogram of
    all channels. blur: (N,) float32 in [0, 1], see `blur_of`. coloured: (N,) float32, share of
    coloured pixels. pixels: (N,) S16, digest of the pixels. tiny: (N, TINY, TINY, 3) uint8, the
    image squashed to a square.
    """

    width: np.ndarray
    height: np.ndarray
    brightness: np.ndarray
    entropy: np.ndarray
    blur: np.ndarray
    coloured: np.ndarray
    pixels: np.ndarray
    tiny: np.ndarray

    def __len__(self) -> int:
        return len(self.width)

    def percentile(self, which: int) -> np.ndarray:
        """(N,) float32: one of PERCENTILES of brightness."""
        return self.brightness[:, PERCENTILES.index(which)]

    def arrays(self) -> dict[str, np.ndarray]:
        """Field name -> array."""
        return {part.name: getattr(self, part.name) for part in fields(self)}


Row = dict[str, Any]


def measure(image: Image.Image) -> Row:
    """The statistics of one upright RGB image, by the fields of `ImageStatistics`."""
    from PIL import Image as pillow

    from coreset_engine.findings import kernels

    if image.mode != "RGB":
        image = image.convert("RGB")
    pixels = np.asarray(image)
    brightness, channels, coloured, grey = kernels.one_pass(pixels, kernels.SQUARES, kernels.BIN_OF)
    percentiles, entropy = kernels.summary(brightness, channels, _WANTED)
    return dict(
        width=image.width,
        height=image.height,
        brightness=percentiles,
        entropy=entropy,
        blur=blur_of(image, grey, float(percentiles[-1] - percentiles[0])),
        coloured=coloured / (image.width * image.height),
        pixels=pixel_digest(image, pixels).encode(),
        tiny=np.asarray(_small(image).resize((TINY, TINY), pillow.Resampling.BILINEAR)),
    )


def _small(image: Image.Image) -> Image.Image:
    """At most _SMALL pixels a side, never enlarged."""
    ratio = max(image.size) / _SMALL
    if ratio <= 1:
        return image
    size = (max(int(image.width // ratio), 1), max(int(image.height // ratio), 1))
    return image.resize(size, reducing_gap=2.0)


def blur_of(image: Image.Image, grey: np.ndarray, contrast: float) -> float:
    """How flat the steepest tenth of the edges of the softest direction is: 0 = sharp, 1 = no edge.

    Parameters
    ----------
    image
        Upright, RGB.
    grey
        (H, W) uint8, its grey values.
    contrast
        Range of its brightness, 0 to 1.
    """
    from coreset_engine.findings import kernels

    longer = max(image.size)
    if longer >= 2 * _LARGE:
        grey = kernels.grey_of(np.asarray(image.reduce(longer // _LARGE)))
    shorter = min(grey.shape)
    reach = min(_FAR_REACH if shorter >= _FAR_FROM else _REACH, max(1, shorter // 8))
    least = max(_LEAST, round(_LEAST_SHARE * 255 * contrast))
    steepness = kernels.edge_steepness(grey, reach, least)
    if steepness == 0:  # no edge but at the border, perhaps
        steepness = kernels.edge_steepness(np.pad(grey, reach + 1, mode="edge"), reach, least)
    return 1.0 - steepness


def measure_images(dataset: Dataset, *, progress: Progress = silent) -> ImageStatistics:
    """The statistics of every image.

    Parameters
    ----------
    dataset
        N images.
    progress
        Called with unit "images"; may raise Cancelled.

    Raises
    ------
    Missing
        When the source has vectors only.
    BadInput
        When an image can no longer be read.
    """
    if dataset.reader is None:
        raise Missing(
            f"{dataset.spec!r} has vectors but no images, so their pixels cannot be checked; open it "
            "with images=FOLDER (--images FOLDER)."
        )
    count = len(dataset)
    rows: list[Row] = []
    borders = [(begin, min(begin + _CHUNK, count)) for begin in range(0, count, _CHUNK)]
    with ThreadPoolExecutor(max_workers=min(16, cpu_count())) as pool:
        for start in range(0, len(borders), 16):
            for part in pool.map(lambda pair: _part(dataset, *pair), borders[start : start + 16]):
                rows += part
            progress(len(rows), count, "images")
    return stacked(rows)


def _part(dataset: Dataset, begin: int, end: int) -> list[Row]:
    images = dataset.images(begin, end)
    return [_one(dataset, i, lambda: next(images)) for i in range(begin, end)]


def _one(dataset: Dataset, i: int, read: Callable[[], Image.Image]) -> Row:
    try:
        return measure(read())
    except CoresetError:
        raise
    except Exception as error:  # decoders raise any type
        raise BadInput(
            f"image {str(dataset.ids[i])!r} can no longer be read ({type(error).__name__}: "
            f"{error}); open the source again, which sets such files aside."
        ) from error


_TYPES: dict[str, DTypeLike] = {
    "width": np.int32,
    "height": np.int32,
    "pixels": "S16",
    "tiny": np.uint8,
}


def stacked(rows: list[Row]) -> ImageStatistics:
    """One record of all rows."""
    names = [part.name for part in fields(ImageStatistics)]
    kind = {name: _TYPES.get(name, np.float32) for name in names}
    return ImageStatistics(
        **{name: np.array([row[name] for row in rows], kind[name]) for name in names}
    )


def joined(parts: list[ImageStatistics], rows: np.ndarray) -> ImageStatistics:
    """The rows (N,) int64 of all `parts` laid one after the other."""
    names = [part.name for part in fields(ImageStatistics)]
    return ImageStatistics(
        **{name: np.concatenate([getattr(one, name) for one in parts])[rows] for name in names}
    )


def seconds_per_image(dataset: Dataset, probe: int = 24) -> float:
    """Seconds of one core that an image costs, measured on evenly spaced images."""
    import time

    if dataset.reader is None:
        return 0.0
    positions = np.unique(np.linspace(0, len(dataset) - 1, min(probe, len(dataset))).astype(int))
    measure(dataset.image(int(positions[0])))  # compiles the kernels
    began = time.perf_counter()
    for i in positions:
        measure(dataset.image(int(i)))
    return (time.perf_counter() - began) / len(positions)


def area_side(statistics: ImageStatistics) -> np.ndarray:
    """(N,) float64: side of the square with the image's area, pixels."""
    return np.sqrt(statistics.width.astype(np.float64)) * np.sqrt(statistics.height)


def aspect(statistics: ImageStatistics) -> np.ndarray:
    """(N,) float64 in (0, 1]: shorter over longer side."""
    width = statistics.width.astype(np.float64)
    return np.minimum(width, statistics.height) / np.maximum(width, statistics.height)
