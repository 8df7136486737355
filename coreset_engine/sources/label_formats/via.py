"""VGG Image Annotator: its CSV and its JSON, whose classes are attributes of files or regions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from coreset_engine.sources.label_formats.columns import by_image
from coreset_engine.sources.label_formats.rows import LabelRow
from coreset_engine.sources.label_formats.values import classes_of

_TABLE = {"filename", "file_attributes", "region_attributes"}


def is_via_table(head: Sequence[str]) -> bool:
    """Whether these are the columns of VIA's CSV."""
    return set(head) >= _TABLE


def via_table_rows(
    head: Sequence[str], records: Iterable[tuple[int, list[str], str]]
) -> list[LabelRow]:
    """A row for every picture of VIA's CSV, which has a line for every region."""
    file, *attributes = (
        head.index(name) for name in ("filename", "file_attributes", "region_attributes")
    )
    rows = []
    for number, cells, problem in records:
        where = f"line {number}"
        if problem or len(cells) <= max(file, *attributes):
            rows.append(LabelRow(where=where, reason=f"no CSV ({problem or 'a field is missing'})"))
            continue
        answers = [_parsed(cells[at]) for at in attributes]
        rows.append(_row(cells[file], answers, where))
    return by_image(rows)


def is_via_project(item: Mapping[str, Any]) -> bool:
    """Whether a JSON object is VIA's: pictures, each with its regions."""
    entries = item.get("_via_img_metadata", item)
    return (
        isinstance(entries, Mapping)
        and bool(entries)
        and all(isinstance(one, Mapping) and "filename" in one for one in entries.values())
    )


def via_project_rows(item: Mapping[str, Any]) -> Iterator[LabelRow]:
    """A row for every picture of VIA's JSON."""
    for number, entry in enumerate(item.get("_via_img_metadata", item).values()):
        regions = entry.get("regions") or ()
        if isinstance(regions, Mapping):
            regions = regions.values()
        answers = [one.get("region_attributes") for one in regions if isinstance(one, Mapping)]
        yield _row(entry["filename"], [entry.get("file_attributes"), *answers], f"picture {number}")


def _row(name: Any, attributes: Iterable[Any], where: str) -> LabelRow:
    classes: dict[str, None] = {}
    for answer in attributes:
        for value in answer.values() if isinstance(answer, Mapping) else ():
            classes |= dict.fromkeys(_chosen(value))
    return LabelRow({"file_name": str(name)}, tuple(classes), where)


def _chosen(value: Any) -> tuple[str, ...]:
    """The class of an attribute: its text, or the boxes of a checklist that are ticked."""
    if isinstance(value, Mapping):
        return tuple(name for name, ticked in value.items() if ticked in (True, "true", 1))
    return classes_of(value)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
