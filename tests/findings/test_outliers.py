"""Outliers against their own cluster, and images alone in theirs."""

from __future__ import annotations

import numpy as np

from coreset_engine.core.types import Neighbours
from coreset_engine.findings.outliers import distance_ratio, outliers, proposed_ratio, singletons


def flat(distances):
    """Neighbours whose every distance of image i is distances[i]."""
    values = np.asarray(distances, np.float32)[:, None] * np.ones((1, 3), np.float32)
    return Neighbours(np.zeros(values.shape, np.int64), values)


def test_the_ratio_is_to_the_median_of_the_own_cluster():
    neighbours = flat([1, 1, 1, 1, 3, 10, 10, 10, 10, 10])
    clusters = np.array([0] * 5 + [1] * 5)
    assert distance_ratio(neighbours, clusters, 3).tolist() == [1, 1, 1, 1, 3, 1, 1, 1, 1, 1]
    # Against the whole set the wide cluster would have been the outlier.
    assert distance_ratio(neighbours, None, 3)[5:].min() > distance_ratio(neighbours, None, 3)[0]


def test_a_cluster_too_small_for_a_median_is_measured_against_all():
    neighbours = flat([1] * 9 + [8])
    assert distance_ratio(neighbours, np.array([0] * 9 + [1]), 2)[9] == 8


def test_an_image_twice_as_far_as_a_tight_cluster_is_found_first():
    rng = np.random.default_rng(1)
    distances = np.append(np.exp(rng.normal(0, 0.05, 200)), [2.0, 3.0])
    made = outliers(flat(distances), None, k=3)
    assert made.positions.tolist() == [201, 200] and made.threshold == proposed_ratio(distances)


def test_a_given_threshold_is_used():
    made = outliers(flat([1.0, 1.0, 1.0, 1.5]), None, k=1, threshold=1.4)
    assert made.positions.tolist() == [3] and made.threshold == 1.4


def test_images_alone_in_their_class_or_cluster():
    clusters = np.array([0, 0, 1, 2, 2])
    labels = np.array([0, -1, 1, 1, 3])
    assert singletons(clusters, None).positions.tolist() == [2]
    assert singletons(clusters, labels).positions.tolist() == [0, 2, 4]
    assert singletons(None, labels).positions.tolist() == [0, 4]
