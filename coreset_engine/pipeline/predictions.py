"""What a run's own predictions say, in numbers for people and as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.artifacts import filesystem
from coreset_engine.pipeline.manifest import prediction_columns
from coreset_engine.pipeline.run import Run


def report_of(run: Run) -> dict[str, Any]:
    """Counts of a run's predictions; reads and computes nothing else.

    Returns
    -------
    dict
        kind, classes, images, predicted, without_prediction, unmatched_rows; mean_confidence and
        mean_entropy where known; labelled, disagree_with_labels and accuracy_on_labels where labels
        are known; disagree_with_clusters where pseudo-labels are computed.
    """
    made = run.predictions
    columns = prediction_columns(run)
    report: dict[str, Any] = dict(
        kind=made.kind,
        classes=list(made.classes),
        images=len(made.predicted),
        predicted=len(made.predicted) - made.missing,
        without_prediction=made.missing,
        unmatched_rows=made.unmatched,
    )
    for name in ("confidence", "entropy"):
        values = columns[f"predicted_{name}"]
        if np.isfinite(values).any():
            report[f"mean_{name}"] = round(float(np.nanmean(values)), 4)
    against = columns.get("disagrees_with_label")
    if against is not None and np.isfinite(against).any():
        known = np.isfinite(against)
        report["labelled"] = int(known.sum())
        report["disagree_with_labels"] = int(against[known].sum())
        report["accuracy_on_labels"] = round(1 - float(against[known].mean()), 4)
    clusters = columns.get("disagrees_with_cluster")
    if clusters is not None:
        report["disagree_with_clusters"] = int(np.nansum(clusters))
    return report


def write_table(run: Run, out: Path | str) -> None:
    """`prediction_columns` as CSV, one row an image. Raises BadInput when it cannot be written."""
    import pandas as pd

    table = pd.DataFrame(dict(id=np.asarray(run.dataset.ids)) | prediction_columns(run))
    with filesystem.writing(out, "name a file in a folder you can write"):
        table.to_csv(out, index=False)
