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
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.core import fiftyone_database
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Dataset, Note, Progress, Rejected, silent
from coreset_engine.sources.decoding import DecodeOptions
from coreset_engine.sources.folder import FileReader
from coreset_engine.sources.label_formats.rows import LabelRow
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

DEFAULT_LABELS = "ground_truth"
KNOWN = ("name", "view", "tags", "labels", "embeddings", "patches")
READING = ("fit", "max_pixels", "bands")


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
    wanted = _wanted(fo, text, options)
    dataset, view = _view(fo, wanted)
    field = _label_field(fo, dataset, wanted["labels"])
    plain = _plain_fields(fo, dataset)
    table = _fetched(
        view,
        ["id", "filepath", "tags", *plain, *([field] if field else []), *_group_path(dataset)]
        + _detection_paths(fo, dataset, wanted["patches"]),
    )
    ids = table["id"]
    paths = table["filepath"]
    if not ids:
        raise BadInput(f"{_spec(wanted)!r} holds no sample; choose another view or other tags.")
    reading = ReadOptions.of("fiftyone", {name: wanted[name] for name in READING})
    verdicts, kept = _look_at(paths, wanted["name"], memory, reading.decoding, progress)
    vectors = None
    reasons = [verdict.reason for verdict in verdicts]
    if wanted["embeddings"]:
        vectors, reasons = _vectors(dataset, view, wanted["embeddings"], ids)
    good, rejected = _readable(_spec(wanted), paths, reasons)
    if vectors is not None:
        vectors = np.ascontiguousarray(vectors[good])
    digest = "" if vectors is None else hashlib.sha256(vectors).hexdigest()
    table = {name: [column[i] for i in good] for name, column in table.items()}
    labels, classes, label_notes = _labels(dataset, field, table)
    usable = string_array([paths[i] for i in good])
    names = [ids[i] for i in good]
    looked = [verdicts[i] for i in good]
    digests = np.array([verdict.digest for verdict in looked], "S32")
    whole = Dataset(
        spec=_spec(wanted),
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
        return whole
    sizes = [(verdict.width, verdict.height) for verdict in looked]
    return objects_of(whole, _detections(wanted["patches"], table, sizes), sizes)


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
            f"{_some(sorted(fields))}."
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
    return _spec(dict.fromkeys(KNOWN) | {"name": name.strip()} | options)


def _spec(wanted: dict[str, Any]) -> str:
    given = {
        key: value
        for key, value in wanted.items()
        if value not in (None, [], "") or (key == "labels" and value == "")
    }
    if set(given) <= {"name", "view"}:
        return "fiftyone:" + "/".join(given.values())
    return "fiftyone:" + json.dumps(given, sort_keys=True, ensure_ascii=False)


# -- what was asked for ----------------------------------------------------------------------------


def _wanted(fo: Any, text: str, options: dict[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = {"name": text.strip()}
    if text.lstrip().startswith("{"):
        try:
            given = dict(json.loads(text))
        except (ValueError, TypeError):
            raise BadInput(
                f"source {('fiftyone:' + text)[:80]!r} is malformed; after 'fiftyone:' comes a "
                "name, or "
                f"JSON with {', '.join(KNOWN)}."
            ) from None
    given |= options
    unknown = set(given) - set(KNOWN) - set(READING)
    if unknown:
        raise TypeError(
            f"unexpected keyword argument '{sorted(unknown)[0]}'"
        )  # worded by open_source
    wanted = dict.fromkeys((*KNOWN, *READING)) | given
    wanted["labels"] = "" if wanted["labels"] == "none" else wanted["labels"]
    if wanted["patches"] and wanted["embeddings"]:
        raise BadInput(
            f"patches={wanted['patches']!r} makes images of objects, and the vectors of "
            f"embeddings={wanted['embeddings']!r} belong to whole samples; leave one of them out."
        )
    wanted["tags"] = (
        [wanted["tags"]] if isinstance(wanted["tags"], str) else list(wanted["tags"] or ())
    )
    if not all(
        isinstance(wanted[key], (str, type(None)))
        for key in ("name", "view", "labels", "embeddings", "patches")
    ):
        raise BadInput(
            f"source {('fiftyone:' + text)[:80]!r} is malformed; name, view, labels, embeddings and patches "
            "are "
            "texts."
        )
    name = wanted["name"] or ""
    if not wanted["view"] and not fo.dataset_exists(
        name
    ):  # both names may hold a slash: the longest that exists
        parts = name.split("/")
        lengths = [
            i for i in range(len(parts) - 1, 0, -1) if fo.dataset_exists("/".join(parts[:i]))
        ]
        if lengths:
            wanted["name"], wanted["view"] = (
                "/".join(parts[: lengths[0]]),
                "/".join(parts[lengths[0] :]),
            )
    return wanted


def _view(fo: Any, wanted: dict[str, Any]) -> tuple[Any, Any]:
    name = wanted["name"] or ""
    if not fo.dataset_exists(name):
        raise BadInput(
            f"FiftyOne has no dataset {name[:100]!r}; it has {_some(fo.list_datasets())}."
        )
    dataset = fo.load_dataset(name)
    view = dataset.view()
    if wanted["view"]:
        if wanted["view"] not in dataset.list_saved_views():
            raise BadInput(
                f"dataset {name!r} has no saved view {wanted['view'][:100]!r}; it has "
                f"{_some(dataset.list_saved_views())}."
            )
        view = dataset.load_saved_view(wanted["view"])
    if view._is_generated:
        raise BadInput(
            f"the view {wanted['view']!r} shows patches, clips or frames, not samples; choose a view "
            "of whole samples, or open its objects: patches=FIELD (--patches FIELD)."
        )
    if view._is_dynamic_groups:
        view = view.flatten()
    if view.media_type == "group":
        view = view.select_group_slices(media_type="image")
    if view.media_type not in ("image", None):
        raise BadInput(
            f"{_spec(wanted)!r} holds {view.media_type} samples; only images can be opened."
        )
    if wanted["tags"]:
        view = view.match_tags(wanted["tags"])
    return dataset, view


def _some(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:8])
    return (shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")) or "none"


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


def _label_field(fo: Any, dataset: Any, asked: str | None) -> str:
    """The dotted path of the labels, or "" for none.

    Unasked, only a field with one class a sample: `ground_truth`.
    """
    fields = _class_fields(fo, dataset)
    for name, field in dataset.get_field_schema().items():
        if isinstance(field, _class_kinds(fo)) and name not in ("id", "filepath"):
            fields[name] = name
    asked = asked.removesuffix(".label") if asked else asked
    if asked is None:
        path = fields.get(DEFAULT_LABELS, "")
        return path if path in (DEFAULT_LABELS, f"{DEFAULT_LABELS}.label") else ""
    if asked and asked not in fields:
        raise BadInput(
            f"dataset {dataset.name!r} has no label field {asked[:100]!r}; it has "
            f"{_some(sorted(fields))}."
        )
    return fields.get(asked, "")


def _class_kinds(fo: Any) -> tuple[type, ...]:
    """Plain fields that may hold a class: texts, whole numbers and truth values."""
    return fo.StringField, fo.IntField, fo.BooleanField


def _labels(
    dataset: Any, field: str, table: dict[str, list[Any]]
) -> tuple[np.ndarray | None, tuple[str, ...], list[Note]]:
    """((N,) int64 labels, -1 = none; the class names: the dataset's list, then others seen; notes).

    A sample with several classes has none, which is counted.
    """
    if not field:
        return None, (), []
    said = [classes_of(value) for value in table[field]]
    values = [names[0] if len(names) == 1 else None for names in said]
    listed = list(dataset.classes.get(field.split(".")[0]) or dataset.default_classes or ())
    others = {value for value in values if value is not None} - set(listed)
    numbers = all(name.isascii() and name.isdigit() for name in others)
    classes = listed + sorted(others, key=(lambda name: (int(name), name)) if numbers else None)
    several = [key for key, names in zip(table["id"], said, strict=True) if len(names) > 1]
    notes = []
    if several:
        words = (
            f"{len(several):,} samples have several classes in {field!r} and count as unlabelled"
        )
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
            f"{_some(dataset.list_brain_runs())}."
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
            f"{name!r} holds one number a sample, which gives no direction to compare; name vectors "
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
    whole = hashlib.sha256(f"fiftyone 1 {vectors}\n".encode())
    for key, digest in content:
        whole.update(f"{key} {digest}\n".encode())
    return whole.hexdigest()


def label_rows(text: str, field: str = "") -> tuple[list[LabelRow], frozenset[str] | None]:
    """What people labelled in a dataset, as rows to import.

    Parameters
    ----------
    text
        NAME, NAME/FIELD, NAME/VIEW, NAME/VIEW/FIELD, or JSON with name, view and labels.
    field
        The field with the labels: Classification(s), Detections or text. "" = the only one that is
        neither ours nor `ground_truth`.

    Returns
    -------
    rows : list of LabelRow
        Named by `coreset_id` (of datasets we exported), sample id and file path.
    fingerprints : frozenset of str or None
        Of the sources `coreset_id` belongs to; None without such ids.

    Raises
    ------
    Missing
        Without a database.
    BadInput
        Naming what there is, for an unknown dataset, view or field.
    """
    fo = fiftyone_database.connect()
    wanted = _wanted(fo, text, {})
    name = wanted["name"] or ""
    rest = wanted["view"] or ""
    if fo.dataset_exists(name) and rest:
        dataset = fo.load_dataset(name)
        fields = _class_fields(fo, dataset)
        view, _, last = rest.rpartition("/")
        saved = dataset.list_saved_views()
        whole = _asked_field(fo, dataset, rest) is not None
        if rest not in saved and (whole or _asked_field(fo, dataset, last) is not None):
            wanted["view"], field = ("", rest) if whole else (view, last)
        elif rest not in saved:
            raise BadInput(
                f"dataset {dataset.name!r} has neither a label field nor a saved view "
                f"{rest[:100]!r}; "
                f"it has the fields {_some(sorted(fields))} and the views {_some(saved)}."
            )
    dataset, view = _view(fo, wanted)
    path = _chosen_field(fo, dataset, view, field or wanted["labels"] or "")
    names = ["id", "filepath", path]
    ours = dataset.has_sample_field("coreset_id")
    columns = view.values([*names, "coreset_id"] if ours else names)
    rows = []
    for sample, file, value, *own in zip(*columns, strict=True):
        keys = {"coreset_id": own[0] if own else None, "sample_id": sample, "filepath": file}
        keys = {column: str(key) for column, key in keys.items() if key}
        rows.append(LabelRow(keys, classes_of(value), f"sample {sample}"))
    return rows, fingerprints(dataset) if ours else None


DECISION_TAGS = {"confirm-label": "confirm", "ignore-label": "ignore"}


def decision_rows(text: str) -> dict[str, str]:
    """Decisions on probable label errors that people tagged in a dataset.

    Parameters
    ----------
    text
        NAME of a dataset that we exported to.

    Returns
    -------
    dict
        Image id -> "confirm" (samples tagged confirm-label) or "ignore" (ignore-label).

    Raises
    ------
    Missing
        Without a database.
    BadInput
        For an unknown dataset, or one without our ids.
    """
    fo = fiftyone_database.connect()
    if not fo.dataset_exists(text):
        raise BadInput(
            f"FiftyOne has no dataset {text[:100]!r}; it has {_some(fo.list_datasets())}."
        )
    dataset = fo.load_dataset(text)
    name = "coreset_id" if dataset.has_sample_field("coreset_id") else "id"
    if name == "id" and not fingerprints(dataset):
        raise BadInput(
            f"dataset {text!r} holds no selection of ours, so its samples are of no known source; "
            "export a selection to it first."
        )
    rows = {}
    for key, tags in zip(*_all_slices(dataset).values([name, "tags"]), strict=True):
        for tag, decision in DECISION_TAGS.items():
            if key and tag in (tags or ()):
                rows[str(key)] = decision
    return rows


def sample_tags(text: str) -> list[tuple[str, str, list[str]]]:
    """(image id, file, tags) of the samples of a dataset.

    The id is `coreset_id` in a dataset that we exported, else the sample's own.

    Parameters
    ----------
    text
        The dataset's name.

    Raises
    ------
    Missing
        Without a database.
    BadInput
        For an unknown dataset.
    """
    fo = fiftyone_database.connect()
    if not fo.dataset_exists(text):
        raise BadInput(
            f"FiftyOne has no dataset {text[:100]!r}; it has {_some(fo.list_datasets())}."
        )
    dataset = fo.load_dataset(text)
    name = "coreset_id" if dataset.has_sample_field("coreset_id") else "id"
    rows = zip(*_all_slices(dataset).values([name, "filepath", "tags"]), strict=True)
    return [(str(key or ""), str(path or ""), list(tags or ())) for key, path, tags in rows]


def prediction_table(text: str) -> Any:
    """A model's predictions in a dataset's field as a table: ids, and logits or class names.

    Parameters
    ----------
    text
        NAME/FIELD, the field a Classification.

    Raises
    ------
    Missing
        Without a database.
    BadInput
        For an unknown dataset or field, or one that holds no Classification.
    """
    import pandas as pd

    fo = fiftyone_database.connect()
    name, _, path = text.rpartition("/")
    if not name or not fo.dataset_exists(name):
        raise BadInput(
            f"fiftyone:{text} names no dataset and field; write fiftyone:NAME/FIELD, for example "
            "fiftyone:birds/predictions."
        )
    dataset = fo.load_dataset(name)
    kind = dataset.get_field_schema(embedded_doc_type=fo.Classification)
    if path not in kind:
        raise BadInput(
            f"dataset {name!r} has no field {path!r} of classifications; it has "
            f"{_some(sorted(kind)) or 'none'}."
        )
    own = ["coreset_id"] if dataset.has_sample_field("coreset_id") else []
    wanted = ["id", "filepath", f"{path}.label", f"{path}.confidence", f"{path}.logits", *own]
    sample, file, label, confidence, logits, *ids = _all_slices(dataset).values(wanted)
    table = pd.DataFrame(dict(sample_id=sample, filepath=file))
    if own:
        table["coreset_id"] = ids[0]
    classes = dataset.classes.get(path) or dataset.default_classes
    if all(item is not None for item in logits) and classes:
        table["logits"] = [list(item) for item in logits]
        table.attrs["classes"] = list(classes)
    else:
        table["prediction"] = label
        if all(item is not None for item in confidence):
            table["confidence"] = confidence
    return table[table["logits" if "logits" in table else "prediction"].notna()]


def _all_slices(dataset: Any) -> Any:
    """The images of every slice of a grouped dataset; any other dataset as it is."""
    if dataset.media_type != "group":
        return dataset
    return dataset.select_group_slices(media_type="image")


def fingerprints(dataset: Any) -> frozenset[str]:
    """Of the sources whose selections were exported to this dataset."""
    prints = set()
    for key in dataset.list_runs():
        if key.startswith("coreset_"):
            manifest = getattr(dataset.get_run_info(key).config, "manifest", None)
            if isinstance(manifest, dict):
                prints.add(str(manifest.get("source_fingerprint", "")))
    return frozenset(prints - {""})


def _class_fields(fo: Any, dataset: Any) -> dict[str, str]:
    """Field -> dotted path of its class names, for every field that can hold any."""
    inner = {
        fo.Classification: "label",
        fo.Classifications: "classifications.label",
        fo.Detections: "detections.label",
        fo.Detection: "label",
    }
    fields = {}
    for name, field in dataset.get_field_schema().items():
        if isinstance(field, fo.EmbeddedDocumentField) and field.document_type in inner:
            fields[name] = f"{name}.{inner[field.document_type]}"
        elif isinstance(field, fo.StringField) and name not in ("filepath", "coreset_id"):
            fields[name] = name
    return fields


def _asked_field(fo: Any, dataset: Any, asked: str) -> str | None:
    """The dotted path of a field that is named: also a number or a list of texts, which
    is not taken for labels otherwise."""
    asked = asked.removesuffix(".label")
    kind = _class_fields(fo, dataset).get(asked)
    if kind is not None:
        return kind
    field = dataset.get_field(asked) if asked not in ("", "id", "tags") else None
    plain = isinstance(field, _class_kinds(fo)) and asked != "filepath"
    texts = isinstance(field, fo.ListField) and isinstance(field.field, fo.StringField)
    return asked if plain or texts else None


def label_field_names(dataset: Any) -> list[str]:
    """Names of the fields that can hold classes, sorted."""
    return sorted(_class_fields(fiftyone_database.connect(), dataset))


def _chosen_field(fo: Any, dataset: Any, view: Any, asked: str) -> str:
    """The dotted path of the field asked for, else of the only one people filled in."""
    fields = _class_fields(fo, dataset)
    if asked:
        path = _asked_field(fo, dataset, asked)
        if path is None:
            raise BadInput(
                f"dataset {dataset.name!r} has no label field {asked[:100]!r}; it has "
                f"{_some(sorted(fields))}."
            )
        return path
    theirs = {
        name: path
        for name, path in fields.items()
        if name != DEFAULT_LABELS and not name.startswith(("coreset_", "source_"))
    }
    filled = [path for path in theirs.values() if view.count(path)]
    labelled = [path for path in filled if "." in path] or filled
    if len(labelled) == 1:
        return labelled[0]
    if not labelled and DEFAULT_LABELS in fields:
        return fields[DEFAULT_LABELS]
    raise BadInput(
        f"dataset {dataset.name!r} has {len(labelled)} fields with labels; name one of "
        f"{_some(sorted(fields))}: fiftyone:{dataset.name}/FIELD."
    )


def read_labels(name: str, field: str) -> dict[str, str]:
    """id -> label of every labelled sample of dataset `name` in `field` (Classification or str).

    ids: those of the source the dataset was exported from (`coreset_id`), else FiftyOne's sample
    ids. Raises Missing without a database, BadInput (naming what there is) for an unknown dataset
    or field.
    """
    fo = fiftyone_database.connect()
    dataset, view = _view(fo, _wanted(fo, name, {}))
    path = _label_field(fo, dataset, field)
    key = "coreset_id" if dataset.has_sample_field("coreset_id") else "id"
    said = {
        owner: classes_of(value)
        for owner, value in zip(*view.values([key, path]), strict=True)
        if owner is not None
    }
    return {owner: names[0] for owner, names in said.items() if len(names) == 1}
