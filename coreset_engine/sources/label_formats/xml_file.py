"""Label files in XML: CVAT for images, and Pascal VOC's file for every picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from coreset_engine.core.errors import BadInput
from coreset_engine.sources.label_formats.rows import LabelRow
from coreset_engine.sources.label_formats.values import classes_of


def read_xml(path: Path, text: str) -> Iterator[LabelRow]:
    """CVAT for images 1.1: <image name> with <tag label>, else the labels of its shapes; or VOC."""
    if "<!ENTITY" in text:
        raise BadInput(
            f"{str(path)!r} declares XML entities, which CVAT does not; export it again."
        )
    try:
        root = parsed(text)
    except (ElementTree.ParseError, RecursionError) as error:
        raise BadInput(f"{str(path)!r} is no XML ({error}); export it again.") from None
    if root.tag == "annotation":
        yield voc_row(root, path.name)
        return
    for number, image in enumerate(root.iter("image")):
        tags = [tag.get("label") for tag in image.iter("tag")]
        shapes = [shape.get("label") for shape in image if shape.tag != "tag"]
        keys = {"file_name": image.get("name") or "", "id": image.get("id") or ""}
        keys = {name: value for name, value in keys.items() if value}
        yield LabelRow(keys, classes_of(tags or shapes), f"image {number}")


def parsed(text: str) -> Any:
    """The root of an XML text, whose declared encoding has been used already."""
    return ElementTree.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text.lstrip("\ufeff")))


def voc_row(root: Any, where: str) -> LabelRow:
    """One picture of Pascal VOC: <filename>, and the <name> of every <object>.

    The XML's own name is a second key: <filename> often is that of an earlier file.
    """
    names = [one.findtext("name") for one in root.findall("object")]
    stem = Path(where).stem
    name = (root.findtext("filename") or "").strip() or stem
    return LabelRow({"file_name": name, "file": stem}, classes_of(names), where)
