"""Values that belong in a link but not in its text: pins, options, recipe, filters and the basket.

They are stored in the workspace under the hash of their content, and the address holds the hash. A
reload, a bookmark, or a link opened by a colleague on the same workspace restores them, and nothing
is ever overwritten.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from coreset_engine.artifacts import filesystem
from coreset_engine.core.errors import CoresetError
from coreset_engine.pipeline.recipes import RECIPES

STORED = ("must_keep", "never", "params", "advanced", "constraints", "filters", "basket", "recipe")
CONSTRAINTS = ("where", "quotas", "groups", "costs", "budget", "near_duplicates", "beyond")
_KEY = re.compile(r"[0-9a-f]{16}")


def save_values(values: dict[str, Any], home: Path) -> str:
    """Store the values that are not empty; returns their key, or "" where nothing was stored."""
    content = {name: values[name] for name in STORED if values.get(name)}
    if not content:
        return ""
    key = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]
    path = _path(key, home)
    try:
        if not path.exists():
            filesystem.make_folder(path.parent)
            filesystem.write_json(path, content, sync=False)
    except (CoresetError, OSError):
        return ""  # the link then does not restore these values
    return key


def load_values(key: str, home: Path) -> dict[str, Any]:
    """What was stored under `key`; empty for an unknown or malformed key."""
    if not _KEY.fullmatch(key):
        return {}
    content = filesystem.read_json(_path(key, home)) or {}
    loaded: dict[str, Any] = {}
    for name in ("must_keep", "never", "basket"):
        if isinstance(content.get(name), list):
            loaded[name] = tuple(str(one) for one in content[name])
    for name in ("params", "advanced", "filters"):
        if isinstance(content.get(name), dict):
            loaded[name] = {
                str(part): dict(values)
                for part, values in content[name].items()
                if isinstance(values, dict)
            }
    if content.get("recipe") in RECIPES:
        loaded["recipe"] = content["recipe"]
    limits = content.get("constraints")
    if isinstance(limits, dict):
        loaded["constraints"] = {name: limits[name] for name in CONSTRAINTS if name in limits}
    return loaded


def _path(key: str, home: Path) -> Path:
    return Path(home) / "links" / f"{key}.json"
