"""The Clean page: the list of findings, and one of them with its threshold and its images.

Findings are arithmetic on finished artefacts; a job computes these first. What is excluded is
decided in `clean_actions`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import streamlit as st

from coreset_engine.core.counted import counted
from coreset_engine.core.device import cpu_count
from coreset_engine.core.types import Dataset, Selection
from coreset_engine.findings.border import WITH_THRESHOLD, Border, border
from coreset_engine.findings.config import CleanConfig
from coreset_engine.findings.examine import Material, examine
from coreset_engine.findings.report import FINDINGS, Finding, Report
from ui.components.charts import as_csv
from ui.components.escape import markdown as escaped
from ui.components.frame import stage_names
from ui.components.jobs import format_duration, submit_button
from ui.components.palette import category
from ui.components.thumbnails import MAX_TILES, Tiles, gallery, short_ids
from ui.selection import controls
from ui.state import session

SEVERITY_MARKS = {
    "high": ":material/error:",
    "medium": ":material/warning:",
    "low": ":material/info:",
}
EXCLUDED = "#d55e00"


@dataclass(frozen=True)
class Limit:
    """A slider: the field of `CleanConfig` it sets, its bounds, step and format."""

    field: str
    low: float
    high: float
    step: float
    shown: str = "%.2f"


LIMITS = {
    "near_duplicates": Limit("near_duplicates", 0.0, 0.1, 0.0005, "%.4f"),
    "rotated": Limit("rotated", 0.0, 0.5, 0.01),
    "outliers": Limit("outliers", 1.0, 12.0, 0.05),
    "blank": Limit("blank", 0.0, 0.3, 0.005, "%.3f"),
    "dark": Limit("dark", 0.0, 1.0, 0.01),
    "bright": Limit("bright", 0.0, 1.0, 0.01),
    "low_contrast": Limit("low_contrast", 0.0, 1.0, 0.01),
    "low_information": Limit("low_information", 0.0, 9.0, 0.1, "%.1f"),
    "blurred": Limit("blurred", 0.0, 1.0, 0.01),
    "odd_size": Limit("odd_size", 0.0, 10.0, 0.5, "%.1f"),
    "odd_aspect": Limit("odd_aspect", 0.0, 1.0, 0.01),
}


# -- what must be computed -------------------------------------------------------------------------


def is_ready(view: session.RunView) -> bool:
    """Whether the findings are arithmetic only."""
    from coreset_engine.pipeline.clean import ready

    return bool(ready(view.full_run))


def offer_to_compute(view: session.RunView) -> None:
    """Show what is missing and the time it takes, with one button."""
    from coreset_engine.pipeline import image_statistics_stage

    missing = []
    has_images = view.dataset.reader is not None
    measured = not has_images or image_statistics_stage.ready(view.full_run)
    if not measured:
        seconds = _seconds(view.dataset.fingerprint, view.dataset) / cpu_count()
        missing.append(f"image statistics (about {format_duration(max(1.0, seconds))})")
    stages = view.missing(("embeddings", "neighbours"))
    if stages:
        missing.append(f"{stage_names(stages)} (used by all pages)")
    name = escaped(session.short_name(view.spec))
    with st.container(border=True):
        st.markdown(
            f"The findings about **{name}** need its {' and its '.join(missing)}. They are "
            "computed "
            "in the background; you can leave this page."
        )
        submit_button("Compute", "clean", view, primary=True)


@st.cache_data(max_entries=16, show_spinner=False)
def _seconds(fingerprint: str, _dataset: Dataset) -> float:
    """Seconds of one core that all images cost, from a few of them."""
    from coreset_engine.findings.image_statistics import seconds_per_image

    return seconds_per_image(_dataset, 8) * len(_dataset)


# -- the report ------------------------------------------------------------------------------------


def report_of(view: session.RunView, **thresholds: float) -> Report:
    """The findings with the session's thresholds; `thresholds` win."""
    return _report(_mark(view), _thresholds(**thresholds), view)


def _thresholds(**others: float) -> CleanConfig:
    """The session's thresholds; `others` win."""
    return CleanConfig(**{**(session.get("clean_thresholds") or {}), **others})


def _mark(view: session.RunView) -> str:
    labels = view.key_of("pseudo_labels") if view.ready("pseudo_labels") else ""
    return f"{view.dataset.fingerprint} {view.key_of('neighbours')} {labels}"


@st.cache_resource(max_entries=4, show_spinner="Reading the images' statistics ...")
def _material(cache_key: str, _view: session.RunView) -> Material:
    from coreset_engine.pipeline.clean import material

    return material(_view.full_run)


@st.cache_resource(
    max_entries=32, show_spinner="Comparing images ...", hash_funcs={CleanConfig: repr}
)
def _report(cache_key: str, config: CleanConfig, _view: session.RunView) -> Report:
    return examine(_material(cache_key, _view), config)


def material_of(view: session.RunView) -> Material:
    """What the report was computed from."""
    return _material(_mark(view), view)


def summary(view: session.RunView, report: Report) -> None:
    """One line of numbers, and the warnings."""
    flagged = np.zeros(len(report), bool)
    for one in report.findings.values():
        if one.kind.severity != "low":
            flagged[one.positions] = True
    excluded = len(view.full_run.excluded_ids)
    parts = [
        f"**{len(report):,}** images",
        f"**{int(flagged.sum()):,}** in a finding of high or medium severity",
    ]
    parts.append(f"**{excluded:,}** excluded from every selection")
    st.markdown(" · ".join(parts))


def choose_finding(view: session.RunView, report: Report) -> str | None:
    """The finding chosen in the list; None where nothing was found."""
    occurring = [name for name, one in report.findings.items() if len(one)]
    if not occurring:
        st.success("Nothing was found: no copies, outliers or odd images.")
        return None
    occurring.sort(key=lambda name: list(SEVERITY_MARKS).index(FINDINGS[name].severity))
    key = session.bind("finding", occurring[0])
    if st.session_state.get(key) not in occurring:
        session.rebind("finding", occurring[0])
    selection = controls.current_or_none(view) if view.full is None else None
    chosen = st.radio(
        "Findings",
        occurring,
        key=key,
        format_func=lambda name: (
            f"{SEVERITY_MARKS[FINDINGS[name].severity]} {_counted(report, name)}"
        ),
        captions=[_cost(report, name, selection) for name in occurring],
    )
    rest = [FINDINGS[name].title for name, one in report.findings.items() if not len(one)]
    if rest:
        st.caption(f"Nothing found: {', '.join(rest).lower()}.")
    for name, reason in report.skipped.items():
        st.caption(f"Not computed: {FINDINGS[name].title.lower()}, because {escaped(reason)}.")
    return chosen


def _counted(report: Report, name: str) -> str:
    finding = report[name]
    return f"{finding.title}: {len(finding):,} ({len(finding) / len(report):.1%})"


def _cost(report: Report, name: str, selection: Selection | None) -> str:
    """What the finding costs in the session's selection, else how many groups it has."""
    if selection is not None and len(selection):
        cost = report.cost(name, selection.indices)
        if cost.wasted:
            return f"{cost.wasted:,} of {cost.chosen:,} selected images"
        return f"none of {cost.chosen:,} selected images"
    groups = report[name].n_groups
    return counted(groups, "group") if groups else ""


# -- one finding -----------------------------------------------------------------------------------


def threshold_slider(view: session.RunView, report: Report, name: str) -> Report:
    """The slider of a finding that has one; the report at its value."""
    limit = LIMITS.get(name)
    if limit is None:
        return report
    start = report[name].threshold or 0.0
    start = min(max(float(start), limit.low), limit.high)
    label = f"Threshold: {FINDINGS[name].score}"
    value = st.slider(
        label,
        limit.low,
        limit.high,
        start,
        limit.step,
        format=limit.shown,
        key=f"clean:threshold:{name}",
    )
    if abs(value - start) < limit.step / 2:
        return report
    kept = {**(session.get("clean_thresholds") or {}), limit.field: value}
    session.put("clean_thresholds", kept)
    st.rerun()


def about(view: session.RunView, report: Report, name: str) -> None:
    """What the finding means, what it costs, and what to beware of."""
    finding = report[name]
    note = f" {finding.note[:1].upper()}{finding.note[1:]}." if finding.note else ""
    st.subheader(_counted(report, name), anchor=False)
    st.caption(escaped(f"{finding.kind.meaning}{note}"))
    selection = controls.current_or_none(view) if view.full is None else None
    if selection is not None:
        cost = report.cost(name, selection.indices)
        if cost.wasted:
            st.info(f"In the current selection: {cost.sentence()}.")
    conflicts = _conflicts(report, finding)
    if conflicts and name != "label_conflicts":
        st.warning(
            f"In {conflicts:,} of these groups the images have different labels. Review them "
            "before excluding: the label of the remaining image may be wrong."
        )


def _conflicts(report: Report, finding: Finding) -> int:
    """How many groups of a finding hold images with conflicting labels."""
    conflicts = report.findings.get("label_conflicts")
    if conflicts is None or finding.groups is None or not len(conflicts):
        return 0
    inside = np.isin(finding.positions, conflicts.positions)
    return len(np.unique(finding.groups[inside]))


def pictures(view: session.RunView, report: Report, name: str) -> None:
    """The finding's images, and examples on both sides of the threshold."""
    finding = report[name]
    excluded = set(view.full_run.excluded_ids)
    positions = finding.positions[:MAX_TILES]
    groups = None if finding.groups is None else finding.groups[: len(positions)]
    marks = []
    for at, position in enumerate(positions):
        colour = "" if groups is None else category(int(groups[at]))
        marks.append(EXCLUDED if str(report.ids[position]) in excluded else colour)
    words = "one colour per group, " if groups is not None else "worst first, "
    st.caption(
        f"{counted(len(finding), 'image')}, {words}orange bar: excluded. "
        f"Number: {escaped(finding.kind.score)}."
    )
    gallery(
        view.dataset,
        positions,
        Tiles(
            [f"{score:.3g}" for score in finding.scores[:MAX_TILES]],
            facts=[_fact(view, int(i)) for i in positions],
            marks=marks,
        ),
        key=f"clean:{name}",
        height=420,
    )
    if len(finding) > MAX_TILES:
        st.caption(f"The first {MAX_TILES} are shown.")
    if name in WITH_THRESHOLD:
        _border(view, report, name)


def _fact(view: session.RunView, i: int) -> str:
    looked = material_of(view).statistics
    labels = view.dataset.labels
    parts = []
    if looked is not None:
        parts.append(f"{looked.width[i]} x {looked.height[i]} pixels")
    if labels is not None and labels[i] >= 0:
        parts.append(str(view.dataset.classes[labels[i]]))
    return " · ".join(parts)


def _border(view: session.RunView, report: Report, name: str) -> None:
    """Examples just within the threshold and just beyond it; pairs share a colour."""
    made = _border_of(_mark(view), _thresholds(), name, view, report)
    if made is None:
        return
    for title, side in (
        ("Just within the threshold", made.within),
        ("Just beyond it", made.beyond),
    ):
        if not len(side):
            continue
        st.markdown(f"**{title}**")
        width = side.examples.shape[1]
        flat = side.examples.ravel()
        names = short_ids(view.dataset, flat)
        scores = np.repeat(side.scores, width)
        gallery(
            view.dataset,
            flat,
            Tiles(
                [f"{score:.3g}" for score in scores],
                facts=names,
                marks=[category(at // width) if width > 1 else "" for at in range(len(flat))],
            ),
            key=f"clean:border:{title[5:11]}",
            height=170,
        )


@st.cache_resource(
    max_entries=32,
    show_spinner="Looking for examples at the threshold ...",
    hash_funcs={CleanConfig: repr},
)
def _border_of(
    cache_key: str, config: CleanConfig, name: str, _view: session.RunView, _report: Report
) -> Border | None:
    return border(_material(cache_key, _view), _report[name], config)


def _borders(view: session.RunView, report: Report) -> dict[str, Border]:
    from coreset_engine.pipeline.clean import borders

    return borders(view.full_run, report, **(session.get("clean_thresholds") or {}))


def downloads(view: session.RunView, report: Report) -> None:
    """The report as JSON, HTML and a table."""
    from coreset_engine.findings.html_report import as_html

    rows = [one for one in report.to_record(1)["findings"]]
    with st.expander("All findings as a table, and the report to download"):
        table = {
            "Finding": [row["title"] for row in rows],
            "Severity": [row["severity"] for row in rows],
            "Images": [row["count"] for row in rows],
            "Share": [f"{row['share']:.1%}" for row in rows],
            "Groups": [row["groups"] for row in rows],
            "Beyond one per group": [row["surplus"] for row in rows],
            "Threshold": [
                "" if row["threshold"] is None else f"{row['threshold']:.4g}" for row in rows
            ],
        }
        st.dataframe(table, hide_index=True, width="stretch")
        with st.container(horizontal=True):
            st.download_button(
                "Report (JSON)",
                lambda: json.dumps(report.to_record(0), indent=1),
                "findings.json",
                "application/json",
                on_click="ignore",
            )
            st.download_button(
                "Report (HTML)",
                lambda: as_html(report, view.dataset, borders=_borders(view, report)),
                "findings.html",
                "text/html",
                on_click="ignore",
            )
            st.download_button(
                "Table (CSV)", lambda: as_csv(table), "findings.csv", "text/csv", on_click="ignore"
            )
