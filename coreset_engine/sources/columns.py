"""Columns of millions of texts as Arrow holds them: made safe, searched for repeats and turned into numpy by pieces.

A Python text costs 60 to 90 bytes, a list's place for it 8 more; an index of five million pictures had seven of them a
picture. Here only PIECE of them exist at a time. Every column is a pyarrow ChunkedArray of texts without nulls.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from coreset_engine.sources.names import safe_name

PIECE = 2**16


def pieces(column: Any) -> Iterator[list[Any]]:
    """The column's values, PIECE of them at a time."""
    for start in range(0, len(column), PIECE):
        yield column.slice(start, PIECE).to_pylist()


def texts(column: Any) -> Iterator[Any]:
    """One value after the other."""
    for piece in pieces(column):
        yield from piece


def safe(column: Any) -> Any:
    """The column with `safe_name` of every text; plain ones, nearly all, are not looked at in Python."""
    import pyarrow as pa
    import pyarrow.compute as pc

    done = []
    for chunk in column.chunks:
        plain = pc.and_(pc.and_(pc.string_is_ascii(chunk), pc.ascii_is_printable(chunk)),
                        pc.invert(pc.match_substring(chunk, "\\")))
        all_plain = pc.all(plain).as_py() is not False  # None: an empty chunk
        done.append(chunk if all_plain else pa.array(map(safe_name, chunk.to_pylist()), chunk.type))
    return pa.chunked_array(done, column.type)


def with_files(files: list[str], file: np.ndarray, column: Any) -> Any:
    """"file:text" for every text; file: (N,) which of `files`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    done, start = [], 0
    names = pa.array([safe_name(name) for name in files], column.type)
    for chunk in column.chunks:
        done.append(pc.binary_join_element_wise(names.take(pa.array(file[start:start + len(chunk)])), chunk, ":"))
        start += len(chunk)
    return pa.chunked_array(done, column.type)


def repeats(column: Any, among: np.ndarray) -> np.ndarray:
    """(R,) places, ascending, of texts that came before. among: (N,) bool, the texts that count."""
    if not len(column):
        return np.empty(0, np.int64)
    marks = np.concatenate([np.fromiter(map(hash, piece), np.int64, len(piece)) for piece in pieces(column)])
    ordered = np.sort(marks[among])
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])  # equal texts have equal marks, not the other way round
    if not len(twice):
        return np.empty(0, np.int64)
    suspects = among & np.isin(marks, twice)
    taken: set[str] = set()
    found = []
    for i, text in zip(np.flatnonzero(suspects).tolist(), texts(column.filter(suspects)), strict=True):
        if text in taken:
            found.append(i)
        taken.add(text)
    return np.array(found, np.int64)


def strings(column: Any) -> np.ndarray:
    """(N,) str. One very long text makes a fixed-width array explode, so beyond 1 GB it is an object array."""
    import pyarrow.compute as pc

    longest = max(1, pc.max(pc.utf8_length(column)).as_py() or 1)
    return _filled(column, object if 4 * longest * len(column) > 2**30 else f"U{longest}")


def codes(column: Any, width: int) -> np.ndarray:
    """(N,) ascii bytes of at most `width`."""
    return _filled(column, f"S{width}")


def _filled(column: Any, kind: Any) -> np.ndarray:
    out, start = np.empty(len(column), kind), 0
    for piece in pieces(column):
        out[start:start + len(piece)] = piece
        start += len(piece)
    return out


def give_back() -> None:
    """Hand what Arrow has freed to the system, which its pool else keeps: half of what opening a source took."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
