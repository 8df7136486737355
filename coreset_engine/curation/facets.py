"""Counts per value and histograms under other filters: what a bar chart next to a gallery shows.

Cross-filtering: each column is counted under the filters of all the others, so that choosing one
bar does not make its neighbours vanish. Values are binned once per column; a count then is one pass
over small integers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from coreset_engine.core.errors import BadInput
from coreset_engine.core.filter_columns import (
    Column,
    ColumnTable,
    apply_filter,
    category_counts,
    spelt_number,
    spelt_time,
)
from coreset_engine.core.filters import TAG, Filter, all_of

BINS = 30
FEW = 30  # distinct numbers up to which each is a bar of its own
MOST = 50  # bars of a text, most frequent first


@dataclass(frozen=True, eq=False)
class Facet:
    """One column counted.

    Parameters
    ----------
    name, kind : str
    labels : tuple of str
        What each bar stands for: a value, or "low..high" of a bin.
    counts, totals : ndarray, (V,) int64
        Images of each bar under the other filters, and of all images.
    edges : ndarray, (V + 1,) float64, or None
        Of the bins of a histogram; the last bin holds its upper edge.
    missing, missing_total : int
        Images without a value, under the other filters and of all.
    left_out : int
        Values beyond the MOST bars that are shown.
    values : tuple of str
        The exact value of each bar that is not a bin.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    counts: np.ndarray
    totals: np.ndarray
    edges: np.ndarray | None = None
    missing: int = 0
    missing_total: int = 0
    left_out: int = 0
    values: tuple[str, ...] = ()

    def filter_of(self, bars: Iterable[int], missing: bool = False) -> Filter:
        """The filter of a click on these bars; `missing` adds images without a value."""
        chosen = sorted(set(bars))
        parts = [Filter.missing(self.name)] if missing else []
        if not chosen and not missing:
            raise BadInput(f"no bar of {self.name!r} is chosen; choose one or drop the filter.")
        if self.edges is not None:
            parts += [self._range(first, last) for first, last in _runs(chosen)]
        elif chosen:
            values = [self.values[at] for at in chosen]
            one = Filter.equals(self.name, values[0])
            parts.append(one if len(values) == 1 else Filter.one_of(self.name, values))
        combined = parts[0]
        for other in parts[1:]:
            combined = combined | other
        return combined

    def _range(self, first: int, last: int) -> Filter:
        edges = self.edges
        assert edges is not None
        final = last == len(self.labels) - 1
        low: Any = float(edges[first])
        high: Any = float(edges[last + 1])
        if self.kind == "time":
            low = spelt_time(low)
            high = spelt_time(high)
        return Filter("range", self.name, low=low, high=high, high_open=not final)


@dataclass(frozen=True, eq=False)
class CrossFilter:
    """Several filters at once.

    Parameters
    ----------
    mask : ndarray, (N,) bool
        Images that pass all of them.
    facets : dict
        Column -> its Facet under the filters of the other columns.
    """

    mask: np.ndarray
    facets: dict[str, Facet]

    @property
    def matched(self) -> int:
        return int(self.mask.sum())


def cross_filter(
    table: ColumnTable,
    chosen: Mapping[str, Filter],
    names: Iterable[str],
    *,
    bins: int = BINS,
) -> CrossFilter:
    """Masks and counts for a page with several facets.

    Parameters
    ----------
    table
        Of a run: `run.columns`.
    chosen
        Key -> filter. A key that is a column's name is left out of that column's own counts; any
        other key (a search, a saved view) counts for all.
    names
        Columns to count.
    bins
        Of histograms.

    Raises
    ------
    BadInput
        For unknown columns.
    """
    masks = {key: apply_filter(one, table).mask for key, one in chosen.items()}
    facets = {}
    for name in names:
        others = [mask for key, mask in masks.items() if key != name]
        mask = np.logical_and.reduce(others) if others else None
        facets[name] = facet(table.column(name), mask, bins=bins)
    if masks:
        return CrossFilter(np.logical_and.reduce(list(masks.values())), facets)
    return CrossFilter(np.ones(len(table.column("id")), bool), facets)


def facet(column: Column, mask: np.ndarray | None = None, *, bins: int = BINS) -> Facet:
    """Counts of one column among the images of `mask` (N,) bool; None = all."""
    absent = _missing(column)
    missing_total = int(absent.sum())
    missing = missing_total if mask is None else int((absent & mask).sum())
    if column.kind in ("number", "time"):
        codes, edges, labels, is_bins = binned(column, bins)
        some = codes if mask is None else codes[mask]
        counts = np.bincount(some, minlength=len(labels) + 1)[1:]
        totals = np.bincount(codes, minlength=len(labels) + 1)[1:]
        return Facet(
            column.name,
            column.kind,
            labels,
            counts,
            totals,
            edges if is_bins else None,
            missing,
            missing_total,
            values=() if is_bins else tuple(_exact(value) for value in edges.tolist()),
        )
    totals = _totals(column)
    counts = totals if mask is None else category_counts(column, mask)
    order = np.argsort(-totals, kind="stable")[:MOST]
    return Facet(
        column.name,
        column.kind,
        tuple(column.categories[order].tolist()),
        counts[order],
        totals[order],
        None,
        missing,
        missing_total,
        len(totals) - len(order),
        tuple(column.categories[order].tolist()),
    )


@lru_cache(maxsize=64)
def _missing(column: Column) -> np.ndarray:
    return column.is_missing


@lru_cache(maxsize=64)
def _totals(column: Column) -> np.ndarray:
    return category_counts(column)


@lru_cache(maxsize=64)
def binned(column: Column, bins: int) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], bool]:
    """(codes (N,) int16 with 0 = missing and 1.. = bar, edges, labels, whether bars are bins)."""
    values = column.values
    there = np.flatnonzero(np.isfinite(values))
    codes = np.zeros(len(values), np.int16)
    if not len(there):
        return codes, np.empty(0), (), False
    spell = spelt_time if column.kind == "time" else spelt_number
    distinct = np.unique(values[there][:: max(1, len(there) // 10_000)])
    if len(distinct) <= FEW:
        distinct = np.unique(values[there])
    if len(distinct) <= FEW and column.kind == "number":
        codes[there] = np.searchsorted(distinct, values[there]) + 1
        return codes, distinct, tuple(spell(value) for value in distinct), False
    low = values[there].min()
    edges = np.linspace(low, values[there].max(), bins + 1)
    if column.kind == "time":
        edges = np.unique(np.append(np.floor(edges[:-1]), np.ceil(edges[-1])))
    number = max(1, len(edges) - 1)
    bin_of = np.searchsorted(edges, values[there], side="right") - 1
    codes[there] = np.clip(bin_of, 0, number - 1) + 1
    edges = edges if len(edges) > 1 else np.append(edges, edges)
    labels = tuple(f"{spell(a)}..{spell(b)}" for a, b in zip(edges[:-1], edges[1:]))
    return codes, edges, labels, True


def _runs(bars: list[int]) -> list[tuple[int, int]]:
    """Neighbouring bars as (first, last)."""
    runs: list[tuple[int, int]] = []
    for bar in bars:
        if runs and bar == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], bar)
        else:
            runs.append((bar, bar))
    return runs


def without(chosen: Mapping[str, Filter], name: str) -> Filter | None:
    """All filters but that of one column, as one."""
    return all_of(one for key, one in chosen.items() if key != name)


def _exact(value: float) -> str:
    """A number as a filter names it: read back it is the same, and 3 is not 3.0."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else str(value)


__all__ = ["TAG", "CrossFilter", "Facet", "binned", "cross_filter", "facet", "without"]
