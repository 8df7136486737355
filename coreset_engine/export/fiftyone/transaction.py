"""All of an export into a user's FiftyOne dataset, or nothing of it.

MongoDB has no transactions without a replica set, so what an export may change is copied first and
put back when it fails: the tags and our own fields of every sample, and the dataset's lists of
fields, saved views, brain runs and custom runs. Nothing else is touched, before or after.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from coreset_engine.core.errors import BadInput

# Parts of the dataset's document that an export changes.
PARTS = ("sample_fields", "saved_views", "brain_methods", "runs")
LINKED = ("views", "runs")  # collections whose documents those parts refer to


@contextlib.contextmanager
def all_or_nothing(dataset: Any, fields: Sequence[str]) -> Iterator[None]:
    """Put the dataset back as it was when the block fails, whatever it fails with.

    Parameters
    ----------
    dataset : fiftyone.core.dataset.Dataset
    fields : sequence of str
        Sample fields the block writes, existing or new; none written by others.
    """
    from pymongo.errors import PyMongoError

    before = _Snapshot(dataset, fields)
    try:
        yield
    except BaseException as fault:
        try:
            before.restore()
        except (PyMongoError, OSError) as second:
            raise BadInput(
                f"the export into {dataset.name!r} failed ({_brief(fault)}) and its partial result "
                "could not be removed ("
                f"{_brief(second)}); repair the database (room on its disk, "
                "a running server) and export the same selection again: it replaces the partial "
                "result."
            ) from fault
        before.discard()
        raise
    before.discard()


@contextlib.contextmanager
def write_errors_as_bad_input(name: str) -> Iterator[None]:
    """A database or disk that refuses, as a sentence."""
    from pymongo.errors import PyMongoError

    try:
        yield
    except PyMongoError as fault:
        raise BadInput(
            f"FiftyOne's database refuses to write the dataset {name!r} ({_brief(fault)}); nothing "
            "of this export remains in it; make room on the database's disk, or start its server, "
            "and "
            "export again."
        ) from fault
    except OSError as fault:
        path = fault.filename or "a temporary folder"
        raise BadInput(
            f"{str(path)!r} cannot be written ({fault.strerror or fault}); make room there, or set "
            "TMPDIR and CORESET_HOME to folders you can write, and export again."
        ) from fault


def _brief(fault: BaseException) -> str:
    words = " ".join(str(fault).split())[:160]
    return f"{type(fault).__name__}: {words}" if words else type(fault).__name__


class _Snapshot:
    """Copies of what an export changes, in the same database."""

    def __init__(self, dataset: Any, fields: Sequence[str]) -> None:
        from bson import ObjectId

        self.dataset = dataset
        self.samples = dataset._sample_collection
        self.database = self.samples.database
        self.fields = list(fields)
        self.scratch = self.database[f"coreset.before.{ObjectId()}"]
        self.document = self.database.datasets.find_one({"_id": dataset._doc.id})
        self.linked = {
            name: list(self.database[name].find({"_dataset_id": dataset._doc.id}))
            for name in LINKED
        }
        kept: dict[str, Any] = {name: 1 for name in (*self.fields, "last_modified_at")}
        kept |= {"tags": {"$ifNull": ["$tags", []]}}
        self.samples.aggregate([{"$project": kept}, {"$out": self.scratch.name}])

    def restore(self) -> None:
        """Samples first, then the documents that describe them."""
        if self.fields:
            self.samples.update_many({}, {"$unset": dict.fromkeys(self.fields, "")})
        merge = {
            "into": self.samples.name,
            "on": "_id",
            "whenMatched": "merge",
            "whenNotMatched": "discard",
        }
        self.scratch.aggregate([{"$merge": merge}])
        for name, documents in self.linked.items():
            self._restore_linked(name, documents)
        parts = {part: self.document[part] for part in PARTS if part in self.document}
        absent = {part: "" for part in PARTS if part not in self.document}
        change = {"$set": parts} | ({"$unset": absent} if absent else {})
        self.database.datasets.update_one({"_id": self.document["_id"]}, change)
        self.dataset.clear_cache()
        self.dataset.reload()

    def _restore_linked(self, name: str, documents: list[dict[str, Any]]) -> None:
        """Restore what was there, and remove what was added."""
        collection = self.database[name]
        known = [document["_id"] for document in documents]
        collection.delete_many({"_dataset_id": self.document["_id"], "_id": {"$nin": known}})
        for document in documents:
            collection.replace_one({"_id": document["_id"]}, document, upsert=True)

    def discard(self) -> None:
        self.scratch.drop()
