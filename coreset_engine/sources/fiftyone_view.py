"""Which samples of FiftyOne are meant: the dataset, the view, and the field with the labels."""

from __future__ import annotations

import json
from typing import Any

from coreset_engine.core.errors import BadInput

DEFAULT_LABELS = "ground_truth"
KNOWN = ("name", "view", "tags", "labels", "embeddings", "patches")
READING = ("fit", "max_pixels", "bands")


def wanted_samples(fo: Any, text: str, options: dict[str, Any]) -> dict[str, Any]:
    """What a spec and options ask for: a value, or None, for every name in `KNOWN` and `READING`.

    Parameters
    ----------
    fo
        The fiftyone module, connected.
    text
        What follows "fiftyone:": NAME, NAME/VIEW, or JSON with names of `KNOWN`.
    options
        Overrides what the text says.

    Raises
    ------
    BadInput
        For malformed JSON, values of the wrong type, or patches together with embeddings.
    TypeError
        For an unknown option; `open_source` turns it into a message.
    """
    chosen = _parsed(text) | options
    unknown = set(chosen) - set(KNOWN) - set(READING)
    if unknown:
        raise TypeError(f"unexpected keyword argument '{sorted(unknown)[0]}'")
    wanted = dict.fromkeys((*KNOWN, *READING)) | chosen
    wanted["labels"] = "" if wanted["labels"] == "none" else wanted["labels"]
    if wanted["patches"] and wanted["embeddings"]:
        raise BadInput(
            f"patches={wanted['patches']!r} makes images of objects, and the vectors of "
            f"embeddings={wanted['embeddings']!r} belong to whole samples; leave one of them out."
        )
    tags = wanted["tags"]
    wanted["tags"] = [tags] if isinstance(tags, str) else list(tags or ())
    texts = [wanted[key] for key in ("name", "view", "labels", "embeddings", "patches")]
    if not all(isinstance(value, (str, type(None))) for value in texts):
        raise BadInput(
            f"source {('fiftyone:' + text)[:80]!r} is malformed; name, view, labels, embeddings "
            "and patches are texts."
        )
    name = wanted["name"] or ""
    if not wanted["view"] and not fo.dataset_exists(name):
        wanted["name"], wanted["view"] = _split_name(fo, name) or (wanted["name"], wanted["view"])
    return wanted


def _parsed(text: str) -> dict[str, Any]:
    if not text.lstrip().startswith("{"):
        return {"name": text.strip()}
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError):
        raise BadInput(
            f"source {('fiftyone:' + text)[:80]!r} is malformed; after 'fiftyone:' comes a name, "
            f"or JSON with {', '.join(KNOWN)}."
        ) from None


def _split_name(fo: Any, text: str) -> tuple[str, str] | None:
    """(dataset, view) of NAME/VIEW; both may hold a slash, so the longest dataset that exists."""
    parts = text.split("/")
    for i in range(len(parts) - 1, 0, -1):
        if fo.dataset_exists("/".join(parts[:i])):
            return "/".join(parts[:i]), "/".join(parts[i:])
    return None


def open_view(fo: Any, wanted: dict[str, Any]) -> tuple[Any, Any]:
    """(dataset, view of whole image samples) for the choices of `wanted_samples`, else BadInput."""
    name = wanted["name"] or ""
    if not fo.dataset_exists(name):
        raise BadInput(
            f"FiftyOne has no dataset {name[:100]!r}; it has {listed(fo.list_datasets())}."
        )
    dataset = fo.load_dataset(name)
    view = dataset.view()
    if wanted["view"]:
        if wanted["view"] not in dataset.list_saved_views():
            raise BadInput(
                f"dataset {name!r} has no saved view {wanted['view'][:100]!r}; it has "
                f"{listed(dataset.list_saved_views())}."
            )
        view = dataset.load_saved_view(wanted["view"])
    if view._is_generated:
        raise BadInput(
            f"the view {wanted['view']!r} shows patches, clips or frames, not samples; choose a "
            "view "
            "of whole samples, or open its objects: patches=FIELD (--patches FIELD)."
        )
    if view._is_dynamic_groups:
        view = view.flatten()
    if view.media_type == "group":
        view = view.select_group_slices(media_type="image")
    if view.media_type not in ("image", None):
        raise BadInput(
            f"{spec_text(wanted)!r} holds {view.media_type} samples; only images can be opened."
        )
    if wanted["tags"]:
        view = view.match_tags(wanted["tags"])
    return dataset, view


def listed(names: list[str]) -> str:
    """The first eight names for an error message, and how many more there are."""
    shown = ", ".join(repr(name) for name in names[:8])
    return (shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")) or "none"


def spec_text(wanted: dict[str, Any]) -> str:
    """The spec that opens the same samples."""
    chosen = {
        key: value
        for key, value in wanted.items()
        if value not in (None, [], "") or (key == "labels" and value == "")
    }
    if set(chosen) <= {"name", "view"}:
        return "fiftyone:" + "/".join(chosen.values())
    return "fiftyone:" + json.dumps(chosen, sort_keys=True, ensure_ascii=False)


def all_slices(dataset: Any) -> Any:
    """The images of every slice of a grouped dataset; any other dataset as it is."""
    if dataset.media_type != "group":
        return dataset
    return dataset.select_group_slices(media_type="image")


def class_fields(fo: Any, dataset: Any) -> dict[str, str]:
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


def label_field(fo: Any, dataset: Any, asked: str | None) -> str:
    """The dotted path of the labels, or "" for none.

    Unasked, only a field with one class a sample: `ground_truth`.
    """
    fields = class_fields(fo, dataset)
    for name, field in dataset.get_field_schema().items():
        if isinstance(field, class_kinds(fo)) and name not in ("id", "filepath"):
            fields[name] = name
    asked = asked.removesuffix(".label") if asked else asked
    if asked is None:
        path = fields.get(DEFAULT_LABELS, "")
        return path if path in (DEFAULT_LABELS, f"{DEFAULT_LABELS}.label") else ""
    if asked and asked not in fields:
        raise BadInput(
            f"dataset {dataset.name!r} has no label field {asked[:100]!r}; it has "
            f"{listed(sorted(fields))}."
        )
    return fields.get(asked, "")


def class_kinds(fo: Any) -> tuple[type, ...]:
    """Plain fields that may hold a class: texts, whole numbers and truth values."""
    return fo.StringField, fo.IntField, fo.BooleanField


def asked_field(fo: Any, dataset: Any, asked: str) -> str | None:
    """The dotted path of a field that is named, None for one that cannot hold labels.

    Named, a number or a list of texts counts too, which is not taken for labels otherwise.
    """
    asked = asked.removesuffix(".label")
    kind = class_fields(fo, dataset).get(asked)
    if kind is not None:
        return kind
    field = dataset.get_field(asked) if asked not in ("", "id", "tags") else None
    plain = isinstance(field, class_kinds(fo)) and asked != "filepath"
    texts = isinstance(field, fo.ListField) and isinstance(field.field, fo.StringField)
    return asked if plain or texts else None
