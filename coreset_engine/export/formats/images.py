"""Shared by targets with images: rows, class, safe name; linked, copied or encoded files.

Files are taken from the opened source only, never from a path a table claims, so that a selection
untrusted folder cannot make an export include another file of this machine.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.export.bundle import ExportBundle
from coreset_engine.export.formats.image_files import (
    TRAINING,
    Viewer,
    png_name,
    shown_by,
)

KNOWN = {
    ".jpg": "jpg",
    ".jpeg": "jpg",
    ".png": "png",
    ".webp": "webp",
    ".bmp": "bmp",
    ".gif": "gif",
    ".tif": "tif",
    ".tiff": "tif",
}
LABELS = ("auto", "truth", "pseudo")
LINKS = ("hard", "copy")


@dataclass(frozen=True)
class ClassLabels:
    """The class of every image, and the one list that numbers the classes in every export.

    Parameters
    ----------
    names : tuple of str
        Every class of the source in its order, also those without a kept image.
    codes : ndarray, shape (N,), int64
        Position in `names`; -1 = unlabelled.
    """

    names: tuple[str, ...]
    codes: np.ndarray

    def name(self, row: int) -> str | None:
        """The class name of a row; None = unlabelled."""
        return self.names[self.codes[row]] if self.codes[row] >= 0 else None

    def code(self, row: int) -> int | None:
        """The class number of a row; None = unlabelled."""
        return int(self.codes[row]) if self.codes[row] >= 0 else None


def suggested_labels(bundle: ExportBundle, labels: str = "auto") -> ClassLabels:
    """What an annotator is shown as a first guess, with every class that may be chosen.

    The class of label spreading where labels were given, else as `class_labels`.
    """
    if labels == "truth" or "suggested_label" not in bundle.table:
        return class_labels(bundle, labels)
    guesses = [str(name) for name in bundle.table["suggested_label"]]
    known = dict.fromkeys([*bundle.truth_names, *sorted(set(guesses))])
    number = {name: code for code, name in enumerate(known)}
    return ClassLabels(_distinct(tuple(known)), np.array([number[name] for name in guesses]))


def kept(bundle: ExportBundle, among: np.ndarray | None = None) -> np.ndarray:
    """Rows of the coreset, best first; among: (N,) bool, those of it that are wanted.

    Returns
    -------
    ndarray, shape (k,), int64

    Raises
    ------
    Missing
        When the source cannot give their pictures.
    """
    rows = np.flatnonzero(bundle.selected if among is None else bundle.selected & among)
    rows = rows[np.argsort(bundle.table["rank"].to_numpy()[rows], kind="stable")]
    if bundle.dataset is None or bundle.dataset.reader is None:
        raise Missing(
            "this target needs image files and the source has none that can be opened; give their "
            "current folder (--images FOLDER), or export to csv."
        )
    gone = rows[bundle.position[rows] < 0]
    if len(gone):
        raise Missing(
            f"{len(gone)} of {len(rows)} kept images are no longer in the source, the first: "
            f"{str(bundle.ids[gone[0]])!r}; select again on the current source."
        )
    return rows


def class_labels(bundle: ExportBundle, labels: str = "auto") -> ClassLabels:
    """The class of every image, numbered as in the source.

    Parameters
    ----------
    bundle
        The selection.
    labels
        "truth", "pseudo" (the name of its cluster), or "auto": the first of the two that exists.

    Raises
    ------
    BadInput
        For another word.
    Missing
        When the labels requested do not exist.
    """
    if labels not in LABELS:
        raise BadInput(f"labels={labels!r} is not supported; choose one of {', '.join(LABELS)}.")
    if labels != "pseudo" and bundle.truth_codes is not None:
        return ClassLabels(_distinct(bundle.truth_names), bundle.truth_codes)
    if labels != "truth" and "pseudo_label" in bundle.table:
        return _by_cluster(bundle)
    if labels != "auto":
        raise Missing(
            f"labels={labels!r} was requested but the selection has none; use labels=auto."
        )
    return ClassLabels((), np.full(len(bundle), -1, np.int64))


def _by_cluster(bundle: ExportBundle) -> ClassLabels:
    """Cluster names as classes; clusters the user gave one name are one class."""
    clusters = bundle.table["pseudo_label"].to_numpy().astype(np.int64)
    count = int(clusters.max(initial=-1)) + 1
    called = [clean(bundle.cluster_name(code)) for code in range(count)]
    names = tuple(dict.fromkeys(called))
    number = np.array([names.index(name) for name in called], np.int64)
    return ClassLabels(names, number[clusters] if count else clusters)


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Cleaned names, with a number behind those that only cleaning made equal."""
    kept_names: dict[str, None] = {}
    for name in map(clean, names):
        trial = name
        number = 1
        while trial in kept_names:
            number += 1
            trial = f"{name} ({number})"
        kept_names[trial] = None
    return tuple(kept_names)


def clean(text: Any) -> str:
    """What UTF-8 and XML can hold: undecodable bytes and control characters as \\xNN."""
    plain = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))
    return plain.encode("utf-8", "backslashreplace").decode()


def picture(bundle: ExportBundle, row: int, viewer: Viewer = TRAINING) -> tuple[bytes, str]:
    """(encoded bytes, extension): the source's file as it is, a PNG where `viewer` shows none."""
    path = own_file(bundle, row)
    if path is not None and shown_by(viewer, path):
        return path.read_bytes(), KNOWN[path.suffix.lower()]
    out = io.BytesIO()
    bundle.image(row).save(out, "PNG", compress_level=1)
    return out.getvalue(), "png"


def own_file(bundle: ExportBundle, row: int) -> Path | None:
    """The source's file of a row when it is a plain picture file."""
    paths = bundle.dataset.paths if bundle.dataset is not None else None
    own_path = (
        paths[bundle.position[row]] if paths is not None and bundle.position[row] >= 0 else None
    )
    path = Path(own_path) if isinstance(own_path, str) and own_path else None
    return path if path is not None and path.suffix.lower() in KNOWN and path.is_file() else None


def put(
    bundle: ExportBundle, row: int, folder: Path, link: str = "hard", viewer: Viewer = TRAINING
) -> Path:
    """Put the picture of a row into `folder` under a safe name.

    Parameters
    ----------
    bundle : ExportBundle
    row : int
        Position in the bundle.
    folder : path
    link : str
        "hard" (a hard link where the disk can, else a copy) or "copy".
    viewer : Viewer
        Who must be able to show it; a PNG is written where there is no file or it cannot.

    Returns
    -------
    Path
        The picture.
    """
    path = own_file(bundle, row)
    target = folder / png_name(bundle.ids[row])
    if path is None or not shown_by(viewer, path):
        bundle.image(row).save(target, "PNG", compress_level=1)
        return target
    target = target.with_suffix(f".{KNOWN[path.suffix.lower()]}")
    if link == "hard" and _linked(path, target):
        return target
    shutil.copyfile(path, target)
    return target


def _linked(path: Path, target: Path) -> bool:
    """Whether a hard link could be made; False where disk or rights do not allow one."""
    refused = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EACCES, errno.ENOTSUP)
    try:
        os.link(path.resolve(), target)
    except OSError as error:
        if error.errno not in refused:
            raise
        return False
    return True


def check_link(link: str) -> None:
    if link not in LINKS:
        raise BadInput(f"link={link!r} is not supported; choose one of {', '.join(LINKS)}.")


def held_out(
    ids: Sequence[str], classes: Sequence[str | int], share: float, seed: int
) -> np.ndarray:
    """The validation part: `share` of every class rounded half up, by a hash of seed and id.

    At least one image of every class of two or more, so that no class lacks a validation image; a
    class of one image stays in training. The same images for the same seed, whatever else is
    exported.

    Parameters
    ----------
    ids, classes : sequence, length k
    share
        0 <= share < 1; 0 holds nothing out.
    seed
        Of the hash.

    Returns
    -------
    ndarray, shape (k,), bool
    """
    if not (isinstance(share, int | float) and 0 <= share < 1):
        raise BadInput(f"val={share} must be at least 0 and below 1, for example val=0.1.")
    draw = np.array(
        [hashlib.sha256(f"{seed}\0{key}".encode(errors="surrogatepass")).hexdigest() for key in ids]
    )
    out = np.zeros(len(ids), bool)
    if share == 0:
        return out
    members_of: dict[str | int, list[int]] = {}
    for position, name in enumerate(classes):
        members_of.setdefault(name, []).append(position)
    for members in map(np.array, members_of.values()):
        count = min(max(1, int(share * len(members) + 0.5)), len(members) - 1)
        out[members[np.argsort(draw[members], kind="stable")[:count]]] = True
    return out


def scores(bundle: ExportBundle, row: int) -> dict[str, Any]:
    """The row's numbers as JSON can hold them, infinite and missing ones as None; and its tags."""
    values: dict[str, Any] = {}
    if "tags" in bundle.table:
        values["tags"] = bundle.image_tags[row]
    for name in bundle.table.columns:
        value = bundle.table[name].iat[row]
        if name in ("id", "path", "selected"):
            continue
        if isinstance(value, int | np.integer):
            values[name] = int(value)
        elif isinstance(value, float | np.floating):
            values[name] = float(value) if np.isfinite(value) else None
    return values


def write_json(path: Path, value: Any) -> None:
    path.write_text(
        json.dumps(value, indent=1, ensure_ascii=True, allow_nan=False), encoding="ascii"
    )
