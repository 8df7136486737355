"""The last state of each dataset in this workspace: what a bare address brings back.

One small file per dataset holds the linked values, what is too long for a link, what no link may
hold (`LOCAL`), and the undo stacks. It is written after a run of a page that changed them, and read
when a session opens the dataset without saying more, or with the very state that was saved (a
reload): undo still works.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coreset_engine.artifacts import filesystem
from coreset_engine.core.errors import CoresetError

STACKS = ("past", "future")
MAX_STEPS = 100
# Values that come back in this workspace but are in no link: paths of this machine, what a page was
# showing, and with which settings each stage was last complete (results stay on screen, outdated).
FILES = ("weights", "predictions")
LOCAL: dict[str, type] = {
    **dict.fromkeys(FILES, str),
    "device": str,
    "labels_view": str,
    "finding": str,
    "clean_thresholds": dict,
    "complete": dict,
}
TUPLES = ("must_keep", "never", "basket")


def save(spec: str, values: Mapping[str, Any], home: Path) -> None:
    """Keep `values` as the last state of the dataset; a read-only workspace keeps nothing."""
    path = _path(spec, home)
    try:
        filesystem.make_folder(path.parent)
        filesystem.write_json(path, {"spec": spec, "values": dict(values)}, sync=False)
    except (CoresetError, OSError, TypeError, ValueError):
        return


def load(spec: str, home: Path) -> dict[str, Any]:
    """The state saved last for this dataset; empty if there is none or it is damaged."""
    content = filesystem.read_json(_path(spec, home)) or {}
    values = content.get("values")
    if content.get("spec") != spec or not isinstance(values, dict):
        return {}
    state = {str(name): value for name, value in values.items()}
    for name in STACKS:
        stack = state.get(name)
        listed = [one for one in stack if isinstance(one, dict)] if isinstance(stack, list) else []
        state[name] = [_tupled(one) for one in listed[-MAX_STEPS:]]
    return _tupled(state)


def take_local(state: dict[str, Any]) -> dict[str, Any]:
    """Remove the `LOCAL` values from `state`; those that hold, without files that are gone."""
    taken = {name: state.pop(name) for name in LOCAL if name in state}
    return {
        name: value
        for name, value in taken.items()
        if isinstance(value, LOCAL[name]) and (name not in FILES or Path(str(value)).exists())
    }


def _tupled(values: dict[str, Any]) -> dict[str, Any]:
    """The values with lists of ids as the tuples they were before they were written."""
    return {
        name: tuple(str(one) for one in value)
        if name in TUPLES and isinstance(value, list)
        else value
        for name, value in values.items()
    }


def _path(spec: str, home: Path) -> Path:
    return Path(home) / "states" / f"{hashlib.sha256(spec.encode()).hexdigest()[:16]}.json"


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two states are equal once written."""
    return json.dumps(one, sort_keys=True, default=list) == json.dumps(
        other, sort_keys=True, default=list
    )
