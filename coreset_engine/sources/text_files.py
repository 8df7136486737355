"""Text of the files that people keep beside their images: its encoding, and files that are none."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from coreset_engine.core.errors import BadInput

_PROBED = 200  # bytes that tell UTF-16 without a mark
_WORKBOOK = (
    "is a workbook or an archive, not a table; save the sheet as CSV, or unpack the archive and "
    "give the file in it"
)
_PACKED = (
    (b"PK\x03\x04", _WORKBOOK),
    (b"\xd0\xcf\x11\xe0", _WORKBOOK),
    (b"\x1f\x8b", "is packed with gzip; unpack it (gunzip) and give the file in it"),
    (b"BZh", "is packed with bzip2; unpack it (bunzip2) and give the file in it"),
    (b"\xfd7zXZ\0", "is packed with xz; unpack it (unxz) and give the file in it"),
    (b"\x28\xb5\x2f\xfd", "is packed with zstd; unpack it (unzstd) and give the file in it"),
    (b"SQLite format 3\0", "is an SQLite database, not a table; export the table as CSV"),
    (b"\x80\x04", "is a Python pickle, which is never read; write the table as CSV or Parquet"),
    (b"\x80\x05", "is a Python pickle, which is never read; write the table as CSV or Parquet"),
    (b"ARROW1", "is an Arrow (Feather) file; write the table as Parquet or CSV"),
)


def refuse_packed(path: Path, data: bytes) -> None:
    """Raise BadInput, with what it is and the way on, for a file that is known to be no text."""
    for start, words in _PACKED:
        if data.startswith(start):
            raise BadInput(f"{str(path)!r} {words}.")


def encodings_of(data: bytes) -> tuple[str, ...]:
    """The encodings that `data` may be in, most probable first.

    UTF-16 without a mark is known by every other byte of plain letters being zero; single zero
    bytes are damage, not an encoding.
    """
    if data.startswith(codecs.BOM_UTF8):
        return ("utf-8-sig",)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ("utf-16",)
    head = data[:_PROBED]
    if head.count(0) * 4 >= len(head) > 0:
        return ("utf-16-le" if data[1:2] == b"\0" else "utf-16-be",)
    return ("utf-8", "cp1252")


def text_of(data: bytes) -> str:
    """The text in `data`; what its encoding cannot hold becomes U+FFFD."""
    *others, last = encodings_of(data)
    for encoding in others:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode(last, "replace")


def lines_of(text: str) -> list[str]:
    """Lines that end with a line feed, a carriage return or both; other separators are text."""
    return re.split(r"\r\n|\n|\r", text)
