"""Class names: the one identity of a class, whatever its number.

A class is a name. Its number is only its position in one list of names, and two sources (a training
and a test part, two exports) have two lists. `align_classes` maps the numbers of one list to those
of another by name; `folder_names` gives every class a folder that is reversible (`class_of_folder`)
and does not depend on which classes an export happens to hold.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import numpy as np

# Characters no folder name may hold on one of Linux, macOS and Windows, and the escape itself.
FORBIDDEN = frozenset('<>:"/\\|?*%')
# Names Windows reserves for devices, with or without an extension.
DEVICES = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(1, 10))]
)
EMPTY = "%"  # the folder of the class whose name is empty: no other name encodes to it
LONGEST = 200  # bytes of a folder name; file systems allow 255
CLASSES_FILE = "classes.json"  # beside train/ and val/ of an exported image folder
CLASSES_FORMAT = "coreset-classes-1"
CUT = "%~"  # marks a folder whose name was cut; only the export's class list gives that name back


@dataclass(frozen=True)
class ClassAlignment:
    """How the classes of one list are numbered in another.

    Parameters
    ----------
    codes : ndarray, shape (len(names_b),), int64
        Position in `names_a` of each class of `names_b`; -1 where it has no counterpart.
    only_a, only_b : tuple of str
        Names that only one of the two lists has.
    """

    codes: np.ndarray
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]

    def apply(self, labels: np.ndarray) -> np.ndarray:
        """Labels in the numbers of list b as numbers of list a.

        Parameters
        ----------
        labels : ndarray, shape (N,), int64
            -1 = unknown, else a position in `names_b`.

        Returns
        -------
        ndarray, shape (N,), int64
            -1 where the label is unknown or its class has no counterpart.
        """
        labels = np.asarray(labels, np.int64)
        with_unknown = np.append(self.codes, -1)
        return with_unknown[np.where(labels < 0, len(self.codes), labels)]


def align_classes(names_a: Sequence[str], names_b: Sequence[str]) -> ClassAlignment:
    """Map the classes of `names_b` to those of `names_a` by name.

    Names match when they are equal, or when they are equal after Unicode normalisation (NFC; macOS
    writes file names decomposed) and that leaves no doubt. Letter case and spaces are part of a
    name.

    Parameters
    ----------
    names_a, names_b : sequence of str
        Class names, each at the position that is its number.

    Returns
    -------
    ClassAlignment
    """
    exact = {name: code for code, name in reversed(list(enumerate(names_a)))}
    counts = Counter(map(_normalised, names_a))
    loose = {
        _normalised(name): code
        for code, name in enumerate(names_a)
        if counts[_normalised(name)] == 1
    }
    codes = [exact.get(name, loose.get(_normalised(name), -1)) for name in names_b]
    met = set(codes)
    return ClassAlignment(
        np.array(codes, np.int64),
        tuple(name for code, name in enumerate(names_a) if code not in met),
        tuple(name for name, code in zip(names_b, codes, strict=True) if code < 0),
    )


def names_of(classes: Sequence[str], labels: np.ndarray) -> tuple[str, ...]:
    """Names for every label that occurs: `classes`, then the numbers themselves where it ends."""
    labels = np.asarray(labels)
    highest = int(labels.max()) if len(labels) else -1
    return (*map(str, classes), *map(str, range(len(classes), highest + 1)))


def folder_names(names: Sequence[str]) -> dict[str, str]:
    """A folder for every class name, different also where letter case does not count.

    Give all classes of the source, not only those an export holds: then the same class has the same
    folder in every export. Characters a folder cannot hold are written as in a URL (%2F); where two
    names differ in letter case only, their capital letters are, too.

    Parameters
    ----------
    names : sequence of str

    Returns
    -------
    dict
        Name to folder name. `class_of_folder` gives the name back.
    """
    plain = {name: _escaped(name) for name in names}
    counts = Counter(_folded(folder) for folder in plain.values())
    return {
        name: folder if counts[_folded(folder)] == 1 else _escaped(name, capitals=True)
        for name, folder in plain.items()
    }


def class_of_folder(folder: str) -> str:
    """The class name that `folder_names` gave this folder."""
    return "" if folder == EMPTY else unquote(folder, errors="surrogateescape")


def exported_classes(root: Path) -> dict[str, str]:
    """Folder -> class name in the order of their numbers, of an image folder we exported.

    Looked for in `root` and in the folder above it (`root` may be its train or val part). {} for
    any other folder.
    """
    for folder in (root, root.parent):
        try:
            content = json.loads((folder / CLASSES_FILE).read_text(encoding="utf-8"))
            if content["format"] == CLASSES_FORMAT:
                rows = sorted(content["classes"], key=lambda row: row["index"])
                return {str(row["folder"]): str(row["name"]) for row in rows}
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return {}


def _escaped(name: str, capitals: bool = False) -> str:
    """`name` as a folder name; `capitals`: all but lower-case ASCII letters escaped, too."""
    if not name:
        return EMPTY
    text = "".join(
        _percent(letter)
        if not letter.isprintable()
        or letter in FORBIDDEN
        or (capitals and (letter.lower() != letter or not letter.isascii()))
        else letter
        for letter in name
    )
    if text[0] in ". ":
        text = _percent(text[0]) + text[1:]
    if text[-1] in ". ":
        text = text[:-1] + _percent(text[-1])
    if text.partition(".")[0].lower() in DEVICES:
        text = _percent(text[0]) + text[1:]
    if len(text.encode("utf-8", "surrogateescape")) > LONGEST:
        sum_ = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        text = text.encode("utf-8", "surrogateescape")[: LONGEST // 2].decode("utf-8", "ignore")
        text = f"{text.rpartition('%')[0] or text}{CUT}{sum_}"
    return text


def _percent(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode("utf-8", "surrogateescape"))


def _folded(text: str) -> str:
    return _normalised(text).casefold()


def _normalised(text: str) -> str:
    return unicodedata.normalize("NFC", text)
