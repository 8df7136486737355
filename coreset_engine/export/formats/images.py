"""What targets that carry pictures share: which rows, which class, which safe name; linked, copied
or encoded.

Files are taken from the opened source only, never from a path a table claims, so that a selection
folder from a stranger cannot make us hand on a file of ours.
"""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.export.bundle import ExportBundle
from coreset_engine.export.formats.image_files import png_name

MARK = ".coreset-export"
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


def kept(bundle: ExportBundle) -> np.ndarray:
    """(k,) int64 rows of the coreset, best first. Raises Missing when the source cannot give their
    pictures."""
    rows = np.flatnonzero(bundle.selected)
    rows = rows[np.argsort(bundle.table["rank"].to_numpy()[rows], kind="stable")]
    if bundle.dataset is None or bundle.dataset.reader is None:
        raise Missing(
            "this target carries pictures and the source has none that can be opened; open it with "
            "images=FOLDER, or take csv."
        )
    gone = rows[bundle.position[rows] < 0]
    if len(gone):
        raise Missing(
            f"{len(gone)} of {len(rows)} kept images are not in the source any more, the first: "
            f"{str(bundle.ids[gone[0]])!r}; choose again on the source as it is now."
        )
    return rows


def class_names(bundle: ExportBundle, labels: str = "auto") -> list[str | None]:
    """(N,) class of each image: true ("truth"), of the cluster ("pseudo"), or the first of the two
    that exists."""
    if labels not in LABELS:
        raise BadInput(f"labels={labels!r} is not offered; choose one of {', '.join(LABELS)}.")
    if labels != "pseudo" and bundle.truth is not None:
        return [None if name is None else clean(name) for name in bundle.truth]
    if labels != "truth" and "pseudo_label" in bundle.table:
        return [clean(bundle.cluster_name(code)) for code in bundle.table["pseudo_label"].tolist()]
    if labels != "auto":
        raise Missing(
            f"labels={labels!r} was asked for and the selection has none of them; use labels=auto."
        )
    return [None] * len(bundle)


def clean(text: Any) -> str:
    """What UTF-8 and XML can hold: undecodable bytes and control characters as \\xNN."""
    plain = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))
    return plain.encode("utf-8", "backslashreplace").decode() or "(empty)"


def safe(name: str | None, taken: dict[str, str]) -> str:
    """A folder name for any class name: plain ASCII, never a dot file, different for different
    classes.

    taken: folder name in lower case -> class it stands for; filled here.
    """
    if name is None:
        return "unlabelled"
    plain = (
        "".join(c if c.isascii() and (c.isalnum() or c in "-_ ") else "-" for c in name).strip(
            " -"
        )[:60]
        or "class"
    )
    place = plain
    number = 1
    while taken.setdefault(place.lower(), name) != name:
        number += 1
        place = f"{plain}-{number}"
    return place


def picture(bundle: ExportBundle, row: int) -> tuple[bytes, str]:
    """(encoded bytes, extension): the source's own file as it is, else a PNG."""
    path = own_file(bundle, row)
    if path is not None:
        return path.read_bytes(), KNOWN[path.suffix.lower()]
    out = io.BytesIO()
    bundle.image(row).save(out, "PNG", compress_level=1)
    return out.getvalue(), "png"


def own_file(bundle: ExportBundle, row: int) -> Path | None:
    """The source's file of a row when it is a plain picture file."""
    paths = bundle.dataset.paths if bundle.dataset is not None else None
    found = paths[bundle.position[row]] if paths is not None and bundle.position[row] >= 0 else None
    path = Path(found) if isinstance(found, str) and found else None
    return path if path is not None and path.suffix.lower() in KNOWN and path.is_file() else None


def put(bundle: ExportBundle, row: int, folder: Path, link: str = "hard") -> Path:
    """The picture of a row in `folder` under a safe name: a hard link where the disk can, else a
    copy, else a PNG."""
    path = own_file(bundle, row)
    target = folder / png_name(bundle.ids[row])
    if path is None:
        target.write_bytes(picture(bundle, row)[0])
        return target
    target = target.with_suffix(f".{KNOWN[path.suffix.lower()]}")
    if link == "hard":
        try:
            os.link(path.resolve(), target)
            return target
        except OSError as fault:
            if fault.errno not in (
                errno.EXDEV,
                errno.EPERM,
                errno.EMLINK,
                errno.EACCES,
                errno.ENOTSUP,
            ):
                raise
    shutil.copyfile(path, target)
    return target


def fresh(folder: Path) -> Path:
    """An empty folder that is ours: one from an earlier export is replaced, anybody else's
    refused."""
    if folder.is_symlink() or (
        folder.exists()
        and not (folder / MARK).is_file()
        and (not folder.is_dir() or any(folder.iterdir()))
    ):
        raise BadInput(
            f"{str(folder)!r} exists and was not made by an export; choose a new or an empty folder."
        )
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARK).write_text(
        "made by an export of Coreset Explorer; replaced as a whole by the next one\n"
    )
    return folder


def check_link(link: str) -> None:
    if link not in LINKS:
        raise BadInput(f"link={link!r} is not offered; choose one of {', '.join(LINKS)}.")


def held_out(ids: list[str], classes: list[str], share: float, seed: int) -> np.ndarray:
    """(k,) bool: the validation part, `share` of every class rounded half up, by a hash of seed and
    id.

    The same images for the same seed, whatever else is exported; a class of one image stays in
    training.
    """
    import hashlib

    if not (isinstance(share, int | float) and 0 <= share < 1):
        raise BadInput(f"val={share} must be at least 0 and below 1, for example val=0.1.")
    draw = np.array(
        [hashlib.sha256(f"{seed}\0{key}".encode(errors="surrogatepass")).hexdigest() for key in ids]
    )
    out = np.zeros(len(ids), bool)
    for name in sorted(set(classes)):
        members = np.flatnonzero([other == name for other in classes])
        count = min(int(share * len(members) + 0.5), len(members) - 1)
        out[members[np.argsort(draw[members], kind="stable")[:count]]] = True
    return out


def scores(bundle: ExportBundle, row: int) -> dict[str, Any]:
    """The row's numbers as JSON can hold them; infinite and missing ones are None."""
    found = {}
    for name in bundle.table.columns:
        value = bundle.table[name].iat[row]
        if name in ("id", "path", "selected"):
            continue
        if isinstance(value, int | float | np.integer | np.floating):
            found[name] = (
                int(value)
                if isinstance(value, int | np.integer)
                else (float(value) if np.isfinite(value) else None)
            )
    return found


def write_json(path: Path, value: Any) -> None:
    path.write_text(
        json.dumps(value, indent=1, ensure_ascii=True, allow_nan=False), encoding="ascii"
    )
