"""Prototypicality, moderate and TypiClust against their papers on points worked by hand."""

from __future__ import annotations

import numpy as np
from tiny import Tiny, ranked

from coreset_engine.selection.methods.prototypes import repeats, typicality


def on_circle(*degrees):
    return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], 1)


def test_prototypicality_keeps_what_is_far_from_its_centre():
    # Sorscher 2022: two clusters around 10 and 184 degrees; 30 is the farthest from its own centre.
    run = Tiny(on_circle(0, 5, 30, 180, 184, 189))
    hard = ranked("prototypicality", run, 2, n_clusters=2, balance=0.0)
    assert hard.order[0] == 2 and hard.nested
    easy = ranked("prototypicality", run, 2, n_clusters=2, balance=0.0, keep="easy")
    assert easy.order[0] == 4 and easy.order[-1] == 2 and np.allclose(easy.scores, -hard.scores)


def test_prototypicality_balance_grants_each_cluster_its_share():
    wide = np.linspace(0, 60, 20)
    narrow = np.linspace(180, 184, 20)
    run = Tiny(on_circle(*wide, *narrow))
    for balance, least in ((0.0, 0), (0.5, 3), (1.0, 6)):
        kept = ranked("prototypicality", run, 12, n_clusters=2, balance=balance).order[:12]
        assert (kept >= 20).sum() == least


def test_moderate_keeps_the_median_distance():
    # Xia 2023: one class, centre 0, distances 5 1 0 2 4: median 2, gaps 3 1 2 0 2.
    found = ranked("moderate", Tiny([-5, -1, 0, 2, 4]), 2)
    assert np.allclose(found.scores, [-3, -1, -2, 0, -2], atol=1e-5) and found.order[
        :2
    ].tolist() == [3, 1]


def test_moderate_takes_each_class_by_its_own_centre():
    # Class 0 at -1, 0, 1 (distances 1 0 1); class 1 at 96, 100, 104 (distances 4 0 4). Median of 0
    # 0 1 1 4 4 is 1.
    found = ranked("moderate", Tiny([-1, 0, 1, 96, 100, 104], labels=[0, 0, 0, 1, 1, 1]), 3)
    assert np.allclose(found.scores, [0, -1, 0, -3, -1, -3], atol=1e-4) and set(
        found.order[:2]
    ) == {0, 2}


def test_moderate_of_the_released_program_takes_medians_and_a_window_of_ranks():
    # One class at 0 1 2 3 14: the mean is 4, the median 2. Distances to the mean 4 3 2 1 10, their
    # median 3: image 1 is exactly there. To the median 2 1 0 1 12, their median 1.
    run = Tiny([0, 1, 2, 3, 14])
    assert ranked("moderate", run, 1).order[0] == 1
    scores = ranked("moderate", run, 1, centre="median").scores
    assert np.allclose(scores, [-1, 0, -1, 0, -11])
    skewed = Tiny([-1, -2, -3, -10, -30], labels=[0] * 5)
    by_rank = ranked("moderate", skewed, 3, centre="median", window="rank").order[:3]
    by_distance = ranked("moderate", skewed, 3, centre="median").order[:3]
    # Centre -3: distances 2 1 0 7 27, median 2. Ranks around the middle: 1 2 7. Closest to 2: 2 1
    # 0.
    assert set(by_rank.tolist()) == {0, 1, 3} and set(by_distance.tolist()) == {0, 1, 2}


def test_typicality_is_one_over_the_mean_distance():
    # Hacohen 2022, eq. 4 with K = 2: point 1 has 1 and 2 -> 1 / 1.5; point 0 has 1 and 3 -> 1 / 2;
    # 3 has 2 and 3.
    rows = np.array([[0], [1], [3], [100]], np.float32)
    got = typicality(rows, np.array([0, 0, 0, 1]), 2)
    assert np.allclose(got, [1 / 2, 1 / 1.5, 1 / 2.5, 0])


def test_typiclust_takes_the_typical_image_of_the_largest_cluster_first():
    x = np.concatenate([[0, 1, 2, 3, 4.2, 5.5, 7], 100 + np.array([0, 1, 2, 3.2, 4.6])])
    order = ranked("typiclust", Tiny(x), 2, metric="euclidean", neighbours=2).order.tolist()
    assert order[:2] == [1, 8] or order[:2] == [2, 8], order
    # The first cluster has an image already: the other one comes first.
    order = ranked("typiclust", Tiny(x), 2, metric="euclidean", neighbours=2, preselected=[6]).order
    assert order[:2].tolist() == [6, 8]


def test_typiclust_never_makes_more_than_max_clusters():
    x = np.random.default_rng(0).normal(size=(200, 4))
    found = ranked("typiclust", Tiny(x), 50, max_clusters=10)
    assert "10 clusters" in found.info["reason"] and len(set(found.order[:50].tolist())) == 50


def test_repeats_are_found_bit_by_bit():
    x = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)
    twice = np.vstack([x, x[::-1]])
    assert repeats(twice).tolist() == [False] * 50 + [True] * 50
    twice[50, 3] = np.nextafter(twice[50, 3], np.float32(9))
    assert not repeats(twice)[50]


def test_typiclust_leaves_small_clusters_to_the_end_by_paper_and_program():
    # Clusters of 7, 5 and 4 images: Hacohen 2022 passes over those under 5, the program over those
    # of 5 too.
    x = np.concatenate([np.arange(7) / 10, 100 + np.arange(5) / 10, 200 + np.arange(4) / 10])
    options = dict(metric="euclidean", max_clusters=3)
    paper = ranked("typiclust", Tiny(x), 12, **options).order[:12]
    assert set(paper.tolist()) == set(range(12)), "the cluster of 4 is last"
    program = ranked("typiclust", Tiny(x), 7, variant="program", **options).order[:7]
    assert set(program.tolist()) == set(range(7))


def test_typiclust_of_the_released_program_averages_over_half_of_what_is_left():
    # One cluster 0 1 2 4 7 11: half of 6 is 3 neighbours. Mean squared distances to the nearest
    # three: 0: (1 + 4 + 16) / 3 = 7; 1: (1 + 1 + 9) / 3 = 3.7; 2: (1 + 4 + 4) / 3 = 3; 4: (4 + 9 +
    # 9)
    # / 3 = 7.3: image 2 is first. Left 0 1 4 7 11, two neighbours: 0: (1 + 16) / 2; 1: (1 + 9) / 2
    # =
    # 5; 4: (9 + 9) / 2 = 9; 7: (9 + 16) / 2: image 1 is second.
    run = Tiny([0, 1, 2, 4, 7, 11])
    options = dict(metric="euclidean", max_clusters=1, variant="program")
    assert ranked("typiclust", run, 2, **options).order[:2].tolist() == [2, 1]
    # By eq. 4 over min(20, 5) neighbours: sums of plain distances 25 21 19 19 25 41.
    paper = ranked("typiclust", run, 3, metric="euclidean", max_clusters=1).order[:3]
    assert set(paper[:2].tolist()) == {2, 3} and paper[2] == 1


def test_typiclust_is_nested_from_as_many_images_as_clusters_on():
    rows = np.random.default_rng(0).normal(size=(120, 5))
    long = ranked("typiclust", Tiny(rows), 90, max_clusters=15)
    for k in (15, 40):
        own = ranked("typiclust", Tiny(rows), k, max_clusters=15)
        assert long.serves(k) and own.order[:k].tolist() == long.order[:k].tolist()
    assert not long.serves(14)
    assert not ranked("typiclust", Tiny(rows), 14, max_clusters=15).serves(10)
