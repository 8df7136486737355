"""Index WebDataset tars without unpacking them: offset and size of each image, and its label.

A sample is the members that share a key, which is a member's name up to the first dot of its last
part. The picture is the member whose extension names one of our formats; KEY.cls (.class, .label,
.target), KEY.txt or the "label" of KEY.json, in this order, is the label. A name with more dots
(photo.v2.png) is a sample of its own, key photo.v2, unless its sample has a picture already
(0001.jpg beside 0001.mask.png): then it is skipped. A member's name is never a path: nothing is
written, and the name only serves as an id. Headers that ask for more than 1 MB, links, sparse and
special members, and whatever follows a damaged header are skipped; members that are neither
picture nor label are counted, and so are label members that give no class.
"""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from collections.abc import Iterator
from typing import Any, cast

from coreset_engine.sources.decoding import EXTENSIONS, MAX_BYTES
from coreset_engine.sources.label_formats.values import classes_of
from coreset_engine.sources.remote.storage import Item, Stream

HEADER = 2**20  # the longest extended header that is read
LABEL = 2**16  # the longest label member
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
_LABELS = (".cls", ".class", ".label", ".target", ".txt", ".json")
_NAMES = ("label", "class_name", "class", "category_name", "category", "cls")  # of a class in JSON


def look_through(item: Item, examine: Any, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A row per picture: key, place (byte offset), size, digest, reason, label.

    The tar is read once, in order.

    examine: bytes -> (digest, reason, losses). Rows without a key tell what is wrong with the tar
        itself.
    """
    stream = Stream(item.path, item.size)
    if stream.read(8).startswith(_PACKED):
        yield dict(
            reason="is a compressed tar, which cannot be read in slices; unpack it to a plain .tar"
        )
        return
    samples: dict[str, dict[str, Any]] = {}
    dotted: list[tuple[str, str, dict[str, Any]]] = []
    others: Counter[str] = Counter()
    unread: dict[str, str] = {}
    for member, damage in _members(stream, item.size):
        if member is None:
            yield dict(reason=damage)
        elif member.isdir():
            continue
        else:
            suffix = _last_suffix(member.name)
            if suffix not in EXTENSIONS and suffix not in _LABELS:
                others[suffix or "no extension"] += 1
            else:
                yield from _entry(member, stream, samples, dotted, unread, examine)
    for name, key, row in dotted:
        if "place" in samples.get(key, {}):
            yield dict(
                key=name, reason=f"is a further image of the sample {key!r}; only one is read"
            )
        else:
            named = samples.get(row["key"], {}).get("label")
            shared = samples.get(key, {}).get("label")  # 1.left.png and 1.right.png have 1.cls
            yield row | dict(label=named or shared)
    yield from (row for row in samples.values() if "place" in row)
    if others:
        listed = ", ".join(f"*{suffix} {count:,}" for suffix, count in others.most_common(5))
        yield dict(reason=f"holds members that are neither images nor labels: {listed}")
    if unread:
        name, words = next(iter(unread.items()))
        yield dict(reason=f"holds {len(unread):,} label members without a class: {name!r} {words}")


def _last_suffix(name: str) -> str:
    """The extension of a member's name; "" for a hidden file, which is never a sample."""
    last = name.rpartition("/")[2]
    stem, dot, end = last.rpartition(".")
    return (dot + end).lower() if stem and not last.startswith(".") else ""


def _members(stream: Stream, size: int) -> Iterator[tuple[tarfile.TarInfo | None, str]]:
    """(member, "") one by one; last (None, what is wrong) when the tar is damaged."""
    if not size:
        yield None, "is empty (0 bytes)"
        return
    stream.seek(0)
    try:
        with tarfile.TarFile(fileobj=cast(Any, _HeaderReader(stream))) as tar:
            while (member := tar.next()) is not None:
                cast(Any, tar).members.clear()  # it would keep every header it has seen
                if member.offset_data + member.size > size:
                    raise tarfile.ReadError("a member is cut off")
                yield member, ""
            end = tar.offset
        stream.seek(end)
        if stream.read(512).strip(b"\0"):  # tarfile takes a damaged header for the end
            raise tarfile.ReadError("a header is invalid")
    except (
        tarfile.TarError,
        ValueError,
        OverflowError,
        EOFError,
        RecursionError,
        IndexError,
        KeyError,
    ) as error:
        words = " ".join(str(error).split())[:80] or type(error).__name__
        yield None, f"is damaged ({words}) near byte {stream.tell():,}; what follows was not read"


class _HeaderReader:
    """The stream that tarfile reads headers from; a hostile tar may declare gigabytes of them."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.seek = stream.seek
        self.tell = stream.tell
        self.close = stream.close

    def read(self, count: int = -1) -> bytes:
        if not 0 <= count <= HEADER:
            raise tarfile.ReadError("a header is too long")
        return self._stream.read(count)


def _entry(
    member: tarfile.TarInfo,
    stream: Stream,
    samples: dict[str, dict[str, Any]],
    dotted: list[tuple[str, str, dict[str, Any]]],
    unread: dict[str, str],
    examine: Any,
) -> Iterator[dict[str, Any]]:
    """Put one picture or label where it belongs; yields it when it is skipped.

    unread: names of label members that give no class, each with what is wrong; it grows.
    """
    if not member.isreg() or member.issparse():
        yield dict(key=member.name, reason="is a link or special member")
        return
    folder, slash, last = member.name.rpartition("/")
    stem, dot, rest = last.partition(".")
    key = folder + slash + stem
    longer = member.name[: len(member.name) - len(_last_suffix(member.name))]
    suffix = (dot + rest).lower()
    if suffix in _LABELS or suffix not in EXTENSIONS and _last_suffix(member.name) in _LABELS:
        owner = key if suffix in _LABELS else longer
        sample = samples.setdefault(owner, {"key": owner})
        words = _note(sample, _last_suffix(member.name), _read(stream, member, LABEL))
        if words:
            unread[member.name] = words
    elif suffix not in EXTENSIONS:
        dotted.append((member.name, key, _picture(longer, member, stream, examine)))
    elif "place" in samples.get(key, {}):
        yield dict(key=member.name, reason="repeats a key")
    else:
        sample = samples.setdefault(key, {"key": key})
        sample |= _picture(key, member, stream, examine)


def _picture(key: str, member: tarfile.TarInfo, stream: Stream, examine: Any) -> dict[str, Any]:
    """The row of one picture."""
    data = _read(stream, member, MAX_BYTES)
    if data is None:
        digest = ""
        losses = ""
        reason = f"is {member.size:,} bytes long, over the limit of {MAX_BYTES:,}"
    else:
        digest, reason, losses = examine(data)
    return dict(
        key=key,
        place=member.offset_data,
        size=member.size,
        digest=digest,
        reason=reason,
        losses=losses,
    )


def _read(stream: Stream, member: tarfile.TarInfo, limit: int) -> bytes | None:
    if member.size > limit:
        return None
    stream.seek(member.offset_data)
    return stream.read(member.size)


def _note(sample: dict[str, Any], suffix: str, data: bytes | None) -> str:
    """Keep the label of the most telling member: .cls before .txt before .json.

    Returns what is wrong with a member that should give a class and does not, else "".
    """
    rank = _LABELS.index(suffix)
    try:
        text = _text(suffix, data)
    except _NoClass as error:
        return str(error)
    if text and rank <= sample.get("rank", len(_LABELS)):
        sample |= dict(label=text, rank=rank)
    return ""


class _NoClass(ValueError):
    """Why a label member gives no class."""


def _text(suffix: str, data: bytes | None) -> str:
    """The class in a label member; "" for one that is empty or JSON about something else."""
    if data is None:
        if suffix == ".json":  # any metadata; a class would be found in a short one
            return ""
        raise _NoClass(f"is over the limit of {LABEL:,} bytes")
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise _NoClass("is not UTF-8 text") from None
    if suffix != ".json" or not text:
        return text
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise _NoClass("is not JSON") from None
    values = content if isinstance(content, dict) else {}
    value = next((values[name] for name in _NAMES if values.get(name) is not None), None)
    names = classes_of(value)
    if len(names) > 1:
        raise _NoClass(f"names {len(names)} classes: {', '.join(names)[:80]}")
    return names[0] if names else ""
