"""Label files in CSV as Excel, pandas, Label Studio, CVAT, Roboflow or VIA write them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from coreset_engine.core.errors import BadInput
from coreset_engine.sources.folder_names import split_of
from coreset_engine.sources.label_formats.columns import (
    by_image,
    holds_boxes,
    one_hot_columns,
    plain_name,
    positive_cells,
    several_in,
    spelt_column,
    without_fractions,
)
from coreset_engine.sources.label_formats.rows import (
    CLASS_COLUMNS,
    ID_COLUMNS,
    OTHER_COLUMNS,
    PICTURES,
    LabelRow,
)
from coreset_engine.sources.label_formats.values import classes_of
from coreset_engine.sources.label_formats.via import is_via_table, via_table_rows

DELIMITERS = (",", ";", "\t", "|")
_KNOWN = frozenset((*ID_COLUMNS, *CLASS_COLUMNS)) - {""}
_COMMENTS = 50  # leading lines that may be comments
_Record = tuple[int, list[str], str]  # line it begins at, cells, what is wrong with it


@dataclass(frozen=True)
class ChosenColumns:
    """keys: positions of the columns that name the image, most telling first.

    label: position of the class; None where `one_hot` holds the positions of a column per class.
    """

    keys: list[int]
    label: int | None
    one_hot: tuple[int, ...] = ()

    @property
    def last(self) -> int:
        """The last position that a row must have."""
        return max((*self.keys, *self.one_hot, -1 if self.label is None else self.label))


def read_csv(path: Path, text: str, id_column: str, label_column: str) -> list[LabelRow]:
    """The rows of a table of texts.

    Parameters
    ----------
    path : path
        Of the file, for errors.
    text : str
        Its content.
    id_column, label_column : str
        Names of the columns or fields; "" = by their names and values.

    Raises
    ------
    BadInput
        Where columns cannot be understood, or no field is known to hold classes.
    """
    text, delimiter = _dialect(text)
    records = [one for one in _records(text, delimiter) if one[2] or any(one[1])]
    if not records:
        raise BadInput(f"{str(path)!r} is empty; it needs a column of ids and one of labels.")
    shown = [name.strip().strip("\ufeff") for name in records[0][1]]
    head, records = _head(records)
    if is_via_table(head):
        return via_table_rows(head, records)
    complete = [cells for _, cells, problem in records if not problem and len(cells) >= len(head)]
    columns = [[cells[at] for cells in complete] for at in range(len(head))]
    chosen = choose_columns(path, head, columns, id_column, label_column)
    rows = list(_rows(head, shown, records, chosen))
    if chosen.label is not None:
        rows = _separated(rows, columns[chosen.label])
    return by_image(rows) if holds_boxes(head) else rows


def _head(records: list[_Record]) -> tuple[list[str], list[_Record]]:
    """(names of the columns, the records below); names are made up where there are none."""
    first = [plain_name(name) for name in records[0][1]]
    if _KNOWN & set(first):
        return first, records[1:]
    cells = records[0][1]
    files = [at for at, cell in enumerate(cells) if Path(cell.strip()).suffix.lower() in PICTURES]
    splits = [at for at in range(len(cells)) if _is_split(records, at)]
    others = [at for at in range(len(cells)) if at not in (*files, *splits)]
    if len(files) != 1 or len(others) != 1:
        return first, records[1:]
    names = [f"column {at + 1}" for at in range(len(cells))]
    names[files[0]] = "id"
    names[others[0]] = "label"
    return names, records


def _is_split(records: Sequence[_Record], at: int) -> bool:
    """Whether a column contains only the names of parts (TRAIN, TEST, UNASSIGNED)."""
    cells = {cells[at].strip() for _, cells, _ in records if len(cells) > at}
    return all(cell.upper() == "UNASSIGNED" or split_of(cell) for cell in cells)


def _rows(
    head: Sequence[str], shown: Sequence[str], records: Iterable[_Record], chosen: ChosenColumns
) -> Iterator[LabelRow]:
    for number, cells, problem in records:
        where = f"line {number}"
        if problem:
            yield LabelRow(where=where, reason=f"no CSV ({problem})")
        elif len(cells) < len(head) and len(cells) <= chosen.last:
            yield LabelRow(where=where, reason="a field is missing")
        elif len(cells) > len(head) and any(cells[len(head) :]):
            yield LabelRow(where=where, reason="more fields than columns")
        else:
            named = {head[i]: cells[i] for i in chosen.keys if cells[i].strip()}
            who = cells[head.index("annotator")] if "annotator" in head else ""
            yield LabelRow(named, _classes(shown, cells, chosen), where, who)


def _classes(shown: Sequence[str], cells: Sequence[str], chosen: ChosenColumns) -> tuple[str, ...]:
    if chosen.label is not None:
        return cell_classes(cells[chosen.label])
    return tuple(
        shown[chosen.one_hot[at]] for at in positive_cells([cells[at] for at in chosen.one_hot])
    )


def cell_classes(text: str) -> tuple[str, ...]:
    """The classes in a cell: plain text, or the JSON that Label Studio writes for several."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            return classes_of(json.loads(text))
        except (ValueError, RecursionError):
            pass
    return classes_of(text)


def _separated(rows: list[LabelRow], cells: Sequence[str]) -> list[LabelRow]:
    """The rows, with classes like "cat|dog" taken apart and "7.0" written as "7"."""
    known = frozenset(cell.strip() for cell in cells)
    numbers = dict(zip(cells, without_fractions(cells), strict=True))
    changed = []
    for row in rows:
        classes = row.classes
        if len(classes) == 1:
            name = numbers.get(classes[0], classes[0])
            classes = () if name is None else several_in(name, known)
        changed.append(LabelRow(row.keys, classes, row.where, row.annotator, row.reason))
    return changed


# -- the text --------------------------------------------------------------------------------------


def _dialect(text: str) -> tuple[str, str]:
    """(text without what stands above the table, the delimiter that gives most columns)."""
    line, _, rest = text.partition("\n")
    declared = re.fullmatch(r'"?sep=(.)"?\s*', line, re.IGNORECASE)
    if declared:
        return rest, declared[1]
    text = without_comments(text)
    line = text.partition("\n")[0]

    def worth(delimiter: str) -> tuple[int, int]:
        cells = next(csv.reader([line], delimiter=delimiter), [])
        return len(_KNOWN & {plain_name(cell) for cell in cells}), len(cells)

    try:
        return text, max(DELIMITERS, key=worth)
    except csv.Error:
        return text, ","


def without_comments(text: str) -> str:
    """The text without leading lines that begin with "#", unless one of them is the header."""
    lines = text.split("\n", _COMMENTS)
    above = 0
    while above < len(lines) - 1 and lines[above].lstrip("\ufeff ").startswith("#"):
        names = {plain_name(name) for name in re.split(r"[,;\t|]", lines[above])}
        if len(names) > 1 and names & _KNOWN:
            break
        above += 1
    return text if above == 0 else "\n".join(lines[above:])


def _records(text: str, delimiter: str) -> Iterator[_Record]:
    """Every record; a broken one costs its own line only."""
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


# -- the columns -----------------------------------------------------------------------------------


def choose_columns(
    path: Path,
    head: Sequence[str],
    columns: Sequence[Sequence[str]],
    id_column: str,
    label_column: str,
) -> ChosenColumns:
    """The columns that name the image and the class.

    Parameters
    ----------
    head, columns
        Names as `plain_name` gives them, and the cells of each column; () where they are not read.
    id_column, label_column
        Asked for; "" = found by their names.

    Raises
    ------
    BadInput
        For a column that is not there, or where none of a usual name is.
    """
    for asked in filter(None, (id_column, label_column)):
        if plain_name(asked) not in head:
            raise BadInput(
                f"{str(path)!r} has no column {asked!r}; it has {', '.join(filter(None, head))}."
            )
    names = [plain_name(label_column)] if label_column else CLASS_COLUMNS
    label = next((head.index(name) for name in names if name in head), None)
    if label is not None and head.count(head[label]) > 1:
        raise BadInput(
            f"{str(path)!r} has {head.count(head[label])} columns called {head[label]!r}; rename "
            "them, so that one can be chosen (--label-column)."
        )
    if label is not None and not label_column and columns:
        label = spelt_column(head, columns, label)
    keys = [i for name in ID_COLUMNS for i, own in enumerate(head) if own == name]
    if id_column:
        keys = [head.index(plain_name(id_column))]
    one_hot: list[int] = []
    if label is None and keys:
        others = [i for i, name in enumerate(head) if i not in keys and _may_be_class(name)]
        label = others[0] if len(others) == 1 else None
        one_hot = one_hot_columns(columns, others) if columns else []
    keys = [i for i in keys if i != label]
    if label is None and not one_hot or not keys:
        raise BadInput(
            f"{str(path)!r} has the columns {', '.join(filter(None, head)) or 'none'}; it needs id "
            f"and label, or name them: --id-column, --label-column{_predictions_hint(head)}."
        )
    return ChosenColumns(keys, label, () if label is not None else tuple(one_hot))


def _may_be_class(name: str) -> bool:
    return name not in OTHER_COLUMNS and not name.startswith("coreset_")


def _predictions_hint(head: Sequence[str]) -> str:
    """Where the columns are a model's probabilities or logits: how such a file is used."""
    if not any(name.startswith(("p_", "logit_")) for name in head):
        return ""
    return "; predictions of a model are taken by --predictions, or as such on Export"
