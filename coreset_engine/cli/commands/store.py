"""The commands `status`, `gc`, `report` and `jobs`: the workspace, clean-up, bug reports, jobs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from coreset_engine.cli.options import Json, print_record
from coreset_engine.core.errors import BadInput

PARTS = (
    "artefacts",
    "work",
    "jobs",
    "history",
    "media",
    "datasets",
    "log",
    "uploads",
    "thumbs",
    "verified",
    "frames",
)


def status(as_json: Json = False) -> None:
    """Show what is stored and what is running."""
    from coreset_engine.artifacts import filesystem
    from coreset_engine.artifacts.store import Store
    from coreset_engine.jobs import manager

    store = Store()
    stages = {
        path.name: filesystem.size(path) for path in sorted((store.home / "artefacts").glob("*"))
    }
    parts = {name: filesystem.size(store.home / name) for name in PARTS}
    sources = _by_source(store)
    active = [
        job
        for job in manager.list_jobs(store.home)
        if job.status in ("queued", "running", "interrupted")
    ]
    if as_json:
        print(
            json.dumps(
                dict(
                    home=str(store.home),
                    bytes=sum(parts.values()),
                    parts=parts,
                    stages=stages,
                    sources=sources,
                    jobs=[
                        dict(
                            id=job.id,
                            kind=job.kind,
                            status=job.status,
                            stage=job.stage,
                            done=job.done,
                            total=job.total,
                        )
                        for job in active
                    ],
                )
            )
        )
        return
    print(f"{'workspace':>14}  {store.home}  {human(sum(parts.values()))}")
    for name, count in {
        **{part: count for part, count in parts.items() if count},
        **stages,
    }.items():
        print(f"{('- ' if name in stages else '') + name:>14}  {human(count)}")
    for spec, count in sources.items():
        print(f"{'source':>14}  {spec}  {human(count)}")
    for job in active:
        print(f"{job.status:>14}  {job.id} {job.kind} {job.stage} {job.spec}")


def _by_source(store: Any) -> dict[str, int]:
    """Bytes of artefacts by the source they were made from, largest first."""
    from coreset_engine.artifacts import filesystem
    from coreset_engine.core.errors import CoresetError

    sizes: dict[str, int] = {}
    for folder in (store.home / "artefacts").glob("*/*"):
        try:
            about = store.manifest(folder.parent.name, folder.name).get("about") or {}
        except CoresetError:
            continue
        if about.get("spec"):
            spec = str(about["spec"])
            sizes[spec] = sizes.get(spec, 0) + filesystem.size(folder)
    return dict(sorted(sizes.items(), key=lambda pair: -pair[1]))


def gc(
    yes: Annotated[
        bool, typer.Option("--yes", help="remove; without it, only list what would be removed")
    ] = False,
    days: Annotated[
        float, typer.Option(help="keep what was used in the last DAYS days; 0: no grace period")
    ] = 30.0,
    as_json: Json = False,
) -> None:
    """List what can be removed; --yes removes it.

    What a selection, a snapshot or a correction needs always stays.
    """
    from coreset_engine.artifacts.store import Store
    from coreset_engine.jobs import gc as collector

    store = Store()
    items = collector.plan(store, days)
    freed = collector.sweep(store, items) if yes else 0
    total = sum(item.bytes for item in items)
    if as_json:
        print(
            json.dumps(
                dict(
                    dry_run=not yes,
                    bytes=freed if yes else total,
                    items=[
                        dict(
                            path=str(item.path),
                            bytes=item.bytes,
                            reason=item.reason,
                            source=item.source,
                        )
                        for item in items
                    ],
                )
            )
        )
        return
    for item in items:
        source = f" of {item.source}" if item.source else ""
        relative = item.path.relative_to(store.home)
        print(f"{human(item.bytes):>10}  {relative}  ({item.reason}{source})")
    if yes:
        print(f"{human(freed)} freed.")
    elif items:
        print(f"{human(total)} can be removed; run `gc --yes`.")
    else:
        print("nothing to remove.")


def report(
    out: Annotated[Path, typer.Option(help="zip file to write")] = Path("coreset-report.zip"),
    paths: Annotated[
        bool, typer.Option("--paths", help="do not anonymise names of files and folders")
    ] = False,
    as_json: Json = False,
) -> None:
    """Pack versions, settings and the end of the log into a zip for a bug report.

    No images; no file names unless asked.
    """
    from coreset_engine.artifacts.store import Store
    from coreset_engine.jobs import diagnostics

    if out.is_dir():
        raise BadInput(
            f"{str(out)!r} is a folder; name zip file to write, for example "
            f"{str(out / 'report.zip')!r}."
        )
    names = diagnostics.write(out, Store(), paths=paths)
    if as_json:
        print(json.dumps(dict(out=str(out), holds=names, paths=paths)))
        return
    print(f"{out}: {', '.join(names)}")
    print(
        "names of files are "
        + (
            "readable, as requested."
            if paths
            else "anonymised; check its content before you send it."
        ),
        file=sys.stderr,
    )


def human(count: float) -> str:
    """Bytes, human-readable: 999 B, 1.2 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def jobs(
    verb: Annotated[str, typer.Argument(help="list, cancel or resume")] = "list",
    job: Annotated[str, typer.Option(help="id of the job to cancel or resume")] = "",
    as_json: Json = False,
) -> None:
    """List, cancel or resume background jobs."""
    from coreset_engine.artifacts.store import Store
    from coreset_engine.jobs import manager as work

    home = Store().home
    if verb in ("cancel", "resume"):
        getattr(work, verb)(job, home)
    elif verb != "list":
        raise BadInput(f"{verb!r} is not an action of jobs; use list, cancel or resume.")
    print_record(
        {
            item.id: f"{item.kind} {item.status} {item.stage} {item.message}"
            for item in work.list_jobs(home)
        },
        as_json,
    )


def work(name: str) -> None:
    """Run as the child process of a job."""
    from coreset_engine.artifacts.store import Store
    from coreset_engine.jobs.worker import work as do

    raise typer.Exit(do(name, Store().home))
