"""BADGE, CRAIG, GradMatch and Glister: the compiled loops on gradients worked by hand, the proxy,
and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from small_run import digits
from tiny import Tiny, ranked

from coreset_engine.selection.kernels import gradient_matching
from coreset_engine.selection.kernels.linear_proxy import Gradients, fit, proxy_gradients, softmax
from coreset_engine.selection.methods.gradients import class_parts, non_negative

NONE = np.empty(0, np.int64)


def flat(found: Gradients) -> np.ndarray:
    """The (N, C (d + 1)) matrix that the methods never build."""
    return (found.error[:, :, None] * found.rows[:, None]).reshape(len(found.error), -1)


@pytest.fixture(scope="module")
def run():
    return digits(200)


def test_factored_products_are_those_of_the_gradients(run):
    found = proxy_gradients(run, "true")
    g = flat(found)
    some = np.arange(0, 200, 7)
    assert np.allclose(found.products(some, some), g[some] @ g[some].T, atol=1e-4)
    assert np.allclose(found.square, (g**2).sum(1), rtol=1e-4)
    assert np.allclose(found.error.sum(1), 0, atol=1e-5) and (found.rows[:, -1] == 1).all()


def test_the_proxy_is_at_its_minimum_and_learns(run):
    found = proxy_gradients(run, "true")
    weights = fit(found.rows, run.labels, 10)
    p = softmax(found.rows @ weights)
    p[np.arange(200), run.labels] -= 1
    slope = (
        found.rows.T @ p / 200
        + 1e-2 * weights * (np.arange(len(weights)) < len(weights) - 1)[:, None]
    )
    assert np.abs(slope).max() < 2e-3
    assert (softmax(found.rows @ weights).argmax(1) == run.labels).mean() > 0.9


def test_badge_measures_against_its_own_guess(run):
    found = proxy_gradients(run, "true", own_prediction=True)
    assert (found.labels == found.error.argmin(1)).all(), "the guessed class alone has p - 1 < 0"


def test_badge_draws_by_squared_distance():
    # Ash 2020, algorithm 1. One class factor of 1, rows 0 1 3 10: first the longest, 10. Squared
    # distances to it are
    # 100 81 49 0 of 230: a coin under 100/230 draws 0, under 181/230 draws 1, above it draws 3.
    rows = np.array([[0], [1], [3], [10]], np.float32)
    error = np.ones((4, 1), np.float32)
    length = (rows**2).ravel()
    for coin, pick in ((0.0, 0), (0.43, 0), (0.44, 1), (0.78, 1), (0.79, 2), (0.999, 2)):
        assert gradient_matching.kmeanspp_draws(
            error, rows, length, NONE, np.array([0.5, coin])
        ).tolist() == [3, pick]
    assert gradient_matching.kmeanspp_draws(
        error, rows, length, np.array([0]), np.array([0.5, 0.99])
    ).tolist() == [0, 3]


def test_badge_never_draws_an_equal_gradient_and_shortcuts_change_nothing():
    rng = np.random.default_rng(0)
    error = rng.normal(size=(60, 4)).astype(np.float32)
    rows = rng.normal(size=(60, 5)).astype(np.float32)
    error = np.vstack([error] * 2)
    rows = np.vstack([rows] * 2)
    coins = rng.random(80)
    order = gradient_matching.kmeanspp_draws(
        error, rows, np.einsum("nd,nd->n", rows, rows), NONE, coins
    )
    assert len(order) == 60 and len(set((order % 60).tolist())) == 60
    g = flat(Gradients(error, rows, NONE)).astype(np.float64)
    best = ((g - g[order[0]]) ** 2).sum(1)
    for t in range(1, 30):
        best[best < 1e-4] = 0
        assert order[t] == np.searchsorted(np.cumsum(best), coins[t] * best.sum(), side="right")
        best = np.minimum(best, ((g - g[order[t]]) ** 2).sum(1))


def test_craig_takes_medoids_and_counts_whom_they_stand_for():
    # Mirzasoleiman 2020, algorithm 1: gradients 0 1 2 | 10 11; s = 11 - d. One stands for 3, one
    # for 2.
    g = np.array([0, 1, 2, 10, 11], np.float32)
    neighbours = (11 - np.abs(g[:, None] - g[None])).astype(np.float32)
    order, weight = gradient_matching.facility_dense(neighbours, NONE, 2)
    # Alone: 0 -> 11+10+9+1+0 = 31, 1 -> 10+11+10+2+1 = 34, 2 -> 35, 10 -> 34; with 2 kept: 10 or 11
    # gain 17.
    assert order.tolist() == [2, 3] and weight.tolist() == [3, 2]
    order, weight = gradient_matching.facility_dense(neighbours, np.array([0]), 2)
    assert order.tolist() == [0, 3] and weight.tolist() == [3, 2]


def test_dense_lazy_greedy_is_the_plain_greedy():
    g = np.random.default_rng(1).normal(size=(70, 4))
    neighbours = np.linalg.norm(g[:, None] - g[None], axis=2)
    neighbours = (neighbours.max() - neighbours).astype(np.float32)
    kept = []
    while len(kept) < 20:
        kept.append(
            int(
                np.argmax(
                    [
                        neighbours[kept + [j]].max(0).sum() if j not in kept else -1
                        for j in range(70)
                    ]
                )
            )
        )
    order, weight = gradient_matching.facility_dense(neighbours, NONE, 20)
    assert order.tolist() == kept and weight.sum() == 70


def test_craig_weights_have_mean_one_and_every_class_its_share(run):
    found = ranked("craig", run, 40)
    kept = found.order[:40]
    assert found.weights[kept].mean() == pytest.approx(1) and found.weights[kept].std() > 0.1
    share = np.bincount(run.pseudo_labels.labels[kept], minlength=10) / np.bincount(
        run.pseudo_labels.labels
    )
    assert share.min() > 0.1 and share.max() < 0.35, "about a fifth of each"


def test_matching_pursuit_by_hand():
    # Killamsetty 2021, algorithm 2: atoms (1,0) (0,1) (1,1)/sqrt 2, target (3, 1). Products 3, 1,
    # 2.83: the first, with
    # weight 3; the residual (0, 1) has 1 with the second, 0.71 with the third; then nothing is
    # left.
    atoms = np.array([[1, 0], [0, 1], [0.5**0.5, 0.5**0.5]])
    order, weights = gradient_matching.matching_pursuit(
        atoms @ atoms.T, atoms @ [3.0, 1.0], 0.0, NONE, 3
    )
    assert order.tolist() == [0, 1] and np.allclose(weights, [3, 1])
    order, weights = gradient_matching.matching_pursuit(
        atoms @ atoms.T, atoms @ [3.0, 1.0], 1.0, NONE, 1
    )
    assert order.tolist() == [0] and np.allclose(weights, [1.5]), "ridge 1 halves it"


def test_matching_pursuit_solves_the_ridge_problem_and_beats_scikit_learn_nowhere():
    from sklearn.linear_model import OrthogonalMatchingPursuit

    rng = np.random.default_rng(2)
    atoms = np.abs(rng.normal(size=(40, 30)))
    target = atoms[:12].sum(0)
    order, weights = gradient_matching.matching_pursuit(
        atoms @ atoms.T, atoms @ target, 0.3, NONE, 10
    )
    kept = atoms[order]
    solved = np.linalg.solve(kept @ kept.T + 0.3 * np.eye(len(order)), kept @ target)
    assert np.allclose(weights, np.maximum(solved, 0), atol=1e-6)
    # Without ridge and with unit atoms the first picks are those of scikit-learn's OMP.
    unit = atoms / np.linalg.norm(atoms, axis=1, keepdims=True)
    order, _ = gradient_matching.matching_pursuit(unit @ unit.T, unit @ target, 0.0, NONE, 3)
    other = OrthogonalMatchingPursuit(n_nonzero_coefs=3, fit_intercept=False).fit(unit.T, target)
    assert set(order.tolist()) == set(np.flatnonzero(other.coef_).tolist())


def test_gradmatch_weights_are_the_non_negative_ridge_solution():
    # Atoms (1, 0) and (0.6, 0.8), target (1, -1), ridge 1: the ridge solution is (G + I) w = (1,
    # -0.2) with G = [[1, 0.6], [0.6, 1]]: w = (2.12, -1) / 3.64, negative for the second. With w2 =
    # 0 the first alone solves 2 w1 = 1: 0.5, where clipping leaves 0.58.
    atoms = np.array([[1, 0], [0.6, 0.8]])
    goal = atoms @ [1.0, -1.0]
    assert np.allclose(non_negative(atoms @ atoms.T, goal, 1.0), [0.5, 0])
    assert np.allclose(np.linalg.solve(atoms @ atoms.T + np.eye(2), goal), [2.12 / 3.64, -1 / 3.64])
    assert np.allclose(non_negative(np.eye(2), np.array([1.0, 2.0]), 0.0), [1, 2])


def test_gradmatch_settings_are_reachable(run):
    relative = ranked("gradmatch", run, 30)
    absolute = ranked("gradmatch", run, 30, ridge_scale="absolute", weights="clipped")
    assert (relative.weights >= 0).all() and (absolute.weights >= 0).all()
    assert not np.array_equal(relative.weights, absolute.weights)


def test_gradmatch_comes_nearer_to_the_gradient_of_the_set_than_random(run):
    found = proxy_gradients(run, "pseudo")
    g = flat(found).astype(np.float64)
    n = 200
    chosen = ranked("gradmatch", run, 40)
    kept = chosen.order[:40]
    other = ranked("random", run, 40).order[:40]
    match = chosen.weights[kept] @ g[kept]
    scale = (match @ g.sum(0)) / (match @ match)
    plain = g[other].sum(0) * n / 40
    assert np.linalg.norm(scale * match - g.sum(0)) < 0.5 * np.linalg.norm(plain - g.sum(0))


def test_glister_first_round_is_the_inner_product_with_the_mean_gradient(run):
    found = ranked("glister", run, 10, rounds=1, labels="true")
    from coreset_engine.selection.kernels.linear_proxy import inputs_of

    rows = inputs_of(run)
    error = np.full((200, 10), 0.1) - np.eye(10)[run.labels]
    g = (error[:, :, None] * rows[:, None]).reshape(200, -1)
    gain = g @ g.mean(0)
    assert set(found.order[:10].tolist()) == set(np.argsort(-gain)[:10].tolist())


def test_glister_leaves_a_lower_loss_than_random(run):
    from coreset_engine.selection.kernels.linear_proxy import inputs_of

    rows = inputs_of(run)
    labels = run.labels

    def loss(order):
        p = softmax(rows @ fit(rows[order[:40]], labels[order[:40]], 10))
        return -np.log(np.maximum(p[np.arange(200), labels], 1e-9)).mean()

    others = [loss(ranked("random", run, 40, seed=seed).order) for seed in range(5)]
    assert loss(ranked("glister", run, 40, labels="true").order) < np.mean(others)


def test_classes_are_cut_into_equal_parts():
    labels = np.array([0] * 10 + [1] * 3)
    assert [len(part) for part in class_parts(labels, 4)] == [4, 3, 3, 3]
    assert sorted(np.concatenate(class_parts(labels, 4)).tolist()) == list(range(13))


def test_one_class_only_still_gives_k():
    run = Tiny(np.random.default_rng(0).normal(size=(30, 3)))
    for name in ("badge", "craig", "gradmatch", "glister"):
        assert len(set(ranked(name, run, 9).order[:9].tolist())) == 9
