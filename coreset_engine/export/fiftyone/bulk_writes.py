"""Samples and fields of many images at once, straight into FiftyOne's collections.

Measured at 60,000 samples: setting fields sample by sample takes 94-114 s, `set_values` 5 s per
number and 17 s per label. So what changes goes as one document per sample into a scratch
collection, from which the server merges it into the dataset ($merge): all fields at once, matched
by sample id. A new dataset's samples are inserted as documents.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
from datetime import UTC, datetime
from typing import Any

import numpy as np

from coreset_engine.core.types import Progress
from coreset_engine.export.fiftyone import disk
from coreset_engine.export.fiftyone.layers import Layer

CHUNK = 5000


def insert_samples(dataset: Any, plan: disk.Plan, progress: Progress) -> None:
    """Insert the samples into the new dataset's collection: twice as fast as a JSON import."""
    dialect = _dialect(dataset)
    rows = disk.documents(plan, dialect)
    done = 0
    while part := list(itertools.islice(rows, CHUNK)):
        dataset._sample_collection.insert_many(part, ordered=False)
        done += len(part)
        progress(done, len(plan.ids), "samples")
    dataset.reload()


def declare_fields(fo: Any, dataset: Any, layers: list[Layer]) -> None:
    kinds = {
        "float": fo.FloatField,
        "int": fo.IntField,
        "str": fo.StringField,
        "vector": fo.VectorField,
    }
    for layer in layers:
        if not dataset.has_sample_field(layer.name):
            documents = {"label": fo.Classification, "boxes": fo.Detections}
            declared = (
                dict(ftype=fo.EmbeddedDocumentField, embedded_doc_type=documents[layer.kind])
                if layer.kind in documents
                else dict(ftype=kinds[layer.kind])
            )
            dataset.add_sample_field(layer.name, description=layer.text, **declared)


def merge_fields(
    dataset: Any, layers: list[Layer], rows: np.ndarray, ids: list[str], progress: Progress
) -> None:
    """Write the layers' values into existing samples, all fields at once.

    Parameters
    ----------
    dataset : fiftyone.Dataset
    layers : list of Layer
        Fields that `declare_fields` has declared.
    rows : (M,) int64
        Rows of the bundle that have a sample, ascending.
    ids : list of str, length M
        Their samples.
    progress : Progress
        Unit "samples".
    """
    from bson import ObjectId

    target = dataset._sample_collection
    scratch = target.database[f"coreset.scratch.{ObjectId()}"]
    dialect = _dialect(dataset)
    all_ids = dict(zip(rows.tolist(), ids, strict=True))
    keys = [all_ids.get(i, "") for i in range(int(rows.max()) + 1)]
    columns = [(layer.name, disk.encoder(layer, keys, dialect)) for layer in layers]
    try:
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK].tolist()
            scratch.insert_many(
                [
                    {
                        "_id": ObjectId(keys[row]),
                        "last_modified_at": dialect.now,
                        **{name: value(row) for name, value in columns},
                    }
                    for row in part
                ],
                ordered=False,
            )
            progress(start + len(part), len(rows), "samples")
        scratch.aggregate(
            [
                {
                    "$merge": {
                        "into": target.name,
                        "on": "_id",
                        "whenMatched": "merge",
                        "whenNotMatched": "discard",
                    }
                }
            ]
        )
    finally:
        scratch.drop()


def _dialect(dataset: Any) -> disk.Dialect:
    from bson import Binary, ObjectId

    return disk.Dialect(ObjectId, Binary, float, datetime.now(UTC), dataset._doc.id)


def every_sample(dataset: Any) -> Any:
    """All samples of a dataset: of a grouped one the images of every slice, side by side."""
    if dataset.media_type != "group":
        return dataset
    return dataset.select_group_slices(media_type="image")


@contextlib.contextmanager
def quiet() -> Any:
    """FiftyOne reports each step on stdout, where a command's own answer belongs."""
    logger = logging.getLogger("fiftyone")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            yield
    finally:
        logger.setLevel(before)
