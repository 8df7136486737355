"""The verb `update SOURCE`: open a source later, and continue from an earlier selection."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from coreset_engine.cli.options import (
    Json,
    Overwrite,
    RunSettings,
    Source,
    open_run,
    with_run_settings,
)
from coreset_engine.cli.source_options import with_source_options
from coreset_engine.core.errors import BadInput

_ROWS = (
    ("mean_distance", "mean distance to the nearest pick", "{:.4f}"),
    ("p95_distance", "of 95 % at most", "{:.4f}"),
    ("worst_distance", "worst", "{:.4f}"),
    ("clusters_missed", "clusters without a pick", "{:d}"),
)


@with_source_options
@with_run_settings()
def update(
    source: Source,
    settings: RunSettings,
    selection: Annotated[
        Path | None, typer.Option(help="selection folder to continue from; its images are kept")
    ] = None,
    more: Annotated[
        int, typer.Option(help="images to choose in addition to the earlier ones")
    ] = 200,
    out: Annotated[Path | None, typer.Option(help="folder for the next selection")] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Update a source that grew: embed new images, choose the next ones."""
    from coreset_engine.evaluation.update import update_run

    if settings.cluster:
        raise BadInput("update works on one machine; leave --cluster out.")
    run = open_run(source, settings)
    grown = update_run(run, selection, more=more, out=out, overwrite=overwrite)
    record = grown.record()
    print(json.dumps(record) if as_json else "\n".join(lines(record)))
    if not as_json and record.get("lost"):
        print(f"picks gone or changed: {', '.join(record['lost'][:3])}", file=sys.stderr)


def lines(record: dict[str, Any]) -> list[str]:
    """The update as text."""
    out = [f"{'images':>14}  {record['images']:,} ({record['before']:,} before)"]
    for name in ("new", "gone", "changed", "renamed"):
        some = [
            " -> ".join(one) if isinstance(one, list) else one for one in record["examples"][name]
        ]
        shown = f"  for example {', '.join(some)}" if some else ""
        out.append(f"{name:>14}  {record[name]:,}{shown}")
    out.append(f"{'embedded':>14}  {record['embedded']:,}")
    if "kept" in record:
        lost = f", {len(record['lost']):,} of them gone or changed" if record["lost"] else ""
        out.append(f"{'earlier picks':>14}  {record['kept']:,} stay{lost}")
        out.append(f"{'next':>14}  {record['next']:,}")
        out += _certificate_lines(record["certificate"])
    return out + ([f"{'out':>14}  {record['out']}"] if "out" in record else [])


def _certificate_lines(certificates: dict[str, dict[str, Any]]) -> list[str]:
    """One row for each measure, one column for each moment."""
    moments = list(certificates)
    head = "".join(f"{moment:>10}" for moment in moments)
    out = [f"{'certificate':>14}  {'':34}{head}"]
    for name, words, form in _ROWS:
        values = "".join(f"{form.format(certificates[at][name]):>10}" for at in moments)
        out.append(f"{'':14}  {words:34}{values}")
    return out
