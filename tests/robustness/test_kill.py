"""Kills over the whole pipeline, each resumed to the same bytes: three in every run, thirty in the
slow tier, as many as asked for with `kill.py --points 200`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from coreset_engine.artifacts.selection_folder import read_selection, write_selection

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(1800)  # two processes a kill, one after another
@pytest.mark.parametrize("kills", [3, pytest.param(30, marks=pytest.mark.slow)])
def test_kills_change_nothing(kills):
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "tests/robustness/kill.py"),
            "--points",
            str(kills),
            "--seed",
            "7",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]  # not one on the way
    answer = re.search(r"(\d+) kills \(.*, (\d+) failures$", last)
    assert answer is not None and int(answer[1]) >= kills and int(answer[2]) == 0, done.stdout


def test_a_selection_whose_writer_died_midway_is_written_again(tmp_path):
    import numpy as np

    from coreset_engine.core.errors import BadInput
    from coreset_engine.core.types import Dataset, Selection

    def written(ids):
        data = Dataset("x", np.array(["a", "b", "c"]), "f")
        where = np.array([list("abc").index(key) for key in ids])
        chosen = Selection(np.array(ids), where, np.ones(len(ids)), np.zeros(3), "random", {}, "f")
        return write_selection(tmp_path / "out", data, chosen, {}, {})

    written(["a"])
    (tmp_path / "out" / "manifest.json").unlink()  # died between the files of a first writing
    written(["a"])
    old = (tmp_path / "out" / "manifest.json").read_bytes()
    written(["b", "c"])
    (tmp_path / "out" / "manifest.json").write_bytes(old)  # died between the files of a second one
    with pytest.raises(BadInput, match="was changed"):
        read_selection(tmp_path / "out")
    (tmp_path / ".out.999999999.tmp").mkdir()
    written(["b", "c"])
    assert read_selection(tmp_path / "out")[1]["k"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
