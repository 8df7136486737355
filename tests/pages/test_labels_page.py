"""The Labels page: its numbers, its cuts, its gallery of probable errors, and corrections that can
be undone."""

from __future__ import annotations

import numpy as np
import pytest
from finished import FinishedRun, texts

from coreset_engine.artifacts import history
from coreset_engine.core.errors import BadInput
from coreset_engine.pipeline.config import RunConfig
from coreset_engine.selection.budget import double_end
from ui.state import clusters, reviews, session
from ui.views import corrections, labels


def press(test, label):
    next(button for button in test.button if button.label == label).click()
    return test.run()


def view_of(dataset, **kept):
    return session.RunView("demo", dataset, FinishedRun(dataset, **kept), RunConfig())


def test_quality_without_labels_shows_certainty(open_page, unlabelled_digits):
    test = open_page("labels", dataset=unlabelled_digits, labels_view="Quality")
    assert not test.exception and not test.error
    assert "no labels" in texts(test) and "Misclassified images" not in [
        metric.label for metric in test.metric
    ]


def test_misclassified_is_the_engines_number(open_page, digits):
    from coreset_engine.clustering.contingency import accuracy

    test = open_page("labels", labels_view="Quality")
    shown = {metric.label: metric.value for metric in test.metric}["Misclassified"]
    exact = 1 - accuracy(FinishedRun(digits).pseudo_labels.labels, digits.labels)
    assert int(shown) == round(exact * len(digits))


@pytest.mark.parametrize("p,beta", [(0.9, 0.0), (0.5, 0.3), (0.3, 0.3), (0.0, 0.0)])
def test_cuts_agree_with_double_end_pruning(p, beta):
    aum = np.random.default_rng(0).normal(size=200).round(1)
    kept, hard, cuts = labels.cut(aum, aum, p, beta)
    assert np.array_equal(np.flatnonzero(kept), np.sort(double_end(aum, p, beta)))
    assert hard.sum() == round(beta * 200) and not (hard & kept).any()
    assert aum[hard].max(initial=-np.inf) <= aum[kept].min()
    assert ("β" in cuts) == (beta > 0) and ("easiest selected" in cuts) == (
        kept.sum() + hard.sum() < 200
    )


@pytest.mark.parametrize("low,high", [(-0.5, 0.5), (-9, 9), (0.8, 9), (-9, -0.8), (0.1, 0.11)])
def test_dragging_keeps_what_lies_in_the_range_to_a_thousandth(low, high):
    easy = np.random.default_rng(0).normal(size=5000)
    p, beta = labels.cuts_around(easy, low, high)
    kept, hard, _ = labels.cut(easy, easy, p, beta)
    inside = (easy >= low) & (easy <= high)
    assert (
        abs(int(kept.sum()) - int(inside.sum())) <= 5 + (p == 0.999)
        and (kept != inside).sum() <= 20
    )
    assert abs(hard.mean() - (easy < low).mean()) <= 0.001


def test_a_range_without_images_moves_nothing():
    assert labels.cuts_around(np.arange(10.0), 20, 30) is None


def test_never_learned_images_count_as_harder_than_any_range():
    forgetting = np.array([0.0, 1, 2, 3, np.inf, np.inf, np.inf, np.inf])
    assert labels.cuts_around(-forgetting, -1, 0) == (0.75, 0.75)
    assert labels.cuts_around(-forgetting, -3, -2) == (0.75, 0.5)


def found_beta(**changed):
    curve = [dict(beta=0.0, accuracy=0.7), dict(beta=0.2, accuracy=0.9)]
    answer = (
        dict(
            beta=0.2,
            accuracy=0.9,
            prune_rate=0.5,
            score="aum",
            dynamics="key-dynamics",
            curve=curve,
            oracle=dict(curve=curve[::-1], best_beta=0.0, lost=0.125),
        )
        | changed
    )
    return dict(kind="beta", result=answer)


def test_what_the_search_found_is_drawn_and_taken_with_one_click(open_page, put_job):
    put_job(**found_beta())
    put_job(**found_beta(score="forgetting", beta=0.1))
    test = open_page("labels", labels_view="Difficulty", prune_rate=0.5, beta=0.4)
    assert not test.exception and not test.error
    assert "β = 20.0%; 90.0% of the held-out" in texts(
        test
    ) and "With true labels it would be β = 0.0%, 12.5 points better" in texts(test)
    press(test, "Use β = 20.0%")
    assert test.session_state["state:beta"] == 0.2 and not test.error


@pytest.mark.parametrize(
    "changed", [dict(dynamics="of corrected labels"), dict(prune_rate=0.9), dict(curve=None)]
)
def test_a_search_of_something_else_is_not_shown(open_page, put_job, changed):
    put_job(**found_beta(**changed))
    test = open_page("labels", labels_view="Difficulty", prune_rate=0.5, beta=0.4)
    assert not test.exception and not any("Use β" in button.label for button in test.button)


def test_a_beta_that_does_not_fit_is_said_where_it_arose(open_page):
    test = open_page("labels", labels_view="Difficulty", prune_rate=0.5, beta=0.8)
    assert (
        not test.exception
        and len(test.error) == 1
        and "beta=0.8" in test.error[0].value.replace("\\", "")
    )
    with pytest.raises(BadInput):
        labels.cut(np.arange(10.0), np.arange(10.0), 0.5, 0.8)


def test_images_labelled_otherwise_than_their_cluster_are_listed_most_doubtful_first(
    open_page, digits
):
    test = open_page("labels", labels_view="Probable errors")  # the name of an earlier edition
    assert not test.exception and not test.error
    shown = test.session_state["state:errors_shown"]
    view = view_of(digits)
    pseudo = view.run.pseudo_labels.labels
    counts = np.array([np.bincount(digits.labels[pseudo == c], minlength=10) for c in range(10)])
    has_most = 2 * counts.max(1) > counts.sum(1)  # a class of more than half the cluster
    own = counts.argmax(1)[pseudo]
    position = {name: i for i, name in enumerate(digits.ids.tolist())}
    positions = [position[name] for name in shown]
    few = counts[pseudo, digits.labels] < 0.1 * counts.sum(1)[pseudo]
    odd = np.where(has_most[pseudo], own != digits.labels, few)
    assert sorted(positions) == np.flatnonzero(odd).tolist()
    assert (np.diff(view.run.dynamics.aum[positions]) >= 0).all()
    first = reviews.differing(view)[0]
    assert first.position == positions[0]
    assert first.given == digits.classes[digits.labels[positions[0]]]
    assert first.suggested == digits.classes[own[positions[0]]]


def test_without_labels_the_list_ends_at_a_threshold(open_page, unlabelled_digits):
    test = open_page("labels", dataset=unlabelled_digits)
    assert not test.exception and not test.error
    view = view_of(unlabelled_digits)
    doubt = reviews.doubt_of(view)
    listed = reviews.doubtful(view, reviews.first_threshold(doubt))
    assert 0 < len(listed) <= 20 == round(0.05 * 400)
    assert len(test.session_state["state:errors_shown"]) == len(listed)
    worst = np.sort(doubt.values)[: len(listed)]
    assert [doubt.values[one.position] for one in listed] == worst.tolist()
    assert all(one.given.startswith("cluster ") for one in listed)


def test_what_is_decided_is_kept_and_undone(open_page, digits):
    open_page("labels")
    view = view_of(digits)
    first, second = str(digits.ids[3]), str(digits.ids[5])
    reviews.decide(view, first, reviews.CORRECT, "7")
    reviews.decide(view, second, reviews.CONFIRM)
    kept = reviews.decisions(view)
    assert kept[first]["label"] == "7" and kept[second]["decision"] == "confirm"
    assert reviews.decided_label(view, first) == "7"
    reviews.undo(view)
    reviews.undo(view)
    assert not reviews.decisions(view) and reviews.decided_label(view, first) is None


def test_typical_images_are_those_the_label_is_most_certain_of(digits):
    view = view_of(digits)
    found = reviews.exemplars(view, 4)
    aum = view.run.dynamics.aum
    wrong = reviews.cluster_classes(view) != digits.labels
    for code, name in enumerate(digits.classes):
        own = np.flatnonzero((digits.labels == code) & ~wrong)
        best = own[np.argsort(-aum[own], kind="stable")][:4].tolist()
        assert found[name][: len(best)] == best


def test_corrections_are_kept_said_and_undone(open_page, digits):
    test = open_page(
        "labels", labels_view="Corrections", errors_shown=[str(digits.ids[3]), str(digits.ids[5])]
    )
    test.text_input(key="rename:0:name").set_value("<b>seven</b>")
    test.button(key="FormSubmitter:rename:0-Rename").click()
    test.run()
    test.selectbox(key="merge:0:into").set_value(4)
    test.run()
    test.button(key="merge:0").click()
    test.run()
    test.radio(key="relabel:source").set_value(corrections.ERRORS)
    press(test, "Relabel")
    assert not test.exception and not test.error
    kept = clusters.corrections_of(view_of(digits))
    assert [entry["kind"] for entry in kept] == ["rename", "merge", "relabel"]
    assert kept[2]["ids"] == [str(digits.ids[3]), str(digits.ids[5])]
    message = list(test.dataframe[0].value["Correction"])
    assert (
        message[0].startswith("2 images relabelled")
        and message[2] == "Cluster 0 renamed to <b>seven</b>"
    )
    table = corrections.corrected(view_of(digits))
    before = FinishedRun(digits).pseudo_labels.labels
    assert table["pseudo_label"] == before.tolist() and 0 not in table["corrected"][6:]
    assert (
        table["corrected"][3] == table["corrected"][5] == 0 and table["name"][3] == "<b>seven</b>"
    )
    press(test, "Undo last")
    assert len(clusters.corrections_of(view_of(digits))) == 2


def test_pasted_ids_that_do_not_exist_are_left_out(open_page, digits):
    test = open_page("labels", labels_view="Corrections")
    test.radio(key="relabel:source").set_value(corrections.PASTED)
    test.text_area(key="relabel:ids").set_value(f"{digits.ids[0]}\nno-such-image")
    press(test, "Relabel")
    assert clusters.corrections_of(view_of(digits))[0]["ids"] == [str(digits.ids[0])]


def test_corrections_of_another_clustering_are_counted_not_applied(open_page, digits):
    entry = {"kind": "rename", "cluster": 0, "name": "zero", "clustering": "another key"}
    history.add_correction(digits.fingerprint, entry, session.home())
    assert "1 earlier correction" in texts(open_page("labels", labels_view="Corrections"))
    assert clusters.corrections_of(view_of(digits)) == []
    assert clusters.n_corrections_elsewhere(view_of(digits)) == 1
    assert clusters.cluster_names(view_of(digits))[0] != "zero"
