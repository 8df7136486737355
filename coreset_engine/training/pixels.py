"""Images as one tensor of pixels, for networks trained from scratch."""

from __future__ import annotations

import numpy as np
import psutil
from PIL import Image

from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Dataset, Progress, silent


def pixels_of(
    dataset: Dataset,
    positions: np.ndarray,
    longest: int = 32,
    *,
    shape: tuple[int, ...] | None = None,
    progress: Progress = silent,
) -> np.ndarray:
    """Pixels of some images, square, for networks trained from scratch.

    Parameters
    ----------
    dataset : Dataset
    positions : (n,) int64
    longest : int
        Largest side in pixels; the side is the first image's longer one, at most this.
    shape : (ch, H, W), optional
        Instead of it: the shape of the training images.
    progress : callable
        Unit "images".

    Returns
    -------
    (n, ch, H, W) uint8
        ch = 1 when the first hundred are all grey.

    Raises
    ------
    BadInput
        When the pixels would not fit in memory.
    """
    if shape is None:
        shape = _shape(dataset, positions[:100], longest)
    need = len(positions) * int(np.prod(shape))
    if need > psutil.virtual_memory().available // 2:
        raise BadInput(
            f"{len(positions):,} images of {shape[1]} x {shape[2]} need {need / 2**30:.1f} GiB, "
            "more than "
            "half of what is free; lower image_size, or use model='linear'."
        )
    out = np.empty((len(positions), *shape), np.uint8)
    for i, position in enumerate(positions):
        out[i] = _one(dataset.image(position), shape)
        if i % 256 == 0:
            progress(i, len(positions), "images")
    return out


def _shape(dataset: Dataset, some: np.ndarray, longest: int) -> tuple[int, int, int]:
    pictures = [dataset.image(position) for position in some]
    side = min(longest, max(pictures[0].size))
    grey = all((np.ptp(np.asarray(picture, np.int16), axis=2) == 0).all() for picture in pictures)
    return (1 if grey else 3), side, side


def _one(picture: Image.Image, shape: tuple[int, ...]) -> np.ndarray:
    picture = picture.convert("L" if shape[0] == 1 else "RGB")
    if picture.size != (shape[2], shape[1]):
        picture = picture.resize((shape[2], shape[1]), Image.Resampling.BILINEAR)
    return np.asarray(picture).reshape(shape[1], shape[2], -1).transpose(2, 0, 1)
