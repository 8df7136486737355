"""The Evaluate page's parts: what to train on, the budget curve that came back, and the paired differences.

The training is a job; the page reads the rows it has written (one per method, rate and seed), so a curve grows while
the job runs. Random is always among the methods: a curve without it says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from coreset_engine.registry import METHODS
from ui import charts, choice, state
from ui.escape import markdown as escaped
from ui.jobs import listed, submit

RATES = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
MODELS = {"linear": "Linear on the embeddings: seconds", "mlp": "Small network on the embeddings: minutes"}


def setup(view: state.RunView) -> None:
    """The form; submits one evaluate job. Missing stages of a method are made by the job itself."""
    with st.form("evaluate:form"):
        methods = st.multiselect("Methods, besides random", [name for name in METHODS if name != "random"],
                                   default=[name for name in ("elfs", "blindcs") if name in METHODS],
                                   key="evaluate:methods")
        left, right = st.columns([3, 1])
        rates = left.multiselect("Shares removed", RATES, default=[0.5, 0.8, 0.9], format_func="{:.0%}".format,
                                   key="evaluate:rates")
        seeds = right.number_input("Seeds", 1, 20, 3, key="evaluate:seeds",
                                   help="Each method and rate is trained once per seed, so that differences are "
                                        "paired. Five or more make a claim.")
        model = st.radio("Model", list(MODELS), format_func=MODELS.get, horizontal=True, key="evaluate:model")
        count = (len(methods) + 1) * len(rates) * int(seeds)
        pressed = st.form_submit_button("Train and measure", type="primary")
        st.caption(f"{count} trainings plus {int(seeds)} on all images, in the background.")
    if not pressed:
        return
    if not rates:
        st.error("No share was chosen; choose at least one, for example 90%.")
        return
    params = {"methods": ["random", *methods], "prune_rates": sorted(rates), "seeds": int(seeds), "model": model,
              "method_params": {name: choice.method_params(name) for name in methods}}
    submit("evaluate", view.spec, {**view.job_params, **params})
    st.rerun()


def results(view: state.RunView) -> None:
    """The newest evaluation of this run: curve, table, and where random did as well."""
    found = [job for job in listed() if job.kind == "evaluate" and same_run(job, view) and job.result]
    if not found:
        st.info("Nothing measured yet for this dataset. The curve appears here, and grows while the job runs.")
        return
    job = found[0]
    if len(found) > 1:
        job = st.selectbox("Measurement", found, key="evaluate:which", format_func=lambda j: f"{j.id} · {j.status}")
    rows = job.result.get("rows", [])
    if not rows:
        st.info("The first training is still running.")
        return
    rates, means, stds, counts = summary(rows)
    figure, data = charts.budget_curve(rates, means, stds, full=job.result.get("full_accuracy"))
    charts.show(figure, "budget-curve", data, height=420)
    st.dataframe(table(rates, means, stds, counts), hide_index=True, width="stretch")
    for line in verdicts(rows):
        st.markdown(line)


def same_run(job: Any, view: state.RunView) -> bool:
    params = job.params or {}
    return job.spec == view.spec and params.get("encoder") == view.encoder


def summary(rows: Sequence[dict[str, Any]]) -> tuple[list[float], dict[str, list[float]], dict[str, list[float]], int]:
    """rows: one training each, with method, prune_rate, seed, accuracy. Rates, mean and std per method, seeds."""
    rates = sorted({row["prune_rate"] for row in rows})
    means, stds, seeds = {}, {}, 0
    for method in sorted({row["method"] for row in rows}, key=lambda name: (name != "random", name)):
        got = [[row["accuracy"] for row in rows if row["method"] == method and row["prune_rate"] == rate]
               for rate in rates]
        means[method] = [float(np.mean(x)) if x else float("nan") for x in got]
        stds[method] = [float(np.std(x, ddof=1)) if len(x) > 1 else 0.0 for x in got]
        seeds = max(seeds, *(len(x) for x in got))
    return rates, means, stds, seeds


def table(rates: Sequence[float], means: dict, stds: dict, n: int) -> dict[str, list[str]]:
    columns: dict[str, list[str]] = {"Removed": [f"{rate:.1%}" for rate in rates]}
    for method in means:
        columns[f"{method} (mean ± std, n ≤ {n})"] = [
            "" if np.isnan(mean) else f"{mean:.2%} ± {std:.2%}" for mean, std in zip(means[method], stds[method])]
    return columns


def verdicts(rows: Sequence[dict[str, Any]]) -> list[str]:
    """One sentence per method: at which rates it beat random in paired seeds, and where random did as well."""
    accuracy = {(row["method"], row["prune_rate"], row["seed"]): row["accuracy"] for row in rows}
    lines = []
    for method in sorted({row["method"] for row in rows} - {"random"}):
        better, rest = [], []
        for rate in sorted({row["prune_rate"] for row in rows if row["method"] == method}):
            pairs = [value - accuracy["random", rate, seed] for (name, r, seed), value in accuracy.items()
                     if name == method and r == rate and ("random", rate, seed) in accuracy]
            if pairs:
                (better if clearly_above_zero(pairs) else rest).append(f"{rate:.0%} ({np.mean(pairs):+.1%})")
        if better:
            lines.append(f"**{escaped(method)}** beat random at {escaped(', '.join(better))}.")
        if rest:
            lines.append(f"**{escaped(method)}**: random did as well at {escaped(', '.join(rest))}, or too few seeds "
                         "to tell.")
    return lines


def clearly_above_zero(differences: Sequence[float]) -> bool:
    """Mean paired difference more than two standard errors above zero; needs three pairs."""
    values = np.asarray(differences, float)
    if len(values) < 3:
        return False
    error = values.std(ddof=1) / np.sqrt(len(values))
    return bool(values.mean() > 2 * error and values.mean() > 0)
