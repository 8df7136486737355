"""The commands `run`, `embed`, `score`, `select`, `methods` and `verify`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
from coreset_engine.cli.selection_options import with_selection_options
from coreset_engine.cli.source_options import with_source_options
from coreset_engine.core.counted import counted
from coreset_engine.core.errors import BadInput
from coreset_engine.core.registry import DEFAULT_METHOD, METHODS

if TYPE_CHECKING:
    from coreset_engine.core.types import Dataset
    from coreset_engine.pipeline.run import Run


def _compute_every_stage(prepared: Run) -> None:
    """Clusters and training dynamics: columns of the selection whichever method is recommended.

    Images that cannot be clustered are selected without them.
    """
    try:
        _ = prepared.dynamics
    except BadInput as error:
        typer.echo(f"note: without clusters and training dynamics: {error}", err=True)


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
    overwrite: Overwrite = False,
    resume: Annotated[
        bool, typer.Option(help="continue where an earlier run stopped (always on)")
    ] = True,
    as_json: Json = False,
) -> None:
    """Compute what is missing and write the selection to a folder."""
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
        summary["excluded"] = f"{counted(chosen.info['excluded'], 'image')}, by `clean`"
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


def labels_sentence(dataset: Dataset) -> str:
    """How many images have a class, and where the classes came from."""
    if dataset.labels is None:
        return "none in the source"
    known = int((dataset.labels >= 0).sum())
    notes = [note.text for note in getattr(dataset, "notes", ()) if note.topic == "labels"]
    origin = f": {notes[0]}" if notes else f" from {_origin(dataset)}"
    images = counted(len(dataset), "image")
    return f"{known:,} of {images} in {counted(len(dataset.classes), 'class', 'classes')}{origin}"


def _origin(dataset: Dataset) -> str:
    if dataset.spec.startswith("fiftyone:"):
        return "the dataset's label field"
    if dataset.paths is not None:
        return "the names of their folders"
    return "the source's own labels"


@with_source_options
@with_run_settings()
def embed(
    source: Source,
    settings: RunSettings,
    as_json: Json = False,
) -> None:
    """Compute the vectors of every image; resumable."""
    made = open_run(source, settings).embeddings
    print_record(dict(encoder=made.encoder, shape=list(made.vectors.shape), key=made.key), as_json)


@with_source_options
@with_run_settings()
def score(
    source: Source,
    settings: RunSettings,
    as_json: Json = False,
) -> None:
    """Compute every stage up to the scores of all methods."""
    prepared = open_run(source, settings)
    summary = dict(
        coverage=prepared.coverage.n_samples,
        coverage_settings=prepared.coverage.describe(0.9),
        recall=prepared.neighbours.info.get("recall"),
        clusters=prepared.pseudo_labels.n_clusters,
        aum_mean=float(prepared.dynamics.aum.mean()),
    )
    print_record(summary, as_json)


@with_source_options
@with_run_settings()
@with_selection_options
def select(
    source: Source,
    request: Any,
    settings: RunSettings,
    as_json: Json = False,
) -> None:
    """Print the ids of the coreset, one per line."""
    from coreset_engine.pipeline.select import select as choose

    prepared = open_run(source, settings)
    chosen = choose(request, prepared)
    if "recommended" in chosen.info:
        print(f"{chosen.method}: {chosen.info['reason']}", file=sys.stderr)
    print(
        json.dumps([str(key) for key in chosen.ids]) if as_json else "\n".join(map(str, chosen.ids))
    )


def methods(as_json: Json = False) -> None:
    """List the selection methods: family, needs, paper, cost."""
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


def verify(
    manifest: Annotated[Path, typer.Argument(help="manifest.json of a selection")],
    images: Images = "",
    as_json: Json = False,
) -> None:
    """Recompute a selection from its manifest; exit 1 when it differs."""
    from coreset_engine.pipeline.manifest import verify as check

    result = check(manifest, images=images)
    print_record(result, as_json)
    if not result["same"]:
        raise typer.Exit(1)
