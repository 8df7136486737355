"""What the map can be coloured by: computed scores, labels and metadata, as codes for the browser.

Categories become uint16 codes. Numbers become 255 steps between their 1st and 99th percentile (255
= missing), so that one outlier does not flatten the rest; the exact values stay here for the hover
card. No stage is computed here: a column is available once its artefact is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from coreset_engine.core.registry import METHODS
from coreset_engine.core.types import Dataset
from coreset_engine.selection.budget import kept_count
from ui.components.escape import escape_option
from ui.state.clusters import cluster_names
from ui.state.run_view import RunView

if TYPE_CHECKING:
    from coreset_engine.pipeline.run import Run
    from coreset_engine.pipeline.sampled_run import Sampled

MEMBERSHIP = "membership"  # also the value in links: selected or not selected
_MISSING = 255
_MAX_LABELS = 200  # more distinct texts than this are useless as colours
BINS = 48


@dataclass(frozen=True, eq=False)
class Column:
    """One value per image.

    Attributes
    ----------
    name : str
        What people read.
    kind : {"category", "number"}
        What the codes mean: an index into `labels`, or a step in 0..254 with 255 = missing.
    values : (N,) array
        The exact values.
    codes : (N,) uint16
        What the browser gets.
    labels : tuple of str
        Names of the categories.
    low, high : float
        Values of the first and the last step.
    """

    name: str
    kind: str
    values: np.ndarray
    codes: np.ndarray
    labels: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0

    def describe(self, i: int) -> str:
        """One line about image i, e.g. "AUM: 0.31"."""
        if self.kind == "category":
            return f"{group_word(self.name)}: {self.labels[self.codes[i]]}"
        return f"{self.name}: {format_number(float(self.values[i]))}"

    def cells(self) -> list[str | float | None]:
        """One cell per image for a table: the label, or the exact number; None = missing."""
        if self.kind == "category":
            return [self.labels[code] for code in self.codes]
        values = np.asarray(self.values, dtype=np.float64).tolist()
        shown = [value if np.isfinite(value) else str(value) for value in values]
        return [None if np.isnan(value) else cell for value, cell in zip(values, shown)]

    def bins(self) -> np.ndarray:
        """(N,) uint16 in [0, BINS]: the histogram bin of each image; BINS = missing."""
        binned = (self.codes.astype(np.int64) * BINS // _MISSING).astype(np.uint16)
        return np.minimum(binned, BINS - 1) + (self.codes == _MISSING).astype(np.uint16)


def format_number(value: float) -> str:
    """Three significant digits; an infinite forgetting count reads "never learned"."""
    if np.isposinf(value):
        return "never learned"
    if np.isnan(value):
        return "none"
    return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def categories(name: str, codes: np.ndarray, labels: list[str]) -> Column:
    """A column of categories. codes: (N,) integers; -1 gets the label "unknown"."""
    codes = np.asarray(codes)
    if (codes < 0).any():
        labels = [*labels, "unknown"]
        codes = np.where(codes < 0, len(labels) - 1, codes)
    return Column(name, "category", codes, codes.astype(np.uint16), tuple(map(str, labels)))


def numbers(name: str, values: np.ndarray) -> Column:
    """A column of numbers. values: (N,) float; infinite ones get the end of the scale."""
    values = np.asarray(values, dtype=np.float64)
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [1, 99]) if len(finite) else (0.0, 1.0)
    if high <= low:
        low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    steps = (
        np.clip(np.nan_to_num((values - low) / ((high - low) or 1.0), posinf=1.0, neginf=0.0), 0, 1)
        * 254
    )
    codes = np.where(np.isnan(values), _MISSING, np.rint(steps)).astype(np.uint16)
    return Column(name, "number", values, codes, low=float(low), high=float(high))


def available_columns(view: RunView) -> dict[str, Callable[[], Column]]:
    """Name -> function that makes the column, for all columns that need no further computation."""
    rows: dict[str, Callable[[], Column]] = {}
    run = view.run
    dataset = view.dataset
    if view.ready("pseudo_labels"):
        rows["pseudo-label"] = lambda: _pseudo(view)
    if dataset.labels is not None:
        names = list(dataset.classes)
        rows["true label"] = partial(categories, "true label", dataset.labels, names)
    if view.ready("pseudo_labels"):
        rows["label confidence"] = lambda: numbers("label confidence", run.pseudo_labels.confidence)
    if view.ready("dynamics"):
        for name in ("aum", "forgetting", "el2n", "entropy"):
            rows[TITLES[name]] = partial(_scores, run, "dynamics", name)
    if view.ready("coverage"):
        for name in ("score", "coverage", "redundancy"):
            rows[TITLES[name]] = partial(_scores, run, "coverage", name)
    for drawn in _inclusions(view):
        title = METHODS[drawn.method].title if drawn.method in METHODS else drawn.method
        kept = kept_count(len(drawn.share), drawn.prune_rate)
        name = f"selected in {drawn.draws} draws: {title}, {kept:,} images"
        rows[name] = partial(numbers, name, drawn.share)
    rows |= _label_columns(view)
    for name in dataset.columns:
        rows.setdefault(name, partial(_own_column, dataset, name))
    return rows


def _scores(run: Run | Sampled, artefact: str, name: str) -> Column:
    return numbers(TITLES[name], getattr(getattr(run, artefact), name))


def _own_column(dataset: Dataset, name: str) -> Column:
    return _metadata(name, np.asarray(dataset.columns[name]))


# What people and their model said -> (title, column of a selection, whether it is a number).
SAID = (
    ("given label", "given_label", False),
    ("round of labelling", "round", False),
    ("probable label error", "label_error", True),
    ("decision on its label", "label_decision", False),
)
PREDICTED = (
    ("predicted class", "predicted_label", False),
    ("entropy of your model", "predicted_entropy", True),
    ("margin of your model", "predicted_margin", True),
    ("confidence of your model", "predicted_confidence", True),
    ("prediction differs from label", "disagrees_with_label", False),
    ("prediction differs from cluster", "disagrees_with_cluster", False),
)
CHANGING = frozenset(title for title, _, _ in SAID)  # a cached column would miss an import


def _label_columns(view: RunView) -> dict[str, Callable[[], Column]]:
    """Columns of round labels and of the user's own predictions, where available."""
    from coreset_engine.artifacts import label_log
    from coreset_engine.pipeline.manifest import label_columns, prediction_columns

    run = view.run
    if view.full is not None or not hasattr(run, "store"):
        return {}
    fingerprint = view.dataset.fingerprint
    home = run.store.home
    state = label_log.read(fingerprint, home)
    there = dict(
        given_label=state.labels,
        round=state.rounds,
        label_error=label_log.suspects(fingerprint, home),
        label_decision=label_log.decisions(fingerprint, home),
    )
    rows = [(row, label_columns) for row in SAID if there[row[1]]]
    if run.config.predictions:
        rows += [(row, prediction_columns) for row in PREDICTED]

    def column_of(row: tuple[str, str, bool], made: Callable[[Any], Any]) -> Column:
        title, name, number = row
        return _column_or_nan(title, made(run).get(name), number, len(view))

    return {row[0]: partial(column_of, row, made) for row, made in rows}


def _column_or_nan(title: str, values: np.ndarray | None, number: bool, n: int) -> Column:
    """One such column; `values` is None where it is not known yet."""
    if values is None:
        return numbers(title, np.full(n, np.nan))
    if number:
        return numbers(title, values)
    if values.dtype.kind == "f":
        words = np.array(["same", "differs", "not known"], object)
        values = words[np.where(np.isnan(values), 2, values).astype(int)]
    if values.dtype.kind == "i":
        rounds = ["none", *(f"round {r}" for r in range(int(values.max()) + 1))]
        values = np.array(rounds, object)[values + 1]
    texts = np.where(values == "", "none", values)
    return _metadata(title, texts)


def _inclusions(view: RunView) -> list:
    """The newest measured inclusion probabilities; none for a run without a store."""
    from coreset_engine.evaluation.inclusion import finished

    return finished(view.run)[:4] if hasattr(view.run, "store") else []


TITLES = {
    "aum": "AUM",
    "forgetting": "forgetting",
    "el2n": "EL2N",
    "entropy": "entropy",
    "score": "BlindCS score",
    "coverage": "coverage",
    "redundancy": "redundancy",
}


GROUP_WORDS = {"pseudo-label": "cluster", "true label": "class"}


def group_word(name: str) -> str:
    """What one value of a categorical column is called, e.g. "cluster"."""
    return GROUP_WORDS.get(name, name)


def colour_title(name: str) -> str:
    """What the menu of colours shows for a column."""
    return "selection" if name == MEMBERSHIP else escape_option(group_word(name))


# Of each run while it is held: name -> column.
_MADE: WeakKeyDictionary[object, dict[str, Column]] = WeakKeyDictionary()


def column(view: RunView, name: str) -> Column | None:
    """The column called `name`, or None when it is not available; made once a run."""
    made = _MADE.setdefault(view.run, {})
    if name not in made or name in CHANGING:
        make = available_columns(view).get(name)
        if make is None:
            return None
        made[name] = make()
    return made[name]


def known_column(view: RunView, name: str) -> Column:
    """The column called `name`, of those that are available."""
    made = column(view, name)
    assert made is not None, name
    return made


def _pseudo(view: RunView) -> Column:
    pseudo = view.run.pseudo_labels
    return categories("pseudo-label", pseudo.labels, cluster_names(view))


def _metadata(name: str, values: np.ndarray) -> Column:
    if np.issubdtype(values.dtype, np.number) and not np.issubdtype(values.dtype, np.bool_):
        return numbers(name, values)
    texts, codes = np.unique(values.astype(str), return_inverse=True)
    if len(texts) > _MAX_LABELS:
        common = np.argsort(-np.bincount(codes), kind="stable")[:_MAX_LABELS]
        code_of = np.full(len(texts), _MAX_LABELS)
        code_of[common] = np.arange(_MAX_LABELS)
        codes = code_of[codes]
        texts = np.append(texts[common], "others")
    return categories(name, codes, list(texts))
