"""What the user marks while looking: the basket of picked images, tags with their keys, labels.

The basket belongs to the session and is known on every page. Tags belong to the dataset and lie in
the workspace (`coreset_engine.curation.tags`), so that exports and filters know them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from coreset_engine.core.ids import positions_of
from coreset_engine.curation import tags
from ui.state import reviews, session
from ui.state.run_view import RunView

MOST_PICKED = 20_000
KEYS = 9  # tags that have a key


def basket() -> tuple[str, ...]:
    """Ids of the picked images, in the order they were picked."""
    return tuple(session.get("basket") or ())


def put_in_basket(ids: Iterable[str], on: bool = True) -> None:
    """Pick these images, or take them out again."""
    changed = dict.fromkeys(map(str, ids))
    kept = [name for name in basket() if name not in changed]
    if on:
        kept += list(changed)
    session.put("basket", tuple(kept[:MOST_PICKED]))


def empty_basket() -> None:
    """Take every image out of the basket."""
    session.put("basket", ())


def basket_positions(view: RunView) -> np.ndarray:
    """(m,) int64 positions of the picked images that this source has."""
    positions = positions_of(view.dataset.ids, basket())
    return positions[positions >= 0]


def tags_of(view: RunView) -> Mapping[str, tuple[str, ...]]:
    """Tag -> ids of the images that have it."""
    return tags.tags_of(_fingerprint(view), session.home())


def tags_of_image(view: RunView, name: str) -> list[str]:
    """The tags of one image, by name."""
    return [tag for tag, ids in tags_of(view).items() if name in ids]


def tag_keys(view: RunView) -> list[str]:
    """The tags with keys 1 to 9: in the order they were first used in this session."""
    held = [name for name in session.get("tag_keys") or ()]
    known = [*held, *(name for name in tags_of(view) if name not in held)]
    return known[:KEYS]


def set_tag(view: RunView, name: str, ids: Iterable[str], on: bool = True) -> int:
    """Give images a tag, or take it.

    Parameters
    ----------
    view : RunView
    name : str
        A word without spaces.
    ids : iterable of str
        Images of the dataset.
    on : bool
        Give it, or take it.

    Returns
    -------
    int
        How many images changed.

    Raises
    ------
    BadInput
        For a name that cannot be a tag.
    """
    if on:
        change = tags.add(_fingerprint(view), name, ids, session.home())
        held = list(session.get("tag_keys") or ())
        if change.name not in held:
            session.put("tag_keys", tuple([*held, change.name]))
        return change.changed
    if name not in tags_of(view):
        return 0
    return tags.remove(_fingerprint(view), name, ids, session.home()).changed


def apply_acts(view: RunView, acts: Any) -> bool:
    """Take over what a gallery reported; returns whether anything changed.

    Parameters
    ----------
    view : RunView
        The opened run; ids it does not have are passed over.
    acts : list of dict
        {"kind": "basket" or "tag", "id", "on", "name"} or {"kind": "label", "id", "label"} with a
        position in `reviews.label_names`, in the order they were done.
    """
    acts = [act for act in acts if isinstance(act, Mapping)] if isinstance(acts, list) else []
    names = [str(act.get("id")) for act in acts]
    known = positions_of(view.dataset.ids, names) >= 0 if names else ()
    changed = False
    for act, name, is_known in zip(acts, names, known, strict=True):
        if not is_known:
            continue
        changed = True
        if act.get("kind") == "basket":
            put_in_basket([name], bool(act.get("on")))
        elif act.get("kind") == "tag":
            set_tag(view, str(act.get("name")), [name], bool(act.get("on")))
        elif act.get("kind") == "label":
            _correct(view, name, act.get("label"))
    return changed


def _correct(view: RunView, name: str, label: Any) -> None:
    """Give an image the label at this position of the names; nothing for another position."""
    names = reviews.label_names(view)
    if isinstance(label, int) and 0 <= label < len(names):
        reviews.decide(view, name, reviews.CORRECT, names[label])


def _fingerprint(view: RunView) -> str:
    return (view.full or view).dataset.fingerprint
