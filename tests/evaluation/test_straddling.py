"""Copies among training and test images, counted by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
from labelled_digits import first_digits

from coreset_engine.artifacts.store import Store
from coreset_engine.cli.commands.evaluate import lines
from coreset_engine.evaluation.experiment import evaluate
from coreset_engine.evaluation.straddling import count_straddling
from coreset_engine.pipeline.run import Run


def directions(*degrees):
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def test_by_hand_on_a_circle():
    train = directions(0, 40, 80, 120)
    # The farthest training image of 0 and of 1 degree is that at 120 (about 1.5), of 60 degrees one
    # at 60 (0.5), of 100 that at 0 (1.17): the median is 1.33 and a hundredth of it 0.0133. One
    # degree is 0.00015, 20 degrees are 0.06.
    test = np.concatenate([3 * directions(0), directions(1, 60, 100)])
    found = count_straddling(train, test)
    assert (found.identical, found.near, found.compared) == (1, 2, 4)
    assert found.sentence().startswith("2 of 4 test images have a near copy")
    assert count_straddling(train, directions(60, 100)).sentence() == ""


def test_above_the_limit_some_test_images_are_compared():
    rng = np.random.default_rng(0)
    train = rng.normal(size=(50, 8)).astype(np.float32)
    test = np.repeat(train[:1], 30, axis=0)
    found = count_straddling(train, test, limit=10 * train.size)
    assert (found.compared, found.identical) == (10, 10)


def test_an_evaluation_counts_planted_copies_and_says_so(tmp_path):
    dataset = first_digits(200)
    vectors = np.asarray(dataset.vectors).copy()
    run = Run(dataset, store=Store(tmp_path), n_samples=500)
    clean = evaluate(run, methods=["random"], prune_rates=[0.5], seeds=1)
    assert clean["straddling"]["identical"] == 0
    # Every image the same as the one before it: some pairs fall on both sides of the split.
    vectors[1::2] = vectors[::2]
    labels = np.repeat(np.asarray(dataset.labels)[::2], 2)
    doubled = dataclasses.replace(dataset, vectors=vectors, labels=labels, fingerprint="doubled")
    run = Run(doubled, store=Store(tmp_path), n_samples=500)
    found = evaluate(run, methods=["random"], prune_rates=[0.5], seeds=1)
    assert 0 < found["straddling"]["identical"] <= found["tested_on"]
    assert "test images have a near copy" in "\n".join(lines(found))
