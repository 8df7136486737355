"""The list of classes that a container declares: Hugging Face's features in a Parquet schema, or
classes.json beside tars.

It gives every class the number it has in the list, also where some classes have no image here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from coreset_engine.core.errors import CoresetError
from coreset_engine.sources.remote.parquet import listed_classes
from coreset_engine.sources.remote.storage import Item, fetch, is_url

CLASSES_FILE = "classes.json"
_MOST_BYTES = 16 << 20


def declared_classes(kind: str, item: Item, options: Mapping[str, str]) -> tuple[str, ...]:
    """The classes in the order of their numbers; () where nothing is declared or readable.

    Parameters
    ----------
    kind
        "parquet" or "tar"; other kinds declare nothing.
    item
        The first file of the source.
    options
        label: the name of the column of classes.
    """
    try:
        names: Any = listed_classes(item, options.get("label")) if kind == "parquet" else []
        if kind == "tar":
            names = json.loads(_beside(item.path))
    except (OSError, ValueError, RecursionError, CoresetError):
        return ()
    texts = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return tuple(names) if texts and len(set(names)) == len(names) else ()


def _beside(path_of_file: str) -> bytes:
    path = path_of_file.rpartition("/")[0] + "/" + CLASSES_FILE
    if is_url(path):
        return fetch(path, 0, _MOST_BYTES)
    with open(path, "rb") as file:
        return file.read(_MOST_BYTES)
