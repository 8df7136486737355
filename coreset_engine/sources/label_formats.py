"""Read label files of other tools row by row.

CSV, JSON and JSON Lines of Label Studio, COCO, YOLO, CVAT's XML, Parquet, and folders of class
folders.

Every reader yields `LabelRow`s: what names the image, and the classes said of it. Nothing is
trusted and no row stops the others: one that cannot be understood carries its reason.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from coreset_engine.core.classes import class_of_folder
from coreset_engine.core.errors import BadInput
from coreset_engine.sources.text_files import encodings_of, lines_of, refuse_packed, text_of

# Columns that name the image, most telling first; columns that name the class.
ID_COLUMNS = (
    "coreset_id",
    "sample_id",
    "image_id",
    "filepath",
    "file_path",
    "image_path",
    "path",
    "file_name",
    "filename",
    "file",
    "image",
    "img",
    "key",
    "uid",
    "id",
    "",  # the index that pandas writes without a name
    "unnamed: 0",
)
CLASS_COLUMNS = (
    "label",
    "labels",
    "class",
    "class_name",
    "classname",
    "choice",
    "choices",
    "annotation",
    "category",
    "category_name",
    "ground_truth",
    "target",
    "tag",
)
# What Label Studio adds to every row of its own accord.
OTHER_COLUMNS = frozenset(
    (
        "annotator annotation_id annotations created_at updated_at lead_time agreement inner_id "
        "total_annotations cancelled_annotations predictions meta project file_upload"
    ).split()
)
PICTURES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm"))
DELIMITERS = (",", ";", "\t", "|")
LIMIT = 2 << 30  # bytes of a label file


@dataclass(frozen=True)
class LabelRow:
    """What one row says.

    Parameters
    ----------
    keys : mapping
        Column -> text that names the image, most telling column first.
    classes : tuple of str
        Different classes said of it; () = none.
    where : str
        "line 7", "task 3".
    annotator : str
        Who said so, "" when unknown.
    reason : str
        Why the row cannot be used; "" when it can.
    """

    keys: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    where: str = ""
    annotator: str = ""
    reason: str = ""


def read_rows(path: Path, id_column: str = "", label_column: str = "") -> list[LabelRow]:
    """Every row of a label file or folder.

    Parameters
    ----------
    path
        .csv, .tsv, .txt, .json, .jsonl, .xml, .parquet, or a folder.
    id_column, label_column
        Columns to take; "" = found by their names.

    Raises
    ------
    BadInput
        When the file cannot be read at all or holds no columns that name images and classes.
    """
    if path.is_dir():
        return list(_folder(path))
    try:
        size = path.stat().st_size
        if not path.is_file() or size > LIMIT:
            raise BadInput(
                f"{str(path)!r} is no file of labels below {LIMIT >> 30} GB; give the file itself."
            )
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"{str(path)!r} cannot be read ({error.strerror or error}); give a .csv, .json, .xml "
            "or "
            ".parquet file, a folder, or fiftyone:NAME/FIELD."
        ) from None
    if data[:4] == b"PAR1":
        return list(_parquet(path, id_column, label_column))
    refuse_packed(path, data)
    text = decoded(data, path)
    start = text.lstrip()[:1]
    if start == "<":
        return list(_cvat(path, text))
    if start in ("[", "{"):
        return list(_json(path, text, id_column, label_column))
    return list(_table(path, text, id_column, label_column))


def decoded(data: bytes, path: Path) -> str:
    """Text of a file in UTF-8, UTF-16 or, as Excel writes it in the West, Windows-1252."""
    encodings = encodings_of(data)
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BadInput(f"{str(path)!r} is no text ({', '.join(encodings)} failed); save it as UTF-8.")


def classes_of(value: Any) -> tuple[str, ...]:
    """The different class names in any value a tool writes: text, number, list, {"choices": [...]}.

    Numbers become their digits (7.0 -> "7"); None, NaN and "" are no class.
    """
    if isinstance(value, str):
        return (value,) if value.strip() else ()
    if isinstance(value, bool):
        return (str(value).lower(),)
    if isinstance(value, int):
        return (str(value),)
    if isinstance(value, float):
        if math.isnan(value):
            return ()
        return (str(int(value)) if value.is_integer() else repr(value),)
    if isinstance(value, Mapping):
        inner = next((value[name] for name in _INNER if value.get(name) is not None), None)
        return classes_of(inner)
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return tuple(dict.fromkeys(name for item in value for name in classes_of(item)))
    return ()


_INNER = ("choices", "rectanglelabels", "polygonlabels", "labels", "label", "class", "name", "text")


# -- tables ----------------------------------------------------------------------------------------


def _table(path: Path, text: str, id_column: str, label_column: str) -> Iterator[LabelRow]:
    """The rows of a CSV as Excel, pandas, Label Studio or CVAT write it."""
    text, delimiter = _dialect(text)
    rows = _records(text, delimiter)
    first = next(rows, None)
    if first is None:
        raise BadInput(f"{str(path)!r} is empty; it needs a column of ids and one of labels.")
    head = [name.strip().strip("\ufeff").lower() for name in first[1] or ()]
    if _headless(head):
        rows = _records(text, delimiter)
        head = ["id", "label", *(f"column {i}" for i in range(3, len(head) + 1))]
    keys, label = _columns(path, head, id_column, label_column)
    for number, cells, problem in rows:
        where = f"line {number}"
        if problem:
            yield LabelRow(where=where, reason=f"no CSV ({problem})")
        elif not any(cells):
            continue
        elif len(cells) < len(head) and len(cells) <= max(label, *keys):
            yield LabelRow(where=where, reason="a field is missing")
        elif len(cells) > len(head) and any(cells[len(head) :]):
            yield LabelRow(where=where, reason="more fields than columns")
        else:
            named = {head[i]: cells[i] for i in keys if cells[i].strip()}
            who = cells[head.index("annotator")] if "annotator" in head else ""
            yield LabelRow(named, _cell(cells[label]), where, who)


def _dialect(text: str) -> tuple[str, str]:
    """(text without Excel's line `sep=;`, the delimiter that gives the first line most columns)."""
    line, _, rest = text.partition("\n")
    declared = re.fullmatch(r'"?sep=(.)"?\s*', line, re.IGNORECASE)
    if declared:
        return rest, declared[1]
    known = {*ID_COLUMNS, *CLASS_COLUMNS} - {""}

    def worth(delimiter: str) -> tuple[int, int]:
        cells = next(csv.reader([line], delimiter=delimiter), [])
        return len(known & {cell.strip().lower() for cell in cells}), len(cells)

    try:
        return text, max(DELIMITERS, key=worth)
    except csv.Error:
        return text, ","


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str], str]]:
    """(line it begins at, cells, fault) of every record; a broken one costs its own line only."""
    lines = io.StringIO(text, newline="").readlines()
    at = 0
    while at < len(lines):
        begin = at
        reader = csv.reader(lines[begin:], delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                yield at + 1, cells, ""
                at = begin + reader.line_num
        except csv.Error as error:
            yield at + 1, [], str(error)
            at += 1


def _headless(head: list[str]) -> bool:
    """Two columns without a head: the first names a picture."""
    known = {*ID_COLUMNS, *CLASS_COLUMNS} - {""}
    return not known & set(head) and len(head) == 2 and Path(head[0]).suffix in PICTURES


def _columns(
    path: Path, head: list[str], id_column: str, label_column: str
) -> tuple[list[int], int]:
    """Positions of the columns that name the image, most telling first, and of the class."""
    for asked in filter(None, (id_column, label_column)):
        if asked.lower() not in head:
            raise BadInput(
                f"{str(path)!r} has no column {asked!r}; it has {', '.join(filter(None, head))}."
            )
    label = _first(head, [label_column.lower()] if label_column else CLASS_COLUMNS)
    if label is not None and head.count(head[label]) > 1:
        raise BadInput(
            f"{str(path)!r} has {head.count(head[label])} columns called {head[label]!r}; rename "
            "them, so that one can be chosen (--label-column)."
        )
    keys = [i for name in ID_COLUMNS for i, own in enumerate(head) if own == name]
    if id_column:
        keys = [head.index(id_column.lower())]
    if label is None and keys:
        others = [
            i
            for i, name in enumerate(head)
            if i not in keys and name not in OTHER_COLUMNS and not name.startswith("coreset_")
        ]
        label = others[0] if len(others) == 1 else None
    keys = [i for i in keys if i != label]
    if label is None or not keys:
        raise BadInput(
            f"{str(path)!r} has the columns {', '.join(filter(None, head)) or 'none'}; it needs id "
            "and label, or name them: --id-column, --label-column."
        )
    return keys, label


def _first(head: list[str], names: Iterable[str]) -> int | None:
    return next((head.index(name) for name in names if name in head), None)


def _cell(text: str) -> tuple[str, ...]:
    """The classes in a cell: plain text, or the JSON that Label Studio writes for several."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            return classes_of(json.loads(text))
        except (ValueError, RecursionError):
            pass
    return classes_of(text)


# -- JSON ------------------------------------------------------------------------------------------


def _json(path: Path, text: str, id_column: str, label_column: str) -> Iterator[LabelRow]:
    items = _parsed(path, text)
    if isinstance(items, dict):
        yield from _object(path, items)
        return
    for number, item in enumerate(items):
        where = f"task {number}"
        try:
            yield from _task(item, where, id_column, label_column)
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            yield LabelRow(where=where, reason=f"no task ({type(error).__name__})")


def _parsed(path: Path, text: str) -> Any:
    """The list or object of a .json; of a .jsonl the list of its lines, None for a broken one."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        lines = [line for line in text.split("\n") if line.strip()]
        parsed = [_line(line) for line in lines]
        if len(lines) < 2 or all(item is None for item in parsed):
            raise BadInput(
                f"{str(path)!r} is no JSON ({error}); export from Label Studio as JSON or JSON-MIN."
            ) from None
        return parsed


def _line(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _object(path: Path, item: dict[str, Any]) -> Iterator[LabelRow]:
    """One JSON object: COCO, or {id: class}."""
    if isinstance(item.get("images"), list) and isinstance(item.get("annotations"), list):
        yield from _coco(item)
    elif isinstance(item.get("shapes"), list) and "imagePath" in item:
        yield _labelme(item, path.name)
    elif item and all(isinstance(value, _PLAIN) for value in item.values()):
        yield from _pairs(item)
    else:
        raise BadInput(
            f"{str(path)!r} is neither a list of tasks nor COCO, LabelMe, {{image: class}} nor "
            "{class: [images]}; export from Label Studio as JSON or JSON-MIN."
        )


_PLAIN = (str, int, float, list, type(None))


def _pairs(item: dict[str, Any]) -> Iterator[LabelRow]:
    """{image: class}, {image: [classes]}, or {class: [images]} where the lists hold files."""
    lists = [value for value in item.values() if isinstance(value, list)]
    files = [one for value in lists for one in value if _is_picture(one)]
    if len(lists) == len(item) and len(files) > sum(map(len, lists)) / 2:
        for name, images in item.items():
            for number, image in enumerate(images):
                yield LabelRow({"id": _key(image)}, (name,), f"{name} {number}")
        return
    for number, (key, name) in enumerate(item.items()):
        yield LabelRow({"id": key}, classes_of(name), f"entry {number}")


def _is_picture(value: Any) -> bool:
    return isinstance(value, str) and Path(value).suffix.lower() in PICTURES


def _labelme(item: dict[str, Any], where: str) -> LabelRow:
    """One picture of LabelMe: the labels of its shapes, and its flags that are true."""
    shapes = [one.get("label") for one in item["shapes"] if isinstance(one, dict)]
    flags = item.get("flags")
    set_flags = (
        [name for name, on in flags.items() if on is True] if isinstance(flags, dict) else []
    )
    keys = {"file_name": str(item["imagePath"]).replace("\\", "/")}
    return LabelRow(keys, classes_of(shapes or set_flags), where)


def _task(task: Any, where: str, id_column: str, label_column: str) -> Iterator[LabelRow]:
    """One row for every annotator of a task in full JSON; one for a task of JSON-MIN or JSONL."""
    if not isinstance(task, dict):
        yield LabelRow(where=where, reason="no task (unreadable)")
        return
    data = task.get("data", task)
    if not isinstance(data, dict):
        data = task
    lower = {str(name).lower(): value for name, value in data.items()}
    keys = {
        name: text
        for name in ([id_column.lower()] if id_column else ID_COLUMNS)
        if (text := _key(lower.get(name)))
    }
    if not keys:
        yield LabelRow(where=where, reason="no id")
    elif "annotations" in task or "completions" in task:
        done = _done(task.get("annotations") or task.get("completions") or [])
        if done and all("result" not in entry for entry in done):
            names = [name for entry in done for name in _result(entry)]
            yield LabelRow(keys, tuple(dict.fromkeys(names)), where)
            return
        for entry in done:
            yield LabelRow(keys, _result(entry), where, str(entry.get("completed_by", "")))
        if not done:
            yield LabelRow(keys, (), where)
    else:
        columns = [label_column.lower()] if label_column else list(CLASS_COLUMNS)
        chosen = next((lower[name] for name in columns if lower.get(name) is not None), None)
        yield LabelRow(keys, classes_of(chosen), where, str(lower.get("annotator", "")))


def _key(value: Any) -> str:
    if isinstance(value, dict):  # {"path": ..., "bytes": ...} of `datasets`
        value = value.get("path")
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return ""
    return str(value).strip()


def _done(entries: list[Any]) -> list[dict[str, Any]]:
    """Annotations that count: the latest of each annotator, not cancelled.

    Verified ones alone where there are any.
    """
    latest: dict[Any, dict[str, Any]] = {}
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict) or entry.get("was_cancelled"):
            continue
        who = entry.get("completed_by")
        who = json.dumps(who, sort_keys=True) if who is not None else number
        held = latest.get(who)
        if held is None or str(entry.get("updated_at", "")) >= str(held.get("updated_at", "")):
            latest[who] = entry
    verified = [entry for entry in latest.values() if entry.get("ground_truth")]
    return verified or list(latest.values())


def _result(entry: dict[str, Any]) -> tuple[str, ...]:
    """The classes of one annotation: its choices, else the labels of its regions."""
    if "result" not in entry:  # CreateML: {"label": ..., "coordinates": ...}
        return classes_of(entry.get("label"))
    results = [item for item in entry.get("result") or () if isinstance(item, dict)]
    values = [value for item in results if isinstance(value := item.get("value"), dict)]
    for kinds in (("choices",), ("rectanglelabels", "polygonlabels", "labels", "brushlabels")):
        classes = [classes_of(value[kind]) for value in values for kind in kinds if kind in value]
        if classes:
            return tuple(dict.fromkeys(name for names in classes for name in names))
    return ()


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _id_text(value: Any) -> str:
    """An id of COCO as text: some tools write 7 in one place and "7" in another."""
    return str(value)


def _coco(item: dict[str, Any]) -> Iterator[LabelRow]:
    """One row for every image: the categories of its annotations."""
    categories = {
        _id_text(one["id"]): str(one["name"])
        for one in _list(item.get("categories"))
        if isinstance(one, dict) and "id" in one and isinstance(one.get("name"), str | int)
    }
    names: dict[str, dict[str, None]] = {}
    for one in item["annotations"]:
        name = categories.get(_id_text(one.get("category_id"))) if isinstance(one, dict) else None
        if name is not None:
            names.setdefault(_id_text(one.get("image_id")), {})[name] = None
    for number, image in enumerate(item["images"]):
        where = f"image {number}"
        if not isinstance(image, dict):
            yield LabelRow(where=where, reason="no image entry")
            continue
        own = image.get("coreset")
        keys = {
            "coreset_id": _key(own.get("id")) if isinstance(own, dict) else "",
            "file_name": _key(image.get("file_name")),
            "id": _key(image.get("id")),
        }
        keys = {name: text for name, text in keys.items() if text}
        yield LabelRow(keys, tuple(names.get(_id_text(image.get("id")), ())), where)


# -- XML, Parquet, folders -------------------------------------------------------------------------


def _cvat(path: Path, text: str) -> Iterator[LabelRow]:
    """CVAT for images 1.1: <image name> with <tag label> (else the labels of its shapes)."""
    if "<!ENTITY" in text:
        raise BadInput(
            f"{str(path)!r} declares XML entities, which CVAT does not; export it again."
        )
    try:
        root = ElementTree.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text))
    except (ElementTree.ParseError, RecursionError) as error:
        raise BadInput(f"{str(path)!r} is no XML ({error}); export it again.") from None
    if root.tag == "annotation":
        yield _voc(root, path.name)
        return
    for number, image in enumerate(root.iter("image")):
        tags = [tag.get("label") for tag in image.iter("tag")]
        shapes = [shape.get("label") for shape in image if shape.tag != "tag"]
        keys = {"file_name": image.get("name") or "", "id": image.get("id") or ""}
        keys = {name: value for name, value in keys.items() if value}
        yield LabelRow(keys, classes_of(tags or shapes), f"image {number}")


def _voc(root: Any, where: str) -> LabelRow:
    """One picture of Pascal VOC: <annotation><filename> and the <name> of every <object>."""
    names = [one.findtext("name") for one in root.iter("object")]
    name = (root.findtext("filename") or "").strip() or Path(where).stem
    return LabelRow({"file_name": name}, classes_of(names), where)


def _parquet(path: Path, id_column: str, label_column: str) -> Iterator[LabelRow]:
    """Rows of a Parquet file; classes may be text, numbers with names in the schema, or nested."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            head = [name.lower() for name in schema.names]
            keys, label = _columns(path, head, id_column, label_column)
            names = class_names_of(schema, schema.names[label])
            wanted = list(dict.fromkeys([*(schema.names[i] for i in keys), schema.names[label]]))
            number = 0
            for batch in file.iter_batches(1 << 14, columns=_leaves(file, wanted)):
                for row in batch.to_pylist():
                    named = {head[i]: _key(row.get(schema.names[i])) for i in keys}
                    named = {name: text for name, text in named.items() if text}
                    value = row.get(schema.names[label])
                    classes = named_classes(value, names)
                    reason = "" if named else "no id"
                    yield LabelRow(named, classes, f"row {number}", reason=reason)
                    number += 1
    except (pa.ArrowException, OSError) as error:
        message = " ".join(str(error).split())[:160]
        raise BadInput(f"{str(path)!r} cannot be read as Parquet ({message}).") from None


def _leaves(file: Any, wanted: list[str]) -> list[str]:
    """The columns to read; of a nested image its path alone, not its bytes."""
    paths = [file.schema.column(i).path for i in range(len(file.schema))]
    return [path for path in paths if path.split(".")[0] in wanted and not path.endswith(".bytes")]


def class_names_of(schema: Any, name: str) -> list[str]:
    """Class names that `datasets` keeps in the schema for a column of numbers."""
    try:
        info = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][name]
        info = info.get("feature", info)
        return list(info.get("names") or [])
    except (KeyError, ValueError, TypeError, AttributeError):
        return []


def named_classes(value: Any, names: list[str]) -> tuple[str, ...]:
    """classes_of, with numbers as their names where the file lists them; -1 = none."""
    if names and isinstance(value, int) and not isinstance(value, bool):
        return (names[value],) if 0 <= value < len(names) else ()
    if names and isinstance(value, list):
        return tuple(dict.fromkeys(name for item in value for name in named_classes(item, names)))
    return classes_of(value)


def _folder(root: Path) -> Iterator[LabelRow]:
    """A folder: YOLO's labels/*.txt, COCO's .json, or a folder for every class."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    texts = [path for path in files if path.suffix == ".txt" and path.parent.name == "labels"]
    texts = texts or [path for path in files if path.suffix == ".txt" and "labels" in path.parts]
    pictures = [path for path in files if path.suffix.lower() in PICTURES]
    tables = [path for path in files if path.suffix == ".json" and path.stat().st_size < LIMIT]
    if texts:
        yield from _yolo(root, texts)
        return
    rows = [row for path in files for row in _of_one_picture(path)]
    if rows:
        yield from rows
        return
    nested = [path for path in pictures if path.parent != root and path.parent.name != "images"]
    if nested and len(nested) >= len(pictures) / 2:
        for path in nested:
            name = class_of_folder(path.parent.name)
            yield LabelRow({"file_name": path.name}, (name,), path.name)
        return
    for path in tables:
        item = _line(path.read_text(encoding="utf-8", errors="replace"))
        if isinstance(item, dict) and "annotations" in item and "images" in item:
            yield from _coco(item)
            return
    raise BadInput(
        f"{str(root)!r} holds neither YOLO labels (labels/*.txt), a COCO .json nor a folder for "
        "every class; give the exported file itself."
    )


def _of_one_picture(path: Path) -> Iterator[LabelRow]:
    """The row of a file that describes one picture: Pascal VOC's .xml, LabelMe's .json."""
    if path.suffix.lower() not in (".xml", ".json") or path.stat().st_size > _ONE_PICTURE:
        return
    text = text_of(path.read_bytes())
    if path.suffix.lower() == ".xml" and "<annotation" in text and "<!ENTITY" not in text:
        try:
            yield _voc(ElementTree.fromstring(text.lstrip("\ufeff")), path.name)
        except (ElementTree.ParseError, ValueError, RecursionError) as error:
            yield LabelRow(where=path.name, reason=f"no XML ({error})")
    elif path.suffix.lower() == ".json" and '"imagePath"' in text:
        item = _line(text)
        if isinstance(item, dict) and isinstance(item.get("shapes"), list):
            yield _labelme(item, path.name)


_ONE_PICTURE = 64 << 20  # bytes of a file that describes one picture; LabelMe puts it inside


def _yolo(root: Path, texts: list[Path]) -> Iterator[LabelRow]:
    names = yolo_class_names(root)
    for path in texts:
        if path.name in _NAME_FILES:
            continue
        numbers = []
        reason = ""
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            first = line.split()[:1]
            if first and re.fullmatch(r"[0-9]{1,9}(\.0*)?", first[0]):
                numbers.append(int(first[0].partition(".")[0]))
            elif first:
                reason = "no YOLO line"
        if names and set(numbers) - set(names):
            reason = "a class number that the list of names does not have"
        classes = (names.get(number, str(number)) for number in numbers)
        name = _picture_of(path) or path.stem
        yield LabelRow({"file_name": name}, tuple(dict.fromkeys(classes)), path.name, "", reason)


def _picture_of(text: Path) -> str:
    """The picture that YOLO pairs with a label file: the same path below images/ instead of labels/;
    "" where there is none."""
    parts = list(text.absolute().parts)
    at = len(parts) - 1 - parts[::-1].index("labels")
    folder = Path(*parts[:at], "images", *parts[at + 1 : -1])
    found = (folder / f"{text.stem}{suffix}" for suffix in sorted(PICTURES))
    return next((str(path) for path in found if path.is_file()), "")


_NAME_FILES = ("classes.txt", "obj.names")


def yolo_class_names(root: Path) -> dict[int, str]:
    """Class names of data.yaml, classes.txt or obj.names; {} when there is none."""
    for name in _NAME_FILES:
        for path in sorted(root.rglob(name)):
            lines = lines_of(text_of(path.read_bytes()))
            return {number: line.strip() for number, line in enumerate(lines) if line.strip()}
    own = [*root.rglob("data.yaml"), *root.rglob("data.yml")]
    for path in [*sorted(own), *sorted([*root.glob("*.yaml"), *root.glob("*.yml")])]:
        names = _yaml_names(path)
        if names:
            return names
    return {}


def _yaml_names(path: Path) -> dict[int, str]:
    """`names` of a YOLO data.yaml, as they are written there: `no` is a class, not False."""
    import yaml

    try:
        content = yaml.load(text_of(path.read_bytes()), Loader=yaml.BaseLoader)  # noqa: S506
        names = content.get("names") if isinstance(content, dict) else None
        if isinstance(names, str) and names.strip():
            raise ValueError("names is one text, not a list")
        pairs = names.items() if isinstance(names, dict) else enumerate(names or ())
        return {int(number): str(value) for number, value in pairs}
    except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise BadInput(
            f"the class names in {str(path)!r} cannot be read ({reason}); repair it, or put the "
            "names into classes.txt, one a line."
        ) from None
