"""Labels of some images filled in for all others.

Along the neighbour graph (label spreading) or by a linear model on the vectors; which of the two
serves is decided by cross-validation on the labelled images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreset_engine.clustering.label_spreading import spread_labels
from coreset_engine.core.types import Artefacts
from coreset_engine.selection.keyed_random import image_keys
from coreset_engine.training.ridge import Ridge, fit_ridge, folds_of, one_hot

FOLDS = 5
FEWEST = 20  # labelled images below which nothing is cross-validated
_BLOCK = 16_384


@dataclass(frozen=True, eq=False)
class FilledLabels:
    """A class for every image.

    Attributes
    ----------
    codes : (N,) int64
        -1 where nothing is known.
    confidence : (N,) float32 in [0, 1]
        1 for given labels.
    how : str
        "graph" or "linear".
    accuracy : dict
        Way -> cross-validated accuracy on the labelled images, in [0, 1]; {} when not measured.
    """

    codes: np.ndarray
    confidence: np.ndarray
    how: str
    accuracy: dict[str, float]


def fill_labels(
    run: Artefacts, labels: np.ndarray, n_classes: int, how: str = "auto"
) -> FilledLabels:
    """A class for every image from those of some.

    Parameters
    ----------
    run
        Its neighbour graph and vectors are read.
    labels : (N,) int64
        Class in [0, n_classes), -1 = not labelled.
    n_classes : int
    how : "graph", "linear" or "auto"
        Label spreading, ridge regression, or the better one by cross-validation.
    """
    known = np.flatnonzero(labels >= 0)
    accuracy: dict[str, float] = {}
    if how == "auto":
        if len(known) >= FEWEST:
            accuracy = _cross_validated(run, labels, n_classes)
        how = max(accuracy, key=lambda way: accuracy[way]) if accuracy else "graph"
    codes, confidence = _filled(run, labels, n_classes, how)
    return FilledLabels(codes, confidence, how, accuracy)


def _cross_validated(run: Artefacts, labels: np.ndarray, n_classes: int) -> dict[str, float]:
    """Way -> accuracy on labelled images whose label was held out."""
    known = np.flatnonzero(labels >= 0)
    fold = folds_of(labels[known], image_keys(run.dataset.ids, 0)[known], FOLDS)
    right = dict(graph=0, linear=0)
    for number in range(FOLDS):
        held = known[fold == number]
        rest = known[fold != number]
        seen = labels.copy()
        seen[held] = -1
        spread = spread_labels(run.neighbours, seen, n_classes).labels[held]
        right["graph"] += int((spread == labels[held]).sum())
        outputs = _linear(run, rest, labels[rest], n_classes).outputs(_unit(run, held))
        right["linear"] += int((outputs.argmax(axis=1) == labels[held]).sum())
    return {way: count / len(known) for way, count in right.items()}


def _filled(
    run: Artefacts, labels: np.ndarray, n_classes: int, how: str
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) int64 codes and (N,) float32 confidence; given labels stay."""
    if how == "graph":
        result = spread_labels(run.neighbours, labels, n_classes)
        return result.labels, result.confidence
    known = np.flatnonzero(labels >= 0)
    model = _linear(run, known, labels[known], n_classes)
    codes = np.empty(len(labels), np.int64)
    confidence = np.empty(len(labels), np.float32)
    for start in range(0, len(labels), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(labels)))
        outputs = np.clip(model.outputs(_unit(run, rows)), 0, None)
        share = outputs / np.maximum(outputs.sum(axis=1, keepdims=True), 1e-12)
        codes[rows] = share.argmax(axis=1)
        confidence[rows] = share.max(axis=1)
    codes[known] = labels[known]
    confidence[known] = 1
    return codes, confidence


def _linear(run: Artefacts, rows: np.ndarray, labels: np.ndarray, n_classes: int) -> Ridge:
    """Ridge regression on the unit vectors of the images at `rows`."""
    return fit_ridge(_unit(run, rows), one_hot(labels, n_classes))


def _unit(run: Artefacts, rows: np.ndarray) -> np.ndarray:
    vectors = np.asarray(run.vectors[rows], np.float32)
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit
