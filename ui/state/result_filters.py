"""What the Explore page looks at: filters on columns, a search and a lasso, as one set of images.

Filters are kept in the session by column, each as the JSON of a `core.filters.Filter`. Every column
is counted under the filters of all the others, so that a choice in one never hides its own
alternatives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from coreset_engine.core.errors import BadInput, CoresetError
from coreset_engine.core.filter_columns import apply_filter, spelt_time
from coreset_engine.core.filters import Filter, all_of, filter_of
from coreset_engine.core.ids import positions_of
from coreset_engine.core.types import Selection
from coreset_engine.curation.facets import Facet, facet
from ui.components.facets import FacetSection
from ui.map.colour_columns import TITLES, format_number
from ui.server import published
from ui.state import session
from ui.state.clusters import cluster_names, exemplars_of_unnamed
from ui.state.run_view import RunView

SELECTION = "selection"  # a section without a column: the session's coreset
SIDES = ("selected", "not selected")
MOST_SECTIONS = 24
# Columns that name single images, or repeat another one.
_PASSED_OVER = (
    "id",
    "path",
    "label",
    "pseudo_label",
    "entropy",
    "loss",
    "grand",
    "dyn_unc",
    "tdds",
)
_TITLES = {
    "cluster": "Cluster",
    "class": "Class",
    "tag": "Tags",
    "confidence": "Label confidence",
    "folder": "Folder",
    "width": "Width",
    "height": "Height",
    "size": "File size",
    "modified": "File date",
    "aspect": "Aspect ratio",
    SELECTION: "Selection",
    "excluded": "Excluded on the Clean page",
    "predicted_label": "Predicted class",
    "predicted_confidence": "Confidence of the prediction",
    "predicted_entropy": "Entropy of the prediction",
    "predicted_margin": "Margin of the prediction",
    **{name: title[:1].upper() + title[1:] for name, title in TITLES.items()},
}


@dataclass(frozen=True, eq=False)
class Search:
    """A similarity search whose answer limits the result.

    Attributes
    ----------
    title : str
        What was requested, for people.
    ids : tuple of str
        What was found, most similar first.
    similarity : tuple of float
        Cosine to the query, in [-1, 1].
    """

    title: str
    ids: tuple[str, ...]
    similarity: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class ResultSet:
    """The images that every filter leaves.

    Attributes
    ----------
    mask : (N,) bool
        Of all filters and the search, without the lasso.
    sections : list of FacetSection
        What the filter panel draws.
    search : Search or None
        The active search.
    """

    mask: np.ndarray
    sections: list[FacetSection]
    search: Search | None


# -- what is active


def filters() -> dict[str, Filter]:
    """Column -> filter, as the session holds them; what cannot be read is passed over."""
    by_name = {}
    for name, value in (session.get("filters") or {}).items():
        try:
            wanted = filter_of(value)
        except BadInput:
            continue
        if wanted is not None:
            by_name[name] = wanted
    return by_name


def set_filters(chosen: Mapping[str, Filter | None]) -> None:
    """Replace all filters; None and empty ones are dropped."""
    kept = {name: one.as_json() for name, one in chosen.items() if one is not None}
    session.put("filters", kept)


def drop_filter(name: str) -> None:
    """Remove the filter of one column, or the search."""
    if name == "search":
        session.put("found", None)
    set_filters({other: one for other, one in filters().items() if other != name})


def clear_filters() -> None:
    """Remove every filter and the search."""
    session.put("filters", {})
    session.put("found", None)


def search() -> Search | None:
    """The active search, or None."""
    held = session.get("found")
    return held if isinstance(held, Search) else None


def combined_filter(view: RunView) -> Filter | None:
    """All filters and the search as one filter, for saved views and selections.

    The coreset itself is not a column, so a filter on it is left out.
    """
    chosen = [one for name, one in filters().items() if name != SELECTION]
    hits = search()
    if hits is not None:
        chosen.append(Filter.one_of("id", list(hits.ids)))
    return all_of(chosen)


def restore(wanted: Filter) -> None:
    """Take over a saved filter: one section per column where it is a plain "and" of columns."""
    parts = wanted.parts if wanted.op == "and" else (wanted,)
    chosen: dict[str, Filter] = {}
    for part in parts:
        name = part.columns[0] if len(part.columns) == 1 else part.text
        chosen[name] = chosen[name] & part if name in chosen else part
    session.put("found", None)
    set_filters(chosen)


# -- columns and counts


def column_names(view: RunView) -> list[str]:
    """Columns that can be filtered without computing anything, the useful ones first."""
    available = view.full_run.columns.describe()
    ready = [info.name for info in available if info.ready and info.name not in _PASSED_OVER]
    first = [name for name in ("cluster", "class", "tag") if name in ready]
    return [*first, *(name for name in ready if name not in first)][:MOST_SECTIONS]


def title_of(name: str) -> str:
    """What people read for a column."""
    return _TITLES.get(name, name)


def result_set(view: RunView, selection: Selection | None) -> ResultSet:
    """Apply the active filters and count every column under the filters of the others."""
    n = len(view)
    masks = _masks(view, selection)
    table = view.run.columns
    sections = []
    if selection is not None:
        sections.append(_selection_section(n, selection, _without(masks, SELECTION, n)))
    for name in column_names(view):
        try:
            counted = facet(table.column(name), _without(masks, name, n))
        except CoresetError:
            continue  # a column that a changed source no longer has
        alternatives = len(counted.labels) + bool(counted.missing_total)
        if (len(counted.labels) and alternatives > 1) or name in masks:
            sections.append(_section(view, counted, filters().get(name)))
    mask = _without(masks, None, n)
    return ResultSet(np.ones(n, bool) if mask is None else mask, sections, search())


def take_choice(view: RunView, chosen: Mapping[str, tuple[list[int], bool]]) -> None:
    """Take over what the filter panel says: bars per column -> filters.

    Filters that the panel does not draw, such as a text in a name, stay.
    """
    drawn = {SELECTION, *column_names(view)}
    kept: dict[str, Filter | None] = {
        name: one for name, one in filters().items() if name not in drawn
    }
    for name, (bars, missing) in chosen.items():
        if name == SELECTION:
            sides = [SIDES[bar] for bar in bars if 0 <= bar < len(SIDES)]
            kept[name] = Filter.one_of(SELECTION, sides) if sides else None
        elif name in drawn:
            counted = facet(view.run.columns.column(name))
            bars = [bar for bar in bars if 0 <= bar < len(counted.labels)]
            if bars or missing:
                kept[name] = counted.filter_of(bars, missing)
    set_filters(kept)


def _masks(view: RunView, selection: Selection | None) -> dict[str, np.ndarray]:
    masks = {}
    for name, wanted in filters().items():
        if name == SELECTION:
            masks[name] = _side_mask(len(view), selection, wanted)
            continue
        try:
            masks[name] = apply_filter(wanted, view.run.columns).mask
        except CoresetError:
            drop_filter(name)  # made for another source
    hits = search()
    if hits is not None:
        positions = positions_of(view.dataset.ids, hits.ids)
        masks["search"] = np.zeros(len(view), bool)
        masks["search"][positions[positions >= 0]] = True
    return masks


def _side_mask(n: int, selection: Selection | None, wanted: Filter) -> np.ndarray:
    selected = np.zeros(n, bool)
    if selection is not None:
        selected[selection.indices] = True
    passed = np.zeros(n, bool)
    if SIDES[0] in wanted.values:
        passed |= selected
    if SIDES[1] in wanted.values:
        passed |= ~selected
    return passed


def _without(masks: Mapping[str, np.ndarray], name: str | None, n: int) -> np.ndarray | None:
    """All masks but one, joined; None where nothing is left to apply."""
    others = [mask for key, mask in masks.items() if key != name]
    return np.logical_and.reduce(others) if others else None


def _selection_section(n: int, selection: Selection, mask: np.ndarray | None) -> FacetSection:
    selected = np.zeros(n, bool)
    selected[selection.indices] = True
    passed = np.ones(n, bool) if mask is None else mask
    wanted = filters().get(SELECTION)
    return FacetSection(
        SELECTION,
        title_of(SELECTION),
        SIDES,
        [int((selected & passed).sum()), int((~selected & passed).sum())],
        [int(selected.sum()), int((~selected).sum())],
        [bar for bar, side in enumerate(SIDES) if wanted is not None and side in wanted.values],
    )


def _section(view: RunView, counted: Facet, wanted: Filter | None) -> FacetSection:
    bars, missing = bars_of(counted, wanted)
    return FacetSection(
        counted.name,
        title_of(counted.name),
        _labels(view, counted),
        counted.counts,
        counted.totals,
        bars,
        _edges(counted),
        counted.missing,
        counted.missing_total,
        missing,
        counted.left_out,
        _pictures(view, counted),
        published.thumbnail_address(published.of_dataset(view.dataset)) or "",
    )


def _pictures(view: RunView, counted: Facet) -> dict[int, list[int]]:
    """Bar -> images that stand for it: of clusters that have no name."""
    if counted.name != "cluster" or counted.edges is not None:
        return {}
    shown = exemplars_of_unnamed(view)
    clusters = [int(float(label)) for label in counted.labels]
    return {bar: shown[c] for bar, c in enumerate(clusters) if c in shown}


def _labels(view: RunView, counted: Facet) -> list[str]:
    if counted.name != "cluster" or counted.edges is not None:
        return list(counted.labels)
    names = cluster_names(view)
    numbers = [int(float(label)) for label in counted.labels]
    return [names[at] if 0 <= at < len(names) else str(at) for at in numbers]


def _edges(counted: Facet) -> list[str]:
    if counted.edges is None:
        return []
    spell = spelt_time if counted.kind == "time" else format_number
    return [spell(float(edge)) for edge in counted.edges]


def bars_of(counted: Facet, wanted: Filter | None) -> tuple[list[int], bool]:
    """The bars that a filter keeps, and whether it keeps images without a value.

    Parameters
    ----------
    counted : Facet
        The column's bars.
    wanted : Filter or None
        As `Facet.filter_of` makes them; of others what can be drawn.
    """
    if wanted is None:
        return [], False
    if wanted.op == "or":
        parts = [bars_of(counted, part) for part in wanted.parts]
        bars = sorted({bar for part, _ in parts for bar in part})
        return bars, any(missing for _, missing in parts)
    if wanted.op == "missing":
        return [], True
    if wanted.op == "range" and counted.edges is not None:
        return _bars_between(counted, wanted), False
    if wanted.op in ("is", "in", "tag"):
        values = {_spelt(counted, value) for value in wanted.values}
        spelt = [_spelt(counted, value) for value in counted.values]
        return [bar for bar, value in enumerate(spelt) if value in values], False
    return [], False


def _spelt(counted: Facet, value: str) -> str | float:
    """A value of a column in one form: "3", "3.0" and 3 of a column of numbers are the same."""
    if counted.kind == "number":
        try:
            return float(value)
        except ValueError:
            return value
    return str(Filter.equals(counted.name, value).values[0])


def _bars_between(counted: Facet, wanted: Filter) -> list[int]:
    """The bins from the one that starts at the filter's low to the one that ends at its high."""
    bins = [counted.filter_of([bar]) for bar in range(len(counted.labels))]
    lows = [one.low for one in bins]
    highs = [one.high for one in bins]
    first = lows.index(wanted.low) if wanted.low in lows else 0
    last = highs.index(wanted.high) if wanted.high in highs else len(bins) - 1
    return list(range(first, last + 1))


def ids_at(view: RunView, positions: Iterable[int]) -> list[str]:
    """Ids of the images at these positions."""
    return [str(name) for name in view.dataset.ids[np.asarray(positions, np.int64)]]


def similarity_of(view: RunView, hits: Search) -> dict[int, float]:
    """Position -> cosine to the query, most similar first."""
    positions: Any = positions_of(view.dataset.ids, hits.ids)
    return {
        int(position): value
        for position, value in zip(positions, hits.similarity, strict=True)
        if position >= 0
    }
