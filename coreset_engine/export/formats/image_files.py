"""Picture files for targets that show or copy files: those the source has, else PNGs written once.

Also what a header says about a file (size, format), which FiftyOne's App wants to know before it
lays out its grid.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from coreset_engine.core.device import cpu_count
from coreset_engine.core.errors import Missing
from coreset_engine.core.types import Progress, silent
from coreset_engine.export.bundle import ExportBundle

BLOCK = 2000
ORIENTATION = 274  # EXIF tag
SWAPPED = frozenset((5, 6, 7, 8))  # EXIF orientations that swap width and height
PLAIN_MODES = frozenset(("1", "L", "LA", "P", "PA", "RGB", "RGBA"))


@dataclass(frozen=True)
class Viewer:
    """Which image files the receiver can display: Pillow's names of formats and modes."""

    formats: frozenset[str]
    modes: frozenset[str]


# Browsers show no TIFF; CMYK and more than 8 bits look wrong or black in them.
BROWSER = Viewer(frozenset(("JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP")), PLAIN_MODES)
# What torchvision, timm and `datasets` open and convert to RGB without losing values; torchvision's
# ImageFolder passes over .gif.
TRAINING = Viewer(
    frozenset(("JPEG", "MPO", "PNG", "WEBP", "BMP", "TIFF")), PLAIN_MODES | {"CMYK", "YCbCr"}
)


def shown_by(viewer: Viewer, path: Path | str) -> bool:
    """Whether `viewer` shows this file as it is; False also for a file that is not a picture."""
    try:
        with Image.open(path) as image:
            return image.format in viewer.formats and image.mode in viewer.modes
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError):
        return False


def upright_size(path: Path | str) -> tuple[int, int]:
    """(width, height) as viewers show it: after the file's EXIF orientation."""
    with Image.open(path) as image:
        return _upright(image)


def _upright(image: Image.Image) -> tuple[int, int]:
    width, height = image.size
    swapped = image.getexif().get(ORIENTATION) in SWAPPED
    return (height, width) if swapped else (width, height)


def picture_files(
    bundle: ExportBundle, folder: Path, progress: Progress = silent
) -> tuple[list[str], list[dict[str, Any] | None]]:
    """A file browsers can show for every row: the source's own, else a PNG in `folder`.

    A PNG is written where there is no file, or one browsers do not show (TIFF, CMYK, more than 8
    bits), when it is not there yet. A file that has been deleted since keeps its path.

    Returns
    -------
    paths : list of str, length N
    facts : list of dict or None, length N
        size_bytes, mime_type, width, height (upright) and num_channels; None where no file is.

    Raises
    ------
    Missing
        When an image has neither file nor picture.
    """
    own = bundle.table["path"].tolist()
    paths = [
        own[row] if _plain(own[row]) else str(folder / png_name(key))
        for row, key in enumerate(bundle.ids)
    ]
    lacking = [row for row, path in enumerate(own) if not _plain(path)]
    readable = bundle.dataset is not None and bundle.dataset.reader is not None
    if lacking and not readable:
        raise Missing(
            f"{len(lacking)} of {len(own)} images have no readable file; this target needs images: "
            "give their folder (--images FOLDER) and export again."
        )
    _write_all(bundle, lacking, paths, folder, progress)
    facts, unshown = describe(paths, progress)
    if readable:
        hidden = [row for row in unshown if bundle.position[row] >= 0]
        for row in hidden:
            paths[row] = str(folder / png_name(bundle.ids[row]))
        _write_all(bundle, hidden, paths, folder, progress)
        for row, fact in zip(hidden, describe([paths[row] for row in hidden])[0], strict=True):
            facts[row] = fact
    return paths, facts


def _write_all(
    bundle: ExportBundle, rows: list[int], paths: list[str], folder: Path, progress: Progress
) -> None:
    """The pictures of `rows` as PNG at their `paths`, where they are not there yet."""
    if rows:
        folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(min(4, cpu_count())) as pool:
        for start in range(0, len(rows), BLOCK):
            part = rows[start : start + BLOCK]
            list(pool.map(lambda row: _write(bundle, row, paths[row]), part))
            progress(min(start + BLOCK, len(rows)), len(rows), "pictures")


def png_name(key: str) -> str:
    """A file name for any id: readable part and hash, so that a/1.png and b/1.png differ."""
    stem = "".join(c if c.isalnum() and c.isascii() else "-" for c in Path(str(key)).stem)[
        :60
    ].strip("-")
    return f"{stem or 'image'}-{hashlib.sha256(str(key).encode()).hexdigest()[:10]}.png"


def describe(
    paths: list[str], progress: Progress = silent
) -> tuple[list[dict[str, Any] | None], list[int]]:
    """What the header of each file says, and which files browsers do not show.

    Returns
    -------
    facts : list of dict or None
        size_bytes, mime_type, width, height, num_channels; None where no picture can be opened.
    unshown : list of int
        Positions of files that are pictures, but none a browser shows.
    """
    facts: list[dict[str, Any] | None] = []
    unshown: list[int] = []
    with ThreadPoolExecutor(min(4, cpu_count())) as pool:
        for start in range(0, len(paths), BLOCK):
            for fact, shown in pool.map(_describe, paths[start : start + BLOCK]):
                if fact is not None and not shown:
                    unshown.append(len(facts))
                facts.append(fact)
            progress(len(facts), len(paths), "files")
    return facts, unshown


def _plain(path: Any) -> bool:
    """Whether the source names a file that text formats can name (undecodable names cannot)."""
    if not isinstance(path, str) or not path:
        return False
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _write(bundle: ExportBundle, row: int, path: str) -> None:
    if not os.path.exists(path):
        temporary = f"{path}.{os.getpid()}.tmp"
        bundle.image(row).save(temporary, "PNG", compress_level=1)
        os.replace(temporary, path)


def _describe(path: str) -> tuple[dict[str, Any] | None, bool]:
    """(facts, whether a browser shows it) of one file."""
    try:
        size = os.stat(path).st_size
        with Image.open(path) as image:
            width, height = _upright(image)
            facts = dict(
                size_bytes=size,
                mime_type=image.get_format_mimetype() or "image/unknown",
                width=width,
                height=height,
                num_channels=len(image.getbands()),
            )
            return facts, image.format in BROWSER.formats and image.mode in BROWSER.modes
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError):
        return None, False
