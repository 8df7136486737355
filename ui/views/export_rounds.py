"""The next round of labelling: how many images, where they go, and the curve over rounds.

Choosing and estimating are jobs; this module shows their results. An estimate made before the last
import stays, marked as outdated.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from coreset_engine.artifacts import label_log
from coreset_engine.core.registry import METHODS
from coreset_engine.evaluation.round_estimate import FEWEST, RoundEstimate
from coreset_engine.pipeline.next_round import PILOT, ROUND_METHOD
from coreset_engine.selection.budget import Budget
from coreset_engine.selection.request import SelectionRequest
from ui.components import charts
from ui.components.escape import markdown as escaped
from ui.components.escape import plain
from ui.components.forms import row_title
from ui.components.jobs import list_jobs, submit, submit_button
from ui.state import session
from ui.views.export import file_stem

TARGETS = {
    "label-studio": "Label Studio tasks",
    "csv": "CSV table",
    "fiftyone": "FiftyOne dataset",
}


def state_of(view: session.RunView) -> label_log.LabelState:
    """Labels and rounds of the dataset as they stand."""
    return label_log.read(view.dataset.fingerprint, session.home())


def show_status(view: session.RunView, state: label_log.LabelState) -> None:
    """Draw counts of the rounds so far; nothing before the first."""
    if not state.rounds and not state.labels:
        return
    asked = {key for ids in state.rounds for key in ids}
    estimate, outdated = newest_estimate(view, state)
    cells = st.columns(4)
    cells[0].metric("Images labelled", f"{len(state.labels):,}")
    cells[1].metric(
        "Waiting for labels",
        f"{len(asked - set(state.labels)):,}",
        help=(
            "Images of earlier rounds. They are not selected again; import their labels when they "
            "are done."
        ),
    )
    cells[2].metric("Rounds", f"{len(state.rounds):,}")
    if estimate is not None:
        last = estimate.points[-1]
        beside = "" if last.random is None else f"random: {last.random:.1%}"
        cells[3].metric(
            "Estimated accuracy" + (" (outdated)" if outdated else ""),
            f"{last.accuracy:.1%}",
            delta=beside or None,
            delta_color="off",
            delta_arrow="off",
            help=escaped(estimate.sentence),
        )


def show_next(view: session.RunView, state: label_log.LabelState) -> None:
    """Draw the choice of the next images, and the rounds so far."""
    free = len(view) - len(state.context())
    if free <= 0:
        st.success(f"All {len(view):,} images are labelled or already selected.")
        return
    first = not state.context()
    st.markdown(
        "The first round is a **pilot**: random images, each cluster in proportion to its size. "
        "Later rounds are judged on it, because a random sample favours no method."
        if first
        else "Labelled images and those of earlier rounds stay as context; only new ones are added."
    )
    proposed = len(state.rounds[-1]) if state.rounds else PILOT
    left, right = st.columns([1, 2], vertical_alignment="bottom")
    count = left.number_input(
        "New images", 1, free, min(proposed, free), key=f"next:count:{len(state.rounds)}"
    )
    method = ROUND_METHOD if first else _method(right)
    if not first:
        st.caption(
            f"Default: {escaped(row_title(METHODS, ROUND_METHOD))}, since of five methods for "
            "rounds it was the best in the mean on two of three datasets, and second on the third."
        )
    if st.button(f"Choose the next {count:,}", type="primary", key="next:choose"):
        _choose(view, state, int(count), method)


def _method(column: Any) -> str:
    names = list(METHODS)
    return column.selectbox(
        "By",
        names,
        index=names.index(ROUND_METHOD),
        format_func=lambda name: row_title(METHODS, name),
        key="next:method",
    )


def _choose(view: session.RunView, state: label_log.LabelState, count: int, method: str) -> None:
    request = SelectionRequest(
        method=method, budget=Budget(count=count), never=session.get("never") or ()
    )
    number = len(state.rounds)
    out = _free_folder(session.home() / "exports" / f"{file_stem(view)}-round-{number}")
    params = dict(count=count, request=request.as_json(), out=str(out))
    submit("next_round", view.spec, {**view.job_params, **params})


def _free_folder(folder: Path) -> Path:
    """The folder, or the first free one of folder-2, folder-3, ...

    A round that was undone has left its own.
    """
    number = 1
    free = folder
    while free.exists():
        number += 1
        free = folder.with_name(f"{folder.name}-{number}")
    return free


def show_rounds(view: session.RunView) -> None:
    """Draw the rounds so far, newest first, and the newest one's exports."""
    rounds = label_log.rounds(view.dataset.fingerprint, session.home())
    if not rounds:
        return
    labels = state_of(view).labels
    numbered = list(enumerate(rounds))[::-1]
    st.dataframe(
        {
            "Round": ["pilot" if number == 0 else str(number) for number, _ in numbered],
            "Images": [len(entry["ids"]) for _, entry in numbered],
            "Labelled": [sum(key in labels for key in entry["ids"]) for _, entry in numbered],
            "Chosen by": [
                row_title(METHODS, entry["method"]) if entry.get("method") in METHODS else ""
                for _, entry in numbered
            ],
            "Folder": [plain(entry.get("out", ""), 200) for _, entry in numbered],
        },
        hide_index=True,
        width="stretch",
    )
    _show_newest(view, *numbered[0])


def _show_newest(view: session.RunView, number: int, entry: dict[str, Any]) -> None:
    """What can be done with the newest round: download, export to a labelling tool, take back."""
    called = "the pilot" if number == 0 else f"round {number}"
    folder = Path(str(entry.get("out") or ""))
    listing = folder / "new.csv"
    left, middle, right = st.columns(3, vertical_alignment="bottom")
    if entry.get("out") and listing.is_file():
        left.download_button(
            f"Download {called} (CSV)",
            listing.read_bytes,
            f"{folder.name}-new.csv",
            "text/csv",
            key="round:download",
            on_click="ignore",
            width="stretch",
        )
        target = middle.selectbox(
            "Send them to", list(TARGETS), format_func=TARGETS.__getitem__, key="round:target"
        )
        if right.button(f"Export {called}", key="round:export", width="stretch"):
            _export(view, folder, target)
    if st.button(
        f"Discard {called}",
        key="round:undo",
        help="Its images can be selected again; imported labels are kept.",
    ):
        label_log.undo_round(view.dataset.fingerprint, session.home())
        session.put("news", [f"{called[0].upper()}{called[1:]} was discarded."])
        st.rerun()


def _export(view: session.RunView, folder: Path, target: str) -> None:
    path = (
        f"{folder.name}" if target == "fiftyone" else str(folder.parent / f"{folder.name}-{target}")
    )
    where = {"name" if target == "fiftyone" else "out": path}
    submit(
        "export", view.spec, {**view.job_params, "folder": str(folder), "target": target, **where}
    )


# -- what the labels are worth


def newest_estimate(
    view: session.RunView, state: label_log.LabelState
) -> tuple[RoundEstimate | None, bool]:
    """The newest finished estimate of this source, and whether labels have changed since."""
    for job in list_jobs():
        if job.kind == "round_estimate" and job.spec == view.spec and job.status == "done":
            try:
                estimate = RoundEstimate.from_json(job.result)
            except (KeyError, TypeError):
                continue
            return estimate, estimate.points[-1].labels != len(state.labels)
    return None, False


def show_curve(view: session.RunView, state: label_log.LabelState) -> None:
    """Draw the curve over rounds beside random's, and whether more labels pay."""
    st.subheader("Are these labels enough?", anchor=False)
    if len(state.labels) < FEWEST:
        st.markdown(
            f"With at least {FEWEST} labels, this shows the accuracy of a model trained on them "
            "beside one trained on random images, and what more labels would bring. Labels so far: "
            f"{len(state.labels):,}."
        )
        return
    estimate, outdated = newest_estimate(view, state)
    more, least = st.columns(2)
    next_count = more.number_input("Further labels", 10, 100_000, 200, key="curve:next")
    points = least.number_input(
        "Stop when they bring less than (points)", 0.1, 20.0, 1.0, 0.1, key="curve:least"
    )
    if (
        estimate is None
        or outdated
        or (next_count, points / 100)
        != (
            estimate.next_count,
            estimate.threshold,
        )
    ):
        submit_button(
            "Estimate accuracy",
            "round_estimate",
            view,
            next_count=int(next_count),
            threshold=points / 100,
        )
    if estimate is None:
        return
    if outdated:
        st.caption("Outdated: labels were added or removed since this estimate.")
    draw = {"stop": st.success, "undecided": st.info, "go on": st.info}[estimate.advice]
    draw(escaped(estimate.sentence))
    figure, data = curve(estimate)
    charts.show(figure, "rounds", data)


def curve(estimate: RoundEstimate) -> tuple[Any, charts.Columns]:
    """Accuracy over the number of labels, with 90 % intervals, and random's where estimated."""
    points = estimate.points
    x = np.array([point.labels for point in points])
    series = {"your labels": np.array([point.accuracy for point in points])}
    edges: dict[str, list[tuple[float | None, float | None]]] = {
        "your labels": [(point.low, point.high) for point in points]
    }
    if all(point.random is not None for point in points):
        series["as many random labels (estimated)"] = np.array([p.random for p in points], float)
        edges["as many random labels (estimated)"] = [(p.random_low, p.random_high) for p in points]
    figure, data = charts.lines(
        x,
        series,
        title="Accuracy after each round",
        x_axis="labels",
        y_axis="estimated accuracy",
        dots=True,
    )
    columns = dict(data)
    for trace, (name, y) in zip(figure.data, series.items(), strict=True):
        low, high = np.array(edges[name], float).T
        trace.error_y = dict(
            type="data", array=high - y, arrayminus=y - low, thickness=1.2, width=4
        )
        columns[f"{name}: low"] = low.tolist()
        columns[f"{name}: high"] = high.tolist()
    figure.update_yaxes(tickformat=".0%")
    return figure, columns


# -- label errors


def show_label_errors(view: session.RunView) -> None:
    """Draw the way to probable mistakes among the labels."""
    labelled = view.dataset.labels is not None or state_of(view).labels
    if not labelled:
        return
    st.subheader("Are the labels right?", anchor=False)
    done = next(
        (
            job
            for job in list_jobs()
            if job.kind == "label_errors" and job.spec == view.spec and job.status == "done"
        ),
        None,
    )
    if done is not None:
        st.markdown(
            f"{done.result.get('suspected', 0):,} of {done.result.get('count', 0):,} labels are "
            "probably wrong."
        )
    left, right = st.columns([1, 2], vertical_alignment="center")
    with left:
        submit_button(
            "Find label errors" if done is None else "Look again",
            "label_errors",
            view,
            key="errors:find",
        )
    with right:
        st.page_link("pages/labels.py", label="Review them on the Labels page")
