"""Read a label file or folder of any tool row by row.

Every reader yields `LabelRow`s: what names the image, and the classes given for it. Nothing is
trusted and no row stops the others: one that cannot be understood carries its reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from coreset_engine.core.classes import class_of_folder
from coreset_engine.core.errors import BadInput
from coreset_engine.sources.label_formats.coco import coco_rows, is_coco
from coreset_engine.sources.label_formats.csv_file import read_csv
from coreset_engine.sources.label_formats.json_file import labelme_row, parsed_line, read_json
from coreset_engine.sources.label_formats.parquet_file import read_parquet
from coreset_engine.sources.label_formats.rows import LIMIT, PICTURES, LabelRow
from coreset_engine.sources.label_formats.xml_file import parsed, read_xml, voc_row
from coreset_engine.sources.label_formats.yolo import yolo_rows
from coreset_engine.sources.text_files import refuse_packed, text_of

_ONE_PICTURE = 64 << 20  # bytes of a file that describes one picture; LabelMe puts it inside


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
    data = _bytes_of(path)
    if data[:4] == b"PAR1":
        return list(read_parquet(path, id_column, label_column))
    refuse_packed(path, data)
    text = text_of(data, str(path))
    start = text.lstrip()[:1]
    if start == "<":
        return list(read_xml(path, text))
    if start in ("[", "{"):
        return list(read_json(path, text, id_column, label_column))
    return read_csv(path, text, id_column, label_column)


def _bytes_of(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if not path.is_file() or size > LIMIT:
            raise BadInput(
                f"{str(path)!r} is not a file of labels below {LIMIT >> 30} GB; give the file "
                "itself."
            )
        return path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"{str(path)!r} cannot be read ({error.strerror or error}); give a .csv, .json, .xml "
            "or .parquet file, a folder, or fiftyone:NAME/FIELD."
        ) from None


def _folder(root: Path) -> Iterator[LabelRow]:
    """A folder: YOLO's labels/*.txt, files of single pictures, COCO's .json, or class folders."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    texts = [path for path in files if path.suffix == ".txt" and path.parent.name == "labels"]
    texts = texts or [path for path in files if path.suffix == ".txt" and "labels" in path.parts]
    pictures = [path for path in files if path.suffix.lower() in PICTURES]
    tables = [path for path in files if path.suffix == ".json" and path.stat().st_size < LIMIT]
    if texts:
        yield from yolo_rows(root, texts)
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
        item = parsed_line(path.read_text(encoding="utf-8", errors="replace"))
        if isinstance(item, dict) and is_coco(item):
            yield from coco_rows(item)
            return
    raise BadInput(
        f"{str(root)!r} holds neither YOLO labels (labels/*.txt), a COCO .json nor a folder for "
        "every class; give the exported file itself."
    )


def _of_one_picture(path: Path) -> Iterator[LabelRow]:
    """The row of a file that describes one picture: Pascal VOC's .xml, LabelMe's .json."""
    if path.suffix.lower() not in (".xml", ".json") or path.stat().st_size > _ONE_PICTURE:
        return
    text = text_of(path.read_bytes(), str(path))
    if path.suffix.lower() == ".xml" and "<annotation" in text and "<!ENTITY" not in text:
        try:
            yield voc_row(parsed(text), path.name)
        except (ElementTree.ParseError, ValueError, RecursionError) as error:
            yield LabelRow(where=path.name, reason=f"no XML ({error})")
    elif path.suffix.lower() == ".json" and '"imagePath"' in text:
        item = parsed_line(text)
        if isinstance(item, dict) and isinstance(item.get("shapes"), list):
            yield labelme_row(item, path.name)
