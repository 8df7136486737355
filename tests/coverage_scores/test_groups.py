"""Columns in files, cut into groups: the bits of one machine for any number of groups, in any order
of tasks."""

from __future__ import annotations

import errno
import os
from functools import reduce

import numpy as np
import pytest

from coreset_engine.core.errors import BadInput
from coreset_engine.coverage.partitions import (
    Task,
    TaskSize,
    add,
    edges,
    groups_for,
    held,
    score_set,
    sets_of,
    transpose_to_folder,
)
from coreset_engine.coverage.scores import coverage_grid, coverage_scores
from coreset_engine.coverage.transposed import turn


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(5)
    found = rng.gamma(2.0, size=(300, 7)) * [1, 1, 100, 1e-3, 1, 1, 1]
    found[:90, 4] = 0.0  # a level that many images share
    return found


def scorer_of(folder, groups, seed=0):
    """Plain calls in place of tasks: sets shuffled, cut in two, added in pairs."""

    def make_scorer(columns, reaches, exponents):
        rng = np.random.default_rng(seed)

        task = Task(folder, groups, reaches, exponents)

        def score(samples, hits, penalty, tick):
            parts = [
                (names, rows)
                for names, full in sets_of(samples.dims, len(columns.low), groups)
                for rows in np.array_split(full, 2)
            ]
            rng.shuffle(parts)
            total = reduce(
                add,
                [score_set(task, names, samples.take(rows)) for names, rows in parts],
            )
            hits += total[0]
            penalty += total[1]

        return score

    return make_scorer


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_columns_in_files_are_those_in_memory(vectors, kind, tmp_path):
    wanted = turn(vectors.astype(kind), 2)
    for _ in range(2):  # made, then found
        found = transpose_to_folder(tmp_path / "columns", vectors.astype(kind), 2)
        for name, array in vars(wanted).items():
            assert (
                np.array_equal(array, getattr(found, name))
                and array.dtype == getattr(found, name).dtype
            )
        assert isinstance(found.exact, np.memmap) and isinstance(found.levels, np.memmap)


@pytest.mark.parametrize(
    ("groups", "m", "kind"),
    [
        (1, 2, "float32"),
        (2, 2, "float32"),
        (5, 2, "float32"),
        (7, 2, "float16"),
        (3, 3, "float64"),
        (5, 1, "float64"),
    ],
)
def test_any_number_of_groups_gives_the_bits_of_one_machine(vectors, groups, m, kind, tmp_path):
    data = vectors.astype(kind)
    common = dict(n_samples=5000, n_dims=m, n_neighbours=20, seed=3, device="cpu", workers=1)
    wanted = coverage_scores(data, **common)
    found = coverage_scores(
        data,
        **common,
        columns=transpose_to_folder(tmp_path, data, m),
        make_scorer=scorer_of(tmp_path, groups, groups),
    )
    assert np.array_equal(wanted.coverage, found.coverage) and np.array_equal(
        wanted.redundancy, found.redundancy
    )
    assert wanted.info == found.info


def test_a_grid_of_alphas_over_groups(vectors, tmp_path):
    common = dict(n_samples=2500, device="cpu", workers=1, exponents=(1.0, 4.0))
    wanted = coverage_grid(vectors, (30, 10), **common)
    found = coverage_grid(
        vectors,
        (30, 10),
        **common,
        columns=transpose_to_folder(tmp_path, vectors, 2),
        make_scorer=scorer_of(tmp_path, 4),
    )
    assert wanted.keys() == found.keys()
    assert all(np.array_equal(wanted[key].score, found[key].score) for key in wanted)


def test_one_machine_begins_and_groups_go_on(vectors, tmp_path):
    common = dict(n_neighbours=20, device="cpu", workers=1)
    for number, groups in ((2500, None), (5000, 3), (9000, 2)):
        door = (
            dict(
                columns=transpose_to_folder(tmp_path / "columns", vectors, 2),
                make_scorer=scorer_of(tmp_path / "columns", groups),
            )
            if groups
            else {}
        )
        found = coverage_scores(vectors, number, **common, **door, resume=tmp_path / "sums.npz")
    assert np.array_equal(found.score, coverage_scores(vectors, 9000, **common).score)


def test_turning_tells_how_far_it_is_and_can_be_stopped(vectors, tmp_path, set_limits):
    class Stop(Exception):
        pass

    set_limits(announced_numbers=0)
    answer = []

    def stop(done, total, unit):
        answer.append(done)
        if done > total // 2:
            raise Stop

    with pytest.raises(Stop):
        transpose_to_folder(tmp_path, vectors, 2, progress=stop)
    assert answer == sorted(answer) and not (tmp_path / "about.npz").exists()
    ticks = []
    found = transpose_to_folder(tmp_path, vectors, 2, progress=lambda *tick: ticks.append(tick))
    assert ticks[-1] == (vectors.shape[1], vectors.shape[1], "columns")
    assert np.array_equal(found.levels, turn(vectors, 2).levels)


def test_a_full_disk_says_so_before_anything_is_mapped(vectors, tmp_path, monkeypatch):
    def full(*reported):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        transpose_to_folder(tmp_path, vectors, 2)
    monkeypatch.undo()
    assert np.array_equal(
        transpose_to_folder(tmp_path, vectors, 2).levels, turn(vectors, 2).levels
    )  # half-made files are redone


def test_every_sample_falls_on_the_one_set_that_holds_it():
    dims = np.array([np.random.default_rng(i).permutation(11)[:3] for i in range(200)])
    cuts = edges(11, 4)
    seen = []
    assert list(cuts) == [0, 2, 5, 8, 11]
    found = sets_of(dims, 11, 4)
    assert len({names for names, _ in found}) == len(found)
    for names, rows in found:
        seen += list(rows)
        for row in rows:
            assert {int(np.flatnonzero(cuts <= d)[-1]) for d in dims[row]} == set(names)
    assert sorted(seen) == list(range(200)) and sets_of(dims[:0], 11, 4) == []


def test_the_number_of_groups_follows_the_memory():
    size = TaskSize(n=10_000_000, d=256, itemsize=2, m=2, sums=1, threads=4)
    full = held(size, groups=1)
    assert groups_for(size, memory=full / 0.79) == 1
    half = groups_for(size, memory=full / 2)
    assert half > 2  # two of two groups are the whole
    assert held(size, half) <= 0.8 * full / 2 < held(size, half - 1)
    with pytest.raises(BadInput, match="smallest node has 0.5 GB"):
        groups_for(size, memory=5e8)
