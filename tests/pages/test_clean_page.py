"""The Clean page: what must be computed is offered, findings are listed, exclusions take effect and
are undone."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from finished import ROOT, go_to, texts

sys.path.insert(0, str(Path(__file__).parent.parent / "findings"))
from drawn import dataset, plain, textured  # noqa: E402 - beside the other folder

from coreset_engine.artifacts.store import Store
from coreset_engine.pipeline.clean import clean
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.select import select
from ui.state import session as state


@pytest.fixture
def run(tmp_path):
    """40 pictures: 0 = 30 = 31 by bytes (31 of another class), 32 blank."""
    images = [textured(i) for i in range(40)]
    images[30], images[31], images[32] = images[0], images[0], plain(90)
    vectors = np.random.default_rng(0).normal(size=(40, 16))
    vectors[30] = vectors[31] = vectors[0]
    labels = [i % 2 for i in range(40)]
    return Run(dataset(images, vectors, labels), store=Store(tmp_path))


@pytest.fixture
def page(run, tmp_path, monkeypatch):
    """page(computed) -> AppTest on the Clean page."""
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv("CORESET_HOME", str(tmp_path))
    monkeypatch.delenv("CORESET_OPEN", raising=False)
    view = state.RunView("drawn", run.dataset, run, run.config)
    monkeypatch.setattr(state, "current_run", lambda: view)

    def opened(computed=True):
        if computed:
            clean(run)
        test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        test.session_state["state:dataset"] = "drawn"
        test.session_state["state:method"] = "random"
        test.session_state["state:prune_rate"] = 0.5
        return go_to(test.run(), "clean")

    return opened


def button(test, start):
    return next(one for one in test.button if one.label.startswith(start))


def test_what_is_missing_is_named_with_its_time_and_one_button(page):
    test = page(computed=False)
    assert not test.exception
    message = texts(test)
    assert "image statistics (about 1 s)" in message and "embeddings, neighbours" in message
    assert [one.label for one in test.button if one.label == "Compute"] == ["Compute"]


def test_findings_are_listed_by_severity_with_share_and_cost(page):
    test = page()
    assert not test.exception
    (listed,) = [radio for radio in test.radio if radio.label == "Findings"]
    assert "Identical files: 3 (7.5%)" in listed.options[0]
    assert any("Blank or nearly uniform: 1 (2.5%)" in option for option in listed.options)
    message = texts(test)
    assert "Nothing found:" in message
    assert "In 1 of these groups the images have different labels" in message


def test_copies_are_excluded_by_one_click_and_come_back_by_another(page, run):
    test = page()
    button(test, "Exclude all but one per group (2)").click().run()
    assert not test.exception
    assert run.excluded_ids == ("030.png", "031.png")
    assert not {"030.png", "031.png"} & set(select("random", run, count=38).ids.tolist())
    assert "**2** excluded" in texts(test)
    button(test, "Undo").click().run()
    assert run.excluded_ids == () and not test.exception


def test_the_rule_of_keeping_and_the_choice_of_some(page, run):
    test = page()
    (keep,) = [box for box in test.selectbox if box.label.startswith("Of each group")]
    assert "oldest file" not in keep.options  # these images are not files
    (some,) = [one for one in test.multiselect if one.label == "Images"]
    some.set_value(["031.png"]).run()
    button(test, "Exclude selected").click().run()
    assert run.excluded_ids == ("031.png",) and not test.exception


def test_excluding_everything_is_refused_in_a_sentence(page, run):
    from coreset_engine.pipeline import exclusions

    rest = [str(key) for key in run.dataset.ids if key not in ("000.png", "030.png", "031.png")]
    test = page()
    exclusions.exclude(run.dataset.fingerprint, rest, run.store.home)
    button(test, "Exclude all (3)").click().run()
    assert any("would leave no image to select from" in error.value for error in test.error)
    assert len(run.excluded_ids) == 37


def test_a_moved_threshold_changes_what_is_found(page):
    test = page()
    (listed,) = [radio for radio in test.radio if radio.label == "Findings"]
    listed.set_value("blank").run()
    (slider,) = test.slider
    slider.set_value(0.3).run()
    assert not test.exception
    assert test.session_state["state:clean_thresholds"] == {"blank": 0.3}


def test_a_finding_with_a_threshold_shows_examples_on_both_sides(page):
    test = page()
    (listed,) = [radio for radio in test.radio if radio.label == "Findings"]
    listed.set_value("blank").run()
    assert not test.exception
    message = texts(test)
    assert "Just within the threshold" in message and "Just beyond it" in message
    listed = next(radio for radio in test.radio if radio.label == "Findings")
    listed.set_value("byte_identical").run()
    assert "Just beyond it" not in texts(test)
