"""Which labels are worth a look, and what the user decided about each.

Decisions are kept per dataset in the workspace's label log, image by image, so that a reload or
another session continues where this one stopped. Nothing is recomputed when one is made: results
stay as they are until they are requested again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from coreset_engine.artifacts import label_log
from coreset_engine.core.ids import positions_of
from ui.state import session
from ui.state.clusters import cluster_names, quality_of
from ui.state.run_view import RunView

CONFIRM = "confirm"
CORRECT = "correct"
MOST = 500  # images in a queue
SHARE = 0.05  # of an unlabelled set that is listed at first, at most
FEWEST = 20
FEW = 0.1  # of a cluster's images


@dataclass(frozen=True)
class Candidate:
    """One image whose label is worth a look.

    Attributes
    ----------
    position : int
        In the dataset.
    given, suggested : str
        The label as it is, and the likeliest other one ("" = unknown).
    reason : str
        Why it is listed, in one sentence.
    """

    position: int
    given: str
    suggested: str
    reason: str


@dataclass(frozen=True, eq=False)
class Doubt:
    """How doubtful each label is.

    Attributes
    ----------
    values : (N,) float64
        As people read them: a margin, an agreement or a confidence; low = doubtful.
    name : str
        What they are.
    natural : float
        Below this the label is more likely wrong than right.
    """

    values: np.ndarray
    name: str
    natural: float

    def sentence(self, i: int) -> str:
        """The value of image i and what it means.

        For example "Training margin (AUM) -1.26: below 0, where another label fits better."
        """
        value = self.values[i]
        low = f": below {self.natural:g}, where another label fits better"
        text = low if value < self.natural else ""
        return f"{self.name[0].upper()}{self.name[1:]} {value:.2f}{text}."


# -- decisions


def decide(view: RunView, name: str, decision: str, label: str = "") -> None:
    """Keep a decision on the label of one image.

    Parameters
    ----------
    view : RunView
    name : str
        Id of the image.
    decision : str
        "confirm", "correct" or "ignore", as in `label_log.decide`.
    label : str
        The right label where the decision is a correction.
    """
    label_log.decide(_fingerprint(view), session.home(), name, decision, label)


def undo(view: RunView) -> None:
    """Undo the last decision."""
    label_log.undo_decision(_fingerprint(view), session.home())


def decisions(view: RunView) -> Mapping[str, Mapping[str, Any]]:
    """Image id -> its latest decision."""
    return label_log.decisions(_fingerprint(view), session.home())


def decided_label(view: RunView, name: str) -> str | None:
    """The label that the user gave this image, or None."""
    return label_log.read(_fingerprint(view), session.home()).labels.get(name)


def decided_labels(view: RunView, names: Sequence[str]) -> list[str]:
    """The label that the user gave each of these images, "" where none."""
    labels = label_log.read(_fingerprint(view), session.home()).labels
    return [labels.get(name, "") for name in names]


def label_names(view: RunView) -> list[str]:
    """What an image can be: the classes of the source, else the names of the clusters."""
    if view.dataset.labels is not None and view.dataset.classes:
        return [str(name) for name in view.dataset.classes]
    return cluster_names(view) if view.ready("pseudo_labels") else []


def label_codes(view: RunView) -> np.ndarray:
    """(N,) int64 position of each image's label in `label_names`; -1 = none."""
    if view.dataset.labels is not None and view.dataset.classes:
        return np.asarray(view.dataset.labels, np.int64)
    return np.asarray(view.run.pseudo_labels.labels, np.int64)


def _fingerprint(view: RunView) -> str:
    return (view.full or view).dataset.fingerprint


# -- the queue


def has_ranked_errors(view: RunView) -> bool:
    """Whether the engine's ranking of probable label errors is computed."""
    from coreset_engine.evaluation.label_errors import label_errors_ready

    full_run = view.full_run
    if view.dataset.labels is None or not hasattr(full_run, "with_dataset"):
        return False
    return bool(label_errors_ready(full_run))


def ranked_errors(view: RunView) -> tuple[list[Candidate], float]:
    """Suspected label errors, most probable first, and the estimate of how many there are."""
    from coreset_engine.evaluation.label_errors import label_errors

    errors = label_errors(view.full_run)
    rows = errors.top()[:MOST]
    positions = positions_of(view.dataset.ids, [row.id for row in rows])
    listed = [
        Candidate(int(position), row.given, row.suggested, row.reason)
        for position, row in zip(positions, rows, strict=True)
        if position >= 0
    ]
    return listed, float(errors.estimated_errors)


def cluster_classes(view: RunView) -> np.ndarray | None:
    """(N,) int64 class that most images of each image's cluster have, -1 where no class has most.

    None without labels.
    """
    quality = quality_of(view)
    return None if quality is None else quality.majority[view.run.pseudo_labels.labels]


def differing(view: RunView) -> list[Candidate]:
    """Images with another label than most of their cluster, most doubtful first.

    In a cluster without a majority: those whose label few of its images have.
    """
    own = cluster_classes(view)
    if own is None:
        return []
    names = label_names(view)
    labels = np.asarray(view.dataset.labels)
    doubt = doubt_of(view)
    odd = np.where(own >= 0, own != labels, _share_in_cluster(view, labels) < FEW)
    chosen = np.flatnonzero((labels >= 0) & odd)
    chosen = chosen[np.argsort(doubt.values[chosen], kind="stable")][:MOST]
    listed = []
    for i in chosen.tolist():
        suggested = names[int(own[i])] if own[i] >= 0 else _neighbours_say(view, i, labels, names)
        why = f"Most images of its cluster are {suggested}."
        if own[i] < 0:
            why = "Few images of its cluster have this label."
        listed.append(Candidate(i, names[int(labels[i])], suggested, f"{why} {doubt.sentence(i)}"))
    return listed


def _share_in_cluster(view: RunView, labels: np.ndarray) -> np.ndarray:
    """(N,) float64 share of each image's cluster that has the image's label."""
    quality = quality_of(view)
    assert quality is not None
    clusters = np.asarray(view.run.pseudo_labels.labels)
    shares = quality.counts / np.maximum(1, quality.counts.sum(0))
    return shares[np.maximum(labels, 0), clusters]


def doubtful(view: RunView, threshold: float) -> list[Candidate]:
    """Images whose cluster label has at most this certainty, most doubtful first."""
    doubt = doubt_of(view)
    codes = label_codes(view)
    names = label_names(view)
    chosen = np.flatnonzero(doubt.values <= threshold)
    chosen = chosen[np.argsort(doubt.values[chosen], kind="stable")][:MOST]
    return [
        Candidate(
            int(i),
            names[int(codes[i])],
            _neighbours_say(view, int(i), codes, names),
            doubt.sentence(int(i)),
        )
        for i in chosen
    ]


def _neighbours_say(view: RunView, i: int, codes: np.ndarray, names: list[str]) -> str:
    """The most frequent other label among the nearest neighbours, "" where there is none."""
    if not view.ready("neighbours"):
        return ""
    neighbour_codes = codes[np.asarray(view.run.neighbours.indices[i][:15], np.int64)]
    neighbour_codes = neighbour_codes[(neighbour_codes != codes[i]) & (neighbour_codes >= 0)]
    return names[int(np.bincount(neighbour_codes).argmax())] if len(neighbour_codes) else ""


def doubt_of(view: RunView) -> Doubt:
    """By the training margin where there is one, else the heads' agreement, else confidence."""
    pseudo = view.run.pseudo_labels
    if view.ready("dynamics"):
        return Doubt(np.asarray(view.run.dynamics.aum, float), "training margin (AUM)", 0.0)
    if pseudo.agreement is not None:
        return Doubt(np.asarray(pseudo.agreement, float), "agreement of the cluster heads", 0.5)
    return Doubt(np.asarray(pseudo.confidence, float), "confidence of the clustering", 0.5)


def first_threshold(doubt: Doubt) -> float:
    """Where the list ends at first.

    The natural threshold, moved so that the list has at least `FEWEST` images and at most `SHARE`
    of the set.
    """
    n = len(doubt.values)
    fewest = min(n, FEWEST)
    most = max(fewest, round(SHARE * n))
    count = int((doubt.values <= doubt.natural).sum())
    if fewest <= count <= most:
        return doubt.natural
    last = min(max(count, fewest), most) - 1
    return float(np.partition(doubt.values, last)[last])


# -- typical images


def exemplars(view: RunView, most: int = 6) -> dict[str, list[int]]:
    """Label -> positions of its most typical images: those its label is most certain of."""
    names = label_names(view)
    codes = label_codes(view)
    certain = np.array(doubt_of(view).values)
    own = cluster_classes(view)
    if own is not None:
        certain[own != codes] = -np.inf  # labelled one thing, clustered with another
    order = np.argsort(-certain, kind="stable")
    by_class: dict[str, list[int]] = {}
    for code, name in enumerate(names):
        by_class[name] = order[codes[order] == code][:most].tolist()
    return by_class
