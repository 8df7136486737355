"""Labels from people, put back into a run.

Images nobody labelled take the class their cluster mostly got; clusters nobody labelled stay
classes of their own. So each round's training dynamics rest on as much truth as there is.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.pipeline.run import ImportedLabels, Run


def with_labels(run: Run, given: Mapping[str, str]) -> Run:
    """The same run on the same images, its true labels those of `given` (id -> class), filled up by
    clusters.

    Raises BadInput when no id is known.
    """
    at = {str(key): i for i, key in enumerate(run.dataset.ids)}
    known = {at[key]: name for key, name in given.items() if key in at}
    if not known:
        raise BadInput(
            f"none of the {len(given)} labelled ids is in {run.dataset.spec!r}, the first: "
            f"{next(iter(given))!r}; give the labels of this source."
        )
    names = spread(run.pseudo_labels.labels, known)
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
        imported=ImportedLabels(given_here, run.wanted_clusters),
    )


def spread(clusters: np.ndarray, known: dict[int, str]) -> list[str]:
    """(N,) class names: the given one, else that most often given in the image's cluster, else
    "cluster C"."""
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
    """Share of labelled images whose label is the commonest one of their cluster: how good the
    pseudo-labels were."""
    at = {str(key): i for i, key in enumerate(run.dataset.ids)}
    clusters = run.pseudo_labels.labels
    votes: dict[int, Counter[str]] = {}
    for key, name in given.items():
        votes.setdefault(int(clusters[at[key]]), Counter())[name] += 1
    return sum(max(counted.values()) for counted in votes.values()) / max(1, len(given))
