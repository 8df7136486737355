"""Everything known about one image, and why it is selected or not, next to its picture.

Which rule decided, its rank against the threshold and where that changes; its scores, labels and
margin over epochs; the nearest selected image, and the images that reduce its coverage score. Only
computed artefacts are used.
"""

from __future__ import annotations

import numpy as np
import streamlit as st

from coreset_engine.core.registry import METHODS
from coreset_engine.core.types import Selection
from ui.components import charts
from ui.components.escape import markdown as escaped
from ui.components.forms import row_title
from ui.components.thumbnails import Tiles, gallery, large
from ui.map.colour_columns import TITLES, column, format_number
from ui.selection import controls
from ui.server import routes
from ui.state import session
from ui.state.clusters import cluster_names
from ui.state.run_view import RunView
from ui.views import redundancy_sources

PIN_LABELS = {"keep": "Always include", "never": "Exclude", None: "Clear"}
MAX_SOURCES = 24
UNSURE = 0.2  # share of the clustering models that name another cluster


def show_panel(view: RunView, i: int, selection: Selection | None, *, key: str) -> None:
    """Draw the panel of image i.

    Parameters
    ----------
    view : RunView
        The opened run.
    i : int
        Position of the image.
    selection : Selection or None
        The selection to explain; None when there is none yet.
    key : str
        Prefix of the widgets' keys.
    """
    st.subheader(heading(view, i, selection), anchor=False)
    picture, words, plot = st.columns([1, 2, 2])
    with picture:
        if view.dataset.reader is not None:
            st.image(large(view.dataset, i, 320), width="stretch")
        pin_buttons(view, i, key)
    with words:
        reasons = reasons_of(view, i, selection)
        for line in [*reasons, *label_lines(view, i), *score_lines(view, i)]:
            st.markdown(line)
    with plot:
        if view.ready("dynamics"):
            margin_chart(view, i, key)
    if selection is not None:
        show_related(view, i, selection, key)


def heading(view: RunView, i: int, selection: Selection | None) -> str:
    """The title of the panel: whether the image is selected."""
    name = escaped(str(view.dataset.ids[i]), 80)
    if selection is None:
        return f"Image {name}"
    return f"Why {name} is {'' if is_selected(selection, i) else 'not '}selected"


def is_selected(selection: Selection, i: int) -> bool:
    """Whether image i is in the selection."""
    return bool((selection.indices == i).any())


def pin_buttons(view: RunView, i: int, key: str) -> None:
    """Buttons that always include or exclude this image, or clear that."""
    name = str(view.dataset.ids[i])
    pinned = controls.pin_of(name)
    for kind, label in PIN_LABELS.items():
        if kind == pinned:
            continue
        if st.button(label, key=f"{key}:pin:{kind}", width="stretch"):
            controls.pin([name], kind)
            st.rerun()
    if pinned:
        st.caption("Always included." if pinned == "keep" else "Excluded.")
    if st.button("Close", key=f"{key}:close", width="stretch"):
        session.put("image", "")
        st.rerun()


def reasons_of(view: RunView, i: int, selection: Selection | None) -> list[str]:
    """Why the image is selected or not: the rule, and what each aim of a mixed selection added."""
    return [*verdict(view, i, selection), *term_lines(selection, i)]


def verdict(view: RunView, i: int, selection: Selection | None) -> list[str]:
    """Whether the image is selected, by which rule, and where that changes."""
    if selection is None:
        return ["There is no selection yet."]
    word = "**Selected**" if is_selected(selection, i) else "**Not selected**"
    pin = controls.pin_of(str(view.dataset.ids[i]))
    if pin:
        return [f"{word}: you chose to {'always include' if pin == 'keep' else 'exclude'} it."]
    method = escaped(row_title(METHODS, selection.method))
    ranking = controls.ranking(view)
    if ranking is None:
        return [
            f"{word} by {method}. This method is recomputed for every number of images, so its "
            "selection at one size does not carry over to another."
        ]
    return [f"{word} by {method}: {ranking.reason(i)}.", ranking.enters(i)]


def term_lines(selection: Selection | None, i: int) -> list[str]:
    """What each term of a method of several aims added when the image was ranked."""
    if selection is None or not selection.columns:
        return []
    prefix = f"{selection.method}_"
    terms = [
        f"{escaped(name.removeprefix(prefix).replace('_', ' '))} {values[i]:.2f}"
        for name, values in selection.columns.items()
        if np.isfinite(values[i])
    ]
    return [f"Terms when it was ranked: {', '.join(terms)}."] if terms else []


def label_lines(view: RunView, i: int) -> list[str]:
    """Cluster, certainty of the clustering, and the true label where there is one."""
    lines = []
    if view.ready("pseudo_labels"):
        pseudo = view.run.pseudo_labels
        name = escaped(cluster_names(view)[int(pseudo.labels[i])])
        line = f"Cluster **{name}**, confidence {pseudo.confidence[i]:.0%}."
        if pseudo.agreement is not None and pseudo.agreement[i] < 0.995:
            disagree = 1 - pseudo.agreement[i]
            line += (
                f" Clustering is unsure: {disagree:.0%} of its models say another."
                if disagree >= UNSURE
                else f" {pseudo.agreement[i]:.0%} of the clustering's models agree."
            )
        lines.append(line)
    truth = column(view, "true label")
    if truth is not None:
        lines.append(f"True label **{escaped(truth.labels[truth.codes[i]])}**.")
    return lines


def score_lines(view: RunView, i: int) -> list[str]:
    """Each computed score of the image, and the share of images below it."""
    lines = []
    for name in ("aum", "forgetting", "coverage", "redundancy", "score"):
        scores = column(view, TITLES[name])
        if scores is None:
            continue
        value = format_number(float(scores.values[i]))
        below = float(np.mean(scores.values < scores.values[i]))
        lines.append(f"- {TITLES[name]} {value}, higher than {below:.0%} of the images")
    return ["  \n".join(lines)] if lines else []


def margin_chart(view: RunView, i: int, key: str) -> None:
    """The margin of its pseudo-label over the epochs; AUM is the mean of this curve."""
    margins = np.asarray(view.run.dynamics.margins[i], dtype=np.float64)
    epochs = np.arange(1, len(margins) + 1)
    figure, data = charts.lines(
        epochs,
        {"margin": margins, "zero": np.zeros(len(margins))},
        title="Training margin of its cluster label",
        x_axis="epoch",
        y_axis="logit - largest other logit",
    )
    charts.show(figure, "margin", data, key=f"{key}:margin", height=260)


def show_related(
    view: RunView, i: int, selection: Selection, key: str, *, narrow: bool = False
) -> None:
    """Draw the nearest selected image, and the images that reduce this one's coverage score.

    Parameters
    ----------
    view : RunView
    i : int
        Position of the image.
    selection : Selection
    key : str
        Prefix of the widgets' keys.
    narrow : bool
        One below the other.
    """
    nearest, sources = (st.container(), st.container()) if narrow else st.columns([1, 3])
    with nearest:
        j, distance = nearest_selected(view, i, selection)
        if j is not None:
            name = escaped(str(view.dataset.ids[j]), 40)
            other = "other " if is_selected(selection, i) else ""
            st.markdown(
                f"**Nearest {other}selected image**  \n{name}, cosine distance {distance:.3f}"
            )
            thumbnail(view, j)
    with sources:
        show_redundancy_sources(view, i, key)


def thumbnail(view: RunView, i: int) -> None:
    """Draw a small picture of image i, where the source has images."""
    if view.dataset.reader is not None:
        st.image(large(view.dataset, i, routes.THUMB_PIXELS), width=routes.THUMB_PIXELS)


def neighbours_of(view: RunView, i: int, most: int) -> np.ndarray:
    """(m,) int64 positions of the nearest neighbours of image i, nearest first."""
    return np.asarray(view.run.neighbours.indices[i][:most], dtype=np.int64)


def nearest_selected(view: RunView, i: int, selection: Selection) -> tuple[int | None, float]:
    """Position of and cosine distance to the nearest selected image other than i.

    From the neighbour lists where they reach one, else against every selected vector.
    """
    kept = selection.indices[selection.indices != i]
    if not len(kept):
        return None, float("nan")
    if view.ready("neighbours") and view.run.neighbours.metric == "cosine":
        neighbours = np.asarray(view.run.neighbours.indices[i])
        hits = np.flatnonzero(np.isin(neighbours, kept))
        if len(hits):
            return int(neighbours[hits[0]]), float(view.run.neighbours.distances[i][hits[0]])
    kept = np.sort(kept)
    mine = np.asarray(view.run.vectors[i], dtype=np.float32)
    others = np.asarray(view.run.vectors[kept], dtype=np.float32)
    lengths = np.linalg.norm(others, axis=1) * np.linalg.norm(mine)
    distances = 1 - others @ mine / np.maximum(lengths, 1e-12)
    return int(kept[distances.argmin()]), float(distances.min())


def show_redundancy_sources(view: RunView, i: int, key: str) -> None:
    """Draw coverage hits of image i, and the images whose hits cost it most redundancy."""
    if not view.ready("coverage"):
        return
    scores = view.run.coverage
    average = float(np.mean(scores.coverage))
    st.markdown(
        f"**Coverage**  \nNearest image to {scores.coverage[i]:,.0f} of {scores.n_samples:,} "
        f"random samples; an average image is nearest to {average:,.1f}. Its redundancy penalty "
        f"is {scores.redundancy[i]:.3g}."
    )
    n_neighbours = int(scores.info.get("n_neighbours", 1000))
    positions, cost = redundancy_of(view, i, n_neighbours)
    if not len(positions):
        st.caption("No other image reduces its score.")
        return
    shares = (cost / cost.sum())[:MAX_SOURCES]
    st.caption(
        "These images reduce its score most, because they cover the same region. Below each: its "
        "share of the penalty, estimated from samples around this image."
    )
    gallery(
        view.dataset,
        positions[:MAX_SOURCES],
        Tiles([f"{share:.0%}" if share >= 0.01 else "< 1%" for share in shares]),
        key=f"{key}:redundancy",
        height=180,
    )


def redundancy_of(view: RunView, i: int, n_neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions (m,) and penalties (m,) of `redundancy_sources.find_sources`, cached."""
    return _sources(view.key_of("embeddings"), view.seed, int(i), n_neighbours, view)


@st.cache_resource(max_entries=4, show_spinner=False)
def _columns(key: str, seed: int, _view: RunView) -> redundancy_sources.Columns:
    return redundancy_sources.sample_columns(_view.run.vectors, seed)


@st.cache_resource(max_entries=200, show_spinner="Estimating redundancy ...")
def _sources(
    key: str, seed: int, i: int, n_neighbours: int, _view: RunView
) -> tuple[np.ndarray, np.ndarray]:
    columns = _columns(key, seed, _view)
    return redundancy_sources.find_sources(columns, i, n_neighbours, seed=seed)
