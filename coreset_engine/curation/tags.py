"""Tags of images: many names per image, kept per dataset in the workspace, append-only.

A tag is a word without spaces, so that tags can stand side by side in one CSV cell, as they do in
FiftyOne's `tags` column of a source. Every change is one line of a log that is on disk before the
call returns; `undo` takes the last one back. Images are named by ids, so that tags stay with their
images whatever else joins or leaves the source.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from coreset_engine.artifacts import history
from coreset_engine.core.errors import BadInput
from coreset_engine.core.export_tags import is_export_tag
from coreset_engine.core.filter_columns import Column
from coreset_engine.core.filters import TAG
from coreset_engine.core.ids import positions_of

KIND = "tags"
SEPARATORS = re.compile(r"[\s,;|]+")
_NAME = re.compile(r"[^\s,;|\"'()<>=!~]{1,60}")
_remembered: dict[tuple[str, str], tuple[Any, dict[str, tuple[str, ...]]]] = {}


@dataclass(frozen=True)
class TagChange:
    """What a change of tags did: the tag, images changed, images that have it now."""

    name: str
    changed: int
    total: int


def check_name(name: str) -> str:
    """`name`, or BadInput where it cannot be a tag."""
    text = str(name).strip()
    reserved = is_export_tag(text)
    if not _NAME.fullmatch(text) or not text.isprintable() or ".." in text or reserved:
        why = "is reserved for the coreset in exports" if reserved else "cannot be a tag"
        raise BadInput(
            f"tag {str(name)[:80]!r} {why}; give a word of at most 60 characters without spaces, "
            "quotes, commas or brackets, for example blurry-background."
        )
    return text


def tags_of(fingerprint: str, home: Path | str) -> dict[str, tuple[str, ...]]:
    """Tag -> ids of its images, in the order they were tagged; tags without images are gone."""
    stamp = history.stamp(KIND, fingerprint, home)
    key = (str(home), fingerprint)
    known = _remembered.get(key)
    if known is not None and known[0] == stamp and stamp is not None:
        return known[1]
    tagged: dict[str, dict[str, None]] = {}
    for entry in history.entries(KIND, fingerprint, home):
        _replay(tagged, entry)
    tags = {name: tuple(ids) for name, ids in sorted(tagged.items()) if ids}
    _remembered[key] = (stamp, tags)
    return tags


def _replay(tagged: dict[str, dict[str, None]], entry: Mapping[str, Any]) -> None:
    name = entry.get("tag")
    if not isinstance(name, str):
        return
    if isinstance(entry.get("rename"), str):
        moved = tagged.pop(entry["rename"], {})
        tagged.setdefault(name, {}).update(moved)
    ids = tagged.setdefault(name, {})
    if entry.get("delete"):
        ids.clear()
    for one in entry.get("add", ()):
        ids[str(one)] = None
    for one in entry.get("remove", ()):
        ids.pop(str(one), None)


def add(fingerprint: str, name: str, ids: Iterable[str], home: Path | str) -> TagChange:
    """Tag images. Those that have the tag keep it; nothing is written where all do.

    Parameters
    ----------
    fingerprint : str
        Of the dataset.
    name : str
        The tag.
    ids : iterable of str
    home : path
        The workspace.

    Returns
    -------
    TagChange
    """
    name = check_name(name)
    there = set(tags_of(fingerprint, home).get(name, ()))
    new = [str(one) for one in dict.fromkeys(map(str, ids)) if str(one) not in there]
    if new:
        history.add(KIND, fingerprint, {"tag": name, "add": new}, home)
    return TagChange(name, len(new), len(there) + len(new))


def remove(fingerprint: str, name: str, ids: Iterable[str] | None, home: Path | str) -> TagChange:
    """Remove a tag from images.

    Parameters
    ----------
    fingerprint : str
        Of the dataset.
    name : str
        The tag.
    ids : iterable of str, optional
        None = all images.
    home : path
        The workspace.

    Returns
    -------
    TagChange

    Raises
    ------
    BadInput
        For an unused tag.
    """
    tags = tags_of(fingerprint, home)
    if name not in tags:
        known = ", ".join(tags) or "none yet"
        raise BadInput(f"no image of this dataset has the tag {name!r}; its tags: {known}.")
    there = set(tags[name])
    gone = sorted(there if ids is None else there & set(map(str, ids)))
    if gone:
        entry = (
            {"tag": name, "delete": True}
            if len(gone) == len(there)
            else {"tag": name, "remove": gone}
        )
        history.add(KIND, fingerprint, entry, home)
    return TagChange(name, len(gone), len(there) - len(gone))


def rename(fingerprint: str, name: str, new: str, home: Path | str) -> TagChange:
    """Rename a tag; where the new name exists, the two become one.

    Parameters
    ----------
    fingerprint : str
        Of the dataset.
    name, new : str
        Present and new name.
    home : path
        The workspace.

    Returns
    -------
    TagChange
    """
    tags = tags_of(fingerprint, home)
    if name not in tags:
        known = ", ".join(tags) or "none yet"
        raise BadInput(f"no image of this dataset has the tag {name!r}; its tags: {known}.")
    new = check_name(new)
    if new != name:
        history.add(KIND, fingerprint, {"tag": new, "rename": name}, home)
    return TagChange(new, len(tags[name]), len(tags_of(fingerprint, home)[new]))


def undo(fingerprint: str, home: Path | str) -> None:
    """Take the last change of tags back."""
    if history.entries(KIND, fingerprint, home):
        history.undo(KIND, fingerprint, home)


def tag_column(ids: Any, tags: Mapping[str, Iterable[str]], source: Column | None) -> Column:
    """The column `tag`: our tags and those the source itself has.

    Parameters
    ----------
    ids
        (N,) ids of the images.
    tags
        Tag -> ids.
    source
        The source's own tags as a column, or None.
    """
    members: dict[str, np.ndarray] = {}
    if source is not None:
        members = {str(name): row.copy() for name, row in zip(source.categories, source.values)}
    for name, tagged in tags.items():
        positions = positions_of(ids, tagged)
        row = members.setdefault(name, np.zeros(len(ids), bool))
        row[positions[positions >= 0]] = True
    names = sorted(members)
    values = np.array([members[name] for name in names], bool).reshape(len(names), len(ids))
    return Column(TAG, "tags", values, np.array(names, str))


def split_tags(text: Any) -> list[str]:
    """The tags in one cell: words with blanks, commas, semicolons or bars between."""
    return [part for part in SEPARATORS.split(str(text or "")) if part]


def source_tags(values: np.ndarray) -> Column:
    """The column `tag` of cells that hold tags, such as FiftyOne's."""
    cells, codes = np.unique(np.asarray(values).astype(str), return_inverse=True)
    split = [split_tags(cell) for cell in cells.tolist()]
    names = sorted({name for cell in split for name in cell})
    has = np.array([[name in cell for cell in split] for name in names], bool)
    return Column(TAG, "tags", has.reshape(len(names), len(cells))[:, codes], np.array(names, str))
