"""The commands of the labelling loop: `next`, `import-labels` and `label-errors`."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coreset_engine.artifacts import filesystem
from coreset_engine.cli.options import (
    Images,
    Json,
    Overwrite,
    RunSettings,
    Source,
    open_run,
    print_record,
    with_run_settings,
)
from coreset_engine.cli.progress import ProgressBar
from coreset_engine.cli.selection_options import with_selection_options
from coreset_engine.cli.source_options import with_source_options
from coreset_engine.core.errors import BadInput

if TYPE_CHECKING:
    from coreset_engine.pipeline.run import Run

ROUND_METHOD = "kmedoids"  # as `pipeline.next_round` has it, without importing the engine


@with_source_options
@with_run_settings()
@partial(with_selection_options, method=ROUND_METHOD)
def next_images(
    source: Source,
    request: Any,
    settings: RunSettings,
    out: Annotated[
        Path, typer.Option(help="folder for the selection and new.csv, the images to label")
    ],
    label_file: Annotated[
        str,
        typer.Option(
            "--import-labels", help="label file to import first, in any format of `import-labels`"
        ),
    ] = "",
    estimate: Annotated[
        bool, typer.Option("--estimate", help="estimate what the labels so far are worth")
    ] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Choose --count new images to label next.

    The first round is a pilot of random images, stratified over clusters (default 100).
    """
    from coreset_engine.pipeline.label_rounds import keep_labels
    from coreset_engine.pipeline.next_round import next_round
    from coreset_engine.selection.budget import DEFAULT_RATE  # imports NumPy, which --help does not

    if request.budget.prune_rate not in (None, DEFAULT_RATE):
        raise BadInput(
            f"--prune-rate {request.budget.prune_rate} does not set the number of new images; use "
            "--count."
        )
    run = run_of(source, settings)
    output = keep_labels(run, label_file) if label_file else {}
    made = next_round(
        run,
        request.budget.count,
        request=request,
        out=out,
        overwrite=overwrite,
    )
    summary: dict[str, Any] = dict(
        made.summary(),
        out=str(out),
        to_label=str(out / "new.csv"),
    )
    if estimate:
        summary["estimate"] = _estimate(run, len(made), as_json)
    if as_json and output:
        summary["labels"] = output
    print_record(summary, as_json)
    _say(output)


def _estimate(run: Run, count: int, as_json: bool) -> Any:
    from coreset_engine.evaluation.round_estimate import estimate_rounds

    estimate = estimate_rounds(run, next_count=count)
    return estimate.as_json() if as_json else estimate.sentence


def _say(output: dict[str, Any]) -> None:
    if output:
        print("\n".join(output["report"]), file=sys.stderr)


def run_of(source: str, settings: RunSettings) -> Run:
    """The run of a source; or that of a selection folder, with the settings in its manifest."""
    from coreset_engine.pipeline.manifest import read_manifest, run_of_manifest
    from coreset_engine.pipeline.reopen import reopen_source

    path = Path(source)
    if not (path / "manifest.json").is_file() or not (path / "selection.parquet").is_file():
        return open_run(source, settings)
    if settings.config != type(settings.config)():
        raise BadInput(
            f"{source} is a selection whose manifest holds the run settings; leave the run "
            "settings out, or name the source itself."
        )
    manifest = read_manifest(path)
    return run_of_manifest(manifest, reopen_source(manifest), progress=ProgressBar())


def import_labels(
    file: Annotated[
        str,
        typer.Argument(
            help="CSV, Label Studio's JSON or JSON-MIN, COCO, YOLO, CVAT's XML, Parquet, a folder "
            "of "
            "class folders, or fiftyone:NAME or fiftyone:NAME/FIELD"
        ),
    ],
    selection: Annotated[
        Path | None, typer.Option(help="the selection folder that was labelled")
    ] = None,
    source: Annotated[
        str, typer.Option(help="instead of --selection: the source whose images were labelled")
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(help="folder for the next selection; without it the labels are only stored"),
    ] = None,
    prune_rate: Annotated[
        float | None, typer.Option(help="share removed; default as before")
    ] = None,
    count: Annotated[
        int | None, typer.Option(help="images to choose in addition to the labelled ones")
    ] = None,
    id_column: Annotated[
        str, typer.Option(help="column of the image ids; default: found by name")
    ] = "",
    label_column: Annotated[
        str, typer.Option(help="column (FiftyOne: field) of the class; default: found by name")
    ] = "",
    conflicts: Annotated[
        str, typer.Option(help="when annotators disagree: majority or skip; ties are skipped")
    ] = "majority",
    images: Images = "",
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Import labels: what is new, changed and in conflict.

    With --out, score again with them and choose the next part; labelled images stay in.
    """
    from coreset_engine.pipeline.label_rounds import LabelOptions, rescore

    options = LabelOptions(id_column, label_column, conflicts, images, overwrite)
    _check_options(selection, source, out, prune_rate, count)
    if out is None or selection is None:
        summary = _kept(file, selection, source, options)
    else:
        summary = rescore(
            selection,
            file,
            out,
            prune_rate=prune_rate,
            count=count,
            options=options,
            progress=ProgressBar(),
        )
    if as_json:
        print(json.dumps(summary))
    else:
        _show_import(summary)


SHOWN = (
    "rows",
    "labelled",
    "labels_new",
    "labels_changed",
    "labels_same",
    "conflicts",
    "unknown",
    "unmatched",
    "total",
    "agreement",
    "classes",
    "kept",
    "new",
    "out",
)


def _show_import(summary: dict[str, Any]) -> None:
    """The summary of an import as lines, for a terminal."""
    for name in SHOWN:
        if name in summary:
            value = summary[name]
            print(f"{name:>14}  {value:.1%}" if name == "agreement" else f"{name:>14}  {value}")
    _say(summary)


def _check_options(
    selection: Path | None,
    source: str,
    out: Path | None,
    prune_rate: float | None,
    count: int | None,
) -> None:
    if (selection is None) == (not source):
        raise BadInput(
            "labels belong to a selection or to a source; name one of them: --selection FOLDER or "
            "--source SOURCE."
        )
    if out is not None and selection is None:
        raise BadInput(
            "--out goes with --selection; for the next images of a source: coreset next SOURCE "
            "--out FOLDER."
        )
    if prune_rate is not None and count is not None:
        raise BadInput(
            f"--prune-rate {prune_rate} and --count {count} both set the number of images; give "
            "one of them."
        )


def _kept(file: str, selection: Path | None, source: str, options: Any) -> dict[str, Any]:
    """Labels kept in the workspace, nothing computed."""
    from coreset_engine.pipeline.config import RunConfig
    from coreset_engine.pipeline.label_rounds import keep_labels
    from coreset_engine.pipeline.manifest import read_manifest, run_of_manifest
    from coreset_engine.pipeline.reopen import reopen_source

    if selection is None:
        run = open_run(source, RunSettings(RunConfig()))
    else:
        manifest = read_manifest(selection)
        run = run_of_manifest(manifest, reopen_source(manifest, options.images))
    return keep_labels(run, file, options)


@with_source_options
@with_run_settings()
def label_errors(
    source: Source,
    settings: RunSettings,
    count: Annotated[
        int | None, typer.Option(help="number of images to list; default: all probable errors")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="CSV with every labelled image, most suspect first")
    ] = None,
    confirm: Annotated[
        list[str] | None, typer.Option(help="id of an image whose label is correct; repeatable")
    ] = None,
    correct: Annotated[
        list[str] | None, typer.Option(help="ID=CLASS, the correct class of an image; repeatable")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(help="id of an image to ignore from now on; repeatable")
    ] = None,
    decisions: Annotated[
        str,
        typer.Option(help="fiftyone:NAME, whose samples are tagged confirm-label, ignore-label"),
    ] = "",
    as_json: Json = False,
) -> None:
    """List probable label errors, most probable first."""
    from coreset_engine.evaluation.label_errors import label_errors as find
    from coreset_engine.pipeline.imported_labels import with_known_labels

    run = run_of(source, settings)
    _decide(run, confirm or [], correct or [], ignore or [], decisions)
    errors = find(with_known_labels(run), undecided=True)
    if out is not None:
        _write_errors(errors, out)
    rows = errors.top(count)
    if as_json:
        print(
            json.dumps(
                dict(
                    labelled=len(errors),
                    suspected=int(errors.suspected.sum()),
                    estimated_errors=errors.estimated_errors,
                    errors=[row._asdict() for row in rows],
                )
            )
        )
        return
    for row in rows:
        print(f"{row.score:.3f}  {row.id}  {row.given} -> {row.suggested}  {row.reason}")
    print(
        f"{int(errors.suspected.sum()):,} of {len(errors):,} labels are suspected; about "
        f"{errors.estimated_errors:,.0f} are wrong in all.",
        file=sys.stderr,
    )


def _decide(
    run: Run, confirm: list[str], correct: list[str], ignore: list[str], tagged: str
) -> None:
    """Store decisions on labels. Raises BadInput for ids that are not in the source."""
    from coreset_engine.artifacts import label_log
    from coreset_engine.core.ids import positions_of

    decisions = [(key, "confirm", "") for key in confirm] + [(key, "ignore", "") for key in ignore]
    for item in correct:
        key, equals, name = item.rpartition("=")
        if not equals or not name.strip():
            raise BadInput(f"--correct {item!r} must read ID=CLASS, for example a.png=cat.")
        decisions.append((key, "correct", name))
    if tagged:
        from coreset_engine.sources.fiftyone_labels import decision_rows

        rows = decision_rows(tagged.removeprefix("fiftyone:"))
        decisions += [(key, decision, "") for key, decision in rows.items()]
    positions = positions_of(run.dataset.ids, [key for key, _, _ in decisions]).tolist()
    for (key, decision, name), position in zip(decisions, positions, strict=True):
        if position < 0:
            raise BadInput(
                f"{key!r} is not an id of this source; ids here look like "
                f"{str(run.dataset.ids[0])!r}."
            )
        label_log.decide(run.dataset.fingerprint, run.store.home, key, decision, name)


@with_source_options
def predictions(
    file: Annotated[str, typer.Argument(help="CSV, Parquet, JSON Lines, or fiftyone:NAME/FIELD")],
    source: Source,
    out: Annotated[
        Path | None,
        typer.Option(help="write a CSV with class, uncertainty and disagreement per image"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a model's own predictions against the source and its labels."""
    from coreset_engine.pipeline.config import RunConfig
    from coreset_engine.pipeline.imported_labels import with_known_labels
    from coreset_engine.pipeline.predictions import report_of, write_table

    run = with_known_labels(open_run(source, RunSettings(RunConfig(predictions=file))))
    if out is not None:
        write_table(run, out)
    print_record(report_of(run), as_json)


def _write_errors(errors: Any, out: Path) -> None:
    import csv

    with filesystem.writing(out, "name a file in a folder you can write"):
        with open(out, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "given", "suggested", "score", "suspected", "reason"])
            for suspected, row in zip(errors.suspected, errors.top(len(errors)), strict=True):
                writer.writerow(
                    [
                        row.id,
                        row.given,
                        row.suggested,
                        f"{row.score:.6f}",
                        bool(suspected),
                        row.reason,
                    ]
                )
