"""Facility location, graph cut, ProbCover and D2: worked by hand on a line, and against plain
greedy loops."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tiny import Tiny, line_graph, ranked

from coreset_engine.core.types import Neighbours
from coreset_engine.selection.methods.graphs import likeness, pure_radius, symmetric


@dataclasses.dataclass
class Watched:
    el2n: np.ndarray


def cosine_graph(points, k):
    """Distances of points on a line divided by ten, called cosine distances."""
    near = line_graph(np.asarray(points) / 10, k)
    return dataclasses.replace(near, metric="cosine")


def many(n: int = 90, k: int = 12) -> tuple[Tiny, np.ndarray]:
    """A run of n random points with its dense likeness matrix (sparse graph filled with 0)."""
    x = np.random.default_rng(0).normal(size=(n, 3))
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    far = 1 - unit @ unit.T
    np.fill_diagonal(far, np.inf)
    order = np.argsort(far, axis=1)[:, :k]
    near = Neighbours(order, np.take_along_axis(far, order, 1).astype(np.float32))
    return Tiny(x, neighbours=near), likeness(near).toarray()


def greedy(n, k, gain):
    kept = []
    while len(kept) < k:
        gains = [gain(kept, j) if j not in kept else -np.inf for j in range(n)]
        kept.append(int(np.argmax(gains)))
    return kept


def test_facility_location_by_hand():
    # s = 1 - |x - y| / 10: the middle of 0 1 2 represents 0.9 + 1 + 0.9; then the pair at 18, 18.5
    # gives 1.95.
    run = Tiny([0, 1, 2, 18, 18.5], neighbours=cosine_graph([0, 1, 2, 18, 18.5], 2))
    assert ranked("facility_location", run, 2).order[0] == 1
    assert ranked("facility_location", run, 2).order[1] in (3, 4)
    assert ranked("facility_location", run, 2, preselected=[3]).order[:2].tolist() == [3, 1]


def test_lazy_facility_location_is_the_plain_greedy():
    run, s = many()
    wanted = greedy(len(s), 25, lambda kept, j: s[kept + [j]].max(0).sum())
    assert ranked("facility_location", run, 25).order[:25].tolist() == wanted


def test_facility_location_value_is_within_1_minus_1_over_e_of_the_best_pair():
    run, s = many(30, 8)
    best = max(s[[i, j]].max(0).sum() for i in range(30) for j in range(i))
    assert s[ranked("facility_location", run, 2).order[:2]].max(0).sum() >= (1 - np.exp(-1)) * best


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_lazy_graph_cut_is_the_plain_greedy(weight):
    run, s = many()
    # Iyer 2021: f(S) = sum_{i in V, j in S} s_ij - lambda sum_{i, j in S} s_ij.
    value = lambda kept: s[kept].sum() - weight * s[np.ix_(kept, kept)].sum()  # noqa: E731
    wanted = greedy(len(s), 25, lambda kept, j: value(kept + [j]) - value(kept))
    assert ranked("graph_cut", run, 25, diversity=weight).order[:25].tolist() == wanted


def test_probcover_by_hand():
    # One label, so the radius is as far as the graph reaches: 1, here cosine 0.1. The ball around 1
    # holds three.
    points = [0, 1, 2, 20, 21]
    found = ranked("probcover", Tiny(points, neighbours=cosine_graph(points, 1)), 2)
    assert (
        found.info["radius"] == pytest.approx(0.1)
        and found.order[0] == 1
        and found.order[1] in (3, 4)
    )


def test_purity_sets_the_radius():
    # First neighbour of another label: from 0 2 away, from 1 and 2 1 away, from 3.5 2.5, from 9 8.
    near = line_graph([0, 1, 2, 3.5, 9], 4)
    labels = np.array([0, 0, 1, 1, 1])
    assert pure_radius(near, labels, 1.0) == pytest.approx(1), "balls {d < 1} are pure"
    assert pure_radius(near, labels, 0.6) == pytest.approx(2), "two of five balls may be impure"
    assert pure_radius(near, labels, 0.4) == pytest.approx(2.5)
    assert pure_radius(near, np.zeros(5, int), 1.0) == pytest.approx(9), (
        "all pure: as far as the graph reaches"
    )


def test_a_graph_without_neighbours():
    alone = Tiny(
        [3], neighbours=Neighbours(np.empty((1, 0), np.int64), np.empty((1, 0), np.float32))
    )
    for name in ("facility_location", "graph_cut", "probcover", "d2"):
        assert ranked(name, alone, 1).order.tolist() == [0]


def test_probcover_covers_most_first_then_halves_the_radius():
    from coreset_engine.selection.kernels import greedy as loops

    near = line_graph([0, 1, 2, 10, 11, 30], 5)
    links = symmetric(near, near.distances)
    run = lambda radii, k, first=(): loops.cover_balls(  # noqa: E731
        links.indptr, links.indices, links.data, np.array(radii), np.array(first, np.int64), k
    ).tolist()
    assert run([1.5], 6) == [1, 3, 5], "three balls cover all; no other gains"
    assert run([1.5], 6, [0]) == [0, 3, 1, 5], (
        "0 covers 1; 2 is open, and the ball around 1 holds it"
    )
    assert run([1.5, 0.75], 6) == [1, 3, 5, 0, 2, 4]


def test_d2_by_the_equations():
    # Maharana 2024 on a line 0 1 3 with one neighbour each, uniform: 0 -> 1, 1 -> 0, 2 -> 1.
    near = line_graph([0, 1, 3], 1)
    run = Tiny([0, 1, 3], neighbours=near)
    # Forward: 1 + e^-1, 1 + e^-1, 1 + e^-4. First 0; then 1 loses e^-1 (1 + e^-1) and 2 (nobody's
    # loss) is next.
    assert ranked("d2", run, 3).order.tolist() == [0, 2, 1] or ranked(
        "d2", run, 3
    ).order.tolist() == [1, 2, 0]


def test_d2_by_a_plain_loop_with_difficulty():
    run, _ = many()
    hard = np.random.default_rng(1).random(90)

    run._dynamics = Watched(hard)
    near = run.neighbours
    indices = near.indices[:, :5]
    square = 2 * near.distances[:, :5].astype(np.float64)
    x = (hard - hard.min()) / (hard.max() - hard.min())
    score = x + (np.exp(-0.7 * square) * x[indices]).sum(1)
    kept = []
    for _ in range(30):
        pick = int(np.where(np.isin(np.arange(90), kept), -np.inf, score).argmax())
        kept.append(pick)
        score[indices[pick]] -= np.exp(-0.3 * square[pick]) * max(score[pick], 0)
    found = ranked("d2", run, 30, score="el2n", neighbours=5, forward=0.7, reverse=0.3)
    assert found.order[:30].tolist() == kept


def test_likeness_is_symmetric_with_ones_on_the_diagonal():
    near = cosine_graph([0, 1, 3, 9], 1)
    s = likeness(near).toarray()
    assert np.allclose(s, s.T) and np.allclose(np.diag(s), 1)
    assert s[0, 1] == pytest.approx(0.9) and s[1, 2] == pytest.approx(0.8) and s[0, 2] == 0
