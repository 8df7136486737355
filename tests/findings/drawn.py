"""Tiny images with a known answer, and datasets of them."""

from __future__ import annotations

import hashlib
import io

import numpy as np
from PIL import Image, ImageFilter

from coreset_engine.core.types import Dataset


def textured(seed: int, size: tuple[int, int] = (64, 64)) -> Image.Image:
    """A sharp picture in colour with no symmetry: random rectangles."""
    rng = np.random.default_rng(seed)
    pixels = np.full((size[1], size[0], 3), 120, np.uint8)
    for _ in range(30):
        x, y = rng.integers(0, size[0] - 4), rng.integers(0, size[1] - 4)
        w, h = rng.integers(3, max(4, size[0] // 3)), rng.integers(3, max(4, size[1] // 3))
        pixels[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    return Image.fromarray(pixels)


def plain(value: int, size: tuple[int, int] = (64, 64)) -> Image.Image:
    return Image.new("RGB", size, (value, value, value))


def blurred(image: Image.Image, radius: float = 6) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(radius))


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def dataset(images: list[Image.Image], vectors=None, labels=None, names=None) -> Dataset:
    """A dataset in memory; digests are of each image's PNG."""
    ids = np.array(names or [f"{i:03d}.png" for i in range(len(images))])
    digests = np.array(
        [hashlib.blake2b(png(one), digest_size=16).hexdigest() for one in images], "S32"
    )
    full = hashlib.sha256(b"".join(digests) + "".join(ids).encode())
    return Dataset(
        "drawn",
        ids,
        full.hexdigest(),
        reader=lambda i: images[i],
        labels=None if labels is None else np.array(labels, np.int64),
        classes=() if labels is None else tuple(f"class {c}" for c in range(max(labels) + 1)),
        vectors=None if vectors is None else np.asarray(vectors, np.float32),
        digests=digests,
    )
