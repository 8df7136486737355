"""How many blurs of each kind are found among sharp images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from benchmarks.findings_parts.planted import EACH, blurred
from coreset_engine.findings.config import CleanConfig
from coreset_engine.findings.image_statistics import (
    measure,
    stacked,
)
from coreset_engine.findings.quality import judged_for_blur, quality_findings
from coreset_engine.sources.open import open_source


def _moved(share: float, degrees: float) -> Callable[[Image.Image], Image.Image]:
    """Moved along a line by a share of the longer side, at least 4 pixels."""

    def change(image: Image.Image) -> Image.Image:
        length = max(4, round(share * max(image.size)))
        around = ((length, length), (length, length), (0, 0))
        padded = np.pad(np.asarray(image.convert("RGB"), np.float32), around, mode="edge")
        height, width = image.height, image.width
        total = np.zeros((height, width, 3), np.float32)
        for way in np.linspace(-(length - 1) / 2, (length - 1) / 2, length):
            top = length + round(way * np.sin(np.radians(degrees)))
            left = length + round(way * np.cos(np.radians(degrees)))
            total += padded[top : top + height, left : left + width]
        return Image.fromarray((total / length).astype(np.uint8))

    return change


def _enlarged(image: Image.Image) -> Image.Image:
    """Shrunk to 1/33 of the longer side's pixels, at least 3 times, and enlarged again."""
    factor = max(3, round(0.03 * max(image.size)))
    size = tuple(max(1, side // factor) for side in image.size)
    return image.resize(size, Image.Resampling.BOX).resize(image.size, Image.Resampling.BICUBIC)


def _soft(share: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.filter(ImageFilter.GaussianBlur(max(1.0, share * max(image.size))))


BLURS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "Gaussian, 4 % of the side": blurred,
    "Gaussian, 2 %": _soft(0.02),
    "Gaussian, 1 %": _soft(0.01),
    "enlarged": _enlarged,
    "moved sideways, 6 %": _moved(0.06, 0),
    "moved sideways, 3 %": _moved(0.03, 0),
    "moved at a slant of 30 degrees, 6 %": _moved(0.06, 30),
}


def blur(source: str, count: int) -> None:
    """Print how many planted blurs of each kind are found, and how many other images."""
    base = open_source(source)
    chosen = np.random.default_rng(0).permutation(len(base))[:count]
    images = [base.image(int(i)).convert("RGB") for i in chosen]
    kinds = np.full(len(images), "", object)
    for number, (name, change) in enumerate(BLURS.items()):
        for at in range(number * EACH, (number + 1) * EACH):
            images[at] = change(images[at])
            kinds[at] = name
    looked = stacked([measure(image) for image in images])
    judged = judged_for_blur(looked, CleanConfig())
    found = next(one for one in quality_findings(looked, CleanConfig()) if one.name == "blurred")
    flagged = np.zeros(len(images), bool)
    flagged[found.positions] = True
    print(
        f"{source}: {len(images):,} images, {judged.sum():,} judged, threshold {found.threshold:.3f}"
    )
    for name in BLURS:
        part = kinds == name
        print(f"{name}: {int((flagged & part).sum())} of {int(part.sum())} found")
    others = np.flatnonzero(flagged & (kinds == ""))
    print(f"not planted: {len(others)} of {int((kinds == '').sum()):,} found")
    for at in others[:40]:
        print(f"  {base.ids[chosen[at]]}  {looked.blur[at]:.3f}")
