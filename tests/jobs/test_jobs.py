"""Jobs as real child processes: one of each, one at a time, cancelled in time, interrupted,
resumed, never doubled."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from coreset_engine.artifacts import filesystem
from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import BadInput
from coreset_engine.jobs import manager
from coreset_engine.pipeline.run import Run
from coreset_engine.sources.open import open_source

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    folder = tmp_path / "home"
    yield folder
    for job in manager.list_jobs(folder):  # end the jobs of this test
        if (pid := manager._pid(folder / "jobs" / job.id)) is not None:
            os.killpg(pid, signal.SIGKILL)


@pytest.fixture
def vectors(tmp_path):
    path = tmp_path / "v.npy"
    np.save(path, np.random.default_rng(0).normal(size=(120, 8)).astype(np.float32))
    return str(path)


def until(what, home, job, within=60.0):
    end = time.monotonic() + within
    while not what(found := manager.read(job, home)):
        assert time.monotonic() < end and (what is ended or not ended(found)), found
        time.sleep(0.02)
    return found


def ended(job):
    return job.status not in manager.ACTIVE


def endless(home, spec, seed=0):
    """A coverage job that takes far longer than any test."""
    many = Path(spec).with_name("many.npy")
    if not many.exists():
        np.save(many, np.random.default_rng(0).normal(size=(20_000, 4)).astype(np.float32))
    return manager.submit("coverage_grid", str(many), dict(seed=seed, n_samples=8_000_000), home)


RIVAL = """
import sys, time
from pathlib import Path
from coreset_engine.run import jobs
print("ready", flush=True)
while not Path(sys.argv[3]).exists():
    time.sleep(0.005)
print(jobs.submit("coverage_grid", sys.argv[1], dict(seed=0, n_samples=500, n_neighbours=[20, 50]), sys.argv[2]))
"""


def test_a_job_asked_for_by_many_processes_at_once_runs_once(home, vectors, tmp_path):
    go = tmp_path / "go"
    rivals = [
        subprocess.Popen(
            [sys.executable, "-c", RIVAL, vectors, str(home), str(go)],
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
        )
        for _ in range(5)
    ]
    for rival in rivals:
        assert rival.stdout.readline() == "ready\n"
    go.touch()
    names = {rival.communicate()[0].strip() for rival in rivals}
    assert len(names) == 1 and len(manager.list_jobs(home)) == 1
    done = until(ended, home, names.pop())
    assert done.status == "done", done
    run = Run(open_source(vectors), n_samples=500, store=Store(home))
    assert run.ready("embeddings") and done.result == {"n_neighbours": [20, 50]}


def test_when_cancel_returns_the_work_has_ended_and_the_next_begins(home, vectors):
    first = endless(home, vectors, 0)
    second = endless(home, vectors, 1)
    assert first != second
    until(lambda job: job.stage == "coverage", home, first)
    assert manager.read(second, home).status == "queued", "one heavy job at a time"
    pid = manager._pid(home / "jobs" / first)
    manager.cancel(
        first, home
    )  # asks for GRACE_S, then kills: two seconds are kept by construction
    assert manager._pid(home / "jobs" / first) is None
    assert manager.read(first, home).status == "cancelled" and manager._birth(pid) is None
    until(lambda job: job.status == "running", home, second)
    manager.cancel(second, home)
    assert {job.status for job in manager.list_jobs(home)} == {"cancelled"}


def test_a_child_that_does_not_listen_is_killed(home, vectors):
    job = endless(home, vectors)
    until(lambda job: job.stage == "coverage", home, job)
    pid = manager._pid(home / "jobs" / job)
    os.killpg(pid, signal.SIGSTOP)
    manager.cancel(job, home)
    assert manager.read(job, home).status == "cancelled" and manager._birth(pid) is None


def test_a_killed_job_is_interrupted_and_resumes(home, vectors):
    job = manager.submit(
        "coverage_grid", vectors, dict(seed=0, n_samples=500, n_neighbours=[20]), home
    )
    pid = manager._pid(home / "jobs" / job)
    os.killpg(pid, signal.SIGKILL)
    found = until(ended, home, job)
    assert found.status == "interrupted" and "resume" in found.message
    assert manager.resume(job, home) == job
    assert manager.read(job, home).status in manager.ACTIVE
    assert manager.resume(job, home) == job, "twice is once"
    assert until(ended, home, job).status == "done"


def test_a_reused_process_number_is_not_taken_for_the_job(home, vectors):
    job = endless(home, vectors)
    folder = home / "jobs" / job
    until(lambda job: job.stage == "coverage", home, job)
    os.killpg(manager._pid(folder), signal.SIGKILL)
    filesystem.write_json(folder / "process.json", dict(pid=os.getpid(), birth="another boot:1"))
    assert manager.read(job, home).status == "interrupted"
    manager.cancel(job, home)  # and we, who have that number, live on
    assert manager.read(job, home).status == "cancelled"


def test_bad_work_fails_with_its_sentence(home, tmp_path):
    job = manager.submit("prepare", str(tmp_path / "nowhere"), {}, home)
    found = until(ended, home, job)
    assert (
        found.status == "failed" and "nowhere" in found.message and "Traceback" not in found.message
    )


def test_a_fault_of_ours_is_a_sentence_with_an_id(home, vectors):
    job = manager.submit("coverage_grid", vectors, dict(n_neighbours={"not": "a list"}), home)
    found = until(ended, home, job)
    assert found.status == "failed"
    assert re.match(r"Internal error [0-9a-f]{6} \(\w+\); details are in ", found.message)
    assert "Traceback" not in found.message


def test_a_clock_that_goes_back_confuses_no_job(home, vectors, monkeypatch):
    first = endless(home, vectors, 0)
    monkeypatch.setattr(time, "time", lambda: 1.0)
    monkeypatch.setattr(time, "strftime", lambda *a: "19700101-000001")
    second = endless(home, vectors, 1)
    assert second < first and manager.read(second, home).status in manager.ACTIVE
    until(
        lambda job: job.status == "running",
        home,
        first if manager.read(first, home).status == "running" else second,
    )
    assert sum(job.status == "running" for job in manager.list_jobs(home)) == 1
    for job in (first, second):
        manager.cancel(job, home)


@pytest.mark.parametrize("name", ["../x", "", ".hidden", "a/b", "x\0y"])
def test_no_job_id_leads_out_of_the_workspace(home, name):
    for verb in (manager.read, manager.cancel, manager.resume):
        with pytest.raises(BadInput):
            verb(name, home)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"kind": 1}', "\udc80"])
def test_a_broken_request_is_no_job_and_breaks_no_list(home, text):
    folder = home / "jobs" / "20260101-000000-aaaaaa-bbbb"
    folder.mkdir(parents=True)
    (folder / "request.json").write_text(text, errors="surrogateescape")
    assert manager.list_jobs(home) == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", json.dumps({"status": "running", "unknown": 1, "stage": "x"})]
)
def test_a_torn_state_is_an_interrupted_job(home, text):
    folder = home / "jobs" / "20260101-000000-aaaaaa-bbbb"
    folder.mkdir(parents=True)
    (folder / "request.json").write_text(json.dumps(dict(kind="prepare", spec="demo", params={})))
    (folder / "state.json").write_text(text)
    assert [job.status for job in manager.list_jobs(home)] == ["interrupted"]


def test_a_workspace_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="CORESET_HOME"):
        manager.submit("prepare", "demo", {}, tmp_path / "file")
    with pytest.raises(BadInput, match="unknown"):
        manager.submit("mine-bitcoin", "demo", {}, tmp_path)


def test_every_kind_of_job_that_can_be_asked_for_is_one_the_worker_does():
    from coreset_engine.jobs import worker

    assert set(manager.KINDS) == set(worker.KINDS)
