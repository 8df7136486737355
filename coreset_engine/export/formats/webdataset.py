"""WebDataset: tar shards with KEY.jpg|png, KEY.cls and KEY.json side by side, for streaming
training.

Written with the standard library; the same selection gives the same bytes (no times, no owners).
Keys are numbers, so that no id can be taken for a path by whoever unpacks a shard; the id is in the
.json.
"""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Progress, silent
from coreset_engine.export.bundle import ExportBundle
from coreset_engine.export.formats import images


def write_webdataset(
    bundle: ExportBundle,
    place: str | Path,
    progress: Progress = silent,
    *,
    shard: int = 1000,
    labels: str = "auto",
) -> dict[str, Any]:
    """Write shards/coreset-000000.tar, ... and shards/classes.json into `place`; `shard` images
    each, best first."""
    if isinstance(shard, bool) or not isinstance(shard, int) or shard < 1:
        raise BadInput(f"shard={shard!r} must be a whole number from 1, for example shard=1000.")
    place = Path(place)
    rows = images.kept(bundle)
    names = images.class_names(bundle, labels)
    known = sorted({name for name in names if name is not None})
    number_of = {name: number for number, name in enumerate(known)}
    count = 0
    try:
        folder = images.fresh(place / "shards")
        for start in range(0, len(rows), shard):
            with tarfile.open(
                folder / f"coreset-{count:06d}.tar", "w", format=tarfile.PAX_FORMAT
            ) as tar:
                for number, row in enumerate(rows[start : start + shard], start):
                    data, kind = images.picture(bundle, row)
                    about = dict(
                        id=str(bundle.ids[row]), label=names[row], **images.scores(bundle, row)
                    )
                    _add(tar, f"{number:09d}.{kind}", data)
                    if names[row] is not None:
                        _add(tar, f"{number:09d}.cls", str(number_of[names[row]]).encode())
                    _add(tar, f"{number:09d}.json", json.dumps(about, allow_nan=False).encode())
                    progress(number + 1, len(rows), "pictures")
            count += 1
        images.write_json(folder / "classes.json", known)
    except OSError as fault:
        raise BadInput(
            f"{str(place)!r} cannot be written ({fault.strerror or fault}); choose a folder you can write, "
            "on a disk with room."
        ) from None
    return dict(images=len(rows), shards=count, path=str(folder))


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    about = tarfile.TarInfo(name)
    about.size = len(data)
    tar.addfile(about, io.BytesIO(data))
