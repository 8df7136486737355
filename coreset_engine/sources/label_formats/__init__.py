"""Label files of other tools, one module for each format, read row by row (`read.read_rows`)."""

from coreset_engine.sources.label_formats.read import read_rows
from coreset_engine.sources.label_formats.rows import (
    CLASS_COLUMNS,
    ID_COLUMNS,
    PICTURES,
    LabelRow,
)
from coreset_engine.sources.label_formats.values import class_names_of, classes_of, named_classes
from coreset_engine.sources.label_formats.yolo import yolo_class_names

__all__ = [
    "CLASS_COLUMNS",
    "ID_COLUMNS",
    "PICTURES",
    "LabelRow",
    "class_names_of",
    "classes_of",
    "named_classes",
    "read_rows",
    "yolo_class_names",
]
