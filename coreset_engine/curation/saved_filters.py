"""Named filters of a dataset ("views"), kept in the workspace; saving under a name replaces it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coreset_engine.artifacts import history
from coreset_engine.core.errors import BadInput, unknown_name
from coreset_engine.core.filters import Filter, filter_of

KIND = "views"


def saved_filters(fingerprint: str, home: Path | str) -> dict[str, Filter]:
    """Name -> filter, by name; what cannot be read any more is passed over."""
    filters: dict[str, Filter] = {}
    for entry in history.entries(KIND, fingerprint, home):
        name = str(entry.get("name", ""))
        filters.pop(name, None)
        try:
            wanted = filter_of(entry.get("filter"))
        except BadInput:
            continue
        if wanted is not None:
            filters[name] = wanted
    return dict(sorted(filters.items()))


def save_filter(
    fingerprint: str, name: str, wanted: Filter | str | Mapping[str, Any] | None, home: Path | str
) -> Filter:
    """Keep a filter under a name, replacing one of that name.

    Parameters
    ----------
    fingerprint : str
        Of the dataset.
    name : str
    wanted : Filter, str or JSON
        What `core.filters` reads as a filter.
    home : path
        The workspace.

    Returns
    -------
    Filter

    Raises
    ------
    BadInput
        For an empty name or filter.
    """
    text = str(name).strip()
    if not text or len(text) > 80 or not text.isprintable():
        raise BadInput(
            f"view name {text[:80]!r} must be 1 to 80 printable characters, for example night."
        )
    parsed = filter_of(wanted)
    if parsed is None:
        raise BadInput("a view needs a filter; choose at least one value first.")
    history.add(KIND, fingerprint, {"name": text, "filter": parsed.as_json()}, home)
    return parsed


def remove_filter(fingerprint: str, name: str, home: Path | str) -> None:
    """Forget a saved filter. Raises BadInput for an unknown name."""
    saved_filter(fingerprint, name, home)
    history.add(KIND, fingerprint, {"name": name, "filter": None}, home)


def saved_filter(fingerprint: str, name: str, home: Path | str) -> Filter:
    """The filter of that name. Raises BadInput with near misses."""
    known = saved_filters(fingerprint, home)
    if name in known:
        return known[name]
    raise unknown_name("saved filter", name, known)
