"""Why this image? Everything the engine knows about one image and the coreset's decision, next to
its picture.

Verdict (which rule, rank against threshold, the pruning rate at which it enters), coverage hits and
the neighbours whose redundancy pushed it down, margin over epochs, pseudo-label, nearest kept
image. Only finished artefacts speak.
"""

from __future__ import annotations

import numpy as np
import streamlit as st

from coreset_engine.core.types import Selection
from ui.components import charts
from ui.components.escape import markdown as escaped
from ui.components.thumbnails import gallery, large
from ui.map.colour_columns import TITLES, column, format_number
from ui.selection import controls
from ui.server import routes
from ui.state import session
from ui.state.session import RunView
from ui.views import redundancy_sources


def show_panel(view: RunView, i: int, selection: Selection | None, *, key: str) -> None:
    """Draw the panel for image i. selection: the coreset to explain, or None when there is none
    yet."""
    st.subheader(f"Why {escaped(str(view.dataset.ids[i]), 80)}?", anchor=False)
    picture, words, plot = st.columns([1, 2, 2])
    with picture:
        if view.dataset.reader is not None:
            st.image(large(view.dataset, i, 320), width="stretch")
        pin_buttons(view, i, key)
    with words:
        for line in [*verdict(view, i, selection), *label_lines(view, i), *score_lines(view, i)]:
            st.markdown(line)
    with plot:
        if view.ready("dynamics"):
            margin_chart(view, i, key)
    if selection is not None:
        company(view, i, selection, key)


def pin_buttons(view: RunView, i: int, key: str) -> None:
    """Must-keep, never, or neither, for this image."""
    name = str(view.dataset.ids[i])
    now = controls.pin_of(name)
    marks = {"keep": "Must keep", "never": "Never", None: "Unpin"}
    for kind, label in marks.items():
        if kind == now:
            continue
        if st.button(label, key=f"{key}:pin:{kind}", width="stretch"):
            controls.pin([name], kind)
            st.rerun()
    if now:
        st.caption("Pinned: " + marks[now].lower() + ".")
    if st.button("Close", key=f"{key}:close", width="stretch"):
        session.put("image", "")
        st.rerun()


def verdict(view: RunView, i: int, selection: Selection | None) -> list[str]:
    """Kept or dropped, by which rule, and when that changes."""
    if selection is None:
        return ["No coreset can be computed yet, so there is no verdict."]
    kept = bool((selection.indices == i).any())
    word = "**Kept**" if kept else "**Dropped**"
    pin = controls.pin_of(str(view.dataset.ids[i]))
    if pin:
        return [f"{word}, because you pinned it as {'must keep' if pin == 'keep' else 'never'}."]
    ranking = controls.ranking(view)
    if ranking is None:
        return [
            f"{word} by {escaped(selection.method)}. This method chooses anew for each pruning rate, "
            "so one rate says nothing about another."
        ]
    return [f"{word} by {escaped(selection.method)}: {ranking.reason(i)}.", ranking.enters(i)]


def label_lines(view: RunView, i: int) -> list[str]:
    """Pseudo-label with its confidence and the heads that disagree; the true label where there is
    one."""
    lines = []
    if view.ready("pseudo_labels"):
        pseudo = view.run.pseudo_labels
        line = f"Pseudo-label **cluster {int(pseudo.labels[i])}**, confidence {pseudo.confidence[i]:.0%}"
        if pseudo.agreement is not None:
            line += f", {1 - pseudo.agreement[i]:.0%} of the heads disagree"
        lines.append(line + ".")
    truth = column(view, "true label")
    return (
        lines
        if truth is None
        else [*lines, f"True label **{escaped(truth.labels[truth.codes[i]])}**."]
    )


def score_lines(view: RunView, i: int) -> list[str]:
    """Each finished score of the image, and the share of images below it."""
    lines = []
    for title in (
        TITLES[name] for name in ("aum", "forgetting", "coverage", "redundancy", "score")
    ):
        scores = column(view, title)
        if scores is not None:
            below = float(np.mean(scores.values < scores.values[i]))
            lines.append(
                f"{title} {format_number(float(scores.values[i]))}, higher than {below:.0%} of the images"
            )
    return ["  \n".join(f"- {line}" for line in lines)] if lines else []


def margin_chart(view: RunView, i: int, key: str) -> None:
    """The margin of its label over the epochs: the curve whose mean is AUM."""
    margins = np.asarray(view.run.dynamics.margins[i], dtype=np.float64)
    epochs = np.arange(1, len(margins) + 1)
    figure, data = charts.lines(
        epochs,
        {"margin": margins, "zero": np.zeros(len(margins))},
        title="Margin of the pseudo-label",
        x_axis="epoch",
        y_axis="logit - largest other",
    )
    charts.show(figure, "margin", data, key=f"{key}:margin", height=260)


def company(view: RunView, i: int, selection: Selection, key: str) -> None:
    """The nearest kept image, and the neighbours that pushed this one down."""
    near, pushing = st.columns([1, 3])
    with near:
        j, distance = nearest_kept(view, i, selection)
        if j is not None:
            name = escaped(str(view.dataset.ids[j]), 40)
            st.markdown(f"**Nearest other kept image**  \n{name}, cosine distance {distance:.3f}")
            thumbnail(view, j)
    with pushing:
        pushing_neighbours(view, i, key)


def thumbnail(view: RunView, i: int) -> None:
    if view.dataset.reader is not None:
        st.image(large(view.dataset, i, routes.THUMB_PIXELS), width=routes.THUMB_PIXELS)


def nearest_kept(view: RunView, i: int, selection: Selection) -> tuple[int | None, float]:
    """Position of and cosine distance to the nearest kept image other than i: from the neighbour
    lists where they reach one, else against every kept vector."""
    kept = selection.indices[selection.indices != i]
    if not len(kept):
        return None, float("nan")
    if view.ready("neighbours") and view.run.neighbours.metric == "cosine":
        row = np.asarray(view.run.neighbours.indices[i])
        hits = np.flatnonzero(np.isin(row, kept))
        if len(hits):
            return int(row[hits[0]]), float(view.run.neighbours.distances[i][hits[0]])
    mine = np.asarray(view.run.vectors[i], dtype=np.float32)
    others = np.asarray(view.run.vectors[np.sort(kept)], dtype=np.float32)
    lengths = np.linalg.norm(others, axis=1) * np.linalg.norm(mine)
    distances = 1 - others @ mine / np.maximum(lengths, 1e-12)
    return int(np.sort(kept)[distances.argmin()]), float(distances.min())


def pushing_neighbours(view: RunView, i: int, key: str) -> None:
    """Coverage hits of image i, and the neighbours whose own hits cost it redundancy, strongest
    first."""
    if not view.ready("coverage"):
        return
    scores = view.run.coverage
    alpha = int(scores.info.get("n_neighbours", 1000))
    average = float(np.mean(scores.coverage))
    st.markdown(
        f"**Coverage**  \nNearest to {scores.coverage[i]:,.0f} of {scores.n_samples:,} samples "
        f"(an average image to {average:,.1f}); redundancy took {scores.redundancy[i]:.3g} back."
    )
    found, cost = pushed_by(view, i, alpha)
    if not len(found):
        st.caption("No neighbour pushes it down.")
        return
    first = found[:24]
    st.caption(
        "Pushed down most by these images, which stand in for it; below each its share of the redundancy, "
        "estimated from samples drawn around this image."
    )
    gallery(
        view.dataset,
        first,
        [f"{share:.0%}" if share >= 0.01 else "< 1%" for share in (cost / cost.sum())[:24]],
        key=f"{key}:pushing",
        height=180,
    )


def pushed_by(view: RunView, i: int, alpha: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions (m,) and penalties (m,) of `redundancy_sources.find_sources`; the last 200 answers are kept for the
    server."""
    return _pushers(view.key_of("embeddings"), view.seed, int(i), alpha, view)


@st.cache_resource(max_entries=4, show_spinner=False)
def _columns(key: str, seed: int, _view: RunView) -> redundancy_sources.Columns:
    return redundancy_sources.sample_columns(_view.run.vectors, seed)


@st.cache_resource(max_entries=200, show_spinner="Looking for what stands in for it ...")
def _pushers(
    key: str, seed: int, i: int, alpha: int, _view: RunView
) -> tuple[np.ndarray, np.ndarray]:
    return redundancy_sources.find_sources(_columns(key, seed, _view), i, alpha, seed=seed)
