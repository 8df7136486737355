"""The Dataset page: facts about the source, settings of the run, stages, skipped files."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
import streamlit as st

from coreset_engine.core.registry import CLUSTERERS, ENCODERS, PROXIES, Row
from coreset_engine.pipeline.config import SEARCHES, config_class, setting_groups
from ui.components import charts
from ui.components.escape import markdown as escaped
from ui.components.escape import plain
from ui.components.forms import config_form, row_title
from ui.components.frame import STAGE_NAMES
from ui.components.jobs import cluster, submit_button
from ui.components.thumbnails import gallery
from ui.state import session

DEVICES = ("auto", "cpu", "cuda")


def facts(view: session.RunView) -> None:
    """Draw how many images, skipped files, classes and labels there are."""
    dataset = view.dataset
    known = dataset.labels is not None
    cells = st.columns(4)
    cells[0].metric("Usable images", f"{len(dataset):,}")
    cells[1].metric(
        "Skipped",
        f"{dataset.n_rejected:,}",
        help="Files that could not be used, each with its reason below.",
    )
    cells[2].metric("Classes", len(dataset.classes) or "none")
    cells[3].metric("Labelled", f"{int((dataset.labels >= 0).sum()):,}" if known else "0")


def understood(view: session.RunView, count: int = 8) -> None:
    """What was assumed and lost when the source was opened, and its first rows as understood."""
    dataset = view.dataset
    for note in dataset.notes:
        shown = f" For example: {', '.join(note.examples)}." if note.examples else ""
        st.caption(escaped(f"{note.text[:1].upper()}{note.text[1:]}.{shown}", 700))
    with st.expander("First rows as they were understood"):
        rows = np.unique(np.linspace(0, len(dataset) - 1, min(count, len(dataset))).astype(int))
        table: dict[str, list[str]] = {"Id": [plain(str(dataset.ids[i]), 120) for i in rows]}
        if dataset.labels is not None:
            names = (*dataset.classes, "(none)")
            table["Label"] = [plain(names[dataset.labels[i]], 60) for i in rows]
        for name in list(dataset.columns)[:6]:
            table[plain(name, 40)] = [plain(str(dataset.columns[name][i]), 60) for i in rows]
        st.dataframe(table, hide_index=True, width="stretch")
        st.caption("Open the source again below “Reading options” to read it in another way.")


def settings(view: session.RunView) -> None:
    """Encoder, clusters, seed: together with the source they name the run every page shows."""
    left, middle = st.columns([3, 2])
    right, last = st.columns([2, 3])
    encoders = list(ENCODERS)
    if view.encoder not in encoders:
        encoders.append(view.encoder)
    left.selectbox(
        "Encoder",
        encoders,
        key=session.bind("encoder"),
        accept_new_options=True,
        help="Also timm:NAME, open_clip:ARCH/TAG, or names joined by +.",
        disabled=view.dataset.vectors is not None,
    )
    middle.number_input(
        "Clusters (0 = auto)",
        0,
        len(view),
        key=session.bind("n_clusters"),
        help="0 = automatic: the number of classes when the source has labels, else an estimate from "
        "the data.",
    )
    right.number_input("Seed", 0, 2**31 - 1, key=session.bind("seed"))
    last.number_input(
        "Samples T (0 = auto)",
        0,
        10_000_000,
        step=100_000,
        key=session.bind("n_samples"),
        help="Samples for the coverage scores; 0 = automatic. See Number of samples on the Coverage "
        "page.",
    )
    one, other = st.columns(2)
    one.selectbox(
        "Pseudo-labels",
        list(CLUSTERERS),
        key=session.bind("clusterer"),
        help=_summaries(CLUSTERERS),
        format_func=lambda name: row_title(CLUSTERERS, name),
    )
    other.selectbox(
        "Training dynamics",
        [
            name
            for name, row in PROXIES.items()
            if view.dataset.reader is not None or "images" not in row.needs
        ],
        key=session.bind("proxy"),
        help=_summaries(PROXIES),
        format_func=lambda name: row_title(PROXIES, name),
    )
    advanced(view)
    if find_spec("ray"):
        st.text_input(
            "Ray cluster (optional)",
            key=session.bind("cluster", cluster()),
            placeholder="this machine",
            help="Address of a running cluster, or local to start one here. Jobs then run on all its "
            "nodes, with the same results.",
        )
    summary = ENCODERS[view.encoder].summary if view.encoder in ENCODERS else "custom model"
    named = len(view.dataset.classes)
    clusters = (
        f"{view.n_clusters or named} clusters"
        if view.n_clusters or named
        else "number of clusters estimated from the data"
    )
    st.caption(f"{escaped(summary)}; {clusters}.")


def advanced(view: session.RunView) -> None:
    """Settings of the parts of a run, drawn from their config dataclasses."""
    opened = st.expander("Advanced", key="advanced", on_change="rerun")
    if not opened.open:  # the dataclasses import torch, which a closed form does not need
        return
    with opened:
        left, right = st.columns(2)
        left.selectbox("Neighbour search", SEARCHES, key=session.bind("search"))
        right.selectbox("Device", DEVICES, key=session.bind("device", "auto"))
        for group, field in setting_groups(view.config).items():
            _group_form(group, field.metadata["help"], config_class(view.config, field), field)


def _group_form(group: str, title: str, kind: type, field: dataclasses.Field) -> None:
    """The settings of one part; taken over when its button is pressed."""
    kept = dict((session.get("advanced") or {}).get(group, {}))
    st.markdown(f"**{escaped(group)}**: {escaped(title)}")
    presets = getattr(kind, "PRESETS", {})
    preset = ""
    if presets:
        names = list(presets)
        at = names.index(kept["preset"]) if kept.get("preset") in names else 0
        preset = st.selectbox("Preset", names, index=at, key=f"advanced:{group}:preset")
    start = {**presets.get(preset, {}), **{k: v for k, v in kept.items() if k != "preset"}}
    if preset and preset != kept.get("preset", next(iter(presets))):
        start = presets[preset]
    with st.form(f"advanced:{group}:form", border=False):
        with st.container(height=320):
            values = config_form(
                kind, key=f"advanced:{group}:{preset}", skip=field.metadata["skip"], start=start
            )
        if st.form_submit_button("Apply"):
            _keep_group(group, kind, preset, values)


def _keep_group(group: str, kind: type, preset: str, values: Mapping[str, Any]) -> None:
    """Remember what differs from the preset, or from the defaults where there is none."""
    presets = getattr(kind, "PRESETS", {})
    base = {one.name: one.default for one in dataclasses.fields(kind)} | presets.get(preset, {})
    changed = {name: value for name, value in values.items() if value != base[name]}
    if preset and preset != next(iter(presets)):
        changed["preset"] = preset
    session.put("advanced", {**(session.get("advanced") or {}), group: changed})
    st.rerun()


def _summaries(table: Mapping[str, Row]) -> str:
    return "\n".join(f"- **{row.title}**: {row.summary}" for row in table.values())


def stages(view: session.RunView) -> None:
    """Draw the stages with their sizes, and the button that computes those not ready."""
    rows = [
        (STAGE_NAMES[stage].capitalize(), view.ready(stage), view.size(stage))
        for stage in session.STAGES
    ]
    missing = sum(not ready for _, ready, _ in rows)
    st.table(
        {
            "Stage": [name for name, _, _ in rows],
            "State": [
                f"Ready, {_bytes(size)}" if ready else "Not computed" for _, ready, size in rows
            ],
        },
        hide_index=True,
        border="horizontal",
    )
    if missing:
        submit_button("Compute", "prepare", view, primary=True)
        st.caption(
            "Runs in the background, one stage after another. Stages that are ready are not "
            "repeated."
        )
    else:
        st.success("All stages are ready for these settings.")
        st.page_link("pages/explore.py", label="Open the map →")


def _bytes(size: int) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size = size / 1000
    return f"{size:.3g} GB"


def rejected(view: session.RunView) -> None:
    """List the skipped files with their reasons; at most 1,000 rows are sent."""
    found = view.dataset.rejected
    if not found:
        return
    with st.expander(
        f"{view.dataset.n_rejected:,} skipped file{'s' if view.dataset.n_rejected > 1 else ''}",
        expanded=view.dataset.n_rejected > len(view) // 10,
    ):
        st.dataframe(
            {
                "File": [plain(row.name, 200) for row in found[:1000]],
                "Reason": [plain(row.reason, 300) for row in found[:1000]],
            },
            hide_index=True,
            width="stretch",
        )
        st.download_button(
            "Download as CSV",
            lambda: charts.as_csv(
                {"name": [row.name for row in found], "reason": [row.reason for row in found]}
            ),
            "rejected.csv",
            "text/csv",
            on_click="ignore",
        )


def classes(view: session.RunView) -> None:
    """Images per class, when the source knows labels; the largest 60 classes."""
    labels = view.dataset.labels
    names = view.dataset.classes
    if labels is None or not names:
        return
    counts = np.bincount(labels[labels >= 0], minlength=len(names))
    order = np.argsort(-counts, kind="stable")[:60] if len(names) > 60 else np.arange(len(names))
    figure, data = charts.bars(
        [names[i] for i in order], {"images": counts[order]}, title="Images per class"
    )
    charts.show(figure, "classes", data, height=280)


def sample(view: session.RunView, count: int = 120) -> None:
    """Draw a random sample of images, the same until others are asked for."""
    turn = session.get("sample_turn", 0)
    chosen = np.random.default_rng([view.seed, turn]).choice(
        len(view), min(count, len(view)), replace=False
    )
    chosen.sort()
    labels = view.dataset.labels
    names = view.dataset.classes
    captions = [names[labels[i]] if labels is not None and labels[i] >= 0 else "" for i in chosen]
    gallery(
        view.dataset,
        chosen,
        captions,
        key="sample",
        facts=[plain(view.dataset.ids[i]) for i in chosen],
    )
    if st.button("Show others", key="sample:again"):
        session.put("sample_turn", turn + 1)
        st.rerun()


def title(view: session.RunView) -> str:
    return escaped(session.short_name(view.spec), 80)
