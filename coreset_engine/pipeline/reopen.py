"""Open the source of a selection again, also when its images were moved since."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coreset_engine.core.errors import BadInput, CoresetError
from coreset_engine.core.types import Dataset
from coreset_engine.sources.open import open_source


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
        except BadInput as fault:
            if _looks_moved(spec):
                raise BadInput(
                    f"{fault} If the images were moved, name their folder now: --images FOLDER."
                ) from None
            raise
    wanted = str(manifest.get("source_fingerprint", ""))
    dataset = _opened_at(spec, images)
    if dataset.fingerprint != wanted:
        raise BadInput(
            f"{images!r} does not hold the images of this selection: {_difference(dataset, manifest)}; "
            "name the folder they were moved to."
        )
    return dataset


def _looks_moved(spec: str) -> bool:
    """Whether the spec is a path that is not there."""
    path = spec.partition("#")[0]
    return "://" not in spec and not spec.startswith("fiftyone:") and not Path(path).exists()


def _opened_at(spec: str, images: str) -> Dataset:
    """Vectors with the images at their new place; else the new place in place of the old one."""
    folder = str(Path(images).expanduser())
    if Path(spec.partition("#")[0]).suffix in (".npy", ".npz"):
        return open_source(spec, images=folder)
    options = spec.partition("#")[2]
    return open_source(f"{folder}#{options}" if options else folder)


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
    except CoresetError as fault:
        return None, " ".join(str(fault).split())
