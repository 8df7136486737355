"""Tasks of Label Studio: full JSON, JSON-MIN, and lines or lists of plain records.

In full JSON every answer belongs to a control; where several controls answered with different
classes, one must be named.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from coreset_engine.core.errors import BadInput
from coreset_engine.sources.label_formats.columns import plain_name
from coreset_engine.sources.label_formats.rows import (
    CLASS_COLUMNS,
    ID_COLUMNS,
    OTHER_COLUMNS,
    LabelRow,
    key_text,
)
from coreset_engine.sources.label_formats.values import classes_of

_SHOWN = 8
_FREE_TEXT = "is answered in free text, which is not a class"


def task_rows(
    path: Path, items: Sequence[Any], id_column: str, label_column: str
) -> Iterator[LabelRow]:
    """One row for every annotator of a task in full JSON; one for any other record.

    Parameters
    ----------
    path : path
        Of the file, for errors.
    items : sequence
        Tasks or records, as JSON gave them.
    id_column, label_column : str
        Names of the columns or fields; "" = by their names and values.

    Raises
    ------
    BadInput
        Where columns cannot be understood, or no field is known to hold classes.
    """
    ids = [plain_name(id_column)] if id_column else list(ID_COLUMNS)
    labels = [plain_name(label_column)] if label_column else _label_fields(path, items, ids)
    for number, item in enumerate(items):
        where = f"task {number}"
        try:
            yield from _task(item, where, ids, labels, label_column)
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            yield LabelRow(where=where, reason=f"no task ({type(error).__name__})")


def _label_fields(path: Path, items: Sequence[Any], ids: list[str]) -> list[str]:
    """The fields that may hold the class of a plain record: those of a usual name, else the only
    other one."""
    plain = [item for item in items if isinstance(item, dict) and not _is_full(item)]
    fields = dict.fromkeys(name for item in plain for name in _fields(item))
    if not plain or set(fields) & set(CLASS_COLUMNS):
        return list(CLASS_COLUMNS)
    others = [name for name in fields if name not in ids and name not in OTHER_COLUMNS]
    if len(others) == 1:
        return others
    if others and set(fields) & set(ids):
        raise BadInput(
            f"{str(path)!r} has the fields {', '.join(list(fields)[:_SHOWN])}; name the one that "
            "holds the classes: FILE#FIELD, or --label-column FIELD."
        )
    return list(CLASS_COLUMNS)


def _is_full(task: dict[str, Any]) -> bool:
    return "annotations" in task or "completions" in task or "predictions" in task


def _fields(task: dict[str, Any]) -> dict[str, Any]:
    data = task.get("data", task)
    data = data if isinstance(data, dict) else task
    return {plain_name(str(name)): value for name, value in data.items()}


def _task(
    task: Any, where: str, ids: list[str], labels: list[str], control: str
) -> Iterator[LabelRow]:
    if not isinstance(task, dict):
        yield LabelRow(where=where, reason="no task (unreadable)")
        return
    fields = _fields(task)
    keys = {name: text for name in ids if (text := key_text(fields.get(name)))}
    if not keys:
        yield LabelRow(where=where, reason="no id")
    elif _is_full(task):
        yield from _annotated(task, keys, where, control)
    else:
        chosen = next((fields[name] for name in labels if fields.get(name) is not None), None)
        yield LabelRow(keys, classes_of(chosen), where, str(fields.get("annotator", "")))


def _annotated(
    task: dict[str, Any], keys: dict[str, str], where: str, control: str
) -> Iterator[LabelRow]:
    """A row for every annotation that counts."""
    done = _done(task.get("annotations") or task.get("completions") or [])
    if done and all("result" not in entry for entry in done):  # CreateML
        names = [name for entry in done for name in classes_of(entry.get("label"))]
        yield LabelRow(keys, tuple(dict.fromkeys(names)), where)
        return
    for entry in done:
        classes, reason = _result(entry, control)
        yield LabelRow(keys, classes, where, str(entry.get("completed_by", "")), reason)
    if not done:
        guessed = "has predictions of a model and no annotation" if task.get("predictions") else ""
        yield LabelRow(keys, (), where, reason=guessed)


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


def _result(entry: dict[str, Any], control: str) -> tuple[tuple[str, ...], str]:
    """(the classes of one annotation, why there are none): its choices, else the paths of its
    taxonomies, else the labels of its regions, else its ratings and numbers."""
    results = [item for item in entry.get("result") or () if isinstance(item, dict)]
    if control:
        results = [item for item in results if item.get("from_name") == control]
    values = [
        (str(item.get("from_name", "")), value)
        for item in results
        if isinstance(value := item.get("value"), dict)
    ]
    for kind in (_choices, _taxonomy, _regions, _ratings):
        answers = [(name, classes) for name, value in values if (classes := kind(value))]
        if answers:
            return _agreed(answers, asked=bool(control) or kind is _regions)
    return (), _FREE_TEXT if any("text" in value for _, value in values) else ""


def _agreed(answers: list[tuple[str, tuple[str, ...]]], asked: bool) -> tuple[tuple[str, ...], str]:
    classes = tuple(dict.fromkeys(name for _, names in answers for name in names))
    controls = list(dict.fromkeys(name for name, _ in answers))
    if len(controls) > 1 and len(classes) > 1 and not asked:
        shown = ", ".join(controls[:_SHOWN])
        return (
            (),
            f"is answered by several controls ({shown}); name one: FILE#NAME or --label-column "
            "NAME",
        )
    return classes, ""


def _choices(value: dict[str, Any]) -> tuple[str, ...]:
    return classes_of(value.get("choices"))


def _taxonomy(value: dict[str, Any]) -> tuple[str, ...]:
    """[["Animal", "Cat"]] is the class "Animal/Cat"."""
    paths = value.get("taxonomy") or ()
    return tuple("/".join(map(str, path)) for path in paths if isinstance(path, list) and path)


def _regions(value: dict[str, Any]) -> tuple[str, ...]:
    classes = [classes_of(inner) for name, inner in value.items() if name.endswith("labels")]
    return tuple(dict.fromkeys(name for names in classes for name in names))


def _ratings(value: dict[str, Any]) -> tuple[str, ...]:
    return classes_of([value.get("rating"), value.get("number")])
