"""The commands `clean SOURCE` and `leakage A B`.

`clean` lists what is wrong with the images and excludes them; `leakage` lists what two sources
share and where they differ.

Both end with exit code FOUND when `--fail-on` names something that was found: for a build that
must fail.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coreset_engine.artifacts import filesystem
from coreset_engine.cli.options import Json, RunSettings, Source, open_run, with_run_settings
from coreset_engine.cli.selection_options import ids_of, params_of
from coreset_engine.cli.source_options import with_source_options
from coreset_engine.core.counted import counted
from coreset_engine.core.errors import BadInput

if TYPE_CHECKING:
    from coreset_engine.findings.report import Report
    from coreset_engine.pipeline.compare_sources import SourceComparison
    from coreset_engine.pipeline.run import Run

FOUND = 4
LEAKAGE = "leakage"
_ACT = "Excluding"

Other = Annotated[
    str | None, typer.Option("--against", help="another source, such as the test set: leakage")
]
FailOn = Annotated[
    str | None,
    typer.Option(
        help="comma-separated findings, or all, that make the command exit with code 4: "
        "duplicates, near_duplicates, label_conflicts, leakage (with --against), ..."
    ),
]
Html = Annotated[Path | None, typer.Option("--html", help="write the report with thumbnails")]
Threshold = Annotated[
    list[str] | None,
    typer.Option("--threshold", help="NAME=VALUE, repeatable: near_duplicates=0.01, dark=0.3"),
]
Examples = Annotated[int, typer.Option(help="ids listed per finding; 0 = all")]
NoEmbed = Annotated[
    bool, typer.Option("--no-embed", help="skip findings that need embeddings (fast)")
]
Selected = Annotated[
    Path | None,
    typer.Option(
        "--selection", help="a selection folder: show how many of its images each finding affects"
    ),
]
Apply = Annotated[
    list[str] | None,
    typer.Option(
        "--apply",
        help="exclude this finding's images from every selection; repeatable",
        rich_help_panel=_ACT,
    ),
]
Which = Annotated[
    str,
    typer.Option(
        help="surplus: all but one image of a group; all: every image", rich_help_panel=_ACT
    ),
]
Keep = Annotated[
    str,
    typer.Option(
        help="which image of each group to keep: first, largest, oldest, labelled, quality",
        rich_help_panel=_ACT,
    ),
]
Drop = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude", help="an id, or a file of ids, to exclude; repeatable", rich_help_panel=_ACT
    ),
]
Restore = Annotated[
    list[str] | None,
    typer.Option(
        "--restore", help="an id, or a file of ids, to include again", rich_help_panel=_ACT
    ),
]
Undo = Annotated[bool, typer.Option("--undo", help="undo the last exclusion", rich_help_panel=_ACT)]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="write the excluded ids, one per line", rich_help_panel=_ACT),
]


@dataclass(frozen=True)
class Actions:
    """What `clean` does beside looking."""

    apply: tuple[str, ...] = ()
    which: str = "surplus"
    keep: str = "first"
    exclude: tuple[str, ...] = ()
    restore: tuple[str, ...] = ()
    undo: bool = False


@with_source_options
@with_run_settings()
def clean(
    source: Source,
    settings: RunSettings,
    against: Other = None,
    fail_on: FailOn = None,
    html: Html = None,
    threshold: Threshold = None,
    examples: Examples = 100,
    no_embed: NoEmbed = False,
    selection: Selected = None,
    apply: Apply = None,
    which: Which = "surplus",
    keep: Keep = "first",
    exclude: Drop = None,
    restore: Restore = None,
    undo: Undo = False,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Find copies, outliers and images of poor quality, and exclude them.

    Exit code 4 when --fail-on names something that was found.
    """
    from coreset_engine.pipeline.clean import clean as look

    wanted = _failing(fail_on, against is not None)
    actions = Actions(
        _checked_names(apply), which, keep, tuple(exclude or ()), tuple(restore or ()), undo
    )
    _check_actions(actions)
    run = open_run(source, settings)
    report = look(run, embed=not no_embed, **params_of(threshold))
    record = report.to_record(examples)
    if selection is not None:
        record["costs"] = _costs(report, selection)
    comparison = None
    if against is not None:
        comparison = _compared(against, run, settings, no_embed)
        record["against"] = comparison.to_record(examples)
    record["excluded_now"] = _act(run, report, actions)
    record["excluded"] = _in_force(run, out)
    if html is not None:
        record["html"] = _write_html(html, report, run, comparison, params_of(threshold))
    failed = [name for name in wanted if _count(name, report, comparison)]
    record["failed"] = failed
    print(json.dumps(record)) if as_json else _show(record, report)
    if failed:
        raise typer.Exit(FOUND)


@with_source_options
@with_run_settings()
def leakage(
    source: Annotated[str, typer.Argument(metavar="A", help="a source, such as the training set")],
    other: Annotated[str, typer.Argument(metavar="B", help="the source to look up in A")],
    settings: RunSettings,
    near_duplicates: Annotated[
        float | None, typer.Option(help="cosine distance of near-duplicates; default: proposed")
    ] = None,
    n_regions: Annotated[int, typer.Option(min=2, help="regions compared")] = 20,
    fail: Annotated[bool, typer.Option("--fail", help="exit code 4 when images leak")] = False,
    examples: Examples = 100,
    no_embed: NoEmbed = False,
    exclude: Annotated[
        bool,
        typer.Option("--exclude", help="exclude images of A that occur in B from every selection"),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="write the ids of B that occur in A")] = None,
    as_json: Json = False,
) -> None:
    """Compare two sources: shared images, missing regions, two-sample test."""
    from coreset_engine.pipeline.compare_sources import compare_sources, exclude_leaks

    run_a, run_b = _two_runs(source, other, settings)
    comparison = compare_sources(
        run_a,
        run_b,
        near_duplicates=near_duplicates,
        n_clusters=n_regions,
        embed=not no_embed,
    )
    if out is not None:
        _write_ids(out, comparison.leaked_ids())
    done = exclude_leaks(run_a, comparison) if exclude else {}
    if as_json:
        print(
            json.dumps(comparison.to_record(examples) | (dict(excluded_now=done) if done else {}))
        )
    else:
        _show_comparison(comparison)
        for name, count in done.items():
            print(f"excluded now: {counted(count, 'image')} of A ({name})")
    if fail and len(comparison.leakage):
        raise typer.Exit(FOUND)


# -- parts -----------------------------------------------------------------------------------------


def _failing(words: str | None, compared: bool) -> tuple[str, ...]:
    """Finding names of --fail-on, and LEAKAGE."""
    from coreset_engine.findings.report import named

    names = [word.strip() for word in (words or "").split(",") if word.strip()]
    own = [word for word in names if word != LEAKAGE]
    if LEAKAGE in names and not compared:
        raise BadInput(
            "--fail-on leakage needs a second source; add --against OTHER, or use `leakage A B`."
        )
    extra = (LEAKAGE,) if LEAKAGE in names or ("all" in names and compared) else ()
    return (*named(own), *extra)


def _checked_names(words: list[str] | None) -> tuple[str, ...]:
    from coreset_engine.findings.report import named

    return named([part for word in words or () for part in word.split(",")])


def _check_actions(actions: Actions) -> None:
    """Refuse before the hour of work."""
    from coreset_engine.findings.copies import KEEP_RULES
    from coreset_engine.pipeline.clean import WHICH

    if actions.which not in WHICH:
        raise BadInput(f"--which {actions.which!r} is not supported; choose surplus or all.")
    if actions.keep not in KEEP_RULES:
        raise BadInput(
            f"--keep {actions.keep!r} is not supported; choose one of {', '.join(KEEP_RULES)}."
        )


def _two_runs(source: str, other: str, settings: RunSettings) -> tuple[Run, Run]:
    return open_run(source, settings), open_run(other, settings)


def _compared(against: str, run: Run, settings: RunSettings, no_embed: bool) -> SourceComparison:
    from coreset_engine.pipeline.compare_sources import compare_sources

    return compare_sources(run, open_run(against, settings), embed=not no_embed)


def _act(run: Run, report: Report, actions: Actions) -> dict[str, int]:
    """Finding (or what was done) -> number of images."""
    from coreset_engine.core.ids import positions_of
    from coreset_engine.pipeline import exclusions
    from coreset_engine.pipeline.clean import apply

    done: dict[str, int] = {}
    print_out = sys.stderr
    fingerprint = run.dataset.fingerprint
    home = run.store.home
    if actions.undo:
        taken = exclusions.undo(fingerprint, home)
        done["undone"] = len(taken["ids"]) if taken else 0
        if taken is None:
            print("note: nothing was excluded, so there is nothing to undo", file=print_out)
    done |= apply(run, report, actions.apply, which=actions.which, keep=actions.keep)
    ids = ids_of(list(actions.exclude), "--exclude")
    back = ids_of(list(actions.restore), "--restore")
    for option, chosen in (("--exclude", ids), ("--restore", back)):
        positions = positions_of(run.dataset.ids, chosen)
        unknown = [key for key, position in zip(chosen, positions) if position < 0]
        if unknown:
            raise BadInput(
                f"{option} names {unknown[0]!r}, which is not an id of this source ({len(unknown)} "
                f"unknown in all); ids here look like {str(run.dataset.ids[0])!r}."
            )
    if ids:
        done["chosen by hand"] = exclusions.exclude(fingerprint, ids, home)
    if back:
        done["restored"] = exclusions.restore(fingerprint, back, home)
    return done


def _in_force(run: Run, out: Path | None) -> dict[str, int]:
    """Reason -> number of excluded images; the ids are written to `out`."""
    from coreset_engine.pipeline import exclusions

    if out is not None:
        _write_ids(out, list(run.excluded_ids))
    return exclusions.counts(run.exclusions)


def _write_ids(out: Path, ids: list[str]) -> None:
    with filesystem.writing(out, "name a file in a folder you can write"):
        out.write_text("".join(f"{key}\n" for key in ids), encoding="utf-8")


def _costs(report: Report, folder: Path) -> dict[str, str]:
    """Finding -> what it costs in a selection of this source."""
    from coreset_engine.artifacts.selection_folder import read_selection
    from coreset_engine.core.ids import positions_of

    table, _ = read_selection(folder)
    ids = [str(key) for key in table["id"][table["selected"]]]
    positions = positions_of(report.ids, ids)
    unknown = int((positions < 0).sum())
    if unknown:
        raise BadInput(
            f"--selection {str(folder)!r} holds {counted(unknown, 'image')} not in "
            "this source; give a selection of this source."
        )
    costs = {name: report.cost(name, positions) for name in report.findings}
    return {name: cost.sentence() for name, cost in costs.items() if cost.wasted}


def _write_html(
    path: Path,
    report: Report,
    run: Run,
    comparison: SourceComparison | None,
    thresholds: dict[str, Any],
) -> str:
    from coreset_engine.findings.html_report import as_html
    from coreset_engine.pipeline.clean import borders

    sentences = [] if comparison is None else [comparison.leakage.sentence()]
    with filesystem.writing(path, "name a file in a folder you can write"):
        page = as_html(report, run.dataset, sentences, borders(run, report, **thresholds))
        path.write_text(page, encoding="utf-8")
    return str(path)


def _count(name: str, report: Report, comparison: SourceComparison | None) -> int:
    if name == LEAKAGE:
        return 0 if comparison is None else len(comparison.leakage)
    return len(report.findings.get(name, ()))


def _show(record: dict[str, Any], report: Report) -> None:
    print(f"{counted(len(report), 'image')} of {report.source}")
    for row in record["findings"]:
        if not row["count"]:
            continue
        groups = f", groups: {row['groups']:,}" if row["groups"] else ""
        example = f"  e.g. {row['ids'][0]}" if row["ids"] else ""
        print(
            f"{row['count']:>9,}  {row['share']:>6.1%}  {row['severity']:<7}{row['name']:<17}"
            f"{row['title']}{groups}{example}"
        )
    for name, reason in record["skipped"].items():
        print(f"      not computed  {name}: {reason}", file=sys.stderr)
    for line in record["warnings"]:
        print(f"note: {line}", file=sys.stderr)
    for sentence in record.get("costs", {}).values():
        print(f"cost: {sentence}")
    if "against" in record:
        leak = record["against"]["leakage"]
        print(
            f"leakage: {leak['count']:,} of {record['against']['images_b']:,} images of "
            f"{record['against']['b']} occur here too ({leak['bytes']:,} by bytes, "
            f"{leak['pixels']:,} by pixels, {leak['near']:,} nearly)"
        )
    for name, count in record["excluded_now"].items():
        print(f"excluded now: {count:,} ({name})")
    if record["excluded"]:
        total = sum(record["excluded"].values())
        print(f"excluded in all: {counted(total, 'image')}; no selection of this source keeps them")
    if record["failed"]:
        print(f"failed on: {', '.join(record['failed'])}", file=sys.stderr)


def _show_comparison(comparison: SourceComparison) -> None:
    print(comparison.leakage.sentence())
    for pair in comparison.to_record(5)["leakage"]["pairs"]:
        print(f"  {pair['kind']:<7}{pair['b']}  =  {pair['a']}  ({pair['distance']:.4f})")
    if comparison.test is not None:
        print(comparison.test.sentence())
    if comparison.regions is not None:
        _show_regions(comparison)
    for line in comparison.warnings:
        print(f"note: {line}", file=sys.stderr)


def _show_regions(comparison: SourceComparison) -> None:
    made = comparison.regions
    assert made is not None
    sides = (
        ("A lacks", made.lacking_in_a(), comparison.ids_b, made.label_b),
        ("B lacks", made.lacking_in_b(), comparison.ids_a, made.label_a),
    )
    for words, clusters, ids, labels in sides:
        for cluster in clusters[:5]:
            example = ids[labels == cluster][:3]
            print(
                f"{words}: region {cluster} ({made.share_a[cluster]:.1%} of A, "
                f"{made.share_b[cluster]:.1%} of B), for example {', '.join(map(str, example))}"
            )
