"""The review component: draws the queue, and hands over the decisions that are new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ui.components import browser_script
from ui.components.action_log import new_acts
from ui.components.escape import plain

_component = browser_script.register("review", "dom")


@dataclass(frozen=True)
class ReviewItem:
    """One image of the queue.

    Attributes
    ----------
    id : str
        Of the image.
    position : int
        In the dataset.
    given, suggested, reason : str
        See `ui.state.reviews.Candidate`.
    decided : mapping or None
        {"decision", "label"} made before.
    """

    id: str
    position: int
    given: str
    suggested: str
    reason: str
    decided: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ReviewSources:
    """Where the component finds pictures, and what a label can be.

    Attributes
    ----------
    labels : sequence of str
        The first nine have keys.
    mates : mapping of str to positions
        Typical images of each label.
    thumb, large : str
        Address templates with {i} for the position.
    """

    labels: Sequence[str]
    mates: Mapping[str, Sequence[int]]
    thumb: str
    large: str


def review_queue(
    items: Sequence[ReviewItem], sources: ReviewSources, *, key: str, token: str
) -> list[dict[str, Any]]:
    """Draw the queue and return the decisions that were not returned before.

    Parameters
    ----------
    items : sequence of ReviewItem
        Most doubtful first.
    sources : ReviewSources
        Labels and pictures.
    key : str
        Streamlit key.
    token : str
        Changes when the list is another one; the queue then starts again.

    Returns
    -------
    list of dict
        {"id", "decision", "label"}, or {"undo": True, "id"}, in the order they were made.
    """
    result = _component(
        key=key,
        data={
            "set": token,
            "items": [_as_json(item) for item in items],
            "labels": [plain(label, 60) for label in sources.labels],
            "mates": {plain(label, 60): list(at) for label, at in sources.mates.items()},
            "thumb": sources.thumb,
            "large": sources.large,
        },
        height="content",
        on_log_change=lambda: None,
    )
    return new_acts(result.get("log"), f"{key}:seen")


def _as_json(item: ReviewItem) -> dict[str, Any]:
    decided = item.decided
    return {
        "id": item.id,
        "position": item.position,
        "given": plain(item.given, 60),
        "suggested": plain(item.suggested, 60),
        "reason": plain(item.reason, 240),
        "decided": None if decided is None else {k: decided[k] for k in ("decision", "label")},
    }
