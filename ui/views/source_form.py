"""The form that opens a source: one small form per kind, each ending in `session.open_dataset`."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import streamlit as st

from coreset_engine.artifacts import filesystem
from coreset_engine.core.errors import CoresetError
from ui.components.escape import markdown as escaped
from ui.components.frame import proposed_dataset
from ui.state import recent_sources, session

DEMO = "demo-photos"
KINDS = {
    DEMO: "Demo: 640 photographs",
    "demo": "1,797 handwritten digits",
    "fashion-mnist": "Fashion-MNIST",
    "folder": "Folder of images",
    "zip": "Upload a zip",
    "vectors": "Own embeddings (.npy)",
    "fiftyone": "FiftyOne dataset",
}
HINTS = {
    "folder": "Path of a folder on the machine this app runs on",
    "vectors": "Path of an (N, D) .npy, .npz or Parquet file",
    "fiftyone": "NAME or NAME/VIEW",
}
ORDERS = {
    "": "unknown: show the first pairs where it matters",
    "natural": "natural: img_2 before img_10",
    "lexical": "lexical: img_10 before img_2",
    "folders": "folders: a/2 before a-b/1, as torchvision lists them",
}
FITS = {
    "auto": "cropping, or padding beyond 1.5 : 1",
    "crop": "cropping to the central square",
    "pad": "padding with grey",
    "squash": "squashing",
}
CONTAINERS = (
    "Also WebDataset tars (DIR/\\*.tar), Parquet with image bytes (DIR/\\*.parquet#id=COLUMN), "
    "or a URL of any of these: s3://BUCKET/DIR, gs://BUCKET/DIR, az://CONTAINER/DIR."
)


def quick_open() -> None:
    """Draw the two quickest ways in: a folder's path, and the demo."""
    proposed = session.get("proposed") or ""
    if proposed:
        st.info(proposed_dataset())
    with st.form("quick:form", border=False):
        left, middle, right = st.columns([6, 1, 2], vertical_alignment="bottom")
        folder = left.text_input(
            "Folder of images",
            value=proposed,
            key="quick:folder",
            placeholder="/data/photos",
            help=f"{HINTS['folder']}. {CONTAINERS}",
        )
        pressed = middle.form_submit_button("Open", type="primary", width="stretch")
        demo = right.form_submit_button("Open the demo", width="stretch")
    if pressed:
        _open("folder", folder, "")
    if demo:
        _open(DEMO, DEMO, "")


def source_form() -> None:
    """Draw the form; opens the dataset and reruns the app when it could be read."""
    proposed = session.get("proposed")
    kind = st.radio(
        "Source", list(KINDS), format_func=KINDS.get, key="source:kind", horizontal=True
    )
    with st.form("source:form", border=False):
        spec, images = _fields(kind, proposed or "")
        reading = _reading_fields(kind)
        pressed = st.form_submit_button("Open", type="primary")
    if pressed:
        _open(kind, spec, images, reading)
    moved_form(recent_sources.recent())


def _fields(kind: str, proposed: str) -> tuple[object, str]:
    """The inputs of one kind; what they hold, and the image folder for vectors."""
    if kind in (DEMO, "demo"):
        st.caption("Included, no download: a quick way to try everything.")
        return kind, ""
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
        st.text_input("Folder of the images (optional)", key="source:images")
        if kind == "vectors"
        else ""
    )
    return spec, images


def _reading_fields(kind: str) -> dict[str, object]:
    """The options of reading a source that its kind takes; empty ones are left out later."""
    if kind not in ("folder", "zip", "vectors"):
        return {}
    chosen: dict[str, object] = {}
    with st.expander("Reading options"):
        if kind == "vectors":
            chosen["ids"] = st.text_input(
                "Ids of the rows",
                key="source:ids",
                help="FILE or FILE#COLUMN: which image each row belongs to. Safer than the order.",
            )
            orders = list(ORDERS)
            chosen["order"] = st.selectbox(
                "Order of the images, where there are no ids",
                orders,
                format_func=lambda order: ORDERS[order],
                key="source:order",
            )
        chosen["labels"] = st.text_input(
            "Labels from",
            key="source:labels_from",
            placeholder="proposed from folder names or a table beside the images",
            help="folder, parent, none, a table FILE.csv or FILE.csv#COLUMN, or a column's name.",
        )
        left, middle, right = st.columns(3)
        chosen["depth"] = left.number_input(
            "Folder level of the class (0 = proposed)", 0, 64, key="source:depth"
        )
        chosen["split"] = middle.text_input(
            "Split to select from",
            key="source:split",
            help="train, val, test, a folder's name, or all; empty: everything but a test part.",
        )
        chosen["fit"] = right.selectbox(
            "Make images square by", list(FITS), format_func=FITS.__getitem__, key="source:fit"
        )
        chosen["follow_links"] = left.checkbox("Follow linked folders", key="source:follow_links")
        chosen["max_pixels"] = middle.number_input(
            "Largest image in pixels (0 = 89 million)", 0, key="source:max_pixels"
        )
        if kind != "vectors":
            chosen["patches"] = left.text_input(
                "Objects from",
                key="source:patches",
                help=(
                    "A COCO file or a folder of YOLO labels: every annotated object becomes an "
                    "image."
                ),
            )
            chosen["fps"] = middle.number_input(
                "Frames per second of videos (0 = no videos)", 0.0, 1000.0, key="source:fps"
            )
        chosen["bands"] = right.text_input(
            "Bands for red, green, blue",
            key="source:bands",
            help="Three numbers such as 3,2,1, for files of more than four bands.",
        )
    return chosen


def _fiftyone_fields() -> str:
    """A dataset or view and the fields to use; unknown names are answered with the known ones."""
    from coreset_engine.sources.fiftyone import spec_of

    name = st.text_input(HINTS["fiftyone"], key="source:fiftyone")
    tags, labels, vectors, objects = st.columns(4)
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
    boxes = objects.text_input(
        "Objects of (optional)",
        key="source:detections",
        help="A detections field: every object of it becomes an image.",
    )
    return spec_of(
        name,
        tags=[tag.strip() for tag in tagged.split(",") if tag.strip()],
        labels=field.strip() or None,
        embeddings=known.strip() or None,
        patches=boxes.strip() or None,
    )


def _open(kind: str, spec: Any, images: str, reading: Mapping[str, object] | None = None) -> None:
    from coreset_engine.sources.specs import spec_with

    try:
        if kind == "zip":
            if spec is None:
                st.error("Choose a zip file first.")
                return
            with st.spinner("Unpacking and checking ..."):
                spec = unpacked(spec)
        chosen = {name: value for name, value in (reading or {}).items() if value}
        if chosen.get("fit") == "auto":
            del chosen["fit"]
        if images.strip():
            chosen["images"] = images.strip()
        session.open_dataset(spec_with(str(spec).strip(), chosen) if str(spec).strip() else "")
    except CoresetError as error:
        st.error(escaped(str(error)))
        return
    st.session_state.pop("state:proposed", None)
    st.rerun()


def unpacked(upload: BinaryIO) -> str:
    """The workspace folder that an uploaded zip was safely unpacked to; the same zip only once."""
    folder = session.home() / "uploads"
    filesystem.make_folder(folder)
    try:
        return str(_unpacked(upload, folder))
    except OSError as error:
        raise filesystem.refused(folder, error) from None


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


def recent() -> None:
    """Draw a button for each source that was opened here before."""
    others = [spec for spec in recent_sources.recent() if spec != session.get("dataset")]
    if not others:
        return
    st.caption("Recent")
    with st.container(horizontal=True):
        for spec in others[:6]:
            if st.button(
                escaped(session.short_name(spec), 40), key=f"recent:{spec}", help=escaped(spec, 300)
            ):
                _open("recent", spec, "")


def moved_form(specs: Sequence[str]) -> None:
    """Draw the form that finds one of these sources again after its files were moved.

    Parameters
    ----------
    specs : sequence of str
        Sources to offer; those that come with the product are left out.
    """
    movable = [spec for spec in specs if spec not in recent_sources.BUILT_IN]
    if not movable:
        return
    with st.expander("The images of a source were moved"):
        with st.form("moved:form", border=False):
            spec = st.selectbox("Source", movable, format_func=session.short_name, key="moved:spec")
            folder = st.text_input(
                "Folder that holds the images now",
                key="moved:folder",
                help="Checked before it is opened: everything computed for the source is kept.",
            )
            if st.form_submit_button("Check and open"):
                _open_moved(spec, folder)


def _open_moved(spec: str, folder: str) -> None:
    from coreset_engine.sources.rebind import moved_spec, rebind

    if not folder.strip():
        st.error("Name the folder that holds the images now.")
        return
    try:
        fingerprint = recent_sources.fingerprint_of(spec)
        if fingerprint:
            session.open_dataset(rebind(spec, folder.strip(), fingerprint).spec)
        else:
            session.open_dataset(moved_spec(spec, folder.strip()))
    except CoresetError as error:
        st.error(escaped(str(error)))
        return
    st.rerun()
