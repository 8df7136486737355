"""k-center, herding and k-means medoids on points whose answer can be worked out on paper, and
against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import Tiny, ranked

from coreset_engine.selection.kernels.kmeans_partition import kmeans, proportional
from coreset_engine.selection.kernels.vectors import comparable


def test_k_center_goes_to_the_farthest_point_each_time():
    # Sener and Savarese 2018, algorithm 1: u = argmax_i min_{j in s} |x_i - x_j|, from s = {0}.
    run = Tiny([0, 1, 4, 10, 12])
    # 12 is 12 away; then 0:0 1:1 4:4 10:2 12:0 -> 4; then 1:1 10:2 -> 10; then 1.
    assert ranked("k_center", run, 5, preselected=[0]).order.tolist() == [0, 4, 2, 3, 1]
    assert ranked("k_center", run, 3, preselected=[0]).info["radius"] == pytest.approx(2)
    assert ranked("k_center", run, 2, preselected=[4, 0]).order.tolist() == [4, 0], (
        "what is given comes first"
    )


def test_k_center_starts_nearest_to_the_mean():
    assert ranked("k_center", Tiny([0, 1, 4, 10, 12]), 1).order[0] == 2, "the mean is 5.4"


def test_k_center_by_brute_force_and_within_twice_the_best_radius():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 40)).astype(np.float32)
    found = ranked("k_center", Tiny(x), 30, preselected=[7]).order[:30]
    kept = [7]
    while len(kept) < 30:
        far = np.linalg.norm(x[:, None] - x[kept][None], axis=2).min(axis=1)
        kept.append(int(far.argmax()))
    assert found.tolist() == kept


def test_herding_follows_the_mean():
    # Welling 2009, the herding update, x = (-1, 0, 4), mu = 1, w0 = mu = 1: 4 wins with <1, 4> = 4.
    # w1 = 1 + 1 - 4 = -2: -1 scores 2, 0 scores 0. w2 = -2 + 1 + 1 = 0: 0 is left.
    assert ranked("herding", Tiny([-1, 0, 4]), 3, metric="euclidean").order.tolist() == [2, 0, 1]


def test_herding_by_the_equations_in_many_dimensions():
    x = np.random.default_rng(1).normal(1, 1, size=(80, 6))
    mean = w = x.mean(0)
    left = np.ones(80, bool)
    kept = []
    for _ in range(25):
        pick = int(np.where(left, x @ w, -np.inf).argmax())
        kept.append(pick)
        left[pick] = False
        w = w + mean - x[pick]
    assert ranked("herding", Tiny(x), 25, metric="euclidean", dims=0).order[:25].tolist() == kept


def test_herding_is_exact_by_default_where_that_is_affordable(set_limits):
    from coreset_engine.selection.methods import geometric

    x = np.random.default_rng(3).normal(1, 1, size=(90, 200))
    default = ranked("herding", Tiny(x), 30)
    assert default.order[:30].tolist() == ranked("herding", Tiny(x), 30, dims=0).order[:30].tolist()
    assert default.info["dims"] == 200
    set_limits(exact_herding_products=1)
    assert ranked("herding", Tiny(x), 30).info["dims"] == geometric.FEW_AXES == 128


def test_herding_leaves_a_smaller_gap_of_the_means_than_a_random_sample():
    x = np.random.default_rng(2).normal(size=(500, 8)).astype(np.float32)
    gap = {
        name: np.linalg.norm(x[ranked(name, Tiny(x), 20).order[:20]].mean(0) - x.mean(0))
        for name in ("herding", "random")
    }
    assert gap["herding"] < 0.6 * gap["random"]


def test_kmedoids_takes_the_middle_of_each_group_largest_first():
    run = Tiny([0, 1, 2, 50, 51, 52.1, 53, 100, 101])
    order = ranked("kmedoids", run, 3, metric="euclidean").order.tolist()
    assert order[0] in (4, 5) and order[1] == 1 and order[2] in (7, 8)


def test_kmedoids_passes_over_groups_that_are_represented():
    run = Tiny([0, 1, 2, 50, 51, 52, 100, 101, 102])
    assert sorted(
        ranked("kmedoids", run, 3, preselected=[3], metric="euclidean").order.tolist()
    ) == [
        1,
        3,
        7,
    ]


def test_two_levels_of_k_means_lose_little(set_limits):

    x = np.random.default_rng(3).normal(size=(3000, 8)).astype(np.float32)
    _, plain = kmeans(x, 300, 0)
    set_limits(one_level_products=0)
    labels, split = kmeans(x, 300, 0)
    assert len(np.unique(labels)) == 300 and labels.max() == 299
    assert split.mean() < 1.1 * plain.mean()
    random = ((x[:, None] - x[None, :300]) ** 2).sum(-1).min(1)
    assert split.mean() < 0.85 * random.mean()


@pytest.mark.parametrize(
    ("sizes", "k", "share"),
    [
        ([6, 3, 1], 5, [3, 1, 1]),
        ([5, 0, 5], 10, [5, 0, 5]),
        ([97, 1, 1, 1], 4, [1, 1, 1, 1]),
        ([10, 10], 7, [4, 3]),
    ],
)
def test_proportional_shares(sizes, k, share):
    assert proportional(np.array(sizes), k).tolist() == share


def test_turning_keeps_distances_and_fewer_axes_shrink_them():
    x = np.random.default_rng(4).normal(size=(60, 10)).astype(np.float32)
    far = np.linalg.norm(x[:, None] - x[None], axis=2)
    rows = comparable(Tiny(x), "euclidean")
    assert np.allclose(np.linalg.norm(rows[:, None] - rows[None], axis=2), far, atol=1e-4)
    few = comparable(Tiny(x), "euclidean", 4)
    assert (np.linalg.norm(few[:, None] - few[None], axis=2) <= far + 1e-4).all()
    unit = comparable(Tiny(x), "cosine")
    angle = 1 - (x @ x.T) / np.outer(np.linalg.norm(x, axis=1), np.linalg.norm(x, axis=1))
    assert np.allclose(((unit[:, None] - unit[None]) ** 2).sum(-1) / 2, angle, atol=1e-5)


def test_equal_images_more_than_kept_still_give_k():
    run = Tiny([3, 3, 3, 3, 3, 8])
    for name in ("k_center", "herding", "kmedoids", "typiclust", "prototypicality", "moderate"):
        assert len(set(ranked(name, run, 5).order[:5].tolist())) == 5


def test_rows_are_kept_for_the_same_images_only():
    """A changed count reads the axes of before; other images, or another array, do not."""
    from types import SimpleNamespace

    from coreset_engine.core.types import Dataset
    from coreset_engine.selection.candidates import Pool
    from coreset_engine.selection.kernels.vectors import comparable, comparable_again

    n = 6000
    ids = np.array([str(i) for i in range(n)])
    vectors = np.random.default_rng(0).normal(size=(n, 4)).astype(np.float32)
    run = SimpleNamespace(dataset=Dataset("x", ids, "x"), vectors=vectors, seed=0)
    order = np.random.default_rng(1).permutation(n)
    first = comparable_again(Pool(run, order), "cosine", 3)
    np.testing.assert_array_equal(first, comparable(Pool(run, order), "cosine", 3))
    assert comparable_again(Pool(Pool(run, order), np.arange(n)), "cosine", 3) is first
    assert comparable_again(Pool(run, order), "euclidean", 3) is not first
    part = comparable_again(Pool(Pool(run, order), np.arange(5500)), "cosine", 3)
    np.testing.assert_array_equal(part, comparable(Pool(run, order[:5500]), "cosine", 3))
    run.vectors = vectors + 1
    other = comparable_again(Pool(run, order), "cosine", 3)
    np.testing.assert_array_equal(other, comparable(Pool(run, order), "cosine", 3))
    few = Pool(run, order[:100])
    assert comparable_again(few, "cosine", 3) is not comparable_again(few, "cosine", 3)
