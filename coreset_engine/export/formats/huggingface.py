"""A Hugging Face dataset folder: data/train-*.parquet with the images, and a README.md.

Written with pyarrow alone. The schema carries the feature types under the key "huggingface", so
that `datasets.load_dataset(PLACE)` gives an Image column, a ClassLabel, and the scores; it can be
pushed to a hub as it is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from coreset_engine.artifacts import filesystem
from coreset_engine.core.types import Progress, silent
from coreset_engine.export.bundle import ExportBundle
from coreset_engine.export.formats import images
from coreset_engine.export.staging import fresh

ROWS = 5000
README = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*.parquet
---
A coreset of {kept} of {count} images, chosen by {method}. `weight` is the loss weight; manifest.json reproduces it.
"""


def write_huggingface(
    bundle: ExportBundle,
    destination: str | Path,
    progress: Progress = silent,
    *,
    labels: str = "auto",
) -> dict[str, Any]:
    """Write data/ and README.md into `destination`, best image first.

    The ClassLabel lists every class of the source in its order, also those without a kept image.

    Parameters
    ----------
    bundle, destination, progress
        What to write where, and whom to tell.
    labels
        "truth", "pseudo" or "auto": see `images.class_labels`.

    Raises
    ------
    Missing
        Without pictures.
    BadInput
        When `destination` cannot be written or an option is unknown.
    """
    import pyarrow.parquet as pq

    destination = Path(destination)
    rows = images.kept(bundle)
    classes = images.class_labels(bundle, labels)
    names = {name for row in rows[:1] for name in images.scores(bundle, row)}
    numbers = sorted(names - {"tags"})
    schema = _schema(list(classes.names), numbers, tagged="tags" in names)
    shards = max(1, -(-len(rows) // ROWS))
    with filesystem.writing(destination):
        folder = fresh(destination / "data")
        for shard in range(shards):
            block = rows[shard * ROWS : (shard + 1) * ROWS]
            pq.write_table(
                _table(bundle, block, classes, numbers, schema),
                folder / f"train-{shard:05d}-of-{shards:05d}.parquet",
                row_group_size=100,
            )
            progress(min((shard + 1) * ROWS, len(rows)), len(rows), "pictures")
        (destination / "README.md").write_text(
            README.format(
                kept=len(rows), count=len(bundle), method=_word(bundle.manifest.get("method"))
            ),
            encoding="utf-8",
        )
    return dict(images=len(rows), classes=len(classes.names), path=str(destination))


def _schema(known: list[str], numbers: list[str], tagged: bool) -> Any:
    import pyarrow as pa

    label = (
        {"_type": "ClassLabel", "names": known} if known else {"_type": "Value", "dtype": "int64"}
    )
    features = {
        "image": {"_type": "Image"},
        "label": label,
        "id": {"_type": "Value", "dtype": "string"},
    } | {name: {"_type": "Value", "dtype": "float64"} for name in numbers}
    if tagged:
        features["tags"] = {"_type": "Value", "dtype": "string"}
    fields = [
        pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        pa.field("label", pa.int64()),
        pa.field("id", pa.string()),
        *(pa.field(n, pa.float64()) for n in numbers),
        *([pa.field("tags", pa.string())] if tagged else []),
    ]
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def _table(
    bundle: ExportBundle,
    rows: Any,
    classes: images.ClassLabels,
    numbers: list[str],
    schema: Any,
) -> Any:
    import pyarrow as pa

    encoded = [images.picture(bundle, row) for row in rows]
    numbers_of = [images.scores(bundle, row) for row in rows]
    columns = {
        "image": [
            dict(bytes=data, path=f"{number}.{kind}") for number, (data, kind) in enumerate(encoded)
        ],
        "label": [classes.code(row) for row in rows],
        "id": [str(bundle.ids[row]) for row in rows],
    }
    columns |= {
        name: [None if row[name] is None else float(row[name]) for row in numbers_of]
        for name in numbers
    }
    if "tags" in schema.names:
        columns["tags"] = [" ".join(bundle.image_tags[row]) for row in rows]
    return pa.Table.from_pydict(columns, schema=schema)


def _word(value: Any) -> str:
    return "".join(c for c in str(value) if c.isalnum() or c in "-_")
