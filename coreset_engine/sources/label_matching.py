"""Rows of label files joined to the images of a source, and annotators' votes counted.

`ImportedLabels.match` finds the image of every row and lets several annotators vote. What could not
be used is counted with examples, never dropped in silence.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from coreset_engine.core.counted import counted
from coreset_engine.core.errors import BadInput
from coreset_engine.sources.label_formats import ID_COLUMNS, LabelRow
from coreset_engine.sources.name_index import UPLOADED, NameIndex

EXAMPLES = 3
CONFLICTS = ("majority", "skip")


@dataclass(frozen=True)
class Conflict:
    """Annotators who disagree on one image: votes by class, and the decision ("" = none)."""

    id: str
    votes: Mapping[str, int]
    taken: str


@dataclass(frozen=True)
class LabelMatch:
    """A label file matched to the images of a source.

    Parameters
    ----------
    labels : dict
        Image id -> class name.
    rows : int
        Rows read.
    matched, unmatched : int
        Rows whose image the source has, and has not.
    matched_examples : list of (str, str)
        Up to three (as the file names it, image id).
    unmatched_examples : list of str
    conflicts : list of Conflict
    set_aside : dict
        Reason -> number of rows.
    set_aside_examples : dict
        Reason -> up to three places in the file.
    column : str
        What named the images, as text.
    """

    labels: dict[str, str]
    rows: int
    matched: int = 0
    unmatched: int = 0
    matched_examples: list[tuple[str, str]] = field(default_factory=list)
    unmatched_examples: list[str] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    set_aside: dict[str, int] = field(default_factory=dict)
    set_aside_examples: dict[str, list[str]] = field(default_factory=dict)
    column: str = ""

    def sentences(self) -> list[str]:
        """The report as text, one line for each thing worth saying."""
        lines = [f"{self.matched:,} of {self.rows:,} rows matched an image by {self.column}"]
        if self.matched_examples:
            pairs = (f"{key!r} -> {own!r}" for key, own in self.matched_examples)
            lines[0] += f", for example {'; '.join(pairs)}"
        if self.unmatched:
            some = ", ".join(map(repr, self.unmatched_examples))
            lines.append(
                f"{counted(self.unmatched, 'row names', 'rows name')} no image of this source, for "
                f"example {some}"
            )
        for reason, count in self.set_aside.items():
            examples = ", ".join(self.set_aside_examples[reason])
            lines.append(f"{counted(count, 'row')} skipped: {reason} ({examples})")
        if self.conflicts:
            decided = sum(bool(conflict.taken) for conflict in self.conflicts)
            some = "; ".join(map(_spelt, self.conflicts[:EXAMPLES]))
            lines.append(
                f"{counted(len(self.conflicts), 'image has', 'images have')} different labels, "
                f"{decided:,} decided by majority, the others are unlabelled: {some}"
            )
        return [f"{sentence}." for sentence in lines]


def _spelt(conflict: Conflict) -> str:
    votes = ", ".join(f"{name!r} x {count}" for name, count in conflict.votes.items())
    return f"{conflict.id!r}: {votes}"


@dataclass(frozen=True)
class ImportedLabels:
    """The rows of a label file or dataset.

    Parameters
    ----------
    name : str
        As the user gave it.
    rows : sequence of LabelRow
    fingerprints : frozenset of str or None
        Of the sources whose ids `coreset_id` holds, where the file says so; None = not said.
    by_proof : bool
        Match ids and whole paths only, never by a file's name: for datasets, whose samples have
        both.
    """

    name: str
    rows: Sequence[LabelRow]
    fingerprints: frozenset[str] | None = None
    by_proof: bool = False

    def match(
        self,
        ids: Iterable[str],
        paths: Iterable[str] | None = None,
        *,
        classes: Sequence[str] = (),
        conflicts: str = "majority",
        fingerprint: str = "",
    ) -> LabelMatch:
        """Join the rows to images.

        One column names the images for all rows: `coreset_id` where any of its values is an id,
        else the one that finds most. Values match as they are, as paths (absolute, URL, Windows),
        by the end of a path, by file name, by its stem, or as numbers (7 for 0007), each only where
        it leaves no doubt.

        Parameters
        ----------
        ids : iterable of str, length N
            Ids of the images.
        paths : iterable of str, length N, optional
            Their files.
        classes : sequence of str
            Class names known already: a label equal to one of them keeps its spaces.
        conflicts : {"majority", "skip"}
            What is taken where annotators disagree; a tie is always skipped.
        fingerprint : str
            Of the source; a `coreset_id` known to belong to another source is not looked at.

        Raises
        ------
        BadInput
            When no row matches.
        """
        if conflicts not in CONFLICTS:
            raise BadInput(f"conflicts={conflicts!r} is unknown; choose {' or '.join(CONFLICTS)}.")
        images = _Images([str(key) for key in ids], paths)
        foreign = self.fingerprints is not None and fingerprint not in self.fingerprints
        ignored = {"coreset_id"} if foreign else set()
        ways = WAYS[:2] if self.by_proof else WAYS
        column, way, keys = _best_column(self.rows, images, ignored, ways)
        how = f"column {column!r}" + (f" ({way})" if way != EXACT else "")
        return _collected(self, keys, column, how, classes, conflicts)

    def as_they_are(self, conflicts: str = "majority") -> LabelMatch:
        """The rows keyed by their most telling column, without any source to check against."""
        named = [next((text.strip() for text in row.keys.values()), None) for row in self.rows]
        return _collected(self, named, "", "id", (), conflicts)


# -- which image a row means

EXACT = "as it is"
WAYS = (
    EXACT,
    "path",
    "end of the path",
    "file name",
    "name without extension",
    "number",
    "different case",
    "name before upload",
)


def match_rows(
    rows: Sequence[LabelRow], ids: Iterable[str], paths: Iterable[str] | None = None
) -> list[str | None]:
    """The image id that each row means, None where it means none; see `ImportedLabels.match`."""
    return _best_column(rows, _Images([str(key) for key in ids], paths), set(), WAYS)[2]


class _Images:
    """The images of a source, looked up by whatever names them; None where that is in doubt."""

    def __init__(self, ids: list[str], paths: Iterable[str] | None) -> None:
        self.exact = {key: key for key in ids}
        files = list(ids) if paths is None else [str(path or key) for key, path in zip(ids, paths)]
        self._tables = {
            "path": _unique((_plain_path(name), key) for key, name in zip(ids, files)),
            "file name": _unique((_last(name), key) for key, name in zip(ids, files)),
            "name without extension": _unique((_stem(name), key) for key, name in zip(ids, files)),
            "number": _unique((_number(_stem(name)), key) for key, name in zip(ids, files)),
        }
        self._loose = NameIndex([_plain_path(key) for key in ids])
        self._ids = ids
        self._files = {os.path.realpath(name) for name in files if os.path.isabs(name)}
        self._tables["path"] = _unique((_plain_path(key), key) for key in ids) | {
            name: key for name, key in self._tables["path"].items() if key
        }
        self.finders: dict[str, Callable[[str], str | None]] = {
            EXACT: lambda text: self.exact.get(text, self.exact.get(text.strip())),
            "path": lambda text: self._tables["path"].get(_plain_path(text)),
            "end of the path": self._by_end,
            "file name": lambda text: self._tables["file name"].get(_last(text)),
            "name without extension": lambda text: self._tables["name without extension"].get(
                _stem(text)
            ),
            "number": self._by_number,
            "different case": self._by_letters,
            "name before upload": self._by_upload,
        }

    def without_others(self, texts: list[str | None]) -> list[str | None]:
        """`texts` with None for paths of files that exist and are none of these images.

        Only where some are the paths of these images: then a file of the same name is another one
        (val/0001.jpg is not train/0001.jpg). Else the source may be a copy of what is named.
        """
        files = {text: os.path.realpath(text) for text in texts if text and os.path.isabs(text)}
        if self._files.isdisjoint(files.values()):
            return texts
        others = {
            text for text, file in files.items() if file not in self._files and os.path.isfile(file)
        }
        return [None if text in others else text for text in texts]

    def _by_end(self, text: str) -> str | None:
        """The one image whose id is the end of the path `text`: /any/where/a/1.png is a/1.png."""
        parts = _plain_path(text).split("/")
        for start in range(1, len(parts)):
            match = self._tables["path"].get("/".join(parts[start:]))
            if match:
                return match
        return None

    def _by_letters(self, text: str) -> str | None:
        row = self._loose.find(_plain_path(text))
        return None if row < 0 else self._ids[row]

    def _by_upload(self, text: str) -> str | None:
        """The image of an uploaded file: /data/upload/3/1a2b3c4d-cat.png is cat.png."""
        name = _last(text)
        return self._by_letters(UPLOADED.sub("", name)) if UPLOADED.match(name) else None

    def _by_number(self, text: str) -> str | None:
        number = _number(_stem(text) if "/" in text else text)
        return None if number is None else self._tables["number"].get(number)


def _unique(pairs: Iterable[tuple[Any, str]]) -> dict[Any, str | None]:
    """name -> id, None for a name that two images have."""
    key_of: dict[Any, str | None] = {}
    for name, key in pairs:
        if name not in (None, ""):
            key_of[name] = None if name in key_of and key_of[name] != key else key
    return key_of


def _plain_path(text: str) -> str:
    """A path or URL with forward slashes, without a leading ./ or Label Studio's ?d=."""
    text = text.replace("\\", "/")
    parts = urlsplit(text) if "://" in text or "?d=" in text else None
    if parts is not None:
        text = parse_qs(parts.query).get("d", [unquote(parts.path)])[0]
    plain = os.path.normpath(text).replace("\\", "/") if text else ""
    return unicodedata.normalize("NFC", plain)


def _last(text: str) -> str:
    return PurePosixPath(_plain_path(text)).name


def _stem(text: str) -> str:
    name = _last(text)
    stem, dot, ending = name.rpartition(".")
    return stem if dot and stem and len(ending) <= 5 else name


def _number(text: str) -> int | None:
    """7 of "7", "0007" and "7.0"; None of anything else."""
    digits = text.strip().removesuffix(".0")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None


def _best_column(
    rows: Sequence[LabelRow], images: _Images, ignored: set[str], ways: Sequence[str]
) -> tuple[str, str, list[str | None]]:
    """(column, way, image id of each row or None) that finds most rows."""
    columns = sorted(
        {name for row in rows for name in row.keys} - ignored,
        key=lambda name: ID_COLUMNS.index(name) if name in ID_COLUMNS else len(ID_COLUMNS),
    )
    best: tuple[int, str, str, list[str | None]] | None = None
    for column in columns:
        texts = [row.keys.get(column) for row in rows]
        texts = images.without_others(texts)
        for way in ways:
            finder = images.finders[way]
            keys = [None if text is None else finder(text) for text in texts]
            count = sum(key is not None for key in keys)
            if best is None or count > best[0]:
                best = (count, column, way, keys)
            if count == sum(text is not None for text in texts):
                break
        if column == "coreset_id" and best and best[0]:
            break  # ours: an `id` beside it counts the tasks
    return ("id", EXACT, [None] * len(rows)) if best is None else best[1:]


# -- several rows for one image


def _collected(
    imported: ImportedLabels,
    ids_of_rows: Sequence[str | None],
    column: str,
    sentence: str,
    classes: Sequence[str],
    conflicts: str,
) -> LabelMatch:
    """Votes of the usable rows, and counts of the others."""
    votes: dict[str, Counter[str]] = {}
    aside: dict[str, list[str]] = {}
    unmatched: list[str] = []
    matched: list[tuple[str, str]] = []
    known = frozenset(classes)
    for row, key in zip(imported.rows, ids_of_rows, strict=True):
        reason = row.reason or _unusable(row)
        if reason:
            aside.setdefault(reason, []).append(row.where)
        elif key is None:
            unmatched.append(row.keys.get(column) or next(iter(row.keys.values()), row.where))
        else:
            matched.append((row.keys.get(column, key), key))
            name = row.classes[0] if row.classes[0] in known else row.classes[0].strip()
            votes.setdefault(key, Counter())[name] += 1
    disagreeing = [
        Conflict(key, dict(counts), _taken(counts, conflicts))
        for key, counts in votes.items()
        if len(counts) > 1
    ]
    undecided = {conflict.id for conflict in disagreeing if not conflict.taken}
    labels = {
        key: counts.most_common(1)[0][0] for key, counts in votes.items() if key not in undecided
    }
    if not labels:
        raise BadInput(_nothing(imported, unmatched, aside))
    return LabelMatch(
        labels,
        len(imported.rows),
        len(matched),
        len(unmatched),
        list(dict.fromkeys(matched))[:EXAMPLES],
        list(dict.fromkeys(unmatched))[:EXAMPLES],
        disagreeing,
        {reason: len(rows_aside) for reason, rows_aside in aside.items()},
        {reason: rows_aside[:EXAMPLES] for reason, rows_aside in aside.items()},
        sentence,
    )


def _unusable(row: LabelRow) -> str:
    if not row.keys:
        return "no id"
    if not row.classes:
        return "no label"
    return "several classes for one image" if len(row.classes) > 1 else ""


def _taken(counts: Counter[str], conflicts: str) -> str:
    (name, most), (_, next_most) = counts.most_common(2)
    return name if conflicts == "majority" and most > next_most else ""


def _nothing(imported: ImportedLabels, unmatched: list[str], aside: Mapping[str, list[str]]) -> str:
    if unmatched:
        return (
            f"{imported.name!r} labels {counted(len(unmatched), 'image')}, none of them in this "
            "source, "
            f"for example {', '.join(map(repr, unmatched[:EXAMPLES]))}; give the labels of this "
            "source, or name the column of its ids (--id-column)."
        )
    some = "; ".join(
        f"{counted(len(rows_aside), 'row')}: {reason}" for reason, rows_aside in aside.items()
    )
    return (
        f"{imported.name!r} holds no label{f' ({some})' if some else ''}; label some images first, "
        "then export again."
    )
