"""Home says when a source changed since it was embedded, and updates it."""

from __future__ import annotations

import numpy as np
import pytest
from finished import ROOT, texts
from PIL import Image

import coreset_engine as ce
from coreset_engine.artifacts import source_states
from coreset_engine.artifacts.store import Store
from coreset_engine.jobs import manager
from ui.state import session


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
