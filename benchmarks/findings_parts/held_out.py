"""Cut the two sets on which blur was measured after its constants had been chosen.

    apt-get download tuxpaint-stamps-default mate-backgrounds ukui-wallpapers
    for package in *.deb; do dpkg -x $package unpacked/${package%%_*}; done
    python benchmarks/findings.py held-out unpacked --out held-out
    python benchmarks/findings.py blur held-out/stamps --images 2000
    python benchmarks/findings.py blur held-out/crops --images 2000

stamps: drawings and photographs of tuxpaint-stamps-default on white, at most 400 pixels a side.
crops: of each photograph of the two packages of wallpapers, 20 crops of 240 pixels a side at random
places of the picture at a width of 1,600 pixels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

MOST_PIXELS = 4_000_000  # of a stamp
STAMP_SIDE = 400
CROPS = 20
CROP_SIDE = 240
WIDTH = 1600
DRAWN = "Elephants_"  # frames of an animated film, no photographs


def held_out(unpacked: Path, out: Path) -> None:
    """Write both sets below `out` and print how many images they have."""
    print(f"stamps: {_stamps(unpacked, out / 'stamps'):,} images")
    print(f"crops: {_crops(unpacked, out / 'crops'):,} images")


def _stamps(unpacked: Path, out: Path) -> int:
    out.mkdir(parents=True, exist_ok=True)
    written = 0
    for number, path in enumerate(sorted(map(str, unpacked.glob("tuxpaint*/**/*.png")))):
        with Image.open(path) as stamp:
            if stamp.width * stamp.height > MOST_PIXELS:
                continue
            drawn = stamp.convert("RGBA")
        ground = Image.new("RGBA", drawn.size, "white")
        ground.alpha_composite(drawn)
        whole = ground.convert("RGB")
        whole.thumbnail((STAMP_SIDE, STAMP_SIDE))
        whole.save(out / f"{number:03d}-{Path(path).name}")
        written += 1
    return written


def _crops(unpacked: Path, out: Path) -> int:
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    written = 0
    for path in sorted(map(str, unpacked.glob("*/usr/share/backgrounds/**/*.jpg"))):
        if DRAWN in path:
            continue
        with Image.open(path) as photo:
            photo.draft("RGB", (2000, 1200))
            picture = photo.convert("RGB")
        height = round(picture.height * WIDTH / picture.width)
        picture = picture.resize((WIDTH, height), Image.Resampling.LANCZOS)
        for number in range(CROPS):
            left = int(rng.integers(0, WIDTH - CROP_SIDE))
            top = int(rng.integers(0, height - CROP_SIDE))
            crop = picture.crop((left, top, left + CROP_SIDE, top + CROP_SIDE))
            crop.save(out / f"{Path(path).stem}-{number:02d}.png")
            written += 1
    return written
