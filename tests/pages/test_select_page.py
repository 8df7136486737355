"""Select: exact numbers, constraints, what loses everything, and results that never vanish."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import streamlit as st
from finished import FinishedRun, go_to, texts

from coreset_engine.artifacts.store import Store
from coreset_engine.evaluation.random_range import RandomRange
from ui.state import last_state, links, session
from ui.views import certificate


def box(test, label):
    return next(one for one in test.number_input if one.label == label)


def selected(test):
    """Ids that the page says are selected, from the count in its number input."""
    return box(test, "Images to keep").value


def test_a_number_is_typed_exactly(open_page):
    test = open_page("select", method="elfs")
    assert selected(test) == 40
    box(test, "Images to keep").set_value(123).run()
    assert not test.exception and not test.error
    assert test.session_state["state:count"] == 123
    assert test.query_params["k"] in ("123", ["123"])
    assert box(test, "Percent of 400").value == pytest.approx(30.75)


def test_a_percentage_replaces_the_number(open_page):
    test = open_page("select", method="elfs", count=123)
    box(test, "Percent of 400").set_value(25.0).run()
    assert test.session_state["state:count"] == 0 and selected(test) == 100
    next(button for button in test.button if button.label == "Undo").click().run()
    assert selected(test) == 123 and test.session_state["state:count"] == 123


def test_undo_and_redo_leave_beta_to_follow_the_number_of_images(open_page):
    test = open_page("select", method="elfs")
    box(test, "Images to keep").set_value(123).run()
    for label in ("Undo", "Redo"):
        next(button for button in test.button if button.label == label).click().run()
    assert selected(test) == 123
    assert "state:beta" not in test.session_state or test.session_state["state:beta"] is None


def test_a_linked_number_wins_over_a_rate(open_page):
    test = open_page("select", method="elfs", count=57, prune_rate=0.9)
    assert selected(test) == 57
    assert test.session_state["state:prune_rate"] == pytest.approx(1 - 57 / 400)


def test_at_least_n_of_every_cluster(open_page):
    test = open_page("select", method="elfs", count=100)
    box(test, "At least").set_value(8).run()
    assert not test.exception and not test.error, test.error
    assert test.session_state["state:constraints"] == {"quotas": [{"by": "cluster", "at_least": 8}]}
    assert "at least 8 of every cluster" in texts(test)
    assert "no selected image" not in texts(test)


def test_constraints_that_cannot_be_met_are_one_sentence_and_undone(open_page):
    test = open_page("select", method="elfs", count=20)
    box(test, "At least").set_value(8).run()
    assert not test.exception and "ask for 80 images" in test.error[0].value
    next(button for button in test.button if button.label == "Undo the last change").click().run()
    assert not test.error and not test.session_state["state:constraints"]
    assert box(test, "At least").value == 0


def test_a_selection_is_limited_to_a_filter(open_page):
    test = open_page("select", method="elfs", count=20)
    field = next(one for one in test.text_input if one.label == "Only images where")
    field.set_value("class in (3, 7)").run()
    assert not test.exception and not test.error, test.error
    assert test.session_state["state:constraints"] == {"where": "class in (3, 7)"}
    assert "only images where" in texts(test)
    field = next(one for one in test.text_input if one.label == "Only images where")
    field.set_value("clas = 3").run()
    assert not test.exception and len(test.error) == 1


def test_near_duplicates_once_and_a_quota_travel_together(open_page):
    test = open_page("select", method="elfs", count=60)
    next(t for t in test.toggle if t.label == "Near-duplicates once").set_value(True).run()
    box(test, "At least").set_value(2).run()
    held = test.session_state["state:constraints"]
    assert held["near_duplicates"] == 0.02 and held["quotas"][0]["at_least"] == 2
    assert "once" in texts(test)


def test_a_cluster_that_loses_everything_is_named_with_a_way_out(open_page):
    test = open_page("select", method="aum", count=3)
    assert "clusters have no selected image" in texts(test)
    next(b for b in test.button if b.label == "Keep at least 1 of each").click().run()
    assert "ask for 10 images, but only 3" in test.error[0].value
    box(test, "Images to keep").set_value(30).run()
    assert not test.error and "no selected image" not in texts(test)


def test_the_certificate_stands_beside_random(open_page):
    message = texts(open_page("select", method="elfs"))
    assert "of all images are within" in message and "random:" in message
    assert message.count("-badge[") >= 3


def test_findings_are_green_only_outside_the_range_of_random(open_page):
    from coreset_engine.evaluation.certificate import Certificate

    made = Certificate(10, 0.1, 0.2, 0.5, 2, 0.9, 7, 0.1, 5.0)
    span = RandomRange((0.1, 0.2), (0.25, 0.3), (0.4, 0.6), (1, 3), (2, 5), 5)
    verdicts = [one.verdict for one in certificate.findings(made, span, 10)]
    assert verdicts == ["better", "like", "worse"]


def test_auto_names_the_method_and_its_reason(open_page):
    message = texts(open_page("select", method="auto", count=40))
    assert "Recommended here" in message and "40 of 400" in message


def test_a_method_without_coverage_states_no_samples(open_page):
    assert "samples, alpha" not in texts(open_page("select", method="elfs"))


def test_blindcs_states_samples_alpha_and_the_agreement_of_two_seeds(open_page):
    test = open_page("select", method="blindcs", prune_rate=0.9)
    message = texts(test)
    assert "samples, alpha = 1000" in message
    assert "between two seeds" in message or "agreement of two seeds not measured" in message


def test_an_empty_text_option_stays_the_default(open_page):
    test = open_page("select", method="auto", count=40)
    assert not test.error and "state:params" not in test.session_state


def test_the_active_tab_cannot_be_switched_off(open_page):
    test = open_page("select", method="elfs")
    assert "Selected images" in [group.value for group in test.segmented_control]


def test_a_bare_address_brings_back_the_last_state_with_undo(tmp_path, monkeypatch, open_page):
    test = open_page("select", method="aum")
    box(test, "Images to keep").set_value(77).run()
    kept = last_state.load("demo", tmp_path)
    assert kept["count"] == 77 and kept["past"]
    again = open_page("home")
    assert again.session_state["state:count"] == 77
    assert again.session_state["state:method"] == "aum"
    page = go_to(again, "select")
    next(button for button in page.button if button.label == "Undo").click().run()
    assert selected(page) == 40


def test_what_no_link_holds_comes_back_with_the_same_state(tmp_path, open_page):
    """The recipe's name, a predictions file, a threshold, and what outdated results stand on."""
    predictions = tmp_path / "predictions.csv"
    predictions.write_text("id,p_a\n")
    held = {
        "recipe": "elfs-paper",
        "predictions": str(predictions),
        "clean_thresholds": {"near": 0.1},
        "labels_view": "Clusters",
    }
    complete = open_page("select", **held).session_state["state:complete"]
    again = open_page("home")
    for name, value in {**held, "complete": complete}.items():
        assert json.dumps(again.session_state[f"state:{name}"]) == json.dumps(value)
    predictions.unlink()  # a file that is gone must not stop the dataset from opening
    assert "state:predictions" not in open_page("home").session_state


def test_notes_of_another_version_show_no_earlier_run(monkeypatch, open_page):
    open_page("select", method="elfs")
    view = session.current_run()
    for note in ((), ("demo", "{", "[]"), ("demo", '{"no such": 1}', "[]"), (1, 2, 3)):
        notes = {"complete": {"dynamics": note}}
        monkeypatch.setattr(session, "get", lambda name, default=None, now=notes: now.get(name))
        assert session.earlier_run(view, ("dynamics",)) is None


def test_a_typed_number_tells_a_saved_state_whatever_rate_the_address_shows():
    """A reload may come before the address has the rate that belongs to the number."""
    saved = links.comparable({"method": "elfs", "count": 123, "prune_rate": 1 - 123 / 1797})
    early = links.comparable({"method": "elfs", "count": 123, "prune_rate": 0.9})
    assert last_state.same(saved, early)
    other = links.comparable({"method": "elfs", "count": 124, "prune_rate": 0.9})
    assert not last_state.same(saved, other)
    assert not last_state.same(
        links.comparable({"prune_rate": 0.5}), links.comparable({"prune_rate": 0.9})
    )


def test_a_damaged_state_is_no_state(tmp_path):
    last_state.save("demo", {"count": 3, "must_keep": ("a",)}, tmp_path)
    assert last_state.load("demo", tmp_path)["must_keep"] == ("a",)
    assert last_state.load("other", tmp_path) == {}
    file = next((tmp_path / "states").iterdir())
    for content in ("", "[]", json.dumps({"spec": "demo", "values": 3})):
        file.write_text(content)
        assert last_state.load("demo", tmp_path) == {}


def test_results_stay_on_screen_while_they_are_computed_anew(open_page, monkeypatch, digits):
    test = open_page("select", method="elfs")
    stale = FinishedRun(digits)
    fresh = FinishedRun(digits, finished=("embeddings", "neighbours", "pseudo_labels", "map"))
    stale.store = fresh.store = session.current_run().run.store
    view = session.RunView("demo", digits, fresh, fresh.config)
    monkeypatch.setattr(session, "current_run", lambda: view)
    earlier = session.RunView("demo", digits, stale, stale.config, outdated=True)
    monkeypatch.setattr(session, "earlier_run", lambda view, stages: earlier)
    sent = []
    monkeypatch.setattr("ui.components.jobs.submit", lambda *what: sent.append(what))
    test.run()
    assert not test.exception
    assert "Outdated" in texts(test) and selected(test) == 40
    assert [kind for kind, *_ in sent] == ["prepare"]
    test.run()
    assert len(sent) == 1


@pytest.mark.parametrize("page", ["explore", "compare", "export"])
def test_other_pages_mark_a_selection_of_before(page, open_page, monkeypatch, digits, tmp_path):
    stale = FinishedRun(digits)
    stale.store = Store(tmp_path)
    earlier = session.RunView("demo", digits, stale, stale.config, outdated=True)
    monkeypatch.setattr(session, "earlier_run", lambda view, stages: earlier)
    monkeypatch.setattr("ui.components.jobs.submit", lambda *what: None)
    test = open_page(page, finished=("embeddings", "neighbours", "pseudo_labels", "map"))
    assert not test.exception and not test.error
    assert "Outdated" in texts(test) and "Nothing to export" not in texts(test)


def test_the_earlier_run_has_the_corrections_it_was_finished_with(tmp_path, monkeypatch, open_page):
    open_page("select", method="elfs")
    notes = {"dynamics": ("demo", json.dumps(session.RunConfig().to_record()), "[]")}
    monkeypatch.setattr(session, "get", lambda name, default=None: {"complete": notes}.get(name))
    view = dataclasses.replace(session.current_run(), spec="another")
    assert session.earlier_run(view, ("dynamics",)) is None  # of another dataset
    view = session.current_run()
    assert session.earlier_run(view, ("dynamics",)) is None  # noted, but no longer in the store


def test_lost_groups_are_counted(open_page):
    open_page("select", method="elfs")
    from coreset_engine.core.types import Selection
    from ui.views import select

    view = session.current_run()
    first = np.flatnonzero(view.run.pseudo_labels.labels == 0)[:2]
    chosen = Selection(
        ids=view.dataset.ids[first],
        indices=first,
        weights=np.ones(2),
        scores=np.zeros(len(view)),
        method="elfs",
        params={},
        source_key=view.dataset.fingerprint,
    )
    lost = select.lost_groups(view, chosen)
    assert len(lost) == 9 and sum(size for _, size in lost) == int(
        (view.run.pseudo_labels.labels != 0).sum()
    )


def button(test, label):
    return next(one for one in test.button if one.label == label)


def late_message(test, typed):
    """What the browser sends once a number is typed, before it has drawn what the page made of
    it."""
    states = test._tree.get_widget_states()
    own = box(test, "Images to keep").proto.id
    next(one for one in states.widgets if one.id == own).double_value = typed
    return states


def test_a_late_message_does_not_bring_back_the_percentage_of_before(open_page):
    test = open_page("select", method="elfs")
    late = late_message(test, 123)
    box(test, "Images to keep").set_value(123).run()
    test._run(late)
    assert (selected(test), test.session_state["state:count"]) == (123, 123)
    test.run()
    assert (selected(test), test.session_state["state:count"]) == (123, 123)
    assert box(test, "Percent of 400").value == pytest.approx(30.75)


@pytest.mark.parametrize("label", ["Undo", "Redo"])
def test_a_late_message_takes_back_no_undo_and_no_redo(open_page, label):
    test = open_page("select", method="elfs")
    box(test, "Images to keep").set_value(123).run()
    if label == "Redo":
        button(test, "Undo").click().run()
    late = test._tree.get_widget_states()
    button(test, label).click().run()
    for _ in range(2):
        expected = 123 if label == "Redo" else 40
        assert selected(test) == expected
        assert test.session_state["state:count"] == (123 if label == "Redo" else 0)
        test._run(late)


def test_a_late_message_takes_back_no_undone_method(open_page):
    test = open_page("select", method="elfs")
    test.selectbox(key="widget:method").set_value("random").run()
    late = test._tree.get_widget_states()
    assert test.session_state["state:method"] == "random"
    button(test, "Undo").click().run()
    assert test.session_state["state:method"] == "elfs"
    test._run(late)
    assert test.session_state["state:method"] == "elfs"
    button(test, "Redo").click().run()
    assert test.session_state["state:method"] == "random"


def test_a_number_and_its_rate_enter_the_address_together(open_page, monkeypatch):
    test = open_page("select", method="elfs")
    written = []
    from_dict = type(st.query_params).from_dict

    def note(self, params):
        written.append(dict(params))
        from_dict(self, params)

    monkeypatch.setattr(type(st.query_params), "from_dict", note)
    box(test, "Images to keep").set_value(123).run()
    box(test, "Percent of 400").set_value(25.0).run()
    button(test, "Undo").click().run()
    assert [(one["p"], one.get("k")) for one in written] == [
        ("0.6925", "123"),
        ("0.75", None),
        ("0.6925", "123"),
    ]


def test_an_address_replaced_a_moment_ago_is_no_step_back(open_page, monkeypatch):
    test = open_page("select", method="elfs")
    before = dict(test.query_params)
    box(test, "Images to keep").set_value(123).run()
    test.query_params = dict(before)
    test.run()
    assert selected(test) == 123  # a message sent before the browser had the new address
    test.run()
    test.query_params = dict(before)
    test.run()
    assert selected(test) == 40  # the back button: the browser had the new one


def test_the_slider_of_the_difficulty_view_replaces_a_typed_number(open_page):
    test = open_page("labels", method="elfs", count=57, labels_view="Difficulty")
    slider = next(one for one in test.slider if one.label == "Images to keep")
    assert slider.value == 57
    slider.set_value(120).run()
    assert test.session_state["state:count"] == 120
