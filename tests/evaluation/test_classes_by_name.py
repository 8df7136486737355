"""An evaluation with a test part maps classes by name, and says what has no counterpart."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from coreset_engine.artifacts.store import Store
from coreset_engine.cli.commands.evaluate import lines
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Dataset
from coreset_engine.evaluation.evaluation_split import unmatched_sentence
from coreset_engine.evaluation.experiment import evaluate
from coreset_engine.pipeline.run import Run

CENTRES = {"ant": 0, "bee": 1, "cat": 2, "dog": 3, "10": 4, "2": 5, "": 6}


def blobs(classes, counts, spec, seed, test_spec=None):
    """Vectors around a corner of a cube for each class: a linear model separates them fully."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(classes)), counts)
    corners = 8 * np.eye(8)[[CENTRES[name] for name in classes]]
    vectors = (corners[labels] + rng.normal(0, 0.5, (len(labels), 8))).astype(np.float32)
    return Dataset(
        spec=spec,
        ids=np.array([f"{spec}{i}" for i in range(len(labels))]),
        fingerprint=f"{spec} {seed}",
        labels=labels.astype(np.int64),
        classes=tuple(classes),
        vectors=vectors,
        reader=lambda i: Image.new("RGB", (4, 4)),
        test_spec=test_spec,
    )


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """measured(training classes, counts, test classes, counts) -> what evaluate says."""

    def measure(classes, counts, test_classes, test_counts):
        test = blobs(test_classes, test_counts, "test", 1)
        monkeypatch.setattr("coreset_engine.sources.open.open_source", lambda spec: test)
        train = blobs(classes, counts, "train", 0, test_spec="the test part")
        run = Run(train, store=Store(tmp_path), n_samples=500)
        return evaluate(run, methods=[], prune_rates=[0.2], seeds=1)

    return measure


@pytest.mark.parametrize(
    ("classes", "test_classes"),
    [
        (["ant", "bee", "cat"], ["bee", "cat"]),  # the test part lacks the first class
        (["ant", "cat", "dog"], ["ant", "bee", "cat", "dog"]),  # and has one more
        (["10", "2"], ["2", "10"]),  # sorted as text, and as numbers
        (["", "ant"], ["ant", ""]),
    ],
)
def test_accuracy_is_that_of_the_names(measured, classes, test_classes):
    found = measured(classes, 30, test_classes, 10)
    assert found["full_accuracy"] == 1.0 and found["rows"][0]["accuracy"] == 1.0
    assert found["tested_on"] == 10 * len(set(classes) & set(test_classes))


def test_what_has_no_counterpart_is_counted_by_name(measured):
    found = measured(["ant", "cat"], [30, 20], ["bee", "cat", "dog"], [5, 6, 7])
    assert found["unmatched_classes"] == {
        "test_only": {"bee": 5, "dog": 7},
        "train_only": {"ant": 30},
    }
    assert found["tested_on"] == 6
    message = unmatched_sentence(found)
    assert message == (
        "12 test images were left out: training has no image of 'bee', 'dog'. "
        "The test part has no image of 'ant': not tested."
    )
    assert message in lines(found)


def test_a_listed_class_without_a_training_image_is_not_tested_on(measured):
    found = measured(["ant", "bee", "cat"], [30, 0, 30], ["ant", "bee", "cat"], [5, 5, 5])
    assert found["tested_on"] == 10 and found["full_accuracy"] == 1.0
    assert found["unmatched_classes"] == {"test_only": {"bee": 5}}


def test_nothing_is_said_where_both_parts_agree(measured):
    found = measured(["ant", "bee"], 30, ["ant", "bee"], 5)
    assert "unmatched_classes" not in found and unmatched_sentence(found) == ""


def test_two_parts_without_a_common_name_are_refused(measured):
    with pytest.raises(BadInput, match="'bee', 'dog' and the training part 'ant', 'cat'"):
        measured(["ant", "cat"], 30, ["bee", "dog"], 10)
