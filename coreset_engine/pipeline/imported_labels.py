"""Labels from people, put back into a run.

Unlabelled images are filled in from those that are: along the neighbour graph (label
spreading), by a linear model on the vectors, or by the commonest class of their cluster. Which of
the first two serves is decided by cross-validation on the labelled images. So each round's training
dynamics rest on as much truth as there is.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping

import numpy as np

from coreset_engine.artifacts import label_log
from coreset_engine.core.errors import BadInput
from coreset_engine.core.ids import positions_of
from coreset_engine.pipeline.filled_labels import fill_labels
from coreset_engine.pipeline.run import ImportedLabels, Run

WAYS = ("auto", "graph", "linear", "clusters")


def with_labels(run: Run, labels: Mapping[str, str], how: str = "auto") -> Run:
    """The same run on the same images, its true labels those of `labels`, filled in for the others.

    Parameters
    ----------
    run
        The images.
    given
        Image id -> class name; ids of other sources are passed over.
    how
        "graph" (label spreading), "linear" (ridge regression on the vectors), "clusters" (the
        commonest class of the image's cluster; clusters without labels stay classes of their own),
        or "auto": the better of the first two, and "clusters" while only one class is known.

    Raises
    ------
    BadInput
        When no id is known.
    """
    if how not in WAYS:
        raise BadInput(f"how={how!r} is not supported; choose one of {', '.join(WAYS)}.")
    at = {str(key): i for i, key in enumerate(run.dataset.ids)}
    known = {at[key]: name for key, name in labels.items() if key in at}
    if not known:
        raise BadInput(
            f"none of the {len(labels)} labelled ids is in {run.dataset.spec!r}, the first: "
            f"{next(iter(labels))!r}; give the labels of this source."
        )
    names, confidence, how = _names(run, known, how)
    classes = tuple(sorted(set(names)))
    code = {name: number for number, name in enumerate(classes)}
    dataset = dataclasses.replace(
        run.dataset, labels=np.array([code[name] for name in names], np.int64), classes=classes
    )
    labels_here = {str(run.dataset.ids[i]): name for i, name in known.items()}
    return Run(
        dataset,
        run.config,
        run.executor,
        store=run.store,
        progress=run.progress,
        corrected_by=run.corrected_by,
        excluded_by=run.excluded_by,
        imported=ImportedLabels(labels_here, run.wanted_clusters, how, confidence),
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
    kept_labels = label_log.read(run.dataset.fingerprint, run.store.home).labels
    if not kept_labels:
        return run
    classes = tuple(dict.fromkeys([*run.dataset.classes, *sorted(set(kept_labels.values()))]))
    code = {name: number for number, name in enumerate(classes)}
    labels = np.array(run.dataset.labels, np.int64)
    positions = positions_of(run.dataset.ids, list(kept_labels))
    for position, name in zip(positions.tolist(), kept_labels.values(), strict=True):
        if position >= 0:
            labels[position] = code[name]
    return run.with_dataset(dataclasses.replace(run.dataset, labels=labels, classes=classes))


def _names(run: Run, known: dict[int, str], how: str) -> tuple[list[str], np.ndarray | None, str]:
    """(N,) class names, (N,) confidence or None, and the way that was taken."""
    classes = sorted(set(known.values()))
    if how == "auto" and len(classes) < 2:
        how = "clusters"
    if how == "clusters":
        return name_clusters(run.pseudo_labels.labels, known), None, how
    code = {name: number for number, name in enumerate(classes)}
    labels = np.full(len(run.dataset), -1, np.int64)
    labels[list(known)] = [code[name] for name in known.values()]
    filled = fill_labels(run, labels, len(classes), how)
    if (filled.codes >= 0).all():
        return [classes[c] for c in filled.codes.tolist()], filled.confidence, filled.how
    by_cluster = name_clusters(run.pseudo_labels.labels, known)
    names = [classes[c] if c >= 0 else by_cluster[i] for i, c in enumerate(filled.codes.tolist())]
    return names, filled.confidence, filled.how


def name_clusters(clusters: np.ndarray, known: dict[int, str]) -> list[str]:
    """(N,) class names: known label, else the cluster's most frequent, else "cluster C"."""
    votes: dict[int, Counter[str]] = {}
    for i, name in known.items():
        votes.setdefault(int(clusters[i]), Counter())[name] += 1
    name_of = {
        cluster: min(counted, key=lambda name: (-counted[name], name))
        for cluster, counted in votes.items()
    }
    labels = set(known.values())
    return [
        known[i] if i in known else name_of.get(cluster) or _placeholder(cluster, labels)
        for i, cluster in enumerate(map(int, clusters.tolist()))
    ]


def _placeholder(cluster: int, labels: set[str]) -> str:
    """The class of a cluster without labels; never the name of a given class."""
    name = f"cluster {cluster}"
    while name in labels:
        name += " (unlabelled)"
    return name


def agreement(run: Run, labels: Mapping[str, str]) -> float:
    """Share of labelled images whose label is the most frequent one of their cluster."""
    at = {str(key): i for i, key in enumerate(run.dataset.ids)}
    clusters = run.pseudo_labels.labels
    votes: dict[int, Counter[str]] = {}
    for key, name in labels.items():
        votes.setdefault(int(clusters[at[key]]), Counter())[name] += 1
    return sum(max(counted.values()) for counted in votes.values()) / max(1, len(labels))
