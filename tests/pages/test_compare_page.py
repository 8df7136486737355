"""Compare: accuracy stands beside the certificate once Evaluate has measured it, and only for the
same rate."""

from __future__ import annotations

from finished import texts


def measurement(rates=(0.9,)):
    rows = [
        dict(method=method, prune_rate=rate, seed=seed, accuracy=base + 0.01 * seed)
        for method, base in (("elfs", 0.8), ("random", 0.7))
        for rate in rates
        for seed in (0, 1)
    ]
    return dict(kind="evaluate", result={"rows": rows}, params={"encoder": "efficientnet_lite0"})


def test_measured_accuracies_stand_side_by_side(open_page, put_job):
    test = open_page("compare")
    put_job(**measurement())
    test.run()
    assert not test.exception and not test.error
    shown = {metric.label.replace("\\", ""): metric.value for metric in test.metric}
    assert shown["Test accuracy of A: Mid-difficulty (ELFS)"] == "80.5% ± 0.7 points"
    assert shown["Test accuracy of B: Random"] == "70.5% ± 0.7 points"


def test_another_rate_is_not_passed_off_as_this_one(open_page, put_job):
    test = open_page("compare")
    put_job(**measurement(rates=(0.5,)))
    test.run()
    assert not [metric for metric in test.metric if "accuracy" in metric.label]
    assert "No accuracy has been measured" in texts(test)
