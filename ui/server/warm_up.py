"""What a first visitor would wait for, done while the server waits for one.

Streamlit runs a page's script when a browser connects, and the first run imports what the pages
draw with (plotly, pandas, the views) and opens the dataset: a second and more on a fresh server. A
thread does both right after the start; whoever comes meanwhile waits for no longer than before.
"""

from __future__ import annotations

import importlib
import logging
import os
import threading
from pathlib import Path

from coreset_engine.core.errors import CoresetError

LIBRARIES = ("plotly.graph_objects", "pandas", "pyarrow")
_VIEWS = Path(__file__).parents[1] / "views"


def start() -> threading.Thread:
    """Begin warming up in the background; returns the thread."""
    thread = threading.Thread(target=warm_up, name="warm-up", daemon=True)
    thread.start()
    return thread


def warm_up() -> None:
    """Import what pages import, then open the dataset that the server starts with."""
    for name in (
        *LIBRARIES,
        *(f"ui.views.{path.stem}" for path in sorted(_VIEWS.glob("[a-z]*.py"))),
    ):
        importlib.import_module(name)
    spec = os.environ.get("CORESET_OPEN")
    if spec:
        _open(spec)


def _open(spec: str) -> None:
    from ui.state import session

    try:
        session.preload(spec)
    except (CoresetError, OSError) as error:  # the page says it with its remedy
        logging.getLogger("coreset_explorer").info("%s cannot be opened yet: %s", spec, error)
