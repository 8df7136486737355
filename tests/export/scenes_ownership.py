"""Exports into datasets that belong to somebody: what each leaves behind, as plain data."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import numpy as np
import synthetic_bundles

from coreset_engine.core.errors import BadInput
from coreset_engine.export.fiftyone import live, transaction
from coreset_engine.sources.open import open_source


def everything(dataset) -> str:
    """Every document of the dataset as text: samples, its own, saved views, runs."""
    from bson import json_util

    database = dataset._sample_collection.database
    own = database.datasets.find_one({"_id": dataset._doc.id})
    parts = [list(dataset._sample_collection.find({}).sort("_id"))]
    parts.append({name: own.get(name) for name in transaction.PARTS})
    for name in transaction.LINKED:
        parts.append(list(database[name].find({"_dataset_id": own["_id"]}).sort("_id")))
    return json_util.dumps(parts, sort_keys=True)


def theirs(bundle, name):
    """Somebody's dataset of the same files, with work of their own in it."""
    import fiftyone as fo

    dataset = fo.Dataset(name)
    samples = [
        fo.Sample(filepath=path, mine="text", tags=["theirs"]) for path in bundle.table["path"]
    ]
    dataset.add_samples(samples, progress=False)
    dataset.save_view("my view", dataset.limit(2), description="mine")
    dataset.persistent = True
    return dataset


def take_name(dataset, what):
    """Something of theirs under a name that the selection "main" would use."""
    import fiftyone.brain as brain

    first = dataset.first()
    if what == "field":
        dataset.set_values("coreset_score", [5.0] * len(dataset))
    elif what == "tag":
        first.tags.append("coreset:main")
        first.save()
    elif what == "saved view":
        dataset.save_view("coreset: kept", dataset.limit(1))
    elif what == "saved view with the same slug":
        dataset.save_view("Coreset kept", dataset.limit(1))
    elif what == "brain run":
        points = np.zeros((len(dataset), 2))
        brain.compute_visualization(dataset, points=points, brain_key="coreset_umap")
    elif what == "run":
        run = dataset.init_run()
        run.note = "theirs"
        dataset.register_run("coreset_main", run)


def taken(folder, source, what):
    """The refusal, whether all is as before, and whether another name works."""
    bundle = synthetic_bundles.make_bundle(Path(folder), source)
    dataset = theirs(bundle, f"taken {what}")
    take_name(dataset, what)
    before = everything(dataset)
    try:
        live.write_fiftyone_dataset(bundle, dataset.name)
        message = ""
    except BadInput as error:
        message = str(error)
    same = everything(dataset) == before
    answer = live.write_fiftyone_dataset(bundle, dataset.name, selection="other")
    return dict(said=message, same=same, kept=answer["kept"])


def shared_tag(folder, source, name):
    """Somebody uses the tag "coreset" themselves."""
    bundle = synthetic_bundles.make_bundle(Path(folder), source)
    dataset = theirs(bundle, name)
    first = dataset.first()
    first.tags.append("coreset")
    first.save()
    counts = []
    for part in (bundle, synthetic_bundles.make_bundle(Path(folder), source, keep=5, seed=1)):
        answer = live.write_fiftyone_dataset(part, name)
        dataset.reload()
        counts.append(dataset.count_sample_tags())
    return dict(said=answer["said"], counts=counts, still="coreset" in dataset.first().tags)


FAILURES = {
    "fields": "coreset_engine.export.fiftyone.ownership.merge_fields",
    "tags": "coreset_engine.export.fiftyone.ownership.Target.write_tags",
    "views": "coreset_engine.export.fiftyone.ownership.Target.write_views",
    "map": "fiftyone.brain.compute_visualization",
    "similarity": "fiftyone.brain.compute_similarity",
    "registration": "coreset_engine.export.fiftyone.ownership.Target.write_runs",
}


def failing(folder, source, where, exported_before):
    """An export that fails at one place after it began to write; then the same again."""
    import fiftyone  # noqa: F401 - loaded before its parts are replaced
    import fiftyone.brain  # noqa: F401

    bundle = synthetic_bundles.make_bundle(Path(folder), source, keep=3)
    dataset = theirs(bundle, f"failing {where} {exported_before}")
    if exported_before:
        former = synthetic_bundles.make_bundle(Path(folder), source, keep=5, seed=1)
        live.write_fiftyone_dataset(former, dataset.name)
        dataset.reload()
    before = everything(dataset)
    with mock.patch(FAILURES[where], side_effect=KeyboardInterrupt):
        try:
            live.write_fiftyone_dataset(bundle, dataset.name)
            failed = False
        except KeyboardInterrupt:
            failed = True
    same = everything(dataset) == before
    views = [len(dataset.load_saved_view(name)) for name in dataset.list_saved_views()]
    points = "coreset_umap" in dataset.list_brain_runs() and len(
        dataset.load_brain_results("coreset_umap").points
    )
    answer = live.write_fiftyone_dataset(bundle, dataset.name)
    scratch = [
        name
        for name in dataset._sample_collection.database.list_collection_names()
        if name.startswith("coreset.")
    ]
    return dict(
        failed=failed, same=same, views=views, points=points, kept=answer["kept"], scratch=scratch
    )


def killed(folder, source, name):
    """A process that dies while it writes puts nothing back; the next export must cope."""
    bundle = synthetic_bundles.make_bundle(Path(folder), source, keep=3)
    dataset = theirs(bundle, name)
    with (
        mock.patch.object(transaction._Snapshot, "restore"),
        mock.patch("fiftyone.brain.compute_similarity", side_effect=KeyboardInterrupt),
    ):
        try:
            live.write_fiftyone_dataset(bundle, name)
        except KeyboardInterrupt:
            pass
    dataset.reload()
    left = dataset.list_brain_runs()
    answer = live.write_fiftyone_dataset(bundle, name)
    dataset.reload()
    return dict(
        left=left, brain=dataset.list_brain_runs(), kept=answer["kept"], mine=dataset.values("mine")
    )


def strangers_ids(folder, source, other, name):
    """Two folders with the same names and other pictures: an id proves nothing."""
    bundle = synthetic_bundles.make_bundle(Path(folder), source)
    live.write_fiftyone_dataset(bundle, name)
    import fiftyone as fo

    dataset = fo.load_dataset(name)
    before = everything(dataset)
    stranger = synthetic_bundles.make_bundle(Path(folder) / "b", other, keep=5, seed=1)
    assert stranger.ids.tolist() == bundle.ids.tolist()
    try:
        live.write_fiftyone_dataset(stranger, name)
        message = ""
    except BadInput as error:
        message = str(error)
    return dict(said=message, same=everything(dataset) == before)


def grown_source(folder, source, name):
    """The same folder with one picture more: matched by the files themselves."""
    bundle = synthetic_bundles.make_bundle(Path(folder), source)
    live.write_fiftyone_dataset(bundle, name)
    synthetic_bundles.pictures(Path(source), ["a/new.png"])
    grown = synthetic_bundles.make_bundle(Path(folder), source, keep=len(bundle) + 1, seed=1)
    answer = live.write_fiftyone_dataset(grown, name)
    return {key: answer[key] for key in ("written", "absent", "kept")} | {"n": len(bundle)}


# -- groups, patches, dynamic groups ---------------------------------------------------------------


def grouped(folder, name):
    import fiftyone as fo

    dataset = fo.Dataset(name)
    dataset.add_group_field("group", default="left")
    samples = []
    for i in range(6):
        group = fo.Group()
        for j, part in enumerate(("left", "right")):
            path = Path(folder) / f"{part}{i}.png"
            synthetic_bundles.pictures(path.parent, [path.name])
            path.write_bytes(path.read_bytes() + bytes([i, j]))
            samples.append(fo.Sample(filepath=str(path), group=group.element(part)))
    dataset.add_samples(samples, progress=False)
    dataset.persistent = True
    return dataset


def groups(folder, name):
    """Every slice is opened, tagged and shown; a tag never stays on a sample no longer kept."""
    from coreset_engine.artifacts.selection_folder import read_selection, write_selection
    from coreset_engine.core.types import Selection
    from coreset_engine.export.bundle import ExportBundle

    dataset = grouped(folder, name)
    source = open_source(f"fiftyone:{name}")
    seen = []
    for number, kept in enumerate((np.array([0, 1, 2, 7, 9]), np.array([1, 11, 4]))):
        chosen = Selection(
            source.ids[kept],
            kept,
            np.ones(len(kept)),
            np.arange(12.0),
            "random",
            {},
            source.fingerprint,
        )
        about = dict(source=source.spec, source_fingerprint=source.fingerprint, method="random")
        written = write_selection(Path(folder) / f"s{number}", source, chosen, {}, about)
        answer = live.write_fiftyone_dataset(
            ExportBundle(*read_selection(written), Path(folder), source), name
        )
        dataset.reload()
        flat = dataset.select_group_slices(["left", "right"])
        tagged = flat.match_tags("coreset:main").values("id")
        dataset.group_slice = "right"
        dataset.default_group_slice = "right"
        dataset.save()
        seen.append(
            dict(
                wanted=sorted(source.ids[kept].tolist()),
                tagged=sorted(tagged),
                shared=sorted(flat.match_tags("coreset").values("id")),
                shown=sorted(dataset.load_saved_view("coreset: kept").values("id")),
                ranks=sum(rank is not None for rank in flat.values("coreset_rank")),
                told=answer["kept"],
            )
        )
    return seen


def odd_views(folder, name):
    """Saved views of dynamic groups are opened sample by sample, of patches refused."""
    import fiftyone as fo

    dataset = fo.Dataset(name)
    paths = synthetic_bundles.pictures(Path(folder), ["1.png", "2.png", "3.png", "4.png"])
    for i, path in enumerate(sorted(paths.glob("*.png"))):
        box = fo.Detection(label="x", bounding_box=[0, 0, 1, 1])
        dataset.add_sample(
            fo.Sample(filepath=str(path), scene=str(i % 2), boxes=fo.Detections(detections=[box]))
        )
    dataset.save_view("scenes", dataset.group_by("scene"))
    dataset.save_view("patches", dataset.to_patches("boxes"))
    try:
        open_source(f"fiftyone:{name}/patches")
        message = ""
    except BadInput as error:
        message = str(error)
    return dict(dynamic=len(open_source(f"fiftyone:{name}/scenes")), said=message)


# -- a database or a disk that refuses -------------------------------------------------------------


def _full(*_, **__):
    from pymongo.errors import OperationFailure

    raise OperationFailure("No space left on device", 14031)


def _no_room(*_, **__):
    raise OSError(28, "No space left on device", "/tmp/x")


def full_database(folder, source, name):
    """The database's disk is full while an existing dataset is written; then there is room."""
    bundle = synthetic_bundles.make_bundle(Path(folder), source, keep=3)
    dataset = theirs(bundle, name)
    before = everything(dataset)
    message = []
    with mock.patch.object(live.Target, "write_tags", _full):
        message.append(_said(lambda: live.write_fiftyone_dataset(bundle, name)))
    same = everything(dataset) == before
    with (
        mock.patch.object(live.Target, "write_tags", _full),
        mock.patch.object(transaction._Snapshot, "restore", _full),
    ):
        message.append(_said(lambda: live.write_fiftyone_dataset(bundle, name)))
    dataset.reload()
    report = live.write_fiftyone_dataset(bundle, name)
    return dict(said=message, same=same, kept=report["kept"], mine=dataset.values("mine"))


def full_new_dataset(folder, source, name):
    """A disk or database that is full while a dataset is made leaves none behind."""
    import fiftyone as fo

    bundle = synthetic_bundles.make_bundle(Path(folder), source, keep=3)
    message = []
    for target, fault in (
        ("coreset_engine.export.fiftyone.disk.write_frame", _no_room),
        ("fiftyone.utils.data.importers.FiftyOneDatasetImporter.import_samples", _full),
        ("coreset_engine.export.fiftyone.live.insert_samples", _full),
    ):
        with mock.patch(target, fault):
            message.append(_said(lambda: live.write_fiftyone_dataset(bundle, name)))
            message.append(fo.dataset_exists(name))
    report = live.write_fiftyone_dataset(bundle, name)
    return dict(said=message, created=report["created"], kept=report["kept"])


def _said(call):
    try:
        call()
        return "done"
    except BadInput as fault:
        return str(fault)
