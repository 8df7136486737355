"""A source whose files were moved: open it at its new location, and check that it is the same.

The fingerprint covers ids and contents, not paths. Where it differs, the error says how many ids
are missing, new, or hold another picture.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Dataset, Progress, silent
from coreset_engine.core.user_paths import user_path
from coreset_engine.sources import options
from coreset_engine.sources.open import open_source
from coreset_engine.sources.remote import containers
from coreset_engine.sources.specs import kind_of


def moved_spec(spec: str, images: str | Path) -> str:
    """The spec of the same source with its files at `images`, options kept.

    Parameters
    ----------
    spec
        As a manifest or `Dataset.spec` holds it.
    images
        The folder (or, for vectors, the folder of their images; for tars and Parquet, the folder or
        pattern) that holds the files now.

    Raises
    ------
    BadInput
        For sources that have no files to move.
    """
    kind = kind_of(spec)
    folder = user_path(images).absolute()
    if kind == "folder":
        _, read_options = options.unpacked(spec, "folder:", "folder")
        return options.folder_spec(folder, options.ReadOptions.of("folder", read_options))
    if kind == "vectors":
        path, read_options = options.unpacked(spec, "vectors:", "vectors")
        record = options.ReadOptions.of("vectors", {**read_options, "images": str(folder)})
        return options.vectors_spec(Path(path), record)
    if kind == "container":
        _, read_options = containers.split_options(spec, {})
        options_text = "&".join(f"{name}={value}" for name, value in sorted(read_options.items()))
        return f"{images}#{options_text}" if options_text else str(images)
    raise BadInput(
        f"{spec[:80]!r} is not a folder that could have moved; leave images= (--images) out."
    )


def rebind(
    spec: str,
    images: str | Path,
    fingerprint: str,
    *,
    ids: np.ndarray | None = None,
    progress: Progress = silent,
) -> Dataset:
    """The source of `spec` at its new location, checked.

    Parameters
    ----------
    spec
        As a manifest holds it.
    images
        Where the files are now, see `moved_spec`.
    fingerprint
        `Dataset.fingerprint` of the source that is meant.
    ids
        (N,) str of that source, where known: the error can then say what differs.

    Raises
    ------
    BadInput
        When other images are there.
    """
    moved = open_source(moved_spec(spec, images), progress=progress)
    if moved.fingerprint == fingerprint:
        return moved
    difference = ""
    if ids is not None:
        expected = {str(name) for name in ids}
        there = {str(name) for name in moved.ids}
        lacking = sorted(expected - there)
        more = sorted(there - expected)
        difference = f" {len(lacking):,} of {len(expected):,} ids are missing there"
        difference += f" (for example {lacking[0]!r})" if lacking else ""
        difference += f", {len(more):,} are new" if more else ""
        difference += ", the rest have the same names;" if lacking or more else ": contents differ;"
    raise BadInput(
        f"images={str(images)!r} (--images) holds different images from the source {spec[:120]!r} "
        "did:"
        f"{difference} give the folder to which the files were moved, unchanged."
    )
