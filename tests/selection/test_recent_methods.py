"""DUAL, InfoMax and SemiPrune worked by hand; shares of classes and ranges of a score."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import beta as beta_density
from tiny import Tiny, line_graph, ranked

from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.types import Dynamics
from coreset_engine.selection.kernels.interleave import interleave
from coreset_engine.selection.kernels.label_spreading import spread_labels
from coreset_engine.selection.kernels.proxy_dynamics import margins, mean_margins
from coreset_engine.selection.keyed_random import image_keys, random_order
from coreset_engine.selection.methods.dual import beta_parameters, drawn, log_weights
from coreset_engine.selection.methods.semiprune import pilot_of


def dynamics(n: int, **scores) -> Dynamics:
    zeros = np.zeros(n, np.float32)
    names = ("aum", "forgetting", "el2n", "entropy", "loss", "grand", "dyn_unc", "tdds", "margins")
    values = {name: zeros for name in names} | {
        name: np.asarray(value, np.float32) for name, value in scores.items()
    }
    return Dynamics(**values)


def scored_run(labels=None, **scores) -> Tiny:
    n = len(next(iter(scores.values())))
    return Tiny(np.arange(n), labels=labels, dynamics=dynamics(n, **scores))


# -- DUAL


def test_dual_by_hand_without_sampling():
    run = scored_run(dual=[0.1, 0.4, 0.2, 0.0], mean_probability=[0.5, 0.5, 0.5, 0.5])
    assert ranked("dual", run, 2, sampling="top").order.tolist() == [1, 2, 0, 3]


def test_the_beta_density_moves_to_easy_images_as_more_is_pruned():
    # b = 15 (1 - m) (1 - r^c), a = 16 - b. m = 0.2: nothing pruned b = 12, a = 4; r = 0.5, c = 1:
    # b = 6, a = 10; r = 0.9, c = 2: b = 15 * 0.8 * 0.19 = 2.28.
    assert beta_parameters(0.2, 0.0, 4) == pytest.approx((4, 12))
    assert beta_parameters(0.2, 0.5, 1) == pytest.approx((10, 6))
    assert beta_parameters(0.2, 0.9, 2) == pytest.approx((13.72, 2.28))
    modes = [(a - 1) / (a + b - 2) for a, b in (beta_parameters(0.2, r, 1) for r in (0, 0.4, 0.8))]
    assert modes == sorted(modes)


def test_dual_weighs_the_score_by_the_beta_density():
    score = np.array([0.3, 0.1, 0.2])
    probability = np.array([0.2, 0.6, 0.9])
    found = np.exp(log_weights(score, probability, 10.0, 6.0))
    wanted = score * beta_density.pdf(probability, 10, 6)
    assert found / found[0] == pytest.approx(wanted / wanted[0])


def test_dual_draws_without_replacement_in_proportion():
    # Weights 1 : 2 : 5. First drawn: 1/8, 2/8, 5/8. Over 8,000 independent draws the shares lie
    # within three standard errors, 0.016.
    weights = np.log([1.0, 2.0, 5.0])
    ids = np.array(["a", "b", "c"])
    first = [drawn(weights, image_keys(ids, seed))[0] for seed in range(8000)]
    assert np.bincount(first) / 8000 == pytest.approx([1 / 8, 2 / 8, 5 / 8], abs=0.016)


def test_dual_takes_images_without_score_last():
    run = scored_run(dual=[0, 0, 0.1, 0.2], mean_probability=[0.5, 0.5, 0.5, 0.5])
    assert set(ranked("dual", run, 2).order[:2].tolist()) == {2, 3}


def test_dual_of_old_dynamics_is_asked_for_again():
    with pytest.raises(Missing, match="DUAL"):
        ranked("dual", scored_run(aum=[0, 1]), 1)


def test_dual_of_predictions_says_why_it_cannot_be():
    run = scored_run(aum=[0, 1])
    run._dynamics = dataclasses.replace(run._dynamics, info={"source": "predictions"})
    with pytest.raises(BadInput, match="predictions are a single snapshot"):
        ranked("dual", run, 1)


# -- InfoMax


def cosine_line(points, k):
    return dataclasses.replace(line_graph(np.asarray(points) / 10, k), metric="cosine")


def test_infomax_by_hand():
    # Points 0, 1, 5, 6 with one neighbour each: K_01 = K_23 = 0.9. I = 1, 0.8, 0.6, 0 (scaled from
    # el2n 10, 8, 6, 0). alpha = 0.3: after image 0, image 1 is worth 0.8 - 0.6 * 0.9 = 0.26, image 2
    # 0.6, so 2 is next; then 3 is worth 0 - 0.54, 1 still 0.26.
    run = Tiny([0, 1, 5, 6], neighbours=cosine_line([0, 1, 5, 6], 1), dynamics=None)
    run._dynamics = dynamics(4, el2n=[10, 8, 6, 0])
    keep = ranked("infomax", run, 4, score="el2n", neighbours=1)
    assert keep.order.tolist() == [0, 2, 1, 3] and keep.nested
    # alpha = 0: by information alone.
    alone = ranked("infomax", run, 4, score="el2n", neighbours=1, alpha=0.0)
    assert alone.order.tolist() == [0, 1, 2, 3]
    # Kept before: image 2 costs 3, and 0, 1 are free.
    first = ranked("infomax", run, 2, score="el2n", neighbours=1, preselected=[2])
    assert first.order[:2].tolist() == [2, 0]


def test_infomax_is_the_plain_greedy_of_its_objective():
    points = np.random.default_rng(0).normal(size=30)
    neighbours = cosine_line(points, 4)
    run = Tiny(points, neighbours=neighbours)
    run._dynamics = dynamics(30, el2n=np.random.default_rng(1).random(30))
    from coreset_engine.selection.methods.graphs import similarity

    k = similarity(neighbours).toarray()
    np.fill_diagonal(k, 0)
    information = np.asarray(run._dynamics.el2n, float)
    information = (information - information.min()) / np.ptp(information)

    def value(kept):
        return information[kept].sum() - 0.3 * k[np.ix_(kept, kept)].sum()

    kept = []
    for _ in range(12):
        rest = [j for j in range(30) if j not in kept]
        kept.append(max(rest, key=lambda j: value([*kept, j])))
    found = ranked("infomax", run, 12, score="el2n", neighbours=4).order[:12]
    assert found.tolist() == kept


def test_infomax_needs_no_labels_by_default():
    # Two tight groups and one image far out: the farthest from its centre comes first.
    points = [[1, 0], [1, 0.01], [1, 0.02], [0, 1], [0.01, 1], [0.3, 1]]
    run = Tiny(points, neighbours=cosine_line(range(6), 2))
    assert ranked("infomax", run, 1, n_clusters=2).order[0] == 5


# -- SemiPrune


def test_labels_spread_along_the_graph_by_hand():
    # A chain 0 - 1 - 2 with weights 1, 0 known as class 0 and 2 as class 1. Degrees 1, 2, 1, so S
    # has 1 / sqrt 2 on every link. The fixed point of F = a S F + (1 - a) Y with a = 1/2: image 1
    # gets a / sqrt 2 (f_0 + f_2) of each class; by symmetry both classes alike.
    links = csr_matrix(np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0.0]]))
    found = spread_labels(links, np.array([0, 2]), np.array([0, 1]), 0.5)
    # Solve (I - S / 2) F = Y / 2 for class 0: f_0 - c f_1 = 1/2, f_1 = c (f_0 + f_2), f_2 = c f_1,
    # c = 1 / (2 sqrt 2), c^2 = 1/8: f_1 = c / 2 / (1 - 2 c^2) = 2/3 c, f_2 = 1/12, f_0 = 7/12.
    c = 1 / (2 * np.sqrt(2))
    assert found[:, 0] == pytest.approx([7 / 12, 2 / 3 * c, 1 / 12], abs=1e-5)
    assert found[:, 1] == pytest.approx([1 / 12, 2 / 3 * c, 7 / 12], abs=1e-5)


def test_the_pilot_is_what_is_known_or_a_random_share():
    none = np.empty(0, np.int64)
    assert pilot_of(np.array([-1, 2, -1, 0]), 0.5, none).tolist() == [1, 3]
    assert pilot_of(np.zeros(20, int), 0.2, none).tolist() == [0, 1, 2, 3]
    assert pilot_of(np.zeros(20, int), 0.2, np.array([9])).tolist() == [0, 1, 2, 3, 9]


def test_margins_are_to_the_largest_other():
    assert margins(np.array([[3.0, 1, 2], [0, 5, 9]]), np.array([0, 1])).tolist() == [1, -4]


def test_an_image_with_a_wrong_label_is_hard():
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(-1, 0.1, (30, 2)), rng.normal(1, 0.1, (30, 2))])
    rows = np.hstack([rows, np.ones((60, 1))]).astype(np.float32)
    labels = np.repeat([0, 1], 30)
    labels[7] = 1
    found = mean_margins(rows, labels, 2, 0)
    assert found.argmin() == 7 and (np.delete(found, 7) > 0).all()


def groups(labels):
    """Two groups of ten on a line, each image linked to its three nearest."""
    points = np.concatenate([np.arange(10), 100 + np.arange(10)]) / 10
    vectors = np.stack([np.ones(20), np.repeat([-1.0, 1.0], 10)], 1)
    neighbours = dataclasses.replace(line_graph(points / 20, 3), metric="cosine")
    return Tiny(vectors, labels=labels, neighbours=neighbours)


def test_margins_of_a_small_set_tell_wrong_labels_from_right_ones():
    """200 images of two well separated classes, one in ten with the other's label: with one or two
    steps an epoch the margins of both kinds overlapped; each wrong one is below every right one."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], 100)
    rows = rng.normal(scale=0.2, size=(200, 8)).astype(np.float32)
    rows[:, 0] += np.where(truth == 0, -1, 1)
    wrong = np.arange(0, 200, 10)
    labels = truth.copy()
    labels[wrong] = 1 - labels[wrong]
    found = mean_margins(rows, labels, 2, 0)
    assert found[wrong].max() < np.delete(found, wrong).min()
    assert found[wrong].mean() < -1, "each epoch has several steps, so the proxy has learned"


def test_semiprune_reads_the_pilot_only():
    truth = np.repeat([0, 1], 10)
    known = np.full(20, -1)
    known[[0, 15]] = truth[[0, 15]]
    # With only two labels known the rest is -1, so a method that used them would fail or differ.
    found = ranked("semiprune", groups(known), 6, beta=0.1)
    assert found.info["pilot"] == 2 and found.nested
    other = truth.copy()
    other[[3, 12]] = [1, 0]  # wrong labels; they matter only where the pilot holds them
    for seed in range(6):
        pilot = random_order(groups(truth).dataset.ids, seed)[:2]
        if not {3, 12} & set(pilot.tolist()):
            one, two = (
                ranked("semiprune", groups(labels), 6, beta=0.1, pilot=0.1, seed=seed)
                for labels in (truth, other)
            )
            assert one.order.tolist() == two.order.tolist() and one.info["pilot"] == 2


# -- shares of classes, ranges of the score


def test_turns_by_hand():
    order = np.array([4, 0, 1, 5, 2, 3])
    group = np.array([0, 0, 0, 1, 1, 0])  # order by group: 4 | 0 1 5 2 | 3 -> 1: 4 3, 0: 0 1 5 2
    assert interleave(order, group).tolist() == [4, 0, 1, 3, 5, 2]
    # Proportional: group 1 at 0.5/2 and 1.5/2, group 0 at 0.5/4, 1.5/4, 2.5/4, 3.5/4.
    assert interleave(order, group, "proportional").tolist() == [0, 4, 1, 5, 3, 2]
    assert interleave(order, group, "none").tolist() == order.tolist()


@pytest.mark.parametrize("name", ["aum", "el2n", "entropy", "forgetting", "dyn_unc", "tdds"])
def test_every_difficulty_score_can_keep_the_same_number_of_each_class(name):
    # Class 0 is hard throughout; by score alone the first three are all of it.
    values = np.array([9, 8, 7, 6, 3, 2, 1.0])
    values = -values if name == "aum" else values
    run = scored_run(labels=[0, 0, 0, 0, 1, 1, 1], **{name: values})
    assert ranked(name, run, 3).order[:3].tolist() == [0, 1, 2]
    assert ranked(name, run, 4, per_class="equal").order[:4].tolist() == [0, 4, 1, 5]
    shared = ranked(name, run, 4, per_class="proportional")
    assert sorted(shared.order[:7].tolist()) == list(range(7)) and shared.nested
    assert np.bincount(run.labels[shared.order[:4]]).tolist() == [2, 2]


def test_ranges_of_a_score_take_turns():
    # Four ranges of width 1 between 0 and 4: [0, 0.2, 0.4] [1.5] [2.5] [3.9, 4]. Four images hold
    # one of each, six all but one of the first three.
    values = np.array([0, 0.2, 0.4, 1.5, 2.5, 3.9, 4])
    run = scored_run(el2n=values)
    order = ranked("el2n", run, 4, strata=4).order
    ranges = np.minimum(values, 3.99).astype(int)
    assert sorted(ranges[order[:4]].tolist()) == [0, 1, 2, 3]
    assert sorted(ranges[order[:6]].tolist()) == [0, 0, 1, 2, 3, 3]


def test_ccs_with_class_budgets_by_hand():
    # Class 1 is small and hard. Equal budgets give it two of four; without, the ranges decide.
    values = np.array([0, 1, 2, 3, 4, 5, 8, 9.0])
    run = scored_run(labels=[0] * 6 + [1] * 2, aum=-values)
    found = ranked("ccs", run, 4, beta=0.0, strata=2, per_class="equal").order[:4]
    assert np.bincount(run.labels[found]).tolist() == [2, 2]
    found = ranked("ccs", run, 4, beta=0.0, strata=2, per_class="proportional").order[:4]
    assert np.bincount(run.labels[found]).tolist() == [3, 1]
