"""What all methods share: the input order, tiny sets, shifts and scales that must not matter, and
filling up to k."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from small_run import digits, nearest, reordered
from tiny import Tiny, ranked

from coreset_engine.core.registry import METHODS
from coreset_engine.selection.candidates import Pool
from coreset_engine.selection.canonical_order import filled, relative_weights
from coreset_engine.selection.select import choose

GEOMETRIC = ("k_center", "herding", "kmedoids", "typiclust", "prototypicality", "moderate")
GRAPHS = ("facility_location", "graph_cut", "probcover", "d2")
GRADIENTS = ("badge", "craig", "gradmatch", "glister")
every = pytest.mark.parametrize("name", sorted(METHODS))


@pytest.mark.parametrize("name", [*GEOMETRIC, *GRAPHS, *GRADIENTS, "auto"])
def test_listed_otherwise_the_same_images_in_the_same_order(name):
    run = digits()
    order = np.random.default_rng(5).permutation(300)
    one = choose(name, run, prune_rate=0.8)
    two = choose(name, reordered(run, order), prune_rate=0.8)
    assert one.ids.tolist() == two.ids.tolist() and np.allclose(one.weights, two.weights)


@every
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_a_set_of_a_few_images(name, n):
    run = Pool(digits(20), np.arange(n))
    for rate in (0.0, 0.5, 0.99):
        chosen = choose(name, run, prune_rate=rate)
        assert len(chosen) == len(set(chosen.ids)) == max(1, int(np.floor((1 - rate) * n + 0.5)))


@every
def test_all_images_equal(name):
    same = np.ones((40, 64), np.float32)
    run = dataclasses.replace(digits(40), vectors=same, neighbours=nearest(same, 10))
    assert len(set(choose(name, run, prune_rate=0.5).ids)) == 20


@pytest.mark.parametrize("name", ["k_center", "kmedoids", "moderate", "typiclust"])
def test_a_constant_added_to_all_vectors_changes_nothing_for_euclidean_distances(name):
    x = np.random.default_rng(0).normal(size=(200, 6))
    one, two = (
        ranked(name, Tiny(vectors), 40, metric="euclidean").order[:40] for vectors in (x, x + 3)
    )
    assert len(set(one.tolist()) & set(two.tolist())) >= 36, "rounding may turn a near tie"


@pytest.mark.parametrize("name", ["kmedoids", "typiclust", "herding", "prototypicality"])
def test_lengths_of_vectors_do_not_matter_for_cosine_distances(name):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 6))
    one, two = (
        ranked(name, Tiny(vectors), 40).order[:40]
        for vectors in (x, x * rng.uniform(0.5, 4, (200, 1)))
    )
    assert len(set(one.tolist()) & set(two.tolist())) >= 39, "rounding may turn a near tie"


@pytest.mark.parametrize("name", [*GEOMETRIC, *GRAPHS, *GRADIENTS])
def test_half_precision_vectors_and_read_only_ones(name):
    run = digits()
    half = run.vectors.astype(np.float16)
    half.setflags(write=False)
    one = choose(name, run, prune_rate=0.9)
    two = choose(name, dataclasses.replace(run, vectors=half), prune_rate=0.9)
    assert one.ids.tolist() == two.ids.tolist(), "pixels 0..16 are exact in half precision"


@pytest.mark.parametrize("name", GEOMETRIC)
def test_not_a_number_is_refused(name):
    from coreset_engine.core.errors import BadInput

    x = np.random.default_rng(0).normal(size=(30, 3))
    x[7, 1] = np.nan
    with pytest.raises(BadInput, match="NaN or infinity"):
        ranked(name, Tiny(x), 5)


@pytest.mark.parametrize("name", ["kmedoids", "badge", "typiclust"])
def test_another_seed_is_another_draw(name):
    run = digits()
    one, two = (set(choose(name, run, prune_rate=0.9, seed=seed).ids) for seed in (0, 1))
    assert one != two


def test_neighbours_outside_the_pool_are_no_links():
    """`never` images take no part: neither kept nor counted as covered, though others are their
    neighbours."""
    run = digits()
    never = run.dataset.ids[::2]
    for name in GRAPHS:
        chosen = choose(name, run, prune_rate=0.6, never=never)
        assert len(chosen) == 120 and not set(chosen.ids) & set(never)


def test_filling():
    assert filled(np.array([3, 1]), 5, 4).tolist() == [3, 1, 0, 2]
    assert filled(np.array([3, 1]), 5, 2, np.array([1])).tolist() == [1, 3]
    assert filled(np.array([], int), 3, 3).tolist() == [0, 1, 2]
    assert relative_weights(np.array([6.0, 0, 2]), np.array([0, 2])).tolist() == [1.5, 1, 0.5]


def test_equal_distances_go_by_seed_not_by_place():
    """Four corners of a square: which is first must not be where the source happens to list it."""
    square = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    firsts = {int(ranked("k_center", Tiny(square), 1, seed=seed).order[0]) for seed in range(20)}
    assert len(firsts) >= 3
    assert nearest(np.eye(3, dtype=np.float32), 2).indices.shape == (3, 2)
