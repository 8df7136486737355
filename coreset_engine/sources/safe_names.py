"""File names of any kind, made into ids that survive one-per-line text files, JSON and screens."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np

_KEEP_FORMAT = "\u200c\u200d"  # joiners that ordinary Arabic, Persian and emoji names need


def safe_name(name: str) -> str:
    """`name` with control, line and direction characters written as \\x0a or \\u202e.

    A backslash becomes two, so that different names stay different. Plain names come back
    unchanged.
    """
    if name.isascii() and name.isprintable() and "\\" not in name:
        return name
    return "".join(_escaped(character) for character in name)


def printable_name(name: str) -> str:
    """`name` as it is where every character can be seen, else `safe_name`.

    For names that a program has escaped already, as those in exports are: escaping them again
    would make another name of them at every export.
    """
    return safe_name(name) if any(_is_hidden(character) for character in name) else name


def comparable(name: str) -> str:
    """`name` in one Unicode form and letter case, to compare names that two systems wrote.

    macOS writes "é" as two characters, Windows does not tell A.JPG from a.jpg.
    """
    return unicodedata.normalize("NFC", name).casefold()


def _escaped(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if not _is_hidden(character):
        return character
    code = ord(character)
    if code < 256:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"


def _is_hidden(character: str) -> bool:
    kind = unicodedata.category(character)
    return kind in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in _KEEP_FORMAT


def string_array(texts: Sequence[str]) -> np.ndarray:
    """(N,) str.

    One very long text makes a fixed-width array explode, so beyond 1 GB it is an object array.
    """
    longest = max(map(len, texts), default=1)
    return (
        np.array(texts, dtype=object)
        if 4 * longest * len(texts) > 2**30
        else np.array(texts, dtype=np.str_)
    )
