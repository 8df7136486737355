"""FiftyOne's on-disk format (FiftyOneDataset) by NumPy and the standard library alone.

    fiftyone.Dataset.from_dir(dataset_dir=FOLDER, dataset_type=fiftyone.types.FiftyOneDataset)

reads it: samples, fields, tags, saved views, the map as a brain visualisation, a similarity index
and the manifest as a custom run. The format is the one FiftyOne 1.22.1 itself exports; later
versions migrate it on import.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.artifacts import filesystem
from coreset_engine.core.export_tags import SHARED as SHARED_TAG
from coreset_engine.core.types import Progress, silent
from coreset_engine.export.bundle import ExportBundle
from coreset_engine.export.fiftyone.layers import (
    TRUTH,
    Layer,
    Names,
    View,
    own_layers,
    source_layers,
    views,
)
from coreset_engine.export.formats.image_files import picture_files
from coreset_engine.export.objects import with_boxes

VERSION = "1.22.1"
FIELDS = "fiftyone.core.fields."
BRAIN = "fiftyone.brain."
KINDS = {"float": "FloatField", "int": "IntField", "str": "StringField", "vector": "VectorField"}
STAMPS = ("created_at", "last_modified_at")


@dataclass(frozen=True)
class Plan:
    """What will be written: the fields (`own`: the selection's); per sample id, path, facts."""

    bundle: ExportBundle
    names: Names
    layers: list[Layer]
    own: list[Layer]
    ids: list[str]
    paths: list[str]
    facts: list[dict[str, Any] | None]


@dataclass(frozen=True)
class Dialect:
    """How a document spells ids, bytes, numbers, times: extended JSON or BSON."""

    oid: Callable[[str], Any]
    binary: Callable[[bytes], Any]
    number: Callable[[float], Any]
    now: Any
    dataset: Any


def write_fiftyone_folder(
    bundle: ExportBundle,
    destination: str | Path,
    progress: Progress = silent,
    *,
    selection: str = "main",
) -> dict[str, Any]:
    """Write the dataset into a folder that FiftyOne imports.

    The samples' ids come from the images' ids and the source's fingerprint: the same export twice
    gives the same ids. Pictures that are not files of the source go to destination/data and are
    named relative to it, so the folder can move.

    Parameters
    ----------
    bundle : ExportBundle
        N images with their scores and what was selected.
    destination : path
        A new or empty folder.
    progress : Progress
        Unit "samples".
    selection : str
        Name of the selection; prefix of its fields, tag and views.

    Returns
    -------
    dict
        path; samples: how many were written.

    Raises
    ------
    BadInput
        When the folder cannot be written.
    """
    out = Path(destination)
    bundle = with_boxes(bundle)
    with filesystem.writing(out):
        plan = prepare(
            bundle,
            out / "data",
            progress,
            selection,
            str(bundle.manifest.get("source_fingerprint", "")),
        )
        own = f"{out}{os.sep}data{os.sep}"
        paths = [
            os.path.relpath(path, out) if path.startswith(own) else path for path in plan.paths
        ]
        write_frame(out, plan)
        dialect = Dialect(
            lambda text: {"$oid": text}, _binary, _number, {"$date": _now()}, {"$oid": "0" * 24}
        )
        with open(out / "samples.json", "w", encoding="ascii") as file:
            file.write('{"samples": [')
            for i, document in enumerate(documents(replace(plan, paths=paths), dialect)):
                file.write(
                    ("," if i else "")
                    + json.dumps(document, separators=(",", ":"), allow_nan=False)
                )
                if i % 5000 == 0:
                    progress(i, len(plan.ids), "samples")
            file.write("]}")
    progress(len(plan.ids), len(plan.ids), "samples")
    return dict(path=str(out), samples=len(plan.ids))


def prepare(
    bundle: ExportBundle, media: Path, progress: Progress, selection: str, key: str
) -> Plan:
    """Find or write the images, read their headers, compute the fields.

    Parameters
    ----------
    bundle : ExportBundle
    media : path
        Where pictures are written that are no files of the source.
    progress : Progress
        Units "pictures" and "files".
    selection : str
        Name of the selection.
    key : str
        Salt of the samples' ids.
    """
    names = Names(selection)
    own = own_layers(bundle, names)
    paths, facts = picture_files(bundle, media, progress)
    return Plan(
        bundle,
        names,
        source_layers(bundle) + own,
        own,
        sample_ids(bundle.ids, key),
        paths,
        facts,
    )


def write_frame(out: Path, plan: Plan) -> None:
    """Everything but the samples: fields, views, runs and their results; an empty samples.json."""
    with filesystem.writing(out):
        (out / "brain").mkdir(parents=True, exist_ok=True)
        (out / "runs").mkdir(exist_ok=True)
        _put(out / "metadata.json", _metadata(plan.bundle, plan.names, plan.layers, plan.own))
        _put(out / "samples.json", {"samples": []})
        _results(out, plan.bundle, plan.names, plan.ids)


def sample_ids(ids: np.ndarray, key: str) -> list[str]:
    """24 hex digits for every id, reproducible; 96 bits of SHA-256, so practically unique."""
    start = hashlib.sha256(f"{key}\n".encode())

    def made(text: str) -> str:
        digest = start.copy()
        digest.update(text.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()[:24]

    return [made(text) for text in ids]


def packed(array: np.ndarray) -> bytes:
    """An array as FiftyOne stores it: zlib of .npy."""
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return zlib.compress(out.getvalue(), 1)


def _npy_head(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()[: -array.nbytes]


# -- samples ---------------------------------------------------------------------------------------


def encoder(layer: Layer, ids: list[str], dialect: Dialect) -> Callable[[int], Any]:
    """row -> what the database holds for this field; None = unset."""
    values = layer.values
    if layer.kind == "float":
        rows = np.asarray(values, np.float64).tolist()
        return lambda i: None if math.isnan(rows[i]) else dialect.number(rows[i])
    if layer.kind == "vector":
        rows = np.ascontiguousarray(values)
        head = _npy_head(
            rows[0]
        )  # one for all; and random digits hardly compress, so they are only wrapped (level 0)
        return lambda i: dialect.binary(zlib.compress(head + rows[i].tobytes(), 0))
    if layer.kind == "boxes":
        return lambda i: _detections(layer, ids[i], values[i], dialect) if values[i] else None
    if layer.kind != "label":
        return lambda i: values[i]
    sure = None if layer.confidence is None else np.asarray(layer.confidence, np.float64).tolist()
    salt = layer.name.encode()

    def label(i: int) -> dict[str, Any] | None:
        if values[i] is None:
            return None
        owner = hashlib.sha256(ids[i].encode() + salt).hexdigest()[:24]
        document = {
            "_id": dialect.oid(owner),
            "_cls": "Classification",
            "tags": [],
            "label": values[i],
        }
        if sure is not None and not math.isnan(sure[i]):
            document["confidence"] = sure[i]
        return document

    return label


def _detections(layer: Layer, owner: str, boxes: Any, dialect: Dialect) -> dict[str, Any]:
    """A detections label as the database holds it."""
    detections = []
    for number, (label, box) in enumerate(boxes):
        key = hashlib.sha256(f"{owner}{layer.name}{number}".encode()).hexdigest()[:24]
        detections.append(
            {
                "_id": dialect.oid(key),
                "_cls": "Detection",
                "attributes": {},
                "tags": [],
                "label": label,
                "bounding_box": [dialect.number(part) for part in box],
            }
        )
    return {"_cls": "Detections", "detections": detections}


def documents(plan: Plan, dialect: Dialect) -> Iterator[dict[str, Any]]:
    """One document per sample, as FiftyOne's own database holds them."""
    rand = np.random.default_rng(0).random(len(plan.ids)).tolist()
    columns = [(layer.name, encoder(layer, plan.ids, dialect)) for layer in plan.layers]
    chosen = [
        [SHARED_TAG, plan.names.tag] if kept else [] for kept in plan.bundle.selected.tolist()
    ]
    tags = [
        [*own, *tags_of_image]
        for own, tags_of_image in zip(chosen, plan.bundle.image_tags, strict=True)
    ]
    for i, key in enumerate(plan.ids):
        document = {
            "_id": dialect.oid(key),
            "filepath": plan.paths[i],
            "tags": tags[i],
            "_media_type": "image",
            "_rand": rand[i],
            "_dataset_id": dialect.dataset,
            "created_at": dialect.now,
            "last_modified_at": dialect.now,
        }
        facts = plan.facts[i]
        if facts is not None:
            document["metadata"] = {"_cls": "ImageMetadata", **facts}
        for name, value_of in columns:
            value = value_of(i)
            if value is not None:
                document[name] = value
        yield document


def _binary(data: bytes) -> dict[str, Any]:
    return {"$binary": {"base64": base64.b64encode(data).decode(), "subType": "00"}}


def _number(value: float) -> Any:
    if math.isfinite(value):
        return value
    return {"$numberDouble": "Infinity" if value > 0 else "-Infinity"}


# -- the dataset's own document --------------------------------------------------------------------


def _metadata(
    bundle: ExportBundle, names: Names, layers: list[Layer], own: list[Layer]
) -> dict[str, Any]:
    return dict(
        version=VERSION,
        media_type="image",
        tags=[],
        info={},
        app_config={},
        sample_fields=_schema(layers),
        frame_fields=[],
        saved_views=[_saved(view) for view in views(names, own, bundle.near_distance)],
        workspaces=[],
        classes=_class_lists(bundle),
        annotation_runs={},
        evaluations={},
        brain_methods=_brain(bundle, names, own),
        runs={names.run_key: _run(names.run_key, run_config(bundle, names, own))},
    )


def _class_lists(bundle: ExportBundle) -> dict[str, list[str]]:
    """The source's own list of classes, so that a reopened dataset numbers them the same."""
    return {TRUTH: list(bundle.truth_names)} if bundle.truth_names else {}


def run_config(bundle: ExportBundle, names: Names, own: list[Layer]) -> dict[str, Any]:
    """Content of the custom run: the manifest, and what the selection owns, for later updates."""
    return dict(
        name=names.name,
        manifest=json.loads(json.dumps(dict(bundle.manifest), default=str)),
        fields=[layer.name for layer in own],
        tag=names.tag,
        views=[view.name for view in views(names, own)],
        brain_keys=brain_keys(bundle, names, own),
    )


def brain_keys(bundle: ExportBundle, names: Names, own: list[Layer]) -> list[str]:
    """Of the map and of the similarity index, where there is one."""
    keys = [names.prefix + "umap"] if bundle.points is not None else []
    return keys + [names.prefix + "similarity" for layer in own if layer.kind == "vector"]


def _schema(layers: list[Layer]) -> list[dict[str, Any]]:
    sample_fields = [
        ("size_bytes", "IntField"),
        ("mime_type", "StringField"),
        ("width", "IntField"),
        ("height", "IntField"),
        ("num_channels", "IntField"),
    ]
    fields = [
        _field("id", "ObjectIdField", db_field="_id"),
        _field("filepath", "StringField"),
        _field("tags", "ListField", sub="StringField"),
        _field("_media_type", "StringField"),
        _field("_rand", "FloatField"),
        _field("_dataset_id", "ObjectIdField"),
        _field(
            "metadata",
            "EmbeddedDocumentField",
            doc="fiftyone.core.metadata.ImageMetadata",
            fields=[_field(name, kind) for name, kind in sample_fields],
        ),
        *(_field(name, "DateTimeField", read_only=True) for name in STAMPS),
    ]
    label = [
        _field("id", "ObjectIdField", db_field="_id"),
        _field("tags", "ListField", sub="StringField"),
        _field("label", "StringField"),
        _field("confidence", "FloatField"),
        _field("logits", "VectorField"),
    ]
    return fields + [_layer_field(layer, label) for layer in layers]


def _layer_field(layer: Layer, label: list[dict[str, Any]]) -> dict[str, Any]:
    """The schema of one layer. label: fields of a class with its confidence."""
    document = "EmbeddedDocumentField"
    if layer.kind == "label":
        of = "fiftyone.core.labels.Classification"
        return _field(layer.name, document, doc=of, fields=label, description=layer.text or None)
    if layer.kind != "boxes":
        return _field(layer.name, KINDS[layer.kind], description=layer.text or None)
    parts = [
        *label[:3],
        _field("attributes", "DictField"),
        _field("bounding_box", "ListField", sub="FloatField"),
        _field("confidence", "FloatField"),
        _field("index", "IntField"),
    ]
    of = "fiftyone.core.labels.Detection"
    several = _field("detections", "ListField", doc=of, sub=document, fields=parts)
    of = "fiftyone.core.labels.Detections"
    return _field(layer.name, document, doc=of, fields=[several], description=layer.text or None)


def _field(
    name: str,
    kind: str,
    *,
    doc: str | None = None,
    sub: str | None = None,
    fields: Any = (),
    **others: Any,
) -> dict[str, Any]:
    """A field as FiftyOne's database describes it; `others`: its further entries."""
    entries = dict(
        name=name,
        ftype=FIELDS + kind,
        embedded_doc_type=doc,
        subfield=FIELDS + sub if sub else None,
        fields=list(fields),
        db_field=name,
        description=None,
        info=None,
        read_only=False,
    )
    return entries | others


def _saved(view: View) -> dict[str, Any]:
    now = {"$date": _now()}
    slug = "-".join("".join(c if c.isalnum() else " " for c in view.name.lower()).split())
    stages = [
        json.dumps(
            {
                "_cls": f"fiftyone.core.stages.{method.title().replace('_', '')}",
                "kwargs": [[name, value] for name, value in arguments.items()],
            }
        )
        for method, arguments in view.stages
    ]
    return dict(
        name=view.name,
        slug=slug,
        color=None,
        description=view.text,
        view_stages=stages,
        created_at=now,
        last_modified_at=now,
    )


def _brain(bundle: ExportBundle, names: Names, own: list[Layer]) -> dict[str, Any]:
    runs = {}
    for key in brain_keys(bundle, names, own):
        shared = dict(model=None, model_kwargs=None, patches_field=None)
        if key.endswith("umap"):
            config = dict(
                cls=BRAIN + "visualization.ManualVisualizationConfig",
                type="visualization",
                method="manual",
                embeddings_field=None,
                points_field=None,
                similarity_index=None,
                num_dims=2,
                **shared,
            )
        else:
            config = dict(
                cls=BRAIN + "internal.core.sklearn.SklearnSimilarityConfig",
                type="similarity",
                method="sklearn",
                embeddings_field=names.prefix + "vector",
                roi_field=None,
                supports_prompts=False,
                metric="cosine",
                **shared,
            )
        runs[key] = _run(key, config)
    return runs


def _run(key: str, config: dict[str, Any]) -> dict[str, Any]:
    if "cls" not in config:
        config = dict(cls="fiftyone.core.runs.RunConfig", type="run", method=None, **config)
    return dict(key=key, version=VERSION, timestamp={"$date": _now()}, config=config, results=None)


def _results(out: Path, bundle: ExportBundle, names: Names, ids: list[str]) -> None:
    if bundle.points is not None:
        coded = {
            name: base64.b64encode(packed(array)).decode()
            for name, array in (
                ("points", np.asarray(bundle.points, np.float64)),
                ("sample_ids", np.array(ids)),
            )
        }
        _put(
            out / "brain" / f"{names.prefix}umap.json",
            dict(
                cls=BRAIN + "visualization.VisualizationResults",
                reducer_blob=None,
                label_ids=None,
                **coded,
            ),
        )
    if bundle.vectors is not None and bundle.same_source:
        _put(
            out / "brain" / f"{names.prefix}similarity.json",
            dict(cls=BRAIN + "internal.core.sklearn.SklearnSimilarityIndex"),
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _put(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="ascii")
