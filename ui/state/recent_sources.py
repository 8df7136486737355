"""Sources that this workspace has opened before, with their fingerprints."""

from __future__ import annotations

import json
import os

from coreset_engine.artifacts import filesystem
from coreset_engine.core.user_paths import workspace

BUILT_IN = ("demo-photos", "demo", "fashion-mnist")

MAX_LISTED = 12


def recent() -> list[str]:
    """Specs opened here before, newest first; at most `MAX_LISTED`."""
    try:
        listed = json.loads((workspace() / "recent.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return (
        [spec for spec in listed if isinstance(spec, str)][:MAX_LISTED]
        if isinstance(listed, list)
        else []
    )


def is_known(spec: str) -> bool:
    """Whether a link may open `spec` without asking: built in, or opened here before."""
    return spec in BUILT_IN or spec == os.environ.get("CORESET_OPEN") or spec in recent()


def fingerprint_of(spec: str) -> str:
    """The fingerprint of a source opened here before, or "" where it was not noted."""
    return _fingerprints().get(spec, "")


def _fingerprints() -> dict[str, str]:
    try:
        content = json.loads((workspace() / "fingerprints.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {spec: value for spec, value in content.items() if isinstance(value, str)}


def remember(spec: str, fingerprint: str = "") -> None:
    """Put `spec` at the head of the list, and note its fingerprint where one is given."""
    listed = [spec, *(other for other in recent() if other != spec)][:MAX_LISTED]
    known = {one: value for one, value in _fingerprints().items() if one in listed}
    known |= {spec: fingerprint} if fingerprint else {}
    try:
        workspace().mkdir(parents=True, exist_ok=True)
        filesystem.write_atomic(workspace() / "recent.json", json.dumps(listed).encode())
        filesystem.write_atomic(workspace() / "fingerprints.json", json.dumps(known).encode())
    except OSError:
        pass  # a read-only workspace only loses this convenience; jobs say the real trouble
