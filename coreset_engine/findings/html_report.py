"""A report as one HTML file that needs nothing else: for a build's artefacts and for colleagues."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from coreset_engine.core.counted import counted
from coreset_engine.core.types import Dataset
from coreset_engine.findings.border import Border, Side
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


def as_html(
    report: Report,
    dataset: Dataset,
    sentences: Iterable[str] = (),
    borders: Mapping[str, Border] | None = None,
) -> str:
    """The report with up to SHOWN thumbnails a finding.

    Parameters
    ----------
    report
        Findings about `dataset`.
    dataset
        Where the thumbnails are read from; none are shown of vectors.
    sentences
        Further lines below the title, such as what occurs in another source.
    borders
        Finding -> examples on both sides of its threshold, shown below its images.
    """
    borders = borders or {}
    occurring = [finding for finding in report.findings.values() if len(finding)]
    lines = [*sentences, *report.warnings]
    paragraphs = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
    parts = [
        f"<!doctype html><meta charset=utf-8><title>Findings</title><style>{_STYLE}</style>",
        f"<h1>Findings: {html.escape(report.source)}</h1>",
        f"<p>{counted(len(report), 'image')}.</p>{paragraphs}",
        _table(report),
        *(_section(finding, report, dataset, borders.get(finding.name)) for finding in occurring),
    ]
    return "\n".join(parts)


def _table(report: Report) -> str:
    rows = []
    for finding in report.findings.values():
        share = len(finding) / max(1, len(report))
        groups = f"{finding.n_groups:,}" if finding.groups is not None else ""
        rows.append(
            f"<tr><td><a href='#{finding.name}'>{html.escape(finding.title)}</a></td>"
            f"<td>{finding.kind.severity}</td><td class=n>{len(finding):,}</td>"
            f"<td class=n>{share:.1%}</td><td class=n>{groups}</td></tr>"
        )
    for name, reason in report.skipped.items():
        rows.append(
            f"<tr><td>{html.escape(name)}</td><td colspan=4>not computed: "
            f"{html.escape(reason)}</td></tr>"
        )
    head = "<th>Finding<th>Severity<th class=n>Images<th class=n>Share<th class=n>Groups"
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _section(finding: Finding, report: Report, dataset: Dataset, border: Border | None) -> str:
    shown = finding.positions[:SHOWN]
    firsts = np.ones(len(shown), bool)
    if finding.groups is not None:
        firsts = np.r_[True, np.diff(finding.groups[: len(shown)]) != 0]
    tiles = _tiles(shown, finding.scores, firsts, dataset)
    limit = "" if finding.threshold is None else f" Threshold: {finding.threshold:.4g}."
    note = f" {finding.note[:1].upper()}{finding.note[1:]}." if finding.note else ""
    return (
        f"<h2 id='{finding.name}'>{html.escape(finding.title)}: {len(finding):,}</h2>"
        f"<p>{html.escape(finding.kind.meaning + note + limit)} Score: "
        f"{html.escape(finding.kind.score)}.</p><div class=tiles>{tiles}</div>"
        f"{'' if border is None else _both_sides(border, dataset)}"
    )


def _both_sides(border: Border, dataset: Dataset) -> str:
    """The examples just within and just beyond the threshold, where there are both."""
    if not len(border.within) or not len(border.beyond):
        return ""
    sides = (("Just within the threshold", border.within), ("Just beyond it", border.beyond))
    return "".join(f"<h3>{title}</h3>{_side(side, dataset)}" for title, side in sides)


def _side(side: Side, dataset: Dataset) -> str:
    width = side.examples.shape[1]
    firsts = np.arange(side.examples.size) % width == 0
    scores = np.repeat(side.scores, width)
    tiles = _tiles(side.examples.ravel(), scores, firsts, dataset)
    return f"<div class=tiles>{tiles}</div>"


def _tiles(
    positions: np.ndarray, scores: np.ndarray, firsts: Sequence[bool] | np.ndarray, dataset: Dataset
) -> str:
    made = []
    for position, score, first in zip(positions, scores, firsts):
        picture = (
            "" if dataset.reader is None else f"<img src='{_thumbnail(dataset, int(position))}'>"
        )
        name = html.escape(str(dataset.ids[int(position)])[-48:])
        css = " class=first" if first else ""
        made.append(f"<figure{css}>{picture}{name}<br>{score:.3g}</figure>")
    return "".join(made)


def _thumbnail(dataset: Dataset, i: int) -> str:
    image = dataset.image(i).convert("RGB")
    image.thumbnail((TILE, TILE))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")
