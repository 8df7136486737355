"""Parquet files with pictures inside: a column of bytes, or Hugging Face's struct {bytes, path}.

The unit that is read is a row group: when the file is scanned, and again when its images are
embedded or shown. The last ones stay in memory, 512 MB of them at most. Before one is read its
declared size is checked (`row_group_bytes`), and bytes stay dictionary-encoded, so that a small
file cannot stand for terabytes of repeated values. A struct's `path` is never opened: it comes from
whatever tool wrote the file.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, NamedTuple

from coreset_engine.core.errors import BadInput
from coreset_engine.core.limits import limits
from coreset_engine.sources.decoding import MAX_BYTES
from coreset_engine.sources.folder_names import is_mask_folder
from coreset_engine.sources.label_formats.values import class_names_of, plain_text
from coreset_engine.sources.remote.storage import Item, Stream

HELD = 512 * 2**20
_BIG = 2**26
_FEW = threading.Semaphore(2)  # at most two row groups above _BIG are read at once: bounded memory
NAMES = ("image", "img", "jpg", "jpeg", "png", "webp", "picture", "bytes", "content", "data")
LABELS = (
    *("label", "labels", "class", "cls", "fine_label", "class_name", "label_name", "category"),
    *("category_name", "target"),
)
SPELT = ("class_name", "label_name", "category_name")  # beside a column of numbers
_NO_PICTURES = frozenset(("id", "ids", "uid", "uuid", "key", "embedding", "embeddings", "vector"))
_ROWS = 40  # a place is (row group << _ROWS) + row in it


class Unfit(Exception):
    """Why a whole Parquet file, or one row group, is of no use; the message is the reason."""


def look_through(item: Item, examine: Any, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A row per picture: key, place (row group and row), size, digest, reason, label.

    One row group at a time.

    options: image, id, label: names of columns; default: the first of bytes, row numbers
    `file:row`, a column called label or class. examine: bytes -> (digest, reason, losses).
    """
    import pyarrow as pa

    try:
        about = metadata_of(item)
        schema = about.schema.to_arrow_schema()
        image = _image_column(schema, options.get("image"))
        names = {part: _named(schema, options.get(part)) for part in ("id", "label")}
        for words in unread_columns(schema):
            yield dict(reason=words)
        plain = {field.name for field in schema if not pa.types.is_nested(field.type)}
        names["label"] = names["label"] or _label_column(schema, plain - {image})
        for words in further_pictures(schema, image, options.get("image")):
            yield dict(reason=words)
        if names["label"] is None:
            for words in unread_labels(schema, image):
                yield dict(reason=words)
        classes = class_names_of(schema, names["label"])
        _remember_classes(item, options.get("label"), classes)
        row = 0
    except Unfit as error:
        yield dict(reason=str(error))
        return
    for group in range(about.num_row_groups):
        try:
            pictures, extra = read_group(
                item.path,
                item.size,
                group,
                image,
                about,
                tuple(name for name in names.values() if name),
            )
        except Unfit as error:
            yield dict(reason=f"row group {group} {error}")
            row += max(0, about.row_group(group).num_rows)
            continue
        columns = _Columns(pictures, extra, names, classes)
        for position in range(len(pictures)):
            row_record = _row(columns, position, f"{item.name}:{row}", examine)
            yield dict(place=(group << _ROWS) + position) | row_record
            row += 1


class _Columns(NamedTuple):
    """A row group: its pictures, other columns by name, the names of "id" and "label", and the
    class names."""

    pictures: Any
    extra: dict[str, Any]
    names: dict[str, str | None]
    classes: list[str]


def _row(columns: _Columns, position: int, number: str, examine: Any) -> dict[str, Any]:
    """key, size, digest, reason, label of one row.

    number: its id when no column holds one, or a bad one.
    """
    pictures, extra, names, classes = columns
    try:
        key = _text(extra, names["id"], position) if names["id"] else number
        label = _label(_text(extra, names["label"], position), classes)
        examined = _one(pictures, position, examine)
    except (
        ValueError,
        IndexError,
        OverflowError,
    ) as error:  # Arrow finds damage only when a value is requested
        return dict(key=number, size=0, digest="", reason=f"is damaged ({_words(error)})")
    if not key:
        return dict(key=number, size=0, digest="", reason="has no id")
    return examined | dict(key=key, label=label)


def _one(pictures: Any, position: int, examine: Any) -> dict[str, Any]:
    data = pictures[position].as_py()
    if data is None:
        return dict(size=0, digest="", reason="has no bytes (a path alone is not followed)")
    if len(data) > MAX_BYTES:
        return dict(
            size=len(data),
            digest="",
            reason=f"is {len(data):,} bytes long, over the limit of {MAX_BYTES:,}",
        )
    digest, reason, losses = examine(data)
    return dict(size=len(data), digest=digest, reason=reason, losses=losses)


_CLASSES: OrderedDict[tuple[str, int, str, str | None], list[str]] = OrderedDict()
_MOST_CLASSES = 1024  # files whose list of classes is kept


def _remember_classes(item: Item, column: str | None, classes: list[str]) -> None:
    _CLASSES[item.path, item.size, item.version, column] = classes
    while len(_CLASSES) > _MOST_CLASSES:
        _CLASSES.popitem(last=False)


def listed_classes(item: Item, column: str | None) -> list[str]:
    """The class names in a file's schema; its footer is read only where it has not been already.

    column: as the options name it, None for the first of a usual name.
    """
    known = _CLASSES.get((item.path, item.size, item.version, column))
    if known is not None:
        return known
    schema = metadata_of(item).schema.to_arrow_schema()
    label = column or _label_column(schema, set(schema.names))
    classes = class_names_of(schema, label)
    _remember_classes(item, column, classes)
    return classes


def _label_column(schema: Any, among: set[str]) -> str | None:
    """The column of classes: one of a usual name, and of numbers without names the one that spells
    them out."""
    import pyarrow as pa

    chosen = next((name for name in LABELS if name in among), None)
    if chosen is None or class_names_of(schema, chosen):
        return chosen
    spelt = next((name for name in SPELT if name in among), None)
    return spelt if spelt and pa.types.is_integer(schema.field(chosen).type) else chosen


def further_pictures(schema: Any, image: str, asked: str | None) -> list[str]:
    """Notes on image columns that are not read when none was chosen."""
    if asked is not None:
        return []
    return [
        f"column {field.name!r} also holds images; {image!r} is read, image={field.name} "
        f"(FILE#image={field.name}) selects the other"
        for field in schema
        if field.name != image
        and holds_bytes(field.type)
        and field.name.lower() not in _NO_PICTURES
    ]


def metadata_of(item: Item) -> Any:
    """The file's footer. Raises Unfit when there is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_metadata(pa.PythonFile(Stream(item.path, item.size, 2**16), mode="r"))
    except BadInput:
        raise  # the store did not answer
    except (pa.ArrowException, ValueError, OSError) as error:
        raise Unfit(f"is damaged or no Parquet file ({_words(error)})") from error


def _image_column(schema: Any, wanted: str | None) -> str:
    """The image column: the one named, else the first of NAMES that holds bytes, else any."""
    fit = [field.name for field in schema if holds_bytes(field.type)]
    if wanted is not None:
        if wanted not in fit:
            raise Unfit(
                f"has no column {wanted!r} of image bytes; columns of bytes are "
                f"{', '.join(fit) or 'none'}"
            )
        return wanted
    pictures = [name for name in fit if not is_mask_folder(name)]
    column = next((name for name in (*NAMES, *pictures, *fit) if name in fit), None)
    if column is None:
        reasons = "; ".join(unread_columns(schema))
        columns = ", ".join(f"{field.name} ({field.type})" for field in schema)[:300]
        raise Unfit(f"has no column of image bytes: {reasons or f'its columns are {columns}'}")
    return column


def holds_bytes(kind: Any) -> bool:
    """Whether an Arrow type holds an image's bytes: binary, or a struct with a field `bytes`."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and holds_bytes(kind.field("bytes").type)
    if pa.types.is_dictionary(kind):
        return holds_bytes(kind.value_type)
    checks = (
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_binary_view,
        pa.types.is_fixed_size_binary,
    )
    return any(check(kind) for check in checks)


def _holds_lists(kind: Any) -> bool:
    """Whether an Arrow type holds several pictures a row."""
    import pyarrow as pa

    checks = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(check(kind) for check in checks) and holds_bytes(kind.value_type)


def unread_columns(schema: Any) -> list[str]:
    """The remarks on columns that hold several pictures a row, which are not read."""
    return [
        f"column {field.name!r} holds {field.type}: several images per row, which is not "
        "supported; write one image per row"
        for field in schema
        if _holds_lists(field.type)
    ]


def unread_labels(schema: Any, image: str) -> list[str]:
    """The remarks on columns called as labels that hold several values a row.

    image: the image column, which may be a struct.
    """
    import pyarrow as pa

    return [
        f"column {field.name!r} holds {field.type}: several values per row, which is not supported "
        "as a class; write one class per row, or give the labels as a table"
        for field in schema
        if field.name in LABELS and field.name != image and pa.types.is_nested(field.type)
    ]


def _named(schema: Any, wanted: str | None) -> str | None:
    import pyarrow as pa

    if wanted is not None and (
        wanted not in schema.names or pa.types.is_nested(schema.field(wanted).type)
    ):
        raise Unfit(
            f"has no plain column {wanted!r}; its columns are {', '.join(schema.names)[:200]}"
        )
    return wanted


def _text(extra: dict[str, Any], name: str | None, position: int) -> str | None:
    return plain_text(extra[name][position].as_py()) if name else None


def _label(text: str | None, classes: list[str]) -> str | None:
    number = (
        int(text)
        if text is not None and text.isascii() and text.isdigit() and len(text) < 10
        else -1
    )
    if text is None or not text.strip() or text == "-1" and classes:
        return None
    return classes[number] if 0 <= number < len(classes) else text


def read_group(
    path: str,
    size: int,
    group: int,
    image: str | None,
    about: Any = None,
    extra: tuple[str, ...] = (),
) -> tuple[Any, dict[str, Any]]:
    """Read one row group.

    Parameters
    ----------
    path : str
        URL of the Parquet file.
    size : int
        Its bytes.
    group : int
        The row group, from 0.
    image : str or None
        Column of pictures; None = the one that `look_through` takes.
    about : optional
        The file's footer where it is read already.
    extra : tuple of str
        Other columns that are wanted.

    Returns
    -------
    tuple
        The pictures' bytes as an Arrow column, and other columns by name.

    Raises
    ------
    Unfit
        With the reason, when it cannot be read.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    stream = Stream(path, size, 2**20)
    try:
        file = pq.ParquetFile(stream, metadata=about)
        schema = file.schema_arrow
        image = _image_column(schema, image)
        nested = pa.types.is_struct(schema.field(image).type)
        leaf = f"{image}.bytes" if nested else image
        declared = _declared(file.metadata.row_group(group), {leaf, *extra})
        if declared > limits().row_group_bytes:
            raise Unfit(
                f"holds {declared:,} bytes, over the limit of {limits().row_group_bytes:,}; write "
                "the file with smaller row "
                "groups, for example row_group_size=1000"
            )
        file = pq.ParquetFile(stream, metadata=file.metadata, read_dictionary=[leaf])
        with _FEW if declared > _BIG else threading.Lock():
            table = file.read_row_group(group, columns=[leaf, *extra], use_threads=False)
        pictures = pc.struct_field(table[image], "bytes") if nested else table[image]
        return pictures, {name: _plain_texts(table[name]) for name in extra}
    except BadInput:
        raise  # the store did not answer
    except (pa.ArrowException, ValueError, KeyError, IndexError, OverflowError, OSError) as error:
        raise Unfit(f"is damaged ({_words(error)})") from error


def _plain_texts(column: Any) -> Any:
    """The column without its dictionary, whose values are requested one by one."""
    import pyarrow as pa

    is_dictionary = pa.types.is_dictionary(column.type)
    return column.cast(column.type.value_type) if is_dictionary else column


def _declared(group: Any, wanted: set[str]) -> int:
    columns = (group.column(number) for number in range(group.num_columns))
    return sum(
        column.total_uncompressed_size for column in columns if column.path_in_schema in wanted
    )


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__


class Groups:
    """Cache of row groups, HELD bytes at most; threads share each one."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple, Any] = OrderedDict()
        self._locks: dict[tuple, threading.Lock] = {}
        self._door = threading.Lock()

    def get(self, path: str, size: int, version: str, group: int, image: str | None) -> Any:
        """The pictures of one row group, read once while they are held.

        Parameters
        ----------
        path, size, group, image
            As in `read_group`.
        version : str
            What the file is known by; another one is read again.

        Raises
        ------
        Unfit
            As `read_group`.
        """
        key = (path, version, group, image)
        with self._door:
            mine = self._locks.setdefault(key, threading.Lock())
        with mine:
            with self._door:
                if key in self._held:
                    self._held.move_to_end(key)
                    return self._held[key]
            column = read_group(path, size, group, image)[0]
            with self._door:
                self._held[key] = column
                self._trim(key)
            return column

    def _trim(self, newest: tuple) -> None:
        while sum(column.nbytes for column in self._held.values()) > HELD and len(self._held) > 1:
            old = next(iter(self._held))
            if old == newest:
                return
            del self._held[old]
            self._locks.pop(old, None)


GROUPS = Groups()


def where(position: int) -> tuple[int, int]:
    """(row group, row in it) of a place."""
    return position >> _ROWS, position & ((1 << _ROWS) - 1)
