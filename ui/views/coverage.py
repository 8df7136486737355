"""The Coverage page: one 2-D slice (BlindCS figure 2), score against rank, stability against T.

Hits and penalties are computed by the engine with explicit draws: a sample covers its nearest image
(L1 distance), whose neighbours in the slice share a penalty (eq. 6 and 8).
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from coreset_engine.coverage.config import DISTRIBUTIONS
from coreset_engine.coverage.scores import coverage_scores
from coreset_engine.selection.budget import kept_count
from ui.components import charts
from ui.components.escape import plain
from ui.components.palette import current
from ui.components.thumbnails import Tiles, gallery
from ui.state import session

MAX_DOTS = 20_000  # images drawn; more would only overlap

MAX_SECONDS = 30.0  # of a live run


@dataclass(frozen=True, eq=False)
class Slice:
    """Two dimensions of the embeddings, with samples and what they cover.

    Attributes
    ----------
    points : (N, 2) float32
        The images.
    draws : (n, 2) float64
        The samples.
    hits : (N,) float64
        Samples that cover each image.
    focus : int
        The sample that is explained.
    covered : int
        The image it covers.
    penalty : (N,) float64
        What that costs each neighbour; the sum is 1, or 0 without neighbours.
    """

    points: np.ndarray
    draws: np.ndarray
    hits: np.ndarray
    focus: int
    covered: int
    penalty: np.ndarray


def make_slice(
    points: np.ndarray, draws: np.ndarray, focus: int, *, n_neighbours: int, exponent: float
) -> Slice:
    """Score samples in one slice of two dimensions.

    Parameters
    ----------
    points : (N, 2) float
        The images in the slice.
    draws : (T, 2) float
        Samples, as `sample` draws them.
    focus : int
        The sample that is explained, 0 <= focus < T.
    n_neighbours : int
        alpha, redundancy neighbours.
    exponent : float
        Of the penalty, > 0.
    """
    points = np.ascontiguousarray(points, np.float32)
    dims = np.tile(np.array([0, 1]), (len(draws), 1))
    everything = coverage_scores(
        points, draws=(dims, draws), n_neighbours=n_neighbours, exponent=exponent
    )
    one = coverage_scores(
        points,
        draws=(dims[:1], draws[focus : focus + 1]),
        n_neighbours=n_neighbours,
        exponent=exponent,
    )
    return Slice(
        points, draws, everything.coverage, focus, int(one.coverage.argmax()), one.redundancy
    )


def sample(
    points: np.ndarray, distribution: str, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw samples in a slice (BlindCS eq. 3 and the distributions of its ablation).

    Parameters
    ----------
    points : (N, 2) float
        The images in the slice.
    distribution : {"triangular", "gaussian", "uniform"}
        Per dimension triangular(min, median, max), normal(mean, std) or uniform(min, max).
    count : int
        T.
    rng : numpy.random.Generator

    Returns
    -------
    (T, 2) float64
    """
    low = points.min(0).astype(float)
    high = points.max(0).astype(float)
    if distribution == "uniform":
        return rng.uniform(low, high, (count, 2))
    if distribution == "gaussian":
        return rng.normal(points.mean(0), points.std(0), (count, 2))
    top = np.where(high > low, high, low + 1)
    mode = np.clip(np.median(points, 0), low, top)
    return np.where(high > low, rng.triangular(low, mode, top, (count, 2)), low)


@st.cache_resource(max_entries=32, show_spinner=False)
def _columns(key: str, first: int, second: int, _view: session.RunView) -> np.ndarray:
    return np.stack(
        [np.asarray(_view.run.vectors[:, d], np.float32) for d in (first, second)], axis=1
    )


def show_slice(view: session.RunView) -> None:
    """Draw a slice with its samples, what one sample covers, and whose score that reduces."""
    width = view.run.vectors.shape[1]
    if width < 2:
        st.info("These embeddings have one dimension; a slice needs two.")
        return
    controls, picture = st.columns([2, 5], gap="medium")
    with controls:
        chosen = _slice_controls(view, width)
    with (
        picture,
        st.spinner("Scoring this slice; the first one takes a few seconds ..."),
    ):
        points = _columns(view.key_of("embeddings"), chosen.first, chosen.second, view)
        rng = np.random.default_rng(view.seed)
        draws = sample(points, chosen.distribution, chosen.count, rng)
        cut = make_slice(points, draws, chosen.focus, n_neighbours=chosen.alpha, exponent=4.0)
    with picture:
        figure = slice_figure(view, cut, chosen.first, chosen.second)
        if chosen.close:
            _close_up(figure, cut)
        charts.show(figure, "slice", lambda: slice_table(view, cut), height=560)
    _penalised(view, cut, chosen)


@dataclass(frozen=True)
class _SliceControls:
    """What the user set for the slice; first, second: dimensions; focus: the explained sample."""

    first: int
    second: int
    distribution: str
    count: int
    focus: int
    alpha: int
    close: bool


def _slice_controls(view: session.RunView, width: int) -> _SliceControls:
    first, second = _dims(view, width)
    distribution = st.radio(
        "Distribution of the samples",
        DISTRIBUTIONS,
        key=session.bind("slice_distribution", "triangular"),
    )
    count = st.select_slider(
        "Samples", [10, 50, 200, 500, 1000], key=session.bind("slice_count", 200)
    )
    focus = st.slider("Sample to explain", 1, int(count), key="slice:focus") - 1
    most = len(view) - 1
    alpha = st.slider(
        "Redundancy neighbours (α)", 1, min(1000, most), min(30, most), key="slice:alpha"
    )
    close = st.toggle(
        "Zoom in", key="slice:close", help="Show only the explained sample and its neighbours"
    )
    return _SliceControls(first, second, distribution, int(count), focus, alpha, close)


def _penalised(view: session.RunView, cut: Slice, chosen: _SliceControls) -> None:
    """The image that the explained sample covers, and those that share its penalty."""
    penalised = np.argsort(-cut.penalty, kind="stable")[:24]
    penalised = penalised[cut.penalty[penalised] > 0]
    st.caption(
        f"Sample {chosen.focus + 1} covers the first image below; the others share the penalty, "
        f"nearest first. These {chosen.count} samples cover {int((cut.hits > 0).sum()):,} of "
        f"{len(view):,} images."
    )
    shown = [cut.covered, *penalised]
    gallery(
        view.dataset,
        shown,
        Tiles(
            ["covered", *(_penalty(float(cut.penalty[i])) for i in penalised)],
            facts=[plain(view.dataset.ids[i]) for i in shown],
        ),
        key="slice:gallery",
        height=220,
    )


def _penalty(value: float) -> str:
    """A penalty as a caption, for example "−0.146"."""
    return f"−{value:.3f}" if value >= 0.0005 else "about 0"


def _dims(view: session.RunView, width: int) -> tuple[int, int]:
    if st.button("Random slice", key="slice:random"):
        turn = session.get("slice_turn", 0) + 1
        session.put("slice_turn", turn)
        for name, d in zip(
            ("slice_x", "slice_y"), np.random.default_rng(turn).choice(width, 2, replace=False)
        ):
            session.rebind(name, int(d))
    left, right = st.columns(2)
    first = left.number_input("Axis x", 0, width - 1, key=session.bind("slice_x", 0))
    second = right.number_input("Axis y", 0, width - 1, key=session.bind("slice_y", 1))
    return int(first), int(second) if second != first else int((first + 1) % width)


def slice_figure(view: session.RunView, cut: Slice, first: int, second: int) -> go.Figure:
    """Images grey, covered ones blue, samples as crosses; the explained sample is on top.

    Parameters
    ----------
    view : RunView
    cut : Slice
    first, second : int
        The slice's dimensions, for the axes.
    """
    palette = current()
    figure = go.Figure()
    n = len(cut.points)
    shown = (
        np.arange(n)
        if n <= MAX_DOTS
        else np.sort(np.random.default_rng(0).choice(n, MAX_DOTS, replace=False))
    )
    hit = cut.hits[shown] > 0
    for name, which, color in (
        ("images", shown[~hit], palette.rest),
        ("covered by a sample", shown[hit], palette.kept),
    ):
        figure.add_scattergl(
            x=cut.points[which, 0],
            y=cut.points[which, 1],
            mode="markers",
            name=name,
            marker=dict(size=4, color=color, opacity=0.6),
            hoverinfo="skip",
        )
    figure.add_scattergl(
        x=cut.draws[:, 0],
        y=cut.draws[:, 1],
        mode="markers",
        name="samples",
        hoverinfo="skip",
        marker=dict(size=6, symbol="x-thin", line=dict(width=1.2, color=palette.hard)),
    )
    penalised = np.flatnonzero(cut.penalty > 0)
    share = cut.penalty[penalised] / max(cut.penalty.max(), 1e-12)
    # WebGL for all traces: plotly draws it above SVG traces, which would hide the explained sample.
    figure.add_scattergl(
        x=cut.points[penalised, 0],
        y=cut.points[penalised, 1],
        mode="markers",
        name="penalised (size = penalty)",
        marker=dict(
            size=4 + 14 * np.sqrt(share),
            color="#E69F00",
            opacity=0.85,
            line=dict(width=1, color=palette.text),
        ),
        customdata=cut.penalty[penalised],
        hovertemplate="penalty %{customdata:.4f}<extra></extra>",
    )
    (sx, sy), (cx, cy) = cut.draws[cut.focus], cut.points[cut.covered]
    figure.add_scattergl(
        x=[sx, cx],
        y=[sy, cy],
        mode="lines+markers",
        name="sample → covered image",
        marker=dict(size=[15, 13], symbol=["x", "diamond"], color=palette.picked),
        line=dict(color=palette.picked, dash="dot"),
    )
    figure.update_layout(xaxis_title=f"dimension {first}", yaxis_title=f"dimension {second}")
    return figure


def _close_up(figure: go.Figure, cut: Slice) -> None:
    """Set the axes around the explained sample, its image and the penalised ones."""
    seen = np.vstack(
        [cut.points[cut.penalty > 0], cut.points[[cut.covered]], cut.draws[[cut.focus]]]
    )
    low = seen.min(0)
    high = seen.max(0)
    room = 0.15 * np.maximum(high - low, 1e-6)
    figure.update_xaxes(range=[low[0] - room[0], high[0] + room[0]])
    figure.update_yaxes(range=[low[1] - room[1], high[1] + room[1]])


def slice_table(view: session.RunView, cut: Slice) -> charts.Columns:
    return {
        "id": [plain(name) for name in view.dataset.ids],
        "x": cut.points[:, 0].tolist(),
        "y": cut.points[:, 1].tolist(),
        "hits": cut.hits.tolist(),
        "penalty": cut.penalty.tolist(),
    }


# -- score against rank ----------------------------------------------------------------------------

ORDERS = {
    "Highest score: selected first": lambda s: -s.score,
    "Lowest score: selected last": lambda s: s.score,
    "Highest coverage": lambda s: -s.coverage,
    "Most redundant": lambda s: -s.redundancy,
}


def show_rank(view: session.RunView) -> None:
    """Draw score, coverage and redundancy by rank, with the last selected rank, and a gallery."""
    scores = view.run.coverage
    k = kept_count(len(view), session.get("prune_rate"))
    figure, data = charts.score_by_rank(
        scores.score,
        {"coverage": scores.coverage, "redundancy": scores.redundancy},
        k=k,
        title=f"Score against rank, {scores.n_samples:,} samples",
    )
    st.caption(f"{scores.describe(session.get('prune_rate'))}.")
    charts.show(figure, "score-rank", data)
    order = st.selectbox("Gallery", list(ORDERS), key="rank:order")
    chosen = np.argsort(ORDERS[order](scores), kind="stable")[:200]
    gallery(
        view.dataset,
        chosen,
        Tiles(
            [_score(float(scores.score[i])) for i in chosen],
            facts=[
                f"score {scores.score[i]:.4g} = coverage {scores.coverage[i]:.4g} − redundancy "
                f"{scores.redundancy[i]:.4g}"
                for i in chosen
            ],
        ),
        key="rank:gallery",
        height=340,
    )


def _score(value: float) -> str:
    """A score as a caption: "1,230", "12.3"."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


# -- stability against T ---------------------------------------------------------------------------


def show_stability(view: session.RunView) -> None:
    """Draw how fast fresh, independent samples agree with the computed scores."""
    scores = view.run.coverage
    k = kept_count(len(view), session.get("prune_rate"))
    st.caption(
        f"{scores.describe(session.get('prune_rate'))}. Were these samples enough? Independent "
        f"samples are drawn now, and their {k:,} best images compared with those of the computed "
        f"scores. Stops after {MAX_SECONDS:.0f} s."
    )
    name = f"stability:{view.key_of('coverage')}:{k}"
    placeholder = st.empty()
    if st.button("Run", type="primary", key="stability:run"):
        for curve in agreement_curve(view, scores.score, k):
            session.put(name, curve)
            with placeholder.container():
                st.plotly_chart(
                    charts.apply_theme(_stability(curve)[0], current()),
                    theme=None,
                    key=f"live-{len(curve)}",
                )
        placeholder.empty()
    if session.get(name):
        charts.show(*_named(_stability(session.get(name))))


def _named(made: tuple[go.Figure, charts.Columns]) -> tuple[go.Figure, str, charts.Columns]:
    return made[0], "stability", made[1]


def _stability(curve: list[tuple[int, float, float]]) -> tuple[go.Figure, charts.Columns]:
    t, same, spearman = (np.array(column) for column in zip(*curve))
    figure, data = charts.lines(
        t,
        {"same selected images": same, "rank correlation": spearman},
        dots=True,
        title="Agreement with the computed scores",
        x_axis="samples T",
        y_axis="share",
    )
    figure.update_xaxes(type="log")
    figure.update_yaxes(range=[min(0, float(spearman.min())), 1.02])
    return figure, data


def agreement_curve(view: session.RunView, final: np.ndarray, k: int):
    """Yield the growing curve [(T, overlap of the top k, Spearman correlation)].

    T doubles until that of the computed scores is reached or time is up.
    """
    from scipy.stats import rankdata

    started = time.monotonic()
    total = 0
    step = 500
    curve: list[tuple[int, float, float]] = []
    score = np.zeros(len(final))
    last = rankdata(final)
    top = set(np.argsort(-final, kind="stable")[:k].tolist())
    while total < view.run.coverage.n_samples and time.monotonic() - started < MAX_SECONDS:
        part = coverage_scores(view.run.vectors, step, seed=view.seed + 7919 + len(curve))
        score = score + part.score
        total = total + step
        step = total
        same = len(top & set(np.argsort(-score, kind="stable")[:k].tolist())) / k
        curve = [*curve, (total, same, float(np.corrcoef(rankdata(score), last)[0, 1]))]
        yield curve
