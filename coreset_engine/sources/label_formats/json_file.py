"""Label files in JSON and JSON Lines: which tool wrote them, and their rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coreset_engine.core.errors import BadInput
from coreset_engine.sources.label_formats.coco import coco_rows, is_coco
from coreset_engine.sources.label_formats.label_studio import task_rows
from coreset_engine.sources.label_formats.rows import PICTURES, LabelRow, key_text
from coreset_engine.sources.label_formats.values import classes_of
from coreset_engine.sources.label_formats.via import is_via_project, via_project_rows

_PLAIN = (str, int, float, list, type(None))


def read_json(path: Path, text: str, id_column: str, label_column: str) -> Iterator[LabelRow]:
    """The rows of a list of tasks or records, or of one object that describes all images.

    Parameters
    ----------
    path : path
        Of the file, for errors.
    text : str
        Its content.
    id_column, label_column : str
        Names of the columns or fields; "" = by their names and values.

    Raises
    ------
    BadInput
        Where columns cannot be understood, or no field is known to hold classes.
    """
    items = _parsed(path, text)
    if isinstance(items, dict):
        yield from _object(path, items)
    else:
        yield from task_rows(path, items, id_column, label_column)


def _parsed(path: Path, text: str) -> Any:
    """The list or object of a .json; of a .jsonl the list of its lines, None for a broken one."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        lines = [line for line in text.split("\n") if line.strip()]
        parsed = [parsed_line(line) for line in lines]
        if len(lines) < 2 or all(item is None for item in parsed):
            raise BadInput(
                f"{str(path)!r} is no JSON ({error}); export from Label Studio as JSON or JSON-MIN."
            ) from None
        return parsed


def parsed_line(text: str) -> Any:
    """The value of a JSON text, None for a broken one."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _object(path: Path, item: dict[str, Any]) -> Iterator[LabelRow]:
    """One JSON object: COCO, LabelMe, VIA, or {id: class}."""
    if is_coco(item):
        yield from coco_rows(item)
    elif isinstance(item.get("shapes"), list) and "imagePath" in item:
        yield labelme_row(item, path.name)
    elif is_via_project(item):
        yield from via_project_rows(item)
    elif item and all(isinstance(value, _PLAIN) for value in item.values()):
        yield from _pairs(item)
    else:
        raise BadInput(
            f"{str(path)!r} is neither a list of tasks nor COCO, LabelMe, VIA, {{image: class}} "
            "nor {class: [images]}; export from Label Studio as JSON or JSON-MIN."
        )


def _pairs(item: dict[str, Any]) -> Iterator[LabelRow]:
    """{image: class}, {image: [classes]}, or {class: [images]} where the lists hold files."""
    lists = [value for value in item.values() if isinstance(value, list)]
    files = [one for value in lists for one in value if _is_picture(one)]
    if len(lists) == len(item) and len(files) > sum(map(len, lists)) / 2:
        for name, images in item.items():
            for number, image in enumerate(images):
                yield LabelRow({"id": key_text(image)}, (name,), f"{name} {number}")
        return
    for number, (key, name) in enumerate(item.items()):
        yield LabelRow({"id": key}, classes_of(name), f"entry {number}")


def _is_picture(value: Any) -> bool:
    return isinstance(value, str) and Path(value).suffix.lower() in PICTURES


def labelme_row(item: dict[str, Any], where: str) -> LabelRow:
    """One picture of LabelMe: the labels of its shapes, and its flags that are true."""
    shapes = [one.get("label") for one in item["shapes"] if isinstance(one, dict)]
    flags = item.get("flags")
    ticked = [name for name, on in flags.items() if on is True] if isinstance(flags, dict) else []
    keys = {"file_name": str(item["imagePath"]).replace("\\", "/")}
    return LabelRow(keys, classes_of(shapes or ticked), where)
