"""What the files of images say besides their pixels: size in pixels and bytes, time, EXIF.

One look at each file's header, the first time a filter, colour or count asks for it; kept in the
workspace by the dataset's fingerprint.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from coreset_engine.core.errors import Missing
from coreset_engine.core.types import Dataset, Progress
from coreset_engine.sources.decoding import FORMATS

STAGE = "file_facts"
VERSION = 1
FILE = ("width", "height", "aspect", "size", "modified")
EXIF = ("exif_time", "exif_camera", "exif_orientation", "exif_gps")
NAMES = FILE + EXIF
_MAKE, _MODEL, _ORIENTATION, _TIME, _EXIF_IFD, _GPS_IFD, _TAKEN = (
    *(0x010F, 0x0110, 0x0112, 0x0132),
    *(0x8769, 0x8825, 0x9003),
)
_TURNED = (5, 6, 7, 8)
_EVERY = 256  # files between two reports of progress


def read_facts(dataset: Dataset, progress: Progress) -> dict[str, np.ndarray]:
    """name -> (N,) of NAMES; NaN and "" where a file does not say. progress: unit "files".

    Width and height are those of the picture as shown, after its EXIF orientation. Images that are
    not single files have a width and a height only.

    Raises
    ------
    Missing
        For a source of vectors without images.
    """
    if dataset.paths is None and dataset.reader is None:
        raise Missing(
            f"{dataset.spec!r} has vectors but no images, so no {', '.join(FILE)}; open it with "
            "images=FOLDER (--images)."
        )
    n = len(dataset)
    facts: dict[str, np.ndarray] = {
        name: np.full(n, np.nan) for name in NAMES if name != "exif_camera"
    }
    cameras = [""] * n
    for i in range(n):
        read = _look(dataset, i)
        cameras[i] = read.pop("exif_camera", "")
        for name, value in read.items():
            facts[name][i] = value
        if i % _EVERY == 0:
            progress(i, n, "files")
    progress(n, n, "files")
    facts["aspect"] = facts["width"] / facts["height"]
    return facts | {"exif_camera": np.array(cameras, str)}


def _look(dataset: Dataset, i: int) -> dict[str, Any]:
    path = str(dataset.paths[i]) if dataset.paths is not None else ""
    if not os.path.isfile(path):
        if dataset.reader is None:
            return {}
        width, height = dataset.image(i).size
        return dict(width=width, height=height)
    about = os.stat(path)
    return dict(size=about.st_size, modified=about.st_mtime) | _header(path)


def _header(path: str) -> dict[str, Any]:
    """Size in pixels and EXIF from the header; {} for one that cannot be read."""
    from PIL import Image

    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            exif = image.getexif()
    except Exception:  # noqa: BLE001 - decoders raise anything; such a file has no facts
        return {}
    try:
        facts = _exif(exif)
    except Exception:  # noqa: BLE001 - a broken EXIF block says nothing about the picture
        facts = {}
    if facts.get("exif_orientation") in _TURNED:
        width, height = height, width
    return dict(width=width, height=height) | facts


def _exif(exif: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {"exif_gps": float(bool(exif.get_ifd(_GPS_IFD)))}
    if _ORIENTATION in exif:
        facts["exif_orientation"] = float(exif[_ORIENTATION])
    words = [_clean(exif.get(tag, "")) for tag in (_MAKE, _MODEL)]
    if words[1].startswith(words[0]):
        words = words[1:]
    facts["exif_camera"] = " ".join(word for word in words if word)
    taken = _clean(exif.get_ifd(_EXIF_IFD).get(_TAKEN, "")) or _clean(exif.get(_TIME, ""))
    seconds = _seconds(taken)
    return facts if seconds is None else facts | {"exif_time": seconds}


def _clean(value: Any) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return " ".join(text.replace("\0", " ").split())


def _seconds(text: str) -> float | None:
    """Seconds since 1970 of EXIF's "2024:01:05 10:00:00", in the camera's own clock."""
    day, _, clock = text.partition(" ")
    try:
        moment = np.datetime64(f"{day.replace(':', '-')}T{clock or '00:00:00'}")
    except ValueError:
        return None
    return float(moment.astype("M8[s]").astype(np.int64))
