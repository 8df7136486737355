"""The strip of jobs: stage, share, rate and time left; cancel and resume ask the engine; old
failures give way."""

from __future__ import annotations

import tomllib

import pytest
from finished import ROOT, texts

from coreset_engine.jobs.manager import Job
from ui.components import jobs

RUNNING = Job(
    "j2", "prepare", "demo", {}, "running", "pseudo_labels", 400, 1000, "images", 120.0, 5.0
)
FAILED = Job(
    "j1",
    "evaluate",
    "/data/<img src=x>",
    {},
    "failed",
    message="The disk is full; free 2 GB and resume.",
)


def test_pace_in_one_line():
    assert (
        jobs.progress_text(RUNNING).replace("\\", "")
        == "pseudo-labels 40% · 120 images/s · 5 s left"
    )
    assert jobs.progress_text(Job("x", "prepare", "demo", {}, "queued")) == "waiting"
    one = Job("f", "forecast", "demo", {}, "running", "forecast", 9, 16, "cells", 1.2, 49.0)
    assert jobs.progress_text(one) == "forecast 56% · 1 cell/s · 49 s left"


@pytest.mark.parametrize(
    "seconds,message", [(0, "0 s"), (89, "89 s"), (600, "10 min"), (7200, "2.0 h")]
)
def test_durations(seconds, message):
    assert jobs.format_duration(seconds) == message


def test_a_newer_job_replaces_an_ended_one():
    old = Job("j0", "prepare", "demo", {}, "failed")
    assert jobs.without_superseded([RUNNING, FAILED, old]) == [RUNNING, FAILED]
    assert (
        jobs.without_superseded([Job("j3", "prepare", "demo", {}, "done"), RUNNING])[1] == RUNNING
    )


def test_a_job_that_came_and_went_between_two_looks_is_news():
    done = Job("j3", "export", "demo", {}, "done")
    before = jobs.active_by_id([RUNNING])
    assert jobs.active_by_id([done, RUNNING]) != before
    assert jobs.finished_since(before, [done, RUNNING]) == ["Export: finished."]
    assert (
        jobs.finished_since(jobs.active_by_id([done]), [done])
        == jobs.finished_since(None, [done])
        == []
    )
    ended = Job("j2", "prepare", "demo", {}, "done")
    assert jobs.finished_since(before, [ended]) == ["Compute: finished."]


def test_the_polling_strip_draws_the_page_anew_for_such_a_job(monkeypatch):
    """It polls every 5 s while nothing works; a job shorter than that must still refresh the page,
    once."""
    found = []
    reruns = []
    monkeypatch.setattr(jobs, "list_jobs", lambda: list(found))
    monkeypatch.setattr(jobs.st, "rerun", lambda: reruns.append(1))
    monkeypatch.setattr(jobs.session, "get", {"jobs_seen": {}, "hidden_jobs": set()}.get)
    jobs._job_list()
    assert not reruns
    found.append(Job("j3", "export", "demo", {}, "done"))
    jobs._job_list()
    assert reruns == [1]


def test_what_ended_is_told_once(open_page, put_job):
    test = open_page("labels")
    put_job("export")
    test.run()
    assert [toast.value for toast in test.toast] == ["Export: finished."]
    test.run()
    assert not test.toast


def test_strip_shows_escaped_state_and_asks(open_page, monkeypatch):
    asked = []
    test = open_page("labels")
    monkeypatch.setattr(jobs, "list_jobs", lambda: [RUNNING, FAILED])
    monkeypatch.setattr(jobs, "_control", lambda what, job: asked.append((what, job)))
    test.run()
    assert not test.exception
    message = texts(test).replace("\\", "")
    assert "The disk is full" in message and "Compute" in message
    test.button(key="cancel:j2").click().run()
    test.button(key="resume:j1").click().run()
    assert asked == [("cancel", "j2"), ("resume", "j1")]
    test.button(key="hide:j1").click().run()
    assert "The disk is full" not in texts(test)


def test_server_settings_are_closed_by_default():
    settings = tomllib.loads((ROOT / ".streamlit/config.toml").read_text())
    server = settings["server"]
    assert server["address"] == "127.0.0.1"
    assert (
        server["enableXsrfProtection"]
        and server["enableCORS"]
        and not server["enableStaticServing"]
    )
    assert settings["browser"]["gatherUsageStats"] is False
    assert settings["client"]["showErrorDetails"] == "none"
    assert "http" not in (ROOT / ".streamlit/config.toml").read_text()
