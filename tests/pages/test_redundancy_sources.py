"""Which neighbours push an image down: the estimate against the engine's own redundancy and a plain
replay."""

from __future__ import annotations

import numpy as np
import pytest

from coreset_engine.coverage.scores import coverage_scores
from ui.views.redundancy_sources import find_sources, sample_columns


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 4, (6, 8))
    return (centres[rng.integers(0, 6, 400)] + rng.normal(0, 1, (400, 8))).astype(np.float32)


def test_penalties_add_up_to_the_redundancy_of_the_finished_scores(vectors):
    total = 60_000
    redundancy = coverage_scores(vectors, total, n_neighbours=20, device="cpu").redundancy / total
    columns = sample_columns(vectors)
    estimate = np.array(
        [find_sources(columns, i, 20, n_slices=800)[1].sum() for i in range(0, 400, 40)]
    )
    assert np.corrcoef(estimate, redundancy[::40])[0, 1] > 0.9
    assert 0.75 < estimate.sum() / redundancy[::40].sum() < 1.05


def test_the_strongest_pusher_is_the_one_a_plain_replay_finds(vectors):
    i = 7
    rng = np.random.default_rng(1)
    cost = np.zeros(400)
    for _ in range(10_000):
        a, b = rng.choice(8, 2, replace=False)
        x = vectors[:, a].astype(float)
        y = vectors[:, b].astype(float)
        s, t = (rng.triangular(v.min(), np.median(v), v.max()) for v in (x, y))
        j = np.argmin(abs(x - s) + abs(y - t))
        distance = abs(x - x[j]) + abs(y - y[j])
        distance[j] = np.inf
        nearest = np.argsort(distance, kind="stable")[:20]
        if i in nearest:
            cost[j] += distance[i] ** -4 / (distance[nearest] ** -4).sum()
    found, penalty = find_sources(sample_columns(vectors), i, 20, n_slices=1500)
    assert i not in found and (np.diff(penalty) <= 0).all()
    assert np.corrcoef(cost[found], penalty)[0, 1] > 0.85


def test_a_copy_takes_the_whole_penalty_and_constant_dimensions_are_legal():
    vectors = np.zeros((30, 4), np.float32)
    vectors[:, :2] = np.random.default_rng(2).normal(size=(30, 2))
    vectors[1] = vectors[0]
    found, penalty = find_sources(sample_columns(vectors), 1, 5, n_slices=400)
    assert found[0] == 0 and np.isfinite(penalty).all()
    assert len(find_sources(sample_columns(vectors[:, :1]), 0, 5)[0]) == 0


def test_the_answer_repeats(vectors):
    columns = sample_columns(vectors)
    one = find_sources(columns, 3, 20)
    two = find_sources(columns, 3, 20)
    assert np.array_equal(one[0], two[0]) and np.array_equal(one[1], two[1])
