"""The Labels page's parts: what the clustering calls each image, how hard it is, and where it is
probably wrong.

Four views over finished artefacts, one drawn at a time: quality (matched confusion, table 2 and
figure 7 of ELFS), difficulty (figure 4, with both cuts), probable errors (figure 8), and
corrections, which `ui.corrections` draws.
"""

from __future__ import annotations

import math

import numpy as np
import streamlit as st

from coreset_engine.core.errors import BadInput
from coreset_engine.selection.budget import cut_count, hardness_order, kept_count, window
from ui.components import charts
from ui.components.escape import markdown as escaped
from ui.components.escape import plain
from ui.components.frame import STAGE_NAMES
from ui.components.jobs import submit_button
from ui.components.thumbnails import gallery
from ui.state import session
from ui.views.beta_search import show_curve, show_search
from ui.views.label_quality import LabelQuality, cluster_names, compare

DYNAMICS = {"aum": "AUM (low = hard)", "forgetting": "Forgetting (high = hard)"}


def quality_of(view: session.RunView) -> LabelQuality | None:
    """Pseudo-labels against truth, or None when the source knows no labels. Cached per pseudo-label
    artefact."""
    if (
        view.dataset.labels is None
        or not (view.dataset.labels >= 0).any()
        or not view.dataset.classes
    ):
        return None
    return _quality(view.key_of("pseudo_labels"), view.dataset.fingerprint, view)


@st.cache_resource(max_entries=8, show_spinner=False)
def _quality(key: str, fingerprint: str, _view: session.RunView) -> LabelQuality:
    pseudo = _view.run.pseudo_labels
    dataset = _view.dataset
    return compare(pseudo.labels, dataset.labels, pseudo.n_clusters, len(dataset.classes))


@st.cache_resource(max_entries=8, show_spinner=False)
def _sizes(key: str, fingerprint: str, _view: session.RunView) -> np.ndarray:
    """(C,) int64 images of each cluster, of all images also where a sample is shown."""
    return np.bincount(_view.run.pseudo_labels.labels, minlength=_view.run.pseudo_labels.n_clusters)


# -- quality
# --------------------------------------------------------------------------------------------------------


def show_quality(view: session.RunView) -> None:
    """With truth: numbers, matched confusion matrix, misclassified share per class. Without: how
    sure the heads are."""
    pseudo = view.run.pseudo_labels
    quality = quality_of(view)
    sizes = _sizes(view.key_of("pseudo_labels"), view.dataset.fingerprint, view.full or view)
    cells = st.columns(5)
    cells[0].metric(
        "Clusters",
        pseudo.n_clusters,
        help="Empty ones count: a cluster that died is shown, not hidden.",
    )
    cells[1].metric("Empty clusters", int((sizes == 0).sum()))
    if quality is None:
        show_certainty(view, sizes)
        return
    cells[2].metric(
        "Misclassified",
        f"{quality.misclassified:.1%}",
        help="After Hungarian matching of clusters to classes; ELFS table 2.",
    )
    cells[3].metric("NMI", f"{quality.nmi:.3f}")
    cells[4].metric("ARI", f"{quality.ari:.3f}")
    st.caption(
        "True labels are used here only to judge the clustering; no selection step sees them."
    )
    classes = view.dataset.classes
    names = cluster_names(quality, view.dataset.classes, pseudo.n_clusters)
    order = np.lexsort(
        (np.arange(len(names)), np.where(quality.class_of < 0, len(classes), quality.class_of))
    )
    left, right = st.columns([3, 2], gap="large")
    with left:
        figure, data = charts.confusion(
            quality.counts[:, order],
            classes,
            [names[c] for c in order],
            title="Truth against pseudo-label",
        )
        charts.show(figure, "confusion", data, height=470)
    with right:
        by_worst = np.argsort(-np.nan_to_num(quality.per_class, nan=-1), kind="stable")
        figure, data = charts.bars(
            [classes[c] for c in by_worst],
            {"misclassified": np.nan_to_num(quality.per_class[by_worst])},
            title="Misclassified share per class",
            axis="share of the class",
            sideways=True,
        )
        figure.update_xaxes(tickformat=".0%")
        charts.show(figure, "misclassified", data, height=470)


def show_certainty(view: session.RunView, sizes: np.ndarray) -> None:
    """Without true labels: sizes of the clusters, confidence, and agreement of the heads where
    there are several."""
    pseudo = view.run.pseudo_labels
    st.caption(
        "This source has no labels, so quality shows as certainty: how sure the clustering is of each image."
    )
    left, right = st.columns(2, gap="large")
    with left:
        figure, data = charts.bars(
            [str(c) for c in range(len(sizes))], {"images": sizes}, title="Images per cluster"
        )
        charts.show(figure, "cluster-sizes", data)
    with right:
        series = {"confidence": np.asarray(pseudo.confidence, float)}
        if pseudo.agreement is not None:
            series["heads that agree"] = np.asarray(pseudo.agreement, float)
        figure, data = charts.distributions(
            series, title="How sure the clustering is", axis="share", bins=40
        )
        charts.show(figure, "certainty", data)


# -- difficulty
# -----------------------------------------------------------------------------------------------------


def show_difficulty(view: session.RunView) -> None:
    """AUM or forgetting with the cuts of double-end pruning; coreset over whole; pseudo over truth
    when computed."""
    if not view.ready("dynamics"):
        st.info(f"The {STAGE_NAMES['dynamics']} are not computed yet.")
        submit_button("Compute them", "prepare", view, primary=True)
        return
    controls, plot = st.columns([1, 3], gap="large")
    with controls:
        which = st.radio(
            "Score",
            list(DYNAMICS),
            format_func=DYNAMICS.get,
            key=session.bind("labels_score", "aum"),
        )
        st.slider(
            "Pruning rate p",
            0.0,
            0.999,
            step=0.001,
            format="%.3f",
            key=session.bind("prune_rate"),
            help="Share of the whole set removed.",
        )
        st.slider(
            "Hard cut-off beta",
            0.0,
            1.0,
            step=0.001,
            format="%.3f",
            key=session.bind("beta"),
            help="Share of the whole set dropped first, as the hardest: mostly wrong pseudo-labels.",
        )
        prune_rate = session.get("prune_rate")
        beta = session.get("beta")
        show_search(view, prune_rate, which)
    values, easy = _score(view, which)
    try:
        kept, hard, cuts = cut(values, easy, prune_rate, beta)
    except BadInput as error:
        with plot:
            st.error(escaped(str(error)))
        return
    with plot:
        figure, data = charts.cut_histogram(
            values,
            kept,
            hard,
            title="Whole set, and what both cuts leave",
            axis=DYNAMICS[which],
            cuts=cuts,
        )
        charts.show(
            figure,
            f"{which}-cuts",
            data,
            on_range=lambda low, high: set_cuts(
                easy, *((low, high) if which == "aum" else (-high, -low))
            ),
        )
        st.caption("Drag over what shall stay: both cuts move there.")
        st.caption(
            f"{int(kept.sum()):,} kept · {int(hard.sum()):,} dropped as hardest · "
            f"{int((~kept & ~hard).sum()):,} dropped as easiest"
            + (
                f" · {int((~np.isfinite(values)).sum()):,} never learned (not drawn)"
                if not np.isfinite(values).all()
                else ""
            )
        )
        if view.full is not None:
            n = len(view.full)
            st.caption(
                f"Of all {n:,} images: {kept_count(n, prune_rate):,} kept · {cut_count(n, beta):,} dropped as "
                "hardest. Select draws them by cluster and score."
            )
        series = {"pseudo-labels": values}
        truth = view.true_dynamics()
        if truth is not None:
            series["true labels"] = np.asarray(getattr(truth, which), float)
        quality = quality_of(view)
        if quality is not None and truth is None:
            series = {
                "pseudo-label right": values[~quality.wrong],
                "pseudo-label wrong": values[quality.wrong],
            }
        if len(series) > 1:
            figure, data = charts.distributions(
                series, title="Does difficulty see the errors?", axis=DYNAMICS[which], share=True
            )
            charts.show(figure, f"{which}-truth", data)
        show_curve(view, prune_rate, which)


def _score(view: session.RunView, which: str) -> tuple[np.ndarray, np.ndarray]:
    """The score as drawn, and the same turned so that high = easy."""
    values = np.asarray(getattr(view.run.dynamics, which), float)
    return values, values if which == "aum" else -values


def cut(
    values: np.ndarray, easy: np.ndarray, prune_rate: float, beta: float
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """kept (N,) bool, hard (N,) bool, and where both cuts lie on the score. Raises BadInput when
    beta and p clash."""
    low, high = window(len(values), prune_rate, beta)
    order = hardness_order(easy)
    kept = np.zeros(len(values), bool)
    hard = np.zeros(len(values), bool)
    hard[order[:low]], kept[order[low:high]] = True, True
    cuts = {"beta": values[order[low]]} if low else {}
    if high < len(order):
        cuts["p"] = values[order[high - 1]]
    return kept, hard, {name: float(x) for name, x in cuts.items() if np.isfinite(x)}


def set_cuts(easy: np.ndarray, low: float, high: float) -> None:
    """Move both sliders so that the images with an easiness in [low, high] stay. Nothing happens
    for an empty range."""
    found = cuts_around(easy, low, high)
    if found is not None:
        session.rebind("prune_rate", found[0])
        session.rebind("beta", found[1])


def cuts_around(easy: np.ndarray, low: float, high: float) -> tuple[float, float] | None:
    """(prune_rate, beta), in thousandths, that keep [low, high] of `easy` (N,); None when no image
    lies in it."""
    inside = int(((easy >= low) & (easy <= high)).sum())
    harder = int((easy < low).sum())
    if not inside:
        return None
    prune_rate = min(0.999, math.ceil(1000 * (len(easy) - inside) / len(easy)) / 1000)
    return prune_rate, min(prune_rate, math.floor(1000 * harder / len(easy)) / 1000)


# -- probable errors
# ------------------------------------------------------------------------------------------------


def show_errors(view: session.RunView, most: int = 500) -> None:
    """Images whose pseudo-label is most doubtful, worst first, captioned "truth → pseudo"."""
    pseudo = view.run.pseudo_labels
    quality = quality_of(view)
    dataset = view.dataset
    doubt, source = doubtfulness(view)
    names = cluster_names(quality, dataset.classes, pseudo.n_clusters)
    controls = st.columns([2, 2, 2])
    cluster = controls[0].selectbox(
        "Cluster",
        ["all", *range(pseudo.n_clusters)],
        key="errors:cluster",
        format_func=lambda c: c if c == "all" else escaped(plain(names[c], 60)),
    )
    only_wrong = quality is not None and controls[1].toggle(
        "Only where truth disagrees", value=True, key="errors:wrong"
    )
    count = controls[2].select_slider("Show", [50, 100, 200, 500], 200, key="errors:count")
    among = np.ones(len(dataset), bool)
    if cluster != "all":
        among &= pseudo.labels == cluster
    if only_wrong:
        among &= quality.wrong
    chosen = np.flatnonzero(among)
    chosen = chosen[np.argsort(-doubt[chosen], kind="stable")][: min(count, most)]
    meaning = "truth → pseudo-label" if quality is not None else "→ its cluster"
    st.caption(
        f"{int(among.sum()):,} images, most doubtful first by {source}. Under each: {meaning}. "
        "Click one for a larger view."
    )
    captions = [error_caption(view, i, quality) for i in chosen]
    facts = [
        f"{text} · confidence {pseudo.confidence[i]:.0%} · doubt {doubt[i]:.3g}"
        for text, i in zip(captions, chosen)
    ]
    gallery(dataset, chosen, captions, key="errors", facts=facts, height=560)
    session.put("errors_shown", [str(dataset.ids[i]) for i in chosen])


def error_caption(view: session.RunView, i: int, quality: LabelQuality | None) -> str:
    """ "shirt → coat" with truth, "→ cluster 3" without."""
    pseudo = view.run.pseudo_labels
    dataset = view.dataset
    if quality is None:
        return f"→ cluster {int(pseudo.labels[i])}"
    matched = quality.matched[i]
    truth = dataset.labels[i]
    said = dataset.classes[matched] if matched >= 0 else f"cluster {int(pseudo.labels[i])}"
    return f"{dataset.classes[truth] if truth >= 0 else '?'} → {said}"


def doubtfulness(view: session.RunView) -> tuple[np.ndarray, str]:
    """(N,) float, high = doubtful, and in words what it is: the training margin when there is one,
    else confidence."""
    if view.ready("dynamics"):
        return -np.asarray(view.run.dynamics.aum, float), "the mean training margin (AUM)"
    if view.run.pseudo_labels.agreement is not None:
        return -np.asarray(view.run.pseudo_labels.agreement, float), "disagreement of the heads"
    return -np.asarray(view.run.pseudo_labels.confidence, float), "low confidence"
