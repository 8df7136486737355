"""The Export page's parts: the selection as files, the manifest that reproduces it, and FiftyOne.

Files are written by the engine's export wing into the workspace and offered as downloads; nothing
here decides formats.
"""

from __future__ import annotations

import dataclasses
import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from coreset_engine.core.types import Selection
from ui.components.escape import markdown as escaped
from ui.components.escape import plain
from ui.components.frame import STAGE_NAMES, empty_state, error_boundary
from ui.selection import session_selection
from ui.state import session
from ui.views.export_targets import Planned, file_name, targets
from ui.views.report import report


def large(view: session.RunView) -> None:
    """The whole page for a set too large to be chosen from while somebody waits. view: all
    images."""
    from coreset_engine.selection.budget import kept_count

    method = session.get("method")
    missing = view.missing(session_selection.needed_stages(method))
    if missing:
        names = ", ".join(STAGE_NAMES.get(stage, stage) for stage in missing)
        empty_state(
            f"There is no coreset to export yet: {escaped(method)} still lacks {names}.",
            "Choose one on Select",
            "pages/select.py",
        )
        return
    planned = Planned(method, kept_count(len(view), session.get("prune_rate")))
    headline(view, planned)
    st.caption(
        "So many images are chosen and written in the background. Every folder below gets selection.parquet, "
        "ids.txt and manifest.json besides its own files; run --out in a shell writes these three alone."
    )
    with error_boundary():
        targets(view, planned)


def headline(view: session.RunView, selection: Selection | Planned) -> None:
    """What would be exported, in four numbers and one line."""
    pins = session.get("must_keep") or ()
    never = session.get("never") or ()
    cells = st.columns(4)
    cells[0].metric("Kept", f"{len(selection):,}")
    cells[1].metric("Of", f"{len(view):,}")
    cells[2].metric("Must keep", len(pins))
    cells[3].metric("Never", len(never))
    line = session_selection.describe(
        selection.method,
        session.get("prune_rate"),
        session_selection.method_params(selection.method),
    )
    st.caption(f"{escaped(line)} · change it on the Select page")


def downloads(view: session.RunView, selection: Selection) -> None:
    """Folder as zip, ids, report. Each is made when its button is pressed, not before."""
    stem = file_name(view, selection)
    for label, help_, make, name, mime in (
        (
            "Selection folder (zip)",
            "selection.parquet with every score, ids.txt and manifest.json",
            lambda: packed(view, selection),
            f"{stem}.zip",
            "application/zip",
        ),
        (
            "Ids only",
            "One id a line, best first",
            lambda: "\n".join(map(str, selection.ids)) + "\n",
            f"{stem}-ids.txt",
            "text/plain",
        ),
        (
            "Report (one HTML page)",
            "Map, knobs, counts, certificate, pictures, manifest: for colleagues without the app",
            lambda: report_page(view, selection),
            f"{stem}.html",
            "text/html",
        ),
    ):
        with st.container(border=True):
            left, right = st.columns([3, 2], vertical_alignment="center")
            left.markdown(f"**{label}**  \n{help_}")
            right.download_button(
                "Download",
                make,
                name,
                mime,
                key=f"download:{name}",
                on_click="ignore",
                width="stretch",
            )


def packed(view: session.RunView, selection: Selection) -> bytes:
    """The selection folder of DESIGN section 4, as a zip."""
    out = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        written = Path(write_folder(view, selection, Path(folder) / "selection"))
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(written.rglob("*")):
                archive.write(path, path.relative_to(written))
    return out.getvalue()


def write_folder(view: session.RunView, selection: Selection, out: Path) -> Path:
    """The engine writes it, on the same way as the command line."""
    from coreset_engine.pipeline.manifest import write_run

    return write_run(out, view.run, selection)


def manifest_of(view: session.RunView, selection: Selection) -> dict[str, Any]:
    from coreset_engine.pipeline.manifest import manifest

    return manifest(view.run, selection)


def report_page(view: session.RunView, selection: Selection) -> str:
    """The one-page report of the current selection."""
    from ui.views.certificate import certificate_of

    certificate = dataclasses.asdict(certificate_of(view, selection))
    return report(
        view.dataset,
        selection,
        title=f"Coreset of {plain(session.short_name(view.spec), 60)}",
        points=np.asarray(view.run.map) if view.ready("map") else None,
        groups=groups_of(view),
        certificate=certificate,
        manifest=manifest_of(view, selection),
    )


def groups_of(view: session.RunView) -> tuple[list[str], np.ndarray] | None:
    """Classes where known, else clusters: names and (N,) codes."""
    dataset = view.dataset
    if dataset.labels is not None and dataset.classes:
        return list(dataset.classes), dataset.labels
    if view.ready("pseudo_labels"):
        pseudo = view.run.pseudo_labels
        return [f"cluster {c}" for c in range(pseudo.n_clusters)], pseudo.labels
    return None
