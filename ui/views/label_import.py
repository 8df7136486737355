"""Import of labels that people made elsewhere: upload a file, look at what it would do, keep it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import streamlit as st

from coreset_engine.artifacts import label_log
from coreset_engine.core.counted import counted
from coreset_engine.core.errors import CoresetError
from coreset_engine.sources.label_import import LabelMatch, import_labels
from ui.components.escape import markdown as escaped
from ui.components.escape import plain
from ui.components.frame import show_error
from ui.components.thumbnails import Tiles, gallery
from ui.state import session
from ui.state.run_view import RunView

TYPES = ["csv", "tsv", "parquet", "json", "jsonl", "txt", "xml", "zip"]
PREVIEW = 12


def show_import(view: RunView) -> None:
    """Draw the upload, its preview, and the labels imported so far."""
    st.markdown(
        "Labels from a labelling tool or a table: any file in which one column names the images "
        "(id, file name or path) and another the class. Exports of Label Studio, CVAT and "
        "FiftyOne are read as they are."
    )
    upload = st.file_uploader("Label file", type=TYPES, key="import:file")
    left, right = st.columns(2)
    id_column = left.text_input("Column that names the image", placeholder="found automatically")
    label_column = right.text_input(
        "Column that names the class", placeholder="found automatically"
    )
    if upload is not None:
        try:
            match = _read(view, upload, id_column.strip(), label_column.strip())
        except CoresetError as error:
            show_error(error)
        else:
            _preview(view, match, upload.name)
    _state(view)


def _read(view: RunView, upload: Any, id_column: str, label_column: str) -> LabelMatch:
    dataset = (view.full or view).dataset
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / (Path(upload.name).name or "labels.csv")
        path.write_bytes(upload.getvalue())
        rows = import_labels(path, id_column=id_column, label_column=label_column)
        return rows.match(
            dataset.ids,
            dataset.paths,
            classes=dataset.classes or (),
            fingerprint=dataset.fingerprint,
        )


def _preview(view: RunView, match: LabelMatch, name: str) -> None:
    dataset = (view.full or view).dataset
    known = label_log.read(dataset.fingerprint, session.home()).labels
    added = label_log.compared(known, match.labels)
    for sentence in match.sentences():
        st.markdown(f"- {escaped(sentence, 400)}")
    st.markdown(f"- {escaped(added.sentence(), 400)}")
    first = list(match.labels.items())[:PREVIEW]
    st.dataframe(
        {"image": [plain(one, 80) for one, _ in first], "label": [plain(c, 60) for _, c in first]},
        hide_index=True,
        width="stretch",
    )
    _pictures(view, match)
    if st.button(
        f"Import {counted(len(match.labels), 'label')}", type="primary", key="import:keep"
    ):
        label_log.add_labels(dataset.fingerprint, session.home(), match.labels, plain(name, 120))
        session.put("news", [f"{counted(len(match.labels), 'label')} imported."])
        st.rerun()


def _pictures(view: RunView, match: LabelMatch) -> None:
    """The first images with their new labels, so that a shifted column is seen."""
    from coreset_engine.core.ids import positions_of

    names = list(match.labels)[:40]
    positions = positions_of(view.dataset.ids, names)
    shown = [int(position) for position in positions if position >= 0]
    captions = [
        plain(match.labels[name], 20) for name, position in zip(names, positions) if position >= 0
    ]
    if shown and view.dataset.reader is not None:
        gallery(view.dataset, shown, Tiles(captions), key="import:gallery", height=200)


def _state(view: RunView) -> None:
    """What was imported or corrected so far, with undo."""
    fingerprint = (view.full or view).dataset.fingerprint
    labels = label_log.read(fingerprint, session.home()).labels
    if not labels:
        st.caption("No labels were imported or corrected yet.")
        return
    st.caption(
        f"{counted(len(labels), 'image has', 'images have')} a label from imports or corrections."
    )
    if st.button("Undo the last import or correction", key="import:undo"):
        label_log.undo_labels(fingerprint, session.home())
        st.rerun()
