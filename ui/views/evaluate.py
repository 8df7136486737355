"""Evaluations on the Compare page: accuracy at each budget, and differences to random.

Training is a job; the page reads the rows it has written (one per method, rate and seed), so a
curve grows while the job runs. Random is always included, because a curve alone proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from coreset_engine.core.registry import BASELINE, METHODS
from ui.components import charts
from ui.components.escape import markdown as escaped
from ui.components.forms import config_form, row_title
from ui.components.jobs import format_duration, list_jobs, submit
from ui.selection import session_selection
from ui.state import session
from ui.views.forecast_truth import show_truth

if TYPE_CHECKING:
    from coreset_engine.jobs.manager import Job

RATES = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
FIRST = ("auto", "elfs", "blindcs")
MODELS = {
    "linear": "Linear model on the embeddings: seconds",
    "knn": "Vote of the 5 nearest embeddings: seconds",
    "mlp": "MLP on the embeddings: minutes",
    "finetune": "Last stage of the encoder, 200 steps: under a minute per training",
    "convnet": "Small CNN on pixels: minutes per training",
    "resnet18": "ResNet-18 on pixels: needs a GPU",
    "resnet34": "ResNet-34 on pixels: needs a GPU",
    "resnet50": "ResNet-50 on pixels: needs a GPU",
}
OPTIONS = (
    "loss_weights",
    "balance",
    "label_noise",
    "select_labels",
    "labels",
    "steps",
    "image_size",
)


def show_form(view: session.RunView) -> None:
    """Draw the form that submits one evaluate job; the job itself computes missing stages."""
    from coreset_engine.evaluation.subset_training import EvaluationConfig

    if view.dataset.labels is None:
        st.info(
            "This source has no true labels, so models are trained and tested on pseudo-labels. "
            "Accuracy then says how well a coreset teaches the clusters, not the true classes."
        )
    with st.form("evaluate:form"):
        methods, rates, seeds = _design_controls()
        models = _available_models(view)
        model = st.selectbox("Model", models, format_func=MODELS.__getitem__, key="evaluate:model")
        with st.expander("Options"):
            options = config_form(EvaluationConfig, key="evaluate:options", only=OPTIONS)
        pressed = st.form_submit_button("Train and measure", type="primary")
        count = (len(methods) + 1) * len(rates) * seeds
        st.caption(
            f"{count} trainings, and {seeds} on all images, in the background. {held_out(view)}"
        )
    if not pressed:
        return
    if not rates:
        st.error("Choose at least one size, for example 10%.")
        return
    params = {
        "methods": [BASELINE, *methods],
        "prune_rates": sorted(rates),
        "seeds": seeds,
        "model": model,
        "method_params": {name: session_selection.method_params(name) for name in methods},
        **changed(options),
    }
    submit("evaluate", view.spec, {**view.job_params, **params})


def _available_models(view: session.RunView) -> list[str]:
    """Models that this source can train: those on pixels need images."""
    from coreset_engine.evaluation.subset_training import ON_IMAGES

    return [name for name in MODELS if view.dataset.reader is not None or name not in ON_IMAGES]


def _design_controls() -> tuple[list[str], list[float], int]:
    """Methods, pruning rates, and seeds."""
    methods = st.multiselect(
        "Methods to compare with random",
        [name for name in METHODS if name != BASELINE],
        default=[name for name in FIRST if name in METHODS],
        key="evaluate:methods",
        format_func=lambda name: row_title(METHODS, name),
    )
    left, right = st.columns([3, 1])
    rates = left.multiselect(
        "Percent of the images to keep",
        RATES,
        default=[0.5, 0.8, 0.9],
        format_func=_kept_percent,
        key="evaluate:rates",
    )
    seeds = right.number_input(
        "Seeds",
        2,
        20,
        5,
        key="evaluate:seeds",
        help="Each method and size is trained once per seed, so differences are paired. Five or "
        "more allow a conclusion.",
    )
    return methods, rates, int(seeds)


def _kept_percent(rate: float) -> str:
    """0.95 -> "5%"."""
    return f"{100 * (1 - rate):.4g}%"


def held_out(view: session.RunView) -> str:
    """Where the test images come from, in one sentence."""
    if view.dataset.test_spec and view.dataset.labels is not None:
        return "Tested on the source's own test images."
    groups = "class" if view.dataset.labels is not None else "cluster (there are no labels)"
    return (
        f"A fifth of the images, stratified by {groups}, is held out for the test before anything "
        "is selected."
    )


def changed(options: dict[str, Any]) -> dict[str, Any]:
    """Options that differ from their defaults, so that equal jobs have equal parameters."""
    from coreset_engine.evaluation.subset_training import EvaluationConfig

    usual = EvaluationConfig()
    return {name: value for name, value in options.items() if value != getattr(usual, name)}


def show_results(view: session.RunView) -> None:
    """Draw the newest evaluation of this run: curve, table, and where random did as well."""
    evaluations = [
        job for job in list_jobs() if job.kind == "evaluate" and same_run(job, view) and job.result
    ]
    if not evaluations:
        st.info(
            "Nothing measured yet. The curve of accuracies appears here and grows while the job "
            "runs."
        )
        return
    job = evaluations[0]
    if len(evaluations) > 1:
        job = st.selectbox("Measurement", evaluations, key="evaluate:which", format_func=title)
    rows = job.result.get("rows", [])
    if not any(measured(row) for row in rows):
        st.info("The first training is still running.")
        return
    if rows[0].get("labels") == "pseudo":
        st.warning("Accuracy here is agreement with pseudo-labels: there are no true labels.")
    _show_measurement(job, rows)
    show_truth(view, rows)


def _show_measurement(job: Job, rows: list[dict[str, Any]]) -> None:
    from coreset_engine.evaluation.evaluation_split import (
        straddling_sentence,
        unmatched_sentence,
    )
    from coreset_engine.evaluation.experiment import coverage_sentences

    for text in (unmatched_sentence(job.result), straddling_sentence(job.result)):
        if text:
            st.warning(escaped(text))
    rates, means, stds, _ = summary(rows)
    titled_means = {row_title(METHODS, name): values for name, values in means.items()}
    titled_stds = {row_title(METHODS, name): values for name, values in stds.items()}
    figure, data = charts.budget_curve(
        rates,
        titled_means,
        titled_stds,
        band=row_title(METHODS, BASELINE),
        full=job.result.get("full_accuracy"),
    )
    charts.show(figure, "budget-curve", data, height=420)
    st.markdown("\n".join(f"- {line}" for line in verdicts(rows)))
    st.dataframe(table(rows), hide_index=True, width="stretch")
    st.caption(
        "± is the standard deviation over seeds; it is 0 where neither method nor model is random. "
        "A difference counts when the 95% interval of the mean paired difference excludes 0."
    )
    for text in coverage_sentences(rows):
        st.caption(escaped(text, 240))
    show_downloads(job.result | {"rows": rows})
    for reason in dict.fromkeys(row["error"] for row in rows if row.get("error")):
        st.caption(escaped(reason, 240))


def title(job: Job) -> str:
    """One measurement among several, for the menu."""
    params = job.params or {}
    methods = ", ".join(row_title(METHODS, name) for name in params.get("methods", []))
    parts = [params.get("model", ""), methods, job.status]
    return " · ".join(part for part in parts if part) + f" ({job.id[:15]})"


def show_downloads(result: dict[str, Any]) -> None:
    """Draw the downloads: every training as CSV, the curve as SVG."""
    from coreset_engine.cli.commands.evaluate import as_csv, picture

    first = result["rows"][0]
    defaults = {
        "model": first.get("model", "the model"),
        "labels": first.get("labels", "true"),
        "full_accuracy": None,
    }
    row = st.container(horizontal=True)
    row.download_button(
        "All trainings (CSV)",
        lambda: as_csv(result["rows"]),
        "evaluation.csv",
        "text/csv",
        key="evaluate:csv",
        on_click="ignore",
    )
    row.download_button(
        "Curve (SVG)",
        lambda: picture(defaults | result),
        "evaluation.svg",
        "image/svg+xml",
        key="evaluate:svg",
        on_click="ignore",
    )


def same_run(job: Job, view: session.RunView) -> bool:
    """Whether the job measured this source with this encoder."""
    params = job.params or {}
    return job.spec == view.spec and session.job_encoder(params) == view.encoder


def measured(row: dict[str, Any]) -> bool:
    """Whether the row has an accuracy; otherwise it has the reason why not."""
    return row.get("accuracy") is not None


def summary(
    rows: Sequence[dict[str, Any]],
) -> tuple[list[float], dict[str, list[float]], dict[str, list[float]], int]:
    """Mean and spread over seeds.

    Parameters
    ----------
    rows : sequence of dict
        One training each, with method, prune_rate, seed, accuracy.

    Returns
    -------
    rates : list of float
        Shares removed, sorted.
    means, stds : dict of str to list of float
        Method -> accuracy at each rate, and its sample standard deviation; random first.
    seeds : int
        The largest number of seeds of any cell.
    """
    rows = [row for row in rows if measured(row)]
    rates = sorted({row["prune_rate"] for row in rows})
    methods = sorted({row["method"] for row in rows}, key=lambda name: (name != BASELINE, name))
    means = {}
    stds = {}
    seeds = 0
    for method in methods:
        cells = [_accuracies(rows, method, rate) for rate in rates]
        means[method] = [float(np.mean(cell)) if cell else float("nan") for cell in cells]
        stds[method] = [float(np.std(cell, ddof=1)) if len(cell) > 1 else 0.0 for cell in cells]
        seeds = max(seeds, *(len(cell) for cell in cells))
    return rates, means, stds, seeds


def _accuracies(rows: Sequence[dict[str, Any]], method: str, rate: float) -> list[float]:
    return [
        row["accuracy"] for row in rows if row["method"] == method and row["prune_rate"] == rate
    ]


def table(rows: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """One line per rate and method: accuracy, paired difference to random, worst class, time."""
    rows = [row for row in rows if measured(row)]
    random = {
        (row["prune_rate"], row["seed"]): row["accuracy"]
        for row in rows
        if row["method"] == BASELINE
    }
    cells = sorted(
        {(row["prune_rate"], row["method"]) for row in rows},
        key=lambda cell: (cell[0], cell[1] != BASELINE, cell[1]),
    )
    return [
        _table_line([row for row in rows if (row["prune_rate"], row["method"]) == cell], random)
        for cell in cells
    ]


def _table_line(
    rows: Sequence[dict[str, Any]], random: dict[tuple[float, int], float]
) -> dict[str, str]:
    """One line of `table`. rows: of one rate and method. random: (rate, seed) -> accuracy."""
    first = rows[0]
    values = [row["accuracy"] for row in rows]
    differences = [
        row["accuracy"] - random[row["prune_rate"], row["seed"]]
        for row in rows
        if (row["prune_rate"], row["seed"]) in random
    ]
    deviation = f" ± {100 * np.std(values, ddof=1):.2f}" if len(values) > 1 else ""
    shows_difference = differences and first["method"] != BASELINE
    return {
        "Selected": f"{first['k']:,}" if "k" in first else "",
        "Percent kept": _kept_percent(first["prune_rate"]),
        "Method": row_title(METHODS, first["method"]),
        "Accuracy (%)": f"{100 * np.mean(values):.2f}{deviation}",
        "Over random (points)": f"{100 * np.mean(differences):+.2f}" if shows_difference else "",
        "Worst class (%)": _mean_percent(rows, "worst_class_accuracy"),
        "Seeds": str(len(values)),
        "Training": _training_time(rows),
    }


def _mean_percent(rows: Sequence[dict[str, Any]], name: str) -> str:
    values = [row[name] for row in rows if row.get(name) is not None]
    return f"{100 * np.mean(values):.1f}" if values else ""


def _training_time(rows: Sequence[dict[str, Any]]) -> str:
    values = [row["seconds"] for row in rows if row.get("seconds") is not None]
    if not values:
        return ""
    mean = float(np.mean(values))
    return f"{mean:.1f} s" if mean < 10 else format_duration(mean)


def verdicts(rows: Sequence[dict[str, Any]]) -> list[str]:
    """One sentence per method: where it beat random in paired seeds, lost to it, or neither."""
    rows = [row for row in rows if measured(row)]
    methods = sorted({row["method"] for row in rows} - {BASELINE})
    return [line for line in (_verdict(rows, method) for method in methods) if line]


def _verdict(rows: Sequence[dict[str, Any]], method: str) -> str:
    random = {
        (row["prune_rate"], row["seed"]): row["accuracy"]
        for row in rows
        if row["method"] == BASELINE
    }
    names_of: dict[str, list[str]] = {"better": [], "worse": [], "unclear": []}
    for rate in sorted({row["prune_rate"] for row in rows if row["method"] == method}):
        differences = [
            row["accuracy"] - random[rate, row["seed"]]
            for row in rows
            if row["method"] == method
            and row["prune_rate"] == rate
            and (rate, row["seed"]) in random
        ]
        if differences:
            points = f"{100 * np.mean(differences):+.1f} points"
            names_of[_outcome(differences)].append(f"{_kept_percent(rate)} kept ({points})")
    words = {
        "better": "is better than random at",
        "worse": "is worse than random at",
        "unclear": "does not clearly differ from random at",
    }
    parts = [f"{words[side]} {escaped(', '.join(at))}" for side, at in names_of.items() if at]
    return f"**{escaped(row_title(METHODS, method))}** {'; '.join(parts)}." if parts else ""


def _outcome(differences: Sequence[float]) -> str:
    if clearly_above_zero(differences):
        return "better"
    return "worse" if clearly_above_zero([-d for d in differences]) else "unclear"


def clearly_above_zero(differences: Sequence[float]) -> bool:
    """Whether the 95% interval of the mean paired difference is above 0; needs three pairs."""
    from coreset_engine.evaluation.paired import paired_test

    return len(differences) >= 3 and paired_test(differences).verdict == "better"
