"""The review queue of the Labels page: probable label errors, one key press each.

With labels of the source the list is of probable label errors; without, of images whose cluster
label is doubtful, up to a threshold. Decisions are kept at once and nothing is recomputed.
"""

from __future__ import annotations

import hashlib

import streamlit as st

from coreset_engine.core.counted import counted
from ui.components.escape import markdown as escaped
from ui.components.escape import plain
from ui.components.jobs import submit_button
from ui.components.review import ReviewItem, ReviewSources, review_queue
from ui.server import published
from ui.state import reviews, session
from ui.state.reviews import Candidate
from ui.state.run_view import RunView

ALL = "All labels"


def show_review(view: RunView) -> None:
    """Draw the list's controls and the queue."""
    listed = _listed(view)
    if not listed:
        st.success("No label in this list is doubtful. Change the list above to see others.")
        return
    names = reviews.label_names(view)
    session.put("errors_shown", [str(view.dataset.ids[one.position]) for one in listed])
    if view.dataset.reader is None:
        st.info("This source has vectors only. Open it with an image folder to see the images.")
        return
    st.fragment(_queue)(view, listed, names)
    _outdated(view)


def _listed(view: RunView) -> list[Candidate]:
    """The images that the controls ask for, most doubtful first."""
    has_labels = view.dataset.labels is not None and bool(view.dataset.classes)
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    if not has_labels:
        listed = _below_threshold(view, right)
    elif reviews.has_ranked_errors(view):
        listed, estimate = reviews.ranked_errors(view)
        right.caption(
            f"{counted(len(listed), 'label is', 'labels are')} probably wrong; about "
            f"{estimate:,.0f} in all by confident learning. Most probable first."
        )
    else:
        listed = reviews.differing(view)
        with right:
            st.caption(
                f"{counted(len(listed), 'image has', 'images have')} another label than most of "
                "their cluster; most doubtful first. A model trained on the labels ranks them "
                "more exactly:"
            )
            submit_button("Find label errors", "label_errors", view)
    given_labels = sorted({one.given for one in listed})
    chosen = left.selectbox(
        "Show images labelled",
        [ALL, *given_labels],
        key="review:given",
        format_func=lambda name: plain(name, 60),
    )
    return listed if chosen == ALL else [one for one in listed if one.given == chosen]


def _below_threshold(view: RunView, column) -> list[Candidate]:
    doubt = reviews.doubt_of(view)
    low = float(doubt.values.min())
    high = float(doubt.values.max())
    if low >= high:
        return reviews.doubtful(view, high)
    start = min(max(reviews.first_threshold(doubt), low), high)
    threshold = column.slider(
        f"List images with a {doubt.name} of at most",
        low,
        high,
        start,
        key="review:threshold",
        help=f"Below {doubt.natural:g} another label is more likely. Lower lists fewer images.",
    )
    count = int((doubt.values <= threshold).sum())
    more = f" The first {reviews.MOST:,} are listed." if count > reviews.MOST else ""
    column.caption(f"{count:,} of {len(view):,} images.{more}")
    return reviews.doubtful(view, threshold)


def _queue(view: RunView, listed: list[Candidate], names: list[str]) -> None:
    data = published.of_dataset(view.dataset)
    decided = reviews.decisions(view)
    ids = [str(view.dataset.ids[one.position]) for one in listed]
    items = [
        ReviewItem(name, one.position, one.given, one.suggested, one.reason, decided.get(name))
        for name, one in zip(ids, listed, strict=True)
    ]
    sources = ReviewSources(
        names,
        _mates(view.key_of("pseudo_labels"), view.dataset.fingerprint, view),
        published.thumbnail_address(data) or "",
        published.large_address(data) or "",
    )
    token = hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16]
    for act in review_queue(items, sources, key="review", token=token):
        _take(view, act, set(ids), set(names))


def _take(view: RunView, act: dict, ids: set[str], names: set[str]) -> None:
    """Keep one decision that the queue reports."""
    name = str(act.get("id"))
    if act.get("undo"):
        reviews.undo(view)
        return
    label = str(act.get("label") or "")
    plain_names = {plain(one, 60): one for one in names}
    if name not in ids or (label and label not in plain_names):
        return
    reviews.decide(view, name, str(act.get("decision")), plain_names.get(label, ""))


@st.cache_resource(max_entries=8, show_spinner=False)
def _mates(key: str, fingerprint: str, _view: RunView) -> dict[str, list[int]]:
    return reviews.exemplars(_view)


def _outdated(view: RunView) -> None:
    """Say that results do not know the decisions yet; nothing is recomputed automatically."""
    corrected = [one for one in reviews.decisions(view).values() if one["decision"] == "correct"]
    if corrected:
        last = escaped(str(corrected[-1]["label"]), 60)
        st.caption(
            f"{counted(len(corrected), 'label')} corrected (the last one to {last}). Selections "
            "and "
            "scores shown elsewhere were computed before and stay until you recompute them."
        )
