"""Dynamics and the search for beta on difficult sets: rare classes, duplicates, gaps in the
labels, few images, memory that runs out in the middle of an epoch."""

import gaussian_blobs
import numpy as np
import pytest
import torch

from coreset_engine.evaluation.beta_search import ScoredImages, search_beta
from coreset_engine.selection.budget import double_end
from coreset_engine.training import loop
from coreset_engine.training.dynamics import training_dynamics

SCORES = ("aum", "el2n", "entropy", "loss", "grand", "dyn_unc", "tdds", "margins")


def blobs(sizes):
    return gaussian_blobs.blobs(sizes, dims=16, spread=0.6)


def finite(found):
    return all(np.isfinite(getattr(found, name)).all() for name in SCORES)


def test_a_class_a_hundred_times_rarer_is_harder_and_still_learned():
    vectors, labels = blobs([1000, 1000, 10])
    found = training_dynamics(vectors, labels, "mlp", 20, batch=128)
    assert finite(found) and np.median(found.aum[labels == 2]) < np.median(found.aum[labels < 2])
    assert (found.margins[labels == 2, -1] > 0).mean() > 0.5


def test_beta_is_found_on_a_set_of_100_to_1():
    vectors, labels = blobs([500, 500, 5])
    aum = training_dynamics(vectors, labels, "linear", 5).aum
    found = search_beta(
        ScoredImages(vectors, labels, aum), choose=double_end, prune_rate=0.5, proxy="linear"
    )
    assert 0 <= found["beta"] <= 0.5 and found["accuracy"] > 0.9


def test_a_duplicate_named_otherwise_is_harder_than_those_named_alike():
    vectors, labels = blobs([30, 30, 30])
    copies = np.repeat(vectors, 3, axis=0)
    named = np.repeat(labels, 3)
    named[::30] = (named[::30] + 1) % 3  # one of three copies of every tenth image
    found = training_dynamics(copies, named, "mlp", 20)
    wrong = np.zeros(len(named), bool)
    wrong[::30] = True
    assert finite(found) and found.aum[wrong].max() < np.median(found.aum[~wrong])
    same = found.aum[1::30]  # the two other copies of those images, alike in image and name
    np.testing.assert_allclose(same, found.aum[2::30], atol=0.6)


@pytest.mark.parametrize("named", [(0, 2, 5), (0, 1, 19)])
def test_clusters_without_images_leave_gaps_that_do_no_harm(named):
    vectors, labels = blobs([40, 40, 40])
    found = training_dynamics(vectors, np.asarray(named)[labels], "mlp", 10, batch=16)
    assert (
        finite(found) and found.info["n_classes"] == max(named) + 1 and found.info["accuracy"] > 0.9
    )


def test_twice_too_many_labels_make_halves_of_a_class_hard_together():
    vectors, labels = blobs([100, 100, 100])
    halves = labels + 3 * (np.arange(300) % 2)  # chance decides which half: nothing to learn
    right, split = (training_dynamics(vectors, given, "mlp", 15).aum for given in (labels, halves))
    assert np.isfinite(split).all() and np.median(split) < np.median(right) / 2


def test_two_hundred_images_and_a_batch_of_512():
    vectors, labels = blobs([100, 100])
    aum = training_dynamics(vectors, labels, "mlp", 10, batch=512)
    assert finite(aum) and aum.margins.shape == (200, 10)
    found = search_beta(
        ScoredImages(vectors, labels, aum.aum),
        choose=double_end,
        prune_rate=0.8,
        proxy="linear",
        step=0.2,
    )
    assert found["accuracy"] > 0.9 and [point["beta"] for point in found["curve"]] == [
        0,
        0.2,
        0.4,
        0.6,
        0.8,
    ]


def test_memory_that_runs_out_within_an_epoch_leaves_every_image_scored_in_every_epoch(monkeypatch):
    vectors, labels = blobs([60, 60, 60])
    real = loop._Training.step
    sizes = []

    def small_machine(training, chosen):
        sizes.append(len(chosen))
        # The first steps fit, then another process takes the memory.
        if len(sizes) > 2 and len(chosen) > 20:
            raise torch.OutOfMemoryError("no room")
        return real(training, chosen)

    monkeypatch.setattr(loop._Training, "step", small_machine)
    found = training_dynamics(vectors, labels, "mlp", 6, batch=60)
    assert finite(found) and found.info["batch"] <= 20 and max(sizes) == 60
    assert (found.margins != 0).all() and found.info["accuracy"] > 0.9
