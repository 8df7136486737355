"""Carry decisions about a source over to its changed state.

Labels, rounds of labelling, decisions on label errors, exclusions, tags and saved filters are kept
per fingerprint, by image id. An image that was renamed keeps its labels and decisions; those of
images that are gone or hold another picture is left behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coreset_engine.artifacts import history

# Logs that are carried over. Corrections of clusters belong to a clustering, which is recomputed.
KINDS = ("labels", "rounds", "label-decisions", "exclusions", "tags", "views")
LISTS = ("ids", "add", "remove")  # entries' lists of ids
MAPS = ("labels",)  # entries' mappings from id
SINGLE = "id"


def carry_over(
    former: str, fingerprint: str, ids_now: Mapping[str, str], home: Path | str
) -> dict[str, int]:
    """Copy the logs of the former state to a state that has none of that kind.

    Parameters
    ----------
    former, fingerprint
        Of the earlier state and of the source as it is.
    ids_now
        Earlier id -> id now, of the images that are still there.

    Returns
    -------
    dict
        Kind -> entries copied, for the kinds that had any.
    """
    copied: dict[str, int] = {}
    if former == fingerprint:
        return copied
    for kind in KINDS:
        if history.entries(kind, fingerprint, home):
            continue
        for entry in history.entries(kind, former, home):
            moved = _moved(entry, ids_now)
            if moved is not None:
                history.add(kind, fingerprint, moved, home)
                copied[kind] = copied.get(kind, 0) + 1
    return copied


def _moved(entry: Mapping[str, Any], ids_now: Mapping[str, str]) -> dict[str, Any] | None:
    """The entry with the ids that images have now; None where it spoke of one that is gone."""
    entry_fields = {name: value for name, value in entry.items() if name != "at"}
    if isinstance(entry_fields.get(SINGLE), str):
        if entry_fields[SINGLE] not in ids_now:
            return None
        entry_fields[SINGLE] = ids_now[entry_fields[SINGLE]]
    for name in LISTS:
        if isinstance(entry_fields.get(name), list):
            entry_fields[name] = [ids_now[key] for key in entry_fields[name] if key in ids_now]
    for name in MAPS:
        if isinstance(entry_fields.get(name), dict):
            pairs = entry_fields[name].items()
            entry_fields[name] = {ids_now[key]: value for key, value in pairs if key in ids_now}
    return entry_fields
