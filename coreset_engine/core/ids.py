"""Ids in large numbers: ids that follow from the row are not stored; positions are looked up.

50 million names are 4 GB as Python's texts; `RowIds` is none. It answers like the (N,) str array it
stands for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from coreset_engine.core.limits import limits

_NAME = re.compile(r"row-([0-9]{7,18})")


class RowIds:
    """The ids "row-0000000" ... of n rows; strings are made on access, all by `__array__`."""

    ndim = 1

    def __init__(self, n: int) -> None:
        self._n = int(n)
        self.dtype = np.dtype(f"U{4 + max(limits().row_name_digits, len(str(max(0, n - 1))))}")

    def __len__(self) -> int:
        return self._n

    @property
    def shape(self) -> tuple[int]:
        return (self._n,)

    @property
    def size(self) -> int:
        return self._n

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, int | np.integer):
            position = int(at) + self._n if at < 0 else int(at)
            if not 0 <= position < self._n:
                raise IndexError(f"row {at} of {self._n}")
            return np.str_(_name(position))
        if isinstance(at, slice):
            return _texts(
                np.arange(self._n)[at]
                if at.step not in (None, 1)
                else np.arange(*at.indices(self._n))
            )
        at = np.asarray(at)
        if at.dtype == bool:
            if at.shape != self.shape:
                raise IndexError(f"a mask of shape {at.shape} for {self._n} rows")
            return _texts(np.flatnonzero(at))
        positions = np.where(at < 0, at + self._n, at).astype(np.int64)
        if positions.size and not (0 <= positions.min() and positions.max() < self._n):
            raise IndexError(f"a row outside the {self._n}")
        return _texts(positions)

    def __iter__(self) -> Iterator[str]:
        return (np.str_(_name(i)) for i in range(self._n))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        texts = _texts(np.arange(self._n))
        return texts if dtype is None else texts.astype(dtype)

    def __eq__(self, other: Any) -> Any:
        if isinstance(other, str):
            equal = np.zeros(self._n, bool)
            equal[[position for position in (self.position(other),) if position >= 0]] = True
            return equal
        return np.asarray(self) == other

    __hash__ = None  # type: ignore[assignment]  # as of an array: compared by element

    def astype(self, dtype: Any) -> np.ndarray:
        return np.asarray(self).astype(dtype)

    def tolist(self) -> list[str]:
        return [str(name) for name in self]

    def position(self, name: str) -> int:
        """The row called `name`, or -1."""
        match = _NAME.fullmatch(str(name))
        if match is None:
            return -1
        row = int(match[1])
        return row if row < self._n and _name(row) == match[0] else -1

    def lines(self) -> Iterator[bytes]:
        """What "\\n".join(ids).encode() gives, a million ids at a time."""
        chunk = limits().ids_per_chunk
        for start in range(0, self._n, chunk):
            end = min(start + chunk, self._n)
            texts = self[start:end]
            letters = np.full((len(texts), texts.itemsize // 4 + 1), ord("\n"), np.uint8)
            letters[:, :-1] = texts.view(np.uint32).reshape(len(texts), -1)
            yield letters[letters > 0].tobytes()[: None if end < self._n else -1]


def _name(row: int) -> str:
    return f"row-{row:0{limits().row_name_digits}d}"


def _texts(positions: np.ndarray) -> np.ndarray:
    """Names of these rows, (m,) str.

    Digits are set column by column: formatting each name takes minutes.
    """
    shape = np.shape(positions)
    positions = np.ravel(positions).astype(np.int64)
    fewest = limits().row_name_digits
    width = max(fewest, len(str(int(positions.max(initial=0)))))
    letters = np.zeros((len(positions), 4 + width), np.uint32)
    letters[:, :4] = [ord(letter) for letter in "row-"]
    rest = positions.copy()
    for column in range(width - 1, -1, -1):
        rest, digit = np.divmod(rest, 10)
        letters[:, 4 + column] = digit + ord("0")
    short = np.flatnonzero(positions < 10 ** (width - 1)) if width > fewest else ()
    # shorter numbers have no zeros beyond the fewest digits: they are moved to the left
    for at in range(width - fewest):
        short = short[positions[short] < 10 ** (width - 1 - at)]
        letters[short, 4:-1] = letters[short, 5:]
        letters[short, -1] = 0
    return letters.view(f"U{4 + width}").reshape(shape)


def positions_of(ids: Any, wanted: Iterable[str]) -> np.ndarray:
    """(m,) int64: the position of each of `wanted` in the unique `ids` (N,), -1 for an unknown one.

    A pass over the ids without a table of all of them.
    """
    wanted = [str(name) for name in wanted]
    if isinstance(ids, RowIds):
        return np.array([ids.position(name) for name in wanted], np.int64)
    if not wanted:
        return np.empty(0, np.int64)
    position_of: dict[str, int] = {}
    asked = set(wanted)
    many = np.asarray(wanted)
    for start in range(0, len(ids), limits().ids_per_chunk):
        part = np.asarray(ids[start : start + limits().ids_per_chunk])
        hits = (
            [i for i, name in enumerate(part.tolist()) if name in asked]
            if part.dtype == object
            else np.flatnonzero(np.isin(part, many)).tolist()
        )
        position_of |= {str(part[i]): start + i for i in hits}
    return np.array([position_of.get(name, -1) for name in wanted], np.int64)


places_of = positions_of  # former name
