"""COCO: images, annotations and categories that refer to each other by ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from coreset_engine.sources.label_formats.rows import LabelRow, key_text, list_of


def is_coco(item: dict[str, Any]) -> bool:
    """Whether a JSON object has the two lists that every COCO file has."""
    return isinstance(item.get("images"), list) and isinstance(item.get("annotations"), list)


def id_text(value: Any) -> str:
    """An id as text: some tools write 7 in one place and "7" or 7.0 in another."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


def coco_rows(item: dict[str, Any]) -> Iterator[LabelRow]:
    """One row for every image: the categories of its annotations.

    An image whose id another one has, and an annotation whose category is not listed or listed
    under two names, give no class, with the reason.
    """
    names, wrong = _categories(item)
    classes, reasons, lost = _annotated(item, names, wrong)
    images = [one for one in item["images"] if isinstance(one, dict)]
    count = Counter(id_text(one.get("id")) for one in images)
    for number, image in enumerate(item["images"]):
        where = f"image {number}"
        if not isinstance(image, dict):
            yield LabelRow(where=where, reason="no image entry")
            continue
        own = id_text(image.get("id"))
        reason = reasons.get(own, "")
        if count[own] > 1:
            reason = "its id is also that of another image of the file"
        yield LabelRow(_keys(image), tuple(classes.get(own, ())), where, reason=reason)
    for where in lost:
        yield LabelRow(where=where, reason="belongs to an image that the file does not list")


def _categories(item: dict[str, Any]) -> tuple[dict[str, str], set[str]]:
    """(id -> name, ids that have two names)."""
    names: dict[str, str] = {}
    wrong: set[str] = set()
    listed = item.get("categories")
    if isinstance(listed, dict):  # {1: "cat"} or {1: {"name": "cat"}}
        listed = [
            {"id": key} | (one if isinstance(one, dict) else {"name": one})
            for key, one in listed.items()
        ]
    for one in list_of(listed):
        if isinstance(one, dict) and "id" in one and isinstance(one.get("name"), str | int):
            key = id_text(one["id"])
            if names.setdefault(key, str(one["name"])) != str(one["name"]):
                wrong.add(key)
    return names, wrong


def _annotated(
    item: dict[str, Any], names: dict[str, str], wrong: set[str]
) -> tuple[dict[str, dict[str, None]], dict[str, str], list[str]]:
    """(image id -> its classes, image id -> why it has none, annotations of no image)."""
    images = {id_text(one.get("id")) for one in item["images"] if isinstance(one, dict)}
    classes: dict[str, dict[str, None]] = {}
    reasons: dict[str, str] = {}
    lost = []
    for number, one in enumerate(item["annotations"]):
        if not isinstance(one, dict):
            continue
        image = id_text(one.get("image_id"))
        category = id_text(one.get("category_id"))
        if image not in images:
            lost.append(f"annotation {number}")
        elif category in wrong:
            reasons[image] = "the file has two names for its category"
        elif category in names:
            classes.setdefault(image, {})[names[category]] = None
        elif "category_id" in one:
            reasons[image] = "the file does not list its category"
    return classes, reasons, lost


def _keys(image: dict[str, Any]) -> dict[str, str]:
    own = image.get("coreset")
    keys = {
        "coreset_id": key_text(own.get("id")) if isinstance(own, dict) else "",
        "file_name": key_text(image.get("file_name")),
        "id": key_text(image.get("id")),
    }
    return {name: text for name, text in keys.items() if text}
