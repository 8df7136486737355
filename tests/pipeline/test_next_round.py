"""Rounds of labelling: exactly so many new images, never one twice, labels kept everywhere."""

from __future__ import annotations

import csv
import dataclasses
import json

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from typer.testing import CliRunner

from coreset_engine.artifacts import label_log
from coreset_engine.artifacts.selection_folder import read_selection
from coreset_engine.artifacts.store import Store
from coreset_engine.cli.commands import rounds
from coreset_engine.cli.main import app
from coreset_engine.core.errors import BadInput
from coreset_engine.export.targets import export_folder
from coreset_engine.pipeline.imported_labels import with_labels, with_stored_labels
from coreset_engine.pipeline.label_rounds import keep_labels, preview_labels
from coreset_engine.pipeline.manifest import verify, write_run
from coreset_engine.pipeline.next_round import ROUND_METHOD, next_round
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.select import select
from coreset_engine.selection.request import SelectionRequest
from coreset_engine.sources.open import open_source

N = 300
TARGET = load_digits().target[:N]


@pytest.fixture(scope="module")
def digits_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rounds")
    np.save(folder / "digits.npy", load_digits().data[:N].astype(np.float32))
    return folder / "digits.npy"


@pytest.fixture
def run(digits_file, tmp_path):
    """A run of digits without labels, with a workspace of its own."""
    return Run(
        open_source(str(digits_file)),
        n_clusters=10,
        clusterer="kmeans",
        n_samples=2000,
        store=Store(tmp_path / "home"),
    )


def name_of(run, key):
    return f"digit {TARGET[list(map(str, run.dataset.ids)).index(key)]}"


def label_all(run, ids, folder):
    """A label file for these images, read into the run's workspace."""
    with open(folder, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "label"), *((key, name_of(run, key)) for key in ids)])
    return keep_labels(run, folder)


def test_the_pilot_is_random_and_follows_the_clusters(run, tmp_path):
    made = next_round(run, 60, out=tmp_path / "r0")
    assert made.number == 0 and len(made) == 60 == len(set(made.ids))
    assert made.selection.method == "random" and made.labelled == made.pending == 0
    clusters = run.pseudo_labels.labels
    drawn = np.bincount(clusters[made.selection.indices], minlength=10)
    share = 60 * np.bincount(clusters, minlength=10) / N
    assert (np.abs(drawn - share) <= 1).all(), "each cluster by its share, rounded"
    assert verify(tmp_path / "r0", run.store)["same"]


def test_each_round_adds_exactly_so_many_new_ones(run, tmp_path):
    first = next_round(run, 40, out=tmp_path / "r0")
    answer = label_all(run, first.ids[:30], tmp_path / "l.csv")
    assert (answer["labels_new"], answer["labels_changed"], answer["total"]) == (30, 0, 30)
    second = next_round(run, 25, method="badge", out=tmp_path / "r1")
    third = next_round(run, method="typiclust", out=tmp_path / "r2")
    assert (second.number, third.number) == (1, 2)
    assert (len(second), len(third)) == (25, 25), "as many as the round before"
    assert (second.labelled, second.pending) == (30, 10)
    assert len({*first.ids, *second.ids, *third.ids}) == 90, "none is asked for twice"
    assert dict(second.selection.params)["labels"] == "true", "a method that reads labels gets them"
    assert set(second.selection.ids[:40]) == set(first.ids), "earlier images are the context"
    assert verify(tmp_path / "r1", run.store)["same"]
    table, manifest = read_selection(tmp_path / "r2")
    assert manifest["round"] == dict(number=2, new=25, labelled=30, pending=35)
    assert np.bincount(table["round"] + 1).tolist() == [N - 90, 40, 25, 25]
    given = dict(zip(table["id"], table["given_label"]))
    assert {key for key, name in given.items() if name} == set(first.ids[:30])
    assert all(given[key] == name_of(run, key) for key in first.ids[:30])


def test_the_new_images_have_a_file_of_their_own(run, tmp_path):
    first = next_round(run, 40)
    label_all(run, first.ids, tmp_path / "l.csv")
    made = next_round(run, 20, method="typiclust", out=tmp_path / "r1")
    with open(tmp_path / "r1" / "new.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == list(made.ids)
    assert {row["round"] for row in rows} == {"1"} and {row["label"] for row in rows} == {""}
    assert all(row["suggested_label"].startswith("digit ") for row in rows)
    assert all(0 < float(row["suggested_confidence"]) <= 1 for row in rows)
    right = sum(row["suggested_label"] == name_of(run, row["id"]) for row in rows)
    assert right >= 12, "guesses from forty labels beat chance by far"
    for row in rows:
        row["label"] = name_of(run, row["id"])
    with open(tmp_path / "back.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    assert keep_labels(run, tmp_path / "back.csv")["labels_new"] == 20, (
        "new.csv filled in reads back"
    )


def test_any_later_selection_carries_the_labels(run, tmp_path):
    first = next_round(run, 40)
    label_all(run, first.ids, tmp_path / "l.csv")
    write_run(tmp_path / "other", run, select("random", run, count=10))
    table = read_selection(tmp_path / "other")[0]
    assert (table["given_label"] != "").sum() == 40 and (table["round"] == 0).sum() == 40


def test_changed_labels_are_told_from_new_ones(run, tmp_path):
    first = next_round(run, 10)
    label_all(run, first.ids, tmp_path / "l.csv")
    file = tmp_path / "again.csv"
    rest = [str(key) for key in run.dataset.ids if key not in set(first.ids)]
    file.write_text(
        "id,label\n"
        + f"{first.ids[0]},other\n{first.ids[1]},{name_of(run, first.ids[1])}\n"
        + f"{rest[0]},x\n{rest[1]},a\n{rest[1]},b\nnobody,x\n"
    )
    seen = preview_labels(run, file)
    answer = keep_labels(run, file)
    for found in (seen, answer):
        assert (found["rows"], found["labels_new"], found["labels_changed"]) == (6, 1, 1)
        assert (found["labels_same"], found["conflicts"], found["unmatched"]) == (1, 1, 1)
    assert (
        "3 labels read: 1 new, 1 changed" in answer["report"][0]
        and "'other'" in answer["report"][0]
    )
    assert label_log.read(run.dataset.fingerprint, run.store.home).labels[first.ids[0]] == "other"
    label_log.undo_labels(run.dataset.fingerprint, run.store.home)
    after = label_log.read(run.dataset.fingerprint, run.store.home).labels
    assert after[first.ids[0]] == name_of(run, first.ids[0]) and rest[0] not in after


def test_more_than_there_are_is_a_sentence(run, tmp_path):
    next_round(run, 290)
    with pytest.raises(BadInput, match="11 new images were requested and only 10 of 300"):
        next_round(run, 11)
    with pytest.raises(BadInput, match="count=0"):
        next_round(run, 0)
    assert len(next_round(run, 10, method="random")) == 10


def test_shell_and_notebook_choose_by_the_same_method():
    assert rounds.ROUND_METHOD == ROUND_METHOD


def test_a_round_takes_neither_rate_nor_images_of_its_own(run):
    request = SelectionRequest.of("random", count=1, must_keep=str(run.dataset.ids[0]))
    with pytest.raises(BadInput, match="leave must_keep out"):
        next_round(run, 5, request=request)
    done = CliRunner().invoke(app, ["next", "demo", "--prune-rate", "0.5", "--out", "x"])
    assert isinstance(done.exception, BadInput) and "--count" in str(done.exception)


def test_blocked_images_are_never_proposed(run):
    blocked = tuple(map(str, run.dataset.ids[:100]))
    request = SelectionRequest.of("typiclust", count=1, never=blocked)
    first = next_round(run, 50, request=request)
    second = next_round(run, 50, request=request)
    assert not {*first.ids, *second.ids} & set(blocked)


def test_filling_in_takes_the_better_of_graph_and_linear_model(run, tmp_path):
    first = next_round(run, 80)
    label_all(run, first.ids, tmp_path / "l.csv")
    labelled = with_stored_labels(run)
    assert labelled.imported.how in ("graph", "linear")
    truth = np.array([name_of(run, str(key)) for key in run.dataset.ids])
    guess = np.array(labelled.dataset.classes)[labelled.labels]
    assert (guess == truth).mean() > 0.85
    old = with_labels(run, labelled.imported.labels, "clusters")
    assert old.imported.how == "clusters" and old.imported.confidence is None
    with pytest.raises(BadInput, match="how='magic'"):
        with_labels(run, labelled.imported.labels, "magic")


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A folder of 60 grey pictures in three brightnesses, and a workspace."""
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    rng = np.random.default_rng(0)
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(60):
        level = 40 + 80 * (i % 3)
        pixels = np.clip(level + rng.normal(0, 12, (16, 16, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02d}.png")
    return folder


def test_label_studio_gets_only_what_is_to_be_labelled(pictures, tmp_path):
    run = Run(open_source(str(pictures)), n_clusters=3, clusterer="kmeans")
    first = next_round(run, 12)
    names = ("dark", "grey", "bright")
    lines = [f"{key},{names[int(key[:2]) % 3]}" for key in first.ids]
    (tmp_path / "l.csv").write_text("\n".join(["id,label", *lines]))
    keep_labels(run, tmp_path / "l.csv")
    second = next_round(run, 9, method="typiclust", out=tmp_path / "r1")
    export_folder(tmp_path / "r1", target="label-studio", out=str(tmp_path / "ls"))
    tasks = json.loads((tmp_path / "ls" / "tasks.json").read_text())
    assert [task["data"]["coreset_id"] for task in tasks] == list(second.ids)
    message = [task["predictions"][0]["result"][0]["value"]["choices"][0] for task in tasks]
    wanted = [names[int(key[:2]) % 3] for key in second.ids]
    assert message == wanted, "the user's class names, from label spreading"
    assert all(0 < task["predictions"][0]["score"] <= 1 for task in tasks)
    config = (tmp_path / "ls" / "config.xml").read_text()
    assert all(f'value="{name}"' in config for name in names) and "cluster" not in config
    lines = [f"{key},{names[int(key[:2]) % 3]}" for key in second.ids]
    (tmp_path / "l2.csv").write_text("\n".join(["id,label", *lines]))
    keep_labels(run, tmp_path / "l2.csv")
    write_run(tmp_path / "done", run, second.selection)
    with pytest.raises(BadInput, match="all 21 selected images are labelled"):
        export_folder(tmp_path / "done", target="label-studio", out=str(tmp_path / "ls2"))


def test_the_verbs(pictures, tmp_path):
    def call(*words):
        done = CliRunner().invoke(app, [*map(str, words), "--json"])
        assert done.exit_code == 0, f"{done.output} {done.exception!r}"
        return json.loads(done.stdout)

    settings = ("--n-clusters", 3, "--clusterer", "kmeans")
    first = call("next", pictures, "--count", 15, "--out", tmp_path / "r0", *settings)
    assert (first["round"], first["new"], first["method"]) == (0, 15, "random")
    ids = (tmp_path / "r0" / "ids.txt").read_text().split()
    lines = [f"{key},{'abc'[int(key[:2]) % 3]}" for key in ids]
    (tmp_path / "l.csv").write_text("\n".join(["id,label", *lines]))
    answer = call("labels", tmp_path / "l.csv", "--selection", tmp_path / "r0")
    assert (answer["labelled"], answer["labels_new"], answer["total"]) == (15, 15, 15)
    again = call("labels", tmp_path / "l.csv", "--source", pictures)
    assert (again["labels_new"], again["labels_same"]) == (0, 15)
    second = call(
        "next", tmp_path / "r0", "--count", 10, "--method", "typiclust", "--out", tmp_path / "r1"
    )
    assert (second["round"], second["new"], second["labelled"]) == (1, 10, 15)
    assert not set(ids) & {
        row["id"] for row in csv.DictReader((tmp_path / "r1" / "new.csv").open())
    }
    chosen = call(
        "labels",
        tmp_path / "l.csv",
        "--selection",
        tmp_path / "r0",
        "--count",
        7,
        "--out",
        tmp_path / "r2",
    )
    assert (chosen["kept"], chosen["new"]) == (22, 7)


@pytest.mark.parametrize(
    "words, message",
    [
        (["labels", "l.csv"], "name one of them"),
        (["labels", "l.csv", "--source", "demo", "--out", "x"], "--out goes with --selection"),
        (
            ["labels", "l.csv", "--selection", "s", "--count", "3", "--prune-rate", "0.5"],
            "give one of them",
        ),
    ],
)
def test_unclear_requests_are_a_sentence(words, message):
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, BadInput) and message in str(done.exception)


def test_labels_survive_a_damaged_log(run, tmp_path):
    first = next_round(run, 10)
    label_all(run, first.ids, tmp_path / "l.csv")
    log = next((run.store.home / "history").glob("*labels*"))
    log.write_bytes(log.read_bytes() + b'{"labels": {"torn')
    assert len(label_log.read(run.dataset.fingerprint, run.store.home).labels) == 10


def test_a_source_that_lost_images_goes_on(run):
    first = next_round(run, 10)
    gone = set(first.ids[:4])
    rows = np.array([i for i, key in enumerate(run.dataset.ids) if str(key) not in gone])
    part = dataclasses.replace(run.dataset.take(rows, run.dataset.fingerprint), reopenable=True)
    made = next_round(run.with_dataset(part).with_config(seed=3), 10, method="random")
    assert len(made) == 10 and made.pending == 6
