"""Two sets: neighbours across, regions that one lacks, two-sample tests of known answers."""

from __future__ import annotations

import numpy as np
import pytest

from coreset_engine.findings.comparison import cross_neighbours, regions, two_sample


def cloud(n, centre, seed, dims=6):
    return (np.random.default_rng(seed).normal(0, 0.3, (n, dims)) + centre).astype(np.float32)


def test_neighbours_across_are_the_nearest_by_cosine():
    a = np.array([[1, 0], [0, 2], [-3, 0]], np.float32)
    b = np.array([[0.1, 5], [-1, -0.1], [1, 1]], np.float32)
    found = cross_neighbours(a, b)
    assert found.nearest.tolist()[:2] == [[1], [2]]
    assert found.distances[2, 0] == pytest.approx(1 - np.sqrt(0.5), abs=1e-6)


def test_blocks_change_nothing():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(5000, 4)).astype(np.float32), rng.normal(size=(50, 4))
    unit_a = a / np.linalg.norm(a, axis=1, keepdims=True)
    unit_b = b / np.linalg.norm(b, axis=1, keepdims=True)
    found = cross_neighbours(a, b.astype(np.float32))
    assert found.nearest[:, 0].tolist() == (unit_b @ unit_a.T).argmax(axis=1).tolist()
    several = cross_neighbours(a, b.astype(np.float32), k=5)
    assert several.nearest.tolist() == np.argsort(-unit_b @ unit_a.T, axis=1)[:, :5].tolist()
    assert np.all(np.diff(several.distances, axis=1) >= 0)


def test_more_neighbours_than_rows_are_all_rows_and_ties_go_to_the_lower_row():
    a = np.array([[1, 0], [2, 0], [0, 1]], np.float32)
    found = cross_neighbours(a, np.array([[3, 0]], np.float32), k=8)
    assert found.nearest.tolist() == [[0, 1, 2]] and found.distances.tolist() == [[0, 0, 1]]


def test_a_region_that_a_lacks_is_named_and_only_it():
    east, north = np.eye(6)[0] * 3, np.eye(6)[1] * 3
    a = cloud(400, east, 0)
    b = np.concatenate([cloud(300, east, 1), cloud(100, north, 2)])
    made = regions(a, b, 2)
    lacking = made.lacking_in_a()
    assert len(lacking) == 1
    assert made.share_b[lacking[0]] == pytest.approx(0.25, abs=0.02)
    assert set(np.flatnonzero(made.label_b == lacking[0])) == set(range(300, 400))
    assert len(made.lacking_in_b()) == 1  # the other one, which A holds wholly


def test_two_halves_of_one_set_do_not_differ():
    p_values = [
        two_sample(cloud(120, 1.0, seed), cloud(120, 1.0, seed + 50), seed) for seed in range(20)
    ]
    assert sum(one.mmd_p < 0.05 for one in p_values) <= 4
    assert sum(one.accuracy_p < 0.05 for one in p_values) <= 4


def test_a_shifted_set_differs():
    other = cloud(200, 1.0, 4)
    other[:, 0] += 0.6
    found = two_sample(cloud(200, 1.0, 3), other)
    assert found.mmd_p < 0.01 and found.accuracy > 0.6 and "differ" in found.sentence()


def test_the_kernel_statistic_is_the_unbiased_estimate():
    a, b = cloud(7, 1.0, 8), cloud(7, 1.5, 9)
    rows = np.concatenate([a, b])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    squared = ((rows[:, None] - rows[None]) ** 2).sum(-1)
    scale = np.median(squared[np.triu_indices(14, 1)])
    kernel = np.exp(-squared / scale)
    inside = sum(kernel[:7, :7].ravel()) - 7 + sum(kernel[7:, 7:].ravel()) - 7
    wanted = inside / (7 * 6) - 2 * kernel[:7, 7:].mean()
    # `two_sample` draws the rows in sorted order, so that all seven are there in order.
    assert two_sample(a, b).mmd2 == pytest.approx(wanted, abs=1e-5)
