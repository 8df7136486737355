"""A set too large to draw, at a lowered threshold: pages show its sample and count all; jobs name
their cluster."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from finished import FinishedRun, go_to, texts

from coreset_engine.pipeline import counts, sampled_run
from ui.components import jobs
from ui.state import sampling, session
from ui.views import full_counts, labels


@pytest.fixture
def large(open_page, monkeypatch, set_limits):
    """The finished run over 400 digits, of which pages may draw 100 at most; its sample is 80."""
    set_limits(sampled_above=100)
    set_limits(sample_images=80)
    set_limits(sample_per_cluster=1)
    monkeypatch.setattr(
        "coreset_engine.embedding.projection.project",
        lambda vectors, neighbours, **rest: vectors[:, :2],
    )
    monkeypatch.setattr(
        FinishedRun, "tick", lambda self, stage: lambda *reported: None, raising=False
    )
    test = open_page("home")
    view = session.current_run()
    sampled_run.prepare(view.run)
    monkeypatch.setattr(session, "current_run", lambda: sampling.drawable_view(view))
    return test, view


def test_select_draws_the_sample_and_counts_all(large):
    test, view = large
    test = go_to(test, "select")
    assert not test.exception
    message = texts(test)
    assert f"a sample of {len(sampled_run.Sampled(view.run).rows)} of 400 images" in message
    assert "All images: 40 of 400 selected" in message  # p = 0.9
    assert len(sampling.drawable_view(view)) < 100


def test_map_says_that_it_is_a_sample_and_export_takes_all(large):
    test, _ = large
    assert "of 400 images, stratified by cluster" in texts(go_to(test, "explore"))
    test = go_to(test, "export")
    assert not test.exception and {"400", "40"} <= {metric.value for metric in test.metric}


def test_a_count_that_takes_minutes_is_a_job(large, monkeypatch, set_limits):
    from ui.components import jobs

    test, _ = large
    sent = []
    set_limits(interactive_images=100)
    monkeypatch.setattr(jobs, "submit", lambda kind, spec, params: sent.append((kind, params)))
    test.session_state["state:method"] = "el2n"
    test.session_state["state:params"] = {"el2n": {"keep": "easy"}}
    test = go_to(test, "select")
    assert "ranks them once by" in texts(test)
    next(button for button in test.button if button.label == "Count all images").click().run()
    assert [kind for kind, _ in sent] == ["totals"]
    assert (sent[0][1]["method"], sent[0][1]["params"]) == ("el2n", {"keep": "easy"})


def test_what_cannot_be_counted_is_said(large):
    test, _ = large
    test.session_state["state:method"] = "k_center"
    assert "selects anew for each pruning rate" in texts(go_to(test, "select"))


def test_pins_outside_the_sample_count_among_all(large):
    test, view = large
    outside = np.setdiff1d(np.arange(400), sampled_run.Sampled(view.run).rows)
    ranked = np.argsort(view.run.dynamics.aum, kind="stable")
    test.session_state["state:never"] = tuple(str(name) for name in view.dataset.ids[outside[:60]])
    test.session_state["state:must_keep"] = tuple(
        str(name) for name in view.dataset.ids[outside[60:62]]
    )
    test.session_state["state:beta"] = 0.0
    test = go_to(test, "select")
    assert not test.exception and not test.error and "All images: 40 of 400 selected" in texts(test)
    found = counts.totals(view.run, "elfs").window(0.9, 0.0, outside[60:62], outside[:60])
    kept = [i for i in ranked if i not in outside[:62]][:38]
    assert found.hi == np.flatnonzero(ranked == kept[-1])[0] + 1


def test_what_was_excluded_is_not_counted_among_all(large):
    test, view = large
    ranked = np.argsort(view.run.dynamics.aum, kind="stable")
    gone = ranked[:30]  # the hardest, which would be selected first
    view.run.excluded_ids = tuple(str(name) for name in view.dataset.ids[gone])
    rows = full_counts._pinned_rows(view.run, "never")
    assert sorted(rows.tolist()) == sorted(gone.tolist())
    test.session_state["state:beta"] = 0.0
    test = go_to(test, "select")
    assert not test.exception and not test.error
    assert "All images: 40 of 400 selected" in texts(test)


def test_constraints_leave_the_counts_of_all_to_jobs(large):
    test, _ = large
    test.session_state["state:constraints"] = {"quotas": [{"by": "cluster", "at_least": 1}]}
    message = texts(go_to(test, "select"))
    assert "constraints are active, which counts of all images do not follow" in message
    assert "All images:" not in message


def test_more_must_keeps_than_the_samples_share_are_no_error(large):
    test, view = large
    ids = view.dataset.ids[sampled_run.Sampled(view.run).rows]
    test.session_state["state:must_keep"] = tuple(
        str(name) for name in ids[:20]
    )  # of 8 kept in the sample, 40 of all
    test.session_state["state:never"] = (str(np.setdiff1d(view.dataset.ids, ids)[0]),)
    test.session_state["part"] = "Always include / exclude"
    test = go_to(test, "select")
    assert not test.exception and not test.error
    assert "All images: 40 of 400 selected" in texts(
        test
    ) and "1 of them outside the sample" in texts(test)


def test_labels_counts_all_images(large):
    test, view = large
    sizes = labels._cluster_sizes("k", view.dataset.fingerprint, view)
    assert sizes.sum() == 400 and np.array_equal(sizes, np.bincount(view.run.pseudo_labels.labels))
    test.session_state["state:labels_view"] = "Difficulty"
    test.session_state["state:beta"] = 0.2
    message = texts(go_to(test, "labels"))
    assert f"sample of {len(sampled_run.Sampled(view.run).rows)} of 400" in message
    assert "Of all 400 images: 40 selected · 80 skipped as hardest" in message


def test_a_table_that_was_cleared_away_is_written_again(large):
    test, view = large
    test = go_to(test, "select")
    path = counts.path_of(view.run, "elfs")
    path.unlink()
    test.run()
    assert path.is_file() and not test.error and "All images: 40 of 400 selected" in texts(test)


def test_a_small_set_is_shown_whole(open_page):
    test = open_page("select")
    assert "sample of" not in texts(test) and "All images" not in texts(test)


def test_jobs_carry_the_cluster_of_the_session_or_the_environment(monkeypatch, tmp_path):
    from coreset_engine.jobs import manager as engine

    sent = []
    monkeypatch.setattr(
        engine, "submit", lambda kind, spec, params, home: sent.append((kind, params)) or "job"
    )
    monkeypatch.setattr(jobs.st, "rerun", lambda: None)
    monkeypatch.setenv("CORESET_HOME", str(tmp_path))
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    jobs.submit("prepare", "demo", {"seed": 0})
    jobs.submit("export", "demo", {"seed": 0})
    monkeypatch.delenv("RAY_ADDRESS")
    jobs.submit("prepare", "demo", {"seed": 0})
    assert sent == [
        ("prepare", {"seed": 0, "cluster": "head:6379"}),
        ("export", {"seed": 0}),
        ("prepare", {"seed": 0}),
    ]


def test_the_strip_tells_of_each_node():
    job = SimpleNamespace(
        stage="embeddings",
        total=100,
        done=40,
        rate=120.0,
        eta_s=35.0,
        status="running",
        unit="images (1f0a9c2e 70/s, 8be1d203 50/s)",
    )
    assert (
        jobs.progress_text(job)
        == "embeddings 40% · 120 images/s · 35 s left · 1f0a9c2e 70/s, 8be1d203 50/s"
    )
