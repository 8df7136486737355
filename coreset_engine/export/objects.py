"""Selections of objects, exported as the pictures that hold them, with their boxes.

`pictures_of` turns the bundle of objects into one of pictures: a picture is kept where any of its
objects is, as good as its best one, and carries the boxes of the objects that are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from coreset_engine.core.types import Dataset
from coreset_engine.export.bundle import ExportBundle
from coreset_engine.sources.objects import BOX_COLUMNS, ObjectReader


@dataclass(frozen=True)
class KeptObject:
    """One kept object. box: x, y, width, height in pixels. row: in the bundle of objects."""

    row: int
    id: str
    label: str
    box: tuple[float, float, float, float]


def has_objects(bundle: ExportBundle) -> bool:
    """Whether the bundle's images are objects of pictures that can be opened."""
    return bundle.dataset is not None and isinstance(bundle.dataset.reader, ObjectReader)


def _objects_of(bundle: ExportBundle) -> tuple[Dataset, ObjectReader]:
    """The dataset and the reader of a bundle that `has_objects`."""
    dataset = bundle.dataset
    assert dataset is not None and isinstance(dataset.reader, ObjectReader)
    return dataset, dataset.reader


def pictures_of(bundle: ExportBundle) -> tuple[ExportBundle, list[list[KeptObject]]]:
    """(the bundle of the pictures, the kept objects of each, best first)."""
    reader = _objects_of(bundle)[1]
    images = reader.pictures
    objects: list[list[KeptObject]] = [[] for _ in range(len(images))]
    for row in _by_rank(bundle):
        at = int(bundle.position[row])
        if at >= 0:
            objects[int(reader.rows[at])].append(_kept(bundle, int(row), at))
    pictures = replace(
        bundle,
        table=_table(bundle, images, objects),
        dataset=images,
        points=None,
        vectors=None,
        neighbours=None,
    )
    return pictures, objects


def with_boxes(bundle: ExportBundle) -> ExportBundle:
    """The bundle of the pictures with the boxes of the kept objects; other bundles unchanged."""
    if not has_objects(bundle):
        return bundle
    pictures, objects = pictures_of(bundle)
    sizes = _objects_of(bundle)[1].sizes
    boxes = []
    for kept, (width, height) in zip(objects, sizes, strict=True):
        scale = (width, height, width, height)
        boxes.append(
            [
                (one.label, tuple(part / side for part, side in zip(one.box, scale, strict=True)))
                for one in kept
            ]
        )
    return replace(pictures, boxes=boxes)


def _by_rank(bundle: ExportBundle) -> np.ndarray:
    rows = np.flatnonzero(bundle.selected)
    return rows[np.argsort(bundle.table["rank"].to_numpy()[rows], kind="stable")]


def _kept(bundle: ExportBundle, row: int, at: int) -> KeptObject:
    columns = _objects_of(bundle)[0].columns
    label = bundle.truth[row] if bundle.truth is not None else None
    if label is None and "pseudo_label" in bundle.table:
        label = bundle.cluster_name(bundle.table["pseudo_label"].iat[row])
    x, y, width, height = (float(columns[name][at]) for name in BOX_COLUMNS)
    box = (x, y, width, height)
    return KeptObject(row, str(bundle.ids[row]), label or "object", box)


def _table(bundle: ExportBundle, images: Dataset, objects: list[list[KeptObject]]):
    """One row per picture: rank by its best object, its score, and the sum of their weights."""
    import pandas as pd

    count = len(images)
    score = np.full(count, np.nan)
    weight = np.zeros(count)
    own = bundle.table["score"].to_numpy(float)
    weights = bundle.table["weight"].to_numpy(float)
    first = np.full(count, np.inf)
    ranks = bundle.table["rank"].to_numpy()
    for picture, kept in enumerate(objects):
        if kept:
            rows = [one.row for one in kept]
            score[picture] = own[rows].max()
            weight[picture] = weights[rows].sum()
            first[picture] = ranks[rows].min()
    rank = np.full(count, -1, np.int64)
    order = np.argsort(first, kind="stable")[: int(np.isfinite(first).sum())]
    rank[order] = np.arange(len(order))
    return pd.DataFrame(
        dict(
            id=np.array([str(name) for name in images.ids], object),
            path=None if images.paths is None else np.asarray(images.paths, object),
            selected=rank >= 0,
            rank=rank,
            score=score,
            weight=weight,
        )
    )
