"""The Evaluate page's parts: what to train on, the budget curve that came back, and the paired
differences.

The training is a job; the page reads the rows it has written (one per method, rate and seed), so a
curve grows while the job runs. Random is always among the methods: a curve without it says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from coreset_engine.core.registry import BASELINE, METHODS
from ui.components import charts
from ui.components.escape import markdown as escaped
from ui.components.forms import knobs_form
from ui.components.jobs import format_duration, list_jobs, submit
from ui.selection import session_selection
from ui.state import session

RATES = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
FIRST = ("auto", "elfs", "blindcs")
MODELS = {
    "linear": "Linear on the embeddings: seconds",
    "mlp": "Small network on the embeddings: minutes",
    "convnet": "Small convolutional net on pixels: minutes each",
    "resnet18": "ResNet-18 on pixels: wants a GPU",
    "resnet34": "ResNet-34 on pixels: wants a GPU",
    "resnet50": "ResNet-50 on pixels: wants a GPU",
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


def setup(view: session.RunView) -> None:
    """The form; submits one evaluate job. Missing stages of a method are made by the job itself."""
    from coreset_engine.evaluation.subset_training import ON_PIXELS, EvaluationConfig

    if view.dataset.labels is None:
        st.info(
            "This source has no true labels. Models are then trained and tested on pseudo-labels: the accuracy "
            "says how well a coreset teaches the clusters, not the truth."
        )
    models = [name for name in MODELS if view.dataset.reader is not None or name not in ON_PIXELS]
    with st.form("evaluate:form"):
        methods = st.multiselect(
            "Methods, besides random",
            [name for name in METHODS if name != BASELINE],
            default=[name for name in FIRST if name in METHODS],
            key="evaluate:methods",
        )
        left, right = st.columns([3, 1])
        rates = left.multiselect(
            "Shares removed",
            RATES,
            default=[0.5, 0.8, 0.9],
            format_func="{:.0%}".format,
            key="evaluate:rates",
        )
        seeds = right.number_input(
            "Seeds",
            1,
            20,
            3,
            key="evaluate:seeds",
            help="Each method and rate is trained once per seed, so that differences are "
            "paired. Five or more make a claim.",
        )
        model = st.selectbox("Model", models, format_func=MODELS.get, key="evaluate:model")
        with st.expander("Options: loss weights, balance, label noise, ..."):
            options = knobs_form(EvaluationConfig, key="evaluate:options", only=OPTIONS)
        count = (len(methods) + 1) * len(rates) * int(seeds)
        pressed = st.form_submit_button("Train and measure", type="primary")
        st.caption(
            f"{count} trainings plus {int(seeds)} on all images, in the background. {held_out(view)}"
        )
    if not pressed:
        return
    if not rates:
        st.error("No share was chosen; choose at least one, for example 90%.")
        return
    params = {
        "methods": [BASELINE, *methods],
        "prune_rates": sorted(rates),
        "seeds": int(seeds),
        "model": model,
        "method_params": {name: session_selection.method_params(name) for name in methods},
        **changed(options),
    }
    submit("evaluate", view.spec, {**view.job_params, **params})


def held_out(view: session.RunView) -> str:
    """Where the test images come from, in one sentence."""
    if view.dataset.test_spec and view.dataset.labels is not None:
        return "Tested on the source's own test images."
    return "A fifth of the images, the same share of each class, is set aside for the test before anything is selected."


def changed(options: dict[str, Any]) -> dict[str, Any]:
    """Options that differ from their defaults, so that the same work is known as the same."""
    from coreset_engine.evaluation.subset_training import EvaluationConfig

    usual = EvaluationConfig()
    return {name: value for name, value in options.items() if value != getattr(usual, name)}


def results(view: session.RunView) -> None:
    """The newest evaluation of this run: curve, table, and where random did as well."""
    found = [
        job for job in list_jobs() if job.kind == "evaluate" and same_run(job, view) and job.result
    ]
    if not found:
        st.info(
            "Nothing measured yet for this dataset. The curve appears here, and grows while the job runs."
        )
        return
    from coreset_engine.evaluation.experiment import unmatched_sentence

    job = found[0]
    if len(found) > 1:
        job = st.selectbox("Measurement", found, key="evaluate:which", format_func=title)
    rows = job.result.get("rows", [])
    if not any(measured(row) for row in rows):
        st.info("The first training is still running.")
        return
    if rows[0].get("labels") == "pseudo":
        st.warning("Accuracy here means agreement with pseudo-labels: no true labels were used.")
    if unmatched := unmatched_sentence(job.result):
        st.warning(escaped(unmatched))
    rates, means, stds, _ = summary(rows)
    figure, data = charts.budget_curve(rates, means, stds, full=job.result.get("full_accuracy"))
    charts.show(figure, "budget-curve", data, height=420)
    st.markdown("\n".join(f"- {line}" for line in verdicts(rows)))
    st.dataframe(table(rows), hide_index=True, width="stretch")
    st.caption(
        "± is the standard deviation over seeds; 0 where a method keeps the same images for every seed and the "
        "model has no chance in it. Clear: the mean paired difference is over two standard errors."
    )
    downloads(job.result | {"rows": rows})
    for reason in dict.fromkeys(row["error"] for row in rows if row.get("error")):
        st.caption(escaped(reason, 240))


def title(job: Any) -> str:
    """One measurement among several, for the menu."""
    params = job.params or {}
    parts = [params.get("model", ""), ", ".join(params.get("methods", [])), job.status]
    return " · ".join(part for part in parts if part) + f" ({job.id[:15]})"


def downloads(result: dict[str, Any]) -> None:
    """Every training as CSV, the curve as SVG: the same files the shell writes."""
    from coreset_engine.cli.commands.evaluate import as_csv, picture

    first = result["rows"][0]
    whole = {
        "model": first.get("model", "the model"),
        "labels": first.get("labels", "true"),
        "full_accuracy": None,
    }
    row = st.container(horizontal=True)
    row.download_button(
        "Every training (CSV)",
        lambda: as_csv(result["rows"]),
        "evaluation.csv",
        "text/csv",
        key="evaluate:csv",
        on_click="ignore",
    )
    row.download_button(
        "The curve (SVG)",
        lambda: picture(whole | result),
        "evaluation.svg",
        "image/svg+xml",
        key="evaluate:svg",
        on_click="ignore",
    )


def same_run(job: Any, view: session.RunView) -> bool:
    params = job.params or {}
    return job.spec == view.spec and params.get("encoder") == view.encoder


def measured(row: dict[str, Any]) -> bool:
    """False for a cell that could not be (it has a reason instead)."""
    return row.get("accuracy") is not None


def summary(
    rows: Sequence[dict[str, Any]],
) -> tuple[list[float], dict[str, list[float]], dict[str, list[float]], int]:
    """rows: one training each, with method, prune_rate, seed, accuracy. Rates, mean and std per
    method, seeds."""
    rows = [row for row in rows if measured(row)]
    rates = sorted({row["prune_rate"] for row in rows})
    means = {}
    stds = {}
    seeds = 0
    for method in sorted(
        {row["method"] for row in rows}, key=lambda name: (name != BASELINE, name)
    ):
        got = [
            [
                row["accuracy"]
                for row in rows
                if row["method"] == method and row["prune_rate"] == rate
            ]
            for rate in rates
        ]
        means[method] = [float(np.mean(x)) if x else float("nan") for x in got]
        stds[method] = [float(np.std(x, ddof=1)) if len(x) > 1 else 0.0 for x in got]
        seeds = max(seeds, *(len(x) for x in got))
    return rates, means, stds, seeds


def table(rows: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """One line per rate and method: mean +- std, the paired difference to random, n, worst class,
    time."""
    base = {
        (row["prune_rate"], row["seed"]): row["accuracy"]
        for row in rows
        if row["method"] == BASELINE
    }
    out = []
    for rate, method in sorted(
        {(row["prune_rate"], row["method"]) for row in rows if measured(row)},
        key=lambda pair: (pair[0], pair[1] != BASELINE, pair[1]),
    ):
        some = [
            row
            for row in rows
            if (row["prune_rate"], row["method"]) == (rate, method) and measured(row)
        ]
        values = [row["accuracy"] for row in some]
        pairs = [
            row["accuracy"] - base[rate, row["seed"]] for row in some if (rate, row["seed"]) in base
        ]
        std = f" ± {np.std(values, ddof=1):.2%}" if len(values) > 1 else ""
        line = {
            "Removed": f"{rate:.1%}",
            "Method": method,
            "Kept": f"{some[0]['k']:,}" if "k" in some[0] else "",
            "Accuracy": f"{np.mean(values):.2%}{std}",
            "n": str(len(values)),
            "Over random": f"{np.mean(pairs):+.2%}" if pairs and method != BASELINE else "",
            "Worst class": _mean(some, "worst_class_accuracy"),
            "Training": _seconds(some),
        }
        out.append(line)
    return out


def _mean(rows: Sequence[dict[str, Any]], name: str) -> str:
    found = [row[name] for row in rows if row.get(name) is not None]
    return f"{np.mean(found):.1%}" if found else ""


def _seconds(rows: Sequence[dict[str, Any]]) -> str:
    found = [row["seconds"] for row in rows if row.get("seconds") is not None]
    return (
        ""
        if not found
        else f"{np.mean(found):.1f} s"
        if np.mean(found) < 10
        else format_duration(float(np.mean(found)))
    )


def verdicts(rows: Sequence[dict[str, Any]]) -> list[str]:
    """One sentence per method: at which rates it beat random in paired seeds, where random won, and
    where none did."""
    rows = [row for row in rows if measured(row)]
    accuracy = {(row["method"], row["prune_rate"], row["seed"]): row["accuracy"] for row in rows}
    lines = []
    for method in sorted({row["method"] for row in rows} - {BASELINE}):
        better = []
        worse = []
        rest = []
        for rate in sorted({row["prune_rate"] for row in rows if row["method"] == method}):
            pairs = [
                value - accuracy[BASELINE, rate, seed]
                for (name, r, seed), value in accuracy.items()
                if name == method and r == rate and (BASELINE, rate, seed) in accuracy
            ]
            if pairs:
                side = (
                    better
                    if clearly_above_zero(pairs)
                    else worse
                    if clearly_above_zero([-d for d in pairs])
                    else rest
                )
                side.append(f"{rate:.0%} ({np.mean(pairs):+.1%})")
        said = [
            f"{words} {escaped(', '.join(found))}"
            for words, found in (
                ("beat random at", better),
                ("lost to random at", worse),
                ("no clear difference at", rest),
            )
            if found
        ]
        lines += [f"**{escaped(method)}** {'; '.join(said)}."] if said else []
    return lines


def clearly_above_zero(differences: Sequence[float]) -> bool:
    """Mean paired difference more than two standard errors above zero; needs three pairs."""
    values = np.asarray(differences, float)
    if len(values) < 3:
        return False
    error = values.std(ddof=1) / np.sqrt(len(values))
    return bool(values.mean() > 2 * error and values.mean() > 0)
