"""The layers FiftyOne users expect, as plain data: fields, tags, saved views, run keys.

No FiftyOne needed here.

Every selection has a name and owns what carries it: fields `coreset_aum`, ... (or
`coreset_NAME_aum`), the tag `coreset:NAME`, views `coreset NAME: kept`, ..., and the runs of those
keys. The tag `coreset` means: kept by some selection. So a second selection adds, and exporting one
again touches nothing of another.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.core.export_tags import PREFIX
from coreset_engine.export.bundle import NEAR, REASONS, ExportBundle

MAIN = "main"
ID_FIELD = "coreset_id"
TRUTH = "ground_truth"
DIMENSIONS = 64
NUMBERS = {  # table column -> what the field says about itself
    "score": "score the method ranks by; high = kept first",
    "weight": "loss weight of a kept image, 0 when dropped",
    "aum": "mean margin of the pseudo-label over training; low = hard, below 0 = another class "
    "scored higher on average",
    "forgetting": "times its prediction went from right to wrong in training; infinite = never "
    "learned",
    "coverage": "number of coverage samples to which it was the nearest image",
    "redundancy": "redundancy penalty from nearby images",
    "round": "labelling round that selected it; -1 = none",
    "label_error": "probability that its label is wrong, 0 to 1; empty = not suspected",
    "predicted_entropy": "entropy of your model's prediction; high = uncertain",
    "predicted_margin": "your model's largest probability minus the second; low = uncertain",
}
CLASSES = {  # table column -> (its confidence, what the field says about itself)
    "given_label": ("", "label that people gave it in labelling rounds"),
    "suggested_label": ("suggested_confidence", "filled in from the labelled images"),
    "predicted_label": ("predicted_confidence", "prediction of your own model"),
}


@dataclass(frozen=True)
class Layer:
    """One field.

    kind: "float", "int", "str", "label", "vector" or "boxes". values: (N,) or (N, D); None and NaN
    stay unset; of boxes a list of (label, (x, y, width, height) as shares of the picture).
    """

    name: str
    kind: str
    values: Any
    text: str = ""
    confidence: Any = None


@dataclass(frozen=True)
class View:
    """A saved view.

    stages: (method of a FiftyOne view, its arguments), e.g. ("match_tags", {"tags": [...]}).
    """

    name: str
    text: str
    stages: tuple[tuple[str, dict[str, Any]], ...]


@dataclass(frozen=True)
class Names:
    """Everything one selection owns in a dataset."""

    name: str = MAIN

    def __post_init__(self) -> None:
        if not 1 <= len(self.name.strip()) <= 60 or not self.name.isprintable():
            raise BadInput(
                f"selection name {self.name[:80]!r} must be 1 to 60 printable characters, for "
                "example "
                "'p90'."
            )

    @property
    def slug(self) -> str:
        """An identifier; other names get a hash, so that "a b" and "a-b" stay two selections."""
        plain = re.sub(r"[^a-z0-9]+", "_", self.name.lower()).strip("_")
        if plain == self.name:
            return plain
        return f"{plain[:40] or 'x'}_{hashlib.sha256(self.name.encode()).hexdigest()[:6]}"

    @property
    def prefix(self) -> str:
        return "coreset_" if self.name == MAIN else f"coreset_{self.slug}_"

    @property
    def tag(self) -> str:
        return f"{PREFIX}{self.name}"

    @property
    def run_key(self) -> str:
        return f"coreset_{self.slug}"

    def view(self, what: str) -> str:
        return f"coreset: {what}" if self.name == MAIN else f"coreset {self.slug}: {what}"


def own_layers(bundle: ExportBundle, names: Names) -> list[Layer]:
    """The selection's fields: scores, rank, reason, pseudo-label, classes, neighbours, vectors."""
    prefix = names.prefix
    return (
        _number_layers(bundle, prefix)
        + _rank_layers(bundle, prefix)
        + _cluster_layers(bundle, prefix)
        + _class_layers(bundle, prefix)
        + _neighbour_layers(bundle, prefix)
        + _object_layers(bundle, prefix)
        + _vector_layers(bundle, prefix)
    )


def _number_layers(bundle: ExportBundle, prefix: str) -> list[Layer]:
    """One float per score of the table."""
    return [
        Layer(prefix + column, "float", bundle.table[column].to_numpy(float), text)
        for column, text in NUMBERS.items()
        if column in bundle.table
    ]


def _rank_layers(bundle: ExportBundle, prefix: str) -> list[Layer]:
    ranks = [int(rank) if rank >= 0 else None for rank in bundle.table["rank"].tolist()]
    text = "rank in the coreset, 0 = first; empty when dropped"
    return [
        Layer(prefix + "rank", "int", ranks, text),
        Layer(prefix + "reason", "str", bundle.reasons.tolist(), "why: " + ", ".join(REASONS)),
    ]


def _cluster_layers(bundle: ExportBundle, prefix: str) -> list[Layer]:
    """Number of the cluster, and its name as a label with the confidence."""
    table = bundle.table
    if "pseudo_label" not in table:
        return []
    codes = table["pseudo_label"].to_numpy().astype(int).tolist()
    name_of = {code: bundle.cluster_name(code) for code in set(codes)}
    names = [name_of[code] for code in codes]
    confidence = table["confidence"].to_numpy(float) if "confidence" in table else None
    return [
        Layer(prefix + "cluster", "int", codes, "number of its cluster"),
        Layer(prefix + "pseudo_label", "label", names, "its pseudo-label", confidence),
    ]


def _neighbour_layers(bundle: ExportBundle, prefix: str) -> list[Layer]:
    """Distance to the nearest kept image, and agreement of the neighbours with the label."""
    layers = []
    if bundle.nearest_kept is not None:
        text = "cosine distance to the nearest other kept image; empty = none among its neighbours"
        layers.append(Layer(prefix + "nearest_kept", "float", bundle.nearest_kept, text))
    if bundle.label_margin is not None:
        text = (
            "share of the nearest images with its given label minus that of the most frequent "
            "other label; below 0 = the given label is suspect"
        )
        layers.append(Layer(prefix + "label_margin", "float", bundle.label_margin, text))
    return layers


def _object_layers(bundle: ExportBundle, prefix: str) -> list[Layer]:
    if bundle.boxes is None:
        return []
    text = "the selected objects of this image"
    return [Layer(prefix + "objects", "boxes", bundle.boxes, text)]


def _vector_layers(bundle: ExportBundle, prefix: str) -> list[Layer]:
    if bundle.vectors is None or not bundle.same_source:
        return []
    text = f"its embedding's first {DIMENSIONS} principal directions; for sorting by similarity"
    return [Layer(prefix + "vector", "vector", shortened(bundle.vectors), text)]


def _class_layers(bundle: ExportBundle, prefix: str) -> list[Layer]:
    """Classes that people, label spreading or the user's model gave; and decisions on labels."""
    table = bundle.table
    layers = []
    for column, (confidence, text) in CLASSES.items():
        if column in table:
            names = [name or None for name in table[column].tolist()]
            sure = table[confidence].to_numpy(float) if confidence in table else None
            layers.append(Layer(prefix + column, "label", names, text, sure))
    if "label_decision" in table:
        decisions = [name or None for name in table["label_decision"].tolist()]
        layers.append(
            Layer(
                prefix + "label_decision", "str", decisions, "confirm, correct or ignore its label"
            )
        )
    return layers


def source_layers(bundle: ExportBundle) -> list[Layer]:
    """What a dataset made by us also says: our id, the true class, the source's own columns."""
    layers = [Layer(ID_FIELD, "str", bundle.ids.tolist(), "the image's id in its source")]
    if bundle.truth is not None:
        layers.append(Layer(TRUTH, "label", bundle.truth, "the source's own label"))
    if bundle.dataset is not None:
        for name, values in bundle.dataset.columns.items():
            layers.append(_column(name, np.asarray(values), bundle.position))
    return layers


def _column(name: str, values: np.ndarray, position: np.ndarray) -> Layer:
    field = "source_" + re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")
    number = values.dtype.kind in "fiub"
    rows = (
        [values[at].item() if at >= 0 else None for at in position]
        if values.dtype.kind != "O"
        else [values[at] if at >= 0 else None for at in position]
    )
    kind = "str"
    if number:
        kind = "int" if values.dtype.kind in "iu" else "float"
    return Layer(
        field,
        kind,
        [row if row is None or number else str(row) for row in rows],
        f"{name}, from the source",
    )


def shortened(
    vectors: np.ndarray, dimensions: int = DIMENSIONS, sample: int = 10_000
) -> np.ndarray:
    """(N, min(D, dimensions)) float32: centred vectors on principal axes of an even row sample.

    FiftyOne keeps a similarity index's vectors in the dataset; whole ones (1,280 numbers an image)
    take minutes.
    """
    n, width = vectors.shape
    if width <= dimensions:
        return np.asarray(vectors, np.float32)
    rows = np.unique(np.linspace(0, n - 1, min(n, sample)).astype(np.int64))
    some = np.asarray(vectors[rows], np.float32)
    mean = some.mean(0)
    some = some - mean
    _, axes = np.linalg.eigh(some.T @ some)
    basis = axes[:, ::-1][:, :dimensions]
    out = np.empty((n, dimensions), np.float32)
    for start in range(0, n, 8192):
        out[start : start + 8192] = (
            np.asarray(vectors[start : start + 8192], np.float32) - mean
        ) @ basis
    return out


def views(names: Names, layers: list[Layer], duplicate_distance: float = NEAR) -> list[View]:
    """Saved views: kept, dropped, suspected label errors, hardest and easiest cut, near-duplicates.

    Parameters
    ----------
    names, layers
        What the selection owns; a view needs its layer.
    near
        Cosine distance up to which a dropped image is a near-duplicate.
    """
    return list(
        _views(
            names, {layer.name.removeprefix(names.prefix) for layer in layers}, duplicate_distance
        )
    )


def _views(names: Names, has: set[str], duplicate_distance: float) -> Iterator[View]:
    tagged = ("match_tags", {"tags": [names.tag]})
    untagged = ("match_tags", {"tags": [names.tag], "bool": False})
    prefix = names.prefix
    yield View(names.view("kept"), "the coreset, best first", (tagged, _sorted(prefix + "rank")))
    yield View(names.view("dropped"), "everything else", (untagged,))
    if "label_error" in has:
        yield View(
            names.view("probable label errors"),
            "labels that are probably wrong, most suspect first; tag a sample confirm-label or "
            "ignore-label to decide",
            (_matched({prefix + "label_error": {"$gt": 0}}), _sorted(prefix + "label_error", True)),
        )
    if "label_margin" in has or "aum" in has:
        yield _suspected(names, "label_margin" in has)
    if "aum" in has:
        by_aum = _sorted(prefix + "aum")
        yield View(
            names.view("hardest cut"),
            "dropped as hardest, hardest first",
            (_matched({prefix + "reason": REASONS[1]}), by_aum),
        )
        yield View(
            names.view("easiest cut"),
            "dropped as easiest, easiest first",
            (_matched({prefix + "reason": REASONS[2]}), _sorted(prefix + "aum", True)),
        )
    if "nearest_kept" in has:
        yield View(
            names.view("near-duplicates dropped"),
            f"dropped, and within a cosine distance of {duplicate_distance:g} (cosine) from a kept "
            "image, nearest first; the "
            "distance is a tenth of what is usual between an image and its tenth neighbour",
            (
                untagged,
                _matched({prefix + "nearest_kept": {"$lte": duplicate_distance}}),
                _sorted(prefix + "nearest_kept"),
            ),
        )


def _suspected(names: Names, has_labels: bool) -> View:
    """By the given labels where there are any, else by the pseudo-labels' training."""
    field = names.prefix + ("label_margin" if has_labels else "aum")
    text = (
        "given labels that disagree with most of the nearest images, worst first"
        if has_labels
        else (
            "pseudo-labels for which another class scored higher on average in training (AUM below "
            "0), worst first"
        )
    )
    stages = (_matched({field: {"$lt": 0}}), _sorted(field))
    return View(names.view("suspected label errors"), text, stages)


def _matched(condition: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "match", {"filter": condition}


def _sorted(field: str, reverse: bool = False) -> tuple[str, dict[str, Any]]:
    return "sort_by", {"field_or_expr": field, "reverse": reverse}
