"""Probable label errors: confident learning by hand and against cleanlab, and flipped digits
found."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.datasets import load_digits

from coreset_engine.artifacts import label_log
from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.evaluation.confident_learning import confident_learning, normalised_margin
from coreset_engine.evaluation.label_errors import label_errors, label_errors_ready, suspicion
from coreset_engine.evaluation.probe import out_of_fold
from coreset_engine.pipeline.imported_labels import with_labels
from coreset_engine.pipeline.run import Run
from coreset_engine.sources.open import open_source

N = 500
FLIPPED = 50


def test_confident_learning_by_hand():
    labels = np.array([0, 0, 0, 1, 1])
    first = np.array([0.9, 0.8, 0.1, 0.2, 0.55])
    found = confident_learning(labels, np.column_stack([first, 1 - first]))
    # t_0 = (0.9 + 0.8 + 0.1) / 3, t_1 = (0.8 + 0.45) / 2; the last image is above neither
    assert found.thresholds == pytest.approx([0.6, 0.625])
    assert found.confident_class.tolist() == [0, 0, 1, 1, -1]
    assert found.joint.tolist() == [[2, 1], [0, 1]]
    assert found.suspected.tolist() == [False, False, True, False, False]
    # row 0 scaled to its three images: a third of them, one image; row 1: none
    assert found.estimated_errors == pytest.approx(1.0)


def test_two_classes_above_their_thresholds_go_to_the_likelier():
    p = np.array([[0.5, 0.45, 0.05], [0.5, 0.1, 0.4], [0.1, 0.4, 0.5]])
    # t = (0.5, 0.1, 0.5): image 0 is above t_0 and t_1, and 0 is the likelier
    assert confident_learning(np.array([0, 1, 2]), p).confident_class.tolist() == [0, 0, 2]


def test_the_margin_by_hand():
    p = np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3]])
    assert normalised_margin(np.array([0, 2]), p) == pytest.approx([0.5, -0.2])


def test_confident_learning_agrees_with_cleanlab():
    from cleanlab.count import compute_confident_joint
    from cleanlab.filter import find_label_issues

    rng = np.random.default_rng(5)
    labels = rng.integers(4, size=600)
    logits = (
        rng.normal(size=(600, 4)) + 2.5 * np.eye(4)[np.where(rng.random(600) < 0.85, labels, 0)]
    )
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = confident_learning(labels, p)
    theirs = compute_confident_joint(labels, p, calibrate=False)
    off = ~np.eye(4, dtype=bool)
    assert np.array_equal(found.joint[off], theirs[off])
    calibrated = compute_confident_joint(labels, p, calibrate=True)
    assert found.estimated_errors == pytest.approx(calibrated[off].sum(), abs=4)  # they round
    issues = find_label_issues(labels, p, filter_by="confident_learning")
    # cleanlab leaves in what the model itself predicts as given
    assert set(np.flatnonzero(issues)) <= set(np.flatnonzero(found.suspected))
    kept = np.flatnonzero(found.suspected & (p.argmax(1) != labels))
    assert set(kept) == set(np.flatnonzero(issues))


def test_places_share_ties():
    assert suspicion(np.array([3.0, 1.0, 2.0, 2.0])).tolist() == [0, 1, 0.5, 0.5]


@pytest.fixture(scope="module")
def flipped(tmp_path_factory):
    """(run on digits with 10 % of the labels flipped, ids of these)."""
    root = tmp_path_factory.mktemp("errors")
    digits = load_digits()
    np.save(root / "digits.npy", digits.data[:N].astype(np.float32))
    dataset = open_source(str(root / "digits.npy"))
    rng = np.random.default_rng(0)
    wrong = rng.permutation(N)[:FLIPPED]
    labels = digits.target[:N].astype(np.int64).copy()
    labels[wrong] = (labels[wrong] + rng.integers(1, 10, FLIPPED)) % 10
    names = tuple(f"digit {c}" for c in range(10))
    dataset = dataclasses.replace(dataset, labels=labels, classes=names)
    run = Run(dataset, n_clusters=10, clusterer="kmeans", store=Store(root / "home"))
    return run, {str(key) for key in run.dataset.ids[wrong]}, digits.target[:N]


def test_flipped_labels_come_first(flipped):
    run, wrong, truth = flipped
    assert not label_errors_ready(run)
    found = label_errors(run)
    assert label_errors_ready(run)
    assert len(found) == N and sorted(found.ids) == sorted(map(str, run.dataset.ids))
    first = set(map(str, found.ids[:FLIPPED]))
    assert len(first & wrong) >= 0.8 * FLIPPED, "precision at 50 of 50 flipped"
    assert (np.diff(found.score) <= 0).all()
    row = found.top(1)[0]
    position = {str(key): i for i, key in enumerate(run.dataset.ids)}
    assert row.given == run.dataset.classes[run.labels[position[row.id]]]
    assert row.suggested == f"digit {truth[position[row.id]]}"
    assert row.suggested in row.reason and row.given in row.reason
    assert 30 <= found.estimated_errors <= 80
    assert all(key.suggested != key.given for key in found.top(N))


def test_few_labels_do_not_make_right_ones_suspects():
    """300 labels of ten classes on 512 axes of which 10 tell them apart; none is wrong.

    A probe of all leading directions learns their noise and is right on 74 % of these.
    """
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 10
    rows = rng.standard_normal((300, 512)).astype(np.float32)
    rows[np.arange(300), labels] += 12
    p = out_of_fold(rows, labels, 10, np.arange(300, dtype=np.uint64))
    assert (p.argmax(axis=1) == labels).mean() > 0.9
    assert confident_learning(labels, p).suspected.mean() < 0.1


def test_decisions_leave_the_queue_and_corrections_become_labels(flipped):
    run, _, _ = flipped
    home = run.store.home
    mark = run.dataset.fingerprint
    one, two, three = label_errors(run).top(3)
    label_log.decide(mark, home, one.id, "confirm")
    label_log.decide(mark, home, two.id, "correct", two.suggested)
    left = label_errors(run, undecided=True)
    assert len(left) == N - 2 and left.top(1)[0].id == three.id
    assert label_log.read(mark, home).labels == {two.id: two.suggested}
    label_log.undo_decision(mark, home)
    assert label_log.read(mark, home).labels == {}
    assert label_errors(run, undecided=True).top(1)[0].id == two.id
    label_log.undo_decision(mark, home)


def test_only_given_labels_are_ranked(flipped):
    run, _, truth = flipped
    given = {str(key): f"digit {truth[i]}" for i, key in enumerate(run.dataset.ids[:60])}
    found = label_errors(with_labels(run, given))
    assert set(map(str, found.ids)) == set(given)


def test_too_few_or_no_labels_are_a_sentence(flipped):
    run, _, _ = flipped
    bare = run.with_dataset(dataclasses.replace(run.dataset, labels=None, classes=()))
    with pytest.raises(Missing, match="import labels first"):
        label_errors(bare)
    few = with_labels(bare, {str(run.dataset.ids[0]): "a", str(run.dataset.ids[1]): "b"})
    with pytest.raises(BadInput, match="2 labelled images in 2 classes"):
        label_errors(few)
    assert not label_errors_ready(bare)
