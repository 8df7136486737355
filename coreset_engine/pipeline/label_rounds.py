"""Import labels into a run: recompute scores, keep labelled images, select the next ones.

How labels of some images become labels of all: `pipeline.imported_labels`. How label files are
read: `sources.label_import`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coreset_engine.artifacts import label_log
from coreset_engine.artifacts.selection_folder import check_destination, read_selection
from coreset_engine.artifacts.store import Store
from coreset_engine.core.registry import METHODS
from coreset_engine.core.types import Selection
from coreset_engine.pipeline.imported_labels import agreement, name_clusters, with_labels
from coreset_engine.pipeline.manifest import run_of_manifest, write_run
from coreset_engine.pipeline.reopen import reopen_source
from coreset_engine.pipeline.run import Report, Run
from coreset_engine.pipeline.select import select
from coreset_engine.selection.budget import Budget
from coreset_engine.selection.request import SelectionRequest
from coreset_engine.sources.label_import import LabelMatch, import_labels

__all__ = ["LabelOptions", "agreement", "rescore", "name_clusters", "with_labels"]


@dataclass(frozen=True)
class LabelOptions:
    """How a label file is read and joined.

    Parameters
    ----------
    id_column, label_column : str
        Columns of a table; "" = found by their names.
    conflicts : {"majority", "skip"}
        What is taken where annotators disagree.
    images : str
        Folder the images are in now, for a source that was moved; "" = where they were.
    overwrite : bool
        Replace a selection that is in the output folder.
    """

    id_column: str = ""
    label_column: str = ""
    conflicts: str = "majority"
    images: str = ""
    overwrite: bool = True


def rescore(  # noqa: PLR0913
    folder: Path | str,
    file: Path | str,
    out: Path | str,
    *,
    prune_rate: float | None = None,
    count: int | None = None,
    options: LabelOptions | None = None,
    store: Store | None = None,
    progress: Report | None = None,
) -> dict[str, Any]:
    """Recompute a selection's scores with imported labels, and write the next selection.

    The labelled images are kept, the rest is chosen by the same method, where it watches training
    on the new labels.

    Parameters
    ----------
    folder
        The selection that was labelled.
    file
        What `import_labels` reads: a file, a folder, or "fiftyone:NAME[/FIELD]".
    out
        Folder of the next selection.
    prune_rate
        Share removed, 0 <= p < 1; None = as before.
    count
        Instead of it: how many images are chosen beside the labelled ones.
    options
        How the labels are read and joined.
    store, progress
        Of the run.

    Returns
    -------
    dict
        labelled, unknown, agreement, classes, kept, new, out; and what could not be used: see
        `_report`.
    """
    options = options or LabelOptions()
    check_destination(out, overwrite=options.overwrite)
    _, manifest = read_selection(folder)
    imported = import_labels(file, id_column=options.id_column, label_column=options.label_column)
    source = reopen_source(manifest, options.images)
    run = run_of_manifest(manifest, source, store=store, progress=progress)
    match = imported.match(
        run.dataset.ids,
        run.dataset.paths,
        classes=run.dataset.classes,
        conflicts=options.conflicts,
        fingerprint=str(manifest.get("source_fingerprint", "")),
    )
    labelled = with_labels(run, match.labels)
    budget = None if prune_rate is None else Budget(prune_rate)
    if count is not None:
        budget = Budget(count=len(match.labels) + count)
    chosen = _next_selection(labelled, manifest, match, budget)
    added = label_log.add_labels(run.dataset.fingerprint, run.store.home, match.labels, str(file))
    written = write_run(out, labelled, chosen)
    return dict(
        labelled=len(match.labels),
        unknown=match.unmatched,
        agreement=agreement(run, match.labels),
        classes=len(labelled.dataset.classes),
        kept=len(chosen),
        new=len(chosen) - len(match.labels),
        out=str(written),
        **_counts(added),
        **_report(match),
    )


def keep_labels(run: Run, file: Path | str, options: LabelOptions | None = None) -> dict[str, Any]:
    """Read labels of a run's images and keep them in the workspace, for all that is made later.

    Parameters
    ----------
    run
        The images.
    file
        What `import_labels` reads: a file, a folder, or "fiftyone:NAME[/FIELD]".
    options
        How the labels are read and joined.

    Returns
    -------
    dict
        labelled, labels_new, labels_changed, labels_same, total (labelled in all), and how the rows
        were used: see `_report`.
    """
    match, known = _matched(run, file, options or LabelOptions())
    added = label_log.add_labels(run.dataset.fingerprint, run.store.home, match.labels, str(file))
    total = len(known) + added.new
    return dict(
        labelled=len(match.labels),
        total=total,
        **_counts(added),
        **_report(match, added.sentence()),
    )


def preview_labels(
    run: Run, file: Path | str, options: LabelOptions | None = None
) -> dict[str, Any]:
    """What `keep_labels` would do, without keeping anything; also labels: id -> class."""
    match, known = _matched(run, file, options or LabelOptions())
    added = label_log.compared(known, match.labels)
    return dict(
        labelled=len(match.labels),
        labels=match.labels,
        **_counts(added),
        **_report(match, added.sentence()),
    )


def _matched(
    run: Run, file: Path | str, options: LabelOptions
) -> tuple[LabelMatch, dict[str, str]]:
    """The file's labels joined to the images, and the labels known before."""
    imported = import_labels(file, id_column=options.id_column, label_column=options.label_column)
    dataset = run.dataset
    known = label_log.read(dataset.fingerprint, run.store.home).labels
    match = imported.match(
        dataset.ids,
        dataset.paths,
        classes=sorted({*dataset.classes, *known.values()}),
        conflicts=options.conflicts,
        fingerprint=dataset.fingerprint,
    )
    return match, known


def _counts(added: label_log.AddedLabels) -> dict[str, int]:
    return dict(labels_new=added.new, labels_changed=added.changed, labels_same=added.same)


def _next_selection(
    labelled: Run, manifest: dict[str, Any], match: LabelMatch, budget: Budget | None
) -> Selection:
    """Select with the same method, on the new labels if it uses training dynamics."""
    kept = {
        name: value
        for name, value in manifest["params"].items()
        if name not in ("must_keep", "beta")
    }
    before = SelectionRequest.from_manifest(manifest["method"], kept)
    learns = {"labels": "true"} if METHODS[before.method].labels else {}
    request = dataclasses.replace(
        before,
        budget=before.budget if budget is None else budget,
        params=tuple((dict(before.params) | learns).items()),
        must_keep=tuple(key for key in match.labels if key not in set(labelled.excluded_ids)),
    )
    return select(request, labelled)


def _report(match: LabelMatch, first: str = "") -> dict[str, Any]:
    """How the rows were used, JSON-able, and the same in sentences, `first` before them."""
    return dict(
        rows=match.rows,
        matched=match.matched,
        unmatched=match.unmatched,
        matched_examples=[list(pair) for pair in match.matched_examples],
        unmatched_examples=match.unmatched_examples,
        set_aside=match.set_aside,
        conflicts=len(match.conflicts),
        report=[*([first] if first else ()), *match.sentences()],
    )
