"""The judge against refitted ridge regressions, and surrogate tasks on sets of every size."""

from __future__ import annotations

import numpy as np
import pytest

from coreset_engine.core.errors import BadInput
from coreset_engine.forecasting.config import ForecastConfig
from coreset_engine.forecasting.judge import accuracies, make_judge
from coreset_engine.forecasting.surrogates import (
    Features,
    SurrogateTasks,
    make_features,
    make_tasks,
)

CONFIG = ForecastConfig()


def blobs(n=120, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = rng.normal(size=(classes, 5)) * 1.5
    return (centres[labels] + rng.normal(size=(n, 5))).astype(np.float32), labels


def judge_of(rows, *tasks):
    classes = tuple(int(task.max()) + 1 for task in tasks)
    return make_judge(Features(rows, rows), SurrogateTasks(np.stack(tasks), classes), CONFIG)


def predicted(rows, labels, n_classes, train, chosen, i):
    """Ridge on `train` with the penalty of `chosen`; the class of image i."""
    inputs = np.concatenate([rows.astype(np.float64), np.ones((len(rows), 1))], axis=1)
    ridge = np.full(6, CONFIG.penalty * (rows[chosen].astype(np.float64) ** 2).sum() / 5)
    ridge[-1] = 1e-9 * len(chosen)
    a = inputs[train]
    weights = np.linalg.solve(a.T @ a + np.diag(ridge), a.T @ np.eye(n_classes)[labels[train]])
    return int((inputs[i] @ weights).argmax())


@pytest.mark.parametrize("k", [6, 40, 70])
def test_images_outside_the_coreset_are_judged_by_a_ridge_regression_on_it(k):
    rows, labels = blobs()
    chosen = np.sort(np.random.default_rng(1).choice(len(rows), k, replace=False))
    found = accuracies(judge_of(rows, labels, labels % 2), chosen)
    outside = np.setdiff1d(np.arange(len(rows)), chosen)
    assert found.outside
    for t, (task, n_classes) in enumerate([(labels, 3), (labels % 2, 2)]):
        message = [predicted(rows, task, n_classes, chosen, chosen, i) for i in outside]
        right = np.array(message) == task[outside]
        assert found.micro[t] == pytest.approx(right.mean())
        by_class = [right[task[outside] == c].mean() for c in range(n_classes)]
        assert found.macro[t] == pytest.approx(np.mean(by_class))


@pytest.mark.parametrize("k", [90, 119, 120])
def test_with_few_images_outside_those_inside_are_judged_as_if_left_out(k):
    rows, labels = blobs()
    chosen = np.sort(np.random.default_rng(1).choice(len(rows), k, replace=False))
    found = accuracies(judge_of(rows, labels), chosen)
    message = [predicted(rows, labels, 3, chosen[chosen != i], chosen, i) for i in range(len(rows))]
    assert not found.outside
    assert found.micro[0] == pytest.approx((np.array(message) == labels).mean())


def test_a_coreset_of_one_class_knows_that_class_only():
    rows, labels = blobs()
    chosen = np.flatnonzero(labels == 1)[:20]
    found = accuracies(judge_of(rows, labels), chosen)
    assert found.micro[0] == pytest.approx(20 / 100)  # 20 of the 100 images outside are of it
    assert found.macro[0] == pytest.approx(1 / 3)


def test_tasks_grow_finer_until_clusters_are_small():
    rows, _ = blobs(n=200)
    tasks = make_tasks(make_features(rows, CONFIG), CONFIG)
    assert tasks.n_classes == (10, 20, 40)
    assert tasks.labels.shape == (3, 200)
    assert all(set(labels) == set(range(c)) for labels, c in zip(tasks.labels, tasks.n_classes))


@pytest.mark.parametrize("n", [4, 5, 9])
def test_tiny_sets_have_a_task(n):
    rows = np.random.default_rng(0).normal(size=(n, 3))
    tasks = make_tasks(make_features(rows, CONFIG), CONFIG)
    assert tasks.labels.shape[0] >= 1
    assert 2 <= tasks.n_classes[0] <= n


def test_directions_keep_cosines_and_inputs_are_centred():
    rows, _ = blobs(n=60)
    features = make_features(3 * rows + 1, CONFIG)
    unit = (3 * rows + 1) / np.linalg.norm(3 * rows + 1, axis=1, keepdims=True)
    cosines = features.directions @ features.directions.T
    np.testing.assert_allclose(cosines, unit @ unit.T, atol=1e-5)
    np.testing.assert_allclose(features.inputs.mean(axis=0), 0, atol=1e-5)
    assert (features.inputs**2).sum() == pytest.approx(60 * 5, rel=1e-4)  # unit variance each


def test_constant_columns_and_zero_rows_are_harmless():
    rows = np.zeros((60, 4))
    rows[:, 0] = np.arange(60)
    features = make_features(rows, CONFIG)
    assert np.isfinite(features.inputs).all()
    assert np.isfinite(features.directions).all()


def test_vectors_that_are_not_finite_are_refused():
    rows = np.ones((30, 3))
    rows[4, 1] = np.nan
    with pytest.raises(BadInput, match="NaN"):
        make_features(rows, CONFIG)
