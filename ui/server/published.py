"""What pages publish for the map to read over HTTP: arrays, hover facts and tables of one dataset.

Everything is addressed by content hashes, never by a path, and only what a page of ours published
can be read. `ui.server.routes` serves it.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from coreset_engine.core.types import Dataset

MAX_DATASETS = 8
MAX_ARRAY_BYTES = 192 * 2**20  # per dataset; the least recently published arrays go first


@dataclass(eq=False)
class PublishedData:
    """What one dataset has published.

    Attributes
    ----------
    key : str
        Names the dataset in addresses.
    dataset : Dataset
        Where thumbnails are read from.
    arrays : mapping of str to bytes
        Content hash -> bytes in C order.
    facts : mapping of str to callable
        Position -> lines of the hover card.
    tables : mapping of str to callable
        Makes the data of the map's CSV.
    """

    key: str
    dataset: Dataset
    arrays: OrderedDict[str, bytes] = field(default_factory=OrderedDict)
    facts: dict[str, Callable[[int], list[str]]] = field(default_factory=dict)
    tables: dict[str, Callable[[], dict]] = field(default_factory=dict)


_datasets: OrderedDict[str, PublishedData] = OrderedDict()
_lock = threading.Lock()


def digest(*parts: bytes) -> str:
    """24 hex digits that name this content."""
    content_hash = hashlib.blake2b(digest_size=12)
    for part in parts:
        content_hash.update(part)
    return content_hash.hexdigest()


def of_dataset(dataset: Dataset) -> PublishedData:
    """What `dataset` has published; the least recently used of more than 8 is dropped."""
    key = digest(dataset.fingerprint.encode(), dataset.spec.encode())
    with _lock:
        data = _datasets.get(key)
        if data is None or data.dataset is not dataset:
            data = PublishedData(key, dataset)
            _datasets[key] = data
        _datasets.move_to_end(key)
        while len(_datasets) > MAX_DATASETS:
            _datasets.popitem(last=False)
    return data


def by_key(key: str) -> PublishedData | None:
    """What the dataset of that key has published, or None."""
    with _lock:
        return _datasets.get(key)


def publish_array(data: PublishedData, array: np.ndarray, folder: str = "ranks") -> str:
    """Publish an array's bytes (C order, little-endian) and return their address."""
    content = np.ascontiguousarray(array).tobytes()
    name = digest(content)
    with _lock:
        data.arrays[name] = content
        data.arrays.move_to_end(name)
        while len(data.arrays) > 1 and sum(map(len, data.arrays.values())) > MAX_ARRAY_BYTES:
            data.arrays.popitem(last=False)
    if folder == "points":
        return f"/coreset/points/{data.key}-{name}.bin"
    return f"/coreset/ranks/{data.key}/{name}.bin"


def publish_facts(data: PublishedData, name: str, facts: Callable[[int], list[str]]) -> str:
    """Publish the hover card's lines; returns the address template with "{i}" for the position."""
    key = digest(name.encode())
    with _lock:
        data.facts[key] = facts
    return f"/coreset/fact/{data.key}/{key}/{{i}}.json"


def publish_table(data: PublishedData, name: str, table: Callable[[], dict]) -> str:
    """Publish every image's id and value, made on request; returns the address."""
    key = digest(name.encode())
    with _lock:
        data.tables[key] = table
    return f"/coreset/table/{data.key}/{key}.json"


def large_address(data: PublishedData) -> str | None:
    """The address template of larger views, or None for a source without images."""
    if data.dataset.reader is None:
        return None
    return f"/coreset/large/{data.key}/{{i}}.webp"


def thumbnail_address(data: PublishedData) -> str | None:
    """The address template of thumbnails, or None for a source without images."""
    if data.dataset.reader is None:
        return None
    return f"/coreset/thumb/{data.key}/{{i}}.webp"
