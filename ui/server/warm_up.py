"""What a first visitor would wait for, done while the server waits for one.

Streamlit runs a page's script when a browser connects, and the first run imports what the pages
draw with (plotly, pandas, the views), opens the dataset, and loads or compiles the kernels of the
recommended methods: three seconds and more on a fresh server. A thread does all of it right after
the start, one step at a time, and waits with the next step while a page is being drawn: a visitor
who comes early waits for what the page needs, not for the rest as well.
"""

from __future__ import annotations

import importlib
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from coreset_engine.core import fiftyone_database
from coreset_engine.core.errors import CoresetError
from ui.server import html_shell, static_files

FIRST = ("ui.views.home", "ui.views.settings", "ui.views.source_form", "ui.views.source_update")
LIBRARIES = ("pandas", "pyarrow", "sklearn.metrics", "scipy.optimize", "plotly.graph_objects")
ENGINE = (
    "coreset_engine.artifacts.store",
    "coreset_engine.pipeline.run",
    "coreset_engine.pipeline.select",
    "coreset_engine.pipeline.sampled_run",
    "coreset_engine.curation.facets",
    "coreset_engine.evaluation.inclusion",
)
METHODS_OF_RULE = ("kmedoids", "probcover")  # what `auto` takes while there is no forecast
_VIEWS = Path(__file__).parents[1] / "views"
_PATIENCE = 20.0  # seconds that a step waits for pages at most
_pages = threading.Condition()
_drawn_now = [0]
_thread: list[threading.Thread] = []


def start() -> threading.Thread:
    """Begin warming up in the background; returns the thread."""
    thread = threading.Thread(target=warm_up, name="warm-up", daemon=True)
    _thread[:] = [thread]
    thread.start()
    return thread


@contextmanager
def page_first() -> Iterator[None]:
    """While a page is drawn inside, no further step of the warm-up begins."""
    with _pages:
        _drawn_now[0] += 1
    try:
        yield
    finally:
        with _pages:
            _drawn_now[0] -= 1
            _pages.notify_all()


def _wait_for_pages() -> None:
    """Wait until no page is drawn; only the warm-up's own thread waits."""
    if threading.current_thread() not in _thread:
        return
    with _pages:
        _pages.wait_for(lambda: _drawn_now[0] == 0, _PATIENCE)


def warm_up() -> None:
    """Import what pages import, open the dataset that the server starts with, load the methods.

    What Home needs comes first: it is the page that most visitors see first.
    """
    _import(*FIRST, *ENGINE)
    spec = os.environ.get("CORESET_OPEN")
    if spec:
        _open(spec)
    _import(*LIBRARIES)
    _wait_for_pages()
    load_methods()
    _import(*(f"ui.views.{path.stem}" for path in sorted(_VIEWS.glob("[a-z]*.py"))))
    _wait_for_pages()
    draw_once()
    _wait_for_pages()
    fiftyone_database.find()  # runs its mongod once, a second on a fresh machine
    for name in html_shell.named_files():
        _wait_for_pages()
        static_files.compress([name])


def _import(*names: str) -> None:
    for name in names:
        _wait_for_pages()
        importlib.import_module(name)


def draw_once() -> None:
    """Make a chart and compare two labellings: both load libraries when they first run."""
    import numpy as np

    from coreset_engine.clustering.contingency import label_quality
    from ui.components import charts

    charts.bars(["a", "b"], {"images": np.array([1, 2])}, title="")
    label_quality(np.array([0, 1, 1]), np.array([0, 1, 0]))


def _open(spec: str) -> None:
    from ui.state import session

    try:
        session.preload(spec)
    except (CoresetError, OSError) as error:  # the page says it with its remedy
        logging.getLogger("coreset_explorer").info("%s cannot be opened yet: %s", spec, error)


def load_methods() -> None:
    """Select a few of made-up vectors, so that the methods' kernels are loaded or compiled."""
    import numpy as np

    from coreset_engine.core.registry import METHODS, load
    from coreset_engine.core.types import Dataset, Neighbours, PseudoLabels

    n = 64
    vectors = np.random.default_rng(0).normal(size=(n, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    distances = 1 - vectors @ vectors.T
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :10]
    inputs = SimpleNamespace(
        dataset=Dataset("warm-up", np.array([str(i) for i in range(n)]), "warm-up"),
        vectors=vectors,
        neighbours=Neighbours(nearest, np.take_along_axis(distances, nearest, 1)),
        pseudo_labels=PseudoLabels(np.arange(n) % 4, np.ones(n, np.float32), 4),
        seed=0,
    )
    for name in METHODS_OF_RULE:
        row = METHODS[name]
        load(row.function)(inputs, 5, load(row.config)(), 0)
