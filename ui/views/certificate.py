"""The certificate of a coreset: how well it covers the dataset, beside random, without labels."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from coreset_engine.core.registry import METHODS
from coreset_engine.core.types import Selection
from coreset_engine.selection.budget import Budget
from coreset_engine.selection.request import SelectionRequest
from ui.components.escape import markdown as escaped
from ui.components.folded import folded
from ui.map.colour_columns import format_number
from ui.selection import session_selection
from ui.state import background
from ui.state.run_view import RunView

if TYPE_CHECKING:  # imports torch, which the first page does not need
    from coreset_engine.evaluation.certificate import Certificate
    from coreset_engine.evaluation.random_range import RandomRange, SpreadRange

# Up to this many images the page waits for the measurement: a fraction of a second.
AT_ONCE = 5000
# Field of the certificate -> what it is, and which direction is good. For tables.
MEASURES = {
    "mean_distance": "Mean distance to the nearest selected image (lower is better)",
    "p95_distance": "Distance within which 95% of the images lie (lower is better)",
    "worst_distance": "Largest distance to the nearest selected image (lower is better)",
    "clusters_missed": "Clusters without a selected image (lower is better)",
    "balance": "Balance over clusters (1 = the same number from each)",
    "near_duplicates_kept": "Selected near-duplicates (lower is better)",
    "energy_distance": "Difference from all images (energy distance; 0 = same distribution)",
    "vendi_score": "Number of clearly different images (Vendi score; higher is better)",
}


def certificate_of(view: RunView, selection: Selection) -> Certificate:
    """The engine's certificate of a selection; the last 64 are cached for the server."""
    return _certify(
        view.dataset.fingerprint, view.job_params, np.sort(selection.indices).tobytes(), view
    )


@st.cache_resource(max_entries=64, show_spinner=False)
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


@dataclass(frozen=True)
class Finding:
    """One sentence of the certificate, and how it compares with random selections.

    verdict: "better", "worse" or "like" random.
    """

    text: str
    verdict: str


BADGES = {
    "better": ":green-badge[better than random]",
    "like": ":gray-badge[like random]",
    "worse": ":orange-badge[worse than random]",
}


def findings(
    certificate: Certificate, random: RandomRange, n_clusters: int | None
) -> list[Finding]:
    """The certificate in three sentences, each beside the range of random selections.

    Parameters
    ----------
    certificate : Certificate
        Of the selection.
    random : RandomRange
        Of random selections of as many images.
    n_clusters : int or None
        How many clusters the dataset has; None when they are not computed.
    """
    lines = [
        Finding(
            f"95% of all images are within {certificate.p95_distance:.3f} of a selected one "
            f"(cosine distance; random: {_span(random.p95_distance, '.3f')}).",
            _verdict(
                round(certificate.p95_distance, 3),
                (round(random.p95_distance[0], 3), round(random.p95_distance[1], 3)),
            ),
        )
    ]
    if n_clusters is not None:
        lines.append(
            Finding(
                f"{_cluster_sentence(certificate.clusters_missed, n_clusters)} "
                f"({_missed_at_random(random.clusters_missed)}).",
                _verdict(certificate.clusters_missed, random.clusters_missed),
            )
        )
    repeats = certificate.near_duplicates_kept
    count = "No selected image repeats" if repeats == 0 else f"{repeats:,} selected images repeat"
    lines.append(
        Finding(
            f"{count} another one (random: {_span(random.near_duplicates_kept, ',')}).",
            _verdict(repeats, random.near_duplicates_kept),
        )
    )
    return lines


def _verdict(value: float, span: tuple[float, float]) -> str:
    """Smaller is better for each of the three measures."""
    low, high = span
    if value < low:
        return "better"
    return "worse" if value > high else "like"


def _span(span: tuple[float, float], form: str) -> str:
    low, high = (format(value, form) for value in span)
    return low if low == high else f"{low} to {high}"


def _cluster_sentence(missed: int, n_clusters: int) -> str:
    if not missed:
        return f"All {n_clusters:,} clusters have a selected image"
    verb = "has" if missed == 1 else "have"
    return f"{missed:,} of {n_clusters:,} clusters {verb} no selected image"


def _missed_at_random(span: tuple[int, int]) -> str:
    return "random: all, too" if not any(span) else f"random leaves out {_span(span, ',')}"


def random_range_of(view: RunView, count: int) -> RandomRange:
    """What random selections of `count` images reach; the last 64 are cached for the server."""
    return _random_range(view.dataset.fingerprint, view.job_params, count, view)


@st.cache_resource(max_entries=64, show_spinner=False)
def _random_range(
    fingerprint: str, job_params: dict[str, Any], count: int, _view: RunView
) -> RandomRange:
    from coreset_engine.evaluation.random_range import random_range

    clusters = _view.run.pseudo_labels.labels if _view.ready("pseudo_labels") else None
    neighbours = _view.run.neighbours if _view.ready("neighbours") else None
    return random_range(
        _view.run.vectors, count, clusters=clusters, neighbours=neighbours, seed=_view.seed
    )


def spread_range_of(view: RunView, count: int) -> SpreadRange:
    """As `random_range_of`, for the measures of balance and variety."""
    return _spread_range(view.dataset.fingerprint, view.job_params, count, view)


@st.cache_resource(max_entries=64, show_spinner="Measuring random selections ...")
def _spread_range(
    fingerprint: str, job_params: dict[str, Any], count: int, _view: RunView
) -> SpreadRange:
    from coreset_engine.evaluation.random_range import spread_range

    clusters = _view.run.pseudo_labels.labels if _view.ready("pseudo_labels") else None
    return spread_range(_view.run.vectors, count, clusters=clusters, seed=_view.seed)


def show_certificate(view: RunView, selection: Selection) -> None:
    """Draw the certificate beside random; where measuring takes long it waits for a click."""
    if not is_quick(view, selection):
        st.caption(
            f"Compares {len(selection):,} selected images, and random ones, with all "
            f"{len(view):,}, which takes some seconds."
        )
        if not st.button("Measure"):
            return
    measured = _measured(view, selection)
    if measured is None:
        return
    certificate, random = measured
    n_clusters = view.run.pseudo_labels.n_clusters if view.ready("pseudo_labels") else None
    for finding in findings(certificate, random, n_clusters):
        st.markdown(f"{BADGES[finding.verdict]} {finding.text}")
    folded(
        "All measurements, and the fewest images for a given coverage",
        _show_all,
        view,
        selection,
        measured,
        key="certificate:all",
    )


def _show_all(
    view: RunView, selection: Selection, measured: tuple[Certificate, RandomRange]
) -> None:
    """Every measurement beside random's, and how few images would reach a coverage."""
    certificate, random = measured
    spread = spread_range_of(view, len(selection))
    rows = [
        {"": name, "This selection": value, "Random": _random_text(name, random, spread)}
        for name, value in table_rows(certificate).items()
    ]
    st.table(rows, hide_index=True, border="horizontal")
    if certificate.proven < 1:
        st.caption(
            f"Distances are exact for {certificate.proven:.1%} of the images; the others may "
            "be slightly too large, never too small."
        )
    show_smallest(view, selection)


def _measured(view: RunView, selection: Selection) -> tuple[Certificate, RandomRange] | None:
    """The certificate and the range of random selections; None while a thread measures them."""

    def measure() -> tuple[Certificate, RandomRange]:
        return certificate_of(view, selection), random_range_of(view, len(selection))

    if len(view) <= AT_ONCE:
        return measure()
    settings = json.dumps(view.job_params, sort_keys=True, default=str)
    positions = np.sort(selection.indices).tobytes()
    measuring = background.start((view.dataset.fingerprint, settings, positions), measure)
    if not measuring.done():
        background.wait_for(measuring, "Measuring this selection and random ones ...")
        return None
    return measuring.result()


def _random_text(measure: str, random: RandomRange, spread: SpreadRange) -> str:
    """The range of a measurement over random selections, as text."""
    field = next(field for field, name in MEASURES.items() if name == measure)
    low, high = getattr(random, field, None) or getattr(spread, field)
    shown = [format_number(float(value)) for value in (low, high)]
    return shown[0] if low == high else " to ".join(shown)


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
