"""The labels that people gave as one more task of the forecast.

Given labels are filled in for all images (`pipeline.imported_labels`), which makes a classification
of the set by the classes that count. It knows what no cluster knows: how fine the classes are, and
which are rare. So it corrects the forecast, most of all for balanced classes and where few images
are kept; docs/forecast.md has by how much.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from coreset_engine.artifacts.store import digest
from coreset_engine.core.types import Artefacts

FEWEST_LABELS = 50  # given labels below which they do not judge


@dataclass(frozen=True, eq=False)
class LabelTask:
    """The task made of given labels.

    Attributes
    ----------
    codes : (N,) int64
        Class of each image, given or filled in, in [0, n_classes).
    n_classes : int
    n_given : int
        Images whose label was given.
    key : str
        Names the labels, so that judgements by them are found again.
    """

    codes: np.ndarray
    n_classes: int
    n_given: int
    key: str


def label_task(run: Artefacts) -> LabelTask | None:
    """The task of the labels that people gave a run; None where they are too few, or all the same.

    A source's own labels are not read.
    """
    imported: Any = getattr(run, "imported", None)
    if imported is None:
        return None
    here = set(map(str, run.dataset.ids))
    given = {key: name for key, name in imported.labels.items() if key in here}
    if len(given) < FEWEST_LABELS or len(set(given.values())) < 2:
        return None
    classes, codes = np.unique(np.asarray(run.labels), return_inverse=True)
    key = digest([sorted(given.items()), imported.how])
    return LabelTask(codes.astype(np.int64), len(classes), len(given), key)
