"""Labels come back from a CSV or Label Studio: they count, they stay in, and the next choice can be
verified."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from sklearn.datasets import load_digits
from typer.testing import CliRunner

from coreset_engine.artifacts.selection_folder import read_selection
from coreset_engine.artifacts.store import Store
from coreset_engine.cli.main import app
from coreset_engine.core.errors import BadInput
from coreset_engine.pipeline.label_rounds import name_clusters, rescore, with_labels
from coreset_engine.pipeline.manifest import verify, write_run
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.select import select
from coreset_engine.sources.label_import import read_labels
from coreset_engine.sources.open import open_source

N = 200


@pytest.fixture(scope="module")
def chosen(tmp_path_factory):
    """(run, selection folder, true class name by id)."""
    root = tmp_path_factory.mktemp("labels")
    digits = load_digits()
    np.save(root / "digits.npy", digits.data[:N].astype(np.float32))
    run = Run(
        open_source(str(root / "digits.npy")),
        n_samples=2000,
        n_clusters=10,
        store=Store(root / "home"),
    )
    folder = write_run(root / "first", run, select("elfs", run, 0.8))
    return (
        run,
        folder,
        {str(key): f"digit {digits.target[i]}" for i, key in enumerate(run.dataset.ids)},
    )


def table_of(path, pairs, head=("id", "label")):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *pairs])
    return path


def kept(folder):
    table = read_selection(folder)[0]
    return set(table["id"][table["selected"]].astype(str))


def test_labels_change_the_scores_stay_in_and_verify(chosen, tmp_path):
    run, folder, truth = chosen
    labelled = sorted(kept(folder))[:30]
    file = table_of(
        tmp_path / "l.csv", [(key, truth[key]) for key in labelled] + [("no such id", "digit 1")]
    )
    answer = rescore(folder, file, tmp_path / "next", prune_rate=0.7, store=run.store)
    assert (answer["labelled"], answer["unknown"], answer["kept"], answer["new"]) == (30, 1, 60, 30)
    assert 0.3 < answer["agreement"] <= 1
    assert set(labelled) <= kept(tmp_path / "next")
    assert verify(tmp_path / "next", run.store)["same"]
    manifest = json.loads((tmp_path / "next" / "manifest.json").read_text())
    assert manifest["given_labels"] == {key: truth[key] for key in labelled}
    manifest["given_labels"] = {
        key: "digit 0" if i % 2 else "digit 9" for i, key in enumerate(labelled)
    }
    (tmp_path / "next" / "manifest.json").write_text(json.dumps(manifest))
    assert not verify(tmp_path / "next", run.store)["same"], (
        "other labels, other dynamics, another choice"
    )


def test_all_true_labels_give_the_dynamics_of_the_truth(chosen):
    run, _, truth = chosen
    again = with_labels(run, truth)
    names = [again.dataset.classes[code] for code in again.labels]
    assert names == [truth[str(key)] for key in run.dataset.ids]
    assert (again.vectors == run.vectors).all() and len(again.dynamics_at(labels="true").aum) == N


def test_unlabelled_images_take_the_commonest_class_of_their_cluster():
    clusters = np.array([0, 0, 0, 0, 1, 1, 2])
    names = name_clusters(clusters, {0: "a", 1: "b", 2: "b", 4: "c"})
    assert names == ["a", "b", "b", "b", "c", "c", "cluster 2"]
    assert name_clusters(clusters, {0: "b", 1: "a"})[3] == "a", "a tie goes by name, not by chance"


def test_label_studio_exports_are_read(tmp_path):
    def task(key, *choices, cancelled=False):
        result = [dict(type="choices", value=dict(choices=[name])) for name in choices]
        return dict(
            data=dict(coreset_id=key), annotations=[dict(result=result, was_cancelled=cancelled)]
        )

    full = [
        task("a/1.png", "cat"),
        task("ü", "dog"),
        task("c"),
        task("d", "x", cancelled=True),
        dict(data=dict(coreset_id="e"), annotations=[]),
    ]
    (tmp_path / "full.json").write_text(json.dumps(full))
    assert read_labels(tmp_path / "full.json") == {"a/1.png": "cat", "ü": "dog"}
    (tmp_path / "min.json").write_text(
        json.dumps([dict(coreset_id="a", label="cat"), dict(coreset_id="b")])
    )
    assert read_labels(tmp_path / "min.json") == {"a": "cat"}


def test_csv_with_a_mark_quotes_and_newlines_is_read(tmp_path):
    path = tmp_path / "l.csv"
    path.write_text(
        '\ufeffextra,ID,Label\r\n1,"a ""x"", b\nc.png", cat \r\n2,d,\r\n3,e,dog\r\n',
        encoding="utf-8",
    )
    assert read_labels(path) == {'a "x", b\nc.png': "cat", "e": "dog"}


@pytest.mark.parametrize(
    "name, data",
    [
        ("x.csv", b""),
        ("x.csv", b"id\n1\n"),
        ("x.csv", b"a,b\n1,2\n"),
        ("x.csv", b"id,label\n1\n"),
        ("x.csv", b"\xff\xfe\x00bad"),
        ("x.csv", b'id,label\n"open,1\n'),
        ("x.csv", b"id,label\n1,\n"),
        ("x.json", b"{}"),
        ("x.json", b"[1]"),
        ("x.json", b"["),
        ("x.json", b"[" * 100_000),
        ("x.json", b"[{}]"),
        ("x.json", b'[{"data": {"coreset_id": 3}, "annotations": []}]'),
        ("x.json", b"[]"),
        (
            "x.json",
            b'[{"data": {"coreset_id": "a"}, "annotations": [{"result": [{"type": "choices", "value": 1}]}]}]',
        ),
    ],
)
def test_files_that_lie_are_a_sentence(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadInput) as caught:
        read_labels(tmp_path / name)
    assert name in str(caught.value)


def test_labels_of_another_source_are_a_sentence(chosen, tmp_path):
    run, folder, _ = chosen
    with pytest.raises(BadInput, match="labels 1 image, none of them in this source"):
        rescore(
            folder,
            table_of(tmp_path / "l.csv", [("nobody", "x")]),
            tmp_path / "next",
            store=run.store,
        )
    assert not (tmp_path / "next").exists()


def test_the_verb(chosen, tmp_path, monkeypatch):
    run, folder, truth = chosen
    monkeypatch.setenv("CORESET_HOME", str(run.store.home))
    file = table_of(tmp_path / "l.csv", [(key, truth[key]) for key in sorted(kept(folder))[:10]])
    done = CliRunner().invoke(
        app,
        ["labels", str(file), "--selection", str(folder), "--out", str(tmp_path / "o"), "--json"],
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["labelled"] == 10 and len(kept(tmp_path / "o")) == 40
