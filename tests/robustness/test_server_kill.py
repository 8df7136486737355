"""The server dies without warning, alone or with the job; started again it shows the truth and the
work goes on."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from load import Session

from coreset_engine.artifacts.store import Store
from coreset_engine.jobs import manager
from coreset_engine.pipeline.run import STAGES, Run
from coreset_engine.sources.open import open_source


class Desk:
    """One visitor of the Dataset page: what it says, and its buttons by label."""

    def __init__(self, address: str, spec: str) -> None:
        self.session = Session(address)
        self.query = f"dataset={spec}&samples=20000&clusters=5"

    def look(self, click: str = "") -> str:
        return self.session.run("home", self.query, click)

    def close(self) -> None:
        self.session.close()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """(home, vectors): a workspace that has opened 150 digits; nothing started for it outlives the
    test."""
    from sklearn.datasets import load_digits

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    home = tmp_path / "home"
    vectors = tmp_path / "digits.npy"
    home.mkdir()
    np.save(vectors, load_digits().data[:150].astype(np.float32))
    (home / "recent.json").write_text(json.dumps([str(vectors)]))
    yield home, vectors
    for job in manager.list_jobs(home):
        if (pid := manager._pid(home / "jobs" / job.id)) is not None:
            os.killpg(pid, signal.SIGKILL)


@pytest.fixture
def start(place, tmp_path):
    """start() -> (process, visitor) of a new server on the workspace; all are ended after the
    test."""
    from chrome import serve

    started = []

    def begin():
        process, address = serve("app.py", place[0], tmp_path / f"log-{len(started)}")
        started.append(process)
        return process, Desk(address, str(place[1]))

    yield begin
    for process in started:
        end(process)


def end(process) -> None:
    """kill -9 the server and its whole process group."""
    if process.poll() is None:
        assert os.getpgid(process.pid) == process.pid != os.getpgid(0)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def reached(home: Path, job: str, stage: str, within: float = 90.0) -> manager.Job:
    """Wait until the job has come to `stage`."""
    until = time.monotonic() + within
    order = list(STAGES)
    while True:
        found = manager.read(job, home)
        if found.status == "done" or (
            found.stage in order and order.index(found.stage) >= order.index(stage)
        ):
            return found
        assert found.status in manager.ACTIVE and time.monotonic() < until, found
        time.sleep(0.005)


def sums(home: Path) -> dict[str, str]:
    return {
        str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in home.glob("artefacts/*/[!.]*/*.npy")
    }


def manifests(home: Path) -> dict[str, int]:
    return {str(path): path.stat().st_ino for path in home.glob("artefacts/*/[!.]*/manifest.json")}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [int(os.environ.get("CORESET_KILL_SEED", "1"))])
def test_a_job_outlives_its_server_and_a_dead_one_resumes_to_the_same_bytes(
    place, start, seed, tmp_path
):
    (home, vectors), rng = place, random.Random(seed)
    server, desk = start()
    assert "digits.npy" in desk.look() and not manager.list_jobs(home)
    desk.look("Compute")
    job = manager.list_jobs(home)[0].id
    first, second = sorted(rng.sample(range(5), 2))  # two of the stages before the map

    reached(home, job, list(STAGES)[first])
    time.sleep(rng.uniform(0, 0.05))
    worker = manager._pid(home / "jobs" / job)
    os.killpg(worker, signal.SIGSTOP)  # held, so that it cannot end before it was looked at
    end(server)
    server, desk = start()
    assert manager._pid(home / "jobs" / job) == worker, "the server's end is not the job's"
    message = desk.look()
    assert "Compute" in message and "running" in message and "Cancel" in message
    desk.look("Compute")  # asked for again: it is the same work
    assert [one.id for one in manager.list_jobs(home)] == [job]
    os.killpg(worker, signal.SIGCONT)

    reached(home, job, list(STAGES)[second])
    time.sleep(rng.uniform(0, 0.05))
    os.killpg(worker, signal.SIGKILL)
    end(server)
    before = manifests(home)
    server, desk = start()
    message = desk.look()
    assert "interrupted" in message and "resume continues from there" in message
    desk.look("Resume")
    assert reached(home, job, "map").id == job
    while manager.read(job, home).status in manager.ACTIVE:
        time.sleep(0.05)
    assert manager.read(job, home).status == "done" and "All stages are computed" in desk.look()
    desk.close()

    after = manifests(home)
    assert {path: after[path] for path in before} == before, (
        "what was finished was not computed again"
    )
    full = Run(
        open_source(str(vectors)), n_samples=20_000, n_clusters=5, store=Store(tmp_path / "other")
    )
    for stage in STAGES:
        getattr(full, stage)
    assert sums(home) == sums(tmp_path / "other") and len(sums(home)) > len(STAGES)
    assert not list(home.rglob("*.tmp"))
