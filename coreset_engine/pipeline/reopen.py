"""Reopen the source of a selection, also when its images were moved."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coreset_engine.core.errors import BadInput, CoresetError
from coreset_engine.core.types import Dataset
from coreset_engine.sources import options
from coreset_engine.sources.open import open_source
from coreset_engine.sources.specs import kind_of, spec_with


def reopen_source(manifest: Mapping[str, Any], images: str = "") -> Dataset:
    """The source that a manifest names, its images in `images` where they were moved.

    Parameters
    ----------
    manifest
        Of a selection: `source` and `source_fingerprint`.
    images
        The folder the images are in now; "" = where they were.

    Raises
    ------
    BadInput
        When the folder does not hold the same images; for a source that cannot be opened, with
        the way to say where it is now.
    """
    spec = str(manifest["source"])
    if not images:
        try:
            return open_source(spec)
        except BadInput as error:
            if _looks_moved(spec):
                raise BadInput(
                    f"{error} If the images were moved, name their folder now: --images FOLDER."
                ) from None
            raise
    wanted = str(manifest.get("source_fingerprint", ""))
    dataset = _open_at(spec, images)
    if dataset.fingerprint != wanted:
        raise BadInput(
            f"{images!r} does not hold the images of this selection: "
            f"{_difference(dataset, manifest)}; name the folder they were moved to."
        )
    return dataset


def _looks_moved(spec: str) -> bool:
    """Whether the files the spec names are not there."""
    kind = kind_of(spec)
    if kind == "folder":
        return not Path(options.unpacked(spec, "folder:", kind)[0]).exists()
    return kind in ("vectors", "container") and "://" not in spec


def _open_at(spec: str, images: str) -> Dataset:
    """Read like `spec`, from the new place: vectors with other images, else another folder."""
    kind = kind_of(spec)
    path = os.path.abspath(os.path.expanduser(images))
    if kind == "vectors":
        return open_source(spec_with(spec, {"images": path}))
    if kind == "container":
        pattern, _, suffix = spec.partition("#")
        name = Path(pattern).name
        moved = path if Path(path).is_file() or name == Path(path).name else f"{path}/{name}"
        return open_source(f"{moved}#{suffix}" if suffix else moved)
    if kind == "folder":
        chosen = options.ReadOptions.of(kind, options.unpacked(spec, "folder:", kind)[1])
        return open_source(options.folder_spec(Path(path), chosen))
    raise BadInput(
        f"the source {spec[:80]!r} is not a folder of images, so --images does not apply to it; "
        "leave "
        "it out."
    )


def _difference(dataset: Dataset, manifest: Mapping[str, Any]) -> str:
    count = manifest.get("n")
    if isinstance(count, int) and len(dataset) != count:
        return f"it has {len(dataset):,} usable images, the selection was made from {count:,}"
    return "names or contents differ"


def try_reopen(manifest: Mapping[str, Any], images: str = "") -> tuple[Dataset | None, str]:
    """The source, or None and why it cannot be opened; a wrong `images` is still refused."""
    if images:
        return reopen_source(manifest, images), ""
    try:
        return reopen_source(manifest), ""
    except CoresetError as error:
        return None, " ".join(str(error).split())
