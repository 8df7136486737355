"""Columns as filters, colours, counts and histograms read them, and what a filter leaves of them.

Every column becomes numbers once: a number is float64 with NaN for missing, a text is a code into
its sorted categories with -1 for missing, a time is seconds since 1970. Filters, counts and
histograms over a million images then are a few passes over arrays.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from coreset_engine.core.counted import counted
from coreset_engine.core.errors import BadInput
from coreset_engine.core.filters import Filter

KINDS = ("number", "text", "time", "tags")
NO_VALUE = ("", "nan", "none", "null", "n/a", "na", "<na>", "nat")
_SHOWN = 8  # values listed in an error
_TIME = re.compile(
    r"(\d{4})(?:[-:](\d\d)(?:[-:](\d\d)(?:[ T](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)Z?)?)?)?"
)
_DAY = re.compile(r"\d{4}[-:]\d\d[-:]\d\d.*")


@dataclass(frozen=True, eq=False)
class Column:
    """One column of N images, ready to be compared and counted.

    Parameters
    ----------
    name : str
    kind : {"number", "text", "time", "tags"}
    values : ndarray
        number, time: (N,) float64, NaN = missing (time in seconds since 1970). text: (N,) int32
        codes into `categories`, -1 = missing. tags: (T, N) bool, one row per tag.
    categories : ndarray of str
        Sorted values of a text; names of the tags; empty for numbers and times.
    root : str
        Of paths: the folder that they are relative to, with a slash at its end. A filter may name
        it or leave it out.
    """

    name: str
    kind: str
    values: np.ndarray
    categories: np.ndarray = field(default_factory=lambda: np.empty(0, "U1"))
    root: str = ""

    def __len__(self) -> int:
        return int(self.values.shape[-1])

    def take(self, rows: np.ndarray) -> Column:
        """The column of the images at `rows` (M,) int64."""
        return replace(self, values=self.values[..., rows])

    @property
    def is_missing(self) -> np.ndarray:
        """(N,) bool: images without a value."""
        if self.kind == "tags":
            return np.asarray(~self.values.any(axis=0))
        if self.kind == "text":
            return np.asarray(self.values < 0)
        return np.asarray(np.isnan(self.values))

    def texts(self) -> np.ndarray:
        """(N,) str as displayed; "" for missing, tags joined by blanks."""
        if self.kind == "text":
            return np.asarray(np.append(self.categories, "")[self.values])
        if self.kind == "tags":
            return joined_tags(self.categories, self.values)
        values = np.full(len(self), "", object)
        there = np.flatnonzero(~self.is_missing)
        spell = spelt_time if self.kind == "time" else spelt_number
        values[there] = [spell(value) for value in self.values[there]]
        return values.astype(str)

    def numbers(self) -> np.ndarray:
        """(N,) float64, NaN for missing. Raises BadInput for texts and tags."""
        if self.kind not in ("number", "time"):
            raise BadInput(
                f"column {self.name!r} holds {_NOUN[self.kind]}, not numbers; name a column of "
                "numbers."
            )
        return self.values


_NOUN = {"number": "numbers", "text": "texts", "time": "times", "tags": "tags"}


class ColumnTable(Protocol):
    """Columns by name; `column` raises BadInput for a name that does not exist."""

    def column(self, name: str) -> Column: ...
    def names(self) -> list[str]: ...
    def __contains__(self, name: object) -> bool: ...


def joined_tags(names: Sequence[str] | np.ndarray, members: np.ndarray) -> np.ndarray:
    """(N,) str: the tags of each image, sorted, with blanks between. members: (T, N) bool."""
    joined = np.full(members.shape[1], "", object)
    for at in np.argsort(np.asarray(names, str)):
        joined[members[at]] += f"{names[at]} "
    return np.array([text.rstrip() for text in joined], str)


# -- from values to a column -----------------------------------------------------------------------


def encode(name: str, values: Any) -> Column:
    """A column of any values; texts that are all numbers or all times become such.

    Parameters
    ----------
    values : (N,) array
        Numbers, booleans, datetimes or texts; None, NaN and empty texts are missing.

    Returns
    -------
    Column
        Texts with leading zeros ("0007") stay texts.
    """
    values = np.asarray(values)
    if values.dtype.kind in "iuf":
        return Column(name, "number", values.astype(np.float64))
    if values.dtype.kind == "b":
        return Column(name, "text", values.astype(np.int32), np.array(["false", "true"]))
    if values.dtype.kind == "M":
        return Column(name, "time", _seconds(values))
    return _from_texts(name, values)


def _seconds(values: np.ndarray) -> np.ndarray:
    there = ~np.isnat(values)
    seconds = np.full(values.shape, np.nan)
    seconds[there] = values[there].astype("M8[ms]").astype(np.int64) / 1000
    return seconds


def _from_texts(name: str, values: np.ndarray) -> Column:
    import pandas

    codes, uniques = pandas.factorize(np.asarray(values, object))
    texts = np.array([str(value).strip() for value in uniques], str)
    missing = np.array([text.lower() in NO_VALUE for text in texts], bool)
    categories, codes_of_rows = np.unique(texts[~missing], return_inverse=True)
    remap = np.full(len(texts) + 1, -1, np.int32)
    remap[np.flatnonzero(~missing)] = codes_of_rows
    codes = remap[codes]
    typed = _typed(categories)
    if typed is None:
        return Column(name, "text", codes, categories)
    kind, numbers = typed
    return Column(name, kind, np.append(numbers, np.nan)[codes])


def _typed(categories: np.ndarray) -> tuple[str, np.ndarray] | None:
    """("number" or "time", value of each category) where all of them are such."""
    if not len(categories):
        return None
    texts = categories.tolist()
    if all(_DAY.fullmatch(text) and _TIME.fullmatch(text) for text in texts):
        try:
            return "time", np.array([_time_bounds(text)[0] for text in texts])
        except ValueError:
            return None
    if any(re.match(r"[+-]?0\d", text) or not re.search(r"\d", text) for text in texts):
        return None
    try:
        numbers = np.array([float(text) for text in texts])
    except ValueError:
        return None
    return ("number", numbers) if np.isfinite(numbers).all() else None


def _time_bounds(text: str) -> tuple[float, float]:
    """First instant of a year, month, day, minute or second, and first instant after it.

    Both in seconds since 1970. Raises ValueError.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    year, month, day, clock = match.groups()
    written = "-".join(part for part in (year, month, day) if part)
    unit = "Y"
    if month:
        unit = "D" if day else "M"
    if clock:
        written += f"T{clock}"
        unit = "s" if clock.count(":") == 2 else "m"
    begin = np.datetime64(written)
    end = begin.astype(f"M8[{unit}]") + 1
    return _since_1970(begin), _since_1970(end)


def _since_1970(instant: np.datetime64) -> float:
    return float(instant.astype("M8[ms]").astype(np.int64) / 1000)


def spelt_time(seconds: float) -> str:
    """2024-01-05 or 2024-01-05T10:00:00, of seconds since 1970."""
    rounded = np.datetime64(int(round(seconds)), "s")
    return str(rounded).removesuffix("T00:00:00")


def spelt_number(value: float) -> str:
    """A number without needless digits."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else f"{value:.6g}"


# -- what a filter leaves --------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Filtered:
    """What a filter leaves.

    Parameters
    ----------
    filter : Filter
    mask : ndarray, (N,) bool
    missing : dict
        Column -> (images without a value, how many of these pass).
    """

    filter: Filter
    mask: np.ndarray
    missing: dict[str, tuple[int, int]]

    @property
    def matched(self) -> int:
        return int(self.mask.sum())

    @property
    def sentence(self) -> str:
        """How many images pass, and what became of those without a value."""
        passing = "passes" if self.matched == 1 else "pass"
        images = counted(len(self.mask), "image")
        summary = f"{self.matched:,} of {images} {passing} {self.filter.text!r}"
        notes = [
            _missing_sentence(name, count, passed, len(self.mask))
            for name, (count, passed) in self.missing.items()
            if count
        ]
        return "; ".join([summary, *notes]) + "."


def _missing_sentence(name: str, count: int, passed: int, n: int) -> str:
    fate = f"of which {passed:,} pass" if passed else "which do not pass"
    if count == 1:
        fate = "which passes" if passed else "which does not pass"
    remedy = "" if passed else f" (add: or {name} is missing)"
    return f"{name!r} is missing for {count:,} of {counted(n, 'image')}, {fate}{remedy}"


def apply_filter(wanted: Filter, table: ColumnTable) -> Filtered:
    """The images that pass.

    A missing value passes no test but "is missing"; "not" turns that round like everything else.

    Raises
    ------
    BadInput
        For an unknown column, or a value that the column's kind cannot be compared with.
    """
    mask = _mask(wanted, table)
    missing = {}
    for name in wanted.columns:
        column = table.column(name)
        if column.kind == "tags":
            continue
        absent = column.is_missing
        count = int(absent.sum())
        missing[name] = (count, int((absent & mask).sum()) if count else 0)
    return Filtered(wanted, mask, missing)


def require_some(filtered: Filtered, table: ColumnTable) -> Filtered:
    """`filtered`, or BadInput that says why a filter leaves nothing: what its columns hold."""
    if filtered.matched:
        return filtered
    raise BadInput(nothing_left(filtered, table))


def nothing_left(filtered: Filtered, table: ColumnTable) -> str:
    """What the columns of a filter hold that leaves nothing, and what to do."""
    values = "; ".join(_held(test, table) for test in _tests(filtered.filter)[:3])
    return (
        f"filter {filtered.filter.text!r} leaves none of the {len(filtered.mask):,} images: "
        f"{values}; "
        "relax it or leave it out."
    )


def _tests(wanted: Filter) -> list[Filter]:
    if wanted.parts:
        return [test for part in wanted.parts for test in _tests(part)]
    return [wanted]


def _held(test: Filter, table: ColumnTable) -> str:
    """What the column of a test holds, with near misses of what was requested."""
    column = table.column(test.column)
    absent = int(column.is_missing.sum())
    tail = f", {absent:,} missing" if absent and column.kind != "tags" else ""
    if column.kind in ("number", "time"):
        there = column.values[~np.isnan(column.values)]
        if not len(there):
            return f"{test.column!r} has no value at all"
        spell = spelt_time if column.kind == "time" else spelt_number
        return f"{test.column!r} runs from {spell(there.min())} to {spell(there.max())}{tail}"
    counts = category_counts(column)
    order = np.argsort(-counts, kind="stable")[:_SHOWN]
    held = ", ".join(f"{column.categories[at]} ({counts[at]:,})" for at in order)
    more = ", ..." if len(counts) > _SHOWN else ""
    similar = [
        match
        for value in test.values
        if value not in column.categories
        for match in difflib.get_close_matches(value, column.categories.tolist(), n=1)
    ]
    hint = f"; did you mean {similar[0]!r}?" if similar else ""
    return f"{test.column!r} holds {held or 'nothing'}{more}{tail}{hint}"


def category_counts(column: Column, mask: np.ndarray | None = None) -> np.ndarray:
    """(V,) int64: images with each category or tag, among those of `mask` (N,) bool."""
    if column.kind == "tags":
        members = column.values if mask is None else column.values & mask
        return np.asarray(members.sum(axis=1, dtype=np.int64))
    codes = column.values if mask is None else column.values[mask]
    return np.bincount(codes[codes >= 0], minlength=len(column.categories))


def unknown_column(name: str, known: Sequence[str]) -> BadInput:
    """The error for a column that does not exist, with the nearest names."""
    names = [str(one) for one in known]
    lower = {one.lower(): one for one in names}
    similar = [
        lower[one] for one in difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)
    ]
    hint = f" did you mean {' or '.join(map(repr, similar))}?" if similar else ""
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return BadInput(f"column {name!r} is unknown;{hint} Columns here: {shown}.")


def _mask(wanted: Filter, table: ColumnTable) -> np.ndarray:
    if wanted.op == "not":
        return ~_mask(wanted.parts[0], table)
    if wanted.op in ("and", "or"):
        join = np.logical_and if wanted.op == "and" else np.logical_or
        return np.asarray(join.reduce([_mask(part, table) for part in wanted.parts]))
    return passes(wanted, table.column(wanted.column))


def passes(test: Filter, column: Column) -> np.ndarray:
    """(N,) bool: images that pass one test on its column."""
    if test.op == "missing":
        return column.is_missing
    if column.root:
        test = _below_root(test, column.root)
    if test.op == "contains":
        return _containing(test, column)
    if column.kind == "tags":
        return _tagged(test, column)
    if column.kind == "text":
        return _text_mask(test, column)
    if test.op == "range":
        return _range_mask(test, column)
    return np.asarray(np.logical_or.reduce([_equal(column, value) for value in test.values]))


def _below_root(test: Filter, root: str) -> Filter:
    """A test of paths whose values may name the root and end in a slash."""

    def below(value: str) -> str:
        return value.removeprefix(root).removeprefix("./")

    if test.op not in ("is", "in"):
        return replace(test, values=tuple(map(below, test.values)))
    relative = [below(f"{value.rstrip('/')}/").rstrip("/") or "." for value in test.values]
    return replace(test, values=tuple(relative))


def _containing(test: Filter, column: Column) -> np.ndarray:
    wanted = [value.casefold() for value in test.values]
    if column.kind in ("number", "time"):
        return np.array([any(one in text for one in wanted) for text in column.texts().tolist()])
    folded = [text.casefold() for text in column.categories.tolist()]
    hits = np.array([any(one in text for one in wanted) for text in folded], bool)
    if column.kind == "tags":
        return np.asarray(column.values[hits].any(axis=0))
    return np.asarray(np.append(hits, False)[column.values])


def _tagged(test: Filter, column: Column) -> np.ndarray:
    if test.op == "range":
        raise BadInput(f"{test.column!r} holds tags, which have no order; use {test.column}=NAME.")
    hits = np.isin(column.categories, np.array(test.values, str))
    return np.asarray(column.values[hits].any(axis=0))


def _text_mask(test: Filter, column: Column) -> np.ndarray:
    texts = column.categories
    if test.op == "range":
        hits = np.ones(len(texts), bool)
        if test.low is not None:
            hits &= texts > test.low if test.low_open else texts >= test.low
        if test.high is not None:
            hits &= texts < test.high if test.high_open else texts <= test.high
    else:
        hits = np.isin(texts, np.array(test.values, str))
    return np.asarray(np.append(hits, False)[column.values])


def _range_mask(test: Filter, column: Column) -> np.ndarray:
    values = column.values
    mask: np.ndarray = ~np.isnan(values)
    if test.low is not None:
        first, after = _bounds(column, test.low)
        mask &= values >= after if test.low_open and after > first else values >= first
        if test.low_open and after == first:
            mask &= values > first
    if test.high is not None:
        first, after = _bounds(column, test.high)
        if test.high_open:
            mask &= values < first
        else:
            mask &= values < after if after > first else values <= first
    return mask


def _equal(column: Column, value: str) -> np.ndarray:
    first, after = _bounds(column, value)
    if after > first:
        return np.asarray((column.values >= first) & (column.values < after))
    return np.asarray(column.values == first)


def _bounds(column: Column, value: str) -> tuple[float, float]:
    """Interval [first, after) of a text in a column: a day is a span, a number a point."""
    try:
        if column.kind == "time":
            return _time_bounds(value)
        number = float(value)
        return number, number
    except ValueError:
        example = "2024-01-31" if column.kind == "time" else "512"
        raise BadInput(
            f"column {column.name!r} holds {_NOUN[column.kind]}, which {value!r} is not; give one "
            f"such as {example}."
        ) from None
