"""The search for beta on a run: no true label is touched, the oracle stands apart, what was found
is kept."""

from __future__ import annotations

import json

import numpy as np
import pytest

from coreset_engine.artifacts.store import Store
from coreset_engine.cli.commands.beta import lines
from coreset_engine.core.errors import Missing
from coreset_engine.core.types import Dataset
from coreset_engine.evaluation import beta_search, beta_stage
from coreset_engine.jobs import worker
from coreset_engine.pipeline.run import Run


class Touched(AssertionError):
    pass


class Forbidden:
    """True labels that raise whatever is done with them."""

    def _refuse(self, *_, **__):
        raise Touched("a true label was touched")

    __array__ = __getitem__ = __len__ = __iter__ = __eq__ = __ge__ = __lt__ = __getattr__ = (
        __bool__
    ) = _refuse
    __hash__ = None


def small(n=120, classes=3):
    rng = np.random.default_rng(0)
    truth = np.arange(n) % classes
    return (rng.normal(0, 2, (classes, 8))[truth] + rng.normal(size=(n, 8))).astype(
        np.float32
    ), truth


def run_with(labels, tmp_path):
    vectors, _ = small()
    dataset = Dataset(
        "small",
        np.array([f"i{k}" for k in range(len(vectors))]),
        "small",
        labels=labels,
        classes=("a", "b", "c"),
        vectors=vectors,
    )
    return Run(dataset, n_clusters=3, clusterer="kmeans", store=Store(tmp_path))


@pytest.fixture(autouse=True)
def short(set_limits):
    set_limits(beta_search_steps=10)


OPTIONS = dict(prune_rate=0.6, step=0.3, epochs=2)


def test_no_true_label_enters_the_search(tmp_path):
    run = run_with(Forbidden(), tmp_path)
    with pytest.raises(Touched):
        np.asarray(run.labels)
    found = beta_stage.search(run, **OPTIONS)
    assert [point["beta"] for point in found["curve"]] == [0.0, 0.3, 0.6] and found["beta"] in (
        0.0,
        0.3,
        0.6,
    )
    with pytest.raises(Touched):
        beta_stage.oracle(run, found)
    _, truth = small()
    other = beta_stage.search(run_with(truth[::-1].copy(), tmp_path / "other"), **OPTIONS)
    assert other == found == beta_stage.search(run_with(None, tmp_path / "none"), **OPTIONS)


def test_what_was_found_is_kept_and_other_settings_are_other_searches(tmp_path, monkeypatch):
    run = run_with(None, tmp_path)
    found = beta_stage.search(run, **OPTIONS)
    monkeypatch.setattr(beta_search, "train", None)  # training again would fail
    assert beta_stage.search(run, **OPTIONS) == found
    for change in (dict(prune_rate=0.5), dict(score="forgetting"), dict(n_seeds=2)):
        with pytest.raises(TypeError):
            beta_stage.search(run, **(OPTIONS | change))


def test_the_job_tells_the_curve_first_and_the_oracle_after(tmp_path, monkeypatch):
    _, truth = small()
    run = run_with(truth, tmp_path)
    monkeypatch.setattr(worker, "_open", lambda spec, params, *_: (run, params))
    report = worker.Reporter(tmp_path)
    worker.beta("small", dict(OPTIONS), None, report)
    assert "oracle" not in report.result
    alone = report.result
    worker.beta("small", dict(OPTIONS, oracle=True), None, report)
    seen = report.result.pop("oracle")
    assert report.result == alone and [p["beta"] for p in seen["curve"]] == [
        p["beta"] for p in alone["curve"]
    ]
    assert seen["lost"] >= 0 and seen["best_accuracy"] == max(p["accuracy"] for p in seen["curve"])
    answer = lines(report.result | dict(oracle=seen))
    assert len(answer) == 6 and sum("*" in line for line in answer) == 1 and "--beta" in answer[-1]


def test_an_oracle_without_true_labels_is_refused(tmp_path):
    run = run_with(None, tmp_path)
    with pytest.raises(Missing):
        beta_stage.oracle(run, beta_stage.search(run, **OPTIONS))


def test_the_verb_prints_what_the_search_found(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from coreset_engine.cli import main, options

    _, truth = small()
    run = run_with(truth, tmp_path)
    run.progress = lambda *_: None
    monkeypatch.setattr(options, "open_run", lambda *_: run)
    command = [
        "beta",
        "small",
        "--prune-rate",
        "0.6",
        "--step",
        "0.3",
        "--proxy",
        "linear",
        "--oracle",
        "--json",
    ]
    done = CliRunner().invoke(main.app, command)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [point["beta"] for point in found["curve"]] == [0.0, 0.3, 0.6] and "lost" in found[
        "oracle"
    ]
    assert found["accuracy"] == max(point["accuracy"] for point in found["curve"])
