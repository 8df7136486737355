"""Compare: the answer in a sentence, measured accuracies paired by seed, and equal counts."""

from __future__ import annotations

import pytest
from finished import texts

from coreset_engine.evaluation.paired import paired_test
from ui.views import compare, compare_results


def measurement(rates=(0.9,), seeds=5, **more):
    rows = [
        dict(method=method, prune_rate=rate, seed=seed, accuracy=base + 0.01 * (seed % 2) * up)
        for method, base, up in (("elfs", 0.8, 1), ("random", 0.7, 0))
        for rate in rates
        for seed in range(seeds)
    ]
    result = {"rows": rows, "tested_on": 400, **more}
    return dict(kind="evaluate", result=result, params={"encoder": "efficientnet_lite0"})


def test_the_first_sentence_says_which_is_better_and_how_it_was_measured(open_page, put_job):
    test = open_page("compare", method="elfs")
    put_job(**measurement())
    test.run()
    assert not test.exception and not test.error
    message = texts(test)
    # differences 10, 11, 10, 11, 10 points: mean 10.4, s = 0.548, t(0.975, 4) = 2.776
    assert "A is **10.4 points above B**" in message
    assert "95% interval +9.7 to +11.1, n = 5 seeds, 400 test images): significant" in message
    assert "A is better" in message


def test_another_rate_is_not_passed_off_as_this_one(open_page, put_job):
    test = open_page("compare", method="elfs")
    put_job(**measurement(rates=(0.5,)))
    test.run()
    message = texts(test)
    assert "Not measured yet" in message and "points above" not in message
    assert any(button.label == "Train on both" for button in test.button)


def test_one_training_is_no_proof():
    found = compare_results.Measured(paired_test([0.02]), 0, truth=True)
    message = compare_results.measured_sentence(found)
    assert "one says nothing about chance" in message and "significant" not in message


def test_my_coreset_is_side_a_and_random_of_as_many_images_side_b(open_page):
    test = open_page("compare", method="elfs", prune_rate=0.75)
    boxes = {box.label: box.value for box in test.selectbox}
    assert boxes["Side A"] == compare.OF_SELECT_PAGE and boxes["Method"] == "random"
    assert [box.value for box in test.number_input if box.label == "Images"] == [100]
    values = {metric.label: metric.value for metric in test.metric}
    assert values["Selected by A"] == values["Selected by B"] == "100"


def test_any_number_of_images_can_be_typed(open_page):
    test = open_page("compare", method="elfs", prune_rate=0.75)
    next(box for box in test.number_input if box.label == "Images").set_value(37).run()
    assert {m.label: m.value for m in test.metric}["Selected by B"] == "37"


def test_the_job_trains_both_sides_on_five_seeds(open_page, monkeypatch):
    sent = []
    monkeypatch.setattr(compare_results, "submit", lambda *what: sent.append(what))
    test = open_page("compare", method="elfs", prune_rate=0.75)
    next(button for button in test.button if button.label == "Train on both").click()
    test.run()
    kind, spec, params = sent[0]
    assert (kind, spec) == ("evaluate", "demo")
    assert params["methods"] == ["random", "elfs"] and params["seeds"] == 5
    assert params["prune_rates"] == [0.75]


@pytest.mark.parametrize(
    ("values", "higher", "better"),
    [((2.0, 1.0), True, "A"), ((2.0, 1.0), False, "B"), ((1.0, 1.0), True, "equal")],
)
def test_the_table_names_the_better_side(values, higher, better):
    row = compare_results._row("x", values, ("2", "1"), "+1", higher=higher)
    assert row["Better"] == better
