"""The range of random selections: by hand on points whose distances are known."""

from __future__ import annotations

import numpy as np
import pytest

from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Neighbours
from coreset_engine.evaluation.random_range import random_range, spread_range

# Two directions at a right angle, four images each: the cosine distance between them is 1.
VECTORS = np.array([[1.0, 0.0]] * 4 + [[0.0, 1.0]] * 4, np.float32)
CLUSTERS = np.array([0] * 4 + [1] * 4)


def test_all_images_leave_nothing_out():
    found = random_range(VECTORS, 8, clusters=CLUSTERS)
    assert found.p95_distance == (0.0, 0.0) and found.clusters_missed == (0, 0)
    assert found.draws == 5 and found.near_duplicates_kept == (0, 0)


def test_one_image_misses_the_other_half():
    found = random_range(VECTORS, 1, clusters=CLUSTERS)
    assert found.mean_distance == pytest.approx((0.5, 0.5), abs=1e-6)
    assert found.worst_distance == pytest.approx((1.0, 1.0), abs=1e-6)
    assert found.clusters_missed == (1, 1)


def test_two_images_hit_or_miss_over_the_draws():
    found = random_range(VECTORS, 2, clusters=CLUSTERS, draws=40)
    assert found.clusters_missed == (0, 1)
    assert found.worst_distance == pytest.approx((0.0, 1.0), abs=1e-6)


def test_kept_repeats_are_counted():
    indices = np.array([[1], [0], [3], [2], [5], [4], [7], [6]])
    distances = np.array([[0.0], [0.0], [1.0], [1.0], [1.0], [1.0], [1.0], [1.0]], np.float32)
    found = random_range(VECTORS, 8, neighbours=Neighbours(indices, distances))
    assert found.near_duplicates_kept == (2, 2)


def test_balance_and_variety_of_all_images_and_of_one():
    found = spread_range(VECTORS, 8, clusters=CLUSTERS)
    assert found.balance == pytest.approx((1.0, 1.0))
    assert found.energy_distance == pytest.approx((0.0, 0.0), abs=1e-6)
    assert found.vendi_score == pytest.approx((2.0, 2.0))  # two eigenvalues of 1/2
    found = spread_range(VECTORS, 1, clusters=CLUSTERS)
    assert found.balance == pytest.approx((0.0, 0.0), abs=1e-6)
    # Twice the mean distance to all, sqrt(2) / 2, less that between all images, sqrt(2) / 2.
    assert found.energy_distance == pytest.approx((0.5**0.5, 0.5**0.5), abs=1e-6)
    assert found.vendi_score == pytest.approx((1.0, 1.0))


@pytest.mark.parametrize("measure", [random_range, spread_range])
@pytest.mark.parametrize(("k", "draws"), [(0, 5), (9, 5), (1, 0)])
def test_out_of_range_is_a_sentence(measure, k, draws):
    with pytest.raises(BadInput, match="from 1 to 8"):
        measure(VECTORS, k, draws=draws)
