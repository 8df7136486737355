"""Own predictions: every shape of file is read, every false one is a sentence, and what follows from
them is worked out by hand."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest

from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.pipeline.manifest import columns, prediction_columns
from coreset_engine.pipeline.predictions import report_of, write_table
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.select import select
from coreset_engine.sources.open import open_source
from coreset_engine.sources.predictions import read_predictions
from coreset_engine.training.predicted_dynamics import predicted_dynamics

NAMES = ("cat", "dog", "owl")
SHARES = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.3, 0.5], [0.4, 0.35, 0.25]]


@pytest.fixture
def four(tmp_path):
    """A source of four vectors with labels cat, dog, dog, owl."""
    np.save(tmp_path / "v.npy", np.eye(4, 6, dtype=np.float32))
    dataset = open_source(str(tmp_path / "v.npy"))
    return dataclasses.replace(dataset, labels=np.array([0, 1, 1, 2]), classes=NAMES)


def written(tmp_path, table, name="p.csv"):
    path = tmp_path / name
    if name.endswith(".parquet"):
        table.to_parquet(path)
    elif name.endswith(".jsonl"):
        table.to_json(path, orient="records", lines=True)
    else:
        table.to_csv(path, index=False)
    return path


def shares(ids, values=SHARES, prefix="p_"):
    return pd.DataFrame(values, columns=[prefix + name for name in NAMES]).assign(id=list(ids))


@pytest.mark.parametrize("name", ["p.csv", "p.parquet", "p.jsonl"])
@pytest.mark.parametrize("prefix", ["p_", "prob_", "probability_", ""])
def test_probabilities_in_columns(four, tmp_path, name, prefix):
    found = read_predictions(written(tmp_path, shares(four.ids, prefix=prefix), name), four)
    assert (found.kind, found.classes, found.missing) == ("probabilities", NAMES, 0)
    assert np.allclose(found.probabilities, SHARES)
    assert found.names().tolist() == ["cat", "dog", "owl", "cat"]
    assert found.least_confidence == pytest.approx([0.3, 0.2, 0.5, 0.6])
    assert found.margin == pytest.approx([0.5, 0.7, 0.2, 0.05])
    wanted = -(0.7 * math.log(0.7) + 0.2 * math.log(0.2) + 0.1 * math.log(0.1))
    assert found.entropy[0] == pytest.approx(wanted)


def test_rows_in_another_order_find_their_images(four, tmp_path):
    table = shares(four.ids).iloc[::-1]
    found = read_predictions(written(tmp_path, table), four)
    assert np.allclose(found.probabilities, SHARES)


def test_logits_become_a_softmax(four, tmp_path):
    logits = [[2.0, 0, 0], [0, 3, 0], [0, 0, 1], [1, 1, 0]]
    found = read_predictions(written(tmp_path, shares(four.ids, logits, "logit_")), four)
    assert found.kind == "logits" and np.allclose(found.logits, logits)
    assert found.probabilities[0, 0] == pytest.approx(math.exp(2) / (math.exp(2) + 2))


@pytest.mark.parametrize("name", ["p.parquet", "p.csv", "p.jsonl"])
def test_lists_follow_the_classes_of_the_source(four, tmp_path, name):
    table = pd.DataFrame(dict(id=list(four.ids), probs=SHARES))
    if name == "p.csv":
        table["probs"] = [json.dumps(row) for row in SHARES]
    assert np.allclose(read_predictions(written(tmp_path, table, name), four).probabilities, SHARES)


def test_classes_alone_and_with_confidence(four, tmp_path):
    table = pd.DataFrame(dict(id=list(four.ids), prediction=["cat", "dog", "dog", "cat"]))
    found = read_predictions(written(tmp_path, table), four)
    assert found.kind == "class" and found.probabilities is None
    assert np.isnan(found.entropy).all() and np.isnan(found.least_confidence).all()
    table["confidence"] = [0.9, 0.8, 0.7, 0.6]
    found = read_predictions(written(tmp_path, table), four)
    assert found.least_confidence == pytest.approx([0.1, 0.2, 0.3, 0.4])


def broken(ids, **changes):
    table = shares(ids).astype(object)
    for column, value in changes.items():
        table.loc[1, column] = value
    return table


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda ids: broken(ids, p_cat="nan"), "p_cat of row 2 is .*nan.*finite number"),
        (lambda ids: broken(ids, p_dog="inf"), "p_dog of row 2 is .*inf"),
        (lambda ids: broken(ids, p_dog="high"), "'high'.*finite number"),
        (lambda ids: broken(ids, p_dog=1.6), "row 2 sum to 1.8.*logit_CLASS"),
        (lambda ids: broken(ids, p_dog=-0.8, p_cat=1.7), "row 2 hold -0.8"),
        (lambda ids: shares(ids).iloc[:2], "2 of 4 images, and at least 90%"),
        (lambda ids: shares(["x1", "x2", "x3", "x4"]), "none of them in this source.*'x1'"),
        (lambda ids: shares([ids[0], *ids[:3]]), "more than once"),
        (lambda ids: shares(ids).drop(columns="id"), "no column that names the images"),
        (lambda ids: pd.DataFrame(dict(id=list(ids))), "has no predictions.*p_CLASS"),
        (
            lambda ids: shares(ids).rename(
                columns={"p_cat": "p_a", "p_dog": "p_b", "p_owl": "p_c"}
            ),
            "classes 'a', 'b', 'c', none of which",
        ),
        (
            lambda ids: pd.DataFrame(dict(id=list(ids), probs=["[0.5, 0.5]"] * 4)),
            "2 values per row and the source has 3 classes",
        ),
        (
            lambda ids: pd.DataFrame(dict(id=list(ids), probs=["[0.5, 0.5]", "[1]"] * 2)),
            "different lengths",
        ),
        (lambda ids: pd.DataFrame(dict(id=list(ids), probs=["cat"] * 4)), "not a list of numbers"),
        (
            lambda ids: pd.DataFrame(dict(id=list(ids), prediction=["cat", None, "dog", "owl"])),
            "prediction of row 2 is empty",
        ),
        (
            lambda ids: pd.DataFrame(
                dict(id=list(ids), prediction=["cat"] * 4, confidence=[1, 7, 1, 1])
            ),
            "confidence of row 2 is '7'",
        ),
    ],
)
def test_what_cannot_be_meant_is_a_sentence(four, tmp_path, change, message):
    with pytest.raises(BadInput, match=message):
        read_predictions(written(tmp_path, change(list(map(str, four.ids)))), four)


@pytest.mark.parametrize("data", [b"", b"\x00\xff\xfe", b"PAR1 no", b"id\n"])
@pytest.mark.parametrize("name", ["p.csv", "p.parquet", "p.jsonl"])
def test_files_that_lie_are_a_sentence(four, tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadInput, match=name):
        read_predictions(tmp_path / name, four)
    with pytest.raises(BadInput, match="not a file of predictions"):
        read_predictions(tmp_path / "absent.csv", four)


def test_difficulty_by_hand():
    p = np.array([[0.7, 0.2, 0.1], [0.2, 0.3, 0.5], [np.nan] * 3])
    found = predicted_dynamics(p, None, np.array([1, -1, 0]))
    # image 0 against class 1; image 1 against what is predicted; image 2 the median of both
    assert found.aum == pytest.approx([0.2 - 0.7, 0.5 - 0.3, -0.15])
    assert found.el2n[0] == pytest.approx(math.sqrt(0.7**2 + 0.8**2 + 0.1**2))
    assert found.loss[:2] == pytest.approx([-math.log(0.2), -math.log(0.5)])
    assert np.isnan(found.forgetting).all()
    logits = np.array([[3.0, 1, 0], [0, 0, 4], [0, 0, 0]])
    assert predicted_dynamics(p, logits, np.array([1, -1, 0])).aum[:2] == pytest.approx([-2, 4])


@pytest.fixture
def predicted(four, tmp_path):
    """A run of the four images that has predictions."""
    path = written(tmp_path, shares(four.ids))
    run = Run(four, n_clusters=2, clusterer="kmeans", store=Store(tmp_path / "home"))
    return run.with_config(predictions=str(path))


def test_methods_read_difficulty_from_them(predicted, four):
    kept = select("entropy", predicted, count=1)
    assert kept.ids[0] == four.ids[3], "the most uncertain image"
    kept = select("aum", predicted, count=2)
    assert list(kept.ids) == [four.ids[3], four.ids[2]], "smallest margin first"
    kept = select("aum", predicted, count=2, labels="true")
    # against the labels cat, dog, dog, owl: 0.5, 0.7, 0.3 - 0.5, 0.25 - 0.4
    assert list(kept.ids) == [four.ids[2], four.ids[3]]
    with pytest.raises(BadInput, match="forgetting needs training"):
        select("forgetting", predicted, count=1)


def test_other_predictions_are_another_key_and_none_leaves_keys_alone(predicted, four, tmp_path):
    without = predicted.with_config(predictions=None)
    assert "predictions" not in without.params_of("dynamics")
    key = predicted.key_of("dynamics")
    path = written(tmp_path, shares(four.ids, SHARES[::-1]), "other.csv")
    assert key not in (
        without.key_of("dynamics"),
        predicted.with_config(predictions=str(path)).key_of("dynamics"),
    )
    copy = written(tmp_path, shares(four.ids), "copy.csv")
    assert predicted.with_config(predictions=str(copy)).key_of("dynamics") == key
    with pytest.raises(Missing, match="--predictions FILE"):
        _ = without.predictions


def test_disagreement_is_a_column(predicted, tmp_path):
    found = prediction_columns(predicted)
    assert found["disagrees_with_label"].tolist() == [0, 0, 1, 1]
    assert found["predicted_label"].tolist() == ["cat", "dog", "owl", "cat"]
    answer = report_of(predicted)
    assert (answer["labelled"], answer["disagree_with_labels"]) == (4, 2)
    assert answer["accuracy_on_labels"] == 0.5 and answer["predicted"] == 4
    write_table(predicted, tmp_path / "out.csv")
    table = pd.read_csv(tmp_path / "out.csv")
    assert table["predicted_margin"].round(2).tolist() == [0.5, 0.7, 0.2, 0.05]
    _ = predicted.dynamics
    assert "aum" in columns(predicted, "aum") and "forgetting" not in columns(predicted, "aum")


def test_classes_without_probabilities_are_no_difficulty(four, tmp_path):
    table = pd.DataFrame(dict(id=list(four.ids), prediction=["cat", "dog", "dog", "cat"]))
    run = Run(
        four,
        n_clusters=2,
        clusterer="kmeans",
        predictions=str(written(tmp_path, table)),
        store=Store(tmp_path / "home"),
    )
    with pytest.raises(BadInput, match="no probabilities"):
        select("entropy", run, count=1)
