"""In from a real FiftyOne: samples, views, tags, labels, vectors, groups; and results go back to
the same samples."""

from __future__ import annotations

import json

import pytest
import scenes_source as scenes


@pytest.fixture(scope="module")
def built(fiftyone, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fiftyone-source")
    return fiftyone(scenes.build, folder, "zoo/möwen")


@pytest.fixture(scope="module")
def whole(fiftyone, built):
    return fiftyone(scenes.look, "fiftyone:zoo/möwen")


def test_ids_are_the_sample_ids_and_everything_is_there(built, whole):
    assert whole["ids"] == sorted(built["ids"]) and whole["spec"] == "fiftyone:zoo/möwen"
    assert sorted(whole["paths"]) == sorted(built["paths"]) and whole["rejected"] == []
    folder = [built["ids"].index(key) for key in whole["ids"]]
    assert whole["shades"] == [20 * i for i in folder]
    assert whole["classes"] == ["c0", "c1", "c2"]
    assert whole["labels"] == [-1 if i == 4 else i % 3 for i in folder]
    assert whole["columns"]["patient"] == [f"p{i // 2}" for i in folder]
    assert whole["columns"]["cost"] == [i + 0.5 if i else None for i in folder]
    assert whole["columns"]["night"] == [i % 2 for i in folder]
    assert whole["columns"]["tags"] == ["even" if i % 2 == 0 else "odd x" for i in folder]


def test_a_saved_view_is_opened_in_the_same_order(fiftyone, built, whole):
    found = fiftyone(scenes.look, "fiftyone:zoo/möwen/late first")
    assert found["ids"] == sorted(built["ids"][2:]) and found["fingerprint"] != whole["fingerprint"]
    assert found["spec"] == "fiftyone:zoo/möwen/late first"


@pytest.mark.parametrize(
    ("options", "check"),
    [
        (dict(tags="odd"), lambda f, b: f["ids"] == sorted(b["ids"][1::2])),
        (dict(tags=["odd", "even"]), lambda f, b: len(f["ids"]) == 6),
        (dict(labels="other"), lambda f, b: f["classes"] == ["same"] and f["labels"] == [0] * 6),
        (dict(labels="patient"), lambda f, b: f["classes"] == ["p0", "p1", "p2"]),
        (dict(labels=""), lambda f, b: f["labels"] is None),
        (
            dict(embeddings="vec"),
            lambda f, b: sorted(v[0] for v in f["vectors"]) == [0, 1, 2, 3, 4, 5],
        ),
        (
            dict(embeddings="sim"),
            lambda f, b: (
                [v.index(1) for v in f["vectors"]] == [b["ids"].index(k) for k in f["ids"]]
            ),
        ),
    ],
)
def test_options_and_the_spec_that_carries_them(fiftyone, built, whole, options, check):
    spec = "fiftyone:" + json.dumps({"name": "zoo/möwen", **options})
    found = fiftyone(scenes.look, spec)
    assert check(found, built)
    again = fiftyone(scenes.look, found["spec"])
    assert again == found and (found["fingerprint"] == whole["fingerprint"]) == (
        "labels" in options or len(options.get("tags", ())) == 2
    )


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("fiftyone:none", "has no dataset 'none'; it has "),
        ("fiftyone:", "has no dataset ''"),
        ("fiftyone:zoo/möwen/none", "has no saved view 'none'; it has 'late first', 'nothing'"),
        ("fiftyone:zoo/möwen/nothing", "holds no sample"),
        (
            'fiftyone:{"name": "zoo/möwen", "labels": "cost"}',
            "has no label field 'cost'; it has 'ground_truth', 'night', 'other', 'patient'",
        ),
        (
            'fiftyone:{"name": "zoo/möwen", "embeddings": "none"}',
            "neither a field nor a brain run 'none'",
        ),
        ('fiftyone:{"name": "zoo/möwen", "embeddings": "cost"}', "cost"),
        ('fiftyone:{"name": "zoo/möwen", "magic": 1}', "no option"),
        ('fiftyone:{"name": 3}', "are texts"),
        ("fiftyone:{broken", "is malformed"),
    ],
)
def test_what_is_not_there_is_said(fiftyone, built, spec, words):
    assert words in fiftyone(scenes.refused, spec)


def test_changes_are_noticed_and_reordering_is_none(fiftyone, tmp_path):
    seen = fiftyone(scenes.changes, tmp_path, "changing")
    assert seen["built"] == seen["turned"] == seen["relabelled"] == seen["back"]
    assert len({seen["built"], seen["added"], seen["deleted"], seen["repainted"]}) == 4


def test_groups_can_be_chosen_whole(fiftyone, tmp_path):
    found = fiftyone(scenes.groups, tmp_path, "grouped")
    assert (
        len(found["ids"]) == 6
        and found["group"] == found["wanted"]
        and len(set(found["group"])) == 3
    )


def test_missing_files_are_set_aside_unless_there_are_vectors(fiftyone, tmp_path):
    from pathlib import Path

    built = fiftyone(scenes.build, tmp_path, "holes")
    Path(built["paths"][3]).unlink()
    Path(built["paths"][1]).write_bytes(b"no picture")
    found = fiftyone(scenes.look, "fiftyone:holes")
    assert found["ids"] == sorted(set(built["ids"]) - {built["ids"][1], built["ids"][3]})
    assert {name for name, _ in found["rejected"]} == {built["paths"][1], built["paths"][3]}
    known = fiftyone(scenes.look, 'fiftyone:{"name": "holes", "embeddings": "vec"}')
    assert known["ids"] == sorted(built["ids"]) and known["rejected"] == []


def test_results_go_back_to_the_same_samples_of_a_changed_dataset(fiftyone, tmp_path):
    answer = fiftyone(scenes.back_again, tmp_path, "there and back")
    ids = answer["ids"]
    assert answer["told"]["absent"] == 1 and answer["told"]["others"] == 1 and answer["count"] == 6
    assert sorted(answer["tagged"]) == sorted([ids[4], ids[0]])
    assert {key: answer["score"].get(key) for key in ids} == {
        key: None if i == 2 else float(i) for i, key in enumerate(ids)
    }
    assert sum(value is None for value in answer["score"].values()) == 1
    assert answer["tags"]["even"] + answer["tags"]["odd"] == 5 and answer["labels"].count(None) == 2


def test_what_we_made_comes_back_equal(fiftyone, tmp_path):
    answer = fiftyone(scenes.made_here_comes_back, tmp_path, "made here")
    assert answer["order"] == [0, 1, 2, 3] and all(answer["same"])
    assert (
        answer["back"][0] == answer["back"][1] and answer["back"][2] == answer["back"][3]
    )  # labels given there come back
    assert (
        answer["classes"][0] == answer["classes"][1] and answer["labels"][0] == answer["labels"][1]
    )


def test_labels_that_are_empty_several_or_of_objects(fiftyone, tmp_path):
    found = fiftyone(scenes.labels_of_every_kind, str(tmp_path / "pictures"))
    assert found["one"] == dict(names=["cat", "-", "cat", "dog", "-"], notes=[])
    for field in ("many", "ground_truth"):
        assert found[field]["names"] == ["cat", "-", "-", "dog", "-"]
        assert "1 sample has several classes" in found[field]["notes"][0]
    assert found["None"]["names"] is None
