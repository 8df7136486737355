"""The Compare datasets page: another dataset is named, what both share is shown and excluded, and
Select chooses what one of them lacks."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from finished import ROOT, go_to, texts

sys.path.insert(0, str(Path(__file__).parent.parent / "findings"))
from drawn import textured  # noqa: E402 - beside the other folder

from coreset_engine.artifacts.store import Store
from coreset_engine.pipeline.comparison_stage import comparison
from coreset_engine.pipeline.run import Run
from coreset_engine.pipeline.select import select
from coreset_engine.sources.open import open_source


@pytest.fixture
def specs(tmp_path):
    """train: 40 pictures. test: 20, of which 0 and 1 are train's by bytes and 2 by pixels."""
    for name, first, count in (("train", 0, 40), ("test", 500, 20)):
        folder = tmp_path / name
        folder.mkdir()
        for i in range(count):
            textured(first + i).save(folder / f"{i:02d}.png")
    for i in (0, 1):
        (tmp_path / "test" / f"{i:02d}.png").write_bytes(
            (tmp_path / "train" / f"{i:02d}.png").read_bytes()
        )
    textured(2).save(tmp_path / "test" / "02.bmp")
    (tmp_path / "test" / "02.png").unlink()
    return str(tmp_path / "train"), str(tmp_path / "test")


@pytest.fixture
def runs(specs, tmp_path):
    """Both with vectors of their own, so that nothing is embedded."""
    made = []
    for spec, shift in zip(specs, (0.0, 1.0), strict=True):
        full = open_source(spec)
        vectors = np.random.default_rng(len(full)).normal(shift, 1, (len(full), 8))
        table = tmp_path / f"{Path(spec).name}.npy"
        np.save(table, vectors.astype(np.float32))
        made.append(Run(open_source(str(table), images=spec), store=Store(tmp_path / "home")))
    return tuple(made)


@pytest.fixture
def page(runs, tmp_path, monkeypatch):
    """page(computed) -> AppTest on the page, with both datasets named."""
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CORESET_OPEN", raising=False)

    def opened(computed=True, other=runs[1].dataset.spec):
        if computed:
            comparison(*runs)
        test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        state_of = {"dataset": runs[0].dataset.spec, "method": "random", "other": other}
        for name, value in state_of.items():
            test.session_state[f"state:{name}"] = value
        return go_to(test.run(), "compare_datasets")

    return opened


def button(test, start):
    return next(one for one in test.button if one.label.startswith(start))


def test_without_another_dataset_the_page_asks_for_one(page):
    test = page(computed=False, other="")
    assert not test.exception and not test.metric
    (field,) = [one for one in test.text_input if one.label == "B, the other dataset"]
    assert field.placeholder == "/data/test"
    button(test, "Compare").click().run()
    assert "No other dataset is named" in texts(test) and not test.exception


def test_a_dataset_that_cannot_be_opened_is_named_in_a_sentence(page):
    test = page(computed=False, other="/nonexistent/place")
    assert not test.exception
    assert any("/nonexistent/place" in error.value for error in test.error)


def test_what_is_missing_is_offered_with_one_button(page):
    test = page(computed=False)
    assert not test.exception and "have not been compared" in texts(test)
    assert [one.label for one in test.button if one.label == "Compute"] == ["Compute"]


def test_what_both_share_is_counted_from_both_sides(page):
    test = page()
    assert not test.exception
    values = {one.label: one.value for one in test.metric}
    assert (values["Of B, also in A"], values["Of A, also in B"]) == ("3", "3")
    assert "3 of 20 images of B also occur in A, and 3 of 40 images of A in B" in texts(test)
    (kinds,) = [one for one in test.get("button_group") if one.label == "Kind of match"]
    assert kinds.options == [
        "All (3)",
        "The same file (2)",
        "The same pixels (1)",
    ]


def test_leaks_are_excluded_from_one_side_and_come_back(page, runs):
    test = page()
    button(test, "Exclude from A (3)").click().run()
    assert not test.exception
    assert set(runs[0].excluded_ids) == {"00.png", "01.png", "02.png"}
    assert runs[1].excluded_ids == ()
    assert not {"00.png", "01.png", "02.png"} & set(select("random", runs[0], count=37).ids)
    button(test, "Undo").click().run()
    assert runs[0].excluded_ids == () and not test.exception


def test_what_a_lacks_is_chosen_from_b_on_select(page, runs):
    test = page()
    (count,) = [one for one in test.number_input if one.label == "Images"]
    count.set_value(7).run()
    button(test, "Choose on Select").click().run()
    assert not test.exception
    held = test.session_state
    assert held["state:dataset"] == runs[1].dataset.spec
    assert held["state:constraints"] == {"beyond": runs[0].dataset.spec}
    assert held["state:method"] == "k_center" and held["state:count"] == 7


def test_pairs_of_vectors_without_images_are_listed_by_name(tmp_path, monkeypatch):
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv("CORESET_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CORESET_OPEN", raising=False)
    rows = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    made = []
    for name, part in (("a.npy", rows[:40]), ("b.npy", rows[38:])):
        np.save(tmp_path / name, part)
        run = Run(open_source(str(tmp_path / name)), store=Store(tmp_path / "home"))
        made.append(run)
    comparison(*made)
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    state_of = {"dataset": made[0].dataset.spec, "method": "random", "other": made[1].dataset.spec}
    for name, value in state_of.items():
        test.session_state[f"state:{name}"] = value
    test = go_to(test.run(), "compare_datasets")
    assert not test.exception
    assert "2 pairs by name" in texts(test)
    assert [len(one.value) for one in test.dataframe] == [2]
