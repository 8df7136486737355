"""What people and models left in a FiftyOne dataset: labels, decisions, tags, predictions."""

from __future__ import annotations

from typing import Any

from coreset_engine.core import fiftyone_database
from coreset_engine.core.errors import BadInput
from coreset_engine.sources.fiftyone_view import (
    DEFAULT_LABELS,
    all_slices,
    asked_field,
    class_fields,
    label_field,
    listed,
    open_view,
    wanted_samples,
)
from coreset_engine.sources.label_formats.rows import LabelRow
from coreset_engine.sources.label_formats.values import classes_of


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
    wanted = wanted_samples(fo, text, {})
    name = wanted["name"] or ""
    rest = wanted["view"] or ""
    if fo.dataset_exists(name) and rest:
        dataset = fo.load_dataset(name)
        fields = class_fields(fo, dataset)
        view, _, last = rest.rpartition("/")
        saved = dataset.list_saved_views()
        found_field = asked_field(fo, dataset, rest) is not None
        if rest not in saved and (found_field or asked_field(fo, dataset, last) is not None):
            wanted["view"], field = ("", rest) if found_field else (view, last)
        elif rest not in saved:
            raise BadInput(
                f"dataset {dataset.name!r} has neither a label field nor a saved view "
                f"{rest[:100]!r}; "
                f"it has the fields {listed(sorted(fields))} and the views {listed(saved)}."
            )
    dataset, view = open_view(fo, wanted)
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
            f"FiftyOne has no dataset {text[:100]!r}; it has {listed(fo.list_datasets())}."
        )
    dataset = fo.load_dataset(text)
    name = "coreset_id" if dataset.has_sample_field("coreset_id") else "id"
    if name == "id" and not fingerprints(dataset):
        raise BadInput(
            f"dataset {text!r} holds no selection made by Coreset Explorer, so the source of its "
            "samples is unknown; export a selection to it first."
        )
    rows = {}
    for key, tags in zip(*all_slices(dataset).values([name, "tags"]), strict=True):
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
            f"FiftyOne has no dataset {text[:100]!r}; it has {listed(fo.list_datasets())}."
        )
    dataset = fo.load_dataset(text)
    name = "coreset_id" if dataset.has_sample_field("coreset_id") else "id"
    rows = zip(*all_slices(dataset).values([name, "filepath", "tags"]), strict=True)
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
            f"{listed(sorted(kind)) or 'none'}."
        )
    own = ["coreset_id"] if dataset.has_sample_field("coreset_id") else []
    wanted = ["id", "filepath", f"{path}.label", f"{path}.confidence", f"{path}.logits", *own]
    sample, file, label, confidence, logits, *ids = all_slices(dataset).values(wanted)
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


def fingerprints(dataset: Any) -> frozenset[str]:
    """Of the sources whose selections were exported to this dataset."""
    prints = set()
    for key in dataset.list_runs():
        if key.startswith("coreset_"):
            manifest = getattr(dataset.get_run_info(key).config, "manifest", None)
            if isinstance(manifest, dict):
                prints.add(str(manifest.get("source_fingerprint", "")))
    return frozenset(prints - {""})


def label_field_names(dataset: Any) -> list[str]:
    """Names of the fields that can hold classes, sorted."""
    return sorted(class_fields(fiftyone_database.connect(), dataset))


def _chosen_field(fo: Any, dataset: Any, view: Any, asked: str) -> str:
    """The dotted path of the field requested, else of the only one people filled in."""
    fields = class_fields(fo, dataset)
    if asked:
        path = asked_field(fo, dataset, asked)
        if path is None:
            raise BadInput(
                f"dataset {dataset.name!r} has no label field {asked[:100]!r}; it has "
                f"{listed(sorted(fields))}."
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
        f"{listed(sorted(fields))}: fiftyone:{dataset.name}/FIELD."
    )


def read_labels(name: str, field: str) -> dict[str, str]:
    """id -> label of every labelled sample of dataset `name` in `field` (Classification or str).

    ids: those of the source the dataset was exported from (`coreset_id`), else FiftyOne's sample
    ids. Raises Missing without a database, BadInput (naming what there is) for an unknown dataset
    or field.
    """
    fo = fiftyone_database.connect()
    dataset, view = open_view(fo, wanted_samples(fo, name, {}))
    path = label_field(fo, dataset, field)
    key = "coreset_id" if dataset.has_sample_field("coreset_id") else "id"
    class_names = {
        owner: classes_of(value)
        for owner, value in zip(*view.values([key, path]), strict=True)
        if owner is not None
    }
    return {owner: names[0] for owner, names in class_names.items() if len(names) == 1}
