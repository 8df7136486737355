"""Sets too large to draw, at a lowered threshold: a kept stratified sample, exact totals of all images."""

from __future__ import annotations

import numpy as np
import pytest

from coreset_engine.errors import BadInput
from coreset_engine.run import totals, views
from coreset_engine.run.pipeline import Run
from coreset_engine.run.selecting import select
from coreset_engine.run.store import Store
from coreset_engine.sources.opening import open_source


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(0)
    own = rng.choice(5, 3000, p=[0.5, 0.3, 0.15, 0.045, 0.005])
    np.save(place / "v.npy", (4 * rng.normal(size=(5, 16))[own] + rng.normal(size=(3000, 16))).astype(np.float32))
    made = Run(open_source(str(place / "v.npy")), n_clusters=5, clusterer="kmeans", proxy="linear", n_samples=20_000,
               store=Store(place / "home"))
    made.dynamics, made.coverage  # noqa: B018 - computed and kept
    return made


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(views, "ABOVE", 2000)
    monkeypatch.setattr(views, "SIZE", 400)
    monkeypatch.setattr(totals, "GROUP", 256)
    for kept in (totals._cube, totals._ends):
        kept.cache_clear()


@pytest.mark.parametrize("method", ["elfs", "blindcs"])
@pytest.mark.parametrize("rate", [0.0, 0.37, 0.9, 0.999])
def test_counts_and_histograms_are_those_of_the_real_selection(run, method, rate):
    found = totals.totals(run, method)
    beta = dict(beta=min(0.1, rate)) if method == "elfs" else {}
    kept = np.zeros(3000, bool)
    kept[select(method, run, rate, **beta).indices] = True
    window = found.window(rate, **beta)
    labels = run.pseudo_labels.labels
    assert found.counts("pseudo_label", window) == {c: (int((labels == c).sum()), int((kept & (labels == c)).sum()))
                                                    for c in np.unique(labels)}
    values = run.dynamics.aum.astype(np.float64)
    edges, images, inside = found.histogram("aum", window, bins=23)
    place = np.clip(np.floor((values - values.min()) / ((values.max() - values.min()) / 23)), 0, 22).astype(int)
    assert np.array_equal(images, np.bincount(place, minlength=23))
    assert np.array_equal(inside, np.bincount(place[kept], minlength=23)) and inside.sum() == kept.sum()
    assert np.isclose(edges[0], values.min()) and np.isclose(edges[-1], values.max())


def test_never_learned_images_lie_in_the_last_bin(run):
    found = totals.totals(run, "elfs")
    assert found.histogram("forgetting", found.window(0.5))[1].sum() == 3000


def test_the_sample_is_drawn_once_from_every_cluster_by_its_share(run):
    assert views.too_many(3000) and not views.too_many(2000)
    first, again = views.Sampled(run), views.Sampled(run)
    assert np.array_equal(first.rows, again.rows) and (np.diff(first.rows) > 0).all()
    whole, part = (np.bincount(one.pseudo_labels.labels, minlength=5) for one in (run, first))
    wanted = np.minimum(whole, np.maximum(np.rint(whole * 400 / 3000), views.FEWEST))
    assert np.array_equal(part, wanted) and len(first.dataset) == part.sum()
    assert first.dataset.fingerprint != run.dataset.fingerprint


def test_a_sampled_image_has_the_scores_of_the_whole_run(run, monkeypatch):
    monkeypatch.setattr("coreset_engine.embedding.projection.project", lambda vectors, near, **rest: vectors[:, :2])
    sample = views.Sampled(run)
    assert not sample.ready("map") and sample.ready("dynamics")
    views.prepare(run)
    assert sample.ready("map") and sample.map.shape == (len(sample.rows), 2)
    assert np.array_equal(sample.dynamics.aum, run.dynamics.aum[sample.rows])
    assert np.array_equal(sample.coverage.score, run.coverage.score[sample.rows])
    assert list(sample.dataset.ids) == list(run.dataset.ids[sample.rows])
    assert sample.neighbours.indices.max() < len(sample.rows) and sample.seed == run.seed
    chosen = select("blindcs", sample, 0.9)
    assert set(chosen.ids) <= set(run.dataset.ids)


def test_tables_may_go_and_come_back(run):
    from coreset_engine.run import gc

    found = totals.totals(run, "elfs")
    before = found.counts("pseudo_label", (10, 700))
    gc.sweep(run.store, [item for item in gc.plan(run.store, days=0) if item.path.parent.name == "totals"])
    assert not found.path.exists()
    totals._cube.cache_clear()
    assert totals.totals(run, "elfs").counts("pseudo_label", (10, 700)) == before


def test_what_the_table_cannot_say_is_said(run):
    with pytest.raises(BadInput, match="no window of ranks"):
        totals.totals(run, "random")
    found = totals.totals(run, "elfs")
    with pytest.raises(BadInput, match="no column 'colour'"):
        found.counts("colour", (0, 5))
