"""Fixtures of the page tests: small real digits, and pages that have run over a finished run
(finished.py)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from finished import ROOT, FinishedRun, go_to, small_digits

from ui.state import session as state


@pytest.fixture(scope="session")
def digits():
    return small_digits()


@pytest.fixture(scope="session")
def unlabelled_digits():
    return small_digits(labelled=False)


@pytest.fixture(autouse=True)
def navigation(monkeypatch):
    """AppTest takes a pages/ folder for Streamlit's older way and would run a page without app.py;
    ours is the newer one, as app.py tells the server."""
    from streamlit.runtime.scriptrunner import script_runner

    def run_main(path):
        exec(
            compile(Path(path).read_text(), path, "exec"),
            {"__name__": "__main__", "__file__": path},
        )

    monkeypatch.setattr(script_runner, "_mpa_v1", run_main)


@pytest.fixture
def put_job(tmp_path):
    """put_job(kind, ...) writes an ended job into the workspace of `open_page`; the newest is the
    one put last."""
    count = iter(range(10**6))

    def put(kind, spec="demo", params=None, status="done", result=None):
        folder = tmp_path / "jobs" / f"20260101-000000-{next(count):06d}-made"
        folder.mkdir(parents=True)
        request = dict(kind=kind, spec=spec, params=params or {}, created=0.0)
        (folder / "request.json").write_text(json.dumps(request))
        (folder / "state.json").write_text(json.dumps(dict(status=status, result=result or {})))

    return put


@pytest.fixture
def open_page(tmp_path, monkeypatch, digits):
    """open_page("labels", finished=STAGES, dataset=digits) -> AppTest that has run app.py on that
    page, with ELFS as the session's method unless another is given."""
    from streamlit.testing.v1 import AppTest

    from coreset_engine.artifacts.store import Store

    monkeypatch.setenv("CORESET_HOME", str(tmp_path))
    monkeypatch.delenv("CORESET_OPEN", raising=False)

    def opened(page, finished=state.STAGES, dataset=digits, **session):
        run = None if finished is None else FinishedRun(dataset, finished)
        if run is not None:
            run.store = Store(tmp_path)
        view = None if run is None else state.RunView("demo", dataset, run, run.config)
        monkeypatch.setattr(state, "current_run", lambda: view)
        test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        start = {"dataset": "demo" if view else "", "method": "elfs"}
        for name, value in {**start, **session}.items():
            test.session_state[f"state:{name}"] = value
        test.run()
        return test if page == "home" else go_to(test, page)

    return opened
