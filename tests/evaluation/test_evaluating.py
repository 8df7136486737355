"""The table of an evaluation: paired, resumable, honest about the split; and the verb in the
shell."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from labelled_digits import first_digits
from sklearn.datasets import load_digits

from coreset_engine.artifacts.store import Store
from coreset_engine.cli.commands.evaluate import curves, lines, mean_and_std, picture
from coreset_engine.core.errors import BadInput, Cancelled, Missing
from coreset_engine.evaluation import experiment
from coreset_engine.evaluation.evaluation_split import EvaluationSplit
from coreset_engine.evaluation.experiment import coverage_sentences, evaluate
from coreset_engine.pipeline.config import RunConfig
from coreset_engine.pipeline.run import Run
from coreset_engine.sources.open import open_source

ROOT = Path(__file__).parents[2]
N = 400


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def dataset():
    return first_digits(N)


@pytest.fixture
def run(dataset, home):
    return Run(dataset, store=Store(home), n_samples=2000)


def test_rows_are_paired_and_random_and_full_are_always_there(run):
    seen = []
    found = evaluate(
        run,
        on_rows=lambda rows, full, total: seen.append((len(rows), full, total)),
        methods=["blindcs"],
        prune_rates=[0.9, 0.5],
        seeds=2,
    )
    assert [(row["seed"], row["prune_rate"], row["method"]) for row in found["rows"]] == [
        (seed, rate, method)
        for seed in (0, 1)
        for rate in (0.5, 0.9)
        for method in ("random", "blindcs")
    ]
    assert seen[0] == (0, None, 8) and seen[-1] == (8, found["full_accuracy"], 8)
    assert found["trained_on"] + found["tested_on"] == N and found["labels"] == "true"
    by_rate = {
        rate: np.mean([r["accuracy"] for r in found["rows"] if r["prune_rate"] == rate])
        for rate in (0.5, 0.9)
    }
    assert found["full_accuracy"] > by_rate[0.5] > by_rate[0.9] > 0.3
    for row in found["rows"]:
        assert row["k"] == round(found["trained_on"] * (1 - row["prune_rate"]))
        assert 0 <= row["worst_class_accuracy"] <= row["accuracy"] and 0 < row["class_balance"] <= 1
    random = [
        row["accuracy"]
        for row in found["rows"]
        if row["method"] == "random" and row["prune_rate"] == 0.9
    ]
    assert random[0] != random[1], "another seed is another random subset"


def test_selection_never_sees_a_test_image(run, monkeypatch):
    from coreset_engine.pipeline.select import select

    seen = []

    def spy(method, given, rate, **params):
        seen.append(given)
        return select(method, given, rate, **params)

    monkeypatch.setattr(experiment, "select", spy)
    evaluate(run, methods=["elfs"], prune_rates=[0.83], seeds=1)
    split = EvaluationSplit(run, experiment.make(experiment.EvaluationConfig, {}), lambda: None)
    held = set(run.dataset.ids[split.test_at])
    for given in seen:
        assert not held & set(given.dataset.ids) and len(given.vectors) == N - len(held)
        assert given.neighbours.indices.max() < N - len(held) and len(
            given.dynamics.aum
        ) == N - len(held)
    assert len(seen) == 2


def test_finished_cells_are_found_again_and_a_stopped_evaluation_goes_on(
    dataset, tmp_path, monkeypatch
):
    run = Run(dataset, store=Store(tmp_path), n_samples=2000)
    calls = []
    train = experiment.evaluate_subset

    def counted(*args, **options):
        calls.append(1)
        return train(*args, **options)

    monkeypatch.setattr(experiment, "evaluate_subset", counted)

    def stop(rows, full, total):
        if len(rows) == 2:
            raise Cancelled("enough.")

    wanted = dict(methods=["class_balanced"], prune_rates=[0.8, 0.9], seeds=1)
    with pytest.raises(Cancelled):
        evaluate(run, on_rows=stop, **wanted)
    assert len(calls) == 2
    first = evaluate(Run(dataset, store=Store(tmp_path), n_samples=2000), **wanted)
    assert len(calls) == 5  # the two left and the full set
    assert (
        evaluate(Run(dataset, store=Store(tmp_path), n_samples=2000), **wanted) == first
        and len(calls) == 5
    )
    evaluate(Run(dataset, store=Store(tmp_path), n_samples=2000), label_noise=0.3, **wanted)
    assert len(calls) == 10, "another recipe is another cell"


def test_the_sources_own_test_split_is_used(home, dataset, monkeypatch):
    from coreset_engine.sources import open

    full = open_source("demo")
    test = dataclasses.replace(
        full,
        ids=full.ids[N:600],
        labels=full.labels[N:600],
        fingerprint="test digits",
        vectors=load_digits().data[N:600].astype(np.float32),
    )
    monkeypatch.setattr(open, "open_source", lambda spec: test)
    run = Run(
        dataclasses.replace(dataset, test_spec="demo:test"), store=Store(home), n_samples=2000
    )
    found = evaluate(run, methods=[], prune_rates=[0.5], seeds=1)
    assert (found["trained_on"], found["tested_on"]) == (N, 200)


def test_a_network_on_pixels_takes_the_images_themselves(run):
    found = evaluate(run, methods=[], prune_rates=[0.5], seeds=2, model="convnet", steps=30)
    first, second = found["rows"]
    assert first["model"] == "convnet" and first["steps"] == 30 and first["accuracy"] > 0.3
    assert first["accuracy"] != second["accuracy"] and found["full_accuracy"] > 0.3


def test_noise_lowers_accuracy_and_only_true_label_methods_see_it(run):
    config = experiment.make(experiment.EvaluationConfig, dict(label_noise=0.4))
    split = EvaluationSplit(run, config, lambda: None)
    seen, labels = split.noisy(0)
    assert (seen.dataset.labels == labels).all() and (labels != split.train_labels).sum() == round(
        0.4 * len(labels)
    )
    assert seen.key_of("pseudo_labels") == split.train.key_of("pseudo_labels")
    assert seen.key_of("dynamics", labels="true") != split.train.key_of("dynamics", labels="true")
    wanted = dict(methods=[], prune_rates=[0.5], seeds=3)
    clean = evaluate(run, **wanted)
    noisy = evaluate(run, label_noise=0.4, **wanted)
    assert noisy["full_accuracy"] < clean["full_accuracy"] - 0.05


def test_without_labels_the_accuracy_is_named_for_what_it_is(dataset, home):
    bare = dataclasses.replace(dataset, labels=None, classes=(), fingerprint="no labels")
    run = Run(bare, store=Store(home), n_samples=2000, n_clusters=10)
    found = evaluate(run, methods=["blindcs"], prune_rates=[0.8], seeds=1)
    assert found["labels"] == "pseudo" and {row["labels"] for row in found["rows"]} == {"pseudo"}
    assert "pseudo-labels" in lines(found)[0] and "Pseudo-label accuracy" in picture(found)
    with pytest.raises(Missing, match="no true labels"):
        evaluate(run, labels="true")


def test_balance_keeps_the_same_number_of_every_class(run):
    skewed = evaluate(run, methods=["blindcs"], prune_rates=[0.9], seeds=1)["rows"][1]
    even = evaluate(
        run, methods=["blindcs"], prune_rates=[0.9], seeds=1, balance=True, select_labels="true"
    )["rows"][1]
    assert even["class_balance"] > 0.99 > skewed["class_balance"]


def test_an_evaluation_states_samples_alpha_and_agreement_of_blindcs_alone(run):
    found = evaluate(run, methods=["blindcs", "elfs"], prune_rates=[0.5, 0.9], seeds=2)
    message = coverage_sentences(found["rows"])
    assert len(message) == 2 and all(one.startswith("blindcs at ") for one in message)
    assert message[0].startswith("blindcs at 50.0% removed: T = ") and "alpha = 1000" in message[0]
    assert "Jaccard between two seeds at 90% pruned" in message[1]
    printed = "\n".join(lines(found))
    assert message[0] in printed and message[1] in printed


def test_loss_weights_change_blindcs_but_not_random(run):
    wanted = dict(methods=["blindcs"], prune_rates=[0.8], seeds=1)
    plain = evaluate(run, **wanted)["rows"]
    weighted = evaluate(run, loss_weights=True, **wanted)["rows"]
    assert plain[0]["accuracy"] == weighted[0]["accuracy"] and plain[1]["k"] == weighted[1]["k"]
    assert (
        plain[1]["steps"] != weighted[1]["steps"] or plain[1]["accuracy"] != weighted[1]["accuracy"]
    )


def test_a_cell_that_cannot_be_says_why_and_the_others_go_on(run):
    found = evaluate(
        run,
        methods=["elfs"],
        prune_rates=[0.3, 0.9],
        seeds=1,
        method_params={"elfs": {"beta": 0.5}},
    )
    bad = [row for row in found["rows"] if row["accuracy"] is None]
    assert [(row["method"], row["prune_rate"]) for row in bad] == [("elfs", 0.3)] and "beta" in bad[
        0
    ]["error"]
    assert bad[0]["error"] in "\n".join(lines(found)) and len(curves(found["rows"])["elfs"]) == 1


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(methods=["magic"]), "magic"),
        (dict(prune_rates=[1.0]), "prune_rate"),
        (dict(seeds=0), "seeds"),
        (dict(model="magic"), "model"),
        (dict(label_noise=2), "label_noise"),
        (dict(bogus=1), "bogus"),
    ],
)
def test_bad_options_are_refused_before_anything_is_trained(run, wrong, message):
    with pytest.raises(BadInput, match=message):
        evaluate(run, **{"seeds": 1, "prune_rates": [0.9], **wrong})


def test_part_reads_its_own_images(run):
    some = run.take(np.array([7, 3]))
    assert list(some.dataset.ids) == ["digit-0007", "digit-0003"]
    assert (np.asarray(some.dataset.image(1)) == np.asarray(run.dataset.image(3))).all()


def test_the_spread_is_the_sample_deviation():
    assert mean_and_std([1.0, 2.0, 3.0]) == (2.0, 1.0) and mean_and_std([4.0]) == (4.0, 0.0)


def test_the_verb_prints_writes_and_refuses(tmp_path):
    source = str(tmp_path / "digits.npy")
    np.save(source, load_digits().data[:150].astype(np.float32))

    def shell(*words):
        return subprocess.run(
            [sys.executable, "-m", "coreset_engine", "evaluate", source, *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "CORESET_HOME": str(tmp_path / "home")},
        )

    rows = tmp_path / "rows.csv"
    plot = tmp_path / "curve.svg"
    done = shell(
        "--methods",
        "blindcs",
        "--prune-rates",
        ".5,.8",
        "--seeds",
        "2",
        "--n-clusters",
        "5",
        "--n-samples",
        "1000",
        "--csv",
        str(rows),
        "--plot",
        str(plot),
        "--json",
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (
        len(answer["rows"]) == 8 == len(list(csv.DictReader(rows.open())))
        and answer["labels"] == "pseudo"
    )
    assert plot.read_text().startswith("<svg") and "blindcs" in plot.read_text()
    for words, message in (
        (("--prune-rates", "x"), "prune rate"),
        (("--methods", ","), "has no values"),
        (("--option", "bogus=1"), "bogus"),
    ):
        refused = shell(*words)
        assert (
            refused.returncode == 2
            and message in refused.stderr
            and "Traceback" not in refused.stderr
        )


@pytest.mark.parametrize("method", ["blindcs", "elfs"])
def test_each_seed_draws_everything_random_again(dataset, method, tmp_path):
    """n seeds are n draws: different images kept under different keys, once each."""
    from coreset_engine.evaluation.experiment import EvaluationGrid, Plan

    config = RunConfig(n_clusters=3, n_samples=400).with_set(["temi.min_steps=20", "mlp.epochs=3"])
    run = Run(dataset, config, store=Store(tmp_path))
    plan = Plan((method,), (0.8,), (0, 1), {})
    found = evaluate(run, methods=(method,), prune_rates=(0.8,), seeds=2)
    rows = [row for row in found["rows"] if row["method"] == method]
    assert len({row["kept_digest"] for row in rows}) == 2
    grid = EvaluationGrid(run, experiment.make(experiment.EvaluationConfig, {}), plan)
    assert len({grid.key(method, 0.8, seed) for seed in (0, 1)}) == 2
    stages = {grid.split.run_of(seed).key_of("coverage") for seed in (0, 1)}
    shared = {grid.split.run_of(seed).key_of("neighbours") for seed in (0, 1)}
    assert len(stages) == 2 and len(shared) == 1

    def refused(*_):
        raise AssertionError("measured again")

    grid._measure = refused
    assert [grid.cell(method, 0.8, seed) for seed in (0, 1)] == rows


def test_a_neighbour_search_of_another_kind_is_another_cell(dataset, tmp_path):
    from coreset_engine.evaluation.experiment import EvaluationGrid, Plan

    keys = set()
    for search in ("auto", "approximate"):
        run = Run(dataset, RunConfig(n_clusters=3, search=search), store=Store(tmp_path))
        grid = EvaluationGrid(
            run, experiment.make(experiment.EvaluationConfig, {}), Plan((), (), (), {})
        )
        keys.add(grid.key("elfs", 0.5, 0))
    assert len(keys) == 2
