"""A source that is opened later: what changed is said by content, only the new is embedded, old
positions and earlier picks stay."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import coreset_engine as ce
from coreset_engine.artifacts import label_log, source_states
from coreset_engine.artifacts.selection_folder import read_selection
from coreset_engine.artifacts.source_states import SourceState, compare
from coreset_engine.artifacts.store import Store
from coreset_engine.cli.main import app
from coreset_engine.core.errors import BadInput
from coreset_engine.core.types import Dataset
from coreset_engine.curation import tags
from coreset_engine.embedding.encoders.builders import make_encoder
from coreset_engine.embedding.projection import place_among
from coreset_engine.evaluation.update import update
from coreset_engine.pipeline.embedding_stage import identity_of
from coreset_engine.pipeline.manifest import verify, write_run


def state(pairs):
    ids = np.array([name for name, _ in pairs], object)
    return SourceState("s", "f", ids, np.array([content for _, content in pairs], "S32"))


def dataset(pairs, fingerprint="g", digests=True):
    return Dataset(
        "s",
        np.array([name for name, _ in pairs]),
        fingerprint,
        digests=np.array([content for _, content in pairs], "S32") if digests else None,
    )


# -- what changed ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "before, now, expected",
    [
        # (row, new, gone, changed, renamed)
        ("a1 b2", "a1 b2", ([0, 1], "", "", "", "")),
        ("a1 b2", "a1 b2 c3", ([0, 1, -1], "c", "", "", "")),
        ("a1 b2", "b2", ([1], "", "a", "", "")),
        ("a1 b2", "a9 b2", ([-1, 1], "", "", "a", "")),
        ("a1 b2", "b2 c1", ([1, 0], "", "", "", "ac")),
        ("a1 b2", "a2 b1", ([1, 0], "", "", "", "ba ab")),  # two pictures changed their names
        ("a1 b1", "a1 c1", ([0, 1], "", "", "", "bc")),  # copies: one stayed, one was renamed
        ("a1", "a1 b1", ([0, -1], "b", "", "", "")),  # a copy of an old picture is a new image
        ("a1 b2", "a3 c1", ([-1, 0], "a", "b", "", "ac")),  # moved away, another in its place
    ],
)
def test_images_are_the_same_where_their_content_is(before, now, expected):
    found = compare(state(before.split()), dataset(now.split()))
    row, new, gone, changed, renamed = expected
    assert found.row.tolist() == row
    assert (found.new, found.gone, found.changed) == (tuple(new), tuple(gone), tuple(changed))
    assert found.renamed == tuple(tuple(pair) for pair in renamed.split())
    assert bool(found) == (before != now)


def test_without_digests_names_decide():
    found = compare(state(["a1", "b2"]), dataset(["b9", "c1"], digests=False))
    assert found.row.tolist() == [1, -1] and found.new == ("c",) and found.gone == ("a",)


def test_rows_of_own_vectors_are_told_apart_by_their_values():
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    former = Dataset("s", np.array(["r0", "r1", "r2"]), "f", vectors=rows[:3])
    kept = SourceState("s", "f", former.ids, source_states.content_of(former))
    now = Dataset("s", np.array(["r0", "r1", "r2"]), "g", vectors=rows[[0, 3, 1]])
    found = compare(kept, now)
    assert found.row.tolist() == [0, -1, 1] and found.renamed == (("r1", "r2"),)
    assert found.new == ("r1",) and found.gone == ("r2",)


def test_states_are_kept_once_latest_first_and_damage_is_passed_over(tmp_path):
    for fingerprint in ("one", "two"):
        source_states.remember(dataset(["a1"], fingerprint), tmp_path)
        source_states.remember(dataset(["a1"], fingerprint), tmp_path)
    known = source_states.states("s", tmp_path)
    assert [each.fingerprint for each in known] == ["two", "one"]
    assert known[0].ids.tolist() == ["a"] and known[0].digests.tolist() == [b"1"]
    assert source_states.state_of("s", "one", tmp_path).fingerprint == "one"
    for path in (tmp_path / "states").rglob("one*"):
        path.write_bytes(path.read_bytes()[:40])
    assert [each.fingerprint for each in source_states.states("s", tmp_path)] == ["two"]
    assert source_states.states("other", tmp_path) == []


def test_a_part_of_a_source_is_no_state(tmp_path):
    source_states.remember(dataset(["a1", "b2"]).take(np.array([0])), tmp_path)
    assert not (tmp_path / "states").exists()


# -- the map ---------------------------------------------------------------------------------------


def two_blobs():
    """60 old and 3 new vectors, on a map with one blob at (-5, 0) and the other at (5, 0)."""
    rng = np.random.default_rng(0)
    side = np.arange(63) % 2
    vectors = np.eye(2)[side] * 10 + rng.normal(scale=0.3, size=(63, 2))
    points = np.stack([10.0 * side - 5, np.zeros(63)], 1) + rng.normal(scale=0.3, size=(63, 2))
    neighbours = ce.neighbours(vectors.astype(np.float32), k=20)
    return side, vectors.astype(np.float32), points.astype(np.float32), neighbours


def test_old_positions_stay_and_new_images_lie_among_their_neighbours():
    side, vectors, points, neighbours = two_blobs()
    known = np.arange(63) < 60
    points[60:] = np.nan
    placed = place_among(points, known, vectors, neighbours, seed=3)
    assert np.array_equal(placed[:60], points[:60])
    assert np.isfinite(placed).all()
    assert (np.sign(placed[60:, 0]) == np.where(side[60:] == 1, 1, -1)).all()
    assert np.array_equal(placed, place_among(points, known, vectors, neighbours, seed=3))


def test_new_images_whose_neighbours_are_all_new_are_placed_too():
    side, vectors, points, _ = two_blobs()
    neighbours = ce.neighbours(vectors, k=2)
    placed = place_among(points, np.arange(63) < 10, vectors, neighbours)
    assert (np.sign(placed[10:, 0]) == np.where(side[10:] == 1, 1, -1)).all()


def test_a_map_of_two_points_still_takes_a_third():
    vectors = np.array([[1, 0], [0, 1], [1, 1]], np.float32)
    points = np.array([[0, 0], [4, 2], [9, 9]], np.float32)
    placed = place_among(points, np.array([True, True, False]), vectors, ce.neighbours(vectors))
    assert placed[2].tolist() == [2.0, 1.0]


# -- embeddings ------------------------------------------------------------------------------------


def test_one_image_added_to_ten_thousand_costs_one_embedding(tmp_path):
    for number in range(10_000):
        colour = (number % 256, number // 256, 7)
        Image.new("RGB", (4, 4), colour).save(tmp_path / f"{number:05d}.bmp")
    store = Store(tmp_path.with_name("home"))
    before = ce.Run(ce.open_source(tmp_path), store=store)
    encoder = make_encoder("efficientnet_lite0", device="cpu").sized_for(before.dataset)
    info = dict(encoder=encoder.name, weights=encoder.weights_hash)
    info["identity"] = identity_of(encoder, before.dataset.fit)
    made = np.random.default_rng(0).normal(size=(10_000, encoder.dim)).astype(np.float32)
    arrays = dict(vectors=made, digests=before.dataset.digests)
    store.get("embeddings", before.key_of("embeddings"), lambda: (arrays, info))
    Image.new("RGB", (4, 4), (1, 2, 99)).save(tmp_path / "00500 new.bmp")
    answer = []
    now = before.with_dataset(ce.open_source(tmp_path))
    now.progress = lambda stage, done, total, unit="": answer.append((stage, done, total, unit))
    vectors = now.vectors
    new = now.dataset.ids.tolist().index("00500 new.bmp")
    assert np.array_equal(np.delete(vectors, new, axis=0), made)
    assert store.manifest("embeddings", now.key_of("embeddings"))["info"]["embedded"] == 1
    assert {total for stage, _, total, unit in answer if unit == "images"} == {1}


# -- the whole -------------------------------------------------------------------------------------


def pictures(folder, names):
    folder.mkdir(exist_ok=True)
    for name in names:
        seed = [ord(letter) for letter in name]
        pixels = np.random.default_rng(seed).integers(0, 255, (12, 12, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A folder of 24 pictures, 6 chosen; then two came, one went, one changed, one was renamed."""
    target = tmp_path_factory.mktemp("grown")
    store = Store(target / "home")
    folder = pictures(target / "src", [f"{i:02d}.png" for i in range(24)])
    run = ce.Run(ce.open_source(folder), store=store)
    first = ce.select("k_center", run, count=6)
    write_run(target / "first", run, first)
    before = dict(zip(map(str, run.dataset.ids), run.map, strict=True))
    picked = [str(name) for name in first.ids]
    others = [name for name in before if name not in picked]
    pictures(folder, ["new a.png", "new b.png"])
    gone, changed, renamed = picked[0], others[0], picked[1]
    (folder / gone).unlink()
    Image.new("RGB", (12, 12), "red").save(folder / changed)
    (folder / renamed).rename(folder / "other name.png")
    message = run.dataset.fingerprint
    label_log.add_labels(message, store.home, {picked[1]: "cat", picked[0]: "dog", changed: "owl"})
    label_log.add_round(message, store.home, picked, {"method": "k_center"})
    tags.add(message, "night", [picked[1], picked[2]], store.home)
    found = update(str(folder), target / "first", more=3, out=target / "next", store=store)
    return dict(
        place=target, found=found, before=before, picked=picked, store=store,
        gone=gone, changed=changed, renamed=renamed,
    )  # fmt: skip


def test_the_change_is_told_and_only_new_content_is_embedded(grown):
    found = grown["found"].record()
    assert (found["before"], found["images"]) == (24, 25)
    assert (found["new"], found["gone"], found["changed"], found["renamed"]) == (2, 1, 1, 1)
    assert found["embedded"] == 3
    assert found["examples"]["renamed"] == [[grown["renamed"], "other name.png"]]


def test_old_pictures_stay_where_they_were_on_the_map(grown):
    found = grown["found"]
    now = dict(zip(map(str, found.run.dataset.ids), found.run.map, strict=True))
    now[grown["renamed"]] = now.pop("other name.png")
    stay = set(grown["before"]) - {grown["gone"], grown["changed"]}
    assert all(np.array_equal(now[name], grown["before"][name]) for name in stay)
    again = ce.Run(ce.open_source(found.run.dataset.spec), store=grown["store"])
    assert again.ready("map") and np.array_equal(again.map, found.run.map)


def test_earlier_picks_stay_and_the_next_ones_are_chosen_beside_them(grown):
    found = grown["found"]
    expected = [name for name in grown["picked"] if name != grown["gone"]]
    expected = ["other name.png" if name == grown["renamed"] else name for name in expected]
    assert list(found.kept) == expected and found.lost == (grown["gone"],)
    assert len(found.selection) == 8 and set(expected) < set(found.selection.ids.tolist())
    assert len(found.next_ids) == 3 and not set(found.next_ids) & set(expected)
    table, manifest = read_selection(grown["place"] / "next")
    assert table["selected"].sum() == 8 and manifest["method"] == "k_center"
    assert verify(grown["place"] / "next" / "manifest.json", grown["store"])["same"]


def test_the_certificate_is_measured_before_now_and_with_the_next(grown):
    found = grown["found"].certificates
    assert list(found) == ["before", "now", "next"]
    assert [one.kept for one in found.values()] == [6, 5, 8]
    # more picks among the same images: no image is farther from one
    assert found["next"].worst_distance <= found["now"].worst_distance
    assert found["next"].mean_distance < found["now"].mean_distance
    vectors = np.asarray(grown["found"].run.vectors, np.float64)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    nearest = 1 - (unit @ unit[grown["found"].selection.indices].T).max(1)
    assert found["next"].mean_distance == pytest.approx(nearest.mean(), abs=1e-5)


def test_labels_rounds_and_tags_follow_their_pictures(grown):
    now = grown["found"].run.dataset.fingerprint
    state = label_log.read(now, grown["store"].home)
    assert state.labels == {"other name.png": "cat"}
    assert state.rounds == [list(grown["found"].kept)]
    tagged = tags.tags_of(now, grown["store"].home)
    assert tagged == {"night": ("other name.png", grown["picked"][2])}


def test_the_shell_says_the_same(grown, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(grown["place"] / "home"))
    words = ["update", str(grown["place"] / "src"), "--selection", str(grown["place"] / "first")]
    done = CliRunner().invoke(app, [*words, "--more", "3", "--json"], catch_exceptions=False)
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert (found["new"], found["kept"], found["next"], found["embedded"]) == (2, 5, 3, 0)
    plain = CliRunner().invoke(app, [*words, "--more", "0"], catch_exceptions=False).stdout
    assert "26" not in plain and "25 (24 before)" in plain and "5 stay, 1 of them gone" in plain


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(more=-1), "more=-1 .--more. must be an integer of at least 0"),
        (dict(out="somewhere"), "belongs to the selection to continue from"),
        (dict(), "no earlier state of .* is known in this workspace"),
    ],
)
def test_what_cannot_be_updated_is_refused_in_words(tmp_path, options, words):
    folder = pictures(tmp_path / "src", ["a.png"])
    with pytest.raises(BadInput, match=words):
        update(folder, store=Store(tmp_path / "home"), **options)


def test_a_selection_of_another_source_is_refused(grown, tmp_path):
    folder = pictures(tmp_path / "src", ["strange.png", "odd.png"])
    with pytest.raises(BadInput, match="has no image; name the folder"):
        update(folder, grown["place"] / "first", store=Store(tmp_path / "home"))


def test_a_selection_that_needed_no_vectors_can_be_updated(tmp_path):
    folder = pictures(tmp_path / "src", ["a.png", "b.png", "c.png"])
    store = Store(tmp_path / "home")
    run = ce.Run(ce.open_source(folder), store=store)
    write_run(tmp_path / "first", run, ce.select("random", run, count=2, must_keep=["a.png"]))
    assert not run.ready("embeddings")
    Image.new("RGB", (12, 12), "blue").save(folder / "a.png")
    found = update(folder, tmp_path / "first", more=1, store=store)
    assert found.change.changed == ("a.png",) and found.lost == ("a.png",)
    assert len(found.kept) == 1 and len(found.selection) == 2 and found.embedded == 3
