"""The certificate of a coreset as a row of numbers: how well it covers the set, measured without
any label."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import streamlit as st

from coreset_engine.core.registry import METHODS
from coreset_engine.core.types import Selection
from ui.components.escape import markdown as escaped
from ui.map.colour_columns import format_number
from ui.selection import session_selection
from ui.state.session import RunView

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
    return _certify(
        view.dataset.fingerprint, view.job_params, np.sort(selection.indices).tobytes(), view
    )


@st.cache_resource(max_entries=64, show_spinner="Measuring coverage ...")
def _certify(fingerprint: str, job_params: dict[str, Any], positions: bytes, _view: RunView) -> Any:
    from coreset_engine.evaluation.certificate import certify

    clusters = _view.run.pseudo_labels.labels if _view.ready("pseudo_labels") else None
    neighbours = _view.run.neighbours if _view.ready("neighbours") else None
    kept = np.frombuffer(positions, dtype=np.int64)
    return certify(_view.run.vectors, kept, clusters=clusters, neighbours=neighbours)


def is_quick(view: RunView, selection: Selection) -> bool:
    """Whether measuring takes at most about two seconds; neighbour lists settle most images without
    any work."""
    work = len(view) * len(selection) * min(160, view.run.vectors.shape[1])
    return work < (2e11 if view.ready("neighbours") else 5e10)


def numbers_of(certificate: Any) -> dict[str, float]:
    """Its plain numbers by readable name."""
    fields = dataclasses.asdict(certificate)
    return {
        name.replace("_", " "): float(value)
        for name, value in fields.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def draw(view: RunView, selection: Selection) -> None:
    """One metric per number, as many a row as fit; where measuring takes long it waits for a
    click."""
    if not is_quick(view, selection):
        st.caption(
            f"Compares {len(selection):,} kept images with all {len(view):,}: some seconds of work."
        )
        if not st.button("Measure"):
            return
    shown = list(numbers_of(certificate_of(view, selection)).items())
    with st.container(horizontal=True, gap="medium"):
        for name, value in shown:
            st.metric(
                escaped(name[:1].upper() + name[1:], 60),
                format_number(value),
                help=HELP.get(name),
                width="content",
            )


@st.fragment
def smallest(view: RunView, selection: Selection) -> None:
    """The smallest k at which the session's method brings 95 % of the images within a distance the
    user names."""
    method = selection.method
    if not view.ready("neighbours") or not METHODS[method].live:
        st.caption(
            f"How few images would do is searched for methods that answer at once; {escaped(method)} does not."
        )
        return
    start = (
        round(float(certificate_of(view, selection).p95_distance), 3)
        if is_quick(view, selection)
        else 0.1
    )
    wanted = st.number_input(
        "95 % of the images within this distance",
        0.0,
        2.0,
        start,
        0.005,
        format="%.3f",
        key="certificate:radius",
    )
    if not st.button("Find the smallest k", key="certificate:find"):
        return
    found = _smallest(
        view.dataset.fingerprint,
        view.job_params,
        method,
        json.dumps(session_selection.method_params(method)),
        wanted,
        view,
    )
    st.markdown(
        f"**{found:,}** of {len(view):,} images kept by {escaped(method)} reach it "
        f"({1 - found / len(view):.1%} removed)."
    )


@st.cache_data(max_entries=64, show_spinner="Trying one k after another ...")
def _smallest(
    fingerprint: str,
    job_params: dict[str, Any],
    method: str,
    params: str,
    wanted: float,
    _view: RunView,
) -> int:
    from coreset_engine.evaluation.covering_radius import search_k
    from coreset_engine.pipeline.select import select

    given = {
        name: value for name, value in json.loads(params).items() if name != "beta"
    }  # one beta fits no k

    def kept(k: int) -> np.ndarray:
        return select(method, _view.run, min(1 - k / len(_view), 1 - 1e-9), **given).indices

    return search_k(kept, _view.run.vectors, wanted, neighbours=_view.run.neighbours) or len(_view)
