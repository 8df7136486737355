"""Internal errors: one sentence and an id for the user, the traceback in CORESET_HOME's log."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

from coreset_engine.artifacts import log
from coreset_engine.artifacts.store import Store


def record(error: BaseException, home: Path | str | None = None) -> str:
    """Log `error` and return the sentence to show."""
    code = os.urandom(3).hex()
    home = home or Store().home
    kind = type(error).__name__
    path = log.path_of(home)
    if not log.write(home, "fault", id=code, fault=kind, trace=traceback.format_exception(error)):
        return f"internal error ({kind}: {error}), id {code}; it could not be logged to {path}."
    return (
        f"internal error {code} ({kind}); details are in {path}; `coreset report` packs them for a "
        "bug report."
    )
