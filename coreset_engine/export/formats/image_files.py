"""Picture files for targets that show or copy files: those the source has, else PNGs written once.

Also what a header says about a file (size, format), which FiftyOne's App wants to know before it
lays out its grid.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from coreset_engine.core.device import cpu_count
from coreset_engine.core.errors import Missing
from coreset_engine.core.types import Progress, silent
from coreset_engine.export.bundle import ExportBundle

BLOCK = 2000
UPRIGHT = frozenset((5, 6, 7, 8))  # EXIF orientations that swap width and height


def picture_files(
    bundle: ExportBundle, folder: Path, rows: np.ndarray | None = None, progress: Progress = silent
) -> list[str]:
    """A path for each of `rows` (default all): the source's own file, else a PNG in `folder`,
    written when absent.

    A file that has been deleted since keeps its path. Raises Missing when there is neither file nor
    picture.
    """
    wanted = np.arange(len(bundle)) if rows is None else np.asarray(rows)
    own = bundle.table["path"].tolist()
    paths = [
        own[row] if _plain(own[row]) else str(folder / png_name(bundle.ids[row])) for row in wanted
    ]
    written = [
        (int(row), path) for row, path in zip(wanted, paths, strict=True) if not _plain(own[row])
    ]
    if written and (bundle.dataset is None or bundle.dataset.reader is None):
        raise Missing(
            f"{len(written)} of {len(wanted)} images have no picture; this target shows pictures: open the "
            "source with images=FOLDER and export again."
        )
    if written:
        folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(min(4, cpu_count())) as pool:
        for start in range(0, len(written), BLOCK):
            list(pool.map(lambda item: _write(bundle, *item), written[start : start + BLOCK]))
            progress(min(start + BLOCK, len(written)), len(written), "pictures")
    return paths


def png_name(key: str) -> str:
    """A file name for any id: its readable part and a hash, so that a/1.png and b/1.png stay two
    files."""
    stem = "".join(c if c.isalnum() and c.isascii() else "-" for c in Path(str(key)).stem)[
        :60
    ].strip("-")
    return f"{stem or 'image'}-{hashlib.sha256(str(key).encode()).hexdigest()[:10]}.png"


def describe(paths: list[str], progress: Progress = silent) -> list[dict[str, Any] | None]:
    """{size_bytes, mime_type, width, height, num_channels} of each file from its header; None when
    it is not there."""
    found: list[dict[str, Any] | None] = []
    with ThreadPoolExecutor(min(4, cpu_count())) as pool:
        for start in range(0, len(paths), BLOCK):
            found += pool.map(_describe, paths[start : start + BLOCK])
            progress(len(found), len(paths), "files")
    return found


def _plain(path: Any) -> bool:
    """Whether the source names a file that text formats can name too (undecodable names cannot be
    written in JSON)."""
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


def _describe(path: str) -> dict[str, Any] | None:
    try:
        size = os.stat(path).st_size
        with Image.open(path) as image:
            width, height = image.size
            if image.format == "JPEG" and image.getexif().get(274) in UPRIGHT:
                width, height = height, width
            return dict(
                size_bytes=size,
                mime_type=image.get_format_mimetype() or "image/unknown",
                width=width,
                height=height,
                num_channels=len(image.getbands()),
            )
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError):
        return None
