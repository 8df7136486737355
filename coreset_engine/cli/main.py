"""The command line: the same code path as the app.

Exit 0 done, 2 bad input, 3 cancelled, 1 an internal error, 4 a finding that `--fail-on` names.

Heavy imports happen inside the commands, so that --help and `methods` answer at once.
"""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coreset_engine.cli import interrupt
from coreset_engine.cli.commands import beta as beta_command
from coreset_engine.cli.commands import clean as clean_command
from coreset_engine.cli.commands import curate, evaluate, export, rounds, store
from coreset_engine.cli.commands import forecast as forecast_command
from coreset_engine.cli.commands import reproduce as reproduce_command
from coreset_engine.cli.commands import update as update_command
from coreset_engine.cli.options import (
    Json,
    RunSettings,
    Source,
    open_run,
    print_record,
    with_run_settings,
)
from coreset_engine.cli.selection_options import with_selection_options
from coreset_engine.cli.source_options import with_source_options
from coreset_engine.core.errors import BadInput, CoresetError
from coreset_engine.core.registry import DEFAULT_METHOD, METHODS
from coreset_engine.core.user_paths import user_path

if TYPE_CHECKING:
    from coreset_engine.pipeline.run import Run

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Choose the part of an unlabelled image set worth labelling and training on.",
)


def _compute_every_stage(prepared: Run) -> None:
    """Clusters and training dynamics: columns of the selection whichever method is recommended.

    Images that cannot be clustered are selected without them.
    """
    try:
        _ = prepared.dynamics
    except BadInput as error:
        typer.echo(f"note: without clusters and training dynamics: {error}", err=True)


@app.command()
@with_source_options
@with_run_settings()
@with_selection_options
def run(
    source: Source,
    request: Any,
    settings: RunSettings,
    out: Annotated[
        Path | None, typer.Option(help="folder for selection.parquet, ids.txt, manifest.json")
    ] = None,
    overwrite: store.Overwrite = False,
    resume: Annotated[
        bool, typer.Option(help="go on where an earlier run stopped (always on)")
    ] = True,
    as_json: Json = False,
) -> None:
    """Every stage that is missing, then the selection, as a folder."""
    from coreset_engine.artifacts import log
    from coreset_engine.artifacts.selection_folder import check_destination
    from coreset_engine.pipeline.manifest import write_run
    from coreset_engine.pipeline.select import select as choose

    if out is not None:
        check_destination(out, overwrite=overwrite)
    prepared = open_run(source, settings)
    if request.method == DEFAULT_METHOD:
        _compute_every_stage(prepared)
    chosen = choose(request, prepared)
    summary: dict[str, Any] = dict(
        method=chosen.method,
        images=len(prepared.dataset),
        kept=len(chosen),
        labels=labels_sentence(prepared.dataset),
    )
    if "excluded" in chosen.info:
        summary["excluded"] = f"{chosen.info['excluded']:,} images, by `clean`"
    if "recommended" in chosen.info:
        summary["recommended"] = chosen.info["recommended"]
        summary["reason"] = chosen.info["reason"]
    if "where" in chosen.info:
        summary["where"] = chosen.info["where_sentence"]
    if "seed_agreement" in chosen.info:
        summary["coverage"] = chosen.info["reason"]
    if prepared.ready("pseudo_labels"):
        summary["clusters"] = prepared.pseudo_labels.n_clusters
    if out is not None:
        summary["out"] = str(write_run(out, prepared, chosen))
    log.write(prepared.store.home, "run", source=prepared.dataset.spec, **summary)
    print_record(summary, as_json)


def labels_sentence(dataset: Any) -> str:
    """How many images have a class, and where the classes came from."""
    if dataset.labels is None:
        return "none in the source"
    known = int((dataset.labels >= 0).sum())
    notes = [note.text for note in getattr(dataset, "notes", ()) if note.topic == "labels"]
    origin = f": {notes[0]}" if notes else f" from {_origin(dataset)}"
    return f"{known:,} of {len(dataset):,} images in {len(dataset.classes):,} classes{origin}"


def _origin(dataset: Any) -> str:
    if dataset.spec.startswith("fiftyone:"):
        return "the dataset's label field"
    if dataset.paths is not None:
        return "the names of their folders"
    return "the source's own labels"


@app.command()
@with_source_options
@with_run_settings()
def embed(
    source: Source,
    settings: RunSettings,
    as_json: Json = False,
) -> None:
    """Vectors of every image, kept and resumable."""
    made = open_run(source, settings).embeddings
    print_record(dict(encoder=made.encoder, shape=list(made.vectors.shape), key=made.key), as_json)


@app.command()
@with_source_options
@with_run_settings()
def score(
    source: Source,
    settings: RunSettings,
    as_json: Json = False,
) -> None:
    """Every stage up to the scores: neighbours, pseudo-labels, dynamics, coverage."""
    prepared = open_run(source, settings)
    summary = dict(
        coverage=prepared.coverage.n_samples,
        coverage_settings=prepared.coverage.describe(0.9),
        recall=prepared.neighbours.info.get("recall"),
        clusters=prepared.pseudo_labels.n_clusters,
        aum_mean=float(prepared.dynamics.aum.mean()),
    )
    print_record(summary, as_json)


@app.command()
@with_source_options
@with_run_settings()
@with_selection_options
def select(
    source: Source,
    request: Any,
    settings: RunSettings,
    as_json: Json = False,
) -> None:
    """The ids of the coreset, one a line, on stdout."""
    from coreset_engine.pipeline.select import select as choose

    prepared = open_run(source, settings)
    chosen = choose(request, prepared)
    if "recommended" in chosen.info:
        print(f"{chosen.method}: {chosen.info['reason']}", file=sys.stderr)
    print(
        json.dumps([str(key) for key in chosen.ids]) if as_json else "\n".join(map(str, chosen.ids))
    )


@app.command()
def methods(as_json: Json = False) -> None:
    """Every selection method: family, what it needs, paper, cost."""
    if as_json:
        print(
            json.dumps(
                {
                    row.name: dict(
                        title=row.title,
                        family=row.family,
                        summary=row.summary,
                        needs=row.needs,
                        paper=row.paper,
                        cost=row.cost,
                        aliases=row.aliases,
                    )
                    for row in METHODS.values()
                }
            )
        )
        return
    for row in METHODS.values():
        about = "; ".join(part for part in (row.paper, row.cost) if part)
        print(
            f"{row.name:22} {row.family:11} {row.title}: {row.summary}  "
            f"[{', '.join(row.needs) or 'nothing'}] {about}"
        )


@app.command()
def jobs(
    verb: Annotated[str, typer.Argument(help="list, cancel or resume")] = "list",
    job: Annotated[str, typer.Option(help="id of the job to cancel or resume")] = "",
    as_json: Json = False,
) -> None:
    """The jobs of this workspace."""
    from coreset_engine.artifacts.store import Store
    from coreset_engine.jobs import manager as work

    home = Store().home
    if verb in ("cancel", "resume"):
        getattr(work, verb)(job, home)
    elif verb != "list":
        raise BadInput(f"{verb!r} is no action of jobs; use list, cancel or resume.")
    print_record(
        {
            item.id: f"{item.kind} {item.status} {item.stage} {item.message}"
            for item in work.list_jobs(home)
        },
        as_json,
    )


@app.command(hidden=True)
def work(name: str) -> None:
    """The child process of a job."""
    from coreset_engine.artifacts.store import Store
    from coreset_engine.jobs.worker import work as do

    raise typer.Exit(do(name, Store().home))


@app.command()
def verify(
    manifest: Annotated[Path, typer.Argument(help="manifest.json of a selection")],
    images: store.Images = "",
    as_json: Json = False,
) -> None:
    """Recompute a selection from its manifest and compare; exit 1 when it differs."""
    from coreset_engine.pipeline.manifest import verify as check

    result = check(manifest, images=images)
    print_record(result, as_json)
    if not result["same"]:
        raise typer.Exit(1)


app.command()(export.export)
app.command()(export.plugin)
app.command()(with_source_options(beta_command.beta))
app.command()(with_source_options(forecast_command.forecast))
app.command()(with_source_options(evaluate.evaluate))
app.command()(with_source_options(evaluate.inclusion))
app.command()(with_source_options(reproduce_command.reproduce))
app.command()(with_source_options(clean_command.clean))
app.command()(with_source_options(clean_command.leakage))
app.command()(with_source_options(update_command.update))
app.command("next")(
    with_source_options(
        with_run_settings()(with_selection_options(rounds.next_images, rounds.ROUND_METHOD))
    )
)
app.command()(with_source_options(with_run_settings()(rounds.label_errors)))
app.command()(with_source_options(rounds.predictions))
for command in (curate.find, curate.tag, curate.columns):
    app.command()(with_source_options(command))
for command in (store.status, store.gc, store.report, rounds.import_labels):
    app.command()(command)
app.command("labels")(rounds.import_labels)


def main() -> None:
    """Run a command; every error is one line on stderr.

    Never a traceback; Ctrl-C ends it within two seconds.
    """
    _prepare()
    with interrupt.armed():
        _guarded()


def _prepare() -> None:
    """Names of any language on any terminal, and `--out=~/x`, which shells pass on as it stands."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if sys.getfilesystemencoding().lower() not in ("utf-8", "utf8"):
        print(
            f"error: the locale's encoding is {sys.getfilesystemencoding()}, which cannot name every "
            "file; set PYTHONUTF8=1 (or LC_ALL=C.UTF-8) and run again.",
            file=sys.stderr,
        )
        sys.exit(2)
    sys.argv[1:] = [_with_home(word) for word in sys.argv[1:]]


def _with_home(word: str) -> str:
    """A word of the command line with ~/ replaced, at its beginning or behind `--option=`."""
    name, equals, value = word.partition("=")
    if word.startswith("~/"):
        return str(user_path(word))
    if name.startswith("--") and equals and value.startswith("~/"):
        return f"{name}={user_path(value)}"
    return word


def _guarded() -> None:
    try:
        result = app(standalone_mode=False)
        if result == 130:  # typer's code for a KeyboardInterrupt
            raise KeyboardInterrupt
        sys.exit(result if isinstance(result, int) else 0)
    except CoresetError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        interrupt.say()
        sys.exit(interrupt.EXIT_CODE)
    except BrokenPipeError:
        os._exit(0)
    except Exception as internal:  # noqa: BLE001 - one sentence here, the traceback in the log
        _last_door(internal)


def _last_door(error: Exception) -> None:
    if hasattr(
        error, "format_message"
    ):  # a usage error; its class lives in click or, in newer versions, in typer
        print(f"error: {error.format_message()} See --help.", file=sys.stderr)
        sys.exit(2)
    from coreset_engine.artifacts.internal_errors import record

    print(f"error: {record(error)}", file=sys.stderr)
    sys.exit(1)
