"""Facility location, graph cut, ProbCover and D2: worked by hand on a line, and against plain
greedy loops."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tiny import Tiny, line_graph, ranked

from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Neighbours
from coreset_engine.selection.methods.graphs import as_links, pure_radius, similarity, symmetric


@dataclasses.dataclass
class Watched:
    el2n: np.ndarray
    aum: np.ndarray | None = None
    info: dict = dataclasses.field(default_factory=dict)


def cosine_graph(points, k):
    """Distances of points on a line divided by ten, called cosine distances."""
    neighbours = line_graph(np.asarray(points) / 10, k)
    return dataclasses.replace(neighbours, metric="cosine")


def many(n: int = 90, k: int = 12) -> tuple[Tiny, np.ndarray]:
    """A run of n random points with its dense similarity matrix (sparse graph filled with 0)."""
    x = np.random.default_rng(0).normal(size=(n, 3))
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    far = 1 - unit @ unit.T
    np.fill_diagonal(far, np.inf)
    order = np.argsort(far, axis=1)[:, :k]
    neighbours = Neighbours(order, np.take_along_axis(far, order, 1).astype(np.float32))
    return Tiny(x, neighbours=neighbours), similarity(neighbours).toarray()


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
    neighbours = line_graph([0, 1, 2, 3.5, 9], 4)
    labels = np.array([0, 0, 1, 1, 1])
    assert pure_radius(neighbours, labels, 1.0) == pytest.approx(1), "balls {d < 1} are pure"
    assert pure_radius(neighbours, labels, 0.6) == pytest.approx(2), (
        "two of five balls may be impure"
    )
    assert pure_radius(neighbours, labels, 0.4) == pytest.approx(2.5)
    assert pure_radius(neighbours, np.zeros(5, int), 1.0) == pytest.approx(9), (
        "all pure: as far as the graph reaches"
    )


def test_a_graph_without_neighbours():
    alone = Tiny(
        [3], neighbours=Neighbours(np.empty((1, 0), np.int64), np.empty((1, 0), np.float32))
    )
    for name in ("facility_location", "graph_cut", "probcover", "d2"):
        assert ranked(name, alone, 1).order.tolist() == [0]


@pytest.mark.integration
def test_probcover_covers_most_first_then_halves_the_radius():
    from coreset_engine.selection.kernels import greedy as loops

    neighbours = line_graph([0, 1, 2, 10, 11, 30], 5)
    links = symmetric(neighbours, neighbours.distances, own=0.0)

    def run(radii, k, first=()):
        radii = np.array(radii)
        return loops.cover_balls(as_links(links), radii, np.array(first, np.int64), k).tolist()

    assert run([1.5], 6) == [1, 3, 5], "three balls cover all; no other gains"
    assert run([1.5], 6, [0]) == [0, 3, 1, 5], (
        "0 covers 1; 2 is open, and the ball around 1 holds it"
    )
    assert run([1.5, 0.75], 6) == [1, 3, 5, 0, 2, 4]


def on_circle(degrees, k):
    """Unit vectors on a circle with their k nearest by cosine distance."""
    at = np.radians(np.asarray(degrees, np.float64))
    far = 1 - np.cos(at[:, None] - at[None])
    np.fill_diagonal(far, np.inf)
    order = np.argsort(far, axis=1, kind="stable")[:, :k]
    neighbours = Neighbours(order, np.take_along_axis(far, order, 1).astype(np.float32), "cosine")
    vectors = np.stack([np.cos(at), np.sin(at)], 1)
    return Tiny(vectors, labels=[0] * len(at), neighbours=neighbours)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("distance", ["squared", "plain"])
def test_d2_on_an_undirected_graph_keeps_the_middle(seed, distance):
    # Maharana 2024, section 3.2: 0 and 10 degrees are linked (10 is 0's nearest), 10 and 15 are
    # (each other's nearest). The middle one hears from both sides, the ends from one.
    run = on_circle([0, 10, 15], 1)
    found = ranked("d2", run, 1, seed=seed, neighbours=1, distance=distance)
    assert found.order[0] == 1


def test_d2_messages_by_hand():
    # On the line 0, 1, 3, one neighbour each, linked 0-1 and 1-3, gamma 1, uniform scores of 1.
    # Forward (eq. 2): 1 + e^-1 = 1.368; 1 + e^-1 + e^-4 = 1.386; 1 + e^-4 = 1.018. The middle goes
    # first. Reverse (eq. 3): 0 is left with 1.368 - e^-1 1.386 = 0.858, 3 with 1.018 - e^-4 1.386 =
    # 0.993: the far end is next.
    run = Tiny([0, 1, 3], neighbours=line_graph([0, 1, 3], 1))
    assert ranked("d2", run, 3, neighbours=1).order.tolist() == [1, 2, 0]
    # With the program's e^-d the messages of 1-3 weigh e^-2: 1.368, 1.503, 1.135; then 0.815 and
    # 0.932. With gamma_r = 0 everything is taken: 1.368 - 1.503 = -0.135 and -0.368.
    assert ranked("d2", run, 3, neighbours=1, distance="plain").order.tolist() == [1, 2, 0]
    found = ranked("d2", run, 3, neighbours=1, distance="plain", reverse=0.0)
    assert found.order.tolist() == [1, 0, 2]


def test_d2_where_the_distance_power_decides():
    # A pair 0.5 apart and a star of three leaves 1.5 from its middle, one neighbour, uniform.
    # Forward
    # scores less 1: squared e^-0.25 = 0.78 for the pair, 3 e^-2.25 = 0.32 for the middle of the
    # star;
    # plain e^-0.5 = 0.61 and 3 e^-1.5 = 0.67.
    turns = np.exp(2j * np.pi * np.arange(3) / 3) * 1.5 + 100
    at = np.concatenate([[0, 0.5, 100], turns])
    far = np.abs(at[:, None] - at[None])
    np.fill_diagonal(far, np.inf)
    order = np.argsort(far, axis=1)[:, :1]
    neighbours = Neighbours(
        order, np.take_along_axis(far, order, 1).astype(np.float32), "euclidean"
    )
    run = Tiny(np.stack([at.real, at.imag], 1), neighbours=neighbours)
    assert ranked("d2", run, 1, neighbours=1).order[0] in (0, 1)
    assert ranked("d2", run, 1, neighbours=1, distance="plain").order[0] == 2


def plain_d2(x, neighbours, k, gammas, power, count):
    """Eq. 2 and 3 with dense matrices."""
    n = len(x)
    far = np.full((n, n), np.inf)
    for i in range(n):
        for j, d in zip(
            neighbours.indices[i, :count], neighbours.distances[i, :count], strict=True
        ):
            far[i, j] = far[j, i] = np.sqrt(2 * float(d))
    forward, reverse = (np.exp(-gamma * far**power) for gamma in gammas)
    score = x + forward @ x
    kept = []
    while len(kept) < k:
        pick = int(np.where(np.isin(np.arange(n), kept), -np.inf, score).argmax())
        kept.append(pick)
        score = score - reverse[pick] * score[pick]
    return kept


@pytest.mark.parametrize(("power", "distance"), [(2, "squared"), (1, "plain")])
def test_d2_by_a_plain_loop_with_difficulty(power, distance):
    run, _ = many()
    hard = np.random.default_rng(1).random(90)
    run._dynamics = Watched(hard)
    x = (hard - hard.min()) / (hard.max() - hard.min())
    # As many as 80 of 90, so that scores below 0 are passed on too.
    wanted = plain_d2(x, run.neighbours, 80, (0.7, 0.3), power, 5)
    options = dict(score="el2n", neighbours=5, forward=0.7, reverse=0.3, distance=distance)
    assert ranked("d2", run, 80, **options).order[:80].tolist() == wanted


def test_d2_drops_the_lowest_aum_before_the_graph_is_built():
    points = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    run = Tiny(points, neighbours=line_graph(points, 9))
    run._dynamics = Watched(np.zeros(10), aum=np.arange(10.0))
    found = ranked("d2", run, 4, hard_cut=0.3, neighbours=2)
    assert not set(found.order[:7].tolist()) & {0, 1, 2}, "the hardest three come last"
    assert sorted(ranked("d2", run, 7, hard_cut=0.3).order[:7].tolist()) == [3, 4, 5, 6, 7, 8, 9]
    with pytest.raises(BadInput, match="hard_cut=0.3 drops 3 of 10"):
        ranked("d2", run, 8, hard_cut=0.3)


def test_d2_with_budgets_by_class_gives_each_class_the_same():
    # Six of class 0 in one dense place, two of class 1 far away: an equal budget of 2 each.
    points = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 50, 60]
    labels = [0] * 6 + [1] * 2
    run = Tiny(points, labels=labels, neighbours=line_graph(points, 7))
    kept = ranked("d2", run, 4, budgets="class").order[:4]
    assert sorted(np.bincount(np.asarray(labels)[kept]).tolist()) == [2, 2]
    kept = ranked("d2", run, 6, budgets="class").order[:6]
    assert np.bincount(np.asarray(labels)[kept]).tolist() == [4, 2], "a small class gives all"


def test_similarity_is_symmetric_with_ones_on_the_diagonal():
    neighbours = cosine_graph([0, 1, 3, 9], 1)
    s = similarity(neighbours).toarray()
    assert np.allclose(s, s.T) and np.allclose(np.diag(s), 1)
    assert s[0, 1] == pytest.approx(0.9) and s[1, 2] == pytest.approx(0.8) and s[0, 2] == 0


def test_d2_over_strata_gives_every_range_of_the_score_its_budget():
    # Far apart on the circle, so that no message reaches another (one neighbour, gamma 100): by
    # score alone the two hardest are kept; two ranges, [0, 0.5) and [0.5, 1], give one each.
    run = on_circle([0, 90, 180, 270], 1)
    run._dynamics = Watched(el2n=np.array([0.0, 0.2, 0.8, 1.0]), aum=np.zeros(4))
    far = dict(score="el2n", forward=100.0, reverse=100.0, neighbours=1)
    assert set(ranked("d2", run, 2, **far).order[:2].tolist()) == {2, 3}
    found = ranked("d2", run, 2, **far, budgets="strata", strata=2)
    assert set(found.order[:2].tolist()) == {1, 3} and not found.nested
