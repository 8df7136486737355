"""Home: the wall of pictures, goal cards, facts about the source, stages, skipped files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

from coreset_engine.core.counted import counted
from ui.components import charts
from ui.components.escape import markdown as escaped
from ui.components.escape import plain
from ui.components.frame import STAGE_NAMES, stage_names
from ui.components.jobs import submit_button
from ui.components.thumbnails import Tiles, gallery
from ui.selection import controls
from ui.state import session
from ui.views import source_form

PURPOSE = (
    "See what is in an image set, find what is repeated or mislabelled, and choose the images "
    "worth labelling or training on. Nothing leaves this machine."
)
DEMO = "demo-photos"
PAGES = Path(__file__).parents[2] / "pages"
WALL = Path(__file__).parents[1] / "components" / "wall.jpg"
WALL_IMAGES = 39
LABEL_FIRST = 200  # images that the goal "Choose what to label" starts with


@dataclass(frozen=True)
class Goal:
    """What a visitor came for: a card that leads to the right page with the right settings."""

    title: str
    text: str
    page: str
    prepare: Callable[[session.RunView], None]


def _choose_labels(view: session.RunView) -> None:
    controls.remember()
    session.rebind("method", "auto")
    controls.set_count(view, min(LABEL_FIRST, max(1, len(view.full or view) // 2)))


def _shrink(view: session.RunView) -> None:
    controls.remember()
    session.rebind("method", "auto")
    controls.set_rate(0.5)


def _find_errors(view: session.RunView) -> None:
    session.rebind("labels_view", "Review")


def _no_change(view: session.RunView) -> None:
    """The page needs no setting of ours."""


GOALS = (
    Goal(
        "Choose what to label",
        f"The {LABEL_FIRST} images that represent the rest best, for your labelling tool.",
        "pages/select.py",
        _choose_labels,
    ),
    Goal(
        "Remove duplicates",
        "Exact and near-duplicates side by side; keep one of each group.",
        "pages/clean.py",
        _no_change,
    ),
    Goal(
        "Find label errors",
        "Labels that disagree with the images around them, ready to correct.",
        "pages/labels.py",
        _find_errors,
    ),
    Goal(
        "Shrink a training set",
        "Half the images, chosen so that a model loses as little as possible.",
        "pages/select.py",
        _shrink,
    ),
)


def welcome() -> None:
    """Draw the wall of the demo's pictures and the two quickest ways in."""
    st.image(str(WALL), width="stretch")
    with st.container(border=True):
        source_form.quick_open()
    source_form.recent()
    with st.expander("Other sources and reading options", expanded=False):
        source_form.source_form()


def other_sources(view: session.RunView) -> None:
    """Draw the ways to open something else than `view`."""
    source_form.quick_open()
    source_form.recent()
    source_form.source_form()


def goals(view: session.RunView | None) -> None:
    """Draw the goal cards; without a dataset they lead through the demo."""
    st.subheader("What do you want to do?", anchor=False)
    for column, goal in zip(st.columns(len(GOALS)), GOALS, strict=True):
        with column.container(border=True, height="stretch"):
            if st.button(f"{goal.title} →", key=f"goal:{goal.title}", width="stretch"):
                _go(goal, view)
            st.caption(goal.text if view is not None else f"{goal.text} Opens the demo.")


def _go(goal: Goal, view: session.RunView | None) -> None:
    if view is None:
        session.open_dataset(DEMO)
        view = session.current_run()
    if view is not None:
        goal.prepare(view)
    exists = (PAGES.parent / goal.page).is_file()
    st.switch_page(goal.page if exists else "pages/explore.py")


def wall(view: session.RunView) -> None:
    """Draw some of the dataset's pictures, evenly spaced; a click enlarges one."""
    if view.dataset.reader is None:
        return
    count = min(WALL_IMAGES, len(view))
    chosen = np.unique(np.linspace(0, len(view) - 1, count).astype(np.int64))
    chosen = np.random.default_rng(0).permutation(chosen)
    names = [plain(view.dataset.ids[i]) for i in chosen]
    gallery(view.dataset, chosen, Tiles(facts=names), key="wall", height=232)


def summary(view: session.RunView) -> None:
    """Say in one line what is open: images, classes, labels, skipped files."""
    dataset = (view.full or view).dataset
    parts = [counted(len(dataset), "image")]
    if dataset.classes:
        parts.append(counted(len(dataset.classes), "class", "classes"))
    if dataset.labels is not None:
        labelled = int((dataset.labels >= 0).sum())
        parts.append("all labelled" if labelled == len(dataset) else f"{labelled:,} labelled")
    else:
        parts.append("no labels")
    if dataset.n_rejected:
        parts.append(f"{counted(dataset.n_rejected, 'file')} skipped")
    st.markdown(" · ".join(parts))


def computing(view: session.RunView) -> None:
    """Say whether everything is computed, and offer to compute what is not."""
    missing = view.missing()
    if not missing:
        st.markdown(":green-badge[Ready] All stages are computed for these settings.")
        return
    ready = len(session.STAGES) - len(missing)
    st.markdown(
        f":orange-badge[{ready} of {len(session.STAGES)} stages ready] Not computed for these "
        f"settings: {stage_names(missing)}."
    )
    submit_button("Compute", "prepare", view, primary=True)
    st.caption("Runs in the background; you can use other pages meanwhile.")


def source(view: session.RunView) -> None:
    """Draw what the source holds and how it was understood."""
    facts(view.full or view)
    understood(view)
    classes(view.full or view)


def facts(view: session.RunView) -> None:
    """Draw how many images, skipped files, classes and labels there are."""
    dataset = view.dataset
    labelled = 0 if dataset.labels is None else np.count_nonzero(dataset.labels >= 0)
    cells = st.columns(4)
    cells[0].metric("Usable images", f"{len(dataset):,}")
    cells[1].metric(
        "Skipped",
        f"{dataset.n_rejected:,}",
        help="Files that could not be used, each with its reason below.",
    )
    cells[2].metric("Classes", len(dataset.classes) or "none")
    cells[3].metric("Labelled", f"{labelled:,}")


def understood(view: session.RunView, count: int = 8) -> None:
    """What was assumed and lost when the source was opened, and its first rows as understood."""
    dataset = view.dataset
    for note in dataset.notes:
        shown = f" For example: {', '.join(note.examples)}." if note.examples else ""
        st.caption(escaped(f"{note.text[:1].upper()}{note.text[1:]}.{shown}", 700))
    rows = np.unique(np.linspace(0, len(dataset) - 1, min(count, len(dataset))).astype(int))
    table: dict[str, list[str]] = {"Id": [plain(str(dataset.ids[i]), 120) for i in rows]}
    if dataset.labels is not None:
        names = (*dataset.classes, "(none)")
        table["Label"] = [plain(names[dataset.labels[i]], 60) for i in rows]
    for name in list(dataset.columns)[:6]:
        table[plain(name, 40)] = [plain(str(dataset.columns[name][i]), 60) for i in rows]
    st.dataframe(table, hide_index=True, width="stretch")
    st.caption("To read it in another way, open it again with “Reading options”.")


def stages(view: session.RunView) -> None:
    """Draw the stages with their sizes."""
    rows = [
        (STAGE_NAMES[stage].capitalize(), view.ready(stage), view.size(stage))
        for stage in session.STAGES
    ]
    st.table(
        {
            "Stage": [name for name, _, _ in rows],
            "State": [
                f"Ready, {_bytes(size)}" if ready else "Not computed" for _, ready, size in rows
            ],
        },
        hide_index=True,
        border="horizontal",
    )


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size = size / 1000
    return f"{size:.3g} GB"


def rejected(view: session.RunView) -> None:
    """List the skipped files with their reasons; at most 1,000 rows are sent."""
    rows = view.dataset.rejected
    if not rows:
        return
    with st.expander(
        f"{view.dataset.n_rejected:,} skipped file{'s' if view.dataset.n_rejected > 1 else ''}",
        expanded=view.dataset.n_rejected > len(view) // 10,
    ):
        st.dataframe(
            {
                "File": [plain(row.name, 200) for row in rows[:1000]],
                "Reason": [plain(row.reason, 300) for row in rows[:1000]],
            },
            hide_index=True,
            width="stretch",
        )
        st.download_button(
            "Download as CSV",
            lambda: charts.as_csv(
                {"name": [row.name for row in rows], "reason": [row.reason for row in rows]}
            ),
            "rejected.csv",
            "text/csv",
            on_click="ignore",
        )


def classes(view: session.RunView) -> None:
    """Images per class, when the source knows labels; the largest 60 classes."""
    labels = view.dataset.labels
    names = view.dataset.classes
    if labels is None or not names:
        return
    counts = np.bincount(labels[labels >= 0], minlength=len(names))
    order = np.argsort(-counts, kind="stable")[:60] if len(names) > 60 else np.arange(len(names))
    figure, data = charts.bars(
        [names[i] for i in order], {"images": counts[order]}, title="Images per class"
    )
    charts.show(figure, "classes", data, height=280)


def title(view: session.RunView) -> str:
    return escaped(session.short_name(view.spec), 80)
