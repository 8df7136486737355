"""The certificate of a coreset: how well it covers the dataset, in sentences, without any label."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from coreset_engine.core.registry import METHODS
from coreset_engine.core.types import Selection
from coreset_engine.selection.budget import Budget
from coreset_engine.selection.request import SelectionRequest
from ui.components.escape import markdown as escaped
from ui.map.colour_columns import format_number
from ui.selection import session_selection
from ui.state.session import RunView

if TYPE_CHECKING:  # imports torch, which the first page does not need
    from coreset_engine.evaluation.certificate import Certificate

# Field of the certificate -> what it is, and which direction is good. For tables.
MEASURES = {
    "mean_distance": "Mean distance to the nearest selected image (lower is better)",
    "p95_distance": "Distance within which 95% of the images lie (lower is better)",
    "worst_distance": "Largest distance to the nearest selected image (lower is better)",
    "clusters_missed": "Clusters without a selected image (lower is better)",
    "balance": "Balance over clusters (1 = the same number from each)",
    "near_duplicates_kept": "Selected near-duplicates (lower is better)",
    "energy_distance": "Energy distance to all images (0 = same distribution)",
    "vendi_score": "Vendi score: effective number of different images (higher is better)",
}


def certificate_of(view: RunView, selection: Selection) -> Certificate:
    """The engine's certificate of a selection; the last 64 are cached for the server."""
    return _certify(
        view.dataset.fingerprint, view.job_params, np.sort(selection.indices).tobytes(), view
    )


@st.cache_resource(max_entries=64, show_spinner="Measuring coverage ...")
def _certify(
    fingerprint: str, job_params: dict[str, Any], positions: bytes, _view: RunView
) -> Certificate:
    from coreset_engine.evaluation.certificate import certify

    clusters = _view.run.pseudo_labels.labels if _view.ready("pseudo_labels") else None
    neighbours = _view.run.neighbours if _view.ready("neighbours") else None
    kept = np.frombuffer(positions, dtype=np.int64)
    return certify(_view.run.vectors, kept, clusters=clusters, neighbours=neighbours)


def is_quick(view: RunView, selection: Selection) -> bool:
    """Whether measuring takes at most about two seconds."""
    work = len(view) * len(selection) * min(160, view.run.vectors.shape[1])
    # Neighbour lists settle most images without any distance computed.
    return work < (2e11 if view.ready("neighbours") else 5e10)


def table_rows(certificate: Certificate) -> dict[str, str]:
    """What each number is -> the number as text, without those that could not be measured."""
    values = {name: float(getattr(certificate, name)) for name in MEASURES}
    return {
        MEASURES[name]: format_number(value)
        for name, value in values.items()
        if not math.isnan(value)
    }


def sentences(certificate: Certificate, n_clusters: int | None) -> list[str]:
    """The certificate in sentences: coverage, clusters, variety.

    Parameters
    ----------
    certificate : Certificate
        Of the engine.
    n_clusters : int or None
        How many clusters the dataset has; None when they are not computed.
    """
    lines = [
        f"**Coverage:** An image's nearest selected image is {certificate.mean_distance:.3f} away "
        f"on average (cosine distance); 95% of the images are within "
        f"{certificate.p95_distance:.3f}, and none is farther than "
        f"{certificate.worst_distance:.3f}."
    ]
    if n_clusters is not None:
        lines.append(f"**Clusters:** {_cluster_sentence(certificate, n_clusters)}")
    lines.append(f"**Variety:** {_variety_sentence(certificate)}")
    return lines


def _cluster_sentence(certificate: Certificate, n_clusters: int) -> str:
    missed = certificate.clusters_missed
    found = f"All {n_clusters:,} clusters have a selected image"
    if missed:
        verb = "has" if missed == 1 else "have"
        found = f"{missed:,} of {n_clusters:,} clusters {verb} no selected image"
    if math.isnan(certificate.balance):
        return f"{found}."
    return f"{found}; their balance is {certificate.balance:.2f} (1 = the same number from each)."


def _variety_sentence(certificate: Certificate) -> str:
    duplicates = certificate.near_duplicates_kept
    count = "No near-duplicates" if duplicates == 0 else f"{duplicates:,} near-duplicates"
    return (
        f"{count} among the {certificate.kept:,} selected images. They are as varied as "
        f"{certificate.vendi_score:,.1f} completely different images (Vendi score), and their "
        f"distribution differs from that of all images by {certificate.energy_distance:.3f} "
        "(energy distance, 0 = the same)."
    )


def show_certificate(view: RunView, selection: Selection) -> None:
    """Draw the certificate; where measuring takes long it waits for a click."""
    if not is_quick(view, selection):
        st.caption(
            f"Compares {len(selection):,} selected images with all {len(view):,}, which takes some "
            "seconds."
        )
        if not st.button("Measure"):
            return
    certificate = certificate_of(view, selection)
    n_clusters = view.run.pseudo_labels.n_clusters if view.ready("pseudo_labels") else None
    for line in sentences(certificate, n_clusters):
        st.markdown(line)
    if certificate.proven < 1:
        st.caption(
            f"Distances are exact for {certificate.proven:.1%} of the images; the others may be "
            "slightly too large, never too small."
        )


@st.fragment
def show_smallest(view: RunView, selection: Selection) -> None:
    """Find the fewest images with which the method has 95% of all within a given distance."""
    method = selection.method
    row = METHODS[method]
    if not view.ready("neighbours") or not row.live:
        st.caption(
            "The smallest sufficient number of images can be searched only for methods that rank "
            f"all images at once; {escaped(row.title)} does not."
        )
        return
    start = 0.1
    if is_quick(view, selection):
        start = round(float(certificate_of(view, selection).p95_distance), 3)
    wanted = st.number_input(
        "95% of the images within this distance of a selected one",
        0.0,
        2.0,
        start,
        0.005,
        format="%.3f",
        key="certificate:radius",
    )
    if not st.button("Find the fewest images", key="certificate:find"):
        return
    # One beta does not fit every number of images.
    params = session_selection.method_params(method).items()
    request = SelectionRequest(
        method=method, params=tuple((name, value) for name, value in params if name != "beta")
    )
    count = _smallest(view.dataset.fingerprint, view.job_params, request, wanted, view)
    st.markdown(f"{escaped(row.title)} needs **{count:,}** of {len(view):,} images.")


@st.cache_data(max_entries=64, show_spinner="Searching ...", hash_funcs={SelectionRequest: repr})
def _smallest(
    fingerprint: str,
    job_params: dict[str, Any],
    request: SelectionRequest,
    wanted: float,
    _view: RunView,
) -> int:
    from coreset_engine.evaluation.covering_radius import search_k
    from coreset_engine.pipeline.select import select

    def kept(k: int) -> np.ndarray:
        return select(dataclasses.replace(request, budget=Budget(count=k)), _view.run).indices

    return search_k(kept, _view.run.vectors, wanted, neighbours=_view.run.neighbours) or len(_view)
