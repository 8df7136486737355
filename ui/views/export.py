"""The Export page: the selection as downloads, its manifest, and what it consists of.

Files are written by `coreset_engine.export` and `coreset_engine.pipeline`; no format is decided
here.
"""

from __future__ import annotations

import dataclasses
import io
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from coreset_engine.core.registry import METHODS
from coreset_engine.core.types import Selection
from ui.components.escape import markdown as escaped
from ui.components.escape import plain
from ui.components.forms import row_title
from ui.components.frame import empty_state, outdated_run, stage_names
from ui.selection import controls, session_selection
from ui.state import session
from ui.state.clusters import cluster_names
from ui.views.report import Parts, report


@dataclasses.dataclass(frozen=True)
class PlannedSelection:
    """The coreset of a dataset so large that only jobs select it: method and number of images."""

    method: str
    count: int

    def __len__(self) -> int:
        return self.count


def planned_selection(view: session.RunView) -> PlannedSelection | None:
    """What a job would select of all images; None after it was said what is missing.

    view: the run of all images.
    """
    from coreset_engine.selection.budget import kept_count

    method = session.get("method")
    missing = view.missing(session_selection.needed_stages(method))
    if missing:
        title = escaped(row_title(METHODS, method))
        empty_state(
            f"Nothing to export yet: {title} needs {stage_names(missing)}.",
            "Compute them on the Select page",
            "pages/select.py",
        )
        return None
    return PlannedSelection(method, kept_count(len(view), session.get("prune_rate")))


def run_of_selection(view: session.RunView) -> session.RunView:
    """The run that the selection is made from.

    While scores are not up to date: the one of before, marked as outdated.
    """
    stages = session_selection.current_stages()
    missing = view.missing(stages)
    earlier = outdated_run(view, stages, missing) if missing else None
    return view if earlier is None else earlier


def show_summary(view: session.RunView, selection: Selection | PlannedSelection) -> None:
    """Draw what would be exported: counts, and the settings in one line."""
    cells = st.columns(4)
    cells[0].metric("Selected", f"{len(selection):,}")
    cells[1].metric("Images in all", f"{len(view):,}")
    cells[2].metric("Always included", len(session.get("must_keep") or ()))
    cells[3].metric("Excluded", f"{len(controls.pinned_positions(view, 'never')):,}")
    line = session_selection.describe(
        selection.method,
        session.get("prune_rate"),
        session_selection.method_params(selection.method),
        len(selection),
    )
    st.caption(f"{escaped(line)} · change it on the Select page")


def file_name(view: session.RunView, selection: Selection | PlannedSelection) -> str:
    """A file stem that is safe on every file system."""
    return f"{file_stem(view)}-{selection.method}-{len(selection)}"


def file_stem(view: session.RunView) -> str:
    """The source's name, safe on every file system."""
    source = session.short_name(view.spec)
    name = "".join(c if c.isalnum() and c.isascii() else "-" for c in source).strip("-")
    return name[:40] or "selection"


@dataclasses.dataclass(frozen=True)
class Download:
    """One file to download. make: called when the button is pressed, not before."""

    title: str
    about: str
    make: Callable[[], bytes | str]
    name: str
    mime: str


def show_downloads(view: session.RunView, selection: Selection) -> None:
    """Draw the downloads: selection folder, ids, report."""
    stem = file_name(view, selection)
    _show_download(
        Download(
            "Selection folder (zip)",
            "selection.parquet with every score, ids.txt and manifest.json",
            lambda: packed(view, selection),
            f"{stem}.zip",
            "application/zip",
        )
    )
    _show_download(
        Download(
            "Ids only",
            "One id per line, in selection order",
            lambda: "\n".join(map(str, selection.ids)) + "\n",
            f"{stem}-ids.txt",
            "text/plain",
        )
    )
    _show_download(
        Download(
            "Report (HTML)",
            "Map, settings, counts, certificate, images and manifest on one page, for people "
            "without the app",
            lambda: report_page(view, selection),
            f"{stem}.html",
            "text/html",
        )
    )


def _show_download(download: Download) -> None:
    with st.container(border=True):
        left, right = st.columns([3, 2], vertical_alignment="center")
        left.markdown(f"**{download.title}**")
        st.caption(download.about)
        right.download_button(
            "Download",
            download.make,
            download.name,
            download.mime,
            key=f"download:{download.name}",
            on_click="ignore",
            width="stretch",
        )


def packed(view: session.RunView, selection: Selection) -> bytes:
    """The selection folder as a zip."""
    out = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        written = Path(write_folder(view, selection, Path(folder) / "selection"))
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(written.rglob("*")):
                archive.write(path, path.relative_to(written))
    return out.getvalue()


def write_folder(view: session.RunView, selection: Selection, out: Path) -> Path:
    """Write the selection folder as the command line does."""
    from coreset_engine.pipeline.manifest import write_run

    return write_run(out, view.full_run, selection)


def manifest_of(view: session.RunView, selection: Selection) -> dict[str, Any]:
    """What reproduces the selection."""
    from coreset_engine.pipeline.manifest import manifest

    return manifest(view.full_run, selection)


def show_manifest(view: session.RunView, selection: Selection) -> None:
    """Draw the manifest as a tree."""
    st.json(manifest_of(view, selection), expanded=1)


def report_page(view: session.RunView, selection: Selection) -> str:
    """The one-page HTML report of the selection."""
    from ui.views.certificate import certificate_of

    parts = Parts(
        points=np.asarray(view.run.map) if view.ready("map") else None,
        groups=groups_of(view),
        certificate=dataclasses.asdict(certificate_of(view, selection)),
        manifest=manifest_of(view, selection),
    )
    title = f"Coreset of {plain(session.short_name(view.spec), 60)}"
    return report(view.dataset, selection, parts, title=title)


def groups_of(view: session.RunView) -> tuple[list[str], np.ndarray] | None:
    """Classes where known, else clusters: names and (N,) codes."""
    dataset = view.dataset
    if dataset.labels is not None and dataset.classes:
        return list(dataset.classes), dataset.labels
    if view.ready("pseudo_labels"):
        return cluster_names(view), view.run.pseudo_labels.labels
    return None
