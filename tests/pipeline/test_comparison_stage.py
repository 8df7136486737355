"""The stored comparison of two runs: the same answer as computed, one map of both, and exclusion of
what leaks."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "findings"))
from drawn import dataset, textured  # noqa: E402 - beside the other folder

from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import BadInput
from coreset_engine.pipeline import comparison_stage
from coreset_engine.pipeline.compare_sources import compare_sources, exclude_leaks
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.select import select


@pytest.fixture
def runs(tmp_path):
    """A: 30 pictures around one direction, 0 and 1 the same. B: 20, of which 0 and 5 are A's 0 and
    3, and 10 to 19 lie around another direction."""
    rng = np.random.default_rng(0)
    east, north = np.eye(8)[0] * 4, np.eye(8)[1] * 4
    of_a = [textured(i) for i in range(30)]
    of_a[1] = of_a[0]
    of_b = [textured(100 + i) for i in range(20)]
    of_b[0], of_b[5] = of_a[0], of_a[3]
    a = rng.normal(0, 0.5, (30, 8)) + east
    b = rng.normal(0, 0.5, (20, 8)) + east
    b[10:] += north - east
    a[1] = a[0]
    b[0], b[5] = a[0], a[3]
    store = Store(tmp_path)
    names = [f"b{i:02d}.png" for i in range(20)]
    return Run(dataset(of_a, a), store=store), Run(dataset(of_b, b, names=names), store=store)


def test_what_is_read_is_what_was_computed(runs):
    assert not comparison_stage.ready(*runs)
    made = compare_sources(*runs)
    comparison_stage.comparison(*runs)
    assert comparison_stage.ready(*runs)
    read = comparison_stage.comparison(*runs)
    assert read.comparison.to_record(0) == made.to_record(0)
    assert read.comparison.leaked_ids() == ["b00.png", "b05.png"]
    assert read.comparison.leaked_ids_of_a() == ["000.png", "001.png", "003.png"]
    assert read.map.points.shape == (50, 2) and np.isfinite(read.map.points).all()
    assert read.map.rows_a.tolist() == list(range(30))


def test_sets_beyond_the_limit_are_sampled_on_the_map(runs, monkeypatch):
    monkeypatch.setattr(comparison_stage, "MOST", 12)
    drawn = comparison_stage.comparison(*runs).map
    assert len(drawn.rows_a) == len(drawn.rows_b) == 12
    assert (np.diff(drawn.rows_a) > 0).all() and drawn.rows_a.max() < 30
    assert drawn.points.shape == (24, 2)


def test_excluded_leaks_enter_no_selection_of_a(runs):
    run_a, run_b = runs
    found = compare_sources(run_a, run_b)
    assert exclude_leaks(run_a, found, ["near"]) == {"leakage": 0}
    assert exclude_leaks(run_a, found) == {"leakage": 3}
    assert not {"000.png", "001.png", "003.png"} & set(select("random", run_a, count=27).ids)
    assert run_b.excluded_ids == ()
    with pytest.raises(BadInput, match="kind 'twins' is not known; choose of bytes"):
        exclude_leaks(run_a, found, ["twins"])


def test_a_set_that_occurs_wholly_in_the_other_is_not_excluded(tmp_path):
    images, vectors = [textured(i) for i in range(10)], np.eye(10)
    run = Run(dataset(images, vectors), store=Store(tmp_path))
    with pytest.raises(BadInput, match="so none would be left"):
        exclude_leaks(run, compare_sources(run, run))
    assert run.excluded_ids == ()
