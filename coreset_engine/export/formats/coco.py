"""COCO JSON for the images to label: images.json entries, the classes as categories, and the
pictures beside it.

COCO has no image-level label, so by default `annotations` is empty, which every labelling tool
takes as "to do". With prelabel=true each image gets one box around all of it with its class, which
most tools show as a suggestion.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Progress, silent
from coreset_engine.export.bundle import ExportBundle
from coreset_engine.export.formats import images as pictures


def write_coco(
    bundle: ExportBundle,
    place: str | Path,
    progress: Progress = silent,
    *,
    link: str = "hard",
    labels: str = "auto",
    prelabel: bool = False,
) -> dict[str, Any]:
    """Write coco.json and images/ into `place`, best image first. Raises Missing without pictures,
    BadInput else."""
    pictures.check_link(link)
    place = Path(place)
    rows = pictures.kept(bundle)
    names = pictures.class_names(bundle, labels)
    known = sorted({name for name in names if name is not None})
    number_of = {name: number for number, name in enumerate(known, 1)}
    images = []
    boxes = []
    try:
        folder = pictures.fresh(place / "images")
        for number, row in enumerate(rows, 1):
            width, height = bundle.image(row).size
            path = pictures.put(bundle, row, folder, link)
            images.append(
                dict(
                    id=number,
                    file_name=path.name,
                    width=width,
                    height=height,
                    coreset=dict(id=str(bundle.ids[row]), **pictures.scores(bundle, row)),
                )
            )
            if prelabel and names[row] is not None:
                boxes.append(
                    dict(
                        id=len(boxes) + 1,
                        image_id=number,
                        category_id=number_of[names[row]],
                        iscrowd=0,
                        bbox=[0, 0, width, height],
                        area=width * height,
                        segmentation=[],
                    )
                )
            progress(number, len(rows), "pictures")
        pictures.write_json(
            place / "coco.json",
            dict(
                info=dict(
                    description=f"coreset by {bundle.manifest.get('method')}, {len(rows)} of {len(bundle)} images"
                ),
                licenses=[],
                images=images,
                annotations=boxes,
                categories=[
                    dict(id=number, name=name, supercategory="")
                    for name, number in number_of.items()
                ],
            ),
        )
    except OSError as fault:
        raise BadInput(
            f"{str(place)!r} cannot be written ({fault.strerror or fault}); choose a folder you can write, "
            "on a disk with room."
        ) from None
    return dict(images=len(images), annotations=len(boxes), path=str(place / "coco.json"))
