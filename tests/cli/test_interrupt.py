"""Ctrl-C: one sentence, exit code 3, soon, also when the work is inside one long call; and the same
command goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
DEAF = """
import ctypes, sys
from coreset_engine.run import cli, interrupt
cli.app.command("sleep")(lambda: (print("in", flush=True), ctypes.CDLL(None).sleep(50)))
sys.argv = ["x", "sleep"]
ctypes.CDLL(None).siginterrupt(2, 0)  # the call itself is not cut short
cli.main()
"""


def heeding() -> None:
    """In the child: a shell in the background may have handed on that Ctrl-C is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def struck(process: subprocess.Popen) -> tuple[int, str]:
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=20)[1]
    return process.returncode, err


def test_a_call_that_does_not_listen_is_left():
    process = subprocess.Popen(
        [sys.executable, "-c", DEAF],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heeding,
    )
    assert process.stdout.readline() == "in\n"
    code, err = struck(process)
    assert code == 3 and err.startswith("error: stopped;") and err.count("\n") == 1


def test_a_run_that_was_stopped_goes_on(tmp_path):
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(5000, 4)).astype(np.float32))
    words = [
        sys.executable,
        "-m",
        "coreset_engine",
        "run",
        str(tmp_path / "v.npy"),
        "--method",
        "blindcs",
        "--out",
        str(tmp_path / "out"),
    ]
    known = os.environ | {"CORESET_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*words, "--n-samples", "8000000"],
        cwd=ROOT,
        text=True,
        env=known,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heeding,
    )
    for line in process.stderr:
        if line.startswith("coverage"):
            break
    code, err = struck(process)
    assert (
        code == 3 and err.splitlines()[-1].startswith("error: stopped;") and "Traceback" not in err
    )
    assert not (tmp_path / "out").exists()
    done = subprocess.run(
        [*words, "--n-samples", "20000"], cwd=ROOT, text=True, env=known, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("*.tmp"))
