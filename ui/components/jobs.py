"""Jobs as the pages see them: a button that submits one, and the list in the sidebar.

The work runs in child processes (`coreset_engine.jobs.manager`); this module only submits, shows,
cancels and resumes. The list is a fragment that polls, so it survives page changes and reloads, and
it reruns the page once when a job ends.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import streamlit as st

from coreset_engine.artifacts import filesystem
from coreset_engine.core.errors import CoresetError
from ui.components.escape import markdown as escaped
from ui.components.escape import plain
from ui.state import navigation, session

if TYPE_CHECKING:
    from coreset_engine.jobs.manager import Job

ACTIVE = ("queued", "running")
MAX_SHOWN = 4
MAX_HIDDEN = 500
NAMES = {
    "prepare": "Compute",
    "coverage_grid": "Score other α",
    "evaluate": "Evaluate",
    "forecast": "Forecast",
    "beta": "Search β",
    "inclusion": "Stability",
    "export": "Export",
    "next_round": "Choose the next images",
    "label_errors": "Find label errors",
    "round_estimate": "Estimate accuracy",
    "totals": "Count all images",
    "clean": "Find problems",
    "compare_sources": "Compare datasets",
    "update": "Choose the next images",
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
    """Draw a button that submits a job on the opened run.

    Parameters
    ----------
    label : str
        Text of the button.
    kind : str
        Kind of job, see `coreset_engine.jobs.manager`.
    view : session.RunView
        The run to work on; its settings are part of the job.
    primary : bool
        Draw it as the page's main action.
    key : str or None
        Streamlit key, needed where a page has two buttons of one kind.
    **params
        Further parameters of the job.

    Returns
    -------
    bool
        True in the run after the click.
    """
    key = key or f"submit:{kind}"
    if st.button(label, key=key, type="primary" if primary else "secondary"):
        submit(kind, view.spec, {**view.job_params, **params})
        return True
    return False


def submit(kind: str, spec: str, params: dict[str, Any]) -> None:
    """Submit a job and rerun the page; returns only when it was refused and the reason shown."""
    from coreset_engine.jobs import manager

    if kind != "export" and cluster():
        params = {**params, "cluster": cluster()}
    try:
        job = manager.submit(kind, spec, params, session.home())
    except CoresetError as error:
        st.error(escaped(str(error)))
        return
    hide(hidden_jobs() - {job})
    session.put("news", [f"{NAMES.get(kind, kind)}: started. Progress is shown in the sidebar."])
    st.rerun()  # the sidebar is drawn before the button: only a new run shows the job there at once


def recompute_once(view: session.RunView, missing: list[str]) -> None:
    """Start the job that computes what is missing, once for each state of the run."""
    asked = f"{view.spec} {[view.key_of(stage) for stage in missing]}"
    running = any(
        job.kind == "prepare" and job.spec == view.spec and job.status in ACTIVE
        for job in list_jobs()
    )
    if running:
        st.caption("Being recomputed.")
    elif session.get("recomputed") != asked:
        session.put("recomputed", asked)
        submit("prepare", view.spec, view.job_params)
    else:
        submit_button("Compute", "prepare", view, primary=True)


def hidden_jobs() -> set[str]:
    """Ids of the jobs that were hidden, in this session or an earlier one."""
    held = session.get("hidden_jobs")
    if held is None:
        listed = filesystem.read_json(session.home() / "hidden_jobs.json") or {}
        ids = listed.get("ids") if isinstance(listed, dict) else None
        held = {str(one) for one in ids} if isinstance(ids, list) else set()
        session.put("hidden_jobs", held)
    return set(held)


def hide(jobs: set[str]) -> None:
    """Make these the hidden jobs, also after a reload."""
    session.put("hidden_jobs", jobs)
    try:
        filesystem.write_json(
            session.home() / "hidden_jobs.json", {"ids": sorted(jobs)[-MAX_HIDDEN:]}, sync=False
        )
    except (CoresetError, OSError):
        pass  # they come back with the next session


def cluster() -> str:
    """Address of the Ray cluster that jobs go to: this session's, else RAY_ADDRESS, else "".

    Never taken from a link: its sender must not choose where other people's work runs.
    """
    return str(session.get("cluster", os.environ.get("RAY_ADDRESS") or "")).strip()


def list_jobs() -> list[Any]:
    """All jobs of the workspace, newest first."""
    from coreset_engine.jobs import manager

    return list(manager.list_jobs(session.home()))


def job_strip() -> None:
    """Draw the list of jobs; call once per run, inside the sidebar and before the page."""
    jobs = list_jobs()
    before = session.get("jobs_seen")
    now = active_by_id(jobs)
    for line in [*(session.get("news") or ()), *finished_since(before, jobs)]:
        st.toast(line)
    session.put("news", None)
    session.put("jobs_seen", now)
    st.fragment(run_every="1s" if any(now.values()) else "5s")(_job_list)()


def active_by_id(jobs: list[Any]) -> dict[str, bool]:
    """Map each job id to whether the job is queued or running.

    Two such maps differ whenever a page may have something new to show, also when a job started and
    ended between two polls.
    """
    return {job.id: job.status in ACTIVE for job in jobs}


def finished_since(before: dict[str, bool] | None, jobs: list[Any]) -> list[str]:
    """One line per job that finished since `before` was taken; none on a session's first poll."""
    if before is None:
        return []
    return [
        f"{NAMES.get(job.kind, job.kind)}: finished."
        for job in jobs
        if job.status == "done" and before.get(job.id, True)
    ]


def _job_list() -> None:
    navigation.return_to_page()
    session.confirm_address()
    jobs = list_jobs()
    if active_by_id(jobs) != session.get("jobs_seen"):
        st.rerun()
    hidden = hidden_jobs()
    open_jobs = [job for job in without_superseded(jobs) if job.status != "done"]
    shown = [job for job in open_jobs if job.id not in hidden][:MAX_SHOWN]
    if not shown:
        return
    st.caption("Jobs")
    for job in shown:
        with st.container(border=True, key=f"job-{job.id}"):
            _draw(job)


def without_superseded(listed: list[Any]) -> list[Any]:
    """Newest first, without ended jobs that a newer one of the same kind and source replaced."""
    seen = set()
    kept = []
    for job in listed:
        what = (job.kind, job.spec)
        if job.status in ACTIVE or what not in seen:
            kept.append(job)
        seen.add(what)
    return kept


def _draw(job: Job) -> None:
    kind = NAMES.get(job.kind, job.kind) if getattr(job, "kind", None) else "Job"
    symbol = MARKS.get(job.status, "")
    source = escaped(plain(job_spec(job), 28))
    st.markdown(f"{symbol} **{escaped(kind)}** · {source} · {job.status}")
    if job.status in ACTIVE:
        share = min(1.0, job.done / job.total) if job.total else 0.0
        st.progress(share, text=progress_text(job))
        if st.button("Cancel", key=f"cancel:{job.id}"):
            _control("cancel", job.id)
        return
    if job.message:
        st.caption(escaped(job.message, 240))
    left, right = st.columns(2)
    resumable = job.status in ("failed", "cancelled", "interrupted")
    if resumable and left.button("Resume", key=f"resume:{job.id}"):
        _control("resume", job.id)
    if right.button("Hide", key=f"hide:{job.id}"):
        hide(hidden_jobs() | {job.id})
        st.rerun()


def _control(action: str, job: str) -> None:
    from coreset_engine.jobs import manager

    try:
        getattr(manager, action)(job, session.home())
    except CoresetError as error:
        st.error(escaped(str(error)))


def job_spec(job: Job) -> str:
    return session.short_name(str(getattr(job, "spec", "") or ""))


def progress_text(job: Job) -> str:
    """Stage, share, rate and time left in one line.

    For example "coverage 40% · 12,000 samples/s · 35 s left"; on a cluster also the rate of each
    node: "embeddings 40% · 120 images/s · 35 s left · 1f0a9c2e 70/s, 8be1d203 50/s".
    """
    unit, _, nodes = str(job.unit or "").partition(" (")
    parts = [escaped(str(job.stage or "waiting").replace("_", "-"))]
    if job.total:
        parts[0] += f" {job.done / job.total:.0%}"
    if job.rate:
        parts.append(_rate_text(job.rate, escaped(unit)))
    if job.eta_s is not None and job.status == "running":
        parts.append(f"{format_duration(job.eta_s)} left")
    if nodes:
        parts.append(escaped(nodes.removesuffix(")"), 160))
    return " · ".join(parts)


def _rate_text(rate: float, unit: str) -> str:
    """For example "120 images/s"; rates below one per second are given per minute."""
    per, number = ("min", 60 * rate) if rate < 1 else ("s", rate)
    shown = f"{number:,.0f}"
    return f"{shown} {unit.removesuffix('s') if shown == '1' else unit}/{per}"


def format_duration(seconds: float) -> str:
    """Seconds, minutes or hours, e.g. "89 s", "10 min", "2.0 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
