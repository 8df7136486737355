"""Long work in child processes: submit, read, cancel, resume. State is derived from files, never kept twice.

A job is a folder home/jobs/ID with request.json (what), state.json (how far, replaced atomically by the child),
cancel (a flag) and log.txt. A job whose state says running but whose process is gone is *interrupted*.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from coreset_engine.errors import BadInput
from coreset_engine.run.store import digest

KINDS = ("prepare", "coverage_grid", "beta", "evaluate", "export")
GRACE_S = 1.5


@dataclass(frozen=True)
class Job:
    """One job as it stands. status: queued, running, done, failed, cancelled, interrupted. eta_s, rate: or None."""

    id: str
    kind: str
    spec: str
    params: dict[str, Any]
    status: str
    stage: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""
    rate: float | None = None
    eta_s: float | None = None
    message: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    created: float = 0.0


def submit(kind: str, spec: str, params: dict[str, Any], home: Path | str) -> str:
    """Start a child for this work and return the job's id. The same work, already active, is returned instead."""
    if kind not in KINDS:
        raise BadInput(f"job kind {kind!r} is unknown; known: {', '.join(KINDS)}.")
    work = digest([kind, spec, params])
    for job in list_jobs(home):
        if job.status in ("queued", "running") and digest([job.kind, job.spec, job.params]) == work:
            return job.id
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{work[:6]}-{os.urandom(2).hex()}"
    folder = _folder(home, name)
    try:
        folder.mkdir(parents=True)
        _put(folder / "request.json", dict(kind=kind, spec=spec, params=params, created=time.time()))
    except OSError as fault:
        raise BadInput(f"{folder} cannot be written ({fault.strerror}); set CORESET_HOME to a folder you can write."
                       ) from None
    _start(Path(home), name)
    return name


def list_jobs(home: Path | str) -> list[Job]:
    """Every job of the workspace, newest first."""
    folder = Path(home) / "jobs"
    names = sorted((path.name for path in folder.iterdir()), reverse=True) if folder.is_dir() else []
    return [job for job in (_peek(home, name) for name in names) if job is not None]


def read(job: str, home: Path | str) -> Job:
    """The job's state. Raises BadInput for an unknown id."""
    found = _peek(home, job)
    if found is None:
        raise BadInput(f"job {job!r} is unknown; `python -m coreset_engine jobs` lists them.")
    return found


def cancel(job: str, home: Path | str) -> None:
    """Ask the job to stop; a child that does not within GRACE_S is ended. Finished shards stay."""
    read(job, home)
    folder = _folder(home, job)
    (folder / "cancel").touch()
    process = _process(folder)
    if process is None:
        return
    try:
        process.wait(GRACE_S)
    except psutil.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        state = _get(folder / "state.json") or {}
        _put(folder / "state.json", {**state, "status": "cancelled"})


def resume(job: str, home: Path | str) -> str:
    """Start an ended job again; what its stages finished is found, not computed again. Returns the id."""
    if read(job, home).status in ("queued", "running"):
        return job
    folder = _folder(home, job)
    for name in ("cancel", "state.json"):
        (folder / name).unlink(missing_ok=True)
    _start(Path(home), job)
    return job


def _start(home: Path, name: str) -> None:
    folder = _folder(home, name)
    with open(folder / "log.txt", "ab") as log:
        child = subprocess.Popen([sys.executable, "-m", "coreset_engine", "work", name], stdin=subprocess.DEVNULL,
                                 stdout=log, stderr=log, start_new_session=True,
                                 env={**os.environ, "CORESET_HOME": str(home)},
                                 cwd=str(Path(__file__).parents[2]))
    _put(folder / "process.json", dict(pid=child.pid, started=psutil.Process(child.pid).create_time()))


def _process(folder: Path) -> psutil.Process | None:
    """The job's live child, or None. The start time guards against a reused pid."""
    about = _get(folder / "process.json")
    try:
        process = psutil.Process(about["pid"])
        alive = abs(process.create_time() - about["started"]) < 1 and process.status() != psutil.STATUS_ZOMBIE
        return process if alive else None
    except (TypeError, KeyError, psutil.Error):
        return None


def _peek(home: Path | str, name: str) -> Job | None:
    folder = _folder(home, name)
    request, state = _get(folder / "request.json"), _get(folder / "state.json") or {}
    if request is None:
        return None
    status = state.pop("status", "queued")
    if status in ("queued", "running") and _process(folder) is None:
        state = _get(folder / "state.json") or {}  # it may have ended between the two looks
        status = state.pop("status", "queued")
        if status in ("queued", "running"):
            status, state["message"] = "interrupted", "The process ended without a word; resume goes on where it was."
    known = Job.__dataclass_fields__
    return Job(id=name, kind=request["kind"], spec=request["spec"], params=request["params"],
               created=request.get("created", 0.0), status=status,
               **{key: value for key, value in state.items() if key in known})


def _folder(home: Path | str, name: str) -> Path:
    if "/" in name or name.startswith("."):
        raise BadInput(f"job {name!r} is no job id; `python -m coreset_engine jobs` lists them.")
    return Path(home) / "jobs" / name


def _get(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _put(path: Path, value: dict[str, Any]) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(value), encoding="utf-8")
    os.replace(temporary, path)
