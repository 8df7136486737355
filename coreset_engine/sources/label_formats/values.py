"""Convert a value of a file to a class or text, with one rule for every format."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

_INNER = ("choices", "rectanglelabels", "polygonlabels", "labels", "label", "class", "name", "text")
_MISSING = frozenset(("nan", "<na>", "nat"))  # how the values print that pandas puts into gaps


def plain_text(value: Any) -> str | None:
    """A plain value as people write it.

    Whole floats and decimals lose their ".0", truth values are "true" and "false", bytes are UTF-8.
    None for None, NaN and what pandas puts into gaps.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, float | Decimal):
        return _number_text(value)
    text = str(value)
    return None if text.lower() in _MISSING else text


def _number_text(value: float | Decimal) -> str | None:
    if math.isnan(value):
        return None
    if math.isinf(value) or value != int(value):
        return str(value)
    return str(int(value))


def classes_of(value: Any) -> tuple[str, ...]:
    """The different class names in any value a tool writes: text, number, list, {"choices": [...]}.

    Numbers become their digits (7.0 -> "7"); None, NaN and "" are no class.
    """
    if isinstance(value, Mapping):
        inner = next((value[name] for name in _INNER if value.get(name) is not None), None)
        return classes_of(inner)
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return tuple(dict.fromkeys(name for item in value for name in classes_of(item)))
    text = plain_text(value)
    return (text,) if text is not None and text.strip() else ()


def class_names_of(schema: Any, name: str | None) -> list[str]:
    """Class names that `datasets` keeps in an Arrow schema for a column of numbers."""
    try:
        info = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][name]
        info = info.get("feature", info)
        names = info.get("names")
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return []
    return [str(one) for one in names] if isinstance(names, list) else []


def named_classes(value: Any, names: list[str]) -> tuple[str, ...]:
    """classes_of, with numbers as their names where the file lists them; -1 = none."""
    if names and isinstance(value, int) and not isinstance(value, bool):
        return (names[value],) if 0 <= value < len(names) else ()
    if names and isinstance(value, list):
        return tuple(dict.fromkeys(name for item in value for name in named_classes(item, names)))
    return classes_of(value)
