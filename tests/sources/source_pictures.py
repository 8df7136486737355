"""Small pictures for the tests of sources."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int = 0, size: tuple[int, int] = (12, 10)) -> Image.Image:
    """Noise, another one for every seed."""
    shape = (size[1], size[0], 3)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def png(seed: int = 0) -> bytes:
    """The bytes of `picture(seed)` as PNG."""
    out = io.BytesIO()
    picture(seed).save(out, "PNG")
    return out.getvalue()


def folder(root: Path, names: Iterable[str]) -> Path:
    """`root` with a picture of its own under each of `names`."""
    for seed, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(seed))
    return root
