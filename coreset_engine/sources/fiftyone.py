"""A FiftyOne dataset or saved view as a source.

Ids are FiftyOne's sample ids, so that results go back to exactly them.

    fiftyone:NAME                a dataset
    fiftyone:NAME/VIEW           one of its saved views
    fiftyone:{"name": ..., "view": ..., "tags": [...], "labels": FIELD, "embeddings":
    FIELD-OR-BRAIN-KEY, "patches": DETECTIONS}

With `patches` every object of a detections field is an image (see `objects`).

Images come in the order of their sample ids, whatever the view sorts by: reordering changes
nothing, while new and deleted samples give another fingerprint, which later stages and exports
notice.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.core import fiftyone_database
from coreset_engine.core.counted import counted
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Dataset, Note, Progress, Rejected, silent
from coreset_engine.sources.decoding import DecodeOptions
from coreset_engine.sources.fiftyone_view import (
    KNOWN,
    READING,
    label_field,
    listed,
    open_view,
    spec_text,
    wanted_samples,
)
from coreset_engine.sources.folder import FileReader
from coreset_engine.sources.label_formats.values import classes_of
from coreset_engine.sources.objects import Boxes, objects_of
from coreset_engine.sources.options import ReadOptions
from coreset_engine.sources.safe_names import safe_name, string_array
from coreset_engine.sources.vector_files import LEAST_DIMENSIONS
from coreset_engine.sources.verdicts import (
    Verdict,
    VerdictMemory,
    decoding_notes,
    duplicate_notes,
    look_at_files,
)
from coreset_engine.sources.walk import FoundFile


def open_fiftyone(
    text: str, *, memory: Path | None = None, progress: Progress = silent, **options: Any
) -> Dataset:
    """The samples that `text` (what follows "fiftyone:") and `options` (see KNOWN) ask for.

    labels: a field of classifications, detections, texts, whole numbers or truth values; default
    `ground_truth` where there is one, "" for none.
    tags: samples with any of them. embeddings: a vector field, or the key of a similarity run that
    holds vectors: then nothing is embedded and images may be missing. Other plain fields become
    columns; in a grouped dataset, `group` holds the group's id. Raises Missing without a database,
    BadInput (naming what there is) for what the dataset does not have.
    """
    fo = fiftyone_database.connect()
    wanted = wanted_samples(fo, text, options)
    dataset, view = open_view(fo, wanted)
    field = label_field(fo, dataset, wanted["labels"])
    plain = _plain_fields(fo, dataset)
    table = _fetched(
        view,
        ["id", "filepath", "tags", *plain, *([field] if field else []), *_group_path(dataset)]
        + _detection_paths(fo, dataset, wanted["patches"]),
    )
    ids = table["id"]
    paths = table["filepath"]
    if not ids:
        raise BadInput(f"{spec_text(wanted)!r} holds no sample; choose another view or other tags.")
    reading = ReadOptions.of("fiftyone", {name: wanted[name] for name in READING})
    verdicts, kept = _look_at(paths, wanted["name"], memory, reading.decoding, progress)
    vectors = None
    reasons = [verdict.reason for verdict in verdicts]
    if wanted["embeddings"]:
        vectors, reasons = _vectors(dataset, view, wanted["embeddings"], ids)
    good, rejected = _readable(spec_text(wanted), paths, reasons)
    if vectors is not None:
        vectors = np.ascontiguousarray(vectors[good])
    digest = "" if vectors is None else hashlib.sha256(vectors).hexdigest()
    table = {name: [column[i] for i in good] for name, column in table.items()}
    labels, classes, label_notes = _labels(dataset, field, table)
    usable = string_array([paths[i] for i in good])
    names = [ids[i] for i in good]
    looked = [verdicts[i] for i in good]
    digests = np.array([verdict.digest for verdict in looked], "S32")
    dataset_of_samples = Dataset(
        spec=spec_text(wanted),
        ids=string_array(names),
        labels=labels,
        classes=classes,
        fingerprint=_fingerprint([(ids[i], verdicts[i].digest) for i in good], digest),
        reader=FileReader(usable, digests, kept),
        paths=usable,
        columns=_columns(plain, table, _group_path(dataset)),
        vectors=vectors,
        rejected=rejected,
        digests=digests if all(digests) else None,
        fit=reading.fit,
        notes=(
            *label_notes,
            *decoding_notes(names, looked, reading.fit),
            *duplicate_notes(names, looked),
        ),
    )
    if not wanted["patches"]:
        return dataset_of_samples
    sizes = [(verdict.width, verdict.height) for verdict in looked]
    return objects_of(dataset_of_samples, _detections(wanted["patches"], table, sizes), sizes)


def _readable(
    spec: str, paths: list[str], reasons: list[str]
) -> tuple[np.ndarray, tuple[Rejected, ...]]:
    """Positions of the samples without a reason against them, and the rejected ones."""
    good = np.array([i for i, reason in enumerate(reasons) if not reason], np.int64)
    rejected = tuple(
        Rejected(safe_name(path), reason)
        for path, reason in zip(paths, reasons, strict=True)
        if reason
    )
    if not len(good):
        raise BadInput(
            f"{spec!r} has {len(paths)} samples but no readable image, for example "
            f"{rejected[0].name!r} {rejected[0].reason}; mount its media, or name embeddings."
        )
    return good, rejected


def _detection_paths(fo: Any, dataset: Any, field: str | None) -> list[str]:
    """What is read of a detections field; [] for none. Raises BadInput for any other field."""
    if not field:
        return []
    fields = [
        name
        for name, kind in dataset.get_field_schema().items()
        if isinstance(kind, fo.EmbeddedDocumentField) and kind.document_type is fo.Detections
    ]
    if field not in fields:
        raise BadInput(
            f"dataset {dataset.name!r} has no detections field {field[:100]!r} (--patches); it has "
            f"{listed(sorted(fields))}."
        )
    return [f"{field}.detections.{part}" for part in ("id", "bounding_box", "label")]


def _detections(field: str, table: dict[str, list[Any]], sizes: list[tuple[int, int]]) -> Boxes:
    """The boxes of a detections field, whose numbers are shares of the picture."""
    read = Boxes(origin=field)
    parts = (table[f"{field}.detections.{part}"] for part in ("id", "bounding_box", "label"))
    for row, (keys, boxes, names) in enumerate(zip(*parts, strict=True)):
        for key, box, name in zip(keys or (), boxes or (), names or (), strict=True):
            if box is None or len(box) != 4:
                read.refuse(str(key), "has no box of four numbers")
                continue
            width, height = sizes[row]
            scaled = np.array(box, np.float64) * (width, height, width, height)
            read.add(row, scaled.tolist(), str(name or ""), str(key))
    return read


def spec_of(name: str, **options: Any) -> str:
    """The spec for these choices, as `open_source` takes it; empty choices are left out."""
    return spec_text(dict.fromkeys(KNOWN) | {"name": name.strip()} | options)


# -- what the samples hold -------------------------------------------------------------------------


def _fetched(view: Any, names: list[str]) -> dict[str, list[Any]]:
    """name -> values in the order of the sample ids, in one query, which keeps one order."""
    names = list(dict.fromkeys(names))
    columns = view.values(names)
    order = sorted(range(len(columns[0])), key=columns[0].__getitem__)
    return {name: [column[i] for i in order] for name, column in zip(names, columns, strict=True)}


def _group_path(dataset: Any) -> list[str]:
    return [dataset.group_field + ".id"] if dataset.group_field else []


def _look_at(
    paths: list[str], name: str, memory: Path | None, options: DecodeOptions, progress: Progress
) -> tuple[list[Verdict], VerdictMemory]:
    """A verdict per file, remembered per dataset; a file that is not there is one more reason."""
    files = []
    for path in paths:
        try:
            about = os.stat(path)
            files.append(FoundFile(path, about.st_size, about.st_mtime_ns, about.st_ctime_ns))
        except (OSError, ValueError):
            files.append(FoundFile(path, -1, -1))
    folder = None
    if memory is not None:
        folder = memory / f"fiftyone-{hashlib.sha256(name.encode()).hexdigest()[:24]}"
    kept = VerdictMemory(folder, Path("/"), "full", options)
    return look_at_files(files, kept, progress), kept


def _labels(
    dataset: Any, field: str, table: dict[str, list[Any]]
) -> tuple[np.ndarray | None, tuple[str, ...], list[Note]]:
    """((N,) int64 labels, -1 = none; the class names: the dataset's list, then others seen; notes).

    A sample with several classes has none, which is counted.
    """
    if not field:
        return None, (), []
    class_names = [classes_of(value) for value in table[field]]
    values = [names[0] if len(names) == 1 else None for names in class_names]
    listed = list(dataset.classes.get(field.split(".")[0]) or dataset.default_classes or ())
    others = {value for value in values if value is not None} - set(listed)
    numbers = all(name.isascii() and name.isdigit() for name in others)
    classes = listed + sorted(others, key=(lambda name: (int(name), name)) if numbers else None)
    several = [key for key, names in zip(table["id"], class_names, strict=True) if len(names) > 1]
    notes = []
    if several:
        have = counted(len(several), "sample has", "samples have")
        count = "counts" if len(several) == 1 else "count"
        words = f"{have} several classes in {field!r} and {count} as unlabelled"
        notes.append(Note("labels", words, tuple(several[:3])))
    if not classes:
        return None, (), notes
    number = {name: code for code, name in enumerate(classes)}
    return (
        np.array([-1 if value is None else number[value] for value in values], np.int64),
        tuple(safe_name(str(name)) for name in classes),
        notes,
    )


def _vectors(dataset: Any, view: Any, name: str, ids: list[str]) -> tuple[np.ndarray, list[str]]:
    """((N, D) float32 in the order of `ids`, the reason per sample why it has none, or "")."""
    if dataset.has_sample_field(name):
        by_id = dict(zip(view.values("id"), view.values(name), strict=True))
    elif name in dataset.list_brain_runs():
        results = dataset.load_brain_results(name)
        if not hasattr(results, "get_embeddings"):
            raise BadInput(
                f"the brain run {name!r} of dataset {dataset.name!r} holds no vectors; name a "
                "similarity "
                "run."
            )
        vectors, owners, _ = results.get_embeddings()
        by_id = dict(zip(map(str, owners), vectors, strict=True))
    else:
        raise BadInput(
            f"dataset {dataset.name!r} has neither a field nor a brain run {name[:100]!r}; its "
            "brain runs: "
            f"{listed(dataset.list_brain_runs())}."
        )
    return _stacked(name, [by_id.get(key) for key in ids])


def _stacked(name: str, rows: list[Any]) -> tuple[np.ndarray, list[str]]:
    """((N, D) float32, the reason per row why it is of no use or ""); bad rows are zeros."""
    arrays = [_vector(row) for row in rows]
    lengths = Counter(len(array) for array in arrays if array is not None)
    if not lengths:
        raise BadInput(
            f"{name!r} holds no vector for any of {len(rows)} samples; name an embeddings field or "
            "a similarity run."
        )
    length = lengths.most_common(1)[0][0]
    if length < LEAST_DIMENSIONS:
        raise BadInput(
            f"{name!r} holds one number per sample, which has no direction to compare; name "
            "vectors "
            "of at least two dimensions."
        )
    vectors = np.zeros((len(rows), length), np.float32)
    reasons = []
    for at, (row, array) in enumerate(zip(rows, arrays, strict=True)):
        reasons.append(_why_no_vector(name, row, array, length))
        if not reasons[-1]:
            vectors[at] = array
    return vectors, reasons


def _vector(row: Any) -> np.ndarray | None:
    try:
        array = np.asarray(row, np.float32)
    except (ValueError, TypeError):
        return None
    return array if array.ndim == 1 and array.size else None


def _why_no_vector(name: str, row: Any, array: np.ndarray | None, length: int) -> str:
    if row is None:
        return f"has no vector in {name!r}"
    if array is None:
        return f"has no vector of numbers in {name!r}"
    if len(array) != length:
        return f"has a vector of {len(array)} numbers in {name!r}, the others have {length}"
    return "" if np.isfinite(array).all() else f"has NaN or infinity in its vector in {name!r}"


def _plain_fields(fo: Any, dataset: Any) -> dict[str, bool]:
    """name -> whether it is a number, for plain fields that are neither FiftyOne's own nor ours."""
    numbers = (fo.FloatField, fo.IntField, fo.BooleanField)
    return {
        name: isinstance(field, numbers)
        for name, field in dataset.get_field_schema().items()
        if isinstance(field, (*numbers, fo.StringField))
        and name not in ("id", "filepath")
        and not name.startswith(("coreset_", "_"))
    }


def _columns(
    plain: dict[str, bool], table: dict[str, list[Any]], group: list[str]
) -> dict[str, np.ndarray]:
    """Tags, plain fields and the group as (N,) columns; unset numbers are NaN, strings ""."""
    columns = {"tags": string_array([" ".join(sorted(tags or ())) for tags in table["tags"]])}
    for name, number in plain.items():
        columns[name] = (
            np.array([np.nan if value is None else float(value) for value in table[name]])
            if number
            else string_array([safe_name(value or "") for value in table[name]])
        )
    if group:
        columns["group"] = string_array([str(value) for value in table[group[0]]])
    return columns


def _fingerprint(content: list[tuple[str, str]], vectors: str) -> str:
    sha = hashlib.sha256(f"fiftyone 1 {vectors}\n".encode())
    for key, digest in content:
        sha.update(f"{key} {digest}\n".encode())
    return sha.hexdigest()
