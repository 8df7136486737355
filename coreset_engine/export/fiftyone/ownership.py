"""What a selection owns in an existing FiftyOne dataset: its fields, tags, views and runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.core.export_tags import SHARED as SHARED_TAG
from coreset_engine.core.types import Progress
from coreset_engine.export.bundle import ExportBundle
from coreset_engine.export.fiftyone import disk
from coreset_engine.export.fiftyone.bulk_writes import (
    CHUNK,
    declare_fields,
    every_sample,
    merge_fields,
    quiet,
)
from coreset_engine.export.fiftyone.layers import Layer, Names, views

OWNED = ("fields", "views", "brain_keys")


class Target:
    """An existing dataset and one selection's place in it: what it owned before, what it will own.

    `check` comes before the first write; `claim` records what is about to be written, so that after
    a killed process the next export knows its own remains.
    """

    def __init__(
        self, fo: Any, dataset: Any, names: Names, layers: list[Layer], duplicate_distance: float
    ) -> None:
        """Read what selections own in the dataset; writes nothing.

        Parameters
        ----------
        fo : module
            fiftyone, connected.
        dataset : fiftyone.Dataset
        names : Names
            Of the selection.
        layers : list of Layer
            Fields that will be written.
        duplicate_distance : float
            Cosine distance within which images count as near duplicates, for the views.
        """
        self.fo = fo
        self.dataset = dataset
        self.names = names
        self.layers = layers
        self.records = _records(dataset)
        self.before = self.records.get(names.run_key, {})
        self.collection = dataset._sample_collection
        self.views = views(names, layers, duplicate_distance)
        self.keys = [names.prefix + kind for kind in ("umap", "similarity")]
        tag_taken = self.collection.find_one({"tags": SHARED_TAG}, {"_id": 1}) is not None
        ours = any(record.get("shared_tag", True) for record in self.records.values())
        self.shares_tag = ours or not tag_taken

    @property
    def written_fields(self) -> list[str]:
        """Fields of this selection, before and now."""
        now = [layer.name for layer in self.layers]
        return list(dict.fromkeys([*self.before.get("fields", ()), *now]))

    def check(self, tags_and_views: bool = True) -> None:
        """Refuse when a field, tag, view or run of our names was made by others."""
        for what, name in self._foreign(tags_and_views):
            raise BadInput(
                f"dataset {self.dataset.name!r} already has a {what} {name!r} that no selection "
                "called "
                f"{self.names.name!r} wrote; give the selection another name."
            )

    def _foreign(self, tags_and_views: bool) -> Iterator[tuple[str, str]]:
        dataset = self.dataset
        key = self.names.run_key
        if key in dataset.list_runs() and key not in self.records:
            yield "run", key
        own = set(self.before.get("fields", ()))
        for layer in self.layers:
            if layer.name not in own and dataset.has_sample_field(layer.name):
                yield "field", layer.name
        own = set(self.before.get("brain_keys", ()))
        for key in self.keys:
            if key not in own and key in dataset.list_brain_runs():
                yield "brain run", key
        if not tags_and_views:
            return
        tag = self.names.tag
        if not self.before and self.collection.find_one({"tags": tag}, {"_id": 1}) is not None:
            yield "tag", tag
        own = set(self.before.get("views", ()))
        slugs = {self._slug(view.name) for view in self.views}
        for name in dataset.list_saved_views():
            if name not in own and self._slug(name) in slugs:
                yield "saved view", name

    def _slug(self, name: str) -> str:
        return self.fo.core.utils.to_slug(name)

    def claim(self, bundle: ExportBundle) -> None:
        """Record what this export will own, before writing: a process may die half-way."""
        config = disk.run_config(bundle, self.names, self.layers)
        owned = {
            name: list(dict.fromkeys([*self.before.get(name, ()), *config[name]])) for name in OWNED
        }
        owned["brain_keys"] = list(
            dict.fromkeys([*owned["brain_keys"], *map(_unfinished, self.keys)])
        )
        self._register(config | owned | {"shared_tag": self.shares_tag})

    def _register(self, config: dict[str, Any]) -> None:
        run = self.dataset.init_run()
        for key, value in config.items():
            setattr(run, key, value)
        self.dataset.register_run(self.names.run_key, run, overwrite=True)

    def write_fields(
        self, rows: np.ndarray, ids: list[str], progress: Progress, clear: bool = True
    ) -> None:
        """The layers' values.

        Parameters
        ----------
        rows : (M,) int64
            Rows of the bundle that have a sample.
        ids : list of str, length M
            Their samples.
        progress : Progress
            Unit "samples".
        clear : bool
            Leave no old value of the selection behind.
        """
        if clear:
            self._clear()
        declare_fields(self.fo, self.dataset, self.layers)
        merge_fields(self.dataset, self.layers, rows, ids, progress)

    def _clear(self) -> None:
        now = {layer.name for layer in self.layers}
        own = [
            name for name in self.before.get("fields", ()) if self.dataset.has_sample_field(name)
        ]
        stale = [name for name in own if name not in now]
        if stale:
            self.dataset.delete_sample_fields(stale)
        old = [name for name in own if name in now]
        if old:
            self.collection.update_many({}, {"$set": dict.fromkeys(old)})

    def write_tags(self, kept: list[str]) -> None:
        """Set `coreset:NAME` on exactly the kept samples of every slice.

        `coreset` is set on those that some selection keeps.
        """
        from bson import ObjectId

        tag = self.names.tag
        now = {"last_modified_at": datetime.now(UTC)}
        added = [tag, *([SHARED_TAG] if self.shares_tag else [])]
        self.collection.update_many({"tags": tag}, {"$pull": {"tags": tag}, "$set": now})
        for start in range(0, len(kept), CHUNK):
            some = [ObjectId(key) for key in kept[start : start + CHUNK]]
            change = {"$addToSet": {"tags": {"$each": added}}, "$set": now}
            self.collection.update_many({"_id": {"$in": some}}, change)
        if self.shares_tag:
            tags = [tag, *(record["tag"] for record in self.records.values())]
            orphans = {"$and": [{"tags": SHARED_TAG}, {"tags": {"$nin": tags}}]}
            self.collection.update_many(orphans, {"$pull": {"tags": SHARED_TAG}, "$set": now})
        self.dataset.reload()

    def add_image_tags(self, tags: list[list[str]], ids: list[str]) -> None:
        """Add tags to single images.

        Nothing is removed, since a tag of the same name may have been made by others.
        """
        from bson import ObjectId

        of_tag: dict[str, list[Any]] = {}
        for names, key in zip(tags, ids, strict=True):
            for name in names:
                of_tag.setdefault(name, []).append(ObjectId(key))
        now = {"last_modified_at": datetime.now(UTC)}
        for name, some in of_tag.items():
            for start in range(0, len(some), CHUNK):
                wanted = {"_id": {"$in": some[start : start + CHUNK]}, "tags": {"$ne": name}}
                self.collection.update_many(wanted, {"$addToSet": {"tags": name}, "$set": now})
        if of_tag:
            self.dataset.reload()

    def write_views(self) -> None:
        """The selection's saved views, instead of its former ones."""
        there = set(self.dataset.list_saved_views())
        for name in {*self.before.get("views", ()), *(view.name for view in self.views)} & there:
            self.dataset.delete_saved_view(name)
        for view in self.views:
            shown = every_sample(self.dataset).view()
            for method, arguments in view.stages:
                shown = getattr(shown, method)(**arguments)
            self.dataset.save_view(view.name, shown, description=view.text)

    def write_runs(
        self,
        bundle: ExportBundle,
        rows: np.ndarray,
        ids: list[str],
        kept: dict[str, Any] | None = None,
    ) -> None:
        """Map, similarity index, and the custom run with the manifest and what the selection owns.

        Results are made under other keys first, and replace the former ones last: nothing that can
        fail comes after that.

        Parameters
        ----------
        bundle : ExportBundle
        rows : (M,) int64
            Rows of the bundle that have a sample.
        ids : list of str, length M
            Their samples.
        kept : dict, optional
            Entries of the custom run that stay as they were.
        """
        keys = disk.brain_keys(bundle, self.names, self.layers)
        there = self.dataset.list_brain_runs()
        for key in map(_unfinished, self.keys):  # of a process that was killed
            if key in there:
                self.dataset.delete_brain_run(key)
        for key in keys:
            self._compute(bundle, key, rows, ids)
        config = disk.run_config(bundle, self.names, self.layers) | (kept or {})
        self._register(config | {"shared_tag": self.shares_tag})
        for key in self.before.get("brain_keys", ()):
            if key in there and key in self.keys:
                self.dataset.delete_brain_run(key)
        for key in keys:
            self.dataset.rename_brain_run(_unfinished(key), key)

    def _compute(self, bundle: ExportBundle, key: str, rows: np.ndarray, ids: list[str]) -> None:
        import fiftyone.brain as brain

        base = every_sample(self.dataset)
        shown = base if len(ids) == len(base) else base.select(ids)
        with quiet():
            if key.endswith("umap"):
                row_of = dict(zip(ids, rows.tolist(), strict=True))
                order = [row_of[sample] for sample in shown.values("id")]
                points = np.asarray(bundle.points, np.float64)[order]
                brain.compute_visualization(shown, points=points, brain_key=_unfinished(key))
            else:
                brain.compute_similarity(
                    shown,
                    embeddings=self.names.prefix + "vector",
                    brain_key=_unfinished(key),
                    backend="sklearn",
                    metric="cosine",
                )


def _unfinished(key: str) -> str:
    return key + "_unfinished"


def _records(dataset: Any) -> dict[str, dict[str, Any]]:
    """Run key -> what that selection of ours owns, for every one exported to the dataset."""
    records = {}
    for key in dataset.list_runs():
        config = dataset.get_run_info(key).config
        tag = getattr(config, "tag", None)
        ours = isinstance(getattr(config, "manifest", None), dict) and isinstance(tag, str)
        if key.startswith("coreset_") and ours:
            record: dict[str, Any] = {
                name: list(getattr(config, name, None) or []) for name in OWNED
            }
            shared = getattr(config, "shared_tag", None)
            records[key] = record | {"tag": tag, "shared_tag": shared is not False}
    return records
