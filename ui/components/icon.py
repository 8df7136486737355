"""The browser tab's icon; an emoji or a :material/ icon would be loaded from another host."""

from __future__ import annotations

import functools

from PIL import Image, ImageDraw


@functools.cache
def page_icon() -> Image.Image:
    """64 px: dots of which a few are filled, a dataset and its coreset."""
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    dots = ((14, 20), (30, 10), (48, 18), (54, 36), (42, 52), (22, 54), (10, 40), (32, 32))
    for i, (x, y) in enumerate(dots):
        radius, color = (9, "#E69F00") if i in (1, 4, 7) else (5, "#5F7F95")
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
    return image
