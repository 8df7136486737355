"""Explore: filters that filter each other, a search, marks, and what is done with a result."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from finished import FinishedRun, texts

from coreset_engine.core.filters import Filter
from coreset_engine.curation.facets import facet
from coreset_engine.pipeline.config import RunConfig
from ui.state import marks, result_filters, reviews, session
from ui.state.result_filters import Search


@pytest.fixture(scope="module")
def digits_with_metadata(digits):
    n = len(digits)
    night = np.where(np.arange(n) % 4 == 0, "night", "day")
    return dataclasses.replace(digits, columns={"time": night, "shutter": np.linspace(0.0, 1.0, n)})


@pytest.fixture
def held(monkeypatch):
    """The session's values as a plain dictionary."""
    values = {}
    monkeypatch.setattr(session, "get", lambda name, default=None: values.get(name, default))
    monkeypatch.setattr(session, "put", values.__setitem__)
    return values


@pytest.fixture
def view(digits_with_metadata, tmp_path, monkeypatch):
    from coreset_engine.artifacts.store import Store

    monkeypatch.setenv("CORESET_HOME", str(tmp_path))
    run = FinishedRun(digits_with_metadata)
    run.store = Store(tmp_path)
    return session.RunView("demo", digits_with_metadata, run, RunConfig())


def section(result, key):
    return next(one for one in result.sections if one.key == key)


def test_two_filters_count_each_other_but_not_themselves(view, held):
    result = result_filters.result_set(view, None)
    at = list(section(result, "time").labels).index("night")
    result_filters.take_choice(view, {"time": ([at], False), "shutter": ([0, 1, 2], False)})
    result = result_filters.result_set(view, None)
    shutter = view.dataset.columns["shutter"]
    night = view.dataset.columns["time"] == "night"
    low = shutter < 3 / 30
    assert np.array_equal(result.mask, night & low)
    times = section(result, "time")
    labels = list(times.labels)
    assert times.counts[labels.index("day")] == (low & ~night).sum()
    assert times.counts[labels.index("night")] == (low & night).sum()
    assert list(times.chosen) == [labels.index("night")]
    assert sum(section(result, "shutter").counts) == night.sum()
    assert list(section(result, "shutter").chosen) == [0, 1, 2]


def test_bars_of_a_filter_are_those_it_was_made_of(view):
    for name, bars in (("time", [1]), ("shutter", [4, 5, 6]), ("cluster", [0, 3])):
        counted = facet(view.run.columns.column(name))
        assert result_filters.bars_of(counted, counted.filter_of(bars)) == (bars, False)
        assert result_filters.bars_of(counted, counted.filter_of(bars, True)) == (bars, True)
    assert result_filters.bars_of(counted, None) == ([], False)


def test_numbers_of_a_filter_are_found_however_they_are_spelt(view):
    counted = facet(view.run.columns.column("cluster"))
    third = counted.labels.index("3")
    for spelt in ("3", "3.0", "3.00"):
        wanted = Filter.one_of("cluster", [spelt])
        assert result_filters.bars_of(counted, wanted) == ([third], False)


def test_a_choice_without_bars_drops_the_filter_and_odd_bars_are_passed_over(view, held):
    result_filters.take_choice(view, {"time": ([0], False)})
    assert list(result_filters.filters()) == ["time"]
    result_filters.take_choice(view, {"time": ([99], False), "no such column": ([0], False)})
    assert result_filters.filters() == {}


def test_a_saved_filter_comes_back_column_by_column(view, held):
    wanted = Filter.equals("time", "night") & Filter.between("shutter", 0.2, 0.4)
    result_filters.restore(wanted)
    assert set(result_filters.filters()) == {"time", "shutter"}
    assert result_filters.combined_filter(view).text == wanted.text
    shutter = view.dataset.columns["shutter"]
    inside = (shutter >= 0.2) & (shutter <= 0.4) & (view.dataset.columns["time"] == "night")
    assert np.array_equal(result_filters.result_set(view, None).mask, inside)


def test_a_filter_of_another_source_is_dropped(view, held):
    held["filters"] = {"camera": Filter.equals("camera", "A7").as_json(), "x": {"op": "?"}}
    assert result_filters.result_set(view, None).mask.all()
    assert result_filters.filters() == {}


def test_a_search_limits_the_result_and_orders_the_gallery(view, held):
    from ui.views import gallery

    ids = [str(view.dataset.ids[i]) for i in (7, 3, 9)]
    held["found"] = Search("like 7", (*ids, "gone"), (1.0, 0.9, 0.8, 0.7))
    result = result_filters.result_set(view, None)
    assert np.flatnonzero(result.mask).tolist() == [3, 7, 9]
    ordered = gallery.in_order(view, gallery.SIMILAR, result.mask)
    assert ordered.positions.tolist() == [7, 3, 9]
    result_filters.drop_filter("search")
    assert result_filters.result_set(view, None).mask.all()


def test_acts_of_a_gallery_fill_the_basket_and_tag(view, held):
    first, second = str(view.dataset.ids[0]), str(view.dataset.ids[1])
    acts = [
        {"kind": "basket", "id": first, "on": True},
        {"kind": "basket", "id": second, "on": True},
        {"kind": "tag", "id": second, "name": "blurry", "on": True},
        {"kind": "basket", "id": first, "on": False},
        {"kind": "basket", "id": "not of this set", "on": True},
        "nonsense",
    ]
    assert marks.apply_acts(view, acts)
    assert marks.basket() == (second,) and marks.tags_of_image(view, second) == ["blurry"]
    assert marks.tag_keys(view) == ["blurry"]
    marks.apply_acts(view, [{"kind": "tag", "id": second, "name": "blurry", "on": False}])
    assert marks.tags_of_image(view, second) == []
    assert not marks.apply_acts(view, None)


def test_a_label_given_in_the_larger_view_is_a_correction(view, held):
    name = str(view.dataset.ids[4])
    acts = [{"kind": "label", "id": name, "label": at} for at in (3, -1, 99, "3")]
    assert marks.apply_acts(view, acts)
    assert reviews.decided_labels(view, [name, "other"]) == [reviews.label_names(view)[3], ""]
    reviews.undo(view)
    assert reviews.decided_labels(view, [name]) == [""]


def test_tags_are_a_filter(view, held):
    marks.set_tag(view, "keep", [str(view.dataset.ids[i]) for i in (2, 5)])
    result = result_filters.result_set(view, None)
    at = list(section(result, "tag").labels).index("keep")
    result_filters.take_choice(view, {"tag": ([at], False)})
    assert np.flatnonzero(result_filters.result_set(view, None).mask).tolist() == [2, 5]


def test_the_page_acts_on_what_is_shown(open_page, digits_with_metadata):
    dataset = digits_with_metadata
    night = {"time": Filter.equals("time", "night").as_json()}
    test = open_page("explore", dataset=dataset, filters=night)
    assert not test.exception and not test.error
    assert "100 of 400 images" in texts(test)
    test.button(key="act:keep").click()
    test.run()
    kept = set(test.session_state["state:must_keep"])
    assert kept == {str(name) for name in dataset.ids[np.arange(len(dataset)) % 4 == 0]}
    test.button(key="chip:time").click()
    test.run()
    assert "All 400 images" in texts(test)


def test_a_filter_that_leaves_nothing_says_so(open_page, digits_with_metadata):
    both = {
        "time": Filter.equals("time", "night").as_json(),
        "shutter": Filter.between("shutter", 5, 6).as_json(),
    }
    test = open_page("explore", dataset=digits_with_metadata, filters=both)
    assert not test.exception and not test.error
    assert "0 of 400 images" in texts(test) and "No image passes all filters" in texts(test)


def test_a_selection_among_the_result_is_limited_to_its_filter(open_page, digits_with_metadata):
    night = {"time": Filter.equals("time", "night").as_json()}
    test = open_page("explore", dataset=digits_with_metadata, filters=night)
    test.number_input(key="act:count").set_value(40)
    test.run()
    test.button(key="act:among").click()
    test.run()
    where = Filter.equals("time", "night").text
    assert test.session_state["state:constraints"]["where"] == where
    assert test.session_state["state:count"] == 40


def test_a_bad_tag_is_one_sentence(open_page):
    test = open_page("explore")
    test.text_input(key="act:tag:name").set_value("two words")
    next(button for button in test.button if button.label.startswith("Tag ")).click()
    test.run()
    assert not test.exception and len(test.error) == 1
    assert "without spaces" in test.error[0].value.replace("\\", "")


def test_an_empty_search_is_one_sentence(open_page):
    test = open_page("explore")
    next(button for button in test.button if button.label == "Search").click()
    test.run()
    assert not test.exception and len(test.error) == 1
    assert "search is empty" in test.error[0].value


def test_the_drawer_shows_why_and_marks(open_page, digits):
    from coreset_engine.artifacts import label_log

    name = str(digits.ids[5])
    test = open_page("explore", image=name)
    assert not test.exception and not test.error
    assert f"Why {name}" in texts(test).replace("\\", "")
    test.button(key="explore:basket").click()
    test.run()
    assert test.session_state["state:basket"] == (name,)
    test.selectbox(key=f"explore:label:{name}").set_value("3")
    test.run()
    assert label_log.read(digits.fingerprint, session.home()).labels == {name: "3"}
    assert not test.exception and not test.error


def test_the_drawer_says_what_each_aim_of_a_mixed_selection_added(open_page, digits):
    test = open_page("explore", image=str(digits.ids[5]), method="mix")
    assert not test.exception and not test.error
    assert "Terms when it was ranked: diversity" in texts(test)


def test_the_old_gallery_address_shows_the_gallery(open_page):
    test = open_page("gallery")
    assert not test.exception and test.session_state["state:explore_layout"] == "Gallery"
