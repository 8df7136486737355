"""Text of the files that people keep beside their images: its encoding, and files that are none."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from coreset_engine.core.errors import BadInput

_PROBED = 200  # bytes that tell UTF-16 without a mark, and what XML declares
_DECLARED = re.compile(rb"\s*<\?xml[^>]{0,100}?encoding=[\"']([A-Za-z0-9_.-]{1,40})[\"']")
_HIGH = re.compile(rb"[\x80-\xff]+")
_WESTERN = frozenset(
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿŠšŽžŒœŸ€„…‹›‘’“”•–—™ "
    "¡¢£§©ª«¬®°±²³´µ"
    "·¸¹º»¼½¾¿×÷"
)
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


def text_of(data: bytes, called: str = "the file") -> str:
    """The text in `data`: UTF-8, UTF-16, what XML declares, or, as Excel writes it in the West,
    Windows-1252; what that cannot hold becomes U+FFFD.

    Raises
    ------
    BadInput
        For bytes that are neither UTF-8 nor read like Western text, naming the file as `called`.
    """
    declared = _DECLARED.match(data[:_PROBED])
    if declared and _known(declared[1].decode()):
        return data.decode(declared[1].decode(), "replace")
    *others, last = encodings_of(data)
    for encoding in others:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    if last == "cp1252" and not _is_western(data):
        raise BadInput(
            f"{called!r} is not UTF-8, and read as Latin-1 it is not text (another "
            "national encoding, such as GBK, Shift-JIS or Windows-1251?); save it as UTF-8."
        )
    return data.decode(last, "replace")


def _known(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding).name not in ("utf-16", "utf-16-le", "utf-16-be")
    except LookupError:
        return False


def _is_western(data: bytes) -> bool:
    """Whether bytes above 127 are mostly single Western letters or signs between plain ones.

    Alphabets and syllabaries of two bytes a character, and Cyrillic or Greek words, give long runs
    of such bytes.
    """
    runs = _HIGH.findall(data)
    if not runs:
        return True
    high = b"".join(runs).decode("cp1252", "replace")
    usual = sum(letter in _WESTERN for letter in high)
    single = sum(len(run) == 1 for run in runs)
    return usual * 10 >= 7 * len(high) and single * 2 >= len(runs)


def lines_of(text: str) -> list[str]:
    """Lines that end with a line feed, a carriage return or both; other separators are text."""
    return re.split(r"\r\n|\n|\r", text)
