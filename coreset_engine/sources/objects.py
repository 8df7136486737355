"""Objects as images: the content of boxes, cut out of their pictures with a small margin.

Boxes come from a COCO file, from YOLO labels, or from a detections field of FiftyOne. Every box is
an image of its own, with the id IMAGE#BOX, its class, and the columns `image`, `x`, `y`, `width`
and `height` (pixels of the upright picture). Boxes that reach outside their picture are clipped,
those without an area in it are skipped; both are counted.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from PIL import Image

from coreset_engine.core.counted import counted
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Dataset, Note, Rejected
from coreset_engine.core.user_paths import user_path
from coreset_engine.sources.label_formats import yolo_class_names
from coreset_engine.sources.name_index import NameIndex
from coreset_engine.sources.safe_names import safe_name, string_array
from coreset_engine.sources.tables import decoded

MARGIN = 0.1  # of a box's width and height, added on each side of the crop
SMALLEST = 2.0  # pixels a side
BOX_COLUMNS = ("x", "y", "width", "height")
_EXAMPLES = 3


@dataclass
class Boxes:
    """Boxes as they were read, one entry each.

    rows: row of the picture. boxes: x, y, width, height in pixels of the upright picture. names:
    class, "" = none. keys: the box's name within its source. skipped: reason -> examples and count.
    """

    rows: list[int] = field(default_factory=list)
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    skipped: dict[str, list[str]] = field(default_factory=dict)
    origin: str = ""

    def add(self, row: int, box: Sequence[float], name: str, key: str) -> None:
        """Add one box.

        Parameters
        ----------
        row : int
            Its picture, 0 <= row < N.
        box : sequence of 4 float
            x, y, width, height in pixels of the upright picture.
        name : str
            Class, "" = unknown.
        key : str
            Id of the annotation in its file.
        """
        x, y, width, height = (float(part) for part in box)
        self.rows.append(row)
        self.boxes.append((x, y, width, height))
        self.names.append(name)
        self.keys.append(key)

    def refuse(self, key: str, reason: str) -> None:
        self.skipped.setdefault(reason, []).append(key)


# -- reading ---------------------------------------------------------------------------------------


def boxes_of_file(
    root: Path, patches: str, names: Sequence[str], sizes: Sequence[tuple[int, int]]
) -> Boxes:
    """The boxes in a COCO file or a folder of YOLO labels.

    Parameters
    ----------
    root
        The source's folder; `patches` may lie below it.
    names
        Paths of the pictures below it.
    sizes
        (width, height) of each upright picture.

    Raises
    ------
    BadInput
        When `patches` is neither, or none of its boxes belongs to a picture.
    """
    typed_path = user_path(patches)
    path = typed_path if typed_path.exists() else root / patches
    if path.is_dir():
        boxes = _yolo(path, names, sizes)
    elif path.is_file():
        boxes = _coco(path, names, sizes)
    else:
        raise BadInput(
            f"patches={patches!r} (--patches) is neither a file nor a folder; give a COCO .json, "
            "or the folder of YOLO's label files."
        )
    boxes.origin = path.name
    return boxes


def _coco(path: Path, names: Sequence[str], sizes: Sequence[tuple[int, int]]) -> Boxes:
    document = _document(path)
    index = NameIndex(names)
    images = {
        repr(one["id"]): one
        for one in document["images"]
        if isinstance(one, dict) and "id" in one and isinstance(one.get("file_name"), str)
    }
    classes = {
        repr(one["id"]): str(one.get("name", one["id"]))
        for one in document.get("categories") or ()
        if isinstance(one, dict) and "id" in one
    }
    boxes = Boxes()
    keys = _coco_keys(document["annotations"])
    for key, one in zip(keys, document["annotations"], strict=True):
        image = images.get(repr(one.get("image_id"))) if isinstance(one, dict) else None
        row = index.find(image["file_name"]) if image else -1
        reason = _coco_reason(one, row, image, sizes)
        box = None if reason else _coco_box(one)
        if image is None or box is None:
            boxes.refuse(key, reason)
            continue
        scale = sizes[row][0] / image["width"] if _number(image.get("width")) else 1.0
        name = classes.get(repr(one.get("category_id")), "")
        boxes.add(row, [part * scale for part in box], name, key)
    return boxes


def _document(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(decoded(path.read_bytes()))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(
            f"patches={str(path)!r} cannot be read as JSON ({str(error)[:100]}); give a COCO file."
        ) from None
    parts = (
        [content.get(name) for name in ("images", "annotations")]
        if isinstance(content, dict)
        else []
    )
    if len(parts) != 2 or not all(isinstance(part, list) for part in parts):
        raise BadInput(
            f"patches={str(path)!r} is no COCO file: it needs the lists images and annotations."
        )
    return content


def _coco_keys(annotations: list[Any]) -> list[str]:
    """The annotations' ids where all are there and differ, else their numbers in the file."""
    ids = [one.get("id") if isinstance(one, dict) else None for one in annotations]
    texts = [str(key) for key in ids]
    if any(key is None for key in ids) or len(set(texts)) < len(texts):
        return [str(number) for number in range(len(annotations))]
    return texts


def _coco_reason(
    one: Any, row: int, image: Mapping[str, Any] | None, sizes: Sequence[tuple[int, int]]
) -> str:
    """Why an annotation gives no object, "" when it does."""
    if not isinstance(one, dict) or image is None or row < 0:
        return "names no usable image of this source"
    if one.get("iscrowd"):
        return "marks a crowd, not a single object"
    if _coco_box(one) is None:
        return "has no box of four numbers"
    declared_width = image.get("width")
    declared_height = image.get("height")
    if not _number(declared_width) or not _number(declared_height):
        return ""
    width, height = sizes[row]
    if abs(declared_width * height - declared_height * width) <= 0.02 * declared_height * width:
        return ""
    if (declared_width, declared_height) == (height, width):
        return "belongs to an image that EXIF rotates after the boxes were drawn; save it upright"
    return "belongs to an image whose shape differs from the file's"


def _coco_box(one: Mapping[str, Any]) -> list[float] | None:
    box = one.get("bbox")
    if isinstance(box, list) and len(box) == 4 and all(_number(part) for part in box):
        return box
    shapes = one.get("segmentation")
    if not isinstance(shapes, list) or not shapes:
        return None
    flat = [part for shape in shapes if isinstance(shape, list) for part in shape]
    return _extent(flat)


def _extent(flat: Sequence[Any]) -> list[float] | None:
    """x, y, width, height around a polygon given as x1, y1, x2, y2, ..."""
    if len(flat) < 6 or len(flat) % 2 or not all(_number(part) for part in flat):
        return None
    x = flat[0::2]
    y = flat[1::2]
    return [min(x), min(y), max(x) - min(x), max(y) - min(y)]


def _number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _yolo(folder: Path, names: Sequence[str], sizes: Sequence[tuple[int, int]]) -> Boxes:
    files = [path for path in sorted(folder.rglob("*.txt")) if path.name != "classes.txt"]
    if not files:
        raise BadInput(
            f"patches={str(folder)!r} holds no label files (.txt); give the folder that YOLO calls "
            "labels."
        )
    classes = yolo_class_names(folder) or yolo_class_names(folder.parent)
    find = _yolo_finder(names)
    boxes = Boxes()
    for path in files:
        relative = path.relative_to(folder).with_suffix("").as_posix()
        row = find(relative)
        text = path.read_text(encoding="utf-8", errors="replace")
        for number, line in enumerate(filter(str.strip, text.splitlines())):
            key = f"{relative}:{number + 1}"
            box = _yolo_box(line)
            if row < 0:
                boxes.refuse(key, "names no usable image of this source")
            elif box is None:
                boxes.refuse(key, "is no YOLO line (class x y width height)")
            else:
                width, height = sizes[row]
                scaled = np.array(box[1]) * (width, height, width, height)
                boxes.add(row, scaled.tolist(), classes.get(box[0], str(box[0])), str(number + 1))
    return boxes


def _yolo_finder(names: Sequence[str]) -> Callable[[str], int]:
    """Find the image of a label file: images/train/0.png of train/0 or labels/train/0."""
    pictures = NameIndex(names)
    below = NameIndex([name.rpartition("images/")[2] for name in names])

    def find(relative: str) -> int:
        head, separator, tail = f"/{relative}".rpartition("/labels/")
        if separator:
            row = pictures.find(f"{head}/images/{tail}".lstrip("/"))
            if row >= 0:
                return row
        row = below.find(tail if separator else relative)
        return row if row >= 0 else pictures.find(relative)

    return find


def _yolo_box(line: str) -> tuple[int, list[float]] | None:
    """(class number, x, y, width, height as shares) of a line with a box or a polygon."""
    words = line.split()
    try:
        number = int(words[0])
        values = [float(word) for word in words[1:]]
    except ValueError:
        return None
    if number < 0 or not all(map(math.isfinite, values)):
        return None
    if len(values) in (4, 5):  # a fifth number is the detector's confidence
        x, y, width, height = values[:4]
        return number, [x - width / 2, y - height / 2, width, height]
    extent = _extent(values)
    return None if extent is None else (number, extent)


# -- the dataset -----------------------------------------------------------------------------------


class ObjectReader:
    """Cuts objects out of their pictures; objects in a row share one decoded picture.

    pictures: the pictures. rows: (M,) int64 which of them. regions: (M, 4) int64 left, top, right,
    bottom. sizes: (width, height) of each picture.
    """

    def __init__(
        self,
        pictures: Dataset,
        rows: np.ndarray,
        regions: np.ndarray,
        sizes: Sequence[tuple[int, int]],
    ) -> None:
        """Cut objects out of the pictures of a dataset.

        Parameters
        ----------
        pictures : Dataset
            N pictures.
        rows : (M,) int64
            Picture of each object.
        regions : (M, 4) int64
            Left, top, right, bottom in pixels.
        sizes : sequence of (int, int)
            Width and height of each picture in pixels.
        """
        self.pictures = pictures
        self.rows = rows
        self.regions = regions
        self.sizes = sizes

    def __call__(self, i: int) -> Image.Image:
        return self.pictures.image(int(self.rows[i])).crop(tuple(self.regions[i].tolist()))

    def slice(self, begin: int, end: int) -> Iterator[Image.Image]:
        last = -1
        picture = None
        for i in range(begin, end):
            if picture is None or self.rows[i] != last:
                last = int(self.rows[i])
                picture = self.pictures.image(last)
            yield picture.crop(tuple(self.regions[i].tolist()))

    def take(self, rows: np.ndarray) -> ObjectReader:
        return ObjectReader(self.pictures, self.rows[rows], self.regions[rows], self.sizes)


def objects_of(pictures: Dataset, kept_boxes: Boxes, sizes: Sequence[tuple[int, int]]) -> Dataset:
    """The dataset of the objects in `pictures`, in the order of its pictures.

    Raises
    ------
    BadInput
        When no box has an area in its picture.
    """
    clipped = _clip(kept_boxes, sizes)
    order = sorted(range(len(kept_boxes.rows)), key=lambda at: kept_boxes.rows[at])
    if not order:
        reason, keys = next(iter(kept_boxes.skipped.items()), ("there is none", [""]))
        raise BadInput(
            f"{kept_boxes.origin!r} has no object for {pictures.spec[:120]!r}: {len(keys):,} "
            "skipped, for example"
            f" {keys[0]!r} {reason}; give the boxes of this source (--patches)."
        )
    rows = np.array([kept_boxes.rows[at] for at in order], np.int64)
    boxes = np.array([kept_boxes.boxes[at] for at in order], np.float64)
    ids = string_array(
        [f"{pictures.ids[kept_boxes.rows[at]]}#{safe_name(kept_boxes.keys[at])}" for at in order]
    )
    regions = _regions(boxes, np.array(sizes, np.int64)[rows])
    digests = _digests(pictures, rows, regions)
    labels, classes = _labels([kept_boxes.names[at] for at in order])
    columns = {name: np.asarray(column)[rows] for name, column in pictures.columns.items()}
    columns["image"] = np.asarray(pictures.ids)[rows]
    columns |= {name: boxes[:, at] for at, name in enumerate(BOX_COLUMNS)}
    kept = tuple(note for note in pictures.notes if note.topic in ("decoding", "splits"))
    return replace(
        pictures,
        ids=ids,
        fingerprint=_fingerprint(pictures, ids, regions),
        reader=ObjectReader(pictures, rows, regions, sizes),
        labels=labels,
        classes=classes,
        paths=None,
        columns=columns,
        digests=digests,
        rejected=(*_rejected(kept_boxes), *pictures.rejected),
        notes=(*_notes(kept_boxes, pictures, rows, clipped, classes), *kept),
    )


def _clip(boxes: Boxes, sizes: Sequence[tuple[int, int]]) -> int:
    """Clip boxes to their pictures and set those without an area aside; how many were clipped."""
    kept = Boxes(skipped=boxes.skipped, origin=boxes.origin)
    clipped = 0
    for row, box, name, key in zip(boxes.rows, boxes.boxes, boxes.names, boxes.keys, strict=True):
        x, y, width, height = box
        left = max(x, 0.0)
        top = max(y, 0.0)
        right = min(x + width, sizes[row][0])
        bottom = min(y + height, sizes[row][1])
        if width <= 0 or height <= 0 or not all(map(math.isfinite, box)):
            kept.refuse(key, "has a box without an area")
        elif right <= left or bottom <= top:
            kept.refuse(key, "has a box outside its image")
        elif min(right - left, bottom - top) < SMALLEST:
            kept.refuse(key, f"has a box under {SMALLEST:g} pixels in its image")
        else:
            inside = (left, top, right - left, bottom - top)
            clipped += max(abs(a - b) for a, b in zip(inside, box, strict=True)) > 1
            kept.add(row, inside, name, key)
    for part in ("rows", "boxes", "names", "keys"):
        setattr(boxes, part, getattr(kept, part))
    return clipped


def _regions(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(M, 4) int64 left, top, right, bottom: the boxes with their margin, inside the pictures."""
    margin = boxes[:, 2:] * MARGIN
    low = np.floor(boxes[:, :2] - margin).clip(0)
    high = np.minimum(np.ceil(boxes[:, :2] + boxes[:, 2:] + margin), sizes)
    return np.concatenate([low, high], axis=1).astype(np.int64)


def _digests(pictures: Dataset, rows: np.ndarray, regions: np.ndarray) -> np.ndarray | None:
    if pictures.digests is None:
        return None
    made = [
        hashlib.blake2b(bytes(pictures.digests[row]) + region.tobytes(), digest_size=16).hexdigest()
        for row, region in zip(rows, regions, strict=True)
    ]
    return np.array(made, "S32")


def _fingerprint(pictures: Dataset, ids: np.ndarray, regions: np.ndarray) -> str:
    seen = hashlib.sha256(f"objects 1 {pictures.fingerprint}\n".encode())
    for name, region in zip(ids, regions, strict=True):
        seen.update(f"{name}\0".encode() + region.tobytes())
    return seen.hexdigest()


def _labels(names: list[str]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    classes = sorted(set(names) - {""})
    if not classes:
        return None, ()
    number = {name: code for code, name in enumerate(classes)}
    labels = np.array([number.get(name, -1) for name in names], np.int64)
    return labels, tuple(safe_name(name) for name in classes)


def _rejected(boxes: Boxes) -> list[Rejected]:
    return [
        Rejected(safe_name(f"{boxes.origin} {keys[0]}"), reason, len(keys))
        for reason, keys in boxes.skipped.items()
    ]


def _notes(
    boxes: Boxes, pictures: Dataset, rows: np.ndarray, clipped: int, classes: tuple[str, ...]
) -> list[Note]:
    counts = Counter(rows.tolist())
    note = (
        f"{counted(len(rows), 'object')} in {len(counts):,} of {counted(len(pictures), 'picture')}"
    )
    kinds = f", {counted(len(classes), 'class', 'classes')}" if classes else ""
    notes = [
        Note("labels", f"{note}{kinds}, from {boxes.origin!r}, cut out with a {MARGIN:.0%} margin")
    ]
    if clipped:
        text = counted(
            clipped,
            "box reaches outside its image and was clipped",
            "boxes reach outside their image and were clipped",
        )
        notes.append(Note("decoding", text))
    return notes
