"""What the FiftyOne export tests do inside a process with a real FiftyOne; each returns plain data
to compare."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import synthetic_bundles

from coreset_engine.core.errors import BadInput
from coreset_engine.export.fiftyone import disk, live


def read(name, prefix="coreset_"):
    """Everything of a dataset that an export may have written, by our ids."""
    import fiftyone as fo

    dataset = fo.load_dataset(name)
    dataset.reload()
    fields = {
        field: dataset.values(field)
        for field in dataset.get_field_schema(flat=True)
        if field.startswith((prefix, "ground_truth", "source_"))
        and not field.endswith((".id", "vector", "_label", "_truth"))
    }
    views = {
        view: dataset.load_saved_view(view).values("coreset_id")
        for view in dataset.list_saved_views()
    }
    return dict(
        ids=dataset.values("coreset_id"),
        samples=dataset.values("id"),
        paths=dataset.values("filepath"),
        tags=dataset.values("tags"),
        fields=fields,
        views=views,
        brain=dataset.list_brain_runs(),
        runs=dataset.list_runs(),
        widths=dataset.values("metadata.width"),
        persistent=dataset.persistent,
    )


def fresh(folder, source, name, keep=3):
    """A new dataset; what was told and what is there."""
    bundle = synthetic_bundles.make_bundle(Path(folder), source, keep=keep)
    answer = live.write_fiftyone_dataset(bundle, name)
    return dict(told=answer, **read(name), **wanted(bundle), **derived(name))


def wanted(bundle):
    columns = {
        name: bundle.table[name].astype(float).tolist()
        for name in ("aum", "score", "weight", "confidence")
    }
    kept = bundle.table[bundle.table["selected"]].sort_values("rank")["id"].tolist()
    return dict(wanted=columns, kept=kept, reasons=bundle.reasons.tolist(), truth=bundle.truth)


def derived(name, prefix="coreset_"):
    """What the map and the similarity index answer."""
    import fiftyone as fo

    dataset = fo.load_dataset(name)
    map_ = dataset.load_brain_results(prefix + "umap")
    neighbours = dataset.sort_by_similarity(
        dataset.first().id, k=3, brain_key=prefix + "similarity"
    )
    config = dataset.get_run_info("coreset_main").config
    position = dict(zip(map_.sample_ids, map_.points.tolist(), strict=True))
    return dict(
        points=[position[key] for key in dataset.values("id")],
        near=neighbours.values("coreset_id"),
        manifest=config.manifest,
    )


def through_disk(folder, source, out, name):
    """The on-disk folder, read by FiftyOne's own importer."""
    import fiftyone as fo

    disk.write_fiftyone_folder(synthetic_bundles.make_bundle(Path(folder), source), out)
    fo.Dataset.from_dir(
        dataset_dir=out, dataset_type=fo.types.FiftyOneDataset, name=name, progress=False
    )
    return dict(**read(name), **derived(name))


def twice(folder, source, name):
    """Main, then another name, then main again with other scores; all three states."""
    first = synthetic_bundles.make_bundle(Path(folder), source, keep=3, seed=0)
    live.write_fiftyone_dataset(first, name)
    import fiftyone as fo

    dataset = fo.load_dataset(name)
    dataset.add_sample_field("mine", fo.StringField)
    dataset.set_values("mine", ["untouched"] * len(dataset))
    sample = dataset.first()
    sample.tags.append("keep me")
    sample.save()
    dataset.save_view("my view", dataset.limit(2))
    states = [read(name)]
    live.write_fiftyone_dataset(
        synthetic_bundles.make_bundle(Path(folder), source, keep=5, seed=1), name, selection="B ☃"
    )
    states.append(read(name))
    live.write_fiftyone_dataset(
        synthetic_bundles.make_bundle(Path(folder), source, keep=2, seed=2, with_run=False), name
    )
    states.append(read(name))
    return dict(states=states, mine=dataset.values("mine"), schema=list(dataset.get_field_schema()))


def into_foreign(folder, source, name):
    """A dataset somebody else made of the same files, reversed, with one file missing and one of
    their own."""
    import fiftyone as fo

    bundle = synthetic_bundles.make_bundle(Path(folder), source, keep=3)
    paths = bundle.table["path"].tolist()
    dataset = fo.Dataset(name)
    theirs = [*paths[::-1][:-1], "/elsewhere/own.png"]
    dataset.add_samples([fo.Sample(filepath=path) for path in theirs], progress=False)
    answer = live.write_fiftyone_dataset(bundle, name)
    aum = dict(zip(dataset.values("filepath"), dataset.values("coreset_aum"), strict=True))
    tagged = set(dataset.match_tags("coreset").values("filepath"))
    return dict(
        told=answer,
        aum=[aum.get(path) for path in paths],
        own=aum["/elsewhere/own.png"],
        tagged=[path in tagged for path in paths],
        selected=bundle.selected.tolist(),
        wanted=bundle.table["aum"].astype(float).tolist(),
        points=len(dataset.load_brain_results("coreset_umap").points),
    )


def refused(folder, source, what):
    """The sentence with which an export is refused."""
    import fiftyone as fo

    bundle = synthetic_bundles.make_bundle(Path(folder), source)
    name = "refused " + what
    options = {}
    if what == "strangers":
        fo.Dataset(name).add_samples([fo.Sample(filepath="/nowhere/1.png")], progress=False)
    elif what == "somebody's field":
        dataset = fo.Dataset(name)
        dataset.add_samples(
            [fo.Sample(filepath=bundle.table["path"][0], coreset_score=5.0)], progress=False
        )
    elif what == "only kept":
        fo.Dataset(name).add_samples([fo.Sample(filepath=bundle.table["path"][0])], progress=False)
        options = dict(only_kept=True)
    elif what == "no name":
        name = "☃"
    try:
        live.write_fiftyone_dataset(bundle, name, **options)
    except BadInput as error:
        left = fo.load_dataset(name).values("coreset_score") if what == "somebody's field" else None
        return dict(said=str(error), left=left)
    return {}


def only_kept(folder, source, name):
    bundle = synthetic_bundles.make_bundle(Path(folder), source)
    answer = live.write_fiftyone_dataset(bundle, name, only_kept=True)
    return dict(told=answer, ids=read(name)["ids"], kept=bundle.ids[bundle.selected].tolist())


def property_round_trip(folder, names, kept, values, name):
    """Any ids, any choice, any numbers: written through the disk format, read back by FiftyOne."""
    import fiftyone as fo
    import pandas as pd

    from coreset_engine.export.bundle import ExportBundle

    n = len(names)
    rank = np.full(n, -1)
    rank[kept] = np.arange(len(kept))
    table = pd.DataFrame(
        {
            "id": names,
            "path": [f"/absent/{i}.png" for i in range(n)],
            "selected": rank >= 0,
            "rank": rank,
            "score": [float(v) for v in values],
            "weight": np.ones(n),
            "aum": np.array([float(v) for v in values], np.float32),
        }
    )
    live.write_fiftyone_dataset(
        ExportBundle(table, {"method": "x", "source_fingerprint": folder}, Path(folder)), name
    )
    dataset = fo.load_dataset(name)
    found = dict(
        ids=dataset.values("coreset_id"),
        tags=dataset.values("tags"),
        kept=dataset.load_saved_view("coreset: kept").values("coreset_id"),
        score=[repr(v) for v in dataset.values("coreset_score")],
        aum=[repr(v) for v in dataset.values("coreset_aum")],
        rank=dataset.values("coreset_rank"),
        wanted_aum=[repr(float(v)) for v in table["aum"]],
    )
    dataset.delete()
    return found
