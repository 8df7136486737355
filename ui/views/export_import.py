"""Import of labels and of a model's predictions: upload with preview, and earlier imports.

Files are read by `coreset_engine.sources`; nothing is kept before the user says so.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import streamlit as st

from coreset_engine.artifacts import filesystem, history, label_log
from coreset_engine.core.counted import counted
from coreset_engine.core.errors import CoresetError
from ui.components.escape import markdown as escaped
from ui.components.escape import plain
from ui.components.jobs import submit
from ui.state import session

LABELS = "Labels"
PREDICTIONS = "Predictions of my model"
ENDINGS = ["csv", "tsv", "txt", "json", "jsonl", "xml", "parquet"]
SHOWN = 8  # labels of a preview


def show_import(view: session.RunView) -> None:
    """Draw the import of labels or predictions; view: the run of all images."""
    kind = st.segmented_control(
        "What the file holds", [LABELS, PREDICTIONS], default=LABELS, key="import:kind"
    )
    left, right = st.columns(2, gap="large")
    with left:
        where = _chosen_file(kind or LABELS)
    with right:
        if kind == PREDICTIONS:
            _show_predictions(view, where)
        else:
            _show_labels(view, where)


def _chosen_file(kind: str) -> str:
    """Draw the upload and the field for a place; what is to be read, "" for nothing."""
    upload = st.file_uploader(
        "Label file" if kind == LABELS else "File of predictions",
        ENDINGS,
        key=f"import:{kind}:upload",
        help="Labels: CSV, Label Studio (JSON, JSON-MIN), COCO, CVAT, Parquet, or the new.csv of a "
        "round with its label column filled in. Predictions: CSV, Parquet or JSON Lines with one "
        "row an image and columns p_CLASS or logit_CLASS.",
    )
    typed = st.text_input(
        "Or a path on the machine this app runs on, or fiftyone:NAME/FIELD",
        key=f"import:{kind}:place",
    ).strip()
    if upload is not None:
        return kept_upload(upload.name, upload.getvalue())
    return typed


def kept_upload(name: str, data: bytes) -> str:
    """The workspace path of an uploaded file, named by content, so that it is kept once."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[-60:] or "upload"
    folder = session.home() / "uploads" / hashlib.sha256(data).hexdigest()[:16]
    path = folder / stem
    if not path.is_file():
        filesystem.make_folder(folder)
        filesystem.write_atomic(path, data)
    return str(path)


# -- labels


def _show_labels(view: session.RunView, where: str) -> None:
    if not where:
        _show_kept(view)
        return
    from coreset_engine.pipeline.label_rounds import preview_labels

    try:
        preview = preview_labels(view.full_run, where)
    except CoresetError as error:
        st.error(escaped(str(error)))
        return
    st.markdown("**Preview**")
    for sentence in preview["report"]:
        st.markdown(f"- {escaped(sentence)}")
    _show_rows(view, preview["labels"])
    changes = preview["labels_new"] + preview["labels_changed"]
    if not changes:
        st.info("Every label of this file is already known: there is nothing to import.")
        return
    if st.button(f"Keep {counted(changes, 'label')}", type="primary", key="import:keep"):
        _keep(view, where)


def _show_rows(view: session.RunView, labels: dict[str, str]) -> None:
    """The first labels beside those known before."""
    known = label_log.read(view.dataset.fingerprint, session.home()).labels
    fresh = [key for key in labels if known.get(key) != labels[key]]
    some = (fresh or list(labels))[:SHOWN]
    st.dataframe(
        {
            "Image": [plain(key, 80) for key in some],
            "Label in the file": [plain(labels[key], 60) for key in some],
            "Label before": [plain(known.get(key, "none"), 60) for key in some],
        },
        hide_index=True,
        width="stretch",
    )


def _keep(view: session.RunView, where: str) -> None:
    """Keep the labels and, in the background, estimate what they are worth."""
    from coreset_engine.pipeline.label_rounds import keep_labels

    try:
        summary = keep_labels(view.full_run, where)
    except CoresetError as error:
        st.error(escaped(str(error)))
        return
    session.put("news", [summary["report"][0]])
    if summary["total"] >= 20:
        submit("round_estimate", view.spec, dict(view.job_params))
    st.rerun()


def _show_kept(view: session.RunView) -> None:
    """What was imported before, newest first, and where it went."""
    imports = history.entries(label_log.LABELS, view.dataset.fingerprint, session.home())
    if not imports:
        st.markdown("No labels were imported yet. Give a file on the left to see what is in it.")
        return
    labels = label_log.read(view.dataset.fingerprint, session.home()).labels
    st.markdown(
        f"**{counted(len(labels), 'image is', 'images are')} labelled.** The labels are kept in "
        "this workspace for the dataset: the next round never asks for these images, its method "
        "and the suggested labels learn from them, and every export has them in the column "
        "`given_label`."
    )
    for entry in imports[::-1][:5]:
        name = plain(str(entry.get("origin", "")).rpartition("/")[2] or "labels", 60)
        st.caption(f"{counted(len(entry['labels']), 'label')} from {escaped(name)}")
    if st.button("Undo the last import", key="import:undo"):
        label_log.undo_labels(view.dataset.fingerprint, session.home())
        session.put("news", ["The last label import was undone."])
        st.rerun()


# -- predictions


def _show_predictions(view: session.RunView, where: str) -> None:
    current = view.config.predictions
    if not where:
        _show_used(current)
        return
    from coreset_engine.pipeline.predictions import report_of

    try:
        report = report_of(view.full_run.with_config(predictions=where))
    except CoresetError as error:
        st.error(escaped(str(error)))
        return
    st.markdown("**Preview**")
    for sentence in prediction_sentences(report):
        st.markdown(f"- {escaped(sentence)}")
    if where == current:
        st.success("These predictions are in use.")
    elif st.button("Use these predictions", type="primary", key="import:use"):
        session.put("predictions", where)
        session.put("news", ["Difficulty and uncertainty now come from your predictions."])
        st.rerun()


def _show_used(current: str | None) -> None:
    if not current:
        st.markdown(
            "No predictions are in use: difficulty comes from a proxy that is trained on "
            "pseudo-labels. With predictions of your own model, methods by difficulty or "
            "uncertainty follow it, and disagreement with labels and clusters becomes a column."
        )
        return
    st.markdown(f"In use: {escaped(plain(current.rpartition('/')[2], 80))}")
    if st.button("Stop using them", key="import:unuse"):
        session.put("predictions", None)
        st.rerun()


def prediction_sentences(report: dict[str, Any]) -> list[str]:
    """The report of predictions for people."""
    lines = [
        f"{report['predicted']:,} of {report['images']:,} images have a prediction "
        f"({report['kind']}, {counted(len(report['classes']), 'class', 'classes')})."
    ]
    if "mean_confidence" in report:
        lines.append(f"Mean confidence {report['mean_confidence']:.1%}.")
    if "labelled" in report:
        lines.append(
            f"{report['disagree_with_labels']:,} of {report['labelled']:,} labelled images have "
            "another label than the predicted one."
        )
    if "disagree_with_clusters" in report:
        lines.append(
            f"{counted(report['disagree_with_clusters'], 'image is', 'images are')} predicted as "
            "another class than most of the cluster."
        )
    if report["unmatched_rows"]:
        lines.append(
            f"{counted(report['unmatched_rows'], 'row names', 'rows name')} no image of this "
            "source."
        )
    return lines
