"""The commands `find` (images like an image or a text), `tag` and `columns`."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from coreset_engine.cli import options
from coreset_engine.cli.selection_options import ids_of
from coreset_engine.cli.source_options import with_source_options
from coreset_engine.core.counted import counted
from coreset_engine.core.errors import BadInput

Where = Annotated[
    str | None,
    typer.Option(help='only images that pass a filter, such as "time=night and width>=512"'),
]
_SHOWN = 12


@with_source_options
@options.with_run_settings()
def find(
    source: options.Source,
    settings: options.RunSettings,
    like: Annotated[
        list[str] | None,
        typer.Option(help="id or file of an image; repeatable: searches for their mean"),
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="text describing the images; needs an encoder such as clip")
    ] = None,
    count: Annotated[int, typer.Option(help="maximum number of results")] = 200,
    where: Where = None,
    diverse: Annotated[
        bool, typer.Option("--diverse", help="diverse as well as similar to the query")
    ] = False,
    relevance: Annotated[
        float, typer.Option(help="with --diverse: 1 = similarity only, 0 = diversity only")
    ] = 0.5,
    tag: Annotated[str, typer.Option(help="tag the results")] = "",
    as_json: options.Json = False,
) -> None:
    """Find images like an image, like several, or like a text."""
    from coreset_engine.curation.search import find as search
    from coreset_engine.curation.tagging import tag as give
    from coreset_engine.curation.tags import check_name

    name = check_name(tag) if tag else ""
    run = options.open_run(source, settings)
    hits = search(
        run,
        like=like or None,
        text=text,
        count=count,
        where=where,
        diverse=diverse,
        relevance=relevance,
        progress=run.tick("search_index"),
    )
    change = give(run, name, ids=hits.ids.tolist()) if name and len(hits) else None
    if as_json:
        tag_fields = {} if change is None else dict(tag=change.name, tagged=change.changed)
        print(json.dumps(hits.as_json() | tag_fields))
        return
    for key, value in zip(hits.ids, hits.similarity.tolist()):
        print(f"{key}\t{value:.4f}")
    recall = "exact" if hits.recall == 1 else f"recall {hits.recall:.1%}"
    headline = f"{counted(len(hits), 'image')} like {hits.query!r} ({recall}, {hits.seconds:.2f} s)"
    tagged = (
        ""
        if change is None
        else f"; {counted(change.total, 'image has', 'images have')} the tag {change.name!r} now"
    )
    print(f"{headline}{tagged}.", file=sys.stderr)


@with_source_options
@options.with_run_settings()
def tag(
    source: options.Source,
    settings: options.RunSettings,
    name: Annotated[
        str, typer.Argument(help="a word without spaces; omit it to list the tags")
    ] = "",
    where: Where = None,
    ids: Annotated[
        list[str] | None,
        typer.Option(help="an id, or a file of ids, or a selection folder; repeatable"),
    ] = None,
    remove: Annotated[
        bool,
        typer.Option("--remove", help="remove the tag; without --where and --ids from all images"),
    ] = False,
    from_table: Annotated[
        str | None,
        typer.Option(
            "--from", help="read tags from a CSV with columns id and tags, or fiftyone:NAME"
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Tag images, list the tags, or read them from a table."""
    from coreset_engine.curation import tagging
    from coreset_engine.curation.tags import check_name

    asked = bool(where or ids or remove)
    if from_table is not None and (name or asked):
        raise BadInput("--from reads all tags of a table; give no NAME, --where or --ids with it.")
    if not name and asked:
        raise BadInput("no tag was given; write it after the source: tag SOURCE NAME --where ...")
    if name:
        check_name(name)
    run = options.open_run(source, settings)
    if from_table is not None:
        options.print_record(dict(tagging.import_tags(run, from_table)), as_json)
    elif not name:
        options.print_record(dict(tagging.tag_counts(run)), as_json)
    else:
        named = ids_of(ids, "--ids") if ids else None
        change = tagging.tag(run, name, where=where, ids=named, remove=remove)
        options.print_record(
            dict(tag=change.name, changed=change.changed, images=change.total), as_json
        )


@with_source_options
@options.with_run_settings()
def columns(
    source: options.Source,
    settings: options.RunSettings,
    where: Where = None,
    name: Annotated[
        list[str] | None, typer.Option("--column", help="count this column's values; repeatable")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """List the columns for --where, or the values of one."""
    from coreset_engine.core.filter_columns import apply_filter, nothing_left
    from coreset_engine.core.filters import filter_of
    from coreset_engine.curation.facets import cross_filter

    run = options.open_run(source, settings)
    wanted = filter_of(where)
    if not name and wanted is None:
        described = run.columns.describe()
        if as_json:
            print(
                json.dumps(
                    [dict(name=one.name, group=one.group, ready=one.ready) for one in described]
                )
            )
            return
        for one in described:
            print(f"{one.name:20} {one.group:10} {'' if one.ready else 'computed on demand'}")
        return
    filtered = cross_filter(run.columns, {} if wanted is None else {"": wanted}, name or ())
    listed: dict[str, Any] = {}
    if wanted is not None:
        left = apply_filter(wanted, run.columns)
        listed["where"] = left.sentence if left.matched else nothing_left(left, run.columns)
        listed["matched"] = left.matched
    for key, facet in filtered.facets.items():
        listed[key] = dict(zip(facet.labels, facet.counts.tolist())) | (
            {"(missing)": facet.missing} if facet.missing_total else {}
        )
    if as_json:
        print(json.dumps(listed))
        return
    for key, value in listed.items():
        print(f"{key:>14}  {_listed(value) if isinstance(value, dict) else value}")


def _listed(counts: dict[str, int]) -> str:
    items = [f"{label} ({count:,})" for label, count in counts.items()]
    return ", ".join(items[:_SHOWN]) + (", ..." if len(items) > _SHOWN else "")
