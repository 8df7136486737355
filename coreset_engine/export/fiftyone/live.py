"""A selection into FiftyOne's database: a new dataset from its on-disk frame, an existing one by
one bulk update.

Measured at 60,000 samples: setting fields sample by sample takes 94-114 s, `set_values` 5 s per
number and 17 s per label. So what changes goes as one document per sample into a scratch
collection, from which the server merges it into the dataset ($merge): all fields at once, matched
by sample id. A new dataset's fields, views and runs are imported by FiftyOne itself from a folder
without samples; its samples are inserted as documents.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.core import fiftyone_database
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Progress, silent
from coreset_engine.export.bundle import ExportBundle
from coreset_engine.export.fiftyone import disk
from coreset_engine.export.fiftyone.layers import ID_FIELD, Layer, Names, own_layers, views

CHUNK = 5000


def write_fiftyone_dataset(
    bundle: ExportBundle,
    place: str,
    progress: Progress = silent,
    *,
    selection: str = "main",
    only_kept: bool = False,
) -> dict[str, Any]:
    """Write the selection into the dataset called `place`; what was done, in numbers and one
    sentence.

    A dataset that does not exist is made. One that does must hold images of this source; only
    fields, tags, views and runs of this selection's name are touched. only_kept: in a new dataset,
    leave out what was dropped. Raises Missing without a database, BadInput when an existing dataset
    has none of the images.
    """
    names = Names(selection)
    name = _checked(place)
    fo = fiftyone_database.connect()
    if fo.dataset_exists(name):
        if only_kept:
            raise BadInput(
                f"dataset {name!r} exists, and dropped samples are removed only from a new one; choose "
                "another name."
            )
        return _update(fo, fo.load_dataset(name), bundle, names, progress)
    return _create(fo, name, bundle, names, progress, only_kept)


def _checked(name: str) -> str:
    name = str(name).strip()
    if (
        not 1 <= len(name) <= 100
        or not any(c.isascii() and c.isalnum() for c in name)
        or not name.isprintable()
    ):
        raise BadInput(
            f"dataset name {name[:120]!r} must be 1 to 100 printable characters with a letter or digit."
        )
    return name


# -- a new dataset
# ----------------------------------------------------------------------------------------------------


def _create(
    fo: Any, name: str, bundle: ExportBundle, names: Names, progress: Progress, only_kept: bool
) -> dict[str, Any]:
    plan = disk.prepare(bundle, bundle.media, progress, names.name, name)
    with tempfile.TemporaryDirectory(prefix="coreset-") as folder, quiet():
        disk.write_frame(Path(folder), plan)
        try:
            dataset = fo.Dataset.from_dir(
                dataset_dir=folder, dataset_type=fo.types.FiftyOneDataset, name=name, progress=False
            )
        except ValueError as fault:
            raise BadInput(
                f"FiftyOne refuses the dataset {name!r} ({' '.join(str(fault).split())[:160]}); choose "
                "another name."
            ) from None
    try:
        _insert(dataset, plan, progress)
    except BaseException:  # cancelled or broken: half a dataset would be taken for a whole one
        dataset.delete()
        raise
    if only_kept:
        dataset.delete_samples(dataset.match_tags(names.tag, bool=False))
    dataset.persistent = True
    return _summary(dataset, names, created=True, written=len(dataset), absent=0, others=0)


def _insert(dataset: Any, plan: disk.Plan, progress: Progress) -> None:
    """The samples straight into the new dataset's collection; FiftyOne's JSON import takes twice
    the time."""
    dialect = _bson(dataset)
    rows = disk.documents(plan, dialect)
    done = 0
    while part := list(itertools.islice(rows, CHUNK)):
        dataset._sample_collection.insert_many(part, ordered=False)
        done += len(part)
        progress(done, len(plan.ids), "samples")
    dataset.reload()


def _bson(dataset: Any) -> disk.Dialect:
    from bson import Binary, ObjectId

    return disk.Dialect(ObjectId, Binary, float, datetime.now(UTC), dataset._doc.id)


# -- an existing one
# --------------------------------------------------------------------------------------------------


def match(dataset: Any, bundle: ExportBundle) -> list[str | None]:
    """The sample id of each row, or None: by FiftyOne's own ids, else by `coreset_id`, else by file
    path."""
    ours = bundle.ids.tolist()
    samples = dataset.values("id")
    paths = [
        os.path.abspath(path) if isinstance(path, str) and path else None
        for path in bundle.table["path"]
    ]
    ways = [(samples, ours), (dataset.values("filepath"), paths)]
    if dataset.has_sample_field(ID_FIELD):
        ways.insert(1, (dataset.values(ID_FIELD), ours))
    for theirs, mine in ways:
        place = dict(zip(theirs, samples, strict=True))
        place.pop(None, None)
        found = [place.get(key) for key in mine]
        if any(found):
            return found
    return [None] * len(ours)


def _update(
    fo: Any, dataset: Any, bundle: ExportBundle, names: Names, progress: Progress
) -> dict[str, Any]:
    samples = match(dataset, bundle)
    rows = np.array([i for i, key in enumerate(samples) if key is not None], np.int64)
    if not len(rows):
        raise BadInput(
            f"dataset {dataset.name!r} exists and has none of these {len(bundle)} images; choose another "
            "name, or the dataset the images came from."
        )
    layers = own_layers(bundle, names)
    before = _record(dataset, names)
    _check_owner(dataset, names, before, layers)
    _clear(dataset, names, before, layers)
    _declare(fo, dataset, layers)
    ids = [samples[row] for row in rows.tolist()]
    _merge(dataset, layers, rows, ids, progress)
    _tag(dataset, names, [samples[row] for row in rows.tolist() if bundle.selected[row]])
    dataset.reload()
    _save_views(dataset, names, layers, before)
    _save_runs(dataset, bundle, names, layers, before, rows, ids)
    return _summary(
        dataset,
        names,
        created=False,
        written=len(rows),
        absent=len(bundle) - len(rows),
        others=len(dataset) - len(set(ids)),
    )


def write_scores(bundle: ExportBundle, place: str, selection: str = "main") -> dict[str, Any]:
    """Only what does not depend on a choice: score fields, pseudo-label, map and similarity index.
    No tag, no view."""
    names = Names(selection)
    fo = fiftyone_database.connect()
    dataset = fo.load_dataset(_checked(place))
    samples = match(dataset, bundle)
    rows = np.array([i for i, key in enumerate(samples) if key is not None], np.int64)
    chosen = {names.prefix + part for part in ("score", "weight", "rank", "reason", "nearest_kept")}
    layers = [layer for layer in own_layers(bundle, names) if layer.name not in chosen]
    before = _record(dataset, names)
    _check_owner(dataset, names, before, layers)
    _declare(fo, dataset, layers)
    ids = [samples[row] for row in rows.tolist()]
    _merge(dataset, layers, rows, ids, silent)
    dataset.reload()
    kept: dict[str, Any] = dict(views=before.get("views", []))
    kept["fields"] = list(
        dict.fromkeys([*before.get("fields", ()), *(layer.name for layer in layers)])
    )
    if before:  # the selection that is there keeps the manifest that reproduces it
        kept["manifest"] = dataset.get_run_info(names.run_key).config.manifest
    _save_runs(dataset, bundle, names, layers, before, rows, ids, kept)
    written = ", ".join(layer.name for layer in layers if layer.kind != "vector")
    return dict(said=f"{len(rows):,} samples now have {written}.", written=len(rows))


def _record(dataset: Any, names: Names) -> dict[str, Any]:
    """What the selection of this name owned when it was last exported; {} when it never was."""
    if names.run_key not in dataset.list_runs():
        return {}
    config = dataset.get_run_info(names.run_key).config
    return {
        key: list(getattr(config, key, None) or []) for key in ("fields", "views", "brain_keys")
    }


def _check_owner(dataset: Any, names: Names, before: dict[str, Any], layers: list[Layer]) -> None:
    """Fields of our names that we did not write (somebody's own `coreset_score`) are not
    overwritten."""
    own = set(before.get("fields", ()))
    foreign = [
        layer.name
        for layer in layers
        if layer.name not in own and dataset.has_sample_field(layer.name)
    ]
    if foreign:
        raise BadInput(
            f"dataset {dataset.name!r} already has a field {foreign[0]!r} that no selection called "
            f"{names.name!r} wrote; give the selection another name."
        )


def _clear(dataset: Any, names: Names, before: dict[str, Any], layers: list[Layer]) -> None:
    """Drop own fields the new export does not have, and empty the others, so that no old value
    stays behind."""
    now = {layer.name for layer in layers}
    stale = [
        field
        for field in before.get("fields", ())
        if field not in now and dataset.has_sample_field(field)
    ]
    if stale:
        dataset.delete_sample_fields(stale)
    old = [field for field in before.get("fields", ()) if field in now]
    if old:
        dataset._sample_collection.update_many({}, {"$set": dict.fromkeys(old)})


def _declare(fo: Any, dataset: Any, layers: list[Layer]) -> None:
    kinds = {
        "float": fo.FloatField,
        "int": fo.IntField,
        "str": fo.StringField,
        "vector": fo.VectorField,
    }
    for layer in layers:
        if not dataset.has_sample_field(layer.name):
            given = (
                dict(ftype=fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
                if layer.kind == "label"
                else dict(ftype=kinds[layer.kind])
            )
            dataset.add_sample_field(layer.name, description=layer.text, **given)


def _merge(
    dataset: Any, layers: list[Layer], rows: np.ndarray, ids: list[str], progress: Progress
) -> None:
    from bson import ObjectId

    target = dataset._sample_collection
    scratch = target.database[f"coreset.scratch.{ObjectId()}"]
    dialect = _bson(dataset)
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


def _tag(dataset: Any, names: Names, kept: list[str]) -> None:
    """`coreset:NAME` on exactly the kept samples; `coreset` on those some selection keeps."""
    dataset.match_tags(names.tag).untag_samples(names.tag)
    if kept:
        dataset.select(kept).tag_samples([names.tag, "coreset"])
    others = [tag for tag in dataset.distinct("tags") if str(tag).startswith("coreset:")]
    orphans = (
        dataset.match_tags("coreset").match_tags(others, bool=False)
        if others
        else dataset.match_tags("coreset")
    )
    orphans.untag_samples("coreset")


def _save_views(dataset: Any, names: Names, layers: list[Layer], before: dict[str, Any]) -> None:
    wanted = views(names, layers)
    for name in {*before.get("views", ()), *(view.name for view in wanted)} & set(
        dataset.list_saved_views()
    ):
        dataset.delete_saved_view(name)
    for view in wanted:
        shown = dataset.view()
        for method, given in view.stages:
            shown = getattr(shown, method)(**given)
        dataset.save_view(view.name, shown, description=view.text)


def _save_runs(
    dataset: Any,
    bundle: ExportBundle,
    names: Names,
    layers: list[Layer],
    before: dict[str, Any],
    rows: np.ndarray,
    ids: list[str],
    kept: dict[str, Any] | None = None,
) -> None:
    """Map, similarity index, and the custom run with the manifest and what the selection owns
    (`kept` overrides)."""
    import fiftyone.brain as brain

    for key in before.get("brain_keys", ()):
        if key in dataset.list_brain_runs():
            dataset.delete_brain_run(key)
    whole = len(ids) == len(dataset)
    shown = dataset if whole else dataset.select(ids)
    with quiet():
        for key in disk.brain_keys(bundle, names, layers):
            if key.endswith("umap"):
                row_of = dict(zip(ids, rows.tolist(), strict=True))
                order = [row_of[key_] for key_ in shown.values("id")]
                brain.compute_visualization(
                    shown, points=np.asarray(bundle.points, np.float64)[order], brain_key=key
                )
            else:
                brain.compute_similarity(
                    shown,
                    embeddings=names.prefix + "vector",
                    brain_key=key,
                    backend="sklearn",
                    metric="cosine",
                )
    run = dataset.init_run()
    for key, value in (disk.run_config(bundle, names, layers) | (kept or {})).items():
        setattr(run, key, value)
    dataset.register_run(names.run_key, run, overwrite=True)


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


def _summary(
    dataset: Any, names: Names, *, created: bool, written: int, absent: int, others: int
) -> dict[str, Any]:
    kept = len(dataset.match_tags(names.tag))
    text = (
        f"{kept:,} of {written:,} samples are tagged {names.tag!r} in the dataset {dataset.name!r}."
    )
    if absent:
        text += f" {absent:,} images of the selection are not in it any more and were left out."
    if others:
        text += f" {others:,} of its samples were not part of the selection's source and were not touched."
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
