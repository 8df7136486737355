"""Two views of the Labels page: how good the clustering is, and how hard each image is.

Quality: confusion matrix, table 2 and figure 7 of ELFS. Difficulty: figure 4, with both cuts.
"""

from __future__ import annotations

import math

import numpy as np
import streamlit as st

from coreset_engine.core.errors import BadInput
from coreset_engine.selection.budget import (
    cut_count,
    hardness_order,
    kept_count,
    largest_beta,
    largest_rate,
    window,
)
from ui.components import charts
from ui.components.escape import markdown as escaped
from ui.components.frame import STAGE_NAMES
from ui.components.jobs import submit_button
from ui.selection import controls
from ui.state import session
from ui.state.clusters import LabelQuality, cluster_names, quality_of
from ui.views.beta_search import show_curve, show_search

COUNT = "images_to_keep_by_difficulty"
SCORES = {"aum": "AUM (low = hard)", "forgetting": "Forgetting events (high = hard)"}


@st.cache_resource(max_entries=8, show_spinner=False)
def _cluster_sizes(key: str, fingerprint: str, _view: session.RunView) -> np.ndarray:
    """(C,) int64: images in each cluster, of all images also where a sample is shown."""
    pseudo = _view.run.pseudo_labels
    return np.bincount(pseudo.labels, minlength=pseudo.n_clusters)


# -- quality


def show_quality(view: session.RunView) -> None:
    """Draw the clustering's errors where true labels are known, else its certainty."""
    pseudo = view.run.pseudo_labels
    quality = quality_of(view)
    sizes = _cluster_sizes(
        view.key_of("pseudo_labels"), view.dataset.fingerprint, view.full or view
    )
    cells = st.columns(5)
    cells[0].metric("Clusters", pseudo.n_clusters, help="Empty clusters included.")
    cells[1].metric("Empty clusters", int((sizes == 0).sum()))
    if quality is None:
        show_certainty(view, sizes)
        return
    _show_agreement(cells[2:], quality)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _show_confusion(view, quality)
    with right:
        _show_errors_per_class(view, quality)


def _show_agreement(cells, quality: LabelQuality) -> None:
    known = int((quality.counts).sum())
    cells[0].metric(
        "Misclassified",
        f"{int(quality.wrong.sum()):,}",
        help=f"Of {known:,} with a true label ({quality.misclassified:.1%}), after matching each "
        "cluster to one class (Hungarian matching, ELFS table 2).",
    )
    cells[1].metric(
        "NMI",
        f"{quality.nmi:.3f}",
        help="Normalised mutual information of clusters and classes: 1 = the same partition, "
        "0 = unrelated.",
    )
    cells[2].metric(
        "ARI",
        f"{quality.ari:.3f}",
        help="Adjusted Rand index: 1 = the same partition, 0 = what random clusters reach.",
    )
    st.caption(
        f"{quality.misclassified:.1%} of {known:,} labelled images are in a cluster of another "
        "class. NMI and ARI are 1 where clusters and classes are the same, and about 0 for random "
        "clusters. True labels only judge the clustering; selection does not read them."
    )


def _show_confusion(view: session.RunView, quality: LabelQuality) -> None:
    classes = view.dataset.classes
    names = cluster_names(view)
    class_of = np.where(quality.class_of < 0, len(classes), quality.class_of)
    order = np.lexsort((np.arange(len(names)), class_of))
    figure, data = charts.confusion(
        quality.counts[:, order],
        classes,
        [names[cluster] for cluster in order],
        title="True labels and clusters",
    )
    charts.show(figure, "confusion", data, height=470)


def _show_errors_per_class(view: session.RunView, quality: LabelQuality) -> None:
    classes = view.dataset.classes
    worst_first = np.argsort(-np.nan_to_num(quality.per_class, nan=-1), kind="stable")
    figure, data = charts.bars(
        [classes[label] for label in worst_first],
        {"misclassified": np.nan_to_num(quality.per_class[worst_first])},
        title="Misclassified per class",
        axis="share of the class",
        sideways=True,
    )
    figure.update_xaxes(tickformat=".0%")
    charts.show(figure, "misclassified", data, height=470)


def show_certainty(view: session.RunView, sizes: np.ndarray) -> None:
    """Draw cluster sizes, confidence, and agreement of the cluster heads where there are some."""
    pseudo = view.run.pseudo_labels
    st.caption(
        "This source has no labels, so the clustering is judged by its own certainty about each "
        "image."
    )
    left, right = st.columns(2, gap="large")
    with left:
        figure, data = charts.bars(cluster_names(view), {"images": sizes}, title="Cluster sizes")
        charts.show(figure, "cluster-sizes", data)
    with right:
        series = {"confidence": np.asarray(pseudo.confidence, float)}
        if pseudo.agreement is not None:
            series["agreement"] = np.asarray(pseudo.agreement, float)
        figure, data = charts.distributions(
            series, title="Certainty of the clustering", axis="certainty", bins=40
        )
        charts.show(figure, "certainty", data)


# -- difficulty


def show_difficulty(view: session.RunView) -> None:
    """Draw the difficulty of all images with the two cuts of double-end pruning."""
    if not view.ready("dynamics"):
        st.info(f"The {STAGE_NAMES['dynamics']} are not computed yet.")
        submit_button("Compute", "prepare", view, primary=True)
        return
    left, plot = st.columns([1, 3], gap="large")
    with left:
        score = _difficulty_controls(view)
    with plot:
        _show_cuts(view, score)
        _show_difficulty_of_errors(view, score)
        show_curve(view, session.get("prune_rate"), score)


def _difficulty_controls(view: session.RunView) -> str:
    """The sliders and the search for beta; returns the score to draw."""
    score = st.radio(
        "Score", list(SCORES), format_func=SCORES.get, key=session.bind("labels_score", "aum")
    )
    n = len(view.full or view)
    kept = session.get("count") or kept_count(n, session.get("prune_rate"))
    count = session.field(COUNT, kept)
    st.slider("Images to keep", 1, n, key=count, on_change=_moved_count, args=(view, count))
    st.slider(
        "Skip the hardest (β)",
        0.0,
        1.0,
        step=0.001,
        format="percent",
        key=session.bind("beta"),
        help="Share of all images skipped first, as the hardest: most have a wrong cluster label.",
    )
    show_search(view, session.get("prune_rate"), score)
    return score


def _moved_count(view: session.RunView, key: str) -> None:
    controls.set_count(view, st.session_state[key])


def _show_cuts(view: session.RunView, score: str) -> None:
    """The histogram of a score with both cuts; dragging over it moves them."""
    values, easiness = _score_values(view, score)
    prune_rate = session.get("prune_rate")
    beta = session.get("beta")
    try:
        kept, hard, cuts = cut(values, easiness, prune_rate, beta)
    except BadInput as error:
        st.error(escaped(str(error)))
        return

    def select_range(low: float, high: float) -> None:
        if score != "aum":  # high = hard
            low, high = -high, -low
        set_cuts(easiness, low, high)

    figure, data = charts.cut_histogram(
        values, kept, hard, title="All images by difficulty", axis=SCORES[score], cuts=cuts
    )
    charts.show(figure, f"{score}-cuts", data, on_range=select_range)
    st.caption("Drag to select the range to keep.")
    st.caption(_count_line(values, kept, hard))
    if view.full is not None:
        n = len(view.full)
        st.caption(
            f"Of all {n:,} images: {kept_count(n, prune_rate):,} selected · "
            f"{cut_count(n, beta):,} skipped as hardest. The Select page counts them per cluster."
        )


def _count_line(values: np.ndarray, kept: np.ndarray, hard: np.ndarray) -> str:
    parts = [
        f"{int(kept.sum()):,} selected",
        f"{int(hard.sum()):,} skipped as hardest",
        f"{int((~kept & ~hard).sum()):,} left out as easy",
    ]
    never_learned = int((~np.isfinite(values)).sum())
    if never_learned:
        parts.append(f"{never_learned:,} never learned (not drawn)")
    return " · ".join(parts)


def _show_difficulty_of_errors(view: session.RunView, score: str) -> None:
    """Whether difficulty tells right from wrong pseudo-labels, where true labels are known."""
    values, _ = _score_values(view, score)
    truth = view.true_dynamics()
    quality = quality_of(view)
    if truth is not None:
        true_values = np.asarray(getattr(truth, score), float)
        series = {"trained on pseudo-labels": values, "trained on true labels": true_values}
    elif quality is not None:
        wrong = quality.wrong
        series = {"right cluster label": values[~wrong], "wrong cluster label": values[wrong]}
    else:
        return
    figure, data = charts.distributions(
        series, title="Are wrong cluster labels harder?", axis=SCORES[score], share=True
    )
    charts.show(figure, f"{score}-truth", data)


def _score_values(view: session.RunView, score: str) -> tuple[np.ndarray, np.ndarray]:
    """The score as drawn, and its sign turned so that high = easy; both (N,) float64."""
    values = np.asarray(getattr(view.run.dynamics, score), float)
    return values, values if score == "aum" else -values


def cut(
    values: np.ndarray, easiness: np.ndarray, prune_rate: float, beta: float
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Apply double-end pruning to a score.

    Parameters
    ----------
    values : (N,) float
        The score as drawn.
    easiness : (N,) float
        The same, high = easy.
    prune_rate, beta : float
        Share not selected, and share skipped as hardest, in [0, 1].

    Returns
    -------
    kept, hard : (N,) bool
        Selected images, and those skipped as hardest.
    cuts : dict of str to float
        Where both cuts lie on the score, without infinite ones.

    Raises
    ------
    BadInput
        When beta leaves fewer images than are to be selected.
    """
    low, high = window(len(values), prune_rate, beta)
    order = hardness_order(easiness)
    kept = np.zeros(len(values), bool)
    hard = np.zeros(len(values), bool)
    hard[order[:low]] = True
    kept[order[low:high]] = True
    cuts = {}
    if low:
        cuts["β"] = float(values[order[low]])
    if high < len(order):
        cuts["easiest selected"] = float(values[order[high - 1]])
    return kept, hard, {name: x for name, x in cuts.items() if np.isfinite(x)}


def set_cuts(easiness: np.ndarray, low: float, high: float) -> None:
    """Move both sliders so that images in [low, high] stay; an empty range changes nothing."""
    rates = cuts_around(easiness, low, high)
    if rates is not None:
        session.rebind_all({"count": 0, "prune_rate": rates[0], "beta": rates[1]})


def cuts_around(easiness: np.ndarray, low: float, high: float) -> tuple[float, float] | None:
    """(prune_rate, beta) in thousandths that select [low, high] of `easiness` (N,).

    None when no image lies in that range.
    """
    inside = int(((easiness >= low) & (easiness <= high)).sum())
    harder = int((easiness < low).sum())
    if not inside:
        return None
    n = len(easiness)
    prune_rate = min(math.ceil(1000 * (n - inside) / n) / 1000, largest_rate(n, inside))
    beta = math.floor(1000 * harder / n) / 1000
    return prune_rate, min(beta, largest_beta(n, kept_count(n, prune_rate)))
