"""Images the user excluded from every selection, by id, with the reason; each can be undone.

Entries lie in the workspace's history (kind "exclusions") beside corrections. `Run.excluded` gives
the excluded ids, `select` never keeps them, and the manifest names them with their reasons, so that
a selection is reproduced with the exclusions it was made under.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from coreset_engine.artifacts import history
from coreset_engine.artifacts.store import digest
from coreset_engine.core.errors import BadInput

KIND = "exclusions"
Entries = list[dict[str, Any]]


def entries(fingerprint: str, home: Path | str) -> Entries:
    """Exclusions and restorations of a dataset, oldest first, without undone ones."""
    return history.entries(KIND, fingerprint, home)


def exclude(
    fingerprint: str,
    ids: Iterable[str],
    home: Path | str,
    *,
    reason: str = "",
    threshold: float | None = None,
) -> int:
    """Exclude images from every selection of the dataset.

    Nothing is written when all of them were excluded before.

    Parameters
    ----------
    fingerprint : str
        Of the dataset.
    ids : iterable of str
    home : path
        The workspace.
    reason : str
        Why, such as "duplicates".
    threshold : float, optional
        Of the finding, where it has one.

    Returns
    -------
    int
        How many were not excluded before.

    Raises
    ------
    BadInput
        When the disk refuses.
    """
    before = set(excluded(entries(fingerprint, home)))
    fresh = [key for key in dict.fromkeys(map(str, ids)) if key not in before]
    if fresh:
        entry = dict(kind="exclude", ids=fresh, reason=reason, threshold=threshold)
        history.add(KIND, fingerprint, entry, home)
    return len(fresh)


def restore(fingerprint: str, ids: Iterable[str], home: Path | str) -> int:
    """Restore these ids; returns how many of them were excluded."""
    before = set(excluded(entries(fingerprint, home)))
    back = [key for key in dict.fromkeys(map(str, ids)) if key in before]
    if back:
        history.add(KIND, fingerprint, dict(kind="restore", ids=back), home)
    return len(back)


def undo(fingerprint: str, home: Path | str) -> dict[str, Any] | None:
    """Undo the newest entry; that entry, or None where there is none."""
    made = entries(fingerprint, home)
    if not made:
        return None
    history.undo(KIND, fingerprint, home)
    return made[-1]


def excluded(made: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Id -> reason, of the excluded ids, in the order in which they were excluded."""
    reason_of: dict[str, str] = {}
    for entry in made:
        if entry.get("kind") == "exclude":
            for key in entry.get("ids", ()):
                reason_of.setdefault(str(key), str(entry.get("reason", "")))
        elif entry.get("kind") == "restore":
            for key in entry.get("ids", ()):
                reason_of.pop(str(key), None)
    return reason_of


def key(made: Iterable[Mapping[str, Any]]) -> str | None:
    """What identifies the excluded ids, or None when there is none."""
    ids = sorted(excluded(made))
    return digest(ids) if ids else None


def counts(made: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Reason -> number of excluded ids."""
    by_reason: dict[str, int] = {}
    for reason in excluded(made).values():
        by_reason[reason or "chosen by hand"] = by_reason.get(reason or "chosen by hand", 0) + 1
    return by_reason


def checked(value: Any) -> Entries:
    """The entries of a manifest.

    Raises
    ------
    BadInput
        For anything that is not a list of entries.
    """
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise BadInput("the manifest's exclusions are not a list of entries; restore the file.")
    return value
