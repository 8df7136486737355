"""The whole report of a run, its exclusions, and that no selection keeps what was excluded."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "findings"))
from drawn import dataset, plain, textured  # noqa: E402 - beside the other folder

from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import BadInput
from coreset_engine.findings import image_statistics as measuring
from coreset_engine.pipeline import exclusions, image_statistics_stage
from coreset_engine.pipeline.clean import affected, apply, clean, ready
from coreset_engine.pipeline.compare_sources import compare_sources
from coreset_engine.pipeline.manifest import manifest, run_of_manifest
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.select import select


def scattered(n, seed=0):
    """Vectors in general position: nearest distances of one size."""
    return np.random.default_rng(seed).normal(size=(n, 24))


@pytest.fixture
def run(tmp_path):
    """30 pictures: 0 = 10 by bytes with another label, 1 = 11 (same label), 5 and 20 nearly, 12 is
    blank and far from all."""
    images = [textured(i) for i in range(30)]
    images[10], images[11], images[12] = images[0], images[1], plain(90)
    images[20] = images[5].copy()
    images[20].putpixel((0, 0), (9, 9, 9))
    vectors = scattered(30)
    vectors[10], vectors[11] = vectors[0], vectors[1]
    vectors[20] = vectors[5] + 1e-4
    labels = [i % 3 for i in range(30)]
    labels[10], labels[11] = (labels[0] + 1) % 3, labels[1]
    labels[20] = labels[5]
    return Run(dataset(images, vectors, labels), store=Store(tmp_path), seed=0)


def test_every_planted_fault_is_in_the_report(run):
    report = clean(run)
    groups = {
        name: [sorted(group.tolist()) for group in report[name].groups_of()]
        for name in ("byte_identical", "pixel_identical", "near_duplicates", "label_conflicts")
    }
    assert groups == {
        "byte_identical": [[0, 10], [1, 11]],
        "pixel_identical": [],
        "near_duplicates": [[5, 20]],
        "label_conflicts": [[0, 10]],
    }
    assert report["blank"].positions.tolist() == [12]
    assert "1 group of copies holds images of different classes" in report.warnings[0]
    record = report.to_record()
    assert json.loads(json.dumps(record))["findings"][0]["surplus"] == 2


def test_what_it_costs_is_counted_beyond_the_first_of_each_group(run):
    report = clean(run)
    cost = report.cost("byte_identical", np.array([0, 10, 1, 3, 4]))
    assert (cost.wasted, cost.chosen) == (1, 5)
    assert cost.sentence() == "1 of 5 chosen images were copies of another selected file"
    assert report.cost("blank", np.array([12, 3])).wasted == 1


def test_without_embeddings_the_rest_is_found_and_the_reason_told(run):
    report = clean(run, embed=False)
    assert "near_duplicates" not in report.findings and len(report["byte_identical"]) == 4
    with pytest.raises(BadInput, match="was not computed: skipped: it needs embeddings"):
        report["outliers"]


def test_thresholds_are_checked_by_name_and_bounds(run):
    with pytest.raises(BadInput, match="unknown parameter 'darkness'"):
        clean(run, darkness=0.2)
    with pytest.raises(BadInput, match="dark=7"):
        clean(run, dark=7)
    assert len(clean(run, dark=1.0)["dark"]) == 30


def test_excluded_images_enter_no_selection_and_come_back_by_undo(run):
    report = clean(run)
    assert apply(run, report, "duplicates") == {"byte_identical": 2, "pixel_identical": 0}
    assert run.excluded_ids == ("010.png", "011.png")
    assert apply(run, report, "duplicates") == {"byte_identical": 0, "pixel_identical": 0}
    for method in ("random", "k_center"):
        chosen = select(method, run, count=28)
        assert not {"010.png", "011.png"} & set(chosen.ids.tolist())
        assert chosen.info["excluded"] == 2
    of_class = select("random", run, count=9, where="class = 'class 1'")
    assert len(of_class) == 9 and not {"010.png", "011.png"} & set(of_class.ids.tolist())
    with pytest.raises(BadInput, match="2 excluded and 0 blocked images leave 28 of 30"):
        select("random", run, count=29)
    with pytest.raises(BadInput, match="'010.png' is always included but was excluded"):
        select("random", run, count=5, must_keep=["010.png"])
    exclusions.undo(run.dataset.fingerprint, run.store.home)
    assert run.excluded_ids == () and len(select("random", run, count=30)) == 30


def test_the_manifest_names_the_exclusions_and_reproduces_the_choice(run):
    apply(run, clean(run), "blank", which="all")
    chosen = select("random", run, count=20)
    answer = json.loads(json.dumps(manifest(run, chosen)))
    assert answer["exclusions"][0]["ids"] == ["012.png"]
    assert answer["exclusions"][0]["reason"] == "blank"
    exclusions.undo(run.dataset.fingerprint, run.store.home)  # a later change of mind
    again = run_of_manifest(answer, run.dataset, store=run.store)
    assert again.excluded_ids == ("012.png",)
    assert select("random", again, count=20).ids.tolist() == chosen.ids.tolist()


def test_parts_of_a_run_keep_its_exclusions(run):
    apply(run, clean(run), "blank", which="all")
    part = run.take(np.arange(5, 25))
    assert "012.png" not in select("random", part, count=19).ids.tolist()


def test_restored_ids_are_allowed_again_and_undo_takes_back_the_last_step(tmp_path):
    exclusions.exclude("f", ["a", "b"], tmp_path, reason="dark")
    exclusions.exclude("f", ["c"], tmp_path)
    assert exclusions.restore("f", ["a", "zz"], tmp_path) == 1
    kept = exclusions.excluded(exclusions.entries("f", tmp_path))
    assert kept == {"b": "dark", "c": ""}
    assert exclusions.counts(exclusions.entries("f", tmp_path)) == {"dark": 1, "chosen by hand": 1}
    exclusions.undo("f", tmp_path)
    assert list(exclusions.excluded(exclusions.entries("f", tmp_path))) == ["a", "b", "c"]
    assert exclusions.undo("another", tmp_path) is None


def test_the_rule_decides_which_copy_stays(run):
    report = clean(run)
    assert affected(run, report, "byte_identical") == ["010.png", "011.png"]
    assert affected(run, report, "byte_identical", which="all") == [
        "000.png",
        "010.png",
        "001.png",
        "011.png",
    ]
    with pytest.raises(BadInput, match="file times"):
        affected(run, report, "byte_identical", keep="oldest")


def test_only_new_bytes_are_measured(run, monkeypatch, tmp_path):
    assert not ready(run)
    clean(run)
    assert ready(run)
    grown = dataset([*(run.dataset.image(i) for i in range(30)), textured(77)], scattered(31))
    seen = []
    plain_measure = measuring.measure
    monkeypatch.setattr(measuring, "measure", lambda image: seen.append(1) or plain_measure(image))
    made = image_statistics_stage.image_statistics(Run(grown, store=Store(tmp_path)))
    assert len(seen) == 1
    fresh = measuring.measure_images(grown)
    for name, values in made.arrays().items():
        assert np.array_equal(values, getattr(fresh, name)), name


def test_an_interrupted_pass_goes_on_where_it_stopped(run, monkeypatch):
    monkeypatch.setattr(image_statistics_stage, "SHARD", 10)
    plain_measure = measuring.measure
    seen = []

    def dies(image):
        seen.append(1)
        if len(seen) > 15:
            raise BadInput("stopped here")
        return plain_measure(image)

    monkeypatch.setattr(measuring, "measure", dies)
    with pytest.raises(BadInput, match="stopped here"):
        image_statistics_stage.image_statistics(run)
    seen.clear()
    monkeypatch.setattr(measuring, "measure", lambda image: seen.append(1) or plain_measure(image))
    image_statistics_stage.image_statistics(run)
    assert len(seen) == 20


# -- two sources -----------------------------------------------------------------------------------


@pytest.fixture
def test_run(run, tmp_path):
    """12 pictures: 0 and 1 are in the first set by bytes, 2 by pixels, 3 nearly."""
    images = [textured(100 + i) for i in range(12)]
    images[0], images[1], images[2] = (run.dataset.image(i) for i in (3, 4, 6))
    vectors = scattered(12, seed=9)
    vectors[0], vectors[1], vectors[2] = run.vectors[3], run.vectors[4], run.vectors[6]
    vectors[3] = run.vectors[7] + 1e-4
    made = dataset(images, vectors, names=[f"test-{i}.png" for i in range(12)])
    digests = made.digests.copy()
    digests[2] = b"another file"
    return Run(dataclasses.replace(made, digests=digests), store=Store(tmp_path))


def test_images_in_both_sets_are_told_by_the_surest_kind(run, test_run):
    found = compare_sources(run, test_run)
    leak = found.leakage
    pairs = list(zip(leak.positions_b.tolist(), leak.positions_a.tolist(), leak.kinds.tolist()))
    assert pairs == [(0, 3, "bytes"), (1, 4, "bytes"), (2, 6, "pixels"), (3, 7, "near")]
    assert leak.sentence().startswith("4 of 12 images occur in the other set too: 2 by bytes, 1")
    record = json.loads(json.dumps(found.to_record()))
    assert record["leakage"]["pairs"][3]["b"] == "test-3.png" and record["regions"]


def test_a_leak_need_not_be_the_nearest_by_embedding(run, test_run):
    """Picture 5 is picture 8 of the first set, recompressed; another one there is nearer to it."""
    images = [test_run.dataset.image(i) for i in range(12)]
    images[5] = run.dataset.image(8).point(lambda value: min(255, value + 2))
    vectors = np.array(test_run.vectors)
    vectors[5] = 0.6 * run.vectors[9] + 0.4 * run.vectors[8]
    names = [f"test-{i}.png" for i in range(12)]
    other = Run(dataset(images, vectors, names=names), store=run.store)
    leak = compare_sources(run, other).leakage
    at = leak.positions_b.tolist().index(5)
    assert leak.positions_a[at] == 8 and leak.kinds[at] == "near"


def test_bytes_and_pixels_alone_need_no_embeddings(run, test_run):
    found = compare_sources(run, test_run, embed=False)
    assert found.leakage.counts() == {"bytes": 2, "pixels": 1, "near": 0}
    assert found.regions is None and "skipped" in found.warnings[0]


def test_vectors_of_another_encoder_are_refused(run, test_run):
    narrow = dataclasses.replace(test_run.dataset, vectors=test_run.dataset.vectors[:, :8])
    with pytest.raises(BadInput, match="24 and 8 dimensions; give vectors of the same encoder"):
        compare_sources(run, Run(narrow, store=run.store))
    pictures = dataclasses.replace(test_run.dataset, vectors=None)
    with pytest.raises(BadInput, match="own vectors.*'efficientnet_lite0'.*the same encoder"):
        compare_sources(run, Run(pictures, store=run.store))
