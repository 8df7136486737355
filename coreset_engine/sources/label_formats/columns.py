"""What the columns of a table mean: which names the image, which the class, and how.

The same rules serve label files that come back from people and tables beside images.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from coreset_engine.sources.label_formats.rows import LabelRow

# Columns that spell a class out where another one holds its number.
_SPELT = ("class_name", "classname", "category_name", "label_name", "name", "class_label")
_CORNERS = ({"xmin", "ymin"}, {"x_min", "y_min"}, {"bbox"}, {"bbox_x"}, {"x1", "y1", "x2", "y2"})
_YES = frozenset(("1", "1.0", "true"))
_NO = frozenset(("0", "0.0", "false", ""))
_WHOLE = re.compile(r"-?\d+\.0+")
_ABSENT = frozenset(("", "nan", "<na>"))
Cells = Sequence[str | None]


def plain_name(name: str) -> str:
    """A column's name for comparing: "Image Name", "#image_name" and "image-name" are the same."""
    return re.sub(r"[\s-]+", "_", name.strip().lstrip("\ufeff#").strip().lower())


def holds_boxes(head: Iterable[str]) -> bool:
    """Whether a table has a row for every object, which columns of corners tell."""
    names = {plain_name(name) for name in head}
    return any(corners <= names for corners in _CORNERS)


def without_fractions(cells: Cells) -> list[str | None]:
    """Cells of a column that pandas made floats ("1.0", "2.0", "") as whole numbers."""
    texts = ["" if cell is None else cell.strip() for cell in cells]
    filled = [text for text in texts if text.lower() not in _ABSENT]
    if not filled or not all(_WHOLE.fullmatch(text) for text in filled):
        return list(cells)
    return [text.partition(".")[0] if _WHOLE.fullmatch(text) else None for text in texts]


def spelt_column(head: Sequence[str], columns: Sequence[Cells], number: int) -> int:
    """The column that spells the classes out whose numbers stand in column `number`; else `number`.

    It must give each number one name and each name one number.
    """
    numbers = [(cell or "").strip() for cell in columns[number]]
    if not all(text.isdigit() for text in numbers if text):
        return number
    for at, name in enumerate(head):
        if at == number or plain_name(name) not in _SPELT:
            continue
        names = [(cell or "").strip() for cell in columns[at]]
        pairs = set(zip(numbers, names, strict=True))
        worded = not all(text.isdigit() for text in names if text)
        if worded and len(pairs) == len(set(numbers)) == len(set(names)):
            return at
    return number


def one_hot_columns(columns: Sequence[Cells], others: Iterable[int]) -> list[int]:
    """Columns that hold 1 for the row's class and 0 for every other; [] where there are none.

    Most rows must have a single 1: columns of facts that are true or false are not classes.
    """
    binary = [at for at in others if _is_binary(columns[at])]
    if len(binary) < 2:
        return []
    rows = list(zip(*(columns[at] for at in binary), strict=True))
    single = sum(len(positive_cells(row)) == 1 for row in rows)
    return binary if single * 2 >= len(rows) else []


def _is_binary(cells: Cells) -> bool:
    texts = {(cell or "").strip().lower() for cell in cells}
    return texts <= _YES | _NO and bool(texts & _YES)


def positive_cells(cells: Cells) -> list[int]:
    """Positions of the cells that hold 1."""
    return [at for at, cell in enumerate(cells) if (cell or "").strip().lower() in _YES]


def several_in(text: str, known: frozenset[str]) -> tuple[str, ...]:
    """The classes in one cell such as "cat|dog" or "cat;dog"; (text,) where it is one class.

    known: cells of the whole column. A text is taken apart where one of its parts stands alone in
    another cell (with commas: where all of them do).
    """
    for separator in ("|", ";", ","):
        parts = [part.strip() for part in text.split(separator) if part.strip()]
        alone = [part in known for part in parts]
        if len(parts) > 1 and (all(alone) if separator == "," else any(alone)):
            return tuple(dict.fromkeys(parts))
    return (text,)


def by_image(rows: Iterable[LabelRow]) -> list[LabelRow]:
    """Rows of objects as rows of images: each image with the different classes of its objects."""
    order: list[LabelRow] = []
    position: dict[str, int] = {}
    for row in rows:
        key = next(iter(row.keys.values()), None)
        if row.reason or key is None:
            order.append(row)
        elif key in position:
            first = order[position[key]]
            classes = tuple(dict.fromkeys((*first.classes, *row.classes)))
            order[position[key]] = LabelRow(first.keys, classes, first.where, first.annotator)
        else:
            position[key] = len(order)
            order.append(row)
    return order
