"""ImageFolder layout: train/CLASS/picture and val/CLASS/picture, as torchvision, timm, Keras and
fastai read it.

Hard links cost no space and no time; where the disk cannot, copies. samples.csv says which file is
which image, with the loss weight. A source's own test part is no business of ours: `val` is taken
from the coreset.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Progress, silent
from coreset_engine.export.bundle import ExportBundle
from coreset_engine.export.formats import images


def write_imagefolder(
    bundle: ExportBundle,
    place: str | Path,
    progress: Progress = silent,
    *,
    val: float = 0.1,
    link: str = "hard",
    labels: str = "auto",
    seed: int = 0,
) -> dict[str, Any]:
    """Write train/ and val/ and samples.csv into `place`. val: share held out of every class. link:
    hard or copy.

    labels: "truth", "pseudo" (clusters), or "auto": truth where known. Raises Missing without
    pictures, BadInput when the folder cannot be written or holds something else.
    """
    images.check_link(link)
    place = Path(place)
    rows = images.kept(bundle)
    names = images.class_names(bundle, labels)
    taken = {}
    folders = [images.safe(names[row], taken) for row in rows]
    out = images.held_out([str(bundle.ids[row]) for row in rows], folders, val, seed)
    weights = bundle.table["weight"].to_numpy(float)
    try:
        parts = {name: images.fresh(place / name) for name in ("train", "val")}
        with open(place / "samples.csv", "w", newline="", encoding="utf-8") as file:
            lines = csv.writer(file)
            lines.writerow(["file", "id", "class", "part", "weight"])
            for number, row in enumerate(rows):
                part = "val" if out[number] else "train"
                folder = parts[part] / folders[number]
                folder.mkdir(exist_ok=True)
                path = images.put(bundle, row, folder, link)
                lines.writerow(
                    [
                        path.relative_to(place).as_posix(),
                        images.clean(bundle.ids[row]),
                        names[row] or "",
                        part,
                        f"{weights[row]:.17g}",
                    ]
                )
                progress(number + 1, len(rows), "pictures")
    except OSError as fault:
        raise BadInput(
            f"{str(place)!r} cannot be written ({fault.strerror or fault}); choose a folder you can write, "
            "on a disk with room."
        ) from None
    return dict(
        train=int((~out).sum()), val=int(out.sum()), classes=len(set(folders)), path=str(place)
    )
