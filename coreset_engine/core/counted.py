"""A number with its noun, as sentences about data need it: "1 box reaches", "2 boxes reach"."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """The number and its noun, with thousands separated.

    Parameters
    ----------
    count : int
    one : str
        What follows 1: a noun, or a noun with its verb ("image is").
    many : str
        What follows any other number; "" adds an "s" to `one`.
    """
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
