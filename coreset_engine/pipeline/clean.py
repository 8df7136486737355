"""Findings about a run's images, and actions on them.

`clean` computes what is missing (image statistics, embeddings, neighbours) and gives a report;
`apply` turns a finding into exclusions. Clusters are used where they are computed, never computed
for this.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from coreset_engine.core.config import make
from coreset_engine.findings.border import WITH_THRESHOLD, Border, border
from coreset_engine.findings.config import CleanConfig
from coreset_engine.findings.copies import surplus
from coreset_engine.findings.examine import Material, examine
from coreset_engine.findings.report import Report, named
from coreset_engine.pipeline import exclusions
from coreset_engine.pipeline.image_statistics_stage import image_statistics
from coreset_engine.pipeline.image_statistics_stage import ready as statistics_ready
from coreset_engine.pipeline.run import Run

WHICH = ("surplus", "all")
_MOST_TURNED = 20_000  # images up to which `borders` looks for turned copies again


def clean(run: Run, *, embed: bool = True, **thresholds: Any) -> Report:
    """What is wrong with the images of a run: copies, outliers, bad exposure, odd shapes, ...

    Parameters
    ----------
    run
        N images; what is missing of its statistics, embeddings and neighbours is computed and kept.
    embed
        False leaves out near-duplicates and outliers, which need embeddings.
    thresholds
        Fields of `CleanConfig`.

    Returns
    -------
    Report
        Findings by name; `.cost(name, selection.indices)` says what one costs in a selection.

    Raises
    ------
    BadInput
        For thresholds out of bounds, or images that can no longer be read.
    """
    config = make(CleanConfig, thresholds)
    return examine(material(run, embed=embed), config)


def borders(run: Run, report: Report, **thresholds: Any) -> dict[str, Border]:
    """Examples on both sides of the threshold of each finding that has one.

    Parameters
    ----------
    run, report
        As given to and by `clean`.
    thresholds
        Those that were given to `clean`.

    Returns
    -------
    dict
        Finding -> Border. Turned copies are left out of large sets, where they take long.
    """
    config = make(CleanConfig, thresholds)
    known = material(run, embed="near_duplicates" in report.findings)
    made = {}
    for name, finding in report.findings.items():
        if name == "rotated" and len(report) > _MOST_TURNED:
            continue
        one = border(known, finding, config) if name in WITH_THRESHOLD else None
        if one is not None:
            made[name] = one
    return made


def material(run: Run, *, embed: bool = True) -> Material:
    """Inputs of the findings, computed where missing."""
    dataset = run.dataset
    looked = None if dataset.reader is None else image_statistics(run)
    neighbours = run.neighbours if embed and len(dataset) > 1 else None
    clusters, against = _clusters(run)
    skipped = {}
    if not embed:
        why = "skipped: it needs embeddings"
        skipped = dict(near_duplicates=why, outliers=why)
    return Material(
        source=dataset.spec,
        ids=dataset.ids,
        statistics=looked,
        neighbours=neighbours,
        digests=dataset.digests,
        labels=dataset.labels,
        clusters=clusters,
        against=against,
        modified=_modified(dataset.paths),
        skipped=skipped,
    )


def ready(run: Run) -> bool:
    """Whether `clean` has nothing to compute but arithmetic."""
    looked = run.dataset.reader is None or statistics_ready(run)
    return bool(looked and run.ready("neighbours"))


def _clusters(run: Run) -> tuple[np.ndarray | None, str]:
    """(clusters, what they are): pseudo-labels where computed, else classes, else none."""
    if run.ready("pseudo_labels"):
        return np.asarray(run.pseudo_labels.labels), "its cluster"
    if run.dataset.labels is not None:
        return np.asarray(run.dataset.labels), "its class"
    return None, "the whole set"


def _modified(paths: np.ndarray | None) -> np.ndarray | None:
    """(N,) seconds: time of the last change of each file; None where images are not local files."""
    if paths is None:
        return None
    try:
        return np.array([os.stat(str(path)).st_mtime for path in paths])
    except OSError:
        return None


def affected(
    run: Run, report: Report, name: str, *, which: str = "surplus", keep: str = "first"
) -> list[str]:
    """Ids that `apply` would exclude.

    Parameters
    ----------
    run
        The run of the report.
    report
        From `clean`.
    name
        A finding.
    which
        "surplus": all but one image of each group (all images where a finding has no groups);
        "all".
    keep
        Which one of a group stays: first, largest, oldest, labelled or quality.
    """
    finding = report[name]
    if which == "all":
        return report.ids_of(name)
    facts = _facts(run)
    return [str(key) for key in report.ids[surplus(finding, facts, keep)]]


def _facts(run: Run) -> Any:
    dataset = run.dataset
    looked = image_statistics(run) if dataset.reader is not None else None
    return Material(
        dataset.spec,
        dataset.ids,
        looked,
        labels=dataset.labels,
        modified=_modified(dataset.paths),
    ).keep_facts()


def apply(
    run: Run,
    report: Report,
    words: str | Sequence[str],
    *,
    which: str = "surplus",
    keep: str = "first",
) -> dict[str, int]:
    """Exclude what findings name from every selection of the dataset, kept in the workspace.

    Parameters
    ----------
    run, report
        As given to and by `clean`.
    words
        Names of findings, their aliases, or "all"; one or several.
    which, keep
        As in `affected`.

    Returns
    -------
    dict
        Finding -> number of images newly excluded.
    """
    wanted = named([words] if isinstance(words, str) else words)
    made = {}
    for name in wanted:
        if name not in report.findings:
            continue
        ids = affected(run, report, name, which=which, keep=keep)
        made[name] = exclusions.exclude(
            run.dataset.fingerprint,
            ids,
            run.store.home,
            reason=name,
            threshold=report.findings[name].threshold,
        )
    return made
