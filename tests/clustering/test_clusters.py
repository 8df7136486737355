"""Spherical k-means, the clusterer dispatch and the matching of clusters."""

import numpy as np
import pytest
from gaussian_blobs import blobs

from coreset_engine.clustering import contingency
from coreset_engine.clustering.pseudo_labels import pseudo_labels
from coreset_engine.core.errors import BadInput


def test_kmeans_finds_blobs_whatever_the_length_of_vectors():
    vectors, truth = blobs([80] * 5)
    scaled = vectors * np.random.default_rng(1).uniform(0.1, 10, (len(vectors), 1)).astype(
        np.float32
    )
    found = pseudo_labels(scaled, 5, "kmeans")
    assert contingency.accuracy(found.labels, truth) > 0.97
    assert found.labels.dtype == np.int64 and found.confidence.dtype == np.float32
    assert ((found.confidence > 0) & (found.confidence <= 1)).all()


def test_kmeans_is_the_same_for_a_seed():
    vectors, _ = blobs([50] * 4, spread=2)
    first, again = (pseudo_labels(vectors, 4, "kmeans", seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.labels, again.labels)


def test_every_cluster_is_used_even_when_all_images_are_singletons_or_duplicates():
    vectors, _ = blobs([1] * 12)
    assert len(np.unique(pseudo_labels(vectors, 12, "kmeans").labels)) == 12
    repeated = np.repeat(vectors[:4], 50, axis=0)
    assert len(np.unique(pseudo_labels(repeated, 4, "kmeans").labels)) == 4
    with pytest.raises(BadInput, match="distinct"):
        pseudo_labels(repeated, 6, "kmeans")


@pytest.mark.parametrize("n_clusters", [0, -1, 2.5, 13, float("nan")])
def test_impossible_cluster_counts_are_refused(n_clusters):
    vectors, _ = blobs([1] * 12)
    with pytest.raises(BadInput, match="n_clusters="):
        pseudo_labels(vectors, n_clusters, "kmeans")


def test_bad_vectors_method_and_setting_are_refused():
    vectors, _ = blobs([10] * 2)
    broken = vectors.copy()
    broken[7, 3] = np.nan
    with pytest.raises(BadInput, match="row 7"):
        pseudo_labels(broken, 2, "kmeans")
    with pytest.raises(BadInput, match="'kmeans'"):
        pseudo_labels(vectors, 2, "kmean")
    with pytest.raises(BadInput, match="n_starts"):
        pseudo_labels(vectors, 2, "kmeans", n_starts=0)


def test_matching_by_hand():
    truth = np.array([0, 0, 0, 1, 1, 2, 2, -1])
    pseudo = np.array([2, 2, 1, 0, 0, 1, 1, 0])
    found = contingency.label_quality(pseudo, truth, 3, 3)
    assert found["mapping"].tolist() == [1, 2, 0]
    assert found["accuracy"] == pytest.approx(6 / 7) and found[
        "misclassification"
    ] == pytest.approx(1 / 7)
    assert found["confusion"].tolist() == [[2, 0, 1], [0, 2, 0], [0, 0, 2]]
    assert found["class_errors"] == pytest.approx([1 / 3, 0, 0])


def test_over_clustering_leaves_the_extra_cluster_unmatched_but_named():
    truth = np.array([0, 0, 0, 1, 1, 1])
    pseudo = np.array([0, 0, 2, 1, 1, 1])
    found = contingency.label_quality(pseudo, truth)
    assert found["mapping"].tolist() == [0, 1, -1] and found["named"].tolist() == truth.tolist()
    assert found["accuracy"] == pytest.approx(5 / 6) and found["purity"] == 1


def test_classes_no_cluster_is_named_after_are_wholly_wrong():
    found = contingency.label_quality(np.array([0, 0, 0, 1, 1, 0]), np.array([0, 0, 0, 1, 1, 2]), 4)
    assert found["confusion"].tolist() == [[3, 0, 0], [0, 2, 0], [1, 0, 0]]
    assert found["class_errors"].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    "pseudo, truth, nmi, ari",
    [
        # entropies 1.5 ln 2 and ln 2, mutual information ln 2: 2 / 2.5. Pairs together: 1 in both,
        # 1 and 2 in each, 6 in all, so (1 - 1/3) / (3/2 - 1/3).
        ([0, 0, 1, 2], [0, 0, 1, 1], 0.8, 4 / 7),
        # independent of each other: no pair is together in both; (0 - 2/3) / (2 - 2/3)
        ([0, 1, 0, 1], [0, 0, 1, 1], 0.0, -0.5),
        ([5, 5, 3, 3], [0, 0, 1, 1], 1.0, 1.0),
        ([0, 0, 0], [2, 2, 2], 1.0, 1.0),
        # the last two pairs are unknown and left out
        ([0, 0, 1, 2, -1, 0], [0, 0, 1, 1, 0, -1], 0.8, 4 / 7),
    ],
)
def test_nmi_and_ari_by_hand(pseudo, truth, nmi, ari):
    pseudo = np.array(pseudo)
    truth = np.array(truth)
    assert contingency.nmi(pseudo, truth) == pytest.approx(nmi, abs=1e-12)
    assert contingency.ari(pseudo, truth) == pytest.approx(ari, abs=1e-12)


def test_renamed_clusters_are_fully_accurate():
    truth = np.random.default_rng(0).integers(0, 5, 300)
    assert contingency.accuracy((truth + 1) % 5, truth) == 1


def test_labels_of_two_lengths_are_refused():
    for measure in (contingency.nmi, contingency.ari, contingency.accuracy):
        with pytest.raises(BadInput, match="give two of one length"):
            measure(np.zeros(3, int), np.zeros(4, int))
