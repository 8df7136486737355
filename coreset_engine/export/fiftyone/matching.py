"""Which sample of a FiftyOne dataset is which image of an export bundle, by proof."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from coreset_engine.export.bundle import ExportBundle
from coreset_engine.export.fiftyone.layers import ID_FIELD
from coreset_engine.sources.fiftyone_labels import fingerprints


def match(dataset: Any, bundle: ExportBundle) -> list[str | None]:
    """The sample of each row, by proof that it is the same image.

    A sample id counts for selections made from FiftyOne; `coreset_id` where a selection of the same
    source (by fingerprint) was exported to this dataset; else the file itself, by its path. An id
    alone proves nothing: two sources may both have an image "0001.png".

    Returns
    -------
    list of str or None, length N
        Sample ids in any group slice; None = the dataset does not have the image.
    """
    wanted = {"filepath": 1, ID_FIELD: 1}
    samples = list(dataset._sample_collection.find({}, wanted))
    ways: list[tuple[dict[Any, str], list[Any]]] = []
    ids = bundle.ids.tolist()
    if str(bundle.manifest.get("source", "")).startswith("fiftyone:"):
        ways.append(({str(one["_id"]): str(one["_id"]) for one in samples}, ids))
    if str(bundle.manifest.get("source_fingerprint", "")) in fingerprints(dataset):
        ways.append((_first((one.get(ID_FIELD), one["_id"]) for one in samples), ids))
    ways.append(
        (_first((_file(one.get("filepath")), one["_id"]) for one in samples), _files(bundle))
    )
    matched: list[str | None] = [None] * len(ids)
    for sample_of, keys in ways:
        matched = [
            sample_of.get(key) if sample is None and key is not None else sample
            for sample, key in zip(matched, keys, strict=True)
        ]
    return matched


def _first(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, str]:
    """key -> id of the first sample that has it."""
    first_of: dict[Any, str] = {}
    for key, sample in pairs:
        if key is not None:
            first_of.setdefault(key, str(sample))
    return first_of


def _files(bundle: ExportBundle) -> list[str | None]:
    return [_file(path) for path in bundle.table["path"]]


def _file(path: Any) -> str | None:
    """One spelling for one file: absolute, links of its folder followed."""
    if not isinstance(path, str) or not path:
        return None
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(_real(folder), name)


@lru_cache(maxsize=1 << 14)
def _real(folder: str) -> str:
    return os.path.realpath(folder)
