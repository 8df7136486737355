"""Matching, NMI and ARI against scikit-learn and against cases done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from ui.state.clusters import compare_labels, distinct, matched_names


@pytest.mark.parametrize("seed,clusters,classes", [(0, 5, 5), (1, 9, 4), (2, 3, 7)])
def test_against_scikit_learn(seed, clusters, classes):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, 500)
    pseudo = np.where(rng.random(500) < 0.7, truth % clusters, rng.integers(0, clusters, 500))
    got = compare_labels(pseudo, truth, clusters, classes)
    assert got.nmi == pytest.approx(normalized_mutual_info_score(truth, pseudo))
    assert got.ari == pytest.approx(adjusted_rand_score(truth, pseudo))
    assert got.misclassified == pytest.approx(np.mean(got.class_of[pseudo] != truth))


def test_permuted_clusters_are_no_error():
    truth = np.repeat([0, 1, 2], 10)
    got = compare_labels(np.array([2, 0, 1])[truth], truth, 3, 3)
    assert got.misclassified == 0 and got.class_of.tolist() == [1, 2, 0] and got.ari == 1
    assert matched_names(got, ("a", "b", "c"), 3) == ["b", "c", "a"]


def test_unknown_truth_is_left_out_and_empty_clusters_have_no_class():
    truth = np.array([0, 0, 1, 1, -1])
    got = compare_labels(np.array([0, 0, 0, 1, 1]), truth, 3, 3)
    assert got.wrong.tolist() == [False, False, True, False, False]
    assert got.misclassified == 0.25 and got.class_of.tolist() == [0, 1, -1]
    assert matched_names(got, ("a", "b", "c"), 3) == ["a", "b", "cluster 2"]
    assert got.per_class[:2].tolist() == [0, 0.5] and np.isnan(got.per_class[2])


def test_a_cluster_without_a_majority_is_named_by_its_two_commonest_classes():
    truth = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, 2])
    got = compare_labels(np.array([0, 0, 0, 1, 1, 1, 0, 1, 1, 1]), truth, 2, 3)
    assert got.majority.tolist() == [0, -1]  # 3 of 4, and 3 of 6, which is not a majority
    assert matched_names(got, ("cat", "gravel", "brick"), 2) == ["cat", "gravel / brick"]


def test_no_two_clusters_have_one_name():
    assert matched_names(None, (), 2) == ["cluster 0", "cluster 1"]
    assert distinct(["cat", "dog", "cat"]) == ["cat (cluster 0)", "dog", "cat (cluster 2)"]
