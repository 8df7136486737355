"""Long work in child processes: submit, read, cancel, resume.

State is derived from files, never kept twice.

A job is a folder home/jobs/ID with request.json (what), process.json (who), state.json (how far,
replaced atomically by the child), cancel (a flag) and log.txt. A job whose state says running but
whose process is gone is *interrupted*. Asking for the same work twice, from any process, gives the
same job: looking and starting happen under one lock.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from coreset_engine.artifacts import filesystem
from coreset_engine.artifacts.store import digest
from coreset_engine.core.errors import BadInput
from coreset_engine.core.installation import python_path

KINDS = (
    "prepare",
    "coverage_grid",
    "beta",
    "forecast",
    "evaluate",
    "inclusion",
    "export",
    "next_round",
    "label_errors",
    "round_estimate",
    "totals",
    "clean",
    "compare_sources",
    "update",
)
ACTIVE = ("queued", "running")
ENDED = ("done", "failed", "cancelled")
GRACE_S = 1.2
_seen: dict[tuple[str, int, int], Job] = {}


@dataclass(frozen=True)
class Job:
    """A job's state.

    status: queued, running, done, failed, cancelled, interrupted. eta_s, rate: or None.
    """

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
    """Start a child process for some work; the same work, already active, is not started twice.

    Parameters
    ----------
    kind : str
        A row of the worker's table of jobs.
    spec : str
        Spec of the run, see `pipeline.run_spec`.
    params : dict
        JSON-able arguments of the job.
    home : path
        The workspace.

    Returns
    -------
    str
        Id of the job, of the active one where there is one.
    """
    if kind not in KINDS:
        raise BadInput(f"job kind {kind!r} is unknown; known: {', '.join(KINDS)}.")
    work = digest([kind, spec, params])
    with _lock(home):
        for job in list_jobs(home):
            if job.status in ACTIVE and digest([job.kind, job.spec, job.params]) == work:
                return job.id
        name = _new_name(work)
        folder = _folder(home, name)
        new = folder.with_name(f".{name}.{os.getpid()}.tmp")
        try:
            new.mkdir(parents=True)
            filesystem.write_json(
                new / "request.json", dict(kind=kind, spec=spec, params=params, created=time.time())
            )
            _start(Path(home), name, new)
            os.replace(new, folder)  # seen by others only now, when it has a process
        except OSError as error:
            shutil.rmtree(new, ignore_errors=True)
            raise filesystem.refused(folder, error) from None
    return name


def list_jobs(home: Path | str) -> list[Job]:
    """Every job of the workspace, newest first."""
    folder = Path(home) / "jobs"
    try:
        names = sorted(
            (name for name in os.listdir(folder) if not name.startswith(".")), reverse=True
        )
    except OSError:
        return []
    return [job for job in (_peek(home, name) for name in names) if job is not None]


def read(job: str, home: Path | str) -> Job:
    """The job's state. Raises BadInput for an unknown id."""
    job_state = _peek(home, job)
    if job_state is None:
        raise BadInput(f"job {job!r} is unknown; `coreset jobs` lists them.")
    return job_state


def cancel(job: str, home: Path | str) -> None:
    """Ask the job to stop; a child that does not within GRACE_S is killed. Finished shards stay."""
    if read(job, home).status in ENDED:
        return
    folder = _folder(home, job)
    try:
        (folder / "cancel").touch()
    except OSError as error:
        raise filesystem.refused(folder, error) from None
    pid = _pid(folder)
    if pid is not None and not _gone(folder, GRACE_S):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        _gone(folder, GRACE_S)
    state = filesystem.read_json(folder / "state.json") or {}
    if state.get("status") not in ENDED:
        _put_state(folder, {**state, "status": "cancelled", "message": "cancelled."})


def resume(job: str, home: Path | str) -> str:
    """Restart a finished job; completed stages are reused.

    Returns the id.
    """
    with _lock(home):
        if read(job, home).status in ACTIVE:
            return job
        folder = _folder(home, job)
        try:
            (folder / "cancel").unlink(missing_ok=True)
            state = filesystem.read_json(folder / "state.json") or {}
            _put_state(folder, {"status": "queued", "result": state.get("result", {})})
            _start(Path(home), job, folder)
        except OSError as error:
            raise filesystem.refused(folder, error) from None
    return job


def ahead_of(job: str, home: Path | str) -> list[str]:
    """Jobs that wait or work and were requested before `job`, oldest first."""
    return [
        other.id for other in reversed(list_jobs(home)) if other.id < job and other.status in ACTIVE
    ]


def sign_in(folder: Path) -> None:
    """Called by the child: note who does the work, in case the parent died before it could."""
    filesystem.write_json(
        folder / "process.json", dict(pid=os.getpid(), birth=_birth(os.getpid())), sync=False
    )


def _new_name(work: str) -> str:
    """A name that sorts by submission time, to the microsecond: first come, first served."""
    now = time.time_ns() // 1000
    return (
        f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now // 10**6))}-{now % 10**6:06d}-{work[:6]}"
    )


def _start(home: Path, name: str, folder: Path) -> None:
    with open(folder / "log.txt", "ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "coreset_engine", "work", name],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "CORESET_HOME": str(home.absolute()), "PYTHONPATH": python_path()},
        )
    filesystem.write_json(
        folder / "process.json", dict(pid=child.pid, birth=_birth(child.pid)), sync=False
    )


def _birth(pid: int) -> str | None:
    """Start time that distinguishes this process from a later one with the same pid.

    None when it is gone or a zombie.

    On Linux from the kernel's own ticks and the boot's id, which a changed clock cannot touch.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return None if fields[0] in "ZXx" else f"{boot}:{fields[19]}"
    except (OSError, IndexError):
        if sys.platform == "linux":
            return None
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.0f}"
    except psutil.Error:
        return None


def _pid(folder: Path) -> int | None:
    """The number of the job's live child, or None."""
    about = filesystem.read_json(folder / "process.json") or {}
    pid = about.get("pid")
    if not isinstance(pid, int) or pid <= 0 or not about.get("birth"):
        return None
    return pid if _birth(pid) == about["birth"] else None


def _gone(folder: Path, within: float) -> bool:
    """Whether the child has ended, waiting for it at most `within` seconds."""
    end = time.monotonic() + within
    while _pid(folder) is not None:
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def _peek(home: Path | str, name: str) -> Job | None:
    folder = _folder(home, name)
    identity = _state_version(folder)
    if identity in _seen:
        return _seen[identity]
    request = filesystem.read_json(folder / "request.json")
    state = filesystem.read_json(folder / "state.json") or {}
    if request is None or not {"kind", "spec", "params"} <= request.keys():
        return None
    status = state.get("status", "queued")
    if status in ACTIVE and _pid(folder) is None:
        state = (
            filesystem.read_json(folder / "state.json") or {}
        )  # it may have ended between the two looks
        status = state.get("status", "queued")
        if status in ACTIVE:
            status = "interrupted"
            state["message"] = (
                "The process ended without a message (killed, or out of memory); resume "
                "continues from there."
            )
    known = Job.__dataclass_fields__.keys() - {"id", "kind", "spec", "params", "created", "status"}
    job = Job(
        id=name,
        kind=request["kind"],
        spec=request["spec"],
        params=request["params"],
        status=status,
        created=request.get("created", 0.0),
        **{key: value for key, value in state.items() if key in known},
    )
    if status in ENDED and identity is not None:
        _seen[identity] = (
            job  # 20 sessions poll; what has ended is not read again until its state is replaced
        )
    return job


def _state_version(folder: Path) -> tuple[str, int, int] | None:
    try:
        stat = (folder / "state.json").stat()
        return str(folder), stat.st_ino, stat.st_mtime_ns
    except OSError:
        return None


def _lock(home: Path | str) -> contextlib.AbstractContextManager[None]:
    return filesystem.lock(Path(home) / "locks" / "jobs")


def _folder(home: Path | str, name: str) -> Path:
    if "/" in name or "\0" in name or name.startswith(".") or not name:
        raise BadInput(f"job {name!r} is not a job id; `coreset jobs` lists them.")
    return Path(home) / "jobs" / name


def _put_state(folder: Path, state: dict[str, Any]) -> None:
    try:
        filesystem.write_json(folder / "state.json", state, sync=False)
    except OSError as error:
        raise filesystem.refused(folder, error) from None
