"""A set too large to draw that lies in tars or Parquet files: pictures come by id from the shards,
only those shown; every page opens; corrections made while looking at the sample hold for all."""

from __future__ import annotations

import dataclasses
import io
import tarfile

import numpy as np
import pytest
from finished import ROOT, go_to, texts
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from coreset_engine.artifacts import history
from coreset_engine.artifacts.store import Store
from coreset_engine.pipeline import sampled_run
from coreset_engine.pipeline.run import Run
from coreset_engine.sources.open import open_source
from coreset_engine.sources.remote import parquet, readers
from ui.components import tiles
from ui.server import published, routes
from ui.state import clusters, sampling, session
from ui.views import corrections

N = 300
GROUP = 16
SETTINGS = dict(n_clusters=4, clusterer="kmeans", proxy="linear", n_samples=20_000)


def colour(i: int) -> tuple[int, int, int]:
    """Each picture is one colour, no two alike."""
    return 40 + 9 * (i % 20), 40 + 12 * (i // 20), (i * 53) % 256


def picture(i: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (24, 24), colour(i)).save(out, "PNG")
    return out.getvalue()


def number(name: str) -> int:
    """Which picture an id of either kind means: 'k0123' or 'part.parquet:123'."""
    return int(name.rpartition(":")[2].lstrip("k"))


def make_tars(folder) -> str:
    for part in range(3):
        with tarfile.open(folder / f"{part}.tar", "w") as out:
            for i in range(part * 100, part * 100 + 100):
                about = tarfile.TarInfo(f"k{i:04d}.png")
                about.size = len(picture(i))
                out.addfile(about, io.BytesIO(picture(i)))
    return f"{folder}/*.tar"


def make_parquet(folder) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(
        pa.table({"image": [picture(i) for i in range(N)]}),
        folder / "part.parquet",
        row_group_size=GROUP,
    )
    return f"{folder}/part.parquet"


@pytest.fixture(params=[make_tars, make_parquet], ids=["tars", "parquet"])
def whole(request, tmp_path, monkeypatch, set_limits):
    """The RunView of all pictures, every stage finished in the workspace, from 200 pictures on
    shown by a sample."""
    set_limits(sampled_above=200)
    set_limits(sample_images=60)
    set_limits(sample_per_cluster=2)
    monkeypatch.setattr(
        "coreset_engine.embedding.projection.project",
        lambda vectors, neighbours, **rest: vectors[:, :2],
    )
    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CORESET_OPEN", raising=False)
    (tmp_path / "data").mkdir()
    dataset = open_source(request.param(tmp_path / "data"))
    run = Run(dataset, store=Store(tmp_path / "home"), **SETTINGS)
    rng = np.random.default_rng(0)
    vectors = (3 * rng.normal(size=(4, 8))[np.arange(N) % 4] + rng.normal(size=(N, 8))).astype(
        np.float32
    )
    run.store.get(
        "embeddings",
        run.key_of("embeddings"),
        lambda: (dict(vectors=vectors), dict(encoder="given", weights=None)),
    )
    run.dynamics, run.coverage  # noqa: B018 - computed and kept
    sampled_run.prepare(run)
    return session.RunView(dataset.spec, dataset, run, run.config)


@pytest.fixture
def view(whole):
    sampling.sample_view.clear()
    return sampling.drawable_view(whole)


@pytest.fixture
def touched(monkeypatch):
    """What is read of the shards: (place, first byte) of tars, row groups of Parquet files."""
    seen = []
    fetch = readers.fetch
    group = parquet.read_group
    monkeypatch.setattr(
        readers,
        "fetch",
        lambda folder, a, b: seen.append((folder, a, b - a)) or fetch(folder, a, b),
    )
    monkeypatch.setattr(
        parquet, "read_group", lambda *given, **rest: seen.append(given[2]) or group(*given, **rest)
    )
    parquet.GROUPS._held.clear()
    routes._thumbnail.cache_clear()
    tiles._cache.clear()
    return seen


def test_the_route_serves_the_picture_of_the_sampled_id_and_reads_no_other(view, touched):
    address = published.thumbnail_address(published.of_dataset(view.dataset))
    client = TestClient(Starlette(routes=routes.routes), base_url="http://127.0.0.1")
    shown = [0, 7, 31, len(view) - 1]
    for i in shown:
        got = client.get(address.format(i=i))
        wanted = colour(number(str(view.dataset.ids[i])))
        assert got.status_code == 200
        assert (
            np.abs(
                np.asarray(Image.open(io.BytesIO(got.content)).convert("RGB"))[64, 64] - wanted
            ).max()
            <= 6
        )
    assert client.get(address.format(i=len(view))).status_code == 404
    rows = view.run.rows[shown]
    reader = view.full.dataset.reader
    if reader.kind == "tar":
        assert [(begin, size) for _, begin, size in touched] == [
            (reader.offset[i], reader.size[i]) for i in rows
        ]
    else:
        assert touched == sorted({int(i) // GROUP for i in rows})


def test_a_gallery_holds_the_sampled_pictures_and_reads_no_other(view, touched):
    shown = [3, 11, 40]
    sheet = tiles.sheet(view.dataset, shown, columns=3)
    for position, i in enumerate(shown):
        wanted = colour(number(str(view.dataset.ids[i])))
        assert sheet[36, position * tiles.TILE + 36].tolist() == list(wanted)
    assert len(touched) <= len(shown)


@pytest.fixture
def app(view, monkeypatch):
    """The app opened on the whole set, as a session with these settings finds it."""
    return opened(view, monkeypatch)


def opened(view, monkeypatch):
    from streamlit.testing.v1 import AppTest

    monkeypatch.setattr(session, "current_run", lambda: view)
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for name, value in {"dataset": view.spec, "method": "elfs", **SETTINGS}.items():
        test.session_state[f"state:{name}"] = value
    return test.run()


PAGES = [
    "home",
    "explore",
    "gallery",
    "labels",
    "coverage",
    "select",
    "compare",
    "export",
]


def test_every_page_opens(app):
    for page in PAGES:
        test = go_to(app, page)
        assert not test.exception and not test.error, page
        assert page != "select" or "All images: 30 of 300 selected" in texts(test)
        assert "300 images" in "".join(element.value for element in test.sidebar.markdown)


def test_before_anything_is_prepared_every_page_opens_on_a_sample_drawn_evenly(
    whole, monkeypatch, tmp_path
):
    fresh = Run(whole.dataset, store=Store(tmp_path / "other"), **SETTINGS)
    unprepared = sampling.drawable_view(dataclasses.replace(whole, run=fresh))
    assert len(unprepared) == 60 and unprepared.full.run is fresh
    test = opened(unprepared, monkeypatch)
    for page in PAGES:
        test = go_to(test, page)
        assert not test.exception and not test.error, page
        assert page in ("home", "gallery") or "not computed yet" in texts(test), page
    assert not any(fresh.ready(stage) for stage in session.STAGES)


def test_corrections_made_at_the_sample_hold_for_all(view, app, monkeypatch):
    monkeypatch.setattr(corrections.st, "rerun", lambda: None)
    before = np.asarray(view.full.run.clusters.labels)
    outside = np.setdiff1d(np.arange(N), view.run.rows)
    moved = [str(view.full.dataset.ids[i]) for i in (*outside[:2], view.run.rows[0])]
    corrections.record(view, {"kind": "merge", "clusters": [3], "into": 1})
    assert corrections.chosen_ids(view, corrections.PASTED, "\n".join([*moved, "nobody"])) == moved
    corrections.record(view, {"kind": "relabel", "ids": moved, "cluster": 2})
    assert len(history.corrections(view.full.dataset.fingerprint, session.home())) == 2
    assert not history.corrections(view.dataset.fingerprint, session.home())
    wanted = np.where(before == 3, 1, before)
    wanted[[*outside[:2], view.run.rows[0]]] = 2
    again = Run(open_source(view.spec), store=view.run.store, **SETTINGS)
    assert np.array_equal(again.pseudo_labels.labels, wanted)
    assert again.key_of("dynamics") != view.full.key_of("dynamics") and not again.ready("dynamics")
    sample = sampled_run.Sampled(again)
    assert np.array_equal(sample.rows, view.run.rows) and sample.ready(
        "map"
    )  # the same sample, its map kept
    assert np.array_equal(sample.pseudo_labels.labels, wanted[sample.rows])
    assert len(clusters.corrections_of(view)) == 2
    corrections.undo(view)
    assert len(clusters.corrections_of(view)) == 1
