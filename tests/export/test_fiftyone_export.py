"""Out to a real FiftyOne with a real MongoDB: every layer arrives, names keep apart, nothing
foreign is touched."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scenes_fiftyone as scenes
import synthetic_bundles
from fiftyone_worker import environment
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coreset_engine.export.fiftyone import disk
from coreset_engine.export.fiftyone.layers import ID_FIELD, NUMBERS, Names, shortened

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return str(synthetic_bundles.pictures(tmp_path_factory.mktemp("pictures")))


@pytest.fixture(scope="module")
def made(fiftyone, source, tmp_path_factory):
    return fiftyone(scenes.fresh, tmp_path_factory.mktemp("fresh"), source, "fresh set")


def test_a_new_dataset_has_every_field(made):
    assert made["told"]["created"] and made["persistent"] and made["widths"] == [6] * 8
    for column in ("aum", "score", "weight"):
        assert made["fields"]["coreset_" + column] == pytest.approx(made["wanted"][column])
    assert made["fields"]["coreset_reason"] == made["reasons"]
    assert made["fields"]["coreset_pseudo_label.confidence"] == pytest.approx(
        made["wanted"]["confidence"]
    )
    assert set(made["fields"]["coreset_pseudo_label.label"]) == {"bright", "cluster 0"}
    assert made["fields"]["ground_truth.label"] == made["truth"] and None not in made["truth"]


def test_a_new_dataset_is_tagged_and_has_the_views(made):
    tagged = [
        key
        for key, tags in zip(made["ids"], made["tags"], strict=True)
        if tags == ["coreset", "coreset:main"]
    ]
    assert set(tagged) == set(made["kept"]) and sum(map(len, made["tags"])) == 6
    assert made["views"]["coreset: kept"] == made["kept"]
    assert set(made["views"]["coreset: dropped"]) == set(made["ids"]) - set(made["kept"])
    aum = dict(zip(made["ids"], made["wanted"]["aum"], strict=True))
    margin = dict(zip(made["ids"], made["fields"]["coreset_label_margin"], strict=True))
    suspected = made["views"]["coreset: suspected label errors"]
    assert suspected and set(suspected) == {key for key in margin if margin[key] < 0}
    assert [margin[key] for key in suspected] == sorted(margin[key] for key in suspected)
    hardest = made["views"]["coreset: hardest cut"]
    easiest = made["views"]["coreset: easiest cut"]
    assert hardest == sorted(aum, key=aum.get)[:2] and len(easiest) == 3
    assert (
        max(aum[key] for key in hardest)
        < min(aum[key] for key in made["kept"])
        < min(aum[key] for key in easiest)
    )
    assert "coreset: near-duplicates dropped" in made["views"]


def test_the_map_the_similarity_index_and_the_manifest_arrive(made, source, tmp_path):
    bundle = synthetic_bundles.make_bundle(tmp_path, source)
    assert np.allclose(made["points"], bundle.points)
    nearest = bundle.ids[bundle.neighbours.indices[0][:2]].tolist()
    assert made["near"] == [bundle.ids[0], *nearest]
    assert made["manifest"] == json.loads(json.dumps(bundle.manifest))


def test_the_folder_read_by_fiftyone_is_the_same_dataset(fiftyone, made, source, tmp_path):
    read = fiftyone(scenes.through_disk, tmp_path, source, str(tmp_path / "disk"), "from disk")
    for part in ("ids", "paths", "tags", "views", "points", "near", "manifest", "runs", "widths"):
        assert read[part] == made[part], part
    assert read["fields"].keys() == made["fields"].keys()
    assert all(read["fields"][name] == made["fields"][name] for name in made["fields"])
    assert set(read["samples"]).isdisjoint(
        made["samples"]
    )  # ids are unique to a dataset, not counters


def test_another_name_adds_and_the_same_name_updates(fiftyone, source, tmp_path):
    answer = fiftyone(scenes.twice, tmp_path, source, "twice")
    first, second, third = answer["states"]
    other = {name: values for name, values in second["fields"].items() if "coreset_b_" in name}
    assert len(other) >= 10 and all(
        third["fields"][name] == values for name, values in other.items()
    )
    assert all(second["fields"][name] == values for name, values in first["fields"].items())
    assert third["fields"]["coreset_aum"] != first["fields"]["coreset_aum"]
    assert (
        "coreset_nearest_kept" not in third["fields"]
    )  # an own field the new export does not have
    views = {name: shown for name, shown in second["views"].items() if " b_" in name}
    assert len(views) == 6 and all(third["views"][name] == shown for name, shown in views.items())
    assert (
        third["views"]["my view"] == first["views"]["my view"]
        and answer["mine"] == ["untouched"] * 8
    )
    assert "coreset_umap" not in third["brain"] and any(
        key.startswith("coreset_b_") for key in third["brain"]
    )
    tags = [set(row) for row in third["tags"]]
    assert "keep me" in tags[0]
    assert (
        sum("coreset:main" in row for row in tags) == 2
        and sum("coreset:B ☃" in row for row in tags) == 5
    )
    assert all(("coreset" in row) == bool(row & {"coreset:main", "coreset:B ☃"}) for row in tags)
    assert third["samples"] == first["samples"]


def test_a_foreign_dataset_of_the_same_files_is_matched_by_path(fiftyone, source, tmp_path):
    answer = fiftyone(scenes.into_foreign, tmp_path, source, "foreign")
    assert answer["aum"] == [None, *answer["wanted"][1:]]
    assert answer["own"] is None and answer["points"] == 7
    assert answer["tagged"] == [False, *answer["selected"][1:]]
    assert answer["told"]["absent"] == 1 and answer["told"]["others"] == 1
    assert "no longer in it" in answer["told"]["said"] and "not touched" in answer["told"]["said"]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("strangers", "has none of these 8 images"),
        ("somebody's field", "already has a field 'coreset_score'"),
        ("only kept", "removed only from a new dataset"),
        ("no name", "must be 1 to 100 printable characters"),
    ],
)
def test_what_cannot_be_right_is_refused(fiftyone, source, tmp_path, what, words):
    answer = fiftyone(scenes.refused, tmp_path, source, what)
    assert words in answer["said"]
    assert what != "somebody's field" or answer["left"] == [5.0]


def test_dropped_samples_are_left_out_when_asked(fiftyone, source, tmp_path):
    answer = fiftyone(scenes.only_kept, tmp_path, source, "only kept")
    assert sorted(answer["ids"]) == sorted(answer["kept"]) and answer["told"]["written"] == 3


def test_pictures_of_a_source_that_is_not_files_are_written(fiftyone, tmp_path):
    answer = fiftyone(scenes.fresh, tmp_path, "demo", "digits", 20)
    assert len(answer["ids"]) == 1797 and answer["widths"] == [8] * 1797
    assert len(set(answer["paths"])) == 1797 and all(
        Path(path).is_file() for path in answer["paths"][:50]
    )


TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12)
NUMBER = st.floats(allow_nan=True, allow_infinity=True, width=32)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), names=st.lists(TEXT, min_size=1, max_size=8, unique=True))
def test_whatever_the_ids_and_the_choice_it_comes_back_equal(
    fiftyone, tmp_path_factory, data, names
):
    n = len(names)
    kept = data.draw(
        st.one_of(
            st.just([]), st.just(list(range(n))), st.lists(st.integers(0, n - 1), unique=True)
        )
    )
    values = data.draw(st.lists(NUMBER, min_size=n, max_size=n))
    folder = tmp_path_factory.mktemp("property")
    answer = fiftyone(
        scenes.property_round_trip, folder, names, kept, [str(v) for v in values], folder.name
    )
    assert answer["ids"] == names and answer["kept"] == [names[i] for i in kept]
    assert answer["tags"] == [["coreset", "coreset:main"] if i in kept else [] for i in range(n)]
    assert answer["rank"] == [kept.index(i) if i in kept else None for i in range(n)]
    assert answer["score"] == [repr(None if math.isnan(v) else v) for v in values]
    assert answer["aum"] == [text.replace("nan", "None") for text in answer["wanted_aum"]]


def test_the_disk_format_needs_no_fiftyone_and_twice_is_the_same(source, tmp_path):
    code = (
        "import sys; sys.path[:0] = sys.argv[3:]; sys.modules['fiftyone'] = sys.modules['bson'] = "
        "None\n"
        "from pathlib import Path; import synthetic_bundles\n"
        "from coreset_engine.export import fiftyone_disk\n"
        "bundle = synthetic_bundles.make_bundle(Path(sys.argv[1]).parent, sys.argv[2]); "
        "fiftyone_disk.write_fiftyone_folder(bundle, sys.argv[1])"
    )
    samples = []
    for name in ("one", "two"):
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                code,
                str(tmp_path / name),
                source,
                str(ROOT),
                str(Path(__file__).parent),
            ],
            capture_output=True,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr
        samples.append(json.loads((tmp_path / name / "samples.json").read_text())["samples"])
    times = {"created_at", "last_modified_at"}
    assert [{k: v for k, v in row.items() if k not in times} for row in samples[0]] == [
        {k: v for k, v in row.items() if k not in times} for row in samples[1]
    ]
    assert len({row["_id"]["$oid"] for row in samples[0]}) == 8


def test_a_missing_file_keeps_its_sample(tmp_path):
    bundle = synthetic_bundles.make_bundle(
        tmp_path, str(synthetic_bundles.pictures(tmp_path / "pictures"))
    )
    Path(bundle.table["path"][2]).unlink()
    disk.write_fiftyone_folder(bundle, tmp_path / "out")
    rows = json.loads((tmp_path / "out" / "samples.json").read_text())["samples"]
    assert len(rows) == 8 and [i for i, row in enumerate(rows) if "metadata" not in row] == [2]


def test_names_never_meet():
    names = ["main", "a b", "a-b", "a_b", "A b", "ä b", "日本", "日 本", "aum", "main_", "x" * 60]
    assert len({Names(name).prefix for name in names}) == len(names)
    assert len({Names(name).run_key for name in names}) == len(names)
    assert all(Names(name).run_key.isidentifier() for name in names)
    parts = [
        *NUMBERS,
        "rank",
        "reason",
        "cluster",
        "pseudo_label",
        "nearest_kept",
        "vector",
        "umap",
        "similarity",
    ]
    owners = {*names, *parts, "pseudo", "nearest"}
    fields = [ID_FIELD, *(Names(name).prefix + part for name in owners for part in parts)]
    assert len(set(fields)) == len(fields)


def test_shortened_vectors_keep_the_nearest():
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(300, 20)) @ rng.normal(size=(20, 200))).astype(
        np.float32
    )  # 20 true directions
    short = shortened(vectors, 32)
    distance = np.linalg.norm(vectors[:50, None] - vectors[None], axis=2)
    assert short.shape == (300, 32)
    assert np.allclose(
        np.linalg.norm(short[:50, None] - short[None], axis=2), distance, rtol=1e-3, atol=1e-2
    )


def test_the_shell_exports_a_folder_and_says_when_the_source_is_gone(mongo, tmp_path):
    source = synthetic_bundles.pictures(tmp_path / "pictures")
    synthetic_bundles.make_bundle(tmp_path, str(source))
    folder = str(tmp_path / "selection-0-3")

    def shell(*words):
        return subprocess.run(
            [sys.executable, "-m", "coreset_engine", "export", *words, "--json"],
            cwd=ROOT,
            text=True,
            capture_output=True,
            env=environment(mongo, tmp_path),
            timeout=120,
        )

    answer = shell(folder, "--to", "fiftyone", "--name", "from the shell", "--selection", "p60")
    assert answer.returncode == 0, answer.stderr
    assert (
        json.loads(answer.stdout)["kept"] == 3
        and json.loads(answer.stdout)["name"] == "from the shell"
    )
    (source / "c" / "1.png").write_bytes(b"")
    changed = shell(folder, "--to", "fiftyone", "--name", "from the shell", "--selection", "p60")
    assert changed.returncode == 0 and "has changed" in json.loads(changed.stdout)["note"]
    source.rename(tmp_path / "moved")
    gone = shell(folder, "--to", "fiftyone-disk", "--out", str(tmp_path / "out"))
    assert gone.returncode == 0 and "could not be opened again" in json.loads(gone.stdout)["note"]
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"samples.json", "metadata.json", "manifest.json", "ids.txt"} <= written
    for words, message in (
        ((folder, "--to", "fiftyone"), "needs a dataset name"),
        ((folder, "--to", "nowhere"), "unknown"),
        ((str(source), "--to", "csv", "--out", "x"), "is not a selection folder"),
        ((folder, "--to", "csv", "--out", str(tmp_path / "moved")), "is not a selection folder"),
        ((folder, "--to", "csv", "--out", str(tmp_path / "t"), "--option", "magic=1"), "no option"),
    ):
        done = shell(*words)
        assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1, (
            done.stderr
        )
