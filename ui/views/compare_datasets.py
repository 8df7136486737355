"""The Compare datasets page: images that occur in both, and regions that one lacks.

A is the opened dataset, B any other source. A job computes the comparison; the page reads it. What
is done about it (excluding, choosing from one what the other lacks) is in
`compare_datasets_actions`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from coreset_engine.artifacts.store import digest
from coreset_engine.core.counted import counted
from coreset_engine.core.errors import CoresetError
from coreset_engine.core.types import Dataset
from coreset_engine.findings.comparison import Regions
from coreset_engine.pipeline.comparison_stage import StoredComparison
from ui.components import charts
from ui.components.escape import markdown as escaped
from ui.components.escape import plain
from ui.components.jobs import submit
from ui.components.palette import category
from ui.components.thumbnails import Tiles, gallery, short_ids
from ui.map.scatter import draw_map
from ui.state import recent_sources, session

KIND_TITLES = {"bytes": "the same file", "pixels": "the same pixels", "near": "nearly the same"}
ALL = "all"
SIDE = "dataset"
MOST_PAIRS = 120
EXAMPLES = 60


@dataclass(frozen=True, eq=False)
class Pair:
    """Two datasets of one workspace. a: the opened one. b: its run has the settings of `a`."""

    a: session.RunView
    b: session.RunView

    @property
    def names(self) -> tuple[str, str]:
        """What the page calls them: "A: train" and "B: test"."""
        a, b = (plain(session.short_name(view.spec), 40) for view in (self.a, self.b))
        return f"A: {a}", f"B: {b}"


@dataclass(frozen=True, eq=False)
class Both:
    """The comparison, and both datasets as one: first the images of A, then those of B."""

    stored: StoredComparison
    dataset: Dataset
    n_a: int
    shown: session.RunView  # the images on the map


class _RunOfBoth:
    """As much of a run as the map asks for: the points, and nothing else computed."""

    def __init__(self, points: np.ndarray, key: str) -> None:
        self.map = points
        self.key = key

    def ready(self, stage: str) -> bool:
        return stage == "map"

    def key_of(self, stage: str) -> str:
        return f"{self.key} {stage}"


# -- which two -------------------------------------------------------------------------------------


def choose(view: session.RunView) -> Pair | None:
    """The opened dataset and the one that was chosen beside it; None until there is one."""
    chosen = session.get("other") or ""
    with st.form("other:form", border=False):
        left, middle, right = st.columns([3, 4, 1.5], vertical_alignment="bottom")
        name = escaped(session.short_name(view.spec), 60)
        left.markdown(f"**A, this dataset:** {name}  \n{counted(len(view), 'image')}")
        typed = middle.text_input(
            "B, the other dataset",
            value=chosen,
            placeholder="/data/test",
            help="A folder, or any source that Home opens, such as fashion-mnist:test.",
        )
        pressed = right.form_submit_button("Compare", type="primary", width="stretch")
    if pressed:
        chosen = _chosen(typed.strip())
    others = [spec for spec in recent_sources.recent() if spec not in (view.spec, chosen)]
    if others and not chosen:
        st.caption("Opened here before:")
        with st.container(horizontal=True):
            for spec in others[:6]:
                label = escaped(session.short_name(spec), 40)
                if st.button(label, key=f"other:{spec}", help=escaped(spec, 300)):
                    chosen = _chosen(spec)
                    st.rerun()
    return _pair(view, chosen) if chosen else None


def _chosen(spec: str) -> str:
    if not spec:
        st.error("No other dataset is named; type a folder, or another source that Home opens.")
    session.put("other", spec)
    return spec


def _pair(view: session.RunView, spec: str) -> Pair | None:
    """Both as views; None after the reason was shown."""
    from coreset_engine.pipeline.beyond import run_of

    try:
        dataset = session.dataset_of(spec)
        run = run_of(dataset.spec, view.run, dataset)
    except CoresetError as error:
        st.error(escaped(str(error)))
        return None
    return Pair(view, session.RunView(dataset.spec, dataset, run, view.config))


# -- what must be computed -------------------------------------------------------------------------


def is_ready(pair: Pair) -> bool:
    """Whether the comparison is in the store."""
    from coreset_engine.pipeline.comparison_stage import ready

    return bool(ready(pair.a.full_run, pair.b.full_run))


def offer_to_compute(pair: Pair) -> None:
    """Say what is missing, with one button."""
    name_a, name_b = (escaped(name) for name in pair.names)
    lacking = [
        f"the embeddings of {name}"
        for name, view in ((name_a, pair.a), (name_b, pair.b))
        if not view.ready("embeddings")
    ]
    needs = f", which needs {' and '.join(lacking)}," if lacking else ""
    with st.container(border=True):
        st.markdown(
            f"**{name_a}** ({counted(len(pair.a), 'image')}) and **{name_b}** "
            f"({len(pair.b):,}) have not been compared. The comparison{needs} is "
            "computed in the background; you can leave this page."
        )
        if st.button("Compute", type="primary", key="submit:compare_sources"):
            submit("compare_sources", pair.a.spec, {**pair.a.job_params, "other": pair.b.spec})


# -- both as one -----------------------------------------------------------------------------------


def compared(pair: Pair) -> Both:
    """The finished comparison."""
    from coreset_engine.pipeline.comparison_stage import key_of

    return _both(key_of(pair.a.full_run, pair.b.full_run), pair)


@st.cache_resource(max_entries=4, show_spinner="Reading the comparison ...")
def _both(key: str, _pair: Pair) -> Both:
    from coreset_engine.pipeline.comparison_stage import comparison

    stored = comparison(_pair.a.full_run, _pair.b.full_run)
    dataset = _joined(_pair, stored, key)
    n_a = len(_pair.a)
    rows = np.concatenate([stored.map.rows_a, n_a + stored.map.rows_b])
    shown = dataset.take(rows)
    run: Any = _RunOfBoth(np.asarray(stored.map.points), key)
    return Both(stored, dataset, n_a, session.RunView(dataset.spec, shown, run, _pair.a.config))


def _joined(pair: Pair, stored: StoredComparison, key: str) -> Dataset:
    names = pair.names
    sides = [np.full(len(view), name) for view, name in zip((pair.a, pair.b), names, strict=True)]
    columns = {SIDE: np.concatenate(sides)}
    made = stored.comparison.regions
    if made is not None:
        labels = np.concatenate([made.label_a, made.label_b])
        columns["region"] = np.array([f"region {label + 1}" for label in labels])
    ids = [
        f"{side} {one}" for side, view in (("A", pair.a), ("B", pair.b)) for one in view.dataset.ids
    ]
    readable = pair.a.dataset.reader is not None and pair.b.dataset.reader is not None
    n_a = len(pair.a)

    def read(i: int) -> Image.Image:
        return pair.a.dataset.image(i) if i < n_a else pair.b.dataset.image(i - n_a)

    return Dataset(
        " and ".join(names),
        np.array(ids),
        digest(["both", key]),
        reader=read if readable else None,
        columns=columns,
    )


# -- what the page shows ---------------------------------------------------------------------------


def summary(pair: Pair, both: Both) -> None:
    """Four numbers, and what the test says."""
    comparison = both.stored.comparison
    leaks = comparison.leakage
    of_a = comparison.leakage_of_a
    cells = st.columns(4)
    shared = "Same bytes, same pixels, or near-duplicates."
    cells[0].metric("Of B, also in A", f"{len(leaks):,}", help=shared)
    cells[1].metric("Of A, also in B", f"{len(of_a):,}", help=shared)
    if comparison.regions is not None:
        less = (len(comparison.regions.lacking_in_a()), len(comparison.regions.lacking_in_b()))
        cells[2].metric(
            "Uneven regions",
            f"{sum(less):,}",
            help=f"{less[0]} with more of B, {less[1]} with more of A. Of the clusters of both "
            "together; the difference of the shares is significant at 1%, corrected for the "
            "number of clusters (Holm).",
        )
    st.caption(
        f"{len(leaks):,} of {leaks.n:,} images of B also occur in A, and {len(of_a):,} of "
        f"{of_a.n:,} images of A in B."
    )
    if comparison.test is not None:
        cells[3].metric(
            "Classifier accuracy",
            f"{comparison.test.accuracy:.0%}",
            help=(
                "Accuracy of a classifier that separates A from B, on held-out images; 50% = "
                "chance level."
            ),
        )
        st.caption(escaped(_sentence(comparison.test.sentence()), 400))
    for warning in comparison.warnings:
        st.warning(escaped(_sentence(warning), 400))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def show_leaks(pair: Pair, both: Both) -> None:
    """The images that occur in both, side by side."""
    leaks = both.stored.comparison.leakage
    st.subheader("Images in both", anchor=False)
    if not len(leaks):
        st.success("No image of B occurs in A (same bytes, same pixels, or near-duplicates).")
        return
    counts = {kind: count for kind, count in leaks.counts().items() if count}
    titles = {ALL: f"All ({len(leaks):,})"}
    titles |= {kind: f"{KIND_TITLES[kind].capitalize()} ({n:,})" for kind, n in counts.items()}
    kind = st.segmented_control(
        "Kind of match",
        list(titles),
        default=ALL,
        format_func=titles.__getitem__,
        key="leaks:kind",
        label_visibility="collapsed",
        required=True,
    )
    at = np.flatnonzero(np.ones(len(leaks), bool) if kind == ALL else leaks.kinds == kind)
    at = at[:MOST_PAIRS]
    if both.dataset.reader is None:
        _pairs_as_table(both, at)
        return
    tiles = np.stack([both.n_a + leaks.positions_b[at], leaks.positions_a[at]], axis=1).ravel()
    facts = [
        f"{KIND_TITLES[leaks.kinds[one]]}, cosine distance {leaks.distances[one]:.4f}"
        for one in np.repeat(at, 2)
    ]
    st.caption("Pairs of one colour: first the image of B, then the one of A.")
    gallery(
        both.dataset,
        tiles,
        Tiles(
            short_ids(both.dataset, tiles, 12),
            facts=facts,
            marks=[category(number // 2) for number in range(len(tiles))],
        ),
        key=f"leaks:{kind}",
        height=260,
    )
    if len(at) == MOST_PAIRS:
        st.caption(f"The first {MOST_PAIRS} pairs are shown.")


def _pairs_as_table(both: Both, at: np.ndarray) -> None:
    """The pairs `at` by name, where a source has no images to show."""
    leaks = both.stored.comparison.leakage
    st.caption(f"{counted(len(at), 'pair')} by name: one of the sources has no images to show.")
    table = {
        "Of B": both.dataset.ids[both.n_a + leaks.positions_b[at]],
        "Of A": both.dataset.ids[leaks.positions_a[at]],
        "How": [KIND_TITLES[kind] for kind in leaks.kinds[at]],
        "Cosine distance": np.round(leaks.distances[at], 5),
    }
    st.dataframe(table, hide_index=True, width="stretch", height=260)


def show_map(both: Both) -> None:
    """One map with the images of both."""
    view = both.shown
    st.subheader("Both on one map", anchor=False)
    colours = [SIDE] + (["region"] if "region" in view.dataset.columns else [])
    colour = st.segmented_control(
        "Colour by",
        colours,
        default=SIDE,
        format_func=str.capitalize,
        key="both:colour",
        required=True,
    )
    n_both = len(both.dataset)
    note = f"a random sample of {len(view):,} of {n_both:,} images" if len(view) < n_both else ""
    draw_map(
        view,
        key="map-both",
        colour=colour or SIDE,
        groups=SIDE,
        height=480,
        note=note,
        label="Map of both datasets",
    )


def show_regions(both: Both) -> None:
    """Clusters of both together by their share in each, and the images of one of them."""
    regions = both.stored.comparison.regions
    if regions is None:
        return
    st.subheader("Regions", anchor=False)
    st.caption(
        "Clusters of both datasets together. A region whose share in B is larger is what A lacks "
        "compared with B."
    )
    order = np.argsort(-regions.ratio, kind="stable")
    left, right = st.columns([1, 1], gap="large")
    with left:
        _region_chart(both, regions, order)
    with right:
        names = {int(one): _region_name(regions, int(one)) for one in order}
        region = st.selectbox(
            "Images of", list(names), format_func=names.__getitem__, key="both:region"
        )
        _examples(both, regions, int(region))


def _region_chart(both: Both, regions: Regions, order: np.ndarray) -> None:
    names = [f"region {one + 1}" for one in order]
    sides = list(dict.fromkeys(both.dataset.columns[SIDE].tolist()))
    shares = {
        sides[0]: np.round(100 * regions.share_a[order], 2),
        sides[-1]: np.round(100 * regions.share_b[order], 2),
    }
    figure, data = charts.bars(
        names, shares, title="Share of each dataset", axis="per cent", sideways=True
    )
    charts.show(figure, "regions", data, height=max(300, 24 * len(names)))


def _region_name(regions: Regions, one: int) -> str:
    title = f"region {one + 1}: {regions.share_a[one]:.1%} of A, {regions.share_b[one]:.1%} of B"
    if regions.p_values[one] >= 0.01:
        return f"{title} (no clear difference)"
    return title


def _examples(both: Both, regions: Regions, region: int) -> None:
    positions = (
        np.flatnonzero(regions.label_a == region),
        np.flatnonzero(regions.label_b == region),
    )
    for side, rows, shift in (("A", positions[0], 0), ("B", positions[1], both.n_a)):
        st.markdown(f"**{side}**: {counted(len(rows), 'image')}")
        if both.dataset.reader is None:
            continue
        tiles = shift + rows[:EXAMPLES]
        gallery(
            both.dataset,
            tiles,
            Tiles(short_ids(both.dataset, tiles, 12)),
            key=f"region:{side}",
            height=190,
        )
