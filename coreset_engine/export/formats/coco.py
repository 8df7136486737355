"""COCO JSON for the images to label: entries, classes as categories, the image files beside it.

COCO has no image-level label, so by default `annotations` is empty, which every labelling tool
takes as "to do". With prelabel=true each image gets one box around all of it with its class, which
most tools show as a suggestion. Category numbers are those of the source plus one, whatever was
kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coreset_engine.artifacts import filesystem
from coreset_engine.core.types import Progress, silent
from coreset_engine.export.bundle import ExportBundle
from coreset_engine.export.formats import images as pictures
from coreset_engine.export.formats.image_files import upright_size
from coreset_engine.export.objects import has_objects, pictures_of
from coreset_engine.export.staging import fresh


def write_coco(
    bundle: ExportBundle,
    destination: str | Path,
    progress: Progress = silent,
    *,
    link: str = "hard",
    labels: str = "auto",
    prelabel: bool = False,
) -> dict[str, Any]:
    """Write coco.json and images/ into `destination`, best image first.

    A selection of objects gives the pictures that hold them, with the boxes of the kept ones.

    Parameters
    ----------
    bundle, destination, progress
        What to write where, and whom to tell.
    link
        "hard" or "copy".
    labels
        "truth", "pseudo" or "auto": see `pictures.class_labels`.
    prelabel
        Suggest the class of each image as one box around all of it.

    Raises
    ------
    Missing
        Without pictures.
    BadInput
        When `destination` cannot be written or an option is unknown.
    """
    pictures.check_link(link)
    destination = Path(destination)
    rows = pictures.kept(bundle)
    classes = pictures.class_labels(bundle, labels)
    if has_objects(bundle):
        return _write_objects(bundle, destination, classes, link, progress)
    images = []
    boxes: list[dict[str, Any]] = []
    with filesystem.writing(destination):
        folder = fresh(destination / "images")
        for number, row in enumerate(rows, 1):
            path = pictures.put(bundle, row, folder, link)
            image = _image(bundle, row, number, path)
            images.append(image)
            code = classes.code(row) if prelabel else None
            if code is not None:
                boxes.append(_box(len(boxes) + 1, image, code + 1))
            progress(number, len(rows), "pictures")
        pictures.write_json(
            destination / "coco.json", _document(bundle, images, boxes, classes.names)
        )
    return dict(images=len(images), annotations=len(boxes), path=str(destination / "coco.json"))


def _write_objects(
    bundle: ExportBundle, destination: Path, classes: Any, link: str, progress: Progress
) -> dict[str, Any]:
    """The pictures that hold kept objects, and the objects' boxes as annotations."""
    dataset, objects = pictures_of(bundle)
    rows = pictures.kept(dataset)
    images = []
    boxes: list[dict[str, Any]] = []
    with filesystem.writing(destination):
        folder = fresh(destination / "images")
        for number, row in enumerate(rows, 1):
            image = _image(dataset, row, number, pictures.put(dataset, row, folder, link))
            images.append(image)
            for one in objects[row]:
                category = classes.code(one.row)
                annotation = _box(len(boxes) + 1, image, 1 if category is None else category + 1)
                area = one.box[2] * one.box[3]
                own = dict(id=one.id, **pictures.scores(bundle, one.row))
                boxes.append(annotation | dict(bbox=list(one.box), area=area, coreset=own))
            progress(number, len(rows), "pictures")
        names = classes.names or ("object",)
        pictures.write_json(destination / "coco.json", _document(dataset, images, boxes, names))
    return dict(images=len(images), annotations=len(boxes), path=str(destination / "coco.json"))


def _image(bundle: ExportBundle, row: int, number: int, path: Path) -> dict[str, Any]:
    """Sizes are those of the picture as shown, after its EXIF orientation."""
    width, height = upright_size(path)
    return dict(
        id=number,
        file_name=path.name,
        width=width,
        height=height,
        coreset=dict(id=str(bundle.ids[row]), **pictures.scores(bundle, row)),
    )


def _box(number: int, image: dict[str, Any], category: int) -> dict[str, Any]:
    return dict(
        id=number,
        image_id=image["id"],
        category_id=category,
        iscrowd=0,
        bbox=[0, 0, image["width"], image["height"]],
        area=image["width"] * image["height"],
        segmentation=[],
    )


def _document(
    bundle: ExportBundle, images: list[dict], boxes: list[dict], names: tuple[str, ...]
) -> dict[str, Any]:
    method = bundle.manifest.get("method")
    return dict(
        info=dict(description=f"coreset by {method}, {len(images)} of {len(bundle)} images"),
        licenses=[],
        images=images,
        annotations=boxes,
        categories=[
            dict(id=number, name=name, supercategory="") for number, name in enumerate(names, 1)
        ],
    )
