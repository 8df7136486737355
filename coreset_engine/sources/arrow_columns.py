"""Columns of millions of strings in Arrow: made safe, checked for duplicates, converted.

A Python text costs 60 to 90 bytes, a list's place for it 8 more; an index of five million pictures
had seven of them a picture. Here only `column_values` of them exist at a time. Every column is a
pyarrow ChunkedArray of texts without nulls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from coreset_engine.core.limits import limits
from coreset_engine.sources.safe_names import safe_name


def pieces(column: Any) -> Iterator[list[Any]]:
    """The column's values, `column_values` of them at a time."""
    for start in range(0, len(column), limits().column_values):
        yield column.slice(start, limits().column_values).to_pylist()


def texts(column: Any) -> Iterator[Any]:
    """One value after the other."""
    for piece in pieces(column):
        yield from piece


def safe(column: Any) -> Any:
    """The column with `safe_name` applied to every string that needs it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    done = []
    for chunk in column.chunks:
        plain = pc.and_(
            pc.and_(pc.string_is_ascii(chunk), pc.ascii_is_printable(chunk)),
            pc.invert(pc.match_substring(chunk, "\\")),
        )
        all_plain = pc.all(plain).as_py() is not False  # None: an empty chunk
        done.append(chunk if all_plain else pa.array(map(safe_name, chunk.to_pylist()), chunk.type))
    return pa.chunked_array(done, column.type)


def with_files(files: list[str], file: np.ndarray, column: Any) -> Any:
    """ "file:text" for every text; file: (N,) which of `files`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    done = []
    start = 0
    names = pa.array([safe_name(name) for name in files], column.type)
    for chunk in column.chunks:
        done.append(
            pc.binary_join_element_wise(
                names.take(pa.array(file[start : start + len(chunk)])), chunk, ":"
            )
        )
        start += len(chunk)
    return pa.chunked_array(done, column.type)


def repeats(column: Any, among: np.ndarray) -> np.ndarray:
    """(R,) places, ascending, of texts that came before. among: (N,) bool, the texts that count."""
    if not len(column):
        return np.empty(0, np.int64)
    boundaries = np.concatenate(
        [np.fromiter(map(hash, piece), np.int64, len(piece)) for piece in pieces(column)]
    )
    ordered = np.sort(boundaries[among])
    twice = np.unique(
        ordered[1:][ordered[1:] == ordered[:-1]]
    )  # equal texts have equal marks, not the other way round
    if not len(twice):
        return np.empty(0, np.int64)
    suspects = among & np.isin(boundaries, twice)
    taken: set[str] = set()
    repeated = []
    for i, text in zip(
        np.flatnonzero(suspects).tolist(), texts(column.filter(suspects)), strict=True
    ):
        if text in taken:
            repeated.append(i)
        taken.add(text)
    return np.array(repeated, np.int64)


def strings(column: Any, make: Callable[..., np.ndarray] = np.empty) -> np.ndarray:
    """(N,) str. make: (length, dtype) -> the array to fill.

    A few very long texts make a fixed-width array explode, so where it takes more than 1 GB and
    twice what its texts need, it is an object array.
    """
    import pyarrow.compute as pc

    lengths = pc.utf8_length(column)
    longest = max(1, pc.max(lengths).as_py() or 1)
    wide = 4 * longest * len(column) > limits().wide_text_bytes and longest * len(column) > 2 * (
        pc.sum(lengths).as_py() or 0
    )
    return _filled(column, object if wide else f"U{longest}", make)


def codes(column: Any, width: int, make: Callable[..., np.ndarray] = np.empty) -> np.ndarray:
    """(N,) ascii bytes of at most `width`."""
    return _filled(column, f"S{width}", make)


def numbers(column: Any, dtype: Any, make: Callable[..., np.ndarray] = np.empty) -> np.ndarray:
    """(N,) numbers of a column without nulls, or of an array, chunk by chunk."""
    out = make(len(column), dtype)
    start = 0
    for chunk in getattr(column, "chunks", [column]):
        out[start : start + len(chunk)] = chunk.to_numpy() if hasattr(chunk, "to_numpy") else chunk
        start += len(chunk)
    return out


def _filled(column: Any, kind: Any, make: Callable[..., np.ndarray]) -> np.ndarray:
    out = make(len(column), kind)
    start = 0
    for piece in pieces(column):
        out[start : start + len(piece)] = piece
        start += len(piece)
    return out


def give_back() -> None:
    """Release the memory that Arrow's pool keeps: half of what opening a source took."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
