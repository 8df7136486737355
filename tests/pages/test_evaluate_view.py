"""Budget curves and verdicts on rows worked out by hand."""

from __future__ import annotations

import pytest
from finished import texts

from coreset_engine.run.jobs import Job
from ui import evaluate_view, jobs

ROWS = [{"method": method, "prune_rate": 0.9, "seed": seed, "accuracy": base + 0.01 * seed}
        for method, base in (("random", 0.70), ("elfs", 0.75), ("blindcs", 0.70)) for seed in range(3)]


def test_summary_is_mean_and_sample_deviation():
    rates, means, stds, n = evaluate_view.summary(ROWS)
    assert rates == [0.9] and n == 3 and next(iter(means)) == "random"
    assert means["elfs"] == [pytest.approx(0.76)] and stds["elfs"] == [pytest.approx(0.01)]


def test_verdicts_are_paired():
    lines = evaluate_view.verdicts(ROWS)
    assert lines[0].startswith("**blindcs**: random did as well") and "beat random" in lines[1]
    assert "+5.0%" in lines[1].replace("\\", "")


@pytest.mark.parametrize("differences,clear", [([0.1, 0.1], False), ([0.1, 0.11, 0.09], True),
                                               ([0.1, -0.1, 0.05], False), ([0.0, 0.0, 0.0], False),
                                               ([-0.1, -0.1, -0.11], False)])
def test_clearly_above_zero(differences, clear):
    assert evaluate_view.clearly_above_zero(differences) is clear


def test_page_shows_the_newest_measurement_and_submits_another(open_page, monkeypatch):
    job = Job("j9", "evaluate", "demo", {"encoder": "efficientnet_lite0"}, "running",
              result={"rows": ROWS, "full_accuracy": 0.9})
    monkeypatch.setattr(jobs, "listed", lambda: [job])
    monkeypatch.setattr(evaluate_view, "listed", lambda: [job])
    sent = []
    monkeypatch.setattr(evaluate_view, "submit", lambda *what: sent.append(what))
    test = open_page("evaluate")
    assert "beat random" in texts(test) and len(test.get("plotly_chart")) >= 1
    next(button for button in test.button if button.label == "Train and measure").click()
    test.run()
    kind, spec, params = sent[0]
    assert (kind, spec) == ("evaluate", "demo")
    assert params["methods"] == ["random", "elfs", "blindcs"] and params["prune_rates"] == [0.5, 0.8, 0.9]
