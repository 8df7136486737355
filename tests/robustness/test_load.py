"""A short load: six sessions on one server, none sees another's data; `load.py` is the long one."""

from __future__ import annotations

import pytest
from load import check, measure


@pytest.mark.slow
def test_six_sessions_never_meet(tmp_path):
    found = measure(tmp_path, 6, 0.4, 800, pause=(0.3, 1.0))
    assert found["crossed"] == [] and found["broken"] == []
    assert found["moves"] > 30
    rss = found["rss_mb"]
    assert rss["after"] <= 1.1 * rss["level"] + 5


def test_the_check_sees_what_is_crossed(tmp_path):
    own = tmp_path / "set-a.npy"
    other = tmp_path / "set-b.npy"
    own.touch()
    other.touch()
    good = "**set-a.npy** 1,000 images · 250 images kept"
    assert check(good, "export", own, 1000, 0.75) == []
    assert check(good + " set-b.npy", "select", own, 1000, 0.75) == ["set-b.npy is shown"]
    assert check(good, "export", own, 1000, 0.5) == ["500 of 1,000 kept is not shown"]
    assert check(good.replace("1,000", "999"), "select", own, 1000, 0.75)
    assert "a fault is shown" in check(
        good + " your data and results are unchanged", "select", own, 1000, 0.75
    )


def test_the_server_shows_a_dataset_without_loading_torch(tmp_path):
    """Keys and states are asked for on every page; torch would cost the server 700 MB and the first
    visitor seconds."""
    import subprocess
    import sys

    import numpy as np
    from load import ROOT

    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32))
    answer = (
        "import sys; from ui import select_view, choice, sidebar; from coreset_engine.pipeline.run "
        "import STAGES, "
        "Run; from coreset_engine.artifacts.store import Store; from coreset_engine.sources.open "
        "import open_source; "
        "run = Run(open_source(sys.argv[1]), store=Store(sys.argv[2])); "
        "print([run.ready(stage) or run.size_of(stage) for stage in STAGES], 'torch' in "
        "sys.modules)"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            answer,
            str(tmp_path / "v.npy"),
            str(tmp_path / "home"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "[0, 0, 0, 0, 0, 0] False", done.stdout + done.stderr[-2000:]
