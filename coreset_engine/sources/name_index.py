"""Find an image by what a table, a list or the user calls it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from coreset_engine.sources.safe_names import comparable

UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")  # what Label Studio puts before an uploaded file's name


class NameIndex:
    """Finds an image by what a table calls it.

    A name counts as it is, else in another Unicode form or letter case, and only where it leaves no
    doubt.
    """

    def __init__(self, relatives: Sequence[str]) -> None:
        self.exact = _Names(relatives)

    @cached_property
    def loose(self) -> _Names:
        return _Names([comparable(relative) for relative in self.exact.relatives])

    def find(self, text: str | None) -> int:
        """The row of the image that `text` names, -1 for none or several."""
        for name in _spellings(text or ""):
            row = self.exact.find(name)
            if row < 0:
                row = self.loose.find(comparable(name))
            if row >= 0:
                return row
        return -1


def _spellings(text: str) -> Iterator[str]:
    """The names that `text` may mean: itself, the file of a URL, and the file that was uploaded."""
    name = text.strip().replace("\\", "/").removeprefix("./")
    if not name:
        return
    yield name
    if "://" in name or "?d=" in name:
        parts = urlsplit(name)
        yield parse_qs(parts.query).get("d", [unquote(parts.path)])[0]
    elif "%" in name:
        yield unquote(name)
    last = name.rpartition("/")[2]
    if UPLOADED.match(last):
        yield UPLOADED.sub("", last)


class _Names:
    """Rows by path, by path or file name without extension, and by file name; -1 = several."""

    def __init__(self, relatives: Sequence[str]) -> None:
        self.relatives = relatives
        self.full: dict[str, int] = {}
        self.bare: dict[str, int] = {}
        self.base: dict[str, int] = {}
        self.stem: dict[str, int] = {}
        for row, relative in enumerate(relatives):
            base = relative.rpartition("/")[2]
            for index, key in (
                (self.full, relative),
                (self.bare, relative.rpartition(".")[0]),
                (self.base, base),
                (self.stem, base.rpartition(".")[0] or base),
            ):
                index[key] = -1 if key in index else row

    def find(self, name: str) -> int:
        parts = PurePosixPath(name.partition("?")[0] if "://" in name else name).parts
        for start in range(len(parts)):
            ending = "/".join(parts[start:])
            row = self.full.get(ending, self.bare.get(ending))
            if row is not None and (row >= 0 or start < len(parts) - 1):
                return row
        base = parts[-1] if parts else name
        row = self.base.get(base, self.stem.get(base, -1))
        contradicts = row >= 0 and len(parts) > 1 and "/" in self.relatives[row]
        return -1 if contradicts else row  # x/1.png is not y/1.png
