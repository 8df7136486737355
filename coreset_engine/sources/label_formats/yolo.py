"""YOLO: a text of boxes for every picture, whose classes are numbers in a list of names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from coreset_engine.core.errors import BadInput
from coreset_engine.sources.label_formats.coco import id_text
from coreset_engine.sources.label_formats.json_file import parsed_line
from coreset_engine.sources.label_formats.rows import PICTURES, LabelRow, list_of
from coreset_engine.sources.text_files import lines_of, text_of

NAME_FILES = ("classes.txt", "obj.names", "coco.names")


def yolo_rows(root: Path, texts: list[Path]) -> Iterator[LabelRow]:
    """A row for every label file: the different classes of its lines."""
    names = yolo_class_names(root)
    for path in texts:
        if path.name in NAME_FILES:
            continue
        numbers = []
        reason = ""
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            first = line.split()[:1]
            if first and re.fullmatch(r"[0-9]{1,9}(\.0*)?", first[0]):
                numbers.append(int(first[0].partition(".")[0]))
            elif first:
                reason = "no YOLO line"
        if names and set(numbers) - set(names):
            reason = "a class number that the list of names does not have"
        classes = (names.get(number, str(number)) for number in numbers)
        name = _picture_of(path) or path.stem
        yield LabelRow({"file_name": name}, tuple(dict.fromkeys(classes)), path.name, "", reason)


def _picture_of(text: Path) -> str:
    """The picture that YOLO pairs with a label file: the same path below images/ instead of labels/;
    "" where there is none."""
    parts = list(text.absolute().parts)
    at = len(parts) - 1 - parts[::-1].index("labels")
    folder = Path(*parts[:at], "images", *parts[at + 1 : -1])
    candidates = (folder / f"{text.stem}{suffix}" for suffix in sorted(PICTURES))
    return next((str(path) for path in candidates if path.is_file()), "")


def yolo_class_names(root: Path) -> dict[int, str]:
    """Class names of data.yaml, classes.txt, obj.names or Label Studio's notes.json; {} when there
    is none.

    Raises
    ------
    BadInput
        When a list cannot be read, or two lists give a number two names.
    """
    lists = [(path, names) for path, names in _lists(root) if names]
    if not lists:
        return {}
    first, chosen = lists[0]
    for path, names in lists[1:]:
        number = next((one for one in chosen if names.get(one, chosen[one]) != chosen[one]), None)
        if number is not None:
            raise BadInput(
                f"class {number} is {chosen[number]!r} in {str(first)!r} and {names[number]!r} in "
                f"{str(path)!r}; delete the list that is wrong."
            )
    return chosen


def _lists(root: Path) -> Iterator[tuple[Path, dict[int, str]]]:
    """Every list of names below `root`, the most telling first."""
    for name in NAME_FILES:
        for path in sorted(root.rglob(name)):
            lines = lines_of(text_of(path.read_bytes(), str(path)))
            yield path, {number: line.strip() for number, line in enumerate(lines) if line.strip()}
    own = [*root.rglob("data.yaml"), *root.rglob("data.yml")]
    others = [path for path in [*root.glob("*.yaml"), *root.glob("*.yml")] if path not in own]
    for path in [*sorted(own), *sorted(others)]:
        yield path, _yaml_names(path)
    for path in sorted(root.rglob("notes.json")):
        yield path, _notes_names(path)


def _yaml_names(path: Path) -> dict[int, str]:
    """`names` of a YOLO data.yaml, as they are written there: `no` is a class, not False."""
    import yaml

    try:
        content = yaml.load(text_of(path.read_bytes(), str(path)), Loader=yaml.BaseLoader)  # noqa: S506
        names = content.get("names") if isinstance(content, dict) else None
        if isinstance(names, str) and names.strip():
            raise ValueError("names is one text, not a list")
        pairs = names.items() if isinstance(names, dict) else enumerate(names or ())
        return {int(number): str(value) for number, value in pairs}
    except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise BadInput(
            f"the class names in {str(path)!r} cannot be read ({reason}); repair it, or put the "
            "names into classes.txt, one per line."
        ) from None


def _notes_names(path: Path) -> dict[int, str]:
    """The categories of Label Studio's notes.json; {} for any other file of that name."""
    item = parsed_line(text_of(path.read_bytes(), str(path)))
    categories = list_of(item.get("categories")) if isinstance(item, dict) else []
    pairs = [
        (id_text(one.get("id")), one.get("name")) for one in categories if isinstance(one, dict)
    ]
    return {int(number): str(name) for number, name in pairs if number.isdigit() and name}
