"""Jobs as the pages see them: a button that submits one, and the strip that shows them all and can
cancel.

The work itself runs in child processes (`coreset_engine.jobs.manager`); here is only asking and
showing. The strip is a fragment that polls, so it survives page changes and reloads and reruns the
page once when a job ends.
"""

from __future__ import annotations

import os
from typing import Any

import streamlit as st

from coreset_engine.core.errors import CoresetError
from ui.components.escape import markdown as escaped
from ui.components.escape import plain
from ui.state import navigation, session

ACTIVE = ("queued", "running")
NAMES = {
    "prepare": "Prepare",
    "coverage_grid": "Score other α",
    "evaluate": "Evaluate",
    "beta": "Search beta",
    "inclusion": "Stability",
    "export": "Export",
    "totals": "Count all",
}
MARKS = {
    "queued": "◌",
    "running": "▶",
    "done": "✓",
    "failed": "✕",
    "cancelled": "■",
    "interrupted": "‖",
}


def submit_button(
    label: str,
    kind: str,
    view: session.RunView,
    *,
    primary: bool = False,
    key: str | None = None,
    **params: Any,
) -> bool:
    """A button that submits job `kind` on the opened run with `params`; True in the run after the
    click."""
    key = key or f"submit:{kind}"
    if st.button(label, key=key, type="primary" if primary else "secondary"):
        submit(kind, view.spec, {**view.job_params, **params})
        return True
    return False


def submit(kind: str, spec: str, params: dict[str, Any]) -> None:
    """Submit, and run the page again with the job in the strip; returns only when it was refused
    (the reason is shown here)."""
    from coreset_engine.jobs import manager

    if kind != "export" and cluster():
        params = {**params, "cluster": cluster()}
    try:
        job = manager.submit(kind, spec, params, session.home())
    except CoresetError as error:
        st.error(escaped(str(error)))
        return
    session.put("hidden_jobs", set(session.get("hidden_jobs", set())) - {job})
    session.put(
        "news",
        [
            f"{NAMES.get(kind, kind)} runs in the background; the strip on the left shows how far it is."
        ],
    )
    st.rerun()  # the strip lies above the button: only a new run shows the job there at once


def cluster() -> str:
    """Address of the Ray cluster that jobs go to: this session's, else RAY_ADDRESS; "" = this
    machine. Never from a
    link: who sends one shall not choose where other people's work is done."""
    return str(session.get("cluster", os.environ.get("RAY_ADDRESS") or "")).strip()


def listed() -> list[Any]:
    """All jobs of the workspace, newest first."""
    from coreset_engine.jobs import manager

    return list(manager.list_jobs(session.home()))


def job_strip() -> None:
    """Draw the strip; call once per run, inside the sidebar and before the page, which then shows
    what is new."""
    found = listed()
    before = session.get("jobs_seen")
    now = standing(found)
    for line in [*(session.get("news") or ()), *ended_since(before, found)]:
        st.toast(line)
    session.put("news", None)
    session.put("jobs_seen", now)
    st.fragment(run_every="1s" if any(now.values()) else "5s")(_strip)()


def standing(found: list[Any]) -> dict[str, bool]:
    """Job id -> whether it waits or works. Two of these differ whenever a page may have something
    new to show, also when a job came and went between two looks."""
    return {job.id: job.status in ACTIVE for job in found}


def ended_since(before: dict[str, bool] | None, found: list[Any]) -> list[str]:
    """One line for every job that was not done when `before` was taken; none on a session's first
    look."""
    if before is None:
        return []
    return [
        f"{NAMES.get(job.kind, job.kind)} is done."
        for job in found
        if job.status == "done" and before.get(job.id, True)
    ]


def _strip() -> None:
    navigation.hold()
    found = listed()
    if standing(found) != session.get("jobs_seen"):
        st.rerun()
    hidden = session.get("hidden_jobs", set())
    shown = [job for job in current(found) if job.id not in hidden and job.status != "done"][:4]
    if not shown:
        return
    st.caption("Jobs")
    for job in shown:
        with st.container(border=True, key=f"job-{job.id}"):
            _draw(job)


def current(found: list[Any]) -> list[Any]:
    """Newest first, without ended jobs that a newer one of the same kind and source has
    replaced."""
    seen = set()
    kept = []
    for job in found:
        what = (job.kind, job.spec)
        if job.status in ACTIVE or what not in seen:
            kept.append(job)
        seen.add(what)
    return kept


def _draw(job: Any) -> None:
    kind = NAMES.get(job.kind, job.kind) if getattr(job, "kind", None) else "Job"
    st.markdown(
        f"{MARKS.get(job.status, '')} **{escaped(kind)}** · {escaped(plain(job_spec(job), 28))} · {job.status}"
    )
    if job.status in ACTIVE:
        st.progress(min(1.0, job.done / job.total) if job.total else 0.0, text=pace(job))
        if st.button("Cancel", key=f"cancel:{job.id}"):
            _ask("cancel", job.id)
        return
    if job.message:
        st.caption(escaped(job.message, 240))
    left, right = st.columns(2)
    if job.status in ("failed", "cancelled", "interrupted") and left.button(
        "Resume", key=f"resume:{job.id}"
    ):
        _ask("resume", job.id)
    if right.button("Hide", key=f"hide:{job.id}"):
        session.put("hidden_jobs", set(session.get("hidden_jobs", set())) | {job.id})
        st.rerun()


def _ask(what: str, job: str) -> None:
    from coreset_engine.jobs import manager

    try:
        getattr(manager, what)(job, session.home())
    except CoresetError as error:
        st.error(escaped(str(error)))


def job_spec(job: Any) -> str:
    return session.short_name(str(getattr(job, "spec", "") or ""))


def pace(job: Any) -> str:
    """Stage, share, rate and time left in one line, e.g. "coverage 40 % · 12,000 samples/s · 35 s
    left"; on a cluster also what each node does: "embeddings 40 % · 120 images/s · 35 s left ·
    1f0a9c2e 70/s, 8be1d203 50/s"."""
    unit, _, nodes = str(job.unit or "").partition(" (")
    parts = [escaped(str(job.stage or "waiting").replace("_", "-"))]
    if job.total:
        parts[0] += f" {100 * job.done / job.total:.0f} %"
    if job.rate:
        parts.append(f"{job.rate:,.0f} {escaped(unit)}/s")
    if job.eta_s is not None and job.status == "running":
        parts.append(f"{duration(job.eta_s)} left")
    if nodes:
        parts.append(escaped(nodes.removesuffix(")"), 160))
    return " · ".join(parts)


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
