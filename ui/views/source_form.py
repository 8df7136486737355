"""The form that opens a source: one small form per kind, each ending in `session.open_dataset`."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import BinaryIO

import streamlit as st

from coreset_engine.artifacts import filesystem
from coreset_engine.core.errors import CoresetError
from ui.components.escape import markdown as escaped
from ui.state import session

KINDS = {
    "demo": "Demo: 1,797 handwritten digits",
    "fashion-mnist": "Fashion-MNIST",
    "folder": "Folder of images",
    "zip": "Upload a zip",
    "vectors": "Own embeddings (.npy)",
    "fiftyone": "FiftyOne dataset",
}
HINTS = {
    "folder": "Path of a folder on the machine this app runs on",
    "vectors": "Path of an (N, D) .npy file",
    "fiftyone": "NAME or NAME/VIEW",
}
CONTAINERS = (
    "Also WebDataset tars (DIR/\\*.tar), Parquet with image bytes (DIR/\\*.parquet#id=COLUMN), "
    "or a URL of any of these: s3://BUCKET/DIR, gs://BUCKET/DIR, az://CONTAINER/DIR."
)


def source_form() -> None:
    """Draw the form; opens the dataset and reruns the app when it could be read."""
    proposed = session.get("proposed")
    if proposed:
        st.info(
            f"This link asks for {escaped(proposed)}, which has not been opened in this workspace "
            "before. Open it yourself if you trust it."
        )
    kind = st.radio(
        "Source", list(KINDS), format_func=KINDS.get, key="source:kind", horizontal=True
    )
    with st.form("source:form", border=False):
        spec, images = _fields(kind, proposed or "")
        pressed = st.form_submit_button("Open", type="primary")
    if pressed:
        _open(kind, spec, images)
    _recent()


def _fields(kind: str, proposed: str) -> tuple[object, str]:
    """The inputs of one kind; what they hold, and the image folder for vectors."""
    if kind == "demo":
        st.caption("Included, no download: a quick way to try everything.")
        return "demo", ""
    if kind == "fashion-mnist":
        folder = st.text_input(
            "Folder with the idx files (optional)",
            key="source:idx",
            help="Empty: an installed package is used, or the files are downloaded.",
        )
        return f"fashion-mnist:train:{folder}" if folder.strip() else "fashion-mnist", ""
    if kind == "zip":
        return st.file_uploader(
            "Zip of images; sub-folder names become labels", ["zip"], key="source:zip"
        ), ""
    if kind == "fiftyone":
        return _fiftyone_fields(), ""
    spec = st.text_input(
        HINTS[kind],
        value=proposed if kind == "folder" else "",
        key=f"source:{kind}",
        help=CONTAINERS if kind == "folder" else None,
    )
    images = (
        st.text_input(
            "Folder of the images, in the order of the rows (optional)", key="source:images"
        )
        if kind == "vectors"
        else ""
    )
    return spec, images


def _fiftyone_fields() -> str:
    """A dataset or view, and which of its fields to use; what does not exist is answered with what
    does."""
    from coreset_engine.sources.fiftyone import spec_of

    name = st.text_input(HINTS["fiftyone"], key="source:fiftyone")
    tags, labels, vectors = st.columns(3)
    tagged = tags.text_input(
        "Only samples tagged (optional)", key="source:tags", help="Separate several tags by commas."
    )
    field = labels.text_input(
        "Label field (optional)",
        key="source:labels",
        help="A Classification or text field; empty: ground_truth if it exists.",
    )
    known = vectors.text_input(
        "Embeddings (optional)",
        key="source:embeddings",
        help="A vector field or the key of a similarity run, used instead of computing embeddings.",
    )
    return spec_of(
        name,
        tags=[tag.strip() for tag in tagged.split(",") if tag.strip()],
        labels=field.strip() or None,
        embeddings=known.strip() or None,
    )


def _open(kind: str, spec: object, images: str) -> None:
    try:
        if kind == "zip":
            if spec is None:
                st.error("Choose a zip file first.")
                return
            with st.spinner("Unpacking and checking ..."):
                spec = unpacked(spec)
        session.open_dataset(str(spec), images)
    except CoresetError as error:
        st.error(escaped(str(error)))
        return
    st.session_state.pop("state:proposed", None)
    st.rerun()


def unpacked(upload: BinaryIO) -> str:
    """The folder inside the workspace that an uploaded zip was safely unpacked to; the same zip is
    unpacked once."""
    folder = session.home() / "uploads"
    filesystem.make_folder(folder)
    try:
        return str(_unpacked(upload, folder))
    except OSError as fault:
        raise filesystem.refused(folder, fault) from None


def _unpacked(upload: BinaryIO, folder: Path) -> Path:
    from coreset_engine.sources.archives import extract_images

    with tempfile.NamedTemporaryFile(
        dir=folder, prefix=f".upload.{os.getpid()}.", suffix=".tmp"
    ) as file:
        digest = hashlib.sha256()
        while chunk := upload.read(1 << 20):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        into = folder / digest.hexdigest()[:16]
        with filesystem.lock(
            session.home() / "locks" / f"upload-{into.name}"
        ):  # two visitors may bring the same
            if not into.is_dir():
                extract_images(file.name, into, called=getattr(upload, "name", "") or "the upload")
    return into


def _recent() -> None:
    others = [spec for spec in session.recent() if spec != session.get("dataset")]
    if not others:
        return
    st.caption("Recent")
    with st.container(horizontal=True):
        for spec in others[:6]:
            if st.button(
                escaped(session.short_name(spec), 40), key=f"recent:{spec}", help=escaped(spec, 300)
            ):
                _open("recent", spec, "")
