"""The certificate of a coreset as a row of numbers: how well it covers the set, measured without any label."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import streamlit as st

from coreset_engine.types import Selection
from ui.columns import format_number
from ui.escape import markdown as escaped
from ui.state import RunView

HELP = {
    "mean distance": "Cosine distance from an image to the nearest kept one, averaged over all images.",
    "p95 distance": "95 % of the images have a kept one nearer than this.",
    "worst distance": "The image farthest from anything kept.",
    "clusters missed": "Clusters of which no image is kept.",
    "balance": "1 = the same number kept from every cluster, 0 = all from one.",
    "near duplicates kept": "Kept images whose nearest neighbour is almost the same and kept too.",
    "energy distance": "0 = the kept are distributed as the whole set.",
    "vendi score": "How many really different images the kept amount to.",
    "proven": "Share of images whose distance is exact; the others' may be slightly too large, never too small.",
}


def certificate_of(view: RunView, selection: Selection) -> Any:
    """The engine's certificate of `selection`; the last 64 are kept for the server."""
    return _certify(view.dataset.fingerprint, view.job_params, np.sort(selection.indices).tobytes(), view)


@st.cache_resource(max_entries=64, show_spinner="Measuring coverage ...")
def _certify(fingerprint: str, job_params: dict[str, Any], positions: bytes, _view: RunView) -> Any:
    from coreset_engine.evaluation.certificate import certify

    clusters = _view.run.pseudo_labels.labels if _view.ready("pseudo_labels") else None
    neighbours = _view.run.neighbours if _view.ready("neighbours") else None
    kept = np.frombuffer(positions, dtype=np.int64)
    return certify(_view.run.vectors, kept, clusters=clusters, neighbours=neighbours)


def is_quick(view: RunView, selection: Selection) -> bool:
    """Whether measuring takes at most about two seconds; neighbour lists settle most images without any work."""
    work = len(view) * len(selection) * min(160, view.run.vectors.shape[1])
    return work < (2e11 if view.ready("neighbours") else 5e10)


def numbers_of(certificate: Any) -> dict[str, float]:
    """Its plain numbers by readable name."""
    fields = dataclasses.asdict(certificate)
    return {name.replace("_", " "): float(value) for name, value in fields.items()
            if isinstance(value, int | float) and not isinstance(value, bool)}


def draw(view: RunView, selection: Selection) -> None:
    """One metric per number, as many a row as fit; where measuring takes long it waits for a click."""
    if not is_quick(view, selection):
        st.caption(f"Compares {len(selection):,} kept images with all {len(view):,}: some seconds of work.")
        if not st.button("Measure"):
            return
    shown = list(numbers_of(certificate_of(view, selection)).items())
    with st.container(horizontal=True, gap="medium"):
        for name, value in shown:
            st.metric(escaped(name[:1].upper() + name[1:], 60), format_number(value), help=HELP.get(name),
                      width="content")
