"""What `evaluate` takes beside methods and rates: parameters, pins, quotas and counts."""

from __future__ import annotations

import json

import numpy as np
import pytest
from labelled_digits import first_digits
from typer.testing import CliRunner

from coreset_engine.artifacts.store import Store
from coreset_engine.cli.main import app
from coreset_engine.cli.selection_options import selections_of
from coreset_engine.core.errors import BadInput
from coreset_engine.evaluation import experiment
from coreset_engine.evaluation.evaluation_split import EvaluationSplit
from coreset_engine.evaluation.experiment import evaluate
from coreset_engine.pipeline.run import Run
from coreset_engine.selection.request import id_list
from coreset_engine.sources.open import open_source

N = 300


@pytest.fixture(scope="module")
def dataset():
    return first_digits(N)


@pytest.fixture(scope="module")
def run(dataset, tmp_path_factory):
    return Run(dataset, store=Store(tmp_path_factory.mktemp("home")), n_samples=2000)


@pytest.fixture
def chosen(monkeypatch):
    """Every selection that an evaluation made, with the run it was made of."""
    from coreset_engine.pipeline.select import select

    seen = []

    def spy(method, given, rate, **params):
        seen.append(select(method, given, rate, **params))
        return seen[-1]

    monkeypatch.setattr(experiment, "select", spy)
    return seen


def test_pins_bind_every_method_random_included(run, chosen):
    split = EvaluationSplit(run, experiment.EvaluationConfig(), lambda: None)
    held = run.dataset.ids[split.test_at[:2]].tolist()
    keep = split.train.dataset.ids[[3, 50]].tolist()
    never = split.train.dataset.ids[100:160].tolist()
    evaluate(
        run,
        methods=["class_balanced"],
        prune_rates=[0.8],
        seeds=1,
        constraints=dict(must_keep=[*keep, *held], never=never),
    )
    assert [one.method for one in chosen] == ["random", "class_balanced"]
    for one in chosen:
        assert one.ids[:2].tolist() == keep, "held-out images are left aside"
        assert not set(one.ids) & {*never, *held}


def test_quotas_and_counts(run, chosen):
    found = evaluate(
        run,
        methods=[],
        prune_rates=[],
        counts=[40, 20],
        seeds=1,
        constraints=dict(quotas=["class=equal"]),
    )
    assert [row["k"] for row in found["rows"]] == [40, 20]
    for one, k in zip(chosen, (40, 20), strict=True):
        labels = [int(run.labels[np.flatnonzero(run.dataset.ids == name)[0]]) for name in one.ids]
        assert np.bincount(labels, minlength=10).tolist() == [k // 10] * 10


def test_a_cell_with_constraints_is_another_cell(run):
    wanted = dict(methods=[], prune_rates=[0.9], seeds=1)
    one = evaluate(run, **wanted)["rows"][0]
    two = evaluate(run, **wanted, constraints=dict(quotas=["class=equal"]))["rows"][0]
    assert one["kept_digest"] != two["kept_digest"]


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(constraints=dict(must_keep=["nobody.png"])), "nobody.png"),
        (dict(constraints=dict(quotas=["class=some"])), "COLUMN=equal"),
        (dict(method_params={"aum": {"gamma": 1}}), "gamma"),
        (dict(counts=[10_000]), "10000 is more than"),
        (dict(counts=[0]), "at least 1"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(run, wrong, message):
    with pytest.raises(BadInput, match=message):
        evaluate(run, methods=["aum"], prune_rates=[0.9], seeds=1, **wrong)


def test_a_parameter_goes_to_the_methods_that_have_it():
    found = selections_of(param=["labels=true", "elfs.score=forgetting"], beta=0.2)
    assert found.params_by_method(["elfs", "zcore", "aum"]) == {
        "elfs": {"labels": "true", "score": "forgetting", "beta": 0.2},
        "aum": {"labels": "true"},
    }
    with pytest.raises(BadInput, match="gamma=1: no such parameter; known are aum: labels"):
        selections_of(param=["gamma=1"]).params_by_method(["aum"])
    with pytest.raises(BadInput, match="give it once"):
        selections_of(param=["beta=0.1"], beta=0.2)


def test_a_json_object_of_ids_is_called_one():
    with pytest.raises(BadInput, match="must_keep is a JSON object"):
        id_list('{"a.png": 1}', "must_keep")
    with pytest.raises(BadInput, match="must_keep is a mapping"):
        id_list({"a.png": 1}, "must_keep")
    assert id_list('["a.png"]', "must_keep") == ("a.png",)
    assert id_list("{braces}.png", "must_keep") == ("{braces}.png",)


def test_the_shell_takes_all_of_it(tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path))
    words = "evaluate demo --methods class_balanced --count 50 --seeds 1 --json --quota class=equal"
    words += " --param class_balanced.labels=true --must-keep digit-0000"
    ids = [str(name) for name in open_source("demo").ids[:1]]
    words = words.replace("digit-0000", ids[0]).split()
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert [row["k"] for row in found["rows"]] == [50, 50]
    assert all(row["class_balance"] > 0.999 for row in found["rows"])
