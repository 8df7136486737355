"""What every reader of label files yields: rows, and the names of columns that are searched for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Columns that name the image, most telling first; columns that name the class.
ID_COLUMNS = (
    "coreset_id",
    "sample_id",
    "image_id",
    "filepath",
    "file_path",
    "image_path",
    "img_path",
    "path",
    "file_name",
    "filename",
    "image_name",
    "img_name",
    "image_file",
    "image_filename",
    "image_index",
    "file",
    "image",
    "img",
    "key",
    "uid",
    "id",
    "",  # the index that pandas writes without a name
    "unnamed: 0",
    "unnamed:_0",
    "__index_level_0__",
)
CLASS_COLUMNS = (
    "label",
    "labels",
    "class",
    "class_name",
    "classname",
    "choice",
    "choices",
    "annotation",
    "category",
    "category_name",
    "label_name",
    "ground_truth",
    "target",
    "tag",
)
# What Label Studio adds to every row by itself.
OTHER_COLUMNS = frozenset(
    (
        "annotator annotation_id annotations created_at updated_at lead_time agreement inner_id "
        "total_annotations cancelled_annotations predictions meta project file_upload"
    ).split()
)
PICTURES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm"))
LIMIT = 2 << 30  # bytes of a label file


@dataclass(frozen=True)
class LabelRow:
    """What one row says.

    Parameters
    ----------
    keys : mapping
        Column -> text that names the image, most telling column first.
    classes : tuple of str
        Different classes given for it; () = none.
    where : str
        "line 7", "task 3".
    annotator : str
        Who said so, "" when unknown.
    reason : str
        Why the row cannot be used; "" when it can.
    """

    keys: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    where: str = ""
    annotator: str = ""
    reason: str = ""


def key_text(value: Any) -> str:
    """The text of a cell that names an image, "" for a value that names none."""
    if isinstance(value, dict):  # {"path": ..., "bytes": ...} of `datasets`
        value = value.get("path")
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return ""
    return str(value).strip()


def list_of(value: Any) -> list[Any]:
    """A list as it is; [] for anything else."""
    return value if isinstance(value, list) else []
