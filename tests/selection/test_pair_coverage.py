"""Facility location over all pairs, MaxHerding, UHerding and SubZeroCore: worked by hand on a
circle, and against plain greedy loops over the dense matrix."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from tiny import Tiny, ranked

from coreset_engine.core.limits import override
from coreset_engine.core.types import Neighbours
from coreset_engine.selection.kernels.pair_coverage import (
    Pairs,
    greedy_coverage,
    kth_nearest,
    uniform,
)
from coreset_engine.selection.kernels.sampled_coverage import greedy_sampled_coverage
from coreset_engine.selection.methods.pair_coverage import (
    best_temperature,
    calibration_error,
    gaussian_density,
    neighbourhood,
)


def on_circle(degrees, labels=None) -> Tiny:
    at = np.radians(np.asarray(degrees, np.float64))
    return Tiny(np.stack([np.cos(at), np.sin(at)], 1), labels=labels)


def random_rows(n: int = 200, d: int = 6) -> np.ndarray:
    x = np.random.default_rng(0).normal(size=(n, d))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def linked(rows: np.ndarray, k: int) -> Tiny:
    """A run of unit rows (N, d) and their k nearest others."""
    far = 1 - rows @ rows.T
    np.fill_diagonal(far, np.inf)
    order = np.argsort(far, axis=1, kind="stable")[:, :k]
    distances = np.take_along_axis(far, order, 1).astype(np.float32)
    return Tiny(rows, neighbours=Neighbours(order, distances))


def plain_greedy(value: np.ndarray, weight: np.ndarray, first: list[int], k: int) -> list[int]:
    """Greedy of sum_i w_i max_{j in S} value_ij, recomputed for every candidate."""
    kept = list(first)
    while len(kept) < k:
        best = value[:, kept].max(1) if kept else np.zeros(len(value))
        gains = [
            -np.inf if j in kept else weight @ np.maximum(value[:, j] - best, 0)
            for j in range(len(value))
        ]
        kept.append(int(np.argmax(gains)))
    return kept


def test_facility_location_over_all_pairs_by_hand():
    # 0, 20 and 40 degrees, and 90: cos 20 = 0.940, cos 40 = 0.766, cos 50 = 0.643, cos 70 = 0.342,
    # cos 90 = 0. Sums: of 0: 1 + 0.940 + 0.766 + 0 = 2.706; of 20: 0.940 + 1 + 0.940 + 0.342 =
    # 3.221; of 40: 0.766 + 0.940 + 1 + 0.643 = 3.349; of 90: 0 + 0.342 + 0.643 + 1 = 1.985.
    # So 40 is first. On a graph of one neighbour each, 90 is linked to 40 only, and 20 to 0 and 40.
    # Gains then: of 0: (1 - 0.766) + 0 = 0.234 (20 has 0.940 already); of 20: (0.940 - 0.766) +
    # (1 - 0.940) = 0.234; exactly 0: 0.23396, 20: 0.17365 + 0.06031 = 0.23396; of 90: 0.357.
    run = on_circle([0, 20, 40, 90])
    assert ranked("facility_location_full", run, 2).order[:2].tolist() == [2, 3]


def test_negative_similarities_count_as_none():
    # 0, 10 and 180 degrees: each of the first two represents 1 + 0.985; 180 only itself.
    order = ranked("facility_location_full", on_circle([0, 10, 180]), 2).order[:2]
    assert order[0] in (0, 1) and order[1] == 2, "the second gains 1, the twin 0.015"


@pytest.mark.parametrize("links", [20_000_000, 3000, 1])
def test_both_phases_are_the_plain_greedy(links):
    rows = random_rows()
    value = np.maximum(rows.astype(float) @ rows.T.astype(float), 0)
    wanted = plain_greedy(value, np.ones(200), [], 40)
    with override(pair_links=links):
        assert greedy_coverage(uniform(rows), np.empty(0, np.int64), 40).tolist() == wanted
        wanted = plain_greedy(value, np.ones(200), [7, 9], 40)
        assert greedy_coverage(uniform(rows), np.array([7, 9]), 40).tolist() == wanted


def test_a_sample_of_candidates_grows_and_gives_way_to_all():
    rows = random_rows()
    with override(pair_links=3000, greedy_candidates=8):
        found = greedy_coverage(uniform(rows), np.empty(0, np.int64), 120)
        again = greedy_coverage(uniform(rows), np.empty(0, np.int64), 60)
    assert len(set(found.tolist())) == 120 and found[:60].tolist() == again.tolist()
    value = np.maximum(rows.astype(float) @ rows.T.astype(float), 0)
    best = value[:, :8].sum(0).argmax()
    assert found[0] == best, "the first is the best of the sample"
    gain = value[:, found].max(1).sum()
    exact = plain_greedy(value, np.ones(200), [], 120)
    assert gain >= 0.99 * value[:, exact].max(1).sum()


@pytest.mark.parametrize("links", [20_000_000, 3000])
def test_weights_and_qualities_are_those_of_the_definition(links):
    rows = random_rows()
    rng = np.random.default_rng(1)
    weight = rng.random(200).astype(np.float32)
    weight[:20] = 0
    quality = rng.random(200).astype(np.float32)
    gap = ((rows[:, None].astype(float) - rows[None]) ** 2).sum(2)
    value = np.exp(-gap / 0.5**2) * quality[None]
    wanted = plain_greedy(value, weight.astype(float), [], 30)
    with override(pair_links=links):
        found = greedy_coverage(Pairs(rows, 0.5, weight, quality), np.empty(0, np.int64), 30)
    assert found.tolist() == wanted


def test_maxherding_by_hand():
    # k(x, y) = e^(-|x - y|^2) of unit vectors, |x - y|^2 = 2 - 2 cos. 0, 30, 60 and 150 degrees:
    # k(30) = e^-0.268 = 0.765, k(60) = e^-1 = 0.368, k(90) = e^-2 = 0.135, k(120) = e^-3 = 0.050,
    # k(150) = e^-3.732 = 0.024. Sums: 0: 1 + 0.765 + 0.368 + 0.024 = 2.157; 30: 0.765 + 1 + 0.765 +
    # 0.050 = 2.580; 60: 0.368 + 0.765 + 1 + 0.135 = 2.268; 150: 1.209. 30 is first; then 150 gains
    # 1 - 0.050 = 0.950, 60 0.235 + 0.085 = 0.320, 0 0.235.
    found = ranked("maxherding", on_circle([0, 30, 60, 150]), 3)
    assert found.order[:3].tolist() == [1, 3, 2] and found.nested


def test_the_width_decides_what_maxherding_covers():
    # Narrow: every image covers itself alone, so all gain 1, and the closest pair's images are worth
    # a little more; wide: the middle one first.
    run = on_circle([0, 4, 40, 80])
    assert ranked("maxherding", run, 1, bandwidth=0.05).order[0] in (0, 1)
    assert ranked("maxherding", run, 1, bandwidth=2.0).order[0] == 2


def test_maxherding_follows_what_is_kept():
    # The kept 0 covers 30 to 0.765; 150 gains most, then 60 (0.765 + ... of the rest).
    found = ranked("maxherding", on_circle([0, 30, 60, 150]), 2, preselected=[0])
    assert found.order[:2].tolist() == [0, 3]


def test_uherding_without_a_model_is_maxherding():
    rows = random_rows(60)
    run = Tiny(rows, labels=np.arange(60) % 3)
    one = ranked("uherding", run, 12, rounds=1).order[:12]
    assert one.tolist() == ranked("maxherding", run, 12).order[:12].tolist()


def test_uherding_goes_where_its_model_is_unsure():
    # Two classes on the two ends of a quarter circle, one kept in each: the linear model is least
    # sure half-way, at 45 degrees. sigma is the distance of the kept, sqrt(2): the kernel is wide.
    degrees = [0, 2, 4, 44, 45, 46, 86, 88, 90]
    run = on_circle(degrees, labels=[0, 0, 0, 0, 0, 1, 1, 1, 1])
    found = ranked("uherding", run, 3, rounds=1, preselected=[0, 8])
    assert found.order[:2].tolist() == [0, 8] and found.order[2] in (3, 4, 5)


def test_calibration_error_by_hand():
    # Two classes, two bins: (0, 0.5] holds none, (0.5, 1] all four. Mean confidence 0.8, right 3 of
    # 4 = 0.75: the error is 0.05.
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.8, 0.2]])
    assert calibration_error(p, np.array([0, 0, 1, 1])) == pytest.approx(0.05)
    # Three classes, bins of a third: 0.4 and 0.6 lie in (1/3, 2/3], 0.9 in the last. |0.4 + 0.6 -
    # 1| = 0 and |0.9 - 1| = 0.1 over 3 images.
    p = np.array([[0.4, 0.3, 0.3], [0.2, 0.6, 0.2], [0.05, 0.05, 0.9]])
    assert calibration_error(p, np.array([1, 1, 2])) == pytest.approx(0.1 / 3)


def test_too_few_labels_leave_the_temperature_at_one():
    assert best_temperature(np.ones((4, 2), np.float32), np.array([0, 1, 0, 1]), 2) == 1.0


def test_neighbourhood_inverts_the_expected_coverage():
    # N = 500, 112 kept: misses (387/499) = 0.776, (386/498) -> 0.601, (385/497) -> 0.466, (384/496)
    # -> 0.361. 1 - 0.466 = 0.534 < 0.6 <= 1 - 0.361: K = 4.
    assert neighbourhood(500, 112, 0.6) == 4
    # N = 10, 5 kept: 1 - 4/9 = 0.556 >= 0.5 at once.
    assert neighbourhood(10, 5, 0.5) == 1
    # 1 - 4/9 3/8 = 0.833 < 0.9; 1 - 4/9 3/8 2/7 = 0.952.
    assert neighbourhood(10, 5, 0.9) == 3
    assert neighbourhood(10, 10, 0.6) == 1, "nothing is pruned"


def test_density_is_gaussian_around_the_mean_radius():
    # Radii 1, 2, 3: mean 2, variance 2/3; e^(-1 / (2 * 2/3)) = e^-0.75.
    assert gaussian_density(np.array([1, 2, 3])) == pytest.approx(
        [np.exp(-0.75), 1, np.exp(-0.75)], rel=1e-5
    )
    assert gaussian_density(np.full(3, 0.2)).tolist() == [1, 1, 1]


def test_kth_nearest_is_the_sorted_distance():
    rows = random_rows(50)
    far = 1 - rows.astype(float) @ rows.T
    np.fill_diagonal(far, np.inf)
    assert kth_nearest(rows, 3) == pytest.approx(np.sort(far, 1)[:, 2], abs=1e-6)


def test_subzerocore_is_the_weighted_greedy():
    rows = random_rows(80)
    found = ranked("subzerocore", Tiny(rows), 16)
    # K by hand: misses of 80 with 16 kept: 63/79 = 0.797, * 62/78 = 0.634, * 61/77 = 0.502, * 60/76
    # = 0.396 <= 0.4.
    assert found.info["neighbours"] == 4 and not found.nested
    cosine = rows.astype(float) @ rows.T
    far = 1 - cosine
    np.fill_diagonal(far, np.inf)
    density = gaussian_density(np.sort(far, 1)[:, 3]).astype(float)
    value = np.maximum(cosine, 0) * density[None]
    wanted = plain_greedy(value, np.ones(80), [], 16)
    assert sorted(found.order[:16].tolist()) == sorted(wanted)


def test_what_gains_nothing_is_left_to_chance():
    run = on_circle([0, 0, 0, 90])
    for name in ("facility_location_full", "maxherding", "subzerocore", "uherding"):
        assert sorted(ranked(name, run, 4).order.tolist()) == [0, 1, 2, 3]
    assert set(ranked("maxherding", run, 2).order[:2].tolist()) & {3}


def test_the_sampled_form_is_exact_where_the_graph_holds_every_pair():
    # The example worked above: each image is linked to all others, so nothing is left out.
    run = linked(on_circle([0, 30, 60, 150]).vectors, 3)
    found = ranked("maxherding", run, 3, pairs="sampled")
    assert found.order[:3].tolist() == [1, 3, 2] and found.nested
    after = ranked("maxherding", run, 2, preselected=[0], pairs="sampled")
    assert after.order[:2].tolist() == [0, 3]
    run = linked(random_rows(60), 59)
    for name in ("maxherding", "facility_location_full"):
        exact = ranked(name, run, 40, pairs="all").order
        assert ranked(name, run, 40, pairs="sampled").order.tolist() == exact.tolist()


def test_the_sampled_form_on_a_short_graph_covers_nearly_as_well():
    rows = random_rows(600, 4)
    nearest = linked(rows, 10).neighbours.indices
    kernel = np.exp(-2 + 2 * rows @ rows.T)
    random = np.random.default_rng(1).permutation(600)
    with override(coverage_sample=200):
        order = greedy_sampled_coverage(uniform(rows, 1.0), nearest, np.empty(0, np.int64), 300)
        early = greedy_sampled_coverage(uniform(rows, 1.0), nearest, np.empty(0, np.int64), 15)
    assert len(set(order.tolist())) == 300 and order[:15].tolist() == early.tolist()
    exact = greedy_coverage(uniform(rows, 1.0), np.empty(0, np.int64), 300)
    for k in (15, 60, 300):
        worth, most, least = (kernel[:, some[:k]].max(1).mean() for some in (order, exact, random))
        assert most - worth < 0.25 * (most - least)


def test_large_sets_are_sampled_and_images_of_another_source_compared_pair_by_pair():
    run = linked(random_rows(60), 3)
    exact = ranked("maxherding", run, 20).order.tolist()
    sampled = ranked("maxherding", run, 20, pairs="sampled").order.tolist()
    with override(all_pairs_images=50):
        assert ranked("maxherding", run, 20).order.tolist() == sampled != exact
        assert ranked("maxherding", run, 20, pairs="all").order.tolist() == exact
        unlinked = SimpleNamespace(vectors=run.vectors, dataset=run.dataset, seed=0)
        assert ranked("maxherding", unlinked, 20).order.tolist() == exact
