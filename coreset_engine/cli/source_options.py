"""Options of every command that opens a source, and its report about the source on stderr.

`with_source_options` adds them to a command and folds what the user chose into its `source`
argument, so that a command only ever sees one spec.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coreset_engine.core.counted import counted
from coreset_engine.core.errors import BadInput

if TYPE_CHECKING:
    from coreset_engine.core.types import Dataset

_FOLDER = "Reading the source"


def _option(kind: Any, help_text: str) -> Any:
    return Annotated[kind, typer.Option(help=help_text, rich_help_panel=_FOLDER)]


OPTIONS: dict[str, Any] = {
    "labels": _option(
        str | None,
        "class names from: folder, parent (the folder of each image), none, a table FILE "
        "(CSV, JSONL, Parquet) or FILE#COLUMN, or a column; default: proposed",
    ),
    "depth": _option(int | None, "folder level that names the class, 1 = the first"),
    "split": _option(
        str | None,
        "split to select from: train, val, test, a folder, or all; default: no test",
    ),
    "fit": _option(
        str | None, "how images are made square: auto (pad beyond 1.5:1), crop, pad, squash"
    ),
    "follow_links": _option(bool, "enter folders that are links"),
    "verify": _option(str | None, "full, or header: decode no pixel when opening"),
    "max_pixels": _option(int | None, "largest image to decode, in pixels"),
    "bands": _option(str | None, "three band numbers for files of more than four, such as 3,2,1"),
    "fps": _option(float | None, "frames to extract per second of video"),
    "patches": _option(
        str | None,
        "turn every annotated object into an image: a COCO file, a folder of YOLO labels, or "
        "(FiftyOne) a "
        "detections field",
    ),
    "images": _option(str | None, "folder of the images that belong to a file of vectors"),
    "ids": _option(str | None, "ids of the rows of vectors: FILE or FILE#COLUMN"),
    "order": _option(str | None, "order of the images for the rows: natural, lexical or folders"),
}


def with_source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`command`, which takes `source`, with OPTIONS added to its own.

    An option whose name the command has itself is offered as --source-NAME.
    """
    own = inspect.signature(command, eval_str=True)
    names = {name: f"source_{name}" if name in own.parameters else name for name in OPTIONS}

    @functools.wraps(command)
    def wrapped(**options: Any) -> Any:
        from coreset_engine.sources.specs import refuse_inside, spec_with

        chosen = {name: options.pop(parameter) for name, parameter in names.items()}
        options["source"] = spec_with(options["source"], chosen)
        if options.get("out") is not None:
            refuse_inside(options["source"], Path(options["out"]))
        return command(**options)

    added = [
        inspect.Parameter(
            names[name],
            inspect.Parameter.KEYWORD_ONLY,
            default=False if name == "follow_links" else None,
            annotation=kind,
        )
        for name, kind in OPTIONS.items()
    ]
    wrapped.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=[*own.parameters.values(), *added]
    )
    kinds = {name: parameter.annotation for name, parameter in own.parameters.items()}
    wrapped.__annotations__ = {**kinds, **{names[name]: kind for name, kind in OPTIONS.items()}}
    return wrapped


def report_source(dataset: Dataset) -> None:
    """Say on stderr what was skipped, assumed and lost.

    Raises
    ------
    BadInput
        When something was assumed that the user should confirm first.
    """
    for note in dataset.notes:
        shown = "".join(f"\n    {example}" for example in note.examples)
        if note.confirm:
            raise BadInput(f"{note.text}: {'; '.join(note.examples)}")
        print(f"note: {note.text}{shown if note.topic == 'order' else ''}", file=sys.stderr)
        if note.examples and note.topic != "order":
            print(f"      for example {', '.join(note.examples)}", file=sys.stderr)
    if not dataset.rejected:
        return
    aside = counted(dataset.n_rejected, "file was", "files were")
    print(f"{aside} skipped:", file=sys.stderr)
    reasons: Counter[str] = Counter()
    first: dict[str, str] = {}
    for one in dataset.rejected:
        reasons[one.reason] += one.count
        first.setdefault(one.reason, one.name)
    for reason, count in reasons.most_common(5):
        print(f"  {count:,} like {first[reason]!r}: {reason}", file=sys.stderr)
    if len(reasons) > 5:
        print(f"  and {len(reasons) - 5:,} further reasons", file=sys.stderr)
