"""Probable mistakes among given labels, ranked.

Two signals that need no clean data: how a network takes up each label while it trains (AUM, Pleiss
et al. 2020), and what a model that never saw the label says (confident learning, Northcutt et al.
2021). Images are ranked by the mean of their places under both.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from coreset_engine.artifacts import label_log
from coreset_engine.artifacts.store import digest
from coreset_engine.core.errors import BadInput, CoresetError, Missing
from coreset_engine.core.types import Progress, silent
from coreset_engine.evaluation.confident_learning import confident_learning, normalised_margin
from coreset_engine.evaluation.probe import out_of_fold
from coreset_engine.pipeline.run import Run

VERSION = 2
FEWEST = 20  # labelled images below which no ranking is made


class LabelError(NamedTuple):
    """One image whose label may be wrong."""

    id: str
    given: str
    suggested: str
    score: float
    reason: str


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """Labelled images, most probable mistake first, n of them.

    Attributes
    ----------
    ids : (n,) str
    given, suggested : (n,) str
        Class names: as labelled, and the likeliest other class (the likeliest class for suspected
        images).
    score : (n,) float64 in [0, 1]
        High = probably wrong: mean of the places under AUM and under the out-of-fold margin.
    suspected : (n,) bool
        Counted as wrong by confident learning.
    aum : (n,) float64
        Mean margin of the given label over training; low = suspect.
    margin : (n,) float64 in [-1, 1]
        Out-of-fold probability of the given label minus the largest other one.
    estimated_errors : float
        How many labels are wrong in all, estimated by confident learning.
    """

    ids: np.ndarray
    given: np.ndarray
    suggested: np.ndarray
    score: np.ndarray
    suspected: np.ndarray
    aum: np.ndarray
    margin: np.ndarray
    own: np.ndarray
    other: np.ndarray
    estimated_errors: float

    def __len__(self) -> int:
        return len(self.ids)

    def reason(self, i: int) -> str:
        """Why image i has its rank, in one sentence."""
        percentile = int(100 * (self.aum < self.aum[i]).mean())
        return (
            f"A model trained on the other images gives {self.suggested[i]!r} "
            f"{self.other[i]:.0%} and the given {self.given[i]!r} {self.own[i]:.0%}; its training "
            f"margin is lower than that of {100 - percentile}% of the labelled images."
        )

    def top(self, count: int | None = None) -> list[LabelError]:
        """The first `count` as rows for people; None = those suspected."""
        rows = np.flatnonzero(self.suspected) if count is None else np.arange(len(self))[:count]
        positions: list[int] = rows.tolist()
        return [
            LabelError(
                str(self.ids[i]),
                str(self.given[i]),
                str(self.suggested[i]),
                float(self.score[i]),
                self.reason(i),
            )
            for i in positions
        ]


def label_errors(run: Run, *, undecided: bool = False, progress: Progress = silent) -> LabelErrors:
    """Rank the labelled images of a run by how probably their label is wrong; kept in the store.

    Labels are those given by people where the run has such (`with_labels`), else the source's.

    Parameters
    ----------
    run
        Its vectors and labels are used; computes training dynamics on the labels where missing.
    undecided
        Leave out images that were confirmed, corrected or ignored before.
    progress
        Unit "folds".

    Returns
    -------
    LabelErrors
        One entry a labelled image, most probable error first.

    Raises
    ------
    Missing
        Without labels.
    BadInput
        With fewer than FEWEST labelled images, or one class only.
    """
    part, codes, names = _labelled_part(run)

    def work() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        return _measured(part, codes, len(names), progress)

    key = _key(part, run)
    arrays, info = run.store.get("label_errors", key, work, about=run.about())
    ranked = _ranked(np.asarray(part.dataset.ids), codes, names, arrays, info)
    scores = {str(ranked.ids[i]): float(ranked.score[i]) for i in np.flatnonzero(ranked.suspected)}
    label_log.keep_suspects(run.dataset.fingerprint, run.store.home, key, scores)
    return _without(ranked, run) if undecided else ranked


def label_errors_ready(run: Run) -> bool:
    """Whether `label_errors` has its answer in the store. Never computes."""
    try:
        part, _, _ = _labelled_part(run)
        return run.store.has("label_errors", _key(part, run))
    except CoresetError:
        return False


def _key(part: Run, run: Run) -> str:
    return digest([VERSION, part.key_of("dynamics", labels="true"), run.key_of("embeddings")])


def _labelled_part(run: Run) -> tuple[Run, np.ndarray, tuple[str, ...]]:
    """A run of the labelled images alone, their (n,) codes without gaps, and class names."""
    rows = labelled_rows(run)
    codes, names = _codes(run, rows)
    part = run if len(rows) == len(run.dataset) else run.take(rows)
    own = dataclasses.replace(part.dataset, labels=codes, classes=names)
    return part.with_dataset(own), codes, names


def labelled_rows(run: Run) -> np.ndarray:
    """(n,) int64 positions of images whose label was given, not filled in."""
    labels = run.dataset.labels
    if labels is None:
        raise Missing(
            f"{run.dataset.spec!r} has no labels to check; import labels first (coreset "
            "import-labels FILE), or open a source with labels."
        )
    if run.imported is None:
        return np.flatnonzero(np.asarray(labels) >= 0)
    imported = run.imported.labels
    return np.array([i for i, key in enumerate(run.dataset.ids) if str(key) in imported], np.int64)


def _codes(run: Run, rows: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """(n,) int64 class numbers without gaps, and their names; checked."""
    present, codes = np.unique(np.asarray(run.dataset.labels)[rows], return_inverse=True)
    if len(rows) < FEWEST or len(present) < 2:
        raise BadInput(
            f"{len(rows)} labelled images in {len(present)} classes are too few to find label "
            "errors; label at least"
            f" {FEWEST} images of two classes."
        )
    return codes.astype(np.int64), tuple(run.dataset.classes[code] for code in present)


def _measured(
    part: Run, codes: np.ndarray, n_classes: int, progress: Progress
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    p = out_of_fold(part.vectors, codes, n_classes, part.tie_keys, progress=progress)
    aum = np.asarray(part.dynamics_at(labels="true").aum, np.float32)
    return dict(probabilities=p, aum=aum), {}


def _ranked(
    ids: np.ndarray,
    codes: np.ndarray,
    names: tuple[str, ...],
    arrays: dict[str, np.ndarray],
    info: dict[str, Any],
) -> LabelErrors:
    p = np.asarray(arrays["probabilities"], np.float64)
    aum = np.asarray(arrays["aum"], np.float64)
    estimate = confident_learning(codes, p)
    margin = normalised_margin(codes, p)
    score = (suspicion(aum) + suspicion(margin)) / 2
    at = np.arange(len(codes))
    others = p.copy()
    others[at, codes] = -1
    suggested = others.argmax(axis=1)
    order = np.lexsort((ids.astype(str), -score))
    called = np.array(names, object)
    return LabelErrors(
        ids[order],
        called[codes[order]],
        called[suggested[order]],
        score[order],
        estimate.suspected[order],
        aum[order],
        margin[order],
        p[at, codes][order],
        p[at, suggested][order],
        estimate.estimated_errors,
    )


def suspicion(values: np.ndarray) -> np.ndarray:
    """(n,) float64 in [0, 1]: place among all, lowest value 1; equal values share a place."""
    from scipy.stats import rankdata

    if len(values) < 2:
        return np.ones(len(values))
    return 1 - (rankdata(values) - 1) / (len(values) - 1)


def _without(errors: LabelErrors, run: Run) -> LabelErrors:
    """Without the images that are decided already."""
    decided = label_log.decisions(run.dataset.fingerprint, run.store.home)
    stay = np.array([str(key) not in decided for key in errors.ids], bool)
    changed = {
        field.name: getattr(errors, field.name)[stay]
        for field in dataclasses.fields(errors)
        if isinstance(getattr(errors, field.name), np.ndarray)
    }
    return dataclasses.replace(errors, **changed)
