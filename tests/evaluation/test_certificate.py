"""The certificate against plain definitions: distances by brute force, and each number on a case
worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Neighbours
from coreset_engine.evaluation import covering_radius
from coreset_engine.evaluation.certificate import certify


def unit(vectors):
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def brute(vectors, kept):
    return 1 - (unit(vectors.astype(np.float64)) @ unit(vectors[kept].astype(np.float64)).T).max(
        axis=1
    )


def listed(vectors, k):
    distance = 1 - unit(vectors.astype(np.float64)) @ unit(vectors.astype(np.float64)).T
    np.fill_diagonal(distance, np.inf)
    order = np.argsort(distance, axis=1)[:, :k]
    return Neighbours(order, np.take_along_axis(distance, order, 1).astype(np.float32))


@pytest.fixture(scope="module")
def cloud():
    rng = np.random.default_rng(0)
    spread = rng.normal(size=(12, 40)) * np.linspace(3, 0.3, 40)
    around = rng.normal(size=(1500, 40)) * np.linspace(1, 0.2, 40)
    return (spread[rng.integers(0, 12, 1500)] + around).astype(np.float32)


@pytest.fixture(scope="module")
def kept(cloud):
    return np.sort(np.random.default_rng(1).permutation(1500)[:90])


@pytest.mark.parametrize("with_lists", [True, False])
@pytest.mark.parametrize("all_pairs", [0, 1e12])
def test_distances_are_those_of_brute_force(cloud, kept, with_lists, all_pairs, set_limits):
    set_limits(all_pairs_products=all_pairs)
    found = covering_radius.distance_to_kept(cloud, kept, listed(cloud, 10) if with_lists else None)
    truth = brute(cloud, kept)
    assert np.allclose(found.distance[found.proven], truth[found.proven], atol=2e-6)
    assert (found.distance >= truth - 2e-6).all() and found.distance.max() == pytest.approx(
        truth.max(), abs=2e-6
    )
    assert (found.distance[kept] == 0).all() and found.proven[kept].all()
    if all_pairs:
        assert found.proven.all()


def test_the_filter_proves_only_what_is_so_and_is_rarely_off(cloud, kept, set_limits):
    set_limits(radius_axes=24)
    rest = np.setdiff1d(np.arange(1500), kept)
    truth = brute(cloud, kept)[rest]
    found, proven = covering_radius._filtered(cloud, rest, kept)
    assert 0.05 < proven.mean() < 1 and np.allclose(found[proven], truth[proven], atol=2e-6)
    assert (found >= truth - 2e-6).all() and (np.abs(found - truth) < 1e-5).mean() > 0.6


def test_one_kept_image_and_float16_memmaps_do(cloud, tmp_path):
    np.save(tmp_path / "half.npy", cloud.astype(np.float16))
    half = np.load(tmp_path / "half.npy", mmap_mode="r")
    found = certify(half, np.array([3]))
    assert found.kept == 1 and found.worst_distance == pytest.approx(
        brute(half, [3]).max(), abs=1e-5
    )
    assert found.vendi_score == pytest.approx(1, abs=1e-4)


def test_numbers_by_hand():
    vectors = np.eye(4, dtype=np.float32)[[0, 0, 1, 1, 2, 3]]
    clusters = np.array([0, 0, 1, 1, 2, 2])
    found = certify(vectors, np.array([0, 2]), clusters=clusters, neighbours=listed(vectors, 2))
    # distances: 0 0 0 0 1 1
    assert found.mean_distance == pytest.approx(2 / 6) and found.worst_distance == pytest.approx(1)
    assert found.p95_distance == pytest.approx(1) and found.clusters_missed == 1
    assert found.balance == pytest.approx(np.log(2) / np.log(3))
    assert found.vendi_score == pytest.approx(2, rel=1e-5) and found.near_duplicates_kept == 0
    twins = certify(vectors, np.array([0, 1, 4]), clusters=clusters, neighbours=listed(vectors, 2))
    assert twins.near_duplicates_kept == 2 and twins.vendi_score == pytest.approx(
        np.exp(-(2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3))), rel=1e-5
    )


def test_energy_distance_is_zero_for_the_whole_set_and_grows_with_bias(cloud):
    full = certify(cloud, np.arange(1500))
    assert full.energy_distance == pytest.approx(0, abs=1e-6) and full.worst_distance == 0
    neighbours = np.argsort(cloud[:, 0])[:90]
    even = np.random.default_rng(3).permutation(1500)[:90]
    assert certify(cloud, neighbours).energy_distance > 5 * certify(cloud, even).energy_distance


def test_more_kept_is_never_farther(cloud):
    order = np.random.default_rng(2).permutation(1500)
    answer = [certify(cloud, order[:k]).p95_distance for k in (5, 50, 500, 1500)]
    assert answer == sorted(answer, reverse=True) and answer[-1] == 0


def test_smallest_k_is_that_of_trying_each(cloud):
    order = np.random.default_rng(2).permutation(1500)
    lists = listed(cloud, 1499)
    for wanted in (0.05, 0.2, 0.6):
        k, tight = covering_radius.smallest_k(order, lists, wanted)
        within = [(brute(cloud, order[:n]) <= wanted + 1e-7).mean() for n in (k - 1, k)]
        assert tight and within[0] < 0.95 <= within[1]
    short, tight = covering_radius.smallest_k(order, listed(cloud, 5), 0.2)
    assert (brute(cloud, order[:short]) <= 0.2 + 1e-7).mean() >= 0.95 and not tight
    assert covering_radius.smallest_k(order, lists, 2.0) == (1, True)


def test_the_search_for_k_agrees_with_the_order_it_is_from(cloud):
    order = np.random.default_rng(2).permutation(1500)
    lists = listed(cloud, 1499)
    for wanted in (0.1, 0.3):
        k, _ = covering_radius.smallest_k(order, lists, wanted)
        found = covering_radius.search_k(lambda n: order[:n], cloud, wanted, neighbours=lists)
        assert k <= found <= k + max(1, found // 200)
    assert covering_radius.search_k(lambda n: order[:n], cloud, -1.0) is None


def test_an_empty_selection_is_refused(cloud):
    with pytest.raises(BadInput, match="empty"):
        certify(cloud, np.empty(0, np.int64))
