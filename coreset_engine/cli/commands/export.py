"""The verb `export DIR --to TARGET`: hand on a selection folder that `run --out` wrote."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from coreset_engine.cli.options import Images, Json
from coreset_engine.cli.progress import ProgressBar
from coreset_engine.core.errors import BadInput

Folder = Annotated[Path, typer.Argument(help="a selection folder written by `run --out`")]
To = Annotated[str, typer.Option("--to", help="the target; `export DIR --to help` lists them")]
Name = Annotated[str, typer.Option(help="dataset name, for targets that are databases")]
Out = Annotated[str, typer.Option(help="folder to write into, for targets that are files")]
Called = Annotated[
    str,
    typer.Option(
        "--selection",
        help="FiftyOne: name of the selection; an existing name is updated, a new one is added",
    ),
]
Option = Annotated[
    list[str] | None, typer.Option("--option", help="NAME=VALUE option of the target, repeatable")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="replace the export of another selection in --out")
]


def export(
    folder: Folder = Path("."),
    to: To = "csv",
    name: Name = "",
    out: Out = "",
    selection: Called = "",
    option: Option = None,
    images: Images = "",
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Send a selection to FiftyOne, a labelling tool or a training script."""
    from coreset_engine.export.targets import TARGETS, export_folder

    if to == "help":
        summary: dict[str, Any] = {
            target: f"{row.summary} (--{'out' if row.destination == 'folder' else 'name'})"
            for target, row in TARGETS.items()
        }
    else:
        bar = ProgressBar()

        def tell(done: int, total: int, unit: str = "") -> None:
            bar(unit or "export", done, total)

        options = options_of(option) | ({"selection": selection} if selection else {})
        summary = export_folder(
            folder,
            target=to,
            out=out,
            name=name,
            options=options,
            images=images,
            overwrite=overwrite,
            progress=tell,
        )
    if as_json:
        print(json.dumps(summary, default=str))
        return
    note = summary.pop("note", "")
    steps = summary.pop("steps", ())
    for key, value in summary.items():
        print(f"{key:>14}  {value}")
    for number, step in enumerate(steps, 1):
        print(f"{f'step {number}':>14}  {step}")
    if note:
        print(note, file=sys.stderr)


def options_of(values: list[str] | None) -> dict[str, Any]:
    """NAME=VALUE pairs; true, false and numbers become what they say."""
    options: dict[str, Any] = {}
    for item in values or ():
        key, equals, value = item.partition("=")
        if not equals or not key.isidentifier():
            raise BadInput(
                f"--option {item!r} must read NAME=VALUE, for example --option only_kept=true."
            )
        try:
            options[key] = json.loads(value)
        except ValueError:
            options[key] = value
    return options


def plugin(
    verb: Annotated[str, typer.Argument(help="install, uninstall or where")] = "where",
    as_json: Json = False,
) -> None:
    """Link the FiftyOne App's plugin into FiftyOne's plugins folder."""
    from coreset_engine.export.fiftyone import plugin_backend as inside

    if verb == "install":
        output: dict[str, Any] = dict(installed=str(inside.install()))
    elif verb == "uninstall":
        output = dict(removed=inside.uninstall())
    elif verb == "where":
        output = dict(
            place=str(inside.plugin_folder()), installed=inside.plugin_folder().is_symlink()
        )
    else:
        raise BadInput(f"{verb!r} is not an action of plugin; use install, uninstall or where.")
    print(
        json.dumps(output)
        if as_json
        else "\n".join(f"{key:>14}  {value}" for key, value in output.items())
    )
