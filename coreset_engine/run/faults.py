"""Faults of ours: the user sees one sentence and an id; the details go to a rotated log under CORESET_HOME."""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import traceback

from coreset_engine.run.store import Store


def record(fault: BaseException) -> str:
    """Log `fault` and return the sentence to show."""
    mark = os.urandom(3).hex()
    path = Store().home / "log" / "coreset.jsonl"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(path, maxBytes=1_000_000, backupCount=3, encoding="utf-8")
        text = json.dumps(dict(id=mark, fault=type(fault).__name__, trace=traceback.format_exception(fault)))
        handler.emit(logging.LogRecord("coreset", logging.ERROR, "", 0, text, None, None))
        handler.close()
    except OSError:
        return f"a fault of ours ({type(fault).__name__}: {fault}), id {mark}; it could not be logged to {path}."
    return f"a fault of ours, id {mark} ({type(fault).__name__}); the details are in {path}."
