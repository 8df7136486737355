"""What labels are worth: estimates beside the truth on digits, and advice that follows the gain."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.datasets import load_digits

from coreset_engine.artifacts import label_log
from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import BadInput
from coreset_engine.evaluation.learning_curve import Gain
from coreset_engine.evaluation.round_estimate import RoundEstimate, estimate_rounds
from coreset_engine.pipeline.next_round import next_round
from coreset_engine.pipeline.run import Run
from coreset_engine.sources.open import open_source
from coreset_engine.training.ridge import fit_ridge, one_hot


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """(run of all digits, its truth) with a labelled pilot of 150 and a labelled round of 150."""
    root = tmp_path_factory.mktemp("estimate")
    digits = load_digits()
    np.save(root / "digits.npy", digits.data.astype(np.float32))
    run = Run(
        open_source(str(root / "digits.npy")),
        n_clusters=10,
        clusterer="kmeans",
        store=Store(root / "home"),
    )
    truth = {str(key): str(digits.target[i]) for i, key in enumerate(run.dataset.ids)}
    for method in (None, "typiclust"):
        made = next_round(run, 150, method=method)
        given = {key: truth[key] for key in made.ids}
        label_log.add_labels(run.dataset.fingerprint, run.store.home, given)
    return run, digits.target


def test_the_estimate_holds_the_truth(labelled):
    run, truth = labelled
    found = estimate_rounds(run, next_count=200)
    assert [point.round for point in found.points] == [0, 1]
    assert [point.labels for point in found.points] == [150, 300]
    assert found.fair and found.judged == 150
    state = label_log.read(run.dataset.fingerprint, run.store.home)
    ids = list(map(str, run.dataset.ids))
    rows = np.array([i for i, key in enumerate(ids) if key in state.labels])
    rest = np.setdiff1d(np.arange(len(ids)), rows)
    vectors = run.vectors / np.linalg.norm(run.vectors, axis=1, keepdims=True)
    model = fit_ridge(vectors[rows], one_hot(truth[rows], 10))
    reached = (model.outputs(vectors[rest]).argmax(1) == truth[rest]).mean()
    last = found.points[-1]
    assert last.low <= reached <= last.high
    assert last.accuracy > found.points[0].accuracy - 0.02
    assert abs(last.random - last.accuracy) < 0.1 and last.random_low <= last.random
    assert 0 <= found.gain.low <= found.gain.mean <= found.gain.high < 0.1
    assert f"{last.accuracy:.1%}" in found.sentence and "random pilot" in found.sentence


def test_it_comes_from_the_store_and_reads_back(labelled):
    run, _ = labelled
    found = estimate_rounds(run)
    assert RoundEstimate.from_json(found.as_json()) == found

    def refuse(*_):
        raise AssertionError("computed again")

    assert estimate_rounds(run, progress=refuse) == found


@pytest.mark.parametrize(
    "gain, advice, message",
    [
        (Gain(0.002, 0.0, 0.008), "stop", "further labelling is not worth it"),
        (Gain(0.006, 0.0, 0.02), "undecided", "one more round would settle it"),
        (Gain(0.03, 0.01, 0.05), "go on", "continue labelling"),
    ],
)
def test_advice_follows_the_expected_gain(labelled, gain, advice, message):
    found = dataclasses.replace(estimate_rounds(labelled[0]), gain=gain, threshold=0.01)
    assert found.advice == advice and message in found.outlook
    assert f"{100 * gain.mean:.1f} points" in found.outlook


def test_too_few_labels_are_a_sentence(labelled, tmp_path):
    bare = Run(labelled[0].dataset, labelled[0].config, store=Store(tmp_path))
    with pytest.raises(BadInput, match="0 labelled images in 0 classes"):
        estimate_rounds(bare)
