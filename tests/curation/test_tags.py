"""Tags and saved filters on disk, and the columns of a run that filters and counts read."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from coreset_engine.artifacts.carried_history import carry_over
from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.filter_columns import apply_filter
from coreset_engine.core.filters import Filter, parse_filter
from coreset_engine.core.types import Dataset
from coreset_engine.curation import tags
from coreset_engine.curation.facets import cross_filter, facet
from coreset_engine.curation.saved_filters import (
    remove_filter,
    save_filter,
    saved_filter,
    saved_filters,
)
from coreset_engine.curation.tagging import import_tags, tag, tag_counts
from coreset_engine.pipeline.manifest import verify, write_run
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.select import select
from coreset_engine.sources.open import open_source


def test_tags_are_kept_taken_renamed_and_undone(tmp_path):
    assert tags.add("f", "blurry", ["a", "b", "a"], tmp_path) == tags.TagChange("blurry", 2, 2)
    assert tags.add("f", "blurry", ["b", "c"], tmp_path) == tags.TagChange("blurry", 1, 3)
    assert tags.add("f", "new", ["a"], tmp_path).total == 1
    assert tags.tags_of("f", tmp_path) == {"blurry": ("a", "b", "c"), "new": ("a",)}
    assert tags.tags_of("other", tmp_path) == {}
    assert tags.remove("f", "blurry", ["b", "z"], tmp_path) == tags.TagChange("blurry", 1, 2)
    tags.undo("f", tmp_path)
    assert tags.tags_of("f", tmp_path)["blurry"] == ("a", "b", "c")
    assert tags.rename("f", "new", "blurry", tmp_path).total == 3
    assert tags.tags_of("f", tmp_path) == {"blurry": ("a", "b", "c")}
    assert tags.remove("f", "blurry", None, tmp_path).total == 0
    assert tags.tags_of("f", tmp_path) == {}


def test_tags_follow_a_grown_dataset(tmp_path):
    tags.add("old", "x", ["a", "b"], tmp_path)
    assert carry_over("old", "new", {"b": "b", "c": "c"}, tmp_path) == {"tags": 1}
    assert tags.tags_of("new", tmp_path) == {"x": ("b",)}


@pytest.mark.parametrize(
    "name",
    ["", "two words", "a,b", "a;b", 'a"b', "(a)", "x" * 61, "coreset", "coreset:main", "a..b"],
)
def test_names_that_cannot_be_tags(tmp_path, name):
    with pytest.raises(BadInput, match="a word of at most 60 characters"):
        tags.add("f", name, ["a"], tmp_path)


def test_an_unknown_tag_cannot_be_taken(tmp_path):
    tags.add("f", "new", ["a"], tmp_path)
    with pytest.raises(BadInput, match="no image of this dataset has the tag 'old'; its tags: new"):
        tags.remove("f", "old", None, tmp_path)


def test_saved_filters(tmp_path):
    night = parse_filter("time=night")
    save_filter("f", "night", night, tmp_path)
    save_filter("f", "wide", "width>=512", tmp_path)
    assert saved_filters("f", tmp_path) == {"night": night, "wide": parse_filter("width>=512")}
    save_filter("f", "night", "time=dusk", tmp_path)
    assert saved_filter("f", "night", tmp_path) == parse_filter("time=dusk")
    with pytest.raises(BadInput, match="Did you mean 'night'"):
        saved_filter("f", "nigth", tmp_path)
    remove_filter("f", "night", tmp_path)
    assert list(saved_filters("f", tmp_path)) == ["wide"]
    with pytest.raises(BadInput, match="1 to 80 printable"):
        save_filter("f", "  ", night, tmp_path)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Twelve images with vectors, a column of times and the source's own tags."""
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    rng = np.random.default_rng(0)
    ids = np.array([f"i{n:02d}" for n in range(12)])
    np.savez(
        tmp_path / "v.npz",
        vectors=rng.normal(size=(12, 4)).astype(np.float32),
        ids=ids,
    )
    dataset = Dataset(
        "memory",
        ids,
        "twelve",
        vectors=rng.normal(size=(12, 4)).astype(np.float32),
        columns={
            "time": np.array(["night"] * 4 + ["day"] * 6 + [""] * 2),
            "tags": np.array(["own"] * 2 + [""] * 10),
            "width": np.arange(12) * 100,
        },
        reopenable=False,
    )
    return Run(dataset)


def test_our_tags_join_those_of_the_source(run):
    assert tag(run, "new", where="time=night and width>=200").total == 2
    assert tag_counts(run) == {"new": 2, "own": 2}
    assert run.columns.column("tag").texts().tolist()[:4] == ["own", "own", "new", "new"]
    assert tag(run, "new", ids=["i00"]).total == 3
    assert tag(run, "new", where="tag=own", remove=True).total == 2
    with pytest.raises(BadInput, match="'zz' is not an id of this source"):
        tag(run, "new", ids=["zz"])
    with pytest.raises(BadInput, match="needs images; select them"):
        tag(run, "new")


def test_tags_are_read_back_from_a_table(run, tmp_path):
    table = tmp_path / "tags.csv"
    table.write_text("id,tags\ni01,blurry new\ni02,\ni03,new;coreset:main\n")
    assert import_tags(run, table) == {"blurry": 1, "new": 2}
    assert tags.tags_of("twelve", run.store.home) == {"blurry": ("i01",), "new": ("i01", "i03")}


def test_counts_are_those_under_the_other_filters(run):
    """By hand: widths 0..1100; night = first 4, day = next 6, 2 missing."""
    chosen = {"time": Filter.equals("time", "night"), "width": Filter.between("width", 200, 700)}
    found = cross_filter(run.columns, chosen, ["time", "width", "tag"])
    assert np.flatnonzero(found.mask).tolist() == [2, 3]
    time = found.facets["time"]  # among widths 200..700: two of night, four of day
    assert dict(zip(time.labels, time.counts.tolist())) == {"day": 4, "night": 2}
    assert dict(zip(time.labels, time.totals.tolist())) == {"day": 6, "night": 4}
    assert (time.missing, time.missing_total) == (0, 2)
    width = found.facets["width"]  # among night: 0, 100, 200, 300
    assert width.counts.tolist() == [1] * 4 + [0] * 8 and width.edges is None
    assert found.facets["tag"].counts.tolist() == [0]
    assert time.filter_of([1]) == chosen["time"]
    assert width.filter_of([0, 1]).text == "width in (0, 100)"


def test_a_histogram_and_its_filter_count_the_same():
    rng = np.random.default_rng(1)
    from coreset_engine.core.filter_columns import encode, passes

    column = encode("x", np.append(rng.normal(size=1000), np.nan))
    found = facet(column, bins=7)
    edges = np.linspace(column.values[:-1].min(), column.values[:-1].max(), 8)
    assert found.counts.tolist() == np.histogram(column.values[:-1], edges)[0].tolist()
    for bar in range(7):
        assert passes(found.filter_of([bar]), column).sum() == found.counts[bar]
    both = found.filter_of([0, 2, 3])
    assert both.op == "or" and len(both.parts) == 2
    moments = encode("t", np.datetime64("2024-01-01") + np.arange(100).astype("m8[D]"))
    days = facet(moments, bins=4)
    assert days.counts.sum() == 100
    for bar in range(len(days.labels)):
        assert passes(days.filter_of([bar]), moments).sum() == days.counts[bar]


def test_a_selection_by_tag_verifies_after_the_tag_is_gone(tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    run = Run(open_source("demo"))
    tag(run, "three", where="class=3")
    chosen = select("random", run, count=10, where="tag=three")
    folder = write_run(tmp_path / "out", run, chosen)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert len(manifest["tags"]["three"]) == 183
    assert manifest["info"]["where_matched"] == 183 and manifest["params"]["where"] == "tag=three"
    tag(run, "three", remove=True)
    assert verify(folder)["same"]
    manifest["tags"]["three"] = manifest["tags"]["three"][:100]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    found = verify(folder)
    assert "filter 'tag=three' (100 images pass now, 183 then)" in found["differs"]


def test_facts_of_files(tmp_path, monkeypatch):
    """A wide JPEG with EXIF turned by a quarter, and a PNG without."""
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    folder = tmp_path / "images"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x010F] = "Canon"
    exif[0x0110] = "Canon EOS R5"
    exif[0x0112] = 6
    exif[0x0132] = "2024:05:06 07:08:09"
    Image.new("RGB", (80, 40), "red").save(folder / "a.jpg", exif=exif)
    Image.new("RGB", (30, 60), "blue").save(folder / "b.png")
    run = Run(open_source(str(folder)))

    def of(name):
        return run.columns.column(name)

    assert of("width").values.tolist() == [40, 30] and of("height").values.tolist() == [80, 60]
    assert of("aspect").values.tolist() == [0.5, 0.5]
    assert of("size").values.tolist() == [(folder / n).stat().st_size for n in ("a.jpg", "b.png")]
    assert of("exif_camera").texts().tolist() == ["Canon EOS R5", ""]
    assert of("exif_orientation").texts().tolist() == ["6", ""]
    assert of("exif_time").texts().tolist() == ["2024-05-06T07:08:09", ""]
    assert of("exif_gps").texts().tolist() == ["false", "false"]
    chosen = select("random", run, count=1, where="exif_time=2024-05 and width>=40")
    assert chosen.ids.tolist() == ["a.jpg"]
    ready = {info.name: info.ready for info in run.columns.describe()}
    assert ready["width"] and not ready["aum"]


def test_paths_and_folders_are_named_from_the_root_of_the_source(tmp_path, monkeypatch):
    """As people read them; the whole path works too, and so do a slash at the end and a subset."""
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    root = tmp_path / "animals photos"
    names = ["animals/birds/a.png", "animals/b.png", "tools/c.png", "d.png"]
    for at, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9), (40 * at, 0, 0)).save(root / name)
    run = Run(open_source(str(root)))

    def left(where):
        return set(run.dataset.ids[apply_filter(parse_filter(where), run.columns).mask])

    assert set(run.columns.column("folder").texts()) == {"animals", "animals/birds", "tools", "."}
    for text in ("folder=animals", "folder=animals/", f'folder="{root}/animals"'):
        assert left(text) == {"animals/b.png"}
    assert left("folder in (tools, ./animals/birds)") == {"tools/c.png", "animals/birds/a.png"}
    assert left("folder=.") == left(f'folder="{root}"') == {"d.png"}
    assert left("path=d.png") == left(f'filepath="{root}/d.png"') == {"d.png"}
    assert left("path contains animals") == {"animals/birds/a.png", "animals/b.png"}
    for value in ("tools", str(root / "tools")):
        quota = {"by": "folder", "counts": {value: 1}}
        chosen = select("random", run, count=1, where="path~tools", quotas=quota)
        assert chosen.ids.tolist() == ["tools/c.png"]
    with pytest.raises(BadInput, match=r"'wide' is unknown; choose one of .*folder.*tag, width"):
        select("random", run, count=1, quotas={"by": "wide", "spread": "equal"})


def test_a_part_of_a_run_knows_the_tags_of_the_whole(run):
    tag(run, "new", ids=["i03", "i05"])
    part = run.take(np.array([5, 1]))
    assert part.columns.column("tag").texts().tolist() == ["new", "own"]


def test_vectors_without_images_have_no_width(tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path))
    np.save(tmp_path / "v.npy", np.eye(4, dtype=np.float32))
    run = Run(open_source(str(tmp_path / "v.npy")))
    with pytest.raises(Missing, match="has vectors but no images"):
        run.columns.column("width")
