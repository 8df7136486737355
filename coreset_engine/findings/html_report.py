"""A report as one HTML file that needs nothing else: for a build's artefacts and for colleagues."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence

import numpy as np

from coreset_engine.core.types import Dataset
from coreset_engine.findings.report import Finding, Report

TILE = 96
SHOWN = 24
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .8rem; border-bottom: 1px solid #8884; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.tiles { display: flex; flex-wrap: wrap; gap: .5rem; }
figure { margin: 0; width: 96px; font-size: 11px; overflow-wrap: anywhere; }
figure img { display: block; max-width: 96px; max-height: 96px; }
.first { border-left: 3px solid #0072b2; padding-left: 4px; }
"""


def as_html(report: Report, dataset: Dataset, sentences: Iterable[str] = ()) -> str:
    """The report with up to SHOWN thumbnails a finding.

    Parameters
    ----------
    report
        Findings about `dataset`.
    dataset
        Where the thumbnails are read from; none are shown of vectors.
    sentences
        Further lines below the title, such as what occurs in another source.
    """
    occurring = [found for found in report.findings.values() if len(found)]
    lines = [*sentences, *report.warnings]
    said = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
    parts = [
        f"<!doctype html><meta charset=utf-8><title>Findings</title><style>{_STYLE}</style>",
        f"<h1>Findings: {html.escape(report.source)}</h1><p>{len(report):,} images.</p>{said}",
        _table(report),
        *(_section(found, report, dataset) for found in occurring),
    ]
    return "\n".join(parts)


def _table(report: Report) -> str:
    rows = []
    for found in report.findings.values():
        share = len(found) / max(1, len(report))
        groups = f"{found.n_groups:,}" if found.groups is not None else ""
        rows.append(
            f"<tr><td><a href='#{found.name}'>{html.escape(found.title)}</a></td>"
            f"<td>{found.kind.severity}</td><td class=n>{len(found):,}</td>"
            f"<td class=n>{share:.1%}</td><td class=n>{groups}</td></tr>"
        )
    for name, reason in report.skipped.items():
        rows.append(
            f"<tr><td>{html.escape(name)}</td><td colspan=4>not computed: "
            f"{html.escape(reason)}</td></tr>"
        )
    head = "<th>Finding<th>Severity<th class=n>Images<th class=n>Share<th class=n>Groups"
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _section(found: Finding, report: Report, dataset: Dataset) -> str:
    shown = found.positions[:SHOWN]
    firsts = np.ones(len(shown), bool)
    if found.groups is not None:
        firsts = np.r_[True, np.diff(found.groups[: len(shown)]) != 0]
    tiles = _tiles(shown, found.scores, firsts, dataset)
    limit = "" if found.threshold is None else f" Threshold: {found.threshold:.4g}."
    note = f" {found.note[:1].upper()}{found.note[1:]}." if found.note else ""
    return (
        f"<h2 id='{found.name}'>{html.escape(found.title)}: {len(found):,}</h2>"
        f"<p>{html.escape(found.kind.meaning + note + limit)} Score: "
        f"{html.escape(found.kind.score)}.</p><div class=tiles>{tiles}</div>"
    )


def _tiles(
    positions: np.ndarray, scores: np.ndarray, firsts: Sequence[bool] | np.ndarray, dataset: Dataset
) -> str:
    made = []
    for place, score, first in zip(positions, scores, firsts):
        picture = "" if dataset.reader is None else f"<img src='{_thumbnail(dataset, int(place))}'>"
        name = html.escape(str(dataset.ids[int(place)])[-48:])
        mark = " class=first" if first else ""
        made.append(f"<figure{mark}>{picture}{name}<br>{score:.3g}</figure>")
    return "".join(made)


def _thumbnail(dataset: Dataset, i: int) -> str:
    image = dataset.image(i).convert("RGB")
    image.thumbnail((TILE, TILE))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")
