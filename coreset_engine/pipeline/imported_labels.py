"""Labels from people, put back into a run.

Images nobody labelled are filled in from those that are: along the neighbour graph (label
spreading), by a linear model on the vectors, or by the commonest class of their cluster. Which of
the first two serves is decided by cross-validation on the labelled images. So each round's training
dynamics rest on as much truth as there is.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from coreset_engine.artifacts import label_log
from coreset_engine.clustering.label_spreading import spread_labels
from coreset_engine.core.errors import BadInput
from coreset_engine.core.ids import places_of
from coreset_engine.pipeline.run import ImportedLabels, Run
from coreset_engine.training.ridge import Ridge, fit_ridge, folds_of, one_hot

WAYS = ("auto", "graph", "linear", "clusters")
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


def with_labels(run: Run, given: Mapping[str, str], how: str = "auto") -> Run:
    """The same run on the same images, its true labels those of `given`, filled in for the others.

    Parameters
    ----------
    run
        The images.
    given
        Image id -> class name; ids of other sources are passed over.
    how
        "graph" (label spreading), "linear" (ridge regression on the vectors), "clusters" (the
        commonest class of the image's cluster; clusters nobody labelled stay classes of their own),
        or "auto": the better of the first two, and "clusters" while only one class is known.

    Raises
    ------
    BadInput
        When no id is known.
    """
    if how not in WAYS:
        raise BadInput(f"how={how!r} is not offered; choose one of {', '.join(WAYS)}.")
    at = {str(key): i for i, key in enumerate(run.dataset.ids)}
    known = {at[key]: name for key, name in given.items() if key in at}
    if not known:
        raise BadInput(
            f"none of the {len(given)} labelled ids is in {run.dataset.spec!r}, the first: "
            f"{next(iter(given))!r}; give the labels of this source."
        )
    names, confidence, how = _names(run, known, how)
    classes = tuple(sorted(set(names)))
    code = {name: number for number, name in enumerate(classes)}
    dataset = dataclasses.replace(
        run.dataset, labels=np.array([code[name] for name in names], np.int64), classes=classes
    )
    given_here = {str(run.dataset.ids[i]): name for i, name in known.items()}
    return Run(
        dataset,
        run.config,
        run.executor,
        store=run.store,
        progress=run.progress,
        corrected_by=run.corrected_by,
        excluded_by=run.excluded_by,
        imported=ImportedLabels(given_here, run.wanted_clusters, how, confidence),
    )


def with_stored_labels(run: Run) -> Run:
    """The run with the labels that its workspace keeps for this dataset; itself without any."""
    if run.imported:
        return run
    labels = label_log.read(run.dataset.fingerprint, run.store.home).labels
    here = set(map(str, run.dataset.ids))
    labels = {key: name for key, name in labels.items() if key in here}
    return with_labels(run, labels) if labels else run


def with_known_labels(run: Run) -> Run:
    """The run with every known label and no propagated one.

    The source's labels, overridden by those kept in its workspace (imports and corrections).

    For looking at the labels themselves; a source without labels gives `with_stored_labels`.
    """
    if run.imported or run.dataset.labels is None:
        return with_stored_labels(run)
    given = label_log.read(run.dataset.fingerprint, run.store.home).labels
    if not given:
        return run
    classes = tuple(dict.fromkeys([*run.dataset.classes, *sorted(set(given.values()))]))
    code = {name: number for number, name in enumerate(classes)}
    labels = np.array(run.dataset.labels, np.int64)
    positions = places_of(run.dataset.ids, list(given))
    for position, name in zip(positions.tolist(), given.values(), strict=True):
        if position >= 0:
            labels[position] = code[name]
    return run.with_dataset(dataclasses.replace(run.dataset, labels=labels, classes=classes))


def _names(run: Run, known: dict[int, str], how: str) -> tuple[list[str], np.ndarray | None, str]:
    """(N,) class names, (N,) confidence or None, and the way that was taken."""
    classes = sorted(set(known.values()))
    if how == "auto" and len(classes) < 2:
        how = "clusters"
    if how == "clusters":
        return spread(run.pseudo_labels.labels, known), None, how
    code = {name: number for number, name in enumerate(classes)}
    given = np.full(len(run.dataset), -1, np.int64)
    given[list(known)] = [code[name] for name in known.values()]
    filled = fill_labels(run, given, len(classes), how)
    if (filled.codes >= 0).all():
        return [classes[c] for c in filled.codes.tolist()], filled.confidence, filled.how
    by_cluster = spread(run.pseudo_labels.labels, known)
    names = [classes[c] if c >= 0 else by_cluster[i] for i, c in enumerate(filled.codes.tolist())]
    return names, filled.confidence, filled.how


def fill_labels(run: Run, given: np.ndarray, n_classes: int, how: str = "auto") -> FilledLabels:
    """A class for every image from those of some.

    Parameters
    ----------
    run
        Its neighbour graph and vectors are read.
    given : (N,) int64
        Class in [0, n_classes), -1 = not labelled.
    n_classes : int
    how : "graph", "linear" or "auto"
        See `with_labels`.
    """
    known = np.flatnonzero(given >= 0)
    accuracy: dict[str, float] = {}
    if how == "auto":
        if len(known) >= FEWEST:
            accuracy = _cross_validated(run, given, n_classes)
        how = max(accuracy, key=lambda way: accuracy[way]) if accuracy else "graph"
    codes, confidence = _filled(run, given, n_classes, how)
    return FilledLabels(codes, confidence, how, accuracy)


def _cross_validated(run: Run, given: np.ndarray, n_classes: int) -> dict[str, float]:
    """Way -> accuracy on labelled images whose label was held out."""
    known = np.flatnonzero(given >= 0)
    fold = folds_of(given[known], run.tie_keys[known], FOLDS)
    right = dict(graph=0, linear=0)
    for number in range(FOLDS):
        held = known[fold == number]
        rest = known[fold != number]
        seen = given.copy()
        seen[held] = -1
        spread_over = spread_labels(run.neighbours, seen, n_classes).labels[held]
        right["graph"] += int((spread_over == given[held]).sum())
        outputs = _linear(run, rest, given[rest], n_classes).outputs(_unit(run, held))
        right["linear"] += int((outputs.argmax(axis=1) == given[held]).sum())
    return {way: count / len(known) for way, count in right.items()}


def _filled(run: Run, given: np.ndarray, n_classes: int, how: str) -> tuple[np.ndarray, np.ndarray]:
    """(N,) int64 codes and (N,) float32 confidence; given labels stay."""
    if how == "graph":
        spread = spread_labels(run.neighbours, given, n_classes)
        return spread.labels, spread.confidence
    known = np.flatnonzero(given >= 0)
    model = _linear(run, known, given[known], n_classes)
    codes = np.empty(len(given), np.int64)
    confidence = np.empty(len(given), np.float32)
    for start in range(0, len(given), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(given)))
        outputs = np.clip(model.outputs(_unit(run, rows)), 0, None)
        share = outputs / np.maximum(outputs.sum(axis=1, keepdims=True), 1e-12)
        codes[rows] = share.argmax(axis=1)
        confidence[rows] = share.max(axis=1)
    codes[known] = given[known]
    confidence[known] = 1
    return codes, confidence


def _linear(run: Run, rows: np.ndarray, labels: np.ndarray, n_classes: int) -> Ridge:
    """Ridge regression on the unit vectors of the images at `rows`."""
    return fit_ridge(_unit(run, rows), one_hot(labels, n_classes))


def _unit(run: Run, rows: np.ndarray) -> np.ndarray:
    vectors = np.asarray(run.vectors[rows], np.float32)
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit


def spread(clusters: np.ndarray, known: dict[int, str]) -> list[str]:
    """(N,) class names: known label, else the cluster's most frequent, else "cluster C"."""
    votes: dict[int, Counter[str]] = {}
    for i, name in known.items():
        votes.setdefault(int(clusters[i]), Counter())[name] += 1
    name_of = {
        cluster: min(counted, key=lambda name: (-counted[name], name))
        for cluster, counted in votes.items()
    }
    given = set(known.values())
    return [
        known[i] if i in known else name_of.get(cluster) or _placeholder(cluster, given)
        for i, cluster in enumerate(map(int, clusters.tolist()))
    ]


def _placeholder(cluster: int, given: set[str]) -> str:
    """The class of a cluster nobody labelled; never the name of a class somebody gave."""
    name = f"cluster {cluster}"
    while name in given:
        name += " (unlabelled)"
    return name


def agreement(run: Run, given: Mapping[str, str]) -> float:
    """Share of labelled images whose label is the most frequent one of their cluster."""
    at = {str(key): i for i, key in enumerate(run.dataset.ids)}
    clusters = run.pseudo_labels.labels
    votes: dict[int, Counter[str]] = {}
    for key, name in given.items():
        votes.setdefault(int(clusters[at[key]]), Counter())[name] += 1
    return sum(max(counted.values()) for counted in votes.values()) / max(1, len(given))
