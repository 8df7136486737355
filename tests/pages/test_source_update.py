"""Home says when a source changed since it was embedded, updates it, and goes on from there."""

from __future__ import annotations

import numpy as np
import pytest
from finished import ROOT, texts
from PIL import Image

import coreset_engine as ce
from coreset_engine.artifacts import source_states
from coreset_engine.artifacts.store import Store
from coreset_engine.curation import tags
from coreset_engine.jobs import manager, worker
from coreset_engine.pipeline.manifest import write_run
from ui.state import session
from ui.views import source_growth


def pictures(folder, names):
    folder.mkdir(exist_ok=True)
    for name in names:
        pixels = np.random.default_rng(len(name) + ord(name[0])).integers(0, 255, (9, 9, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(folder / name)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """app.py with a folder that was embedded and mapped, before two pictures came and one went."""
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    folder = tmp_path / "set"
    pictures(folder, [f"{letter}.png" for letter in "abcdefgh"])
    run = ce.Run(ce.open_source(folder), store=Store(tmp_path / "home"))
    run.map  # noqa: B018 - computed, for the next state to continue
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    monkeypatch.setenv("CORESET_OPEN", str(folder))
    session.reopen()
    yield test, folder, run
    session.reopen()


def test_new_images_are_said_and_update_continues_the_map(home, monkeypatch):
    test, folder, run = home
    submitted = []
    monkeypatch.setattr(manager, "submit", lambda *args: submitted.append(args[0]) or "job")
    test.run()
    assert "since" not in texts(test) and not test.exception
    pictures(folder, ["xx.png", "yyy.png"])
    (folder / "a.png").unlink()
    next(button for button in test.button if button.key == "source:look").click()
    test.run()
    assert "2 new images, 1 gone since" in texts(test)
    next(button for button in test.button if button.key == "source:update").click()
    test.run()
    assert submitted == ["prepare"] and not test.exception
    now = run.with_dataset(ce.open_source(folder))
    assert source_states.continued_map(now._plain_map_key, now.store.home)
    assert not now.ready("map") and run.ready("map")
    stay = [list(run.dataset.ids).index(f"{letter}.png") for letter in "bcdefgh"]
    assert np.array_equal(now.map[:7], run.map[stay])


def pressed(test, key):
    next(button for button in test.button if button.key == key).click()
    return test.run()


def test_after_the_update_home_shows_the_change_and_chooses_the_next(home, monkeypatch):
    test, folder, run = home
    store = run.store
    first = ce.select("k_center", run, count=3)
    write_run(store.home / "exports" / "first", run, first)
    pictures(folder, ["xx.png", "yyy.png"])
    (folder / first.ids[0]).unlink()
    now = run.with_dataset(ce.open_source(folder))
    _ = now.vectors, now.neighbours
    submitted = []
    monkeypatch.setattr(manager, "submit", lambda *args: submitted.append(args) or "job")
    test.run()
    message = [one.label for one in test.expander if one.label.startswith("Changed since")]
    assert (
        message
        and message[0].endswith("2 new, 1 gone, 0 changed, 0 renamed")
        and not test.exception
    )
    next(one for one in test.number_input if one.key == "growth:more").set_value(2)
    pressed(test.run(), "growth:choose")
    kind, spec, params, _ = submitted[0]
    assert kind == "update" and params["selection"].endswith("first") and params["more"] == 2

    class Told:
        result = {}

        def __call__(self, *args):
            """Progress is not looked at."""

    reported = Told()
    worker.update(spec, dict(params), store, reported)
    assert reported.result["next"] == 2 and len(reported.result["kept_ids"]) == 2
    done = manager.Job("j", "update", spec, params, "done", result=reported.result)
    monkeypatch.setattr(manager, "list_jobs", lambda *args: [done])
    test.run()
    assert "Earlier images kept: **2** (gone or changed: 1). Next: **2**." in texts(test)
    pressed(test, "growth:select")
    kept = test.session_state["state:must_keep"]
    assert (
        set(kept) == {*reported.result["kept_ids"], *reported.result["next_ids"]} and len(kept) == 4
    )
    assert not test.exception


def test_new_images_are_tagged_and_shown_on_the_map(home):
    test, folder, run = home
    pictures(folder, ["xx.png"])
    now = run.with_dataset(ce.open_source(folder))
    _ = now.vectors, now.neighbours
    pressed(test.run(), "growth:map")
    (tag,) = tags.tags_of(now.dataset.fingerprint, run.store.home)
    assert tags.tags_of(now.dataset.fingerprint, run.store.home)[tag] == ("xx.png",)
    assert tag.startswith("new-") and not test.exception


def test_what_the_change_of_the_certificate_says():
    rose = dict(
        before=dict(mean_distance=0.1), now=dict(mean_distance=0.2), next=dict(mean_distance=0.15)
    )
    assert "rose from 0.1000 to 0.2000, and is 0.1500" in source_growth.sentence(rose)
    same = rose | dict(now=dict(mean_distance=0.1))
    assert "as well as the others: the mean distance went from 0.1000" in source_growth.sentence(
        same
    )
    del same["before"]
    assert "is unknown" in source_growth.sentence(same)
    table = source_growth.certificate_table(rose, clusters=False)
    assert list(table) == ["", *source_growth.MOMENTS.values()] and len(table[""]) == 3
