"""Labels that come back from people: a CSV, or what Label Studio exports, as id -> class name.
Nothing is trusted."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coreset_engine.core.errors import BadInput

IDS = ("id", "coreset_id", "image_id")
NAMES = ("label", "class", "choice", "annotation")
LIMIT = 2 << 30


def read_labels(path: Path | str) -> dict[str, str]:
    """{id: class name} of a .csv with the columns id and label, or a .json of Label Studio (full or
    minimal).

    A later line for the same id counts; tasks without an annotation, cancelled ones and empty
    labels are passed over. Raises BadInput for anything else, naming the line or the task.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LIMIT or not path.is_file():
            raise BadInput(
                f"{str(path)!r} is no file of labels below {LIMIT >> 30} GB; give the .csv or .json itself."
            )
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as fault:
        raise BadInput(
            f"{str(path)!r} cannot be read ({fault}); give a .csv or a .json in UTF-8."
        ) from None
    pairs = _tasks(path, text) if text.lstrip()[:1] in ("[", "{") else _lines(path, text)
    found = {key: name for key, name in pairs if name}
    if not found:
        raise BadInput(f"{str(path)!r} holds no label; label some images first, then export again.")
    return found


def _lines(path: Path, text: str) -> Iterator[tuple[str, str]]:
    try:
        rows = csv.DictReader(text.splitlines(keepends=True), strict=True)
        head = {name.strip().lower(): name for name in rows.fieldnames or () if name}
        key = next((head[name] for name in IDS if name in head), None)
        label = next((head[name] for name in NAMES if name in head), None)
        if key is None or label is None:
            raise BadInput(
                f"{str(path)!r} has the columns {', '.join(head) or 'none'}; it needs id and label."
            )
        for row in rows:
            if row[key] is None or row[label] is None:
                raise BadInput(
                    f"{str(path)!r}, line {rows.line_num}: a field is missing; each needs id and label."
                )
            yield row[key], row[label].strip()
    except csv.Error as fault:
        raise BadInput(f"{str(path)!r} is no CSV ({fault}); export it again as id,label.") from None


def _tasks(path: Path, text: str) -> Iterator[tuple[str, str]]:
    try:
        tasks = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise BadInput(
            f"{str(path)!r} is no JSON ({fault}); export from Label Studio as JSON or JSON-MIN."
        ) from None
    if not isinstance(tasks, list):
        raise BadInput(
            f"{str(path)!r} is no list of tasks; export from Label Studio as JSON or JSON-MIN."
        )
    for number, task in enumerate(tasks):
        try:
            yield _task(task)
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as fault:
            raise BadInput(
                f"{str(path)!r}, task {number}: no coreset_id and choice found ({type(fault).__name__}); "
                "use the tasks.json of `export --to label-studio`."
            ) from None


def _task(task: dict[str, Any]) -> tuple[str, str]:
    data = task.get("data", task)
    key = data["coreset_id"]
    if "annotations" not in task:  # JSON-MIN: the choice lies beside the data
        name = next((task[name] for name in NAMES if name in task), "")
    else:
        done = [entry for entry in task["annotations"] if not entry.get("was_cancelled")]
        results = (
            [item for item in done[-1]["result"] if item.get("type") == "choices"] if done else []
        )
        name = results[0]["value"]["choices"][0] if results else ""
    if not isinstance(key, str) or not isinstance(name, str):
        raise ValueError("id and choice must be text")
    return key, name.strip()
