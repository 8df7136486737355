"""ImageFolder layout, train/CLASS/image and val/CLASS/image, as torchvision and timm read it.

Hard links cost no space and no time; where the disk cannot, copies. samples.csv says which file is
which image, with the loss weight; classes.json gives every folder its class name and number. A
class that is in train is also in val, or the two parts would number their classes differently: a
class of one image has that image in both. Images without a class go to unlabelled/, beside train.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.artifacts import filesystem
from coreset_engine.core.classes import CLASSES_FILE, CLASSES_FORMAT, folder_names
from coreset_engine.core.types import Progress, silent
from coreset_engine.export.bundle import ExportBundle
from coreset_engine.export.formats import images
from coreset_engine.export.staging import discard, fresh

UNLABELLED = "unlabelled"
PARTS = ("train", "val", UNLABELLED)


def write_imagefolder(  # noqa: PLR0913
    bundle: ExportBundle,
    destination: str | Path,
    progress: Progress = silent,
    *,
    val: float = 0.1,
    link: str = "hard",
    labels: str = "auto",
    seed: int = 0,
) -> dict[str, Any]:
    """Write train/, val/, samples.csv and classes.json into `destination`.

    Parameters
    ----------
    bundle, destination, progress
        What to write where, and whom to tell.
    val
        Share held out of every class, 0 <= val < 1; 0 writes no val/.
    link
        "hard" or "copy".
    labels
        "truth", "pseudo" (clusters), or "auto": truth where known.
    seed
        Of the draw of the validation part.

    Raises
    ------
    Missing
        Without pictures.
    BadInput
        When the folder cannot be written or holds something else.
    """
    images.check_link(link)
    destination = Path(destination)
    rows = images.kept(bundle)
    classes = images.class_labels(bundle, labels)
    parts = _parts(bundle, rows, classes, val, seed)
    with filesystem.writing(destination):
        _write_classes(destination, classes)
        _write_pictures(bundle, destination, classes, parts, link, progress)
    return _summary(destination, rows, classes, parts)


def _parts(
    bundle: ExportBundle, rows: np.ndarray, classes: images.ClassLabels, val: float, seed: int
) -> list[tuple[int, str]]:
    """(row, part) of every file, best first; an image that is its class's only one is in two."""
    codes = classes.codes[rows]
    out = images.held_out([str(bundle.ids[row]) for row in rows], codes.tolist(), val, seed)
    counts = np.bincount(codes[codes >= 0], minlength=len(classes.names))
    parts: list[tuple[int, str]] = []
    for row, code, held in zip(rows.tolist(), codes.tolist(), out.tolist(), strict=True):
        if code < 0 and classes.names:
            parts.append((row, UNLABELLED))
            continue
        parts.append((row, "val" if held else "train"))
        if code >= 0 and counts[code] == 1 and val > 0:
            parts.append((row, "val"))
    return parts


def _write_classes(destination: Path, classes: images.ClassLabels) -> None:
    destination.mkdir(parents=True, exist_ok=True)
    folders = folder_names(classes.names)
    table = [
        dict(index=code, name=name, folder=folders[name]) for code, name in enumerate(classes.names)
    ]
    images.write_json(destination / CLASSES_FILE, dict(format=CLASSES_FORMAT, classes=table))


def _write_pictures(
    bundle: ExportBundle,
    destination: Path,
    classes: images.ClassLabels,
    parts: list[tuple[int, str]],
    link: str,
    progress: Progress,
) -> None:
    folders = folder_names(classes.names)
    weights = bundle.table["weight"].to_numpy(float)
    used = {part for _, part in parts} | {"train"}
    for part in PARTS:
        if part in used:
            fresh(destination / part)
        else:
            discard(destination / part)
    with open(destination / "samples.csv", "w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(["file", "id", "class", "part", "weight"])
        for number, (row, part) in enumerate(parts, 1):
            name = classes.name(row)
            folder = destination / part
            if part != UNLABELLED:
                folder = folder / (UNLABELLED if name is None else folders[name])
                folder.mkdir(exist_ok=True)
            path = images.put(bundle, row, folder, link)
            file_name = path.relative_to(destination).as_posix()
            key = images.clean(bundle.ids[row])
            lines.writerow([file_name, key, name or "", part, f"{weights[row]:.17g}"])
            progress(number, len(parts), "pictures")


def _summary(
    destination: Path, rows: np.ndarray, classes: images.ClassLabels, parts: list[tuple[int, str]]
) -> dict[str, Any]:
    number = {part: sum(one == part for _, one in parts) for part in PARTS}
    both = len(parts) - len(rows)
    summary = dict(
        train=number["train"],
        val=number["val"] - both,
        classes=len({classes.code(row) for row in rows.tolist()} - {None}),
        path=str(destination),
    )
    if number[UNLABELLED]:
        summary["unlabelled"] = number[UNLABELLED]
    if both:
        summary["note"] = (
            f"{both} {'class has' if both == 1 else 'classes have'} one image, which is in train "
            "and in val."
        )
    return summary
