"""The labels that people gave as one more task of the forecast.

Given labels are filled in for all images (`pipeline.filled_labels`), which makes a classification
of the set by the classes that count. It knows what no cluster knows: how fine the classes are, and
which are rare. So it corrects the forecast, most of all for balanced classes and where few images
are kept; docs/forecast.md has by how much. A source's own labels are never read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from coreset_engine.artifacts import label_log
from coreset_engine.artifacts.store import digest
from coreset_engine.core.ids import positions_of
from coreset_engine.core.types import Artefacts
from coreset_engine.pipeline.filled_labels import fill_labels

FEWEST_LABELS = 50  # given labels below which they do not judge


@dataclass(frozen=True, eq=False)
class LabelTask:
    """The task made of given labels.

    Attributes
    ----------
    key : str
        Names the labels, so that judgements by them are found again.
    n_given : int
        Images whose label was given.
    fill : callable
        Gives (N,) int64: the class of each image, given or filled in, >= 0. Called when a coreset
        is judged, not to find what was judged before.
    """

    key: str
    n_given: int
    fill: Callable[[], np.ndarray]


def label_task(run: Artefacts, stored: bool = False) -> LabelTask | None:
    """The task of the labels that people gave; None where they are too few, or all the same.

    Parameters
    ----------
    run
        Labels that were put into it (`imported_labels.with_labels`) count.
    stored : bool
        Whether those that its workspace keeps for the dataset count where it holds none itself.
    """
    imported: Any = getattr(run, "imported", None)
    if imported is not None:
        labels = _of_images(run, imported.labels)
        key = digest([sorted(labels.items()), imported.how])
        return _task(labels, key, lambda: np.unique(np.asarray(run.labels), return_inverse=True)[1])
    if not stored:
        return None
    labels = stored_labels(run)
    return _task(labels, _stored_key(run, labels), lambda: _filled(run, labels))


def stored_labels(run: Artefacts) -> dict[str, str]:
    """Image id -> class: the labels that the run's workspace keeps for its images."""
    home = getattr(getattr(run, "store", None), "home", None)
    if home is None:
        return {}
    return _of_images(run, label_log.read(run.dataset.fingerprint, home).labels)


def _task(labels: Mapping[str, str], key: str, fill: Callable[[], np.ndarray]) -> LabelTask | None:
    if len(labels) < FEWEST_LABELS or len(set(labels.values())) < 2:
        return None
    return LabelTask(key, len(labels), fill)


def _of_images(run: Artefacts, labels: Mapping[str, str]) -> dict[str, str]:
    if not labels:
        return {}
    here = set(map(str, run.dataset.ids))
    return {key: name for key, name in labels.items() if key in here}


def _stored_key(run: Artefacts, labels: Mapping[str, str]) -> str:
    key_of = getattr(run, "key_of", None)
    return digest(["stored", sorted(labels.items()), key_of("neighbours") if key_of else ""])


def _filled(run: Artefacts, labels: Mapping[str, str]) -> np.ndarray:
    """(N,) int64 classes, those that the neighbour graph does not reach by a linear model."""
    classes, codes = np.unique(list(labels.values()), return_inverse=True)
    known = np.full(len(run.dataset), -1, np.int64)
    known[positions_of(run.dataset.ids, list(labels))] = codes
    filled = fill_labels(run, known, len(classes)).codes
    if (filled < 0).any():
        filled = fill_labels(run, known, len(classes), "linear").codes
    return filled
