"""Write a selection into FiftyOne's database: a new dataset, or one that exists.

A new dataset's fields, views and runs are imported by FiftyOne itself from a folder without samples
(`disk`); its samples are inserted as documents (`bulk_writes`). In an existing one the images are
found by `matching`, and `ownership` keeps what others made apart from what the selection owns.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from coreset_engine.core import fiftyone_database
from coreset_engine.core.counted import counted
from coreset_engine.core.errors import BadInput
from coreset_engine.core.export_tags import SHARED as SHARED_TAG
from coreset_engine.core.types import Progress, silent
from coreset_engine.export.bundle import ExportBundle
from coreset_engine.export.fiftyone import disk
from coreset_engine.export.fiftyone.bulk_writes import every_sample, insert_samples, quiet
from coreset_engine.export.fiftyone.layers import Names, own_layers
from coreset_engine.export.fiftyone.matching import match
from coreset_engine.export.fiftyone.ownership import Target
from coreset_engine.export.fiftyone.transaction import all_or_nothing, write_errors_as_bad_input
from coreset_engine.export.objects import with_boxes

__all__ = [
    "Target",
    "every_sample",
    "match",
    "quiet",
    "write_fiftyone_dataset",
    "write_scores",
]


def write_fiftyone_dataset(
    bundle: ExportBundle,
    name: str,
    progress: Progress = silent,
    *,
    selection: str = "main",
    only_kept: bool = False,
) -> dict[str, Any]:
    """Write the selection into the dataset called `name`.

    A dataset that does not exist is made. One that does must hold images of this source; only
    fields, tags, views and runs of this selection's name are touched.

    Parameters
    ----------
    bundle : ExportBundle
        N images with their scores and what was selected.
    name : str
        1 to 100 printable characters with a letter or digit.
    progress : Progress
        Unit "samples".
    selection : str
        Name of the selection; prefix of its fields, tag and views.
    only_kept : bool
        In a new dataset, leave out what was dropped.

    Returns
    -------
    dict
        name, selection, created; written, kept, absent: counts of samples; said: a sentence.

    Raises
    ------
    Missing
        Without FiftyOne or its database.
    BadInput
        When an existing dataset has none of the images, or a field, tag or view of the selection's
        name was made by others.
    """
    names = Names(selection)
    name = _checked(name)
    bundle = with_boxes(bundle)
    fo = fiftyone_database.connect()
    with write_errors_as_bad_input(name):
        if not fo.dataset_exists(name):
            return _create(fo, name, bundle, names, progress, only_kept)
        if only_kept:
            raise BadInput(
                f"dataset {name!r} exists, and dropped samples can be removed only from a new "
                "dataset; choose another name."
            )
        return _update(fo, fo.load_dataset(name), bundle, names, progress)


def _checked(name: str) -> str:
    name = str(name).strip()
    if (
        not 1 <= len(name) <= 100
        or not any(c.isascii() and c.isalnum() for c in name)
        or not name.isprintable()
    ):
        raise BadInput(
            f"dataset name {name[:120]!r} must be 1 to 100 printable characters with a letter or "
            "digit."
        )
    return name


# -- a new dataset ---------------------------------------------------------------------------------


def _create(
    fo: Any, name: str, bundle: ExportBundle, names: Names, progress: Progress, only_kept: bool
) -> dict[str, Any]:
    plan = disk.prepare(bundle, bundle.media, progress, names.name, name)
    with tempfile.TemporaryDirectory(prefix="coreset-") as folder, quiet():
        disk.write_frame(Path(folder), plan)
        dataset = _from_frame(fo, folder, name)
    try:
        insert_samples(dataset, plan, progress)
    except BaseException:  # cancelled or broken: half a dataset would be taken for a whole one
        dataset.delete()
        raise
    if only_kept:
        dataset.delete_samples(dataset.match_tags(names.tag, bool=False))
    dataset.persistent = True
    return _summary(dataset, names, _Written(len(dataset)), created=True)


def _from_frame(fo: Any, folder: str, name: str) -> Any:
    """The dataset with its fields, views and runs, without samples; none where FiftyOne refuses."""
    try:
        return fo.Dataset.from_dir(
            dataset_dir=folder, dataset_type=fo.types.FiftyOneDataset, name=name, progress=False
        )
    except ValueError as fault:
        raise BadInput(
            f"FiftyOne refuses the dataset {name!r} ({' '.join(str(fault).split())[:160]}); "
            "choose another name."
        ) from None
    except BaseException:  # half a dataset would make the next try an update of it
        with contextlib.suppress(Exception):
            if fo.dataset_exists(name):
                fo.delete_dataset(name)
        raise


# -- an existing one -------------------------------------------------------------------------------


def _update(
    fo: Any, dataset: Any, bundle: ExportBundle, names: Names, progress: Progress
) -> dict[str, Any]:
    samples = match(dataset, bundle)
    rows = np.array([i for i, key in enumerate(samples) if key is not None], np.int64)
    if not len(rows):
        raise BadInput(
            f"dataset {dataset.name!r} exists and has none of these {len(bundle)} images (neither "
            "their files nor a selection of the same source); choose another name, or the dataset "
            "the images came from."
        )
    target = Target(fo, dataset, names, own_layers(bundle, names), bundle.near_distance)
    target.check()
    ids = [samples[row] for row in rows.tolist()]
    kept = [samples[row] for row in rows.tolist() if bundle.selected[row]]
    with all_or_nothing(dataset, target.written_fields):
        target.claim(bundle)
        target.write_fields(rows, ids, progress)
        target.write_tags(kept)
        target.add_image_tags([bundle.image_tags[row] for row in rows.tolist()], ids)
        target.write_views()
        target.write_runs(bundle, rows, ids)
    counts = _Written(
        len(rows),
        absent=len(bundle) - len(rows),
        others=dataset._sample_collection.count_documents({}) - len(set(ids)),
        foreign_tag=not target.shares_tag,
    )
    return _summary(dataset, names, counts, created=False)


def write_scores(bundle: ExportBundle, name: str, selection: str = "main") -> dict[str, Any]:
    """Only what does not depend on a choice: score fields, pseudo-label, map and similarity index.

    No tag, no view.
    """
    names = Names(selection)
    fo = fiftyone_database.connect()
    dataset = fo.load_dataset(_checked(name))
    samples = match(dataset, bundle)
    rows = np.array([i for i, key in enumerate(samples) if key is not None], np.int64)
    chosen = {names.prefix + part for part in ("score", "weight", "rank", "reason", "nearest_kept")}
    layers = [layer for layer in own_layers(bundle, names) if layer.name not in chosen]
    target = Target(fo, dataset, names, layers, bundle.near_distance)
    with write_errors_as_bad_input(dataset.name):
        return _write_scores(target, bundle, rows, samples)


def _write_scores(
    target: Target, bundle: ExportBundle, rows: np.ndarray, samples: list[str | None]
) -> dict[str, Any]:
    dataset = target.dataset
    layers = target.layers
    target.check(tags_and_views=False)
    ids = [samples[row] for row in rows.tolist()]
    before = target.before
    kept: dict[str, Any] = dict(views=before.get("views", []))
    kept["fields"] = list(
        dict.fromkeys([*before.get("fields", ()), *(layer.name for layer in layers)])
    )
    if before:  # the selection that is there keeps the manifest that reproduces it
        kept["manifest"] = dataset.get_run_info(target.names.run_key).config.manifest
    with all_or_nothing(dataset, [layer.name for layer in layers]):
        target.claim(bundle)
        target.write_fields(rows, ids, silent, clear=False)
        target.write_runs(bundle, rows, ids, kept)
    written = ", ".join(layer.name for layer in layers if layer.kind != "vector")
    return dict(
        said=f"{counted(len(rows), 'sample now has', 'samples now have')} {written}.",
        written=len(rows),
    )


class _Written(NamedTuple):
    """Samples written, images of the selection that are not in the dataset, and its other samples;
    whether the shared tag was made by others."""

    written: int
    absent: int = 0
    others: int = 0
    foreign_tag: bool = False


def _summary(dataset: Any, names: Names, counts: _Written, *, created: bool) -> dict[str, Any]:
    written, absent, others, foreign_tag = counts
    kept = dataset._sample_collection.count_documents({"tags": names.tag})
    text = (
        f"{kept:,} of {written:,} samples are tagged {names.tag!r} in the dataset {dataset.name!r}."
    )
    if absent:
        text += f" {absent:,} images of the selection are no longer in it and were skipped."
    if others:
        text += (
            f" {others:,} of its samples were not part of the selection's source and were not "
            "touched."
        )
    if foreign_tag:
        text += f" The tag {SHARED_TAG!r} was not made by this export and was left alone."
    return dict(
        name=dataset.name,
        selection=names.name,
        created=created,
        written=written,
        kept=kept,
        absent=absent,
        others=others,
        views=[view for view in dataset.list_saved_views()],
        said=text,
    )
