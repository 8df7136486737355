"""The proposal of a number of clusters: right on clear data, calm on unclear data."""

import numpy as np
import pytest

from coreset_engine.clustering import n_clusters
from coreset_engine.clustering.pseudo_labels import propose_n_clusters
from coreset_engine.core.errors import BadInput


@pytest.fixture(autouse=True)
def small_sample(set_limits):
    set_limits(proposal_images=600)


def blobs(count, n=1500, dims=32, spread=0.8, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(count, dims))
    return (centres[rng.integers(0, count, n)] + rng.normal(0, spread, (n, dims))).astype(
        np.float32
    )


@pytest.mark.integration
@pytest.mark.parametrize("count", [4, 10, 15])
def test_clear_groups_are_counted(count):
    """k-means may miss its best partition at one count, which moves elbow and silhouette by one
    step of the grid."""
    found = propose_n_clusters(blobs(count))
    assert found.n_clusters == found.votes["elbow"] and abs(found.n_clusters - count) <= 1
    assert found.votes["eigengap"] == count and abs(found.votes["silhouette"] - count) <= 1
    assert found.n_images == 600
    assert len(found.grid) == len(found.objective) == len(found.silhouette) == len(found.gaps)
    assert (
        (np.diff(found.grid) > 0).all()
        and (np.abs(found.silhouette) <= 1).all()
        and (found.gaps >= 0).all()
    )


def test_silhouette_agrees_with_scikit_learn():
    import torch
    from sklearn.metrics import silhouette_score

    vectors = blobs(5, n=200)
    rows = torch.nn.functional.normalize(torch.from_numpy(vectors), dim=1)
    own = torch.from_numpy(np.random.default_rng(0).integers(0, 4, 200))
    found = n_clusters._silhouette(rows @ rows.T, own, 4)
    assert found == pytest.approx(silhouette_score(vectors, own.numpy(), metric="cosine"), abs=1e-5)


@pytest.mark.integration
def test_same_seed_same_proposal():
    first, again = (propose_n_clusters(blobs(7, spread=2), seed=5) for _ in range(2))
    np.testing.assert_array_equal(first.objective, again.objective)
    assert first.n_clusters == again.n_clusters


@pytest.mark.parametrize("n", [1, 2, 9, 10, 40])
def test_small_sets_get_a_possible_count(n):
    found = propose_n_clusters(blobs(3, n=n))
    assert 1 <= found.n_clusters <= max(1, n // 5)


def test_equal_images_are_one_cluster_and_duplicates_do_not_multiply():
    assert propose_n_clusters(np.ones((100, 8), np.float32)).n_clusters == 1
    repeated = np.repeat(blobs(4, n=4), 50, axis=0)
    found = propose_n_clusters(repeated)
    assert found.n_clusters <= 4 and found.grid.max() <= 4


def test_bad_vectors_are_refused():
    with pytest.raises(BadInput, match="shape"):
        propose_n_clusters(np.zeros((0, 4), np.float32))
    broken = blobs(3)
    broken[:, 2] = np.inf
    with pytest.raises(BadInput, match="infinity"):
        propose_n_clusters(broken)
