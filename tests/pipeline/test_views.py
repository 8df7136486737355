"""Sets too large to draw, at a lowered threshold: a kept stratified sample, exact totals of all
images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coreset_engine.artifacts.store import Store
from coreset_engine.core.errors import BadInput, Missing
from coreset_engine.core.limits import limits
from coreset_engine.pipeline import counts, sampled_run
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.select import select
from coreset_engine.sources.open import open_source


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(0)
    own = rng.choice(5, 3000, p=[0.5, 0.3, 0.15, 0.045, 0.005])
    np.save(
        folder / "v.npy",
        (4 * rng.normal(size=(5, 16))[own] + rng.normal(size=(3000, 16))).astype(np.float32),
    )
    made = Run(
        open_source(str(folder / "v.npy")),
        n_clusters=5,
        clusterer="kmeans",
        proxy="linear",
        n_samples=20_000,
        store=Store(folder / "home"),
    )
    made.dynamics, made.coverage, made.coverage_grid([50])  # noqa: B018 - computed and kept
    return made


@pytest.fixture(autouse=True)
def small(set_limits):
    set_limits(sampled_above=2000)
    set_limits(sample_images=400)
    set_limits(count_rows=256)
    for kept in (counts._cube, counts._ends, counts._ranks, counts._at):
        kept.cache_clear()


def knobs_of(method):
    """The usual knobs, and every other way to rank that this run has scores for."""
    own = {
        "elfs": [{"score": "forgetting"}],
        "blindcs": [{"n_neighbours": 50}],
        "random": [],
        "class_balanced": [],
    }
    return [{}, *own.get(method, [{"keep": "easy"}])]


CASES = [(method, params) for method in counts.RANKED for params in knobs_of(method)]


def counted(run, method, params, rate, keep=(), never=(), **beta):
    """What the table says, and what choosing directly gives: (pseudo-label counts, histogram of
    kept) each."""
    found = counts.totals(run, method, params)
    positions = [np.array([int(name[4:]) for name in pinned], int) for pinned in (keep, never)]
    window = found.window(rate, beta.get("beta"), *positions)
    chosen = select(method, run, rate, keep, never, **params, **beta)
    kept = np.zeros(len(run.dataset), bool)
    kept[chosen.indices] = True
    labels = run.pseudo_labels.labels
    direct = {
        c: (int((labels == c).sum()), int((kept & (labels == c)).sum())) for c in np.unique(labels)
    }
    assert window.kept == kept.sum()
    return (
        found.counts("pseudo_label", window),
        direct,
        found.histogram(found.score, window)[2].sum(),
        kept.sum(),
    )


@pytest.mark.parametrize(("method", "params"), CASES)
@pytest.mark.parametrize("rate", [0.0, 0.37, 0.9, 0.999])
def test_counts_are_those_of_the_real_selection(run, method, params, rate):
    by_table, direct, drawn, kept = counted(run, method, params, rate)
    assert by_table == direct and drawn == kept


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_pins_are_counted_as_the_real_selection_takes_them(run, data):
    method, params = data.draw(
        st.sampled_from([case for case in CASES if case[0] != "class_balanced"])
    )
    rate = data.draw(st.sampled_from([0.0, 0.05, 0.5, 0.9, 0.99]))
    most = 3000 - round(3000 * (1 - rate))
    rows = data.draw(st.lists(st.integers(0, 2999), unique=True, max_size=40))
    cut = data.draw(st.integers(0, len(rows)))
    keep = rows[:cut][: max(1, 2900 - most)]
    never = rows[cut:][:most]
    beta = {}
    if method == "elfs" and data.draw(st.booleans()):
        beta = dict(beta=data.draw(st.sampled_from([0.0, rate / 2, rate])))
    names = [[f"row-{i:07d}" for i in part] for part in (keep, never)]
    by_table, direct, drawn, kept = counted(run, method, params, rate, *names, **beta)
    assert by_table == direct and drawn == kept


def test_never_pins_of_balanced_classes_count_and_must_keeps_are_refused(run):
    by_table, direct, drawn, kept = counted(
        run, "class_balanced", {}, 0.8, never=["row-0000004", "row-0001000"]
    )
    assert by_table == direct and drawn == kept
    with pytest.raises(BadInput, match="unpin them"):
        counts.totals(run, "class_balanced").window(0.8, must_keep=[4])


def test_the_window_goes_on_with_the_easiest_of_the_hard_where_pins_exhaust_the_easy_end(run):
    never = [f"row-{i:07d}" for i in totals_order(run)[-9:]]
    by_table, direct, _, _ = counted(run, "elfs", {}, 0.5, never=never, beta=0.5)
    assert by_table == direct
    assert (
        counts.totals(run, "elfs").window(0.5, 0.5, never=[int(name[4:]) for name in never]).lo
        == 1500 - 9
    )


def totals_order(run):
    return np.argsort(run.dynamics.aum, kind="stable")


def test_pins_that_contradict_are_refused_as_choosing_does(run):
    found = counts.totals(run, "elfs")
    for pins in (
        dict(must_keep=[1], never=[1]),
        dict(must_keep=range(400)),
        dict(never=range(2990)),
    ):
        with pytest.raises(BadInput, match="must_keep|never"):
            found.window(0.9, **pins)


@pytest.mark.parametrize("method", ["elfs", "blindcs"])
def test_histograms_lie_between_the_ends(run, method):
    found = counts.totals(run, method)
    values = (
        (run.dynamics.aum if method == "elfs" else run.coverage.score)
        .astype(np.float32)
        .astype(np.float64)
    )
    window = found.window(0.37)
    chosen = select(method, run, 0.37).indices
    edges, images, inside = found.histogram(found.score, window, bins=23)
    position = np.clip(
        np.floor((values - values.min()) / ((values.max() - values.min()) / 23)), 0, 22
    ).astype(int)
    assert np.array_equal(images, np.bincount(position, minlength=23))
    assert np.array_equal(inside, np.bincount(position[chosen], minlength=23))
    assert np.isclose(edges[0], values.min()) and np.isclose(edges[-1], values.max())


def test_never_learned_images_lie_in_the_last_bin(run):
    found = counts.totals(run, "forgetting")
    assert found.histogram("forgetting", found.window(0.5))[1].sum() == 3000


def test_the_sample_is_drawn_once_from_every_cluster_by_its_share(run):
    assert sampled_run.too_many(3000) and not sampled_run.too_many(2000)
    first = sampled_run.Sampled(run)
    again = sampled_run.Sampled(run)
    assert np.array_equal(first.rows, again.rows) and (np.diff(first.rows) > 0).all()
    full, part = (np.bincount(one.pseudo_labels.labels, minlength=5) for one in (run, first))
    wanted = np.minimum(full, np.maximum(np.rint(full * 400 / 3000), limits().sample_per_cluster))
    assert np.array_equal(part, wanted) and len(first.dataset) == part.sum()
    assert first.dataset.fingerprint != run.dataset.fingerprint


def test_a_sampled_image_has_the_scores_of_the_whole_run(run, monkeypatch):
    monkeypatch.setattr(
        "coreset_engine.embedding.projection.project",
        lambda vectors, neighbours, **rest: vectors[:, :2],
    )
    sample = sampled_run.Sampled(run)
    assert not sample.ready("map") and sample.ready("dynamics")
    sampled_run.prepare(run)
    assert sample.ready("map") and sample.map.shape == (len(sample.rows), 2)
    assert np.array_equal(sample.dynamics.aum, run.dynamics.aum[sample.rows])
    assert np.array_equal(sample.coverage.score, run.coverage.score[sample.rows])
    assert list(sample.dataset.ids) == list(run.dataset.ids[sample.rows])
    assert sample.neighbours.indices.max() < len(sample.rows) and sample.seed == run.seed
    chosen = select("blindcs", sample, 0.9)
    assert set(chosen.ids) <= set(run.dataset.ids)


def test_tables_may_go_and_come_back(run):
    from coreset_engine.jobs import gc

    found = counts.totals(run, "elfs")
    before = found.counts("pseudo_label", counts.Window(10, 700))
    gc.sweep(
        run.store,
        [item for item in gc.plan(run.store, days=0) if item.path.parent.name == "totals"],
    )
    assert not found.path.exists()
    counts._cube.cache_clear()
    assert counts.totals(run, "elfs").counts("pseudo_label", counts.Window(10, 700)) == before


def test_what_the_table_cannot_say_is_said(run):
    with pytest.raises(BadInput, match="selects anew for each pruning rate"):
        counts.totals(run, "k_center")
    with pytest.raises(BadInput, match="coverage .n_neighbours = 77. for these settings"):
        counts.totals(run, "blindcs", dict(n_neighbours=77))
    with pytest.raises(BadInput, match="labels = true"):
        counts.totals(run, "aum", dict(labels="true"))
    found = counts.totals(run, "elfs")
    with pytest.raises(BadInput, match="no column 'colour'"):
        found.counts("colour", counts.Window(0, 5))


def test_without_clusters_the_sample_is_drawn_evenly_and_nothing_is_computed(run, tmp_path):
    fresh = Run(run.dataset, n_clusters=5, clusterer="kmeans", store=Store(tmp_path))
    sample = sampled_run.Sampled(fresh)
    assert len(sample.rows) == 400 and not any(
        sample.ready(stage) for stage in ("embeddings", "pseudo_labels", "map")
    )
    for name in ("vectors", "pseudo_labels", "dynamics", "coverage"):
        with pytest.raises(Missing, match="of all 3,000 images are not computed"):
            getattr(sample, name)
    assert not any(
        fresh.ready(stage) for stage in ("embeddings", "pseudo_labels", "dynamics", "coverage")
    )


def test_knobs_without_scores_are_said_and_not_computed(run):
    with pytest.raises(Missing, match="3,000 images are not computed for these parameters"):
        sampled_run.Sampled(run).coverage_at(n_neighbours=77)


def test_a_job_counts_all_for_knobs_that_were_not_prepared(run):
    from coreset_engine.jobs import worker

    params = dict(
        n_clusters=5,
        clusterer="kmeans",
        proxy="linear",
        n_samples=20_000,
        encoder=run.encoder,
        seed=0,
    )
    knobs = dict(keep="easy")
    counts.path_of(run, "el2n", knobs).unlink(missing_ok=True)
    answer = Told()
    worker.totals(run.dataset.spec, params | dict(method="el2n", params=knobs), run.store, answer)
    assert answer.result == dict(images=3000) and counts.path_of(run, "el2n", knobs).is_file()


def test_measured_inclusion_of_all_is_shown_at_the_sample(run):
    from coreset_engine.evaluation.inclusion import finished, inclusion, of_selection

    measured = inclusion(run, "random", 0.9, seeds=3)
    sample = sampled_run.Sampled(run)
    assert any(np.array_equal(one.share, measured.share[sample.rows]) for one in finished(sample))
    assert np.array_equal(
        of_selection(sample, select("random", sample, 0.9)).share, measured.share[sample.rows]
    )


class Told:
    """Hears what a job tells its folder."""

    result = None

    def __call__(self, *reported):
        assert reported[0] in ("opening", "totals")
