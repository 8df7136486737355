"""Exports of tagged images into a dataset that belongs to somebody, as plain data."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import synthetic_bundles
from scenes_ownership import theirs

from coreset_engine.core.types import Dataset
from coreset_engine.curation import tags
from coreset_engine.curation.tagging import import_tags
from coreset_engine.export.fiftyone import live
from coreset_engine.sources.open import open_source


def into_theirs(folder, source, name):
    """Tags of the samples before, after, and after an export without the tags; what is read
    back."""
    bundle = synthetic_bundles.make_bundle(Path(folder), source)
    dataset = theirs(bundle, name)
    first = dataset.first()
    first.tags.append("blurry")
    first.save()
    cells = ["blurry new"] * 2 + [""] * (len(bundle.table) - 2)
    bundle.table["tags"] = cells
    live.write_fiftyone_dataset(bundle, name)
    after = dict(zip(bundle.ids.tolist(), dataset.values("tags")))
    bundle.table["tags"] = [""] * len(bundle.table)
    bundle.__dict__.pop("image_tags", None)
    live.write_fiftyone_dataset(bundle, name)
    again = dict(zip(bundle.ids.tolist(), dataset.values("tags")))
    opened: Dataset = open_source(source)
    run = mock.Mock(dataset=opened, store=mock.Mock(home=Path(folder) / "home"))
    import_tags(run, f"fiftyone:{name}")
    kept = tags.tags_of(opened.fingerprint, run.store.home)
    return dict(ids=bundle.ids.tolist(), after=after, again=again, read=kept)
