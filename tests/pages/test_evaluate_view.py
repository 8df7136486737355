"""Budget curves and verdicts on rows worked out by hand."""

from __future__ import annotations

import pytest
from finished import texts

from coreset_engine.core.registry import METHODS
from coreset_engine.jobs.manager import Job
from ui.components import jobs
from ui.views import evaluate

ROWS = [
    {"method": method, "prune_rate": 0.9, "seed": seed, "accuracy": base + 0.01 * seed}
    for method, base in (("random", 0.70), ("elfs", 0.75), ("blindcs", 0.70))
    for seed in range(3)
]


def test_summary_is_mean_and_sample_deviation():
    rates, means, stds, n = evaluate.summary(ROWS)
    assert rates == [0.9] and n == 3 and next(iter(means)) == "random"
    assert means["elfs"] == [pytest.approx(0.76)] and stds["elfs"] == [pytest.approx(0.01)]


def test_verdicts_are_paired():
    lines = evaluate.verdicts(ROWS)
    assert "BlindCS" in lines[0] and "does not clearly differ from random" in lines[0]
    assert "is better than random" in lines[1]
    assert "+5.0 points" in lines[1].replace("\\", "")


def test_a_cell_that_could_not_be_is_left_out_and_its_reason_kept():
    rows = [
        *ROWS,
        {"method": "elfs", "prune_rate": 0.3, "seed": 0, "accuracy": None, "error": "too large"},
    ]
    assert evaluate.summary(rows) == evaluate.summary(ROWS)
    assert evaluate.verdicts(rows) == evaluate.verdicts(ROWS)
    assert evaluate.table(rows) == evaluate.table(ROWS)


def test_a_method_that_loses_is_told_so():
    lost = [
        row | {"accuracy": row["accuracy"] - 0.2} if row["method"] == "elfs" else row
        for row in ROWS
    ]
    assert any(
        "is worse than random" in line and "ELFS" in line for line in evaluate.verdicts(lost)
    )


def test_table_has_the_paired_difference_and_the_spread():
    rows = [row | {"k": 120, "worst_class_accuracy": 0.5, "seconds": 2.0} for row in ROWS]
    lines = {line["Method"]: line for line in evaluate.table(rows)}
    elfs = METHODS["elfs"].title
    assert list(lines) == ["Random", METHODS["blindcs"].title, elfs]
    assert lines["Random"]["Over random (points)"] == ""
    assert lines[elfs] == {
        "Selected": "120",
        "Percent kept": "10%",
        "Method": elfs,
        "Accuracy (%)": "76.00 ± 1.00",
        "Over random (points)": "+5.00",
        "Worst class (%)": "50.0",
        "Seeds": "3",
        "Training": "2.0 s",
    }


def test_only_options_that_were_moved_travel():
    assert evaluate.changed({"label_noise": 0.0, "balance": False, "image_size": 32}) == {}
    assert evaluate.changed({"label_noise": 0.1, "balance": False}) == {"label_noise": 0.1}


def test_without_labels_the_page_says_what_accuracy_means(open_page, unlabelled_digits, put_job):
    rows = [row | {"labels": "pseudo"} for row in ROWS]
    put_job("evaluate", params={"encoder": "efficientnet_lite0"}, result={"rows": rows})
    test = open_page("compare", dataset=unlabelled_digits)
    assert not test.exception and not test.error
    assert "no true labels" in texts(test) and "agreement with pseudo-labels" in texts(test)


@pytest.mark.parametrize(
    "differences,clear",
    [
        ([0.1, 0.1], False),
        ([0.1, 0.11, 0.09], True),
        ([0.1, -0.1, 0.05], False),
        ([0.0, 0.0, 0.0], False),
        ([-0.1, -0.1, -0.11], False),
    ],
)
def test_clearly_above_zero(differences, clear):
    assert evaluate.clearly_above_zero(differences) is clear


def test_page_shows_the_newest_measurement_and_submits_another(open_page, monkeypatch):
    job = Job(
        "j9",
        "evaluate",
        "demo",
        {"encoder": "efficientnet_lite0"},
        "running",
        result={"rows": ROWS, "full_accuracy": 0.9},
    )
    monkeypatch.setattr(jobs, "list_jobs", lambda: [job])
    monkeypatch.setattr(evaluate, "list_jobs", lambda: [job])
    sent = []
    monkeypatch.setattr(evaluate, "submit", lambda *what: sent.append(what))
    test = open_page("compare", **{"opened:train": True})
    assert not test.exception
    assert "is better than random" in texts(test) and len(test.get("plotly_chart")) >= 1
    next(button for button in test.button if button.label == "Train and measure").click()
    test.run()
    kind, spec, params = sent[0]
    assert (kind, spec) == ("evaluate", "demo")
    assert params["methods"] == ["random", "auto", "elfs", "blindcs"] and params["prune_rates"] == [
        0.5,
        0.8,
        0.9,
    ]
