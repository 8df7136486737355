"""The rules that settle whole kinds of faults of the app, and the tests that hold each of them.

A rule without a test of its own elsewhere has one here.
"""

from __future__ import annotations

import numpy as np
import pytest
from finished import ROOT, FinishedRun

from ui.components import jobs
from ui.map.colour_columns import known_column
from ui.state import reviews, session
from ui.state.clusters import cluster_names
from ui.views import select

# Rule -> file below tests/, and the test.
RULES = {
    "a result never vanishes because something upstream changed": [
        ("pages/test_select_page.py", "test_results_stay_on_screen_while_they_are_computed_anew"),
        ("pages/test_select_page.py", "test_other_pages_mark_a_selection_of_before"),
        (
            "browser/test_explore.py",
            "test_ten_labels_are_corrected_in_ten_key_presses_and_nothing_is_recomputed",
        ),
    ],
    "a group has one name everywhere": [
        ("pages/test_rules.py", "test_a_group_has_one_name_everywhere"),
        ("pages/test_clusters_page.py", "test_no_two_clusters_have_one_name"),
    ],
    "a number is shown with what is good, and against random": [
        ("pages/test_select_page.py", "test_the_certificate_stands_beside_random"),
        ("pages/test_forecast_view.py", "test_labels_needed_are_compared_with_random"),
        ("pages/test_compare_page.py", "test_the_table_names_the_better_side"),
    ],
    "what is seen can be acted on where it is seen": [
        ("pages/test_explore_page.py", "test_the_drawer_shows_why_and_marks"),
        ("pages/test_explore_page.py", "test_the_page_acts_on_what_is_shown"),
        (
            "pages/test_explore_page.py",
            "test_a_label_given_in_the_larger_view_is_a_correction",
        ),
        ("browser/test_explore.py", "test_bars_and_ranges_filter_each_other"),
        (
            "pages/test_clean_page.py",
            "test_copies_are_excluded_by_one_click_and_come_back_by_another",
        ),
    ],
    "state comes back": [
        (
            "pages/test_select_page.py",
            "test_a_bare_address_brings_back_the_last_state_with_undo",
        ),
        (
            "pages/test_select_page.py",
            "test_what_no_link_holds_comes_back_with_the_same_state",
        ),
        ("pages/test_select_page.py", "test_the_active_tab_cannot_be_switched_off"),
        (
            "pages/test_select_page.py",
            "test_a_late_message_does_not_bring_back_the_percentage_of_before",
        ),
        ("pages/test_rules.py", "test_a_hidden_job_stays_hidden_in_another_session"),
        ("browser/test_tasks.py", "test_a_typed_number_survives_reload_undo_and_a_bare_address"),
    ],
    "the default method is auto everywhere, with its reason": [
        (
            "pages/test_recommended_method.py",
            "test_a_session_starts_with_the_recommended_method",
        ),
        ("pages/test_select_page.py", "test_auto_names_the_method_and_its_reason"),
    ],
    "unlabelled sets are the normal case": [
        ("pages/test_labels_page.py", "test_without_labels_the_list_ends_at_a_threshold"),
        (
            "browser/test_tasks.py",
            "test_doubtful_labels_of_an_unlabelled_set_are_few_and_corrected",
        ),
    ],
}


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_its_tests(rule):
    for file, name in RULES[rule]:
        text = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert f"def {name}(" in text, f"{rule}: {file} has no {name}"


def test_a_group_has_one_name_everywhere(tmp_path, monkeypatch, unlabelled_digits):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path))
    run = FinishedRun(unlabelled_digits, session.STAGES)
    view = session.RunView("demo", unlabelled_digits, run, run.config)
    names = cluster_names(view)
    assert len(set(names)) == len(names)
    assert list(known_column(view, "pseudo-label").labels) == names
    assert reviews.label_names(view) == names
    pseudo = np.asarray(run.pseudo_labels.labels)
    only = type("Selection", (), {"indices": np.flatnonzero(pseudo != 3)})()
    assert [name for name, _ in select.lost_groups(view, only)] == [names[3]]


def test_a_hidden_job_stays_hidden_in_another_session(tmp_path, monkeypatch):
    monkeypatch.setenv("CORESET_HOME", str(tmp_path))
    state: dict = {}
    monkeypatch.setattr(session, "get", state.get)
    monkeypatch.setattr(session, "put", state.__setitem__)
    jobs.hide({"failed-1"})
    state.clear()  # another session of the same workspace
    assert jobs.hidden_jobs() == {"failed-1"}
