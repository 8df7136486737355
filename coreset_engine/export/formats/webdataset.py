"""WebDataset: tar shards with KEY.jpg|png, KEY.cls and KEY.json, for streaming training.

Written with the standard library; the same selection gives the same bytes (no times, no owners).
Keys are numbers, so that no id can be taken for a path when a shard is unpacked; the id is in the
.json. A .cls is a number: the position in classes.json, which lists every class of the source.
"""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

from coreset_engine.artifacts import filesystem
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Progress, silent
from coreset_engine.export.bundle import ExportBundle
from coreset_engine.export.formats import images
from coreset_engine.export.staging import fresh


def write_webdataset(
    bundle: ExportBundle,
    destination: str | Path,
    progress: Progress = silent,
    *,
    shard: int = 1000,
    labels: str = "auto",
) -> dict[str, Any]:
    """Write shards/coreset-000000.tar, ... and shards/classes.json, best image first.

    Parameters
    ----------
    bundle, destination, progress
        What to write where, and whom to tell.
    shard
        Images in one tar, at least 1.
    labels
        "truth", "pseudo" or "auto": see `images.class_labels`.

    Raises
    ------
    Missing
        Without pictures.
    BadInput
        When `destination` cannot be written or an option is unknown.
    """
    if isinstance(shard, bool) or not isinstance(shard, int) or shard < 1:
        raise BadInput(f"shard={shard!r} must be an integer of at least 1, for example shard=1000.")
    destination = Path(destination)
    rows = images.kept(bundle)
    classes = images.class_labels(bundle, labels)
    starts = range(0, len(rows), shard)
    with filesystem.writing(destination):
        folder = fresh(destination / "shards")
        for count, start in enumerate(starts):
            path = folder / f"coreset-{count:06d}.tar"
            with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
                for number, row in enumerate(rows[start : start + shard].tolist(), start):
                    _add_image(tar, bundle, row, number, classes)
                    progress(number + 1, len(rows), "pictures")
        images.write_json(folder / "classes.json", list(classes.names))
    return dict(images=len(rows), shards=len(starts), path=str(folder))


def _add_image(
    tar: tarfile.TarFile, bundle: ExportBundle, row: int, number: int, classes: images.ClassLabels
) -> None:
    data, kind = images.picture(bundle, row)
    code = classes.code(row)
    about = dict(id=str(bundle.ids[row]), label=classes.name(row), **images.scores(bundle, row))
    _add(tar, f"{number:09d}.{kind}", data)
    if code is not None:
        _add(tar, f"{number:09d}.cls", str(code).encode())
    _add(tar, f"{number:09d}.json", json.dumps(about, allow_nan=False).encode())


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    about = tarfile.TarInfo(name)
    about.size = len(data)
    tar.addfile(about, io.BytesIO(data))
